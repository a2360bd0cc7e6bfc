//! Vectors of symbols.
//!
//! A vector of [`Sym`]s is [`Symbols`]: either packed as on the wire (each name ends in
//! NUL, boundaries found only when asked for) or indices into a shared [`Domain`], as an enumerated column
//! lies on disk. Enumerations never travel, yet grouping and filtering want the indices, so both forms are
//! kept and compare equal name by name.

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

use ahash::{HashMap, HashMapExt};
use bytes::{BufMut, Bytes, BytesMut};

use crate::{Buf, ShapeError, Sym, nul, pack, types::NULL_INT, types::NULL_LONG};

/// Names packed one after another, each ended by NUL.
#[derive(Clone)]
struct Packed {
    bytes: Bytes,
    len: usize,
    /// Where each name ends (the position of its NUL); found on first use.
    ends: Arc<OnceLock<Box<[usize]>>>,
}

impl Packed {
    fn ends(&self) -> &[usize] {
        self.ends.get_or_init(|| {
            let mut ends = Vec::with_capacity(self.len);
            ends.extend(memchr::memchr_iter(0, &self.bytes).take(self.len));
            ends.into()
        })
    }

    fn get(&self, i: usize) -> &[u8] {
        let ends = self.ends();
        let start = if i == 0 { 0 } else { ends[i - 1] + 1 };
        &self.bytes[start..ends[i]]
    }
}

/// The names an enumeration points into, for instance a database's `sym` file.
pub struct Domain {
    name: Sym,
    names: Packed,
    index: OnceLock<HashMap<Box<[u8]>, u32>>,
    shorts: OnceLock<Box<[pack::Short]>>,
}

impl Domain {
    /// A domain of this name over packed, NUL-terminated names.
    pub fn new(name: Sym, names: &Symbols) -> Self {
        Domain { name, names: names.to_packed(), index: OnceLock::new(), shorts: OnceLock::new() }
    }

    /// The domain's own name, as enumerated columns mention it (usually `sym`).
    pub fn name(&self) -> &Sym {
        &self.name
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.names.len
    }

    /// True where there is no name.
    pub fn is_empty(&self) -> bool {
        self.names.len == 0
    }

    /// Name `i`; the null symbol for any index outside the domain.
    pub fn get(&self, i: i64) -> &[u8] {
        match usize::try_from(i) {
            Ok(i) if i < self.names.len => self.names.get(i),
            _ => b"",
        }
    }

    /// Index of a name; the first one where it occurs twice.
    pub fn find(&self, name: &[u8]) -> Option<u32> {
        let index = self.index.get_or_init(|| {
            let mut index = HashMap::with_capacity(self.names.len);
            for i in 0..self.names.len {
                index.entry(Box::from(self.names.get(i))).or_insert(i as u32);
            }
            index
        });
        index.get(name).copied()
    }

    /// The names ready for packing, where `n` names are worth it.
    fn shorts(&self, n: usize) -> Option<&[pack::Short]> {
        if n < self.len() / 4 {
            return self.shorts.get().map(|s| &s[..]);
        }
        Some(self.shorts.get_or_init(|| pack::shorts((0..self.names.len).map(|i| self.names.get(i)))))
    }

    /// All names in order.
    pub fn symbols(&self) -> Symbols {
        Symbols(Repr::Packed(self.names.clone()))
    }
}

