//! Atoms as a type and a [`Scalar`] of its layout: for code that works by layout rather than by type.

use std::sync::Arc;

use kvalue::{
    Physical, Type,
    types::{NULL_FLOAT, NULL_INT, NULL_LONG, NULL_REAL, NULL_SHORT},
};

use super::{
    Sym,
    core::{Data, EnumAtom, Value, Vector},
};

/// The element inside an atom, by layout.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)] // as in Data
pub enum Scalar {
    Bool(bool),
    Guid([u8; 16]),
    U8(u8),
    I16(i16),
    I32(i32),
    I64(i64),
    F32(f32),
    F64(f64),
    Sym(Sym),
}

impl Scalar {
    /// The null of a type. Booleans and bytes have none: false and 0.
    pub fn null(ty: Type) -> Scalar {
        match ty.physical() {
            Physical::U8 => match ty {
                Type::Boolean => Scalar::Bool(false),
                Type::Char => Scalar::U8(b' '),
                _ => Scalar::U8(0),
            },
            Physical::I16 => Scalar::I16(NULL_SHORT),
            Physical::I32 => Scalar::I32(NULL_INT),
            Physical::I64 => Scalar::I64(NULL_LONG),
            Physical::F32 => Scalar::F32(NULL_REAL),
            Physical::F64 => Scalar::F64(NULL_FLOAT),
            Physical::Guid => Scalar::Guid([0; 16]),
            Physical::Symbol => Scalar::Sym(Sym::NULL),
        }
    }

    /// The number as a long, nulls as the long null, floats cut; `None` for guid and symbol.
    pub fn as_i64(self) -> Option<i64> {
        Some(match self {
            Scalar::Bool(b) => i64::from(b),
            Scalar::U8(b) => i64::from(b),
            Scalar::I16(NULL_SHORT) | Scalar::I32(NULL_INT) => NULL_LONG,
            Scalar::I16(n) => i64::from(n),
            Scalar::I32(n) => i64::from(n),
            Scalar::I64(n) => n,
            Scalar::F32(x) if x.is_nan() => NULL_LONG,
            Scalar::F64(x) if x.is_nan() => NULL_LONG,
            Scalar::F32(x) => x as i64,
            Scalar::F64(x) => x as i64,
            Scalar::Guid(_) | Scalar::Sym(_) => return None,
        })
    }

    /// The number as a float, nulls as NaN; `None` for guid and symbol.
    pub fn as_f64(self) -> Option<f64> {
        Some(match self {
            Scalar::F32(x) => f64::from(x),
            Scalar::F64(x) => x,
            other => match other.as_i64()? {
                NULL_LONG => NULL_FLOAT,
                n => n as f64,
            },
        })
    }
}

impl Value {
    /// An atom from its type and layout. Panics where they do not match: both are chosen in the code.
    pub fn atom(ty: Type, scalar: Scalar) -> Value {
        match (ty, scalar) {
            (Type::Boolean, Scalar::Bool(b)) => Value::Bool(b),
            (Type::Guid, Scalar::Guid(g)) => Value::Guid(Arc::new(g)),
            (Type::Byte, Scalar::U8(b)) => Value::Byte(b),
            (Type::Char, Scalar::U8(b)) => Value::Char(b),
            (Type::Short, Scalar::I16(n)) => Value::Short(n),
            (Type::Int, Scalar::I32(n)) => Value::Int(n),
            (Type::Month, Scalar::I32(n)) => Value::Month(n),
            (Type::Date, Scalar::I32(n)) => Value::Date(n),
            (Type::Minute, Scalar::I32(n)) => Value::Minute(n),
            (Type::Second, Scalar::I32(n)) => Value::Second(n),
            (Type::Time, Scalar::I32(n)) => Value::Time(n),
            (Type::Long, Scalar::I64(n)) => Value::Long(n),
            (Type::Timestamp, Scalar::I64(n)) => Value::Timestamp(n),
            (Type::Timespan, Scalar::I64(n)) => Value::Timespan(n),
            (Type::Real, Scalar::F32(x)) => Value::Real(x),
            (Type::Float, Scalar::F64(x)) => Value::Float(x),
            (Type::Datetime, Scalar::F64(x)) => Value::Datetime(x),
            (Type::Symbol, Scalar::Sym(s)) => Value::Sym(s),
            (ty, scalar) => panic!("an atom of {ty} is not made of {scalar:?}"),
        }
    }

    /// The null atom of a type.
    pub fn null(ty: Type) -> Value {
        Value::atom(ty, Scalar::null(ty))
    }

