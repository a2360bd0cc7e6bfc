//! Whether an output is the one of the transcript.
//!
//! Rules: whitespace counts. The pages have lost the blanks that q pads the ends of lines with, and the final
//! newline: both are dropped on both sides. An error's text may be followed by more lines of the backtrace than the
//! page shows, as pages show none or only its first lines.

/// What an output is beside the one of the transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// the same
    Same,
    /// of the same shape only
    Shape,
    /// another one
    Other,
}

/// Compares an output with the page's. `error` tells that ours ends in an error; `by_shape` that the shape is enough.
pub fn compare(page: &str, ours: &str, error: bool, by_shape: bool) -> Match {
    let (page, ours) = (trimmed(page), trimmed(ours));
    if page == ours || (error && is_start(&page, &ours)) {
        return Match::Same;
    }
    if by_shape && page.len() == ours.len() && page.iter().zip(&ours).all(|(a, b)| same_shape(a, b)) {
        return Match::Shape;
    }
    Match::Other
}

fn trimmed(text: &str) -> Vec<&str> {
    text.trim_end_matches('\n').split('\n').map(|line| line.trim_end_matches([' ', '\r'])).collect()
}

/// The page shows the error and no more than the first lines of what follows it.
fn is_start(page: &[&str], ours: &[&str]) -> bool {
    page.iter().any(|line| line.starts_with('\'')) && ours.starts_with(page)
}

/// True where the page's lines are ours, some with a comment behind them that its writer added.
pub fn annotated(page: &str, ours: &str) -> bool {
    let (page, ours) = (trimmed(page), trimmed(ours));
    let note = |page: &str, ours: &str| {
        page.strip_prefix(ours).is_some_and(|rest| rest.is_empty() || rest.trim_start().starts_with("/ "))
    };
    page.len() == ours.len() && page.iter().zip(&ours).all(|(a, b)| note(a, b))
}

/// Fields of the same kinds, whatever they are.
fn same_shape(a: &str, b: &str) -> bool {
    let cut = |line: &str| line.ends_with("..");
    let kinds = |line: &str| line.trim_end_matches("..").split_whitespace().map(kind).collect::<Vec<_>>();
    let (x, y) = (kinds(a), kinds(b));
    match cut(a) || cut(b) {
        true => x.first() == y.first(),
        false => x == y,
    }
}

/// What a field looks like: numbers of any length and sign as one digit, words as one letter, marks as they are.
fn kind(field: &str) -> String {
    let mut out = String::new();
    for c in field.chars() {
        let mark = match c {
            '0'..='9' => '9',
            c if c.is_alphabetic() => 'a',
            c => c,
        };
        if !(out.ends_with(mark) && matches!(mark, '9' | 'a' | '-')) {
            out.push(mark);
        }
    }
    // A float may happen to be whole, of another size or negative.
    for (from, to) in [("9.9a-9", "9"), ("9a-9", "9"), ("9a+9", "9"), ("9.9", "9"), ("-9", "9"), ("9a", "9")]
    {
        out = out.replace(from, to);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_blanks_count_and_those_at_the_end_do_not() {
        assert_eq!(compare("a  b\n1  2", "a  b  \n1  2\n", false, false), Match::Same);
        assert_eq!(compare("a  b", "a b", false, false), Match::Other);
        assert_eq!(compare(" a", "a", false, false), Match::Other);
    }

    #[test]
    fn a_page_may_show_an_error_without_its_backtrace() {
        let ours = "'type\n  [0]  1+`a\n        ^";
        assert_eq!(compare("'type", ours, true, false), Match::Same);
        assert_eq!(compare("'type\n  [0]  1+`a", ours, true, false), Match::Same);
        assert_eq!(compare("'length", ours, true, false), Match::Other);
        assert_eq!(compare("1", "1\n2", false, false), Match::Other);
    }

    #[test]
    fn shapes_are_kinds_of_fields() {
        assert_eq!(compare("1 12 9", "22 3 0", false, true), Match::Shape);
        assert_eq!(compare("0.1 12.5", "3 0.25", false, true), Match::Shape);
        assert_eq!(compare("1 2 3", "1 2", false, true), Match::Other);
        assert_eq!(compare("`abc`def", "`x`y", false, true), Match::Shape);
        assert_eq!(compare("1 2 3", "3 2 1", false, false), Match::Other);
    }
}
