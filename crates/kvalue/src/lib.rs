//! q values: atoms, vectors, general lists, dictionaries and tables.
//!
//! Every bulk value is an immutable view of a shared [`bytes::Bytes`] buffer, which may live on the heap,
//! in a network frame or in a mapped file; slicing and cloning never copy data. Element access goes
//! through little-endian types of alignment 1, so a vector may start at any byte of a frame.
//!
//! | module | what |
//! | --- | --- |
//! | [`types`] | q's type numbers, widths, nulls and infinities, attributes |
//! | [`buf`] | [`Buf<T>`]: typed, shared, unaligned view of fixed-width elements |
//! | [`sym`] | one symbol ([`Sym`]) |
//! | [`nul`] | where NUL-terminated names end |
//! | [`symbol`] | vectors of symbols ([`Symbols`]), an enumeration domain ([`Domain`]) |
//! | [`atom`] | one value of a basic type |
//! | [`vector`] | many values of one basic type |
//! | [`value`], `access` | anything q can send: [`Value`], [`List`], [`Dict`], [`Table`], [`Opaque`]; what can be asked of it |
//! | [`time`] | q's clocks: civil conversions, parsing and printing of temporal values |
#![forbid(unsafe_code)]

#[cfg(not(target_endian = "little"))]
compile_error!(
    "kvalue keeps bulk data little-endian in memory; a big-endian host needs converting constructors"
);

mod access;
pub mod atom;
pub mod buf;
pub mod nul;
mod pack;
pub mod sym;
pub mod symbol;
pub mod time;
pub mod types;
pub mod value;
pub mod vector;

pub use atom::Atom;
pub use buf::{Buf, Fixed};
pub use sym::Sym;
pub use symbol::{Codes, Domain, Symbols};
pub use types::{Attr, Physical, Type};
pub use value::{Dict, List, Opaque, Table, Value};
pub use vector::Vector;

/// What can be wrong with the shape of a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// A byte length that is no multiple of the element width.
    #[error("{bytes} bytes are no whole number of {ty} elements of {width} bytes")]
    Width {
        /// Type whose elements were wanted.
        ty: &'static str,
        /// Bytes that were given.
        bytes: usize,
        /// Bytes an element takes.
        width: usize,
    },
    /// Two parts that must be equally long are not (q's `'length`).
    #[error("length: {what} has {got} items where {expected} are needed")]
    Length {
        /// What is too short or too long, for instance ``column `price` ``.
        what: String,
        /// Its length.
        got: usize,
        /// The length it should have.
        expected: usize,
    },
    /// A symbol buffer that does not end in NUL or holds another number of names than said.
    #[error("symbol data does not hold {expected} NUL-terminated names")]
    Symbols {
        /// Names that were announced.
        expected: usize,
    },
    /// An enumeration index outside its domain.
    #[error("enumeration index {index} at row {row} is outside the domain `{domain}` of {len} names")]
    Enumeration {
        /// The index found.
        index: i64,
        /// The row it was found at.
        row: usize,
        /// Name of the domain.
        domain: String,
        /// Number of names in the domain.
        len: usize,
    },
    /// A value of another type than needed (q's `'type`).
    #[error("type: {what} must be {expected}, got {got}")]
    Type {
        /// What has the wrong type.
        what: String,
        /// The type that is needed.
        expected: String,
        /// The type it has.
        got: String,
    },
}
