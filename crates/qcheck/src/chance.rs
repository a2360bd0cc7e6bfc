//! Which steps depend on chance, clock or machine: those alone may be compared by shape.
//!
//! A step does where it calls `?` or `rand` for random values, the clock, the process number, the memory in use or a
//! timing; or where it uses a name that an earlier step of its block set by such a step.

use std::collections::HashSet;

/// What the steps of a block so far have made dependent on chance.
#[derive(Debug, Default)]
pub struct Chance {
    names: HashSet<String>,
}

impl Chance {
    /// Whether this input depends on chance; `drew` tells that the interpreter's random generator moved meanwhile.
    pub fn touches(&mut self, input: &str, drew: bool) -> bool {
        let code = &code_of(input);
        let words = words(code);
        let touched = drew || calls_chance(code) || words.iter().any(|w| self.names.contains(*w));
        if touched {
            self.names.extend(assigned(code));
        }
        touched
    }
}

/// The text without the comment at its end and without what stands in strings.
fn code_of(input: &str) -> String {
    let mut code = String::with_capacity(input.len());
    let (mut quoted, mut last) = (false, '\n');
    for c in input.chars() {
        match c {
            '"' if last != '\\' => quoted = !quoted,
            '/' if !quoted && matches!(last, ' ' | '\n') => break,
            _ => {}
        }
        if !quoted || c == '"' {
            code.push(c);
        }
        last = c;
    }
    code
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '.' || c == '_'
}

fn words(code: &str) -> Vec<&str> {
    code.split(|c: char| !is_word(c)).filter(|w| !w.is_empty()).collect()
}

/// Names before a single or double colon, with or without an index or a verb between.
fn assigned(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (i, _) in code.match_indices(':') {
        let before = code[..i].trim_end_matches([':', '+', '-', ',', '*', '%', '|', '&']);
        let before = match before.strip_suffix(']').and_then(|b| b.rfind('[')) {
            Some(open) => &before[..open],
            None => before,
        };
        let start = before.rfind(|c: char| !is_word(c)).map_or(0, |at| at + 1);
        let name = &before[start..];
        if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '.') && !before[..start].ends_with('`')
        {
            names.push(name.to_string());
        }
    }
    names
}

const CLOCKS: [&str; 12] =
    [".z.p", ".z.P", ".z.t", ".z.T", ".z.d", ".z.D", ".z.n", ".z.N", ".z.z", ".z.Z", ".z.i", ".Q.w"];

fn calls_chance(code: &str) -> bool {
    let timing = ["\\t ", "\\ts", "\\t:"].iter().any(|t| code.trim_start().starts_with(t));
    let clock = |w: &str| {
        w == "rand"
            || CLOCKS
                .iter()
                .any(|c| w.strip_prefix(c).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    };
    timing || words(code).into_iter().any(clock) || draws(code)
}

/// `n?` with a single number before it.
fn draws(code: &str) -> bool {
    code.match_indices('?').any(|(i, _)| {
        let before = code[..i].trim_end();
        let rest = before.trim_end_matches(|c: char| c.is_ascii_digit());
        let list = rest.trim_end().ends_with(|c: char| c.is_ascii_digit());
        rest.len() < before.len() && !list && !rest.ends_with(|c: char| c.is_ascii_alphabetic() || c == '.')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_chance_within_a_block() {
        let mut block = Chance::default();
        assert!(!block.touches("a:1 2 3", false));
        assert!(block.touches("t:([]x:10?5)", false));
        assert!(block.touches("select from t", false));
        assert!(block.touches("u:t,t", false));
        assert!(block.touches("count u", false));
        assert!(!block.touches("a", false));
        assert!(!Chance::default().touches("count u", false));
    }

    #[test]
    fn clock_timing_and_draws_are_chance_and_find_is_not() {
        for code in
            ["\\t til 10", ".z.p", "string .z.D", "rand 10", "5?`3", "-3?10", "asc 10?3", ".Q.w[]`used"]
        {
            assert!(Chance::default().touches(code, false), "{code}");
        }
        for code in ["a?3", "?[b;1;2]", "1 2 3?2", "2+2 / 5?3", ".z.K", "\"5?\"like"] {
            assert!(!Chance::default().touches(code, false), "{code}");
        }
    }
}
