//! Columnar primitives over [`kvalue`] with q's null and type rules.
pub mod aggregate;
pub mod error;
pub mod group;
mod ids;
pub mod order;
pub mod selection;
pub mod sort;
pub mod take;

pub use error::{Cancelled, Interrupt, KernelError};
pub use selection::Selection;
