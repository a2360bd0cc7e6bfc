//! Many values of one basic type.

use std::ops::Range;

use bytes::Bytes;
use zerocopy::FromBytes;

use crate::{Atom, Attr, Buf, Fixed, Physical, ShapeError, Symbols, Type};

/// A typed list with an attribute. Cloning and slicing share the storage.
#[derive(Clone)]
pub struct Vector {
    ty: Type,
    attr: Attr,
    data: Data,
}

#[derive(Clone)]
enum Data {
    Fixed(Bytes),
    Symbols(Symbols),
}

impl Vector {
    /// Fixed-width elements as they lie on the wire. An error for a torn element or for symbols.
    pub fn fixed(ty: Type, bytes: Bytes) -> Result<Self, ShapeError> {
        match ty.width() {
            Some(width) if bytes.len().is_multiple_of(width) => {
                Ok(Vector { ty, attr: Attr::None, data: Data::Fixed(bytes) })
            }
            width => {
                Err(ShapeError::Width { ty: ty.name(), bytes: bytes.len(), width: width.unwrap_or_default() })
            }
        }
    }

    /// Elements of a type laid out as `T`.
    ///
    /// # Panics
    /// Where `ty` is not laid out as `T`: both are chosen in the code, never by a peer.
    pub fn new<T: Fixed>(ty: Type, items: Vec<T>) -> Self {
        Vector::from_buf(ty, Buf::from_vec(items))
    }

    /// As [`Self::new`], over a shared buffer.
    pub fn from_buf<T: Fixed>(ty: Type, buf: Buf<T>) -> Self {
        assert_eq!(ty.physical(), T::PHYSICAL, "{ty} is not laid out as {}", std::any::type_name::<T>());
        Vector { ty, attr: Attr::None, data: Data::Fixed(buf.into_bytes()) }
    }

    /// A symbol vector.
    pub fn symbols(symbols: Symbols) -> Self {
        Vector { ty: Type::Symbol, attr: Attr::None, data: Data::Symbols(symbols) }
    }

    /// A symbol vector of these names.
    pub fn syms<S: AsRef<[u8]>>(names: impl IntoIterator<Item = S>) -> Self {
        Vector::symbols(names.into_iter().collect())
    }

    /// A char vector: q's string.
    pub fn chars(text: impl Into<Bytes>) -> Self {
        Vector { ty: Type::Char, attr: Attr::None, data: Data::Fixed(text.into()) }
    }

    /// A long vector.
    pub fn longs(items: Vec<i64>) -> Self {
        Vector::new(Type::Long, items)
    }

    /// A float vector.
    pub fn floats(items: Vec<f64>) -> Self {
        Vector::new(Type::Float, items)
    }

    /// A boolean vector.
    pub fn booleans(items: Vec<bool>) -> Self {
        Vector::new(Type::Boolean, items.into_iter().map(u8::from).collect())
    }

    /// A timestamp vector, nanoseconds since 2000.01.01.
    pub fn timestamps(items: Vec<i64>) -> Self {
        Vector::new(Type::Timestamp, items)
    }

    /// No element of this type.
    pub fn empty(ty: Type) -> Self {
        match ty {
            Type::Symbol => Vector::symbols(Symbols::default()),
            _ => Vector { ty, attr: Attr::None, data: Data::Fixed(Bytes::new()) },
        }
    }

    /// `n` times the same atom.
    pub fn repeat(atom: &Atom, n: usize) -> Self {
        match atom {
            Atom::Symbol(s) => Vector::syms(std::iter::repeat_n(s.as_bytes(), n)),
            _ => {
                let bytes = atom.to_le_bytes().repeat(n);
                Vector { ty: atom.ty(), attr: Attr::None, data: Data::Fixed(bytes.into()) }
            }
        }
    }

    /// A vector of atoms of one type. An error naming the first one of another type.
    pub fn from_atoms(ty: Type, atoms: &[Atom]) -> Result<Self, ShapeError> {
        if let Some(odd) = atoms.iter().find(|a| a.ty() != ty) {
            return Err(ShapeError::Type {
                what: "list item".into(),
                expected: ty.name().into(),
                got: odd.ty().name().into(),
            });
        }
        if ty == Type::Symbol {
            return Ok(Vector::symbols(
                atoms
                    .iter()
                    .filter_map(|a| if let Atom::Symbol(s) = a { Some(s.as_bytes()) } else { None })
                    .collect(),
            ));
        }
        let bytes: Vec<u8> = atoms.iter().flat_map(Atom::to_le_bytes).collect();
        Ok(Vector { ty, attr: Attr::None, data: Data::Fixed(bytes.into()) })
    }

    /// The same elements with another attribute. The caller vouches that it holds.
    #[must_use]
    pub fn with_attr(mut self, attr: Attr) -> Self {
        self.attr = attr;
        self
    }

