//! One value of a basic type.

use crate::{
    Physical, ShapeError, Sym, Type,
    types::{
        INF_INT, INF_LONG, INF_SHORT, NULL_CHAR, NULL_FLOAT, NULL_INT, NULL_LONG, NULL_REAL, NULL_SHORT,
    },
};

/// An atom. Units as in [`Type`].
#[derive(Debug, Clone)]
#[allow(missing_docs)] // each variant is documented at the Type of the same name
pub enum Atom {
    Boolean(bool),
    Guid([u8; 16]),
    Byte(u8),
    Short(i16),
    Int(i32),
    Long(i64),
    Real(f32),
    Float(f64),
    Char(u8),
    Symbol(Sym),
    Timestamp(i64),
    Month(i32),
    Date(i32),
    Datetime(f64),
    Timespan(i64),
    Minute(i32),
    Second(i32),
    Time(i32),
}

/// The number inside an atom, for code that works by layout rather than by type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    /// boolean, byte, char, short, int, long and every temporal type but datetime; `None` is q's null
    Integer(Option<i64>),
    /// real, float and datetime; NaN is q's null
    Float(f64),
}

impl Atom {
    /// The atom's type.
    pub fn ty(&self) -> Type {
        match self {
            Atom::Boolean(_) => Type::Boolean,
            Atom::Guid(_) => Type::Guid,
            Atom::Byte(_) => Type::Byte,
            Atom::Short(_) => Type::Short,
            Atom::Int(_) => Type::Int,
            Atom::Long(_) => Type::Long,
            Atom::Real(_) => Type::Real,
            Atom::Float(_) => Type::Float,
            Atom::Char(_) => Type::Char,
            Atom::Symbol(_) => Type::Symbol,
            Atom::Timestamp(_) => Type::Timestamp,
            Atom::Month(_) => Type::Month,
            Atom::Date(_) => Type::Date,
            Atom::Datetime(_) => Type::Datetime,
            Atom::Timespan(_) => Type::Timespan,
            Atom::Minute(_) => Type::Minute,
            Atom::Second(_) => Type::Second,
            Atom::Time(_) => Type::Time,
        }
    }

    /// The null of a type: what indexing beyond the end of a list gives.
    pub fn null(ty: Type) -> Atom {
        match ty {
            Type::Boolean => Atom::Boolean(false),
            Type::Guid => Atom::Guid([0; 16]),
            Type::Byte => Atom::Byte(0),
            Type::Short => Atom::Short(NULL_SHORT),
            Type::Real => Atom::Real(NULL_REAL),
            Type::Float => Atom::Float(NULL_FLOAT),
            Type::Datetime => Atom::Datetime(NULL_FLOAT),
            Type::Char => Atom::Char(NULL_CHAR),
            Type::Symbol => Atom::Symbol(Sym::null()),
            Type::Long | Type::Timestamp | Type::Timespan => Atom::from_i64(ty, NULL_LONG),
            _ => Atom::from_i64(ty, i64::from(NULL_INT)),
        }
    }

    /// Plus infinity of a type that has one.
    pub fn infinity(ty: Type) -> Option<Atom> {
        Some(match ty.physical() {
            Physical::I16 => Atom::Short(INF_SHORT),
            Physical::I32 => Atom::from_i64(ty, i64::from(INF_INT)),
            Physical::I64 => Atom::from_i64(ty, INF_LONG),
            Physical::F32 => Atom::Real(f32::INFINITY),
            Physical::F64 => Atom::from_f64(ty, f64::INFINITY),
            _ => return None,
        })
    }

    /// True for the null of the atom's type. Booleans and bytes have none.
    pub fn is_null(&self) -> bool {
        match self {
            Atom::Boolean(_) | Atom::Byte(_) => false,
            Atom::Guid(g) => g == &[0; 16],
            Atom::Char(c) => *c == NULL_CHAR,
            Atom::Symbol(s) => s.is_null(),
            _ => match self.scalar() {
                Some(Scalar::Integer(n)) => n.is_none(),
                Some(Scalar::Float(x)) => x.is_nan(),
                None => false,
            },
        }
    }

    /// The number inside; `None` for guid and symbol.
    pub fn scalar(&self) -> Option<Scalar> {
        Some(match self {
            Atom::Boolean(b) => Scalar::Integer(Some(i64::from(*b))),
            Atom::Byte(b) | Atom::Char(b) => Scalar::Integer(Some(i64::from(*b))),
            Atom::Short(n) => Scalar::Integer((*n != NULL_SHORT).then_some(i64::from(*n))),
            Atom::Int(n)
            | Atom::Month(n)
            | Atom::Date(n)
            | Atom::Minute(n)
            | Atom::Second(n)
            | Atom::Time(n) => Scalar::Integer((*n != NULL_INT).then_some(i64::from(*n))),
            Atom::Long(n) | Atom::Timestamp(n) | Atom::Timespan(n) => {
                Scalar::Integer((*n != NULL_LONG).then_some(*n))
            }
            Atom::Real(x) => Scalar::Float(f64::from(*x)),
            Atom::Float(x) | Atom::Datetime(x) => Scalar::Float(*x),
            Atom::Guid(_) | Atom::Symbol(_) => return None,
        })
    }

