//! What can be asked of a [`Vector`], and loops over its layouts.

use kvalue::{Attr, Physical, Type};

use super::core::{Data, Vector};

/// Runs an expression with the elements of any layout: `each_data!(data, items => items.len())`.
#[macro_export]
macro_rules! each_data {
    ($data:expr, $items:ident => $e:expr) => {
        match $data {
            $crate::value::Data::Bool($items) => $e,
            $crate::value::Data::Guid($items) => $e,
            $crate::value::Data::U8($items) => $e,
            $crate::value::Data::I16($items) => $e,
            $crate::value::Data::I32($items) => $e,
            $crate::value::Data::I64($items) => $e,
            $crate::value::Data::F32($items) => $e,
            $crate::value::Data::F64($items) => $e,
            $crate::value::Data::Sym($items) => $e,
            $crate::value::Data::Enum(_, $items) => $e,
        }
    };
}

/// Maps the elements of any layout to new ones of the same layout:
/// `map_data!(data, items => items.iter().rev().copied().collect())`.
#[macro_export]
macro_rules! map_data {
    ($data:expr, $items:ident => $e:expr) => {
        match $data {
            $crate::value::Data::Bool($items) => $crate::value::Data::Bool($e),
            $crate::value::Data::Guid($items) => $crate::value::Data::Guid($e),
            $crate::value::Data::U8($items) => $crate::value::Data::U8($e),
            $crate::value::Data::I16($items) => $crate::value::Data::I16($e),
            $crate::value::Data::I32($items) => $crate::value::Data::I32($e),
            $crate::value::Data::I64($items) => $crate::value::Data::I64($e),
            $crate::value::Data::F32($items) => $crate::value::Data::F32($e),
            $crate::value::Data::F64($items) => $crate::value::Data::F64($e),
            $crate::value::Data::Sym($items) => $crate::value::Data::Sym($e),
            $crate::value::Data::Enum(domain, $items) => $crate::value::Data::Enum(domain.clone(), $e),
        }
    };
}

impl Vector {
    /// A vector without an attribute. The caller matches type and layout.
    pub fn new(ty: Type, data: Data) -> Vector {
        Vector { ty, attr: Attr::None, data }
    }

    /// No element of this type.
    pub fn empty(ty: Type) -> Vector {
        let data = match ty.physical() {
            Physical::U8 if ty == Type::Boolean => Data::Bool(Vec::new().into()),
            Physical::U8 => Data::U8(Vec::new().into()),
            Physical::I16 => Data::I16(Vec::new().into()),
            Physical::I32 => Data::I32(Vec::new().into()),
            Physical::I64 => Data::I64(Vec::new().into()),
            Physical::F32 => Data::F32(Vec::new().into()),
            Physical::F64 => Data::F64(Vec::new().into()),
            Physical::Guid => Data::Guid(Vec::new().into()),
            Physical::Symbol => Data::Sym(Vec::new().into()),
        };
        Vector::new(ty, data)
    }

    /// q's type number, 20 for an enumeration.
    pub fn number(&self) -> i8 {
        match self.data {
            Data::Enum(..) => 20,
            _ => self.ty.number() as i8,
        }
    }

    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        each_data!(&self.data, items => items.len())
    }

    /// True where there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same elements with another attribute. The caller vouches that it holds.
    #[must_use]
    pub fn with_attr(mut self, attr: Attr) -> Vector {
        self.attr = attr;
        self
    }

    /// The bytes of a char vector.
    pub fn as_chars(&self) -> Option<&[u8]> {
        match (&self.data, self.ty) {
            (Data::U8(bytes), Type::Char) => Some(bytes),
            _ => None,
        }
    }
}