    /// The same bytes under another type of the same layout (`"j"$` of a timestamp vector).
    pub fn retyped(mut self, ty: Type) -> Result<Self, ShapeError> {
        if self.ty.physical() != ty.physical() {
            return Err(ShapeError::Type {
                what: "vector".into(),
                expected: ty.name().into(),
                got: self.ty.name().into(),
            });
        }
        self.ty = ty;
        Ok(self)
    }

    /// Type of the elements.
    pub fn ty(&self) -> Type {
        self.ty
    }

    /// The attribute, as claimed by whoever made the vector.
    pub fn attr(&self) -> Attr {
        self.attr
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.data {
            Data::Fixed(bytes) => bytes.len() / self.ty.width().unwrap_or(1),
            Data::Symbols(s) => s.len(),
        }
    }

    /// True where there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as `T`, where the type is laid out so.
    pub fn as_buf<T: Fixed>(&self) -> Option<Buf<T>> {
        match &self.data {
            Data::Fixed(bytes) if self.ty.physical() == T::PHYSICAL => Buf::new(bytes.clone()).ok(),
            _ => None,
        }
    }

    /// The elements as they lie there, where the type is laid out as `T`: [`Buf::le`] without a share of the buffer.
    pub fn as_le<T: Fixed>(&self) -> Option<&[T::Le]> {
        match &self.data {
            Data::Fixed(bytes) if self.ty.physical() == T::PHYSICAL => <[T::Le]>::ref_from_bytes(bytes).ok(),
            _ => None,
        }
    }

    /// The symbols of a symbol vector.
    pub fn as_symbols(&self) -> Option<&Symbols> {
        match &self.data {
            Data::Symbols(s) => Some(s),
            Data::Fixed(_) => None,
        }
    }

    /// The bytes of a fixed-width vector as they lie on the wire.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match &self.data {
            Data::Fixed(bytes) => Some(bytes),
            Data::Symbols(_) => None,
        }
    }

    /// Element `i`; the type's null beyond the end, as q indexes.
    pub fn get(&self, i: usize) -> Atom {
        if i >= self.len() {
            return Atom::null(self.ty);
        }
        match &self.data {
            Data::Symbols(s) => Atom::Symbol(crate::Sym::new(s.get(i))),
            Data::Fixed(bytes) => {
                let w = self.ty.width().unwrap_or(1);
                // In bounds and of the right width: reading cannot fail.
                Atom::from_le_bytes(self.ty, &bytes[i * w..(i + 1) * w]).unwrap_or(Atom::null(self.ty))
            }
        }
    }

    /// All elements as atoms. For display and small lists; loops use [`Self::as_buf`].
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Atom> + '_ {
        (0..self.len()).map(|i| self.get(i))
    }

    /// The elements of `range`, sharing storage. Sorted and parted survive; unique and grouped do too.
    /// Panics where the range is out of bounds.
    pub fn slice(&self, range: Range<usize>) -> Self {
        let data = match &self.data {
            Data::Symbols(s) => Data::Symbols(s.slice(range)),
            Data::Fixed(bytes) => {
                let w = self.ty.width().unwrap_or(1);
                Data::Fixed(bytes.slice(range.start * w..range.end * w))
            }
        };
        Vector { ty: self.ty, attr: self.attr, data }
    }

    /// Bytes the elements take on the wire, without the vector's own header.
    pub fn wire_len(&self) -> usize {
        match &self.data {
            Data::Fixed(bytes) => bytes.len(),
            Data::Symbols(s) => s.wire_len(),
        }
    }

    /// Memory layout of the elements.
    pub fn physical(&self) -> Physical {
        self.ty.physical()
    }
}

impl PartialEq for Vector {
    /// Same type and elements; attributes are not compared, as q's match has it. NaN equals NaN.
    fn eq(&self, other: &Self) -> bool {
        if self.ty != other.ty || self.len() != other.len() {
            return false;
        }
        match (&self.data, &other.data) {
            (Data::Symbols(a), Data::Symbols(b)) => a == b,
            (Data::Fixed(a), Data::Fixed(b)) => a == b || self.iter().eq(other.iter()),
            _ => false,
        }
    }
}

impl std::fmt::Debug for Vector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 20;
        if !self.attr.letter().is_empty() {
            write!(f, "`{}#", self.attr.letter())?;
        }
        if self.ty == Type::Char {
            let text = self.as_bytes().map(|b| String::from_utf8_lossy(&b[..b.len().min(200)]).into_owned());
            return write!(f, "{:?}", text.unwrap_or_default());
        }
        write!(f, "{}[{}]", self.ty, self.len())?;
        f.debug_list().entries(self.iter().take(SHOWN)).finish()
    }
}
