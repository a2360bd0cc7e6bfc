//! Values to and from [`kvalue`], the form in which they travel and lie on disk.
//!
//! | file | what |
//! | --- | --- |
//! | `out` | [`to_kvalue`]: vectors of fixed width are shared, not copied |
//! | `into` | [`from_kvalue`] for data, [`revive`] for data with functions in it |
//! | `codes` | kdb+'s numbers of the built-in functions |
//!
//! Functions travel as kdb+ writes them: a lambda as its namespace and text, built-in functions by number, the
//! rest as their parts. A keyword that has no number goes as a lambda that calls it.

pub(crate) mod codes;
mod into;
mod out;
#[cfg(test)]
mod tests;

pub use self::{
    into::{Foreign, from_kvalue, revive},
    out::to_kvalue,
};
