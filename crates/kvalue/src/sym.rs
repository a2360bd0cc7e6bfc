//! One symbol: a name that is bytes without NUL.
//!
//! Requests and the messages of a mesh are full of short names (tables, columns, APIs, labels, addresses), which are made
//! and dropped by the dozen: those lie in the symbol itself, which is as long as a pointer to a slice. Tests: below.

use std::sync::Arc;

use crate::nul;

/// One symbol: bytes of any encoding without NUL. Cheap to make and to clone: most names are short, and lie in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sym(Name);

/// A name has one form only, by its length.
#[derive(Clone, PartialEq, Eq)]
enum Name {
    /// what is left is NUL
    Short([u8; SHORT]),
    /// behind a pointer of one word: a symbol takes two words
    Long(Arc<Box<[u8]>>),
}

/// Most bytes of a name that lie in the symbol.
const SHORT: usize = 15;

impl Sym {
    /// A symbol of these bytes, up to the first NUL if there is one.
    pub fn new(name: impl AsRef<[u8]>) -> Self {
        let name = name.as_ref();
        let end = nul::find(name).unwrap_or(name.len());
        let name = &name[..end];
        let mut short = [0; SHORT];
        match short.get_mut(..end) {
            Some(to) => {
                to.copy_from_slice(name);
                Sym(Name::Short(short))
            }
            None => Sym(Name::Long(Arc::new(name.into()))),
        }
    }

    /// The null symbol, an empty name.
    pub const fn null() -> Self {
        Sym(Name::Short([0; SHORT]))
    }

    /// True for the null symbol.
    pub fn is_null(&self) -> bool {
        matches!(&self.0, Name::Short([0, ..]))
    }

    /// True for a name stored inline, without heap memory: copies are cheap.
    pub fn is_short(&self) -> bool {
        matches!(&self.0, Name::Short(_))
    }

    /// The name.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Name::Short(name) => {
                // Behind the last byte that is not NUL, eight at once; the two halves share one.
                let [a, b, c, d, e, f, g, h, rest @ ..] = *name;
                let [i, j, k, l, m, n, o] = rest;
                let begin = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
                let end = u64::from_le_bytes([h, i, j, k, l, m, n, o]);
                let len = match end {
                    0 => 8 - begin.leading_zeros() as usize / 8,
                    _ => SHORT - end.leading_zeros() as usize / 8,
                };
                &name[..len]
            }
            Name::Long(name) => name,
        }
    }

    /// The name as text, bytes that are no UTF-8 replaced.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.as_bytes())
    }
}

impl std::hash::Hash for Sym {
    /// As its bytes do, by which a map of symbols is asked too.
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl PartialOrd for Sym {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sym {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Default for Sym {
    /// The null symbol.
    fn default() -> Self {
        Sym::null()
    }
}

impl std::fmt::Debug for Sym {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}", self.text())
    }
}

impl std::fmt::Display for Sym {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text())
    }
}

impl From<&str> for Sym {
    fn from(s: &str) -> Self {
        Sym::new(s)
    }
}

impl From<String> for Sym {
    fn from(s: String) -> Self {
        Sym::new(s)
    }
}

impl PartialEq<str> for Sym {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Sym {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl std::borrow::Borrow<[u8]> for Sym {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeSet, HashSet},
        hash::{BuildHasher, RandomState},
    };

    use super::*;

    /// Names of each length around what a symbol holds itself.
    fn names() -> Vec<Vec<u8>> {
        let mut names: Vec<Vec<u8>> = (0..=SHORT + 3).map(|n| vec![b'x'; n]).collect();
        names.extend((1..=SHORT + 3).map(|n| [vec![b'a'; n - 1], vec![0xff]].concat()));
        names
    }

    #[test]
    fn a_name_of_any_length_is_what_it_was() {
        for name in names() {
            let symbol = Sym::new(&name);
            assert_eq!(symbol.as_bytes(), name);
            assert_eq!(symbol.is_null(), name.is_empty());
            assert_eq!(symbol.is_short(), name.len() <= SHORT);
            assert_eq!(Sym::new([&name[..], b"\0behind it"].concat()), symbol, "it ends at the first NUL");
        }
        assert_eq!(std::mem::size_of::<Sym>(), 16);
    }

    #[test]
    fn symbols_are_equal_hashed_and_ordered_as_their_bytes() {
        let (names, hasher) = (names(), RandomState::new());
        for a in &names {
            assert_eq!(hasher.hash_one(Sym::new(a)), hasher.hash_one(&a[..]));
            for b in &names {
                assert_eq!(Sym::new(a) == Sym::new(b), a == b);
                assert_eq!(Sym::new(a).cmp(&Sym::new(b)), a.cmp(b));
            }
        }
        let set: HashSet<Sym> = names.iter().map(Sym::new).collect();
        assert!(names.iter().all(|name| set.contains(&name[..])), "asked by bytes");
        let sorted: BTreeSet<Sym> = set.into_iter().collect();
        assert!(
            sorted.iter().map(Sym::as_bytes).eq(names.iter().map(Vec::as_slice).collect::<BTreeSet<_>>())
        );
    }
}
