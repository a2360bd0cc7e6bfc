//! The evaluator.
//!
//! `globals`, `node` ← `compile` ← `interp` (state, budgets) with its parts: `run` (code), `apply`, `iterate`,
//! `assign` (with `inplace`), `trap`, `views`, `literal` (tables and templates), `system`, `dotz`, `threads`;
//! `words` is the table of primitives, `boot` what a fresh interpreter knows, `script` loads files, `debug` looks into a
//! call that failed, `scalar` runs lambdas of arithmetic on atoms.

mod apply;
mod assign;
mod boot;
mod compile;
mod console;
mod debug;
mod dotz;
mod globals;
mod handles;
mod indexing;
mod inplace;
mod interp;
mod iterate;
mod literal;
mod moves;
mod node;
mod reflect;
mod run;
mod samples;
mod scalar;
mod script;
mod system;
#[cfg(test)]
mod tests;
mod threads;
mod trap;
mod views;
mod words;

pub(crate) use self::trap::render;
pub use self::{
    interp::{Budget, Interp},
    words::TABLE,
};
