//! An object that is passed on without being decoded.

use bytes::Bytes;
use kvalue::Value;

use crate::{DecodeError, EncodeError, Limits};

/// One little-endian object. Validated, or from a peer whose bytes are only passed on: whoever looks inside
/// goes through [`Raw::decode`], [`crate::list_items`] or [`crate::table_view`], which check all they read.
#[derive(Clone, PartialEq, Eq)]
pub struct Raw(pub Bytes);

impl Raw {
    /// The value, sharing the buffer.
    pub fn decode(&self, limits: &Limits) -> Result<Value, DecodeError> {
        crate::decode(self.0.clone(), limits)
    }

    /// The object of a value.
    ///
    /// # Panics
    /// Where [`Raw::try_of`] gives an error: only for values nested hundreds of levels deep, which no decoder
    /// of ours makes. Use that for values that others shape.
    pub fn of(value: &Value) -> Raw {
        match Raw::try_of(value) {
            Ok(raw) => raw,
            Err(e) => panic!("{e}"),
        }
    }

    /// The object of a value.
    pub fn try_of(value: &Value) -> Result<Raw, EncodeError> {
        crate::encode(value).map(Raw)
    }

    /// Bytes of the object.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True where there is no byte, which is no object.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The type byte as q's signed type number; 0 where there is no byte.
    pub fn type_number(&self) -> i8 {
        self.0.first().map_or(0, |&b| b as i8)
    }
}

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Raw(type {}, {} bytes)", self.type_number(), self.len())
    }
}
