//! Which steps depend on chance, clock or machine: those alone may be compared by shape.
//!
//! A step does where it calls `?` or `rand` for random values, the clock, the process number, the memory in use or a
//! timing; or where it uses a name that an earlier step of its block set by such a step.

use std::{collections::HashSet, sync::Arc};

use qlang::{
    registry::registry,
    syntax::{
        Word, Words,
        ast::{Expr, Pattern},
        parse,
    },
    value::Value,
};

/// What the steps of a block so far have made dependent on chance.
#[derive(Debug, Default)]
pub struct Chance {
    names: HashSet<String>,
}

impl Chance {
    /// Whether this input depends on chance; `drew` tells that the interpreter's random generator moved meanwhile.
    pub fn touches(&mut self, input: &str, drew: bool) -> bool {
        let code = &code_of(input);
        let touched = drew || calls_chance(code) || words(code).iter().any(|w| self.names.contains(*w));
        if touched {
            self.names.extend(assigned(input));
        }
        touched
    }
}

/// The words of q, for the parser.
struct All;

impl Words for All {
    fn word(&self, name: &[u8]) -> Option<Word> {
        let primitive = registry().find(name)?;
        Some(Word { value: Value::Prim(primitive), infix: registry().def(primitive).infix })
    }
}

/// The globals that an input assigns to; none where it is no q.
pub(crate) fn assigned(input: &str) -> Vec<String> {
    let mut names = Vec::new();
    if let Ok(parsed) = parse(&Arc::from(input), None, 1, &All) {
        parsed.statements.iter().for_each(|e| of_expr(e, &mut names));
    }
    names
}

fn of_expr(e: &Expr, names: &mut Vec<String>) {
    let mut all = |list: &[Expr]| list.iter().for_each(|e| of_expr(e, names));
    match e {
        Expr::List(l) | Expr::Compose(l) | Expr::Block(l) => all(l),
        Expr::Cond(l, _) | Expr::If(l, _) | Expr::Do(l, _) | Expr::While(l, _) => all(l),
        Expr::Apply(f, args, _) => {
            all(args);
            of_expr(f, names);
        }
        Expr::Derive(e, _) | Expr::Return(e) | Expr::Signal(e, _) => of_expr(e, names),
        Expr::Assign(a) => {
            names.push(a.name.text().into_owned());
            of_expr(&a.value, names);
        }
        Expr::Match(pattern, value, _) => {
            of_pattern(pattern, names);
            of_expr(value, names);
        }
        _ => {}
    }
}

fn of_pattern(p: &Pattern, names: &mut Vec<String>) {
    match p {
        Pattern::Name(name) => names.push(name.text().into_owned()),
        Pattern::List(parts) => parts.iter().for_each(|p| of_pattern(p, names)),
        Pattern::Dict(parts) | Pattern::Table(parts) => parts.iter().for_each(|(_, p)| of_pattern(p, names)),
        Pattern::Typed(p, _) => of_pattern(p, names),
        _ => {}
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

pub(crate) fn words(code: &str) -> Vec<&str> {
    code.split(|c: char| !is_word(c)).filter(|w| !w.is_empty()).collect()
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
