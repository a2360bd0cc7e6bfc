//! Columnar primitives over [`kvalue`] with q's null and type rules.
pub mod aggregate;
pub mod compare;
pub mod error;
pub mod fill;
pub mod group;
mod ids;
pub mod join;
pub mod like;
pub mod order;
pub mod search;
pub mod selection;
pub mod sort;
pub mod take;
mod temporal;

pub use error::{Cancelled, Interrupt, KernelError};
pub use selection::Selection;
