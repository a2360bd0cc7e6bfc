//! Long names that requests repeat, each held once: APIs, tables, labels, users. A hundred thousand requests that wait
//! would hold as many copies of the same few. A short one lies in its symbol.

use std::collections::HashSet;

use kvalue::Sym;

/// Most names that are kept; then all are let go, and those in use come back.
const MOST: usize = 4_096;

/// The names known now.
#[derive(Debug, Default)]
pub(crate) struct Names(HashSet<Sym, ahash::RandomState>);

impl Names {
    /// Replaces `name` by the shared copy.
    pub(crate) fn share(&mut self, name: &mut Sym) {
        if name.is_short() {
            return;
        }
        if let Some(known) = self.0.get(name) {
            name.clone_from(known);
            return;
        }
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(name.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_are_one_and_what_is_kept_is_bounded() {
        let mut names = Names::default();
        let [mut a, mut b] = [Sym::new("a-name-that-is-long"), Sym::new("a-name-that-is-long")];
        names.share(&mut a);
        names.share(&mut b);
        assert_eq!(a.as_bytes().as_ptr(), b.as_bytes().as_ptr());
        for n in 0..2 * MOST {
            names.share(&mut Sym::new(format!("a-name-that-is-long-{n}")));
            assert!(names.0.len() <= MOST);
        }
    }
}
