//! q text: from characters to a tree. Knows no values of variables and evaluates nothing.
//!
//! Imports point one way: `fault` ← `literal` ← `lexer` ← `naming` ← `parser` (with `terms`, `lambda`, `query`,
//! `assign`) and `tree`; `script` stands alone.

mod assign;
pub mod ast;
mod fault;
mod lambda;
mod lexer;
mod literal;
pub mod naming;
mod parser;
mod query;
pub mod script;
mod terms;
#[cfg(test)]
mod tests;
pub mod tree;

use std::{any::Any, sync::Arc};

use crate::{
    R,
    value::{Lambda, Sym, Value},
};

pub use fault::fault;

/// A word of q: its value, and whether it stands between operands.
#[derive(Debug, Clone)]
pub struct Word {
    /// the value
    pub value: Value,
    /// stands between its operands
    pub infix: bool,
}

/// What the parser asks about names.
pub trait Words {
    /// A word of q or of `.q`, an operator (`+`), an operator's unary form (`#:`).
    fn word(&self, name: &[u8]) -> Option<Word>;

    /// The value of a function's text.
    fn lambda(&self, function: &Arc<ast::Function>) -> Value {
        Value::Lambda(Arc::new(Lambda {
            text: function.text.clone(),
            params: function.names.clone().into(),
            context: Sym::NULL,
            origin: None,
            code: function.clone() as Arc<dyn Any + Send + Sync>,
        }))
    }
}

/// A text taken apart.
#[derive(Debug)]
pub struct Parsed {
    /// what stands between semicolons, in order; empty statements left out
    pub statements: Vec<ast::Expr>,
    /// the text ends in `;`
    pub silent: bool,
}

/// Parses one statement group: a console input, or what [`script::split`] gives. `line` is the line of the file on
/// which the text begins; it goes into the functions of the text. Errors are of [`crate::Kind::Parse`], their
/// text and place as q tells them; `'stack` where the text nests too deep.
pub fn parse(text: &Arc<str>, file: Option<&Arc<str>>, line: u32, words: &dyn Words) -> R<Parsed> {
    parser::Parser::new(text, file, line, words)?.group()
}
