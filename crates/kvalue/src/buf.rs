//! [`Buf<T>`]: an immutable, shared, typed view of fixed-width elements in a byte buffer.
//!
//! A QIPC frame puts vectors at any offset, so a view must not ask for alignment: elements are seen as
//! little-endian types of alignment 1 ([`Fixed::Le`]), which the compiler turns into plain (vector) loads
//! where the machine allows. Nothing here is unsafe: the casts are `zerocopy`'s checked ones.

use std::{marker::PhantomData, ops::Range};

use bytes::Bytes;
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{F32, F64, I16, I32, I64},
};

use crate::{ShapeError, types::Physical};

/// An element type that has a fixed width on the wire, on disk and in memory.
pub trait Fixed: Copy + PartialEq + std::fmt::Debug + Send + Sync + IntoBytes + Immutable + 'static {
    /// The same bytes with alignment 1.
    type Le: FromBytes + IntoBytes + Unaligned + Immutable + KnownLayout + Copy + Send + Sync;
    /// Bytes an element takes.
    const WIDTH: usize = size_of::<Self>();
    /// Layout tag, for checks at run time.
    const PHYSICAL: Physical;
    /// Reads one element.
    fn from_le(le: Self::Le) -> Self;
}

macro_rules! fixed {
    ($($t:ty, $le:ty, $phys:ident, |$x:ident| $e:expr;)*) => {$(
        impl Fixed for $t {
            type Le = $le;
            const PHYSICAL: Physical = Physical::$phys;
            #[inline(always)]
            fn from_le($x: $le) -> $t { $e }
        }
    )*};
}

fixed! {
    u8, u8, U8, |x| x;
    i16, I16, I16, |x| x.get();
    i32, I32, I32, |x| x.get();
    i64, I64, I64, |x| x.get();
    f32, F32, F32, |x| x.get();
    f64, F64, F64, |x| x.get();
    [u8; 16], [u8; 16], Guid, |x| x;
}

/// Shared, immutable elements of type `T`. Cloning and slicing share the storage.
#[derive(Clone)]
pub struct Buf<T> {
    bytes: Bytes,
    _element: PhantomData<T>,
}

/// Lets `Bytes` own a vector of elements without copying it.
struct Owned<T>(Vec<T>);

impl<T: Fixed> AsRef<[u8]> for Owned<T> {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice().as_bytes()
    }
}

impl<T: Fixed> Buf<T> {
    /// Views `bytes` as elements; an error where they are no whole number of elements.
    pub fn new(bytes: Bytes) -> Result<Self, ShapeError> {
        if !bytes.len().is_multiple_of(T::WIDTH) {
            return Err(ShapeError::Width {
                ty: std::any::type_name::<T>(),
                bytes: bytes.len(),
                width: T::WIDTH,
            });
        }
        Ok(Buf { bytes, _element: PhantomData })
    }

    /// Takes over a vector; no copy.
    pub fn from_vec(items: Vec<T>) -> Self {
        Buf { bytes: Bytes::from_owner(Owned(items)), _element: PhantomData }
    }

    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len() / T::WIDTH
    }

    /// True where there is no element.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The elements as little-endian values of alignment 1. This is what tight loops iterate.
    #[inline]
    pub fn le(&self) -> &[T::Le] {
        // The length is a multiple of the width by construction and the alignment is 1: this cannot fail.
        <[T::Le]>::ref_from_bytes(&self.bytes).unwrap_or(&[])
    }

    /// The elements as an aligned native slice, where the buffer happens to be aligned for `T`.
    #[inline]
    pub fn aligned(&self) -> Option<&[T]>
    where
        T: FromBytes,
    {
        <[T]>::ref_from_bytes(&self.bytes).ok()
    }

    /// Element `i`. Panics where `i` is not below [`Self::len`].
    #[inline]
    pub fn get(&self, i: usize) -> T {
        T::from_le(self.le()[i])
    }

    /// All elements in order.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + DoubleEndedIterator + Clone + '_ {
        self.le().iter().map(|&x| T::from_le(x))
    }

    /// The elements of `range`, sharing the storage. Panics where the range is out of bounds.
    pub fn slice(&self, range: Range<usize>) -> Self {
        Buf { bytes: self.bytes.slice(range.start * T::WIDTH..range.end * T::WIDTH), _element: PhantomData }
    }

    /// A copy as an owned vector.
    pub fn to_vec(&self) -> Vec<T> {
        self.iter().collect()
    }

    /// The bytes as they lie on the wire.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The bytes as they lie on the wire, giving up the view.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

impl<T: Fixed> std::fmt::Debug for Buf<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: Fixed> PartialEq for Buf<T> {
    /// Bit equality, so that NaNs (q's float nulls) equal themselves.
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<T: Fixed> FromIterator<T> for Buf<T> {
    fn from_iter<I: IntoIterator<Item = T>>(iter: I) -> Self {
        Buf::from_vec(iter.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_at_any_alignment_without_copying() {
        let mut frame = vec![0xaau8; 3];
        frame.extend(1i64.to_le_bytes());
        frame.extend((-2i64).to_le_bytes());
        let frame = Bytes::from(frame);
        let buf = Buf::<i64>::new(frame.slice(3..)).unwrap();
        assert_eq!(buf.to_vec(), [1, -2]);
        assert_eq!(buf.bytes().as_ptr(), frame[3..].as_ptr());
        assert_eq!(buf.slice(1..2).to_vec(), [-2]);
    }

    #[test]
    fn refuses_a_torn_element() {
        let err = Buf::<i32>::new(Bytes::from_static(b"12345")).unwrap_err();
        assert_eq!(err, ShapeError::Width { ty: "i32", bytes: 5, width: 4 });
    }

    #[test]
    fn owned_vector_is_aligned_and_not_copied() {
        let v = vec![1.5f64, f64::NAN];
        let at = v.as_ptr() as usize;
        let buf = Buf::from_vec(v);
        assert_eq!(buf.bytes().as_ptr() as usize, at);
        assert!(buf.aligned().is_some());
        assert_eq!(buf, buf.clone());
    }
}
