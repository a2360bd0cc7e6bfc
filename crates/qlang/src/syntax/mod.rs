//! q text: from characters to a tree. Knows no values of variables and evaluates nothing.

pub mod ast;
