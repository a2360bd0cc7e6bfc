//! `help xbar`: a line or two on a word of q.

use qlang::registry::registry;

/// What words do, in a few of them.
const TEXTS: &str = include_str!("help.txt");

/// The help on a word; `None` where it is no word.
pub(crate) fn of(word: &str) -> Option<String> {
    let found = TEXTS.lines().filter_map(|l| l.split_once('\t')).find(|(w, _)| *w == word);
    if let Some((_, text)) = found {
        return Some(format!("{text}\n"));
    }
    let p = registry().find(word.as_bytes())?;
    let arguments = match (p.min, p.max) {
        (1, 1) => format!("{word} x"),
        (2, 2) if registry().def(p).infix => format!("x {word} y"),
        (min, max) if min == max => format!("{word}: {min} arguments"),
        (min, max) => format!("{word}: {min} to {max} arguments"),
    };
    Some(format!("{arguments}\n"))
}