impl std::fmt::Debug for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Domain(`{}, {} names)", self.name, self.len())
    }
}

/// Indices into a [`Domain`]: 32 bits wide as kdb+ 3.0-3.5 writes them, or 64.
#[derive(Clone, Debug, PartialEq)]
pub enum Codes {
    /// 32-bit indices
    I32(Buf<i32>),
    /// 64-bit indices
    I64(Buf<i64>),
}

impl Codes {
    /// Number of indices.
    pub fn len(&self) -> usize {
        match self {
            Codes::I32(b) => b.len(),
            Codes::I64(b) => b.len(),
        }
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Index `i`; −1 for the null symbol.
    #[inline]
    pub fn get(&self, i: usize) -> i64 {
        match self {
            Codes::I32(b) => match b.get(i) {
                NULL_INT => -1,
                c => i64::from(c),
            },
            Codes::I64(b) => match b.get(i) {
                NULL_LONG => -1,
                c => c,
            },
        }
    }

    /// The first index that is neither null nor below `len`.
    fn first_outside(&self, len: usize) -> Option<usize> {
        // A negative number is a large one without its sign: one comparison serves both borders.
        match self {
            Codes::I32(b) => {
                let len = u32::try_from(len).unwrap_or(1 << 31).min(1 << 31);
                first_where(b.le(), |c| (c.get() as u32 >= len) & (c.get() != NULL_INT))
            }
            Codes::I64(b) => first_where(b.le(), |c| (c.get() as u64 >= len as u64) & (c.get() != NULL_LONG)),
        }
    }

    /// The indices of `range`, sharing storage.
    pub fn slice(&self, range: Range<usize>) -> Self {
        match self {
            Codes::I32(b) => Codes::I32(b.slice(range)),
            Codes::I64(b) => Codes::I64(b.slice(range)),
        }
    }
}

/// The first item that is so. Whole chunks are looked at without branches, which the compiler vectorises.
fn first_where<T: Copy>(items: &[T], so: impl Fn(T) -> bool) -> Option<usize> {
    const CHUNK: usize = 1024;
    let chunk = items.chunks(CHUNK).position(|chunk| chunk.iter().fold(false, |any, &c| any | so(c)))?;
    items[chunk * CHUNK..].iter().position(|&c| so(c)).map(|i| chunk * CHUNK + i)
}

/// A symbol vector. Cloning and slicing share the storage.
#[derive(Clone)]
pub struct Symbols(Repr);

#[derive(Clone)]
enum Repr {
    Packed(Packed),
    Enumerated { domain: Arc<Domain>, codes: Codes },
}

impl Symbols {
    /// `len` NUL-terminated names that fill `bytes` exactly.
    pub fn packed(bytes: Bytes, len: usize) -> Result<Self, ShapeError> {
        let nuls = nul::count(&bytes);
        let ends_in_nul = bytes.last().is_none_or(|&b| b == 0);
        if nuls != len || !ends_in_nul {
            return Err(ShapeError::Symbols { expected: len });
        }
        Ok(Symbols(Repr::Packed(Packed { bytes, len, ends: Arc::default() })))
    }

    /// Indices into a domain. Checks that each is in the domain or null.
    pub fn enumerated(domain: Arc<Domain>, codes: Codes) -> Result<Self, ShapeError> {
        let bad = codes.first_outside(domain.len());
        match bad {
            Some(row) => Err(ShapeError::Enumeration {
                index: codes.get(row),
                row,
                domain: domain.name().text().into_owned(),
                len: domain.len(),
            }),
            None => Ok(Symbols(Repr::Enumerated { domain, codes })),
        }
    }

    /// Number of symbols.
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Packed(p) => p.len,
            Repr::Enumerated { codes, .. } => codes.len(),
        }
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name `i`. Panics where `i` is not below [`Self::len`].
    #[inline]
    pub fn get(&self, i: usize) -> &[u8] {
        match &self.0 {
            Repr::Packed(p) => p.get(i),
            Repr::Enumerated { domain, codes } => domain.get(codes.get(i)),
        }
    }

    /// All names in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + '_ {
        (0..self.len()).map(|i| self.get(i))
    }

    /// Domain and indices, where the vector is enumerated.
    pub fn as_enumerated(&self) -> Option<(&Arc<Domain>, &Codes)> {
        match &self.0 {
            Repr::Enumerated { domain, codes } => Some((domain, codes)),
            Repr::Packed(_) => None,
        }
    }

    /// The names of `range`, sharing storage. Panics where the range is out of bounds.
    pub fn slice(&self, range: Range<usize>) -> Self {
        match &self.0 {
            Repr::Enumerated { domain, codes } => {
                Symbols(Repr::Enumerated { domain: domain.clone(), codes: codes.slice(range) })
            }
            Repr::Packed(p) => {
                if range.is_empty() {
                    return Symbols::default();
                }
                let ends = p.ends();
                let start = if range.start == 0 { 0 } else { ends[range.start - 1] + 1 };
                let bytes = p.bytes.slice(start..ends[range.end - 1] + 1);
                Symbols(Repr::Packed(Packed { bytes, len: range.len(), ends: Arc::default() }))
            }
        }
    }

    /// The names as the wire has them, each ended by NUL. Free for a packed vector.
    pub fn to_wire(&self) -> Bytes {
        self.to_packed().bytes
    }

    /// Bytes that [`Self::to_wire`] would give.
    pub fn wire_len(&self) -> usize {
        match &self.0 {
            Repr::Packed(p) => p.bytes.len(),
            Repr::Enumerated { domain, codes } => match domain.shorts(codes.len()) {
                Some(shorts) => pack::wire_len(domain, shorts, codes),
                None => self.iter().map(|s| s.len() + 1).sum(),
            },
        }
    }

    fn to_packed(&self) -> Packed {
        match &self.0 {
            Repr::Packed(p) => p.clone(),
            Repr::Enumerated { domain, codes } => {
                if let Some(shorts) = domain.shorts(codes.len()) {
                    let bytes = pack::pack(domain, shorts, codes).into();
                    return Packed { bytes, len: self.len(), ends: Arc::default() };
                }
                let mut bytes = BytesMut::with_capacity(self.wire_len());
                for name in self.iter() {
                    bytes.put_slice(name);
                    bytes.put_u8(0);
                }
                Packed { bytes: bytes.freeze(), len: self.len(), ends: Arc::default() }
            }
        }
    }
}

impl Default for Symbols {
    fn default() -> Self {
        Symbols(Repr::Packed(Packed { bytes: Bytes::new(), len: 0, ends: Arc::default() }))
    }
}

impl<S: AsRef<[u8]>> FromIterator<S> for Symbols {
    /// Packs names; a NUL inside a name ends it.
    fn from_iter<I: IntoIterator<Item = S>>(iter: I) -> Self {
        let mut bytes = BytesMut::new();
        let mut len = 0;
        for name in iter {
            let name = name.as_ref();
            let end = nul::find(name).unwrap_or(name.len());
            bytes.put_slice(&name[..end]);
            bytes.put_u8(0);
            len += 1;
        }
        Symbols(Repr::Packed(Packed { bytes: bytes.freeze(), len, ends: Arc::default() }))
    }
}

impl PartialEq for Symbols {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl std::fmt::Debug for Symbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for name in self.iter() {
            write!(f, "`{}", String::from_utf8_lossy(name))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abc() -> Symbols {
        ["a", "", "bc"].into_iter().collect()
    }

    #[test]
    fn packed_and_enumerated_compare_by_name() {
        let domain = Arc::new(Domain::new("sym".into(), &["bc", "a"].into_iter().collect()));
        let codes = Codes::I32([1, NULL_INT, 0].into_iter().collect());
        let e = Symbols::enumerated(domain, codes).unwrap();
        assert_eq!(e, abc());
        assert_eq!(&e.to_wire()[..], b"a\0\0bc\0");
        assert_eq!(e.slice(1..3), abc().slice(1..3));
    }

    #[test]
    fn index_outside_the_domain_is_named() {
        let domain = Arc::new(Domain::new("sym".into(), &["a"].into_iter().collect()));
        let err = Symbols::enumerated(domain, Codes::I64([0, 7].into_iter().collect())).unwrap_err();
        assert_eq!(err.to_string(), "enumeration index 7 at row 1 is outside the domain `sym` of 1 names");
    }

    #[test]
    fn every_index_outside_the_domain_is_found_wherever_it_stands() {
        let domain = Arc::new(Domain::new("sym".into(), &["a", "b"].into_iter().collect()));
        for at in [0, 1, 1023, 1024, 2500] {
            for bad in [-1, 2, i32::MAX, NULL_INT + 1] {
                let mut codes = vec![1; 2501];
                codes[2] = NULL_INT;
                codes[at] = bad;
                let wide =
                    codes.iter().map(|&c| if c == NULL_INT { NULL_LONG } else { i64::from(c) }).collect();
                for codes in [Codes::I32(codes.clone().into_iter().collect()), Codes::I64(wide)] {
                    match Symbols::enumerated(domain.clone(), codes) {
                        Err(ShapeError::Enumeration { row, .. }) => assert_eq!(row, at, "{bad}"),
                        other => panic!("{bad} at {at} was taken: {}", other.is_ok()),
                    }
                }
            }
        }
    }

    #[test]
    fn packed_needs_exactly_the_names_it_says() {
        assert!(Symbols::packed(Bytes::from_static(b"a\0b\0"), 2).is_ok());
        assert!(Symbols::packed(Bytes::from_static(b"a\0b"), 2).is_err());
        assert!(Symbols::packed(Bytes::from_static(b"a\0b\0"), 1).is_err());
    }
}