    /// An atom of an integral type from its raw number, cut to the type's width.
    /// Float types take the number's value; guid and symbol their null.
    pub fn from_i64(ty: Type, n: i64) -> Atom {
        match ty {
            Type::Boolean => Atom::Boolean(n != 0),
            Type::Byte => Atom::Byte(n as u8),
            Type::Char => Atom::Char(n as u8),
            Type::Short => Atom::Short(n as i16),
            Type::Int => Atom::Int(n as i32),
            Type::Month => Atom::Month(n as i32),
            Type::Date => Atom::Date(n as i32),
            Type::Minute => Atom::Minute(n as i32),
            Type::Second => Atom::Second(n as i32),
            Type::Time => Atom::Time(n as i32),
            Type::Long => Atom::Long(n),
            Type::Timestamp => Atom::Timestamp(n),
            Type::Timespan => Atom::Timespan(n),
            Type::Real => Atom::Real(n as f32),
            Type::Float => Atom::Float(n as f64),
            Type::Datetime => Atom::Datetime(n as f64),
            Type::Guid | Type::Symbol => Atom::null(ty),
        }
    }

    /// An atom of a float type; other types round towards zero.
    pub fn from_f64(ty: Type, x: f64) -> Atom {
        match ty {
            Type::Real => Atom::Real(x as f32),
            Type::Float => Atom::Float(x),
            Type::Datetime => Atom::Datetime(x),
            _ => Atom::from_i64(ty, x as i64),
        }
    }

    /// The payload bytes as on the wire (a symbol without its NUL).
    pub fn to_le_bytes(&self) -> Vec<u8> {
        match self {
            Atom::Boolean(b) => vec![u8::from(*b)],
            Atom::Guid(g) => g.to_vec(),
            Atom::Byte(b) | Atom::Char(b) => vec![*b],
            Atom::Short(n) => n.to_le_bytes().to_vec(),
            Atom::Int(n)
            | Atom::Month(n)
            | Atom::Date(n)
            | Atom::Minute(n)
            | Atom::Second(n)
            | Atom::Time(n) => n.to_le_bytes().to_vec(),
            Atom::Long(n) | Atom::Timestamp(n) | Atom::Timespan(n) => n.to_le_bytes().to_vec(),
            Atom::Real(x) => x.to_le_bytes().to_vec(),
            Atom::Float(x) | Atom::Datetime(x) => x.to_le_bytes().to_vec(),
            Atom::Symbol(s) => s.as_bytes().to_vec(),
        }
    }

    /// An atom of a fixed-width type from its payload bytes.
    pub fn from_le_bytes(ty: Type, bytes: &[u8]) -> Result<Atom, ShapeError> {
        let torn = || ShapeError::Width { ty: ty.name(), bytes: bytes.len(), width: ty.width().unwrap_or(0) };
        Ok(match ty.physical() {
            Physical::U8 => Atom::from_i64(ty, i64::from(*bytes.first().ok_or_else(torn)?)),
            Physical::I16 => Atom::Short(i16::from_le_bytes(bytes.try_into().map_err(|_| torn())?)),
            Physical::I32 => {
                Atom::from_i64(ty, i64::from(i32::from_le_bytes(bytes.try_into().map_err(|_| torn())?)))
            }
            Physical::I64 => Atom::from_i64(ty, i64::from_le_bytes(bytes.try_into().map_err(|_| torn())?)),
            Physical::F32 => Atom::Real(f32::from_le_bytes(bytes.try_into().map_err(|_| torn())?)),
            Physical::F64 => Atom::from_f64(ty, f64::from_le_bytes(bytes.try_into().map_err(|_| torn())?)),
            Physical::Guid => Atom::Guid(bytes.try_into().map_err(|_| torn())?),
            Physical::Symbol => Atom::Symbol(Sym::new(bytes)),
        })
    }
}

impl PartialEq for Atom {
    /// Same type and same bits, except that every NaN equals every NaN, as q's match has it.
    fn eq(&self, other: &Self) -> bool {
        if self.ty() != other.ty() {
            return false;
        }
        match (self, other) {
            (Atom::Symbol(a), Atom::Symbol(b)) => a == b,
            (Atom::Real(a), Atom::Real(b)) => a == b || (a.is_nan() && b.is_nan()),
            (Atom::Float(a), Atom::Float(b)) | (Atom::Datetime(a), Atom::Datetime(b)) => {
                a == b || (a.is_nan() && b.is_nan())
            }
            _ => self.to_le_bytes() == other.to_le_bytes(),
        }
    }
}

macro_rules! from {
    ($($t:ty => $v:ident),*) => {$(
        impl From<$t> for Atom {
            fn from(x: $t) -> Atom { Atom::$v(x) }
        }
    )*};
}
from!(bool => Boolean, i16 => Short, i32 => Int, i64 => Long, f32 => Real, f64 => Float, Sym => Symbol);
