//! Interned symbols: one number per distinct name, for the whole process.
//!
//! Names are never freed, as in kdb+: the interner is an arena that lives as long as the process. [`interned`]
//! tells how much it holds, so that an embedding can refuse to go on beyond a limit.

use std::sync::{LazyLock, RwLock};

use ahash::RandomState;

/// A symbol: the number of an interned name. Equal names have equal numbers; order is not that of the names.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Sym(u32);

struct Arena {
    names: Vec<&'static [u8]>,
    index: hashbrown::HashTable<u32>,
    hasher: RandomState,
    bytes: usize,
}

static ARENA: LazyLock<RwLock<Arena>> = LazyLock::new(|| {
    let mut arena =
        Arena { names: Vec::new(), index: hashbrown::HashTable::new(), hasher: RandomState::new(), bytes: 0 };
    arena.intern(b"");
    RwLock::new(arena)
});

impl Arena {
    fn find(&self, name: &[u8]) -> Option<u32> {
        self.index.find(self.hasher.hash_one(name), |&i| self.names[i as usize] == name).copied()
    }

    fn intern(&mut self, name: &[u8]) -> u32 {
        if let Some(i) = self.find(name) {
            return i;
        }
        let i = self.names.len() as u32;
        self.names.push(Box::leak(name.to_vec().into_boxed_slice()));
        self.bytes += name.len();
        let Arena { names, index, hasher, .. } = self;
        index.insert_unique(hasher.hash_one(name), i, |&j| hasher.hash_one(names[j as usize]));
        i
    }
}

/// How many symbols the process holds, and the bytes of their names.
pub fn interned() -> (usize, usize) {
    let arena = ARENA.read().unwrap_or_else(|p| p.into_inner());
    (arena.names.len(), arena.bytes)
}

impl Sym {
    /// The null symbol, an empty name.
    pub const NULL: Sym = Sym(0);

    /// The symbol of this name. A NUL byte ends the name.
    pub fn new(name: impl AsRef<[u8]>) -> Sym {
        let mut name = name.as_ref();
        if let Some(end) = memchr::memchr(0, name) {
            name = &name[..end];
        }
        if name.is_empty() {
            return Sym::NULL;
        }
        if let Some(i) = ARENA.read().unwrap_or_else(|p| p.into_inner()).find(name) {
            return Sym(i);
        }
        Sym(ARENA.write().unwrap_or_else(|p| p.into_inner()).intern(name))
    }

    /// The name.
    pub fn bytes(self) -> &'static [u8] {
        ARENA.read().unwrap_or_else(|p| p.into_inner()).names[self.0 as usize]
    }

    /// The name as text; bytes that are no UTF-8 are replaced.
    pub fn text(self) -> std::borrow::Cow<'static, str> {
        String::from_utf8_lossy(self.bytes())
    }

    /// True for the empty name.
    pub fn is_null(self) -> bool {
        self.0 == 0
    }

    /// The number of the name, dense from 0: an index for tables of codes.
    pub fn id(self) -> u32 {
        self.0
    }
}

/// The names of many symbols, under one lock.
pub fn names(symbols: &[Sym]) -> Vec<&'static [u8]> {
    let arena = ARENA.read().unwrap_or_else(|p| p.into_inner());
    symbols.iter().map(|s| arena.names[s.0 as usize]).collect()
}

/// Orders two symbols by the bytes of their names.
pub fn order(a: Sym, b: Sym) -> std::cmp::Ordering {
    if a == b {
        return std::cmp::Ordering::Equal;
    }
    a.bytes().cmp(b.bytes())
}

impl std::fmt::Debug for Sym {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}", self.text())
    }
}

impl From<&str> for Sym {
    fn from(name: &str) -> Sym {
        Sym::new(name)
    }
}
