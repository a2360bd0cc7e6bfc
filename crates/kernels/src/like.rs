//! q's `like` patterns: `*` any run, `?` any byte, `[a-z]` one of, `[^a-z]` none of.
//!
//! Inside brackets `*`, `?` and `[` stand for themselves, `]` too where it is first, `^` where it is not first.
//! Case matters; bytes, not characters, as in q. Patterns with several `*` that q refuses as `'nyi` work here.

use crate::KernelError;

/// A pattern ready to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Byte(u8),
    AnyByte,
    /// one bit a byte
    Set(Box<[bool; 256]>),
    AnyRun,
}

impl Pattern {
    /// Reads a pattern. An error where a `[` has no `]`.
    pub fn new(pattern: &[u8]) -> Result<Pattern, KernelError> {
        let mut parts = Vec::with_capacity(pattern.len());
        let mut rest = pattern;
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            match byte {
                b'*' if parts.last() == Some(&Part::AnyRun) => {}
                b'*' => parts.push(Part::AnyRun),
                b'?' => parts.push(Part::AnyByte),
                b'[' => {
                    let (set, tail) = read_set(tail)
                        .ok_or_else(|| KernelError::Pattern(String::from_utf8_lossy(pattern).into_owned()))?;
                    parts.push(Part::Set(set));
                    rest = tail;
                }
                byte => parts.push(Part::Byte(byte)),
            }
        }
        Ok(Pattern { parts })
    }

    /// True where the whole text matches. Linear in practice: a failed match goes back to the last `*` only.
    pub fn matches(&self, text: &[u8]) -> bool {
        let (mut part, mut at) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        loop {
            match self.parts.get(part) {
                Some(Part::AnyRun) => {
                    star = Some((part, at));
                    part += 1;
                    continue;
                }
                Some(one) if text.get(at).is_some_and(|&b| one.takes(b)) => {
                    part += 1;
                    at += 1;
                    continue;
                }
                None if at == text.len() => return true,
                _ => {}
            }
            match star {
                Some((star_part, from)) if from < text.len() => {
                    star = Some((star_part, from + 1));
                    (part, at) = (star_part + 1, from + 1);
                }
                _ => return false,
            }
        }
    }
}

impl Part {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Part::Byte(b) => *b == byte,
            Part::AnyByte | Part::AnyRun => true,
            Part::Set(set) => set[byte as usize],
        }
    }
}

/// The set after a `[`, and what follows its `]`.
fn read_set(text: &[u8]) -> Option<(Box<[bool; 256]>, &[u8])> {
    let (negated, body) = match text {
        [b'^', body @ ..] if body.first() != Some(&b']') || body[1..].contains(&b']') => (true, body),
        body => (false, body),
    };
    // A `]` that comes first is a member of the set.
    let end = 1 + memchr::memchr(b']', body.get(1..)?)?;
    let members = &body[..end];
    let mut set = Box::new([negated; 256]);
    let mut i = 0;
    while i < members.len() {
        let low = members[i];
        let high = match members.get(i + 1..i + 3) {
            Some([b'-', high]) => {
                i += 2;
                *high
            }
            _ => low,
        };
        for byte in low..=high {
            set[byte as usize] = !negated;
        }
        i += 1;
    }
    Some((set, &body[end + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn like(text: &str, pattern: &str) -> bool {
        Pattern::new(pattern.as_bytes()).unwrap().matches(text.as_bytes())
    }

    #[test]
    fn documented_examples() {
        // basics/regex.md, ref/like.md
        for (text, pattern, expected) in [
            ("quick", "qu?ck", true),
            ("brown", "br[ao]wn", true),
            ("quickly", "quick*", true),
            ("quick", "quickish", false),
            ("brown", "[bf]rown", true),
            ("brown", "[^cf]rown", true),
            ("br^wn", "br[&^]wn", true),
            ("brAwn", "br[A-Z]wn", true),
            ("br0wn", "br[3-6]wn", false),
            ("br0wn", "br[^3-6]wn", true),
            ("brown", "br?*wn", true),
            ("brown", "br[?*]wn", false),
            ("br*wn", "br[*]wn", true),
            ("br]wn", "[bf]r[]]wn", true),
            ("rome", "ro[^ab]?", true),
            ("a[c", "a[[]c", true),
            ("ab^c", "ab[*^]c", true),
            ("broom of your own", "br*wn", true),
            ("brwn", "br*wn", true),
            ("27 Maple Ave Elmstwn 321-7654", "*321-[0-9][0-9][0-9][0-9]", true),
            ("Maple Avenue Elmstown 123-9999", "*321-*", false),
            ("the aid of the party, the", "*the*the*", true),
            ("", "*", true),
            ("", "?", false),
        ] {
            assert_eq!(like(text, pattern), expected, "{text:?} like {pattern:?}");
        }
    }

    #[test]
    fn a_bracket_without_its_end_is_refused() {
        for pattern in ["a[bc", "[", "[]", "[^"] {
            let err = Pattern::new(pattern.as_bytes()).unwrap_err().to_string();
            assert!(err.contains(pattern), "{err}");
        }
    }

    /// Matching by trying every split: slow and plain.
    fn reference(text: &[u8], pattern: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|i| reference(&text[i..], rest)),
            Some((b'?', rest)) => !text.is_empty() && reference(&text[1..], rest),
            Some((b, rest)) => text.first() == Some(b) && reference(&text[1..], rest),
        }
    }

    proptest! {
        #[test]
        fn stars_match_as_trying_every_split_does(text in "[ab]{0,8}", pattern in "[ab?*]{0,6}") {
            prop_assert_eq!(like(&text, &pattern), reference(text.as_bytes(), pattern.as_bytes()));
        }

        #[test]
        fn no_pattern_panics(text in prop::collection::vec(any::<u8>(), 0..10), pattern in "[\\[\\]^a\\-*?]{0,8}") {
            if let Ok(pattern) = Pattern::new(pattern.as_bytes()) {
                pattern.matches(&text);
            }
        }
    }
}