    /// Type and element of an atom of a basic type; `None` for all else, enumerations among it.
    #[inline]
    pub fn as_scalar(&self) -> Option<(Type, Scalar)> {
        Some(match self {
            Value::Bool(b) => (Type::Boolean, Scalar::Bool(*b)),
            Value::Guid(g) => (Type::Guid, Scalar::Guid(**g)),
            Value::Byte(b) => (Type::Byte, Scalar::U8(*b)),
            Value::Short(n) => (Type::Short, Scalar::I16(*n)),
            Value::Int(n) => (Type::Int, Scalar::I32(*n)),
            Value::Long(n) => (Type::Long, Scalar::I64(*n)),
            Value::Real(x) => (Type::Real, Scalar::F32(*x)),
            Value::Float(x) => (Type::Float, Scalar::F64(*x)),
            Value::Char(b) => (Type::Char, Scalar::U8(*b)),
            Value::Sym(s) => (Type::Symbol, Scalar::Sym(*s)),
            Value::Timestamp(n) => (Type::Timestamp, Scalar::I64(*n)),
            Value::Month(n) => (Type::Month, Scalar::I32(*n)),
            Value::Date(n) => (Type::Date, Scalar::I32(*n)),
            Value::Datetime(x) => (Type::Datetime, Scalar::F64(*x)),
            Value::Timespan(n) => (Type::Timespan, Scalar::I64(*n)),
            Value::Minute(n) => (Type::Minute, Scalar::I32(*n)),
            Value::Second(n) => (Type::Second, Scalar::I32(*n)),
            Value::Time(n) => (Type::Time, Scalar::I32(*n)),
            _ => return None,
        })
    }

    /// The number of an integral atom (boolean, byte, char, short, int, long, temporal), nulls as the long null.
    #[inline]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Long(n) => Some(*n),
            Value::Real(_) | Value::Float(_) | Value::Datetime(_) => None,
            _ => self.as_scalar()?.1.as_i64(),
        }
    }

    /// The number of a numeric or temporal atom as a float, nulls as NaN.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Char(_) => None,
            _ => self.as_scalar()?.1.as_f64(),
        }
    }

    /// The symbol of a symbol atom or of an enumeration's item over symbols.
    pub fn as_sym(&self) -> Option<Sym> {
        match self {
            Value::Sym(s) => Some(*s),
            Value::Enum(e) => e.value().as_sym(),
            _ => None,
        }
    }

    /// The text of a char vector or of a char.
    pub fn as_text(&self) -> Option<Vec<u8>> {
        match self {
            Value::Char(c) => Some(vec![*c]),
            Value::Vector(v) => v.as_chars().map(<[u8]>::to_vec),
            Value::List(l) if l.is_empty() => Some(Vec::new()),
            _ => None,
        }
    }

    /// The text of a string, or the name of a symbol.
    pub fn as_name(&self) -> Option<Vec<u8>> {
        match self.as_sym() {
            Some(s) => Some(s.bytes().to_vec()),
            None => self.as_text(),
        }
    }

    /// A string.
    pub fn string(text: impl Into<Vec<u8>>) -> Value {
        Value::vector(Type::Char, Data::U8(text.into().into()))
    }

    /// A symbol.
    pub fn sym(name: impl AsRef<[u8]>) -> Value {
        Value::Sym(Sym::new(name))
    }

    /// A vector of this type and layout.
    pub fn vector(ty: Type, data: Data) -> Value {
        Value::Vector(Arc::new(Vector::new(ty, data)))
    }

    /// A long vector.
    pub fn longs(items: Vec<i64>) -> Value {
        Value::vector(Type::Long, Data::I64(items.into()))
    }

    /// A float vector.
    pub fn floats(items: Vec<f64>) -> Value {
        Value::vector(Type::Float, Data::F64(items.into()))
    }

    /// A boolean vector.
    pub fn bools(items: Vec<bool>) -> Value {
        Value::vector(Type::Boolean, Data::Bool(items.into()))
    }

    /// A symbol vector.
    pub fn syms(items: Vec<Sym>) -> Value {
        Value::vector(Type::Symbol, Data::Sym(items.into()))
    }
}

impl EnumAtom {
    /// What the index points at: an item of the domain, its null beyond the end, the index itself for a link.
    pub fn value(&self) -> Value {
        match &self.domain.list {
            Value::Nil => Value::Long(self.index),
            list => list.at(usize::try_from(self.index).unwrap_or(usize::MAX)),
        }
    }
}
