//! The tree that the parser makes of q text. Every place is a byte offset into the text that was parsed.

use std::sync::Arc;

use crate::value::{Iterator, Sym, Value};

/// A byte offset into the parsed text.
pub type At = u32;

/// An expression.
#[derive(Debug, Clone)]
pub enum Expr {
    /// a literal, or a built-in function
    Const(Value),
    /// a variable: local, global or column, as the evaluator finds it
    Name(Sym, At),
    /// an argument or item that is left out
    Hole,
    /// `(a;b)`: evaluated from the last item to the first; holes make it a projection
    List(Vec<Expr>),
    /// `f[a;b]`, `f a`, `a + b`: arguments from the last to the first, then the function; holes make it a projection
    Apply(Box<Expr>, Vec<Expr>, At),
    /// a value with an iterator
    Derive(Box<Expr>, Iterator),
    /// functions without their last argument, as in `(count distinct@)`: applied from the last to the first
    Compose(Vec<Expr>),
    /// `{…}`
    Lambda(Arc<Function>),
    /// `x:…`, `x+:…`, `x[i]:…`, `x::…`
    Assign(Box<Assign>),
    /// `(a;b):…`: pattern on the left
    Match(Box<Pattern>, Box<Expr>, At),
    /// `$[c;a;b]`
    Cond(Vec<Expr>, At),
    /// `if[c;…]`
    If(Vec<Expr>, At),
    /// `do[n;…]`
    Do(Vec<Expr>, At),
    /// `while[c;…]`
    While(Vec<Expr>, At),
    /// `[a;b]`: evaluated first to last, the value is the last one's
    Block(Vec<Expr>),
    /// `:e` in a lambda
    Return(Box<Expr>),
    /// `'e`
    Signal(Box<Expr>, At),
    /// `([k:…]c:…)`
    Table(Box<TableLiteral>),
    /// `([a:1;b:2])`
    Dict(Vec<(Sym, Expr)>),
    /// `select … from …` and kin
    Query(Box<Query>),
}

/// A function's text taken apart.
#[derive(Debug)]
pub struct Function {
    /// the text, braces included
    pub text: Arc<str>,
    /// where the text begins in the text it was parsed from
    pub at: At,
    /// line of the file on which the text begins, from 1; 0 where there is no file
    pub line: u32,
    /// parameters: named ones, or the implicit `x y z` that the body uses; at least `x`
    pub params: Vec<Pattern>,
    /// the names of the parameters; a made-up name where a parameter is a pattern
    pub names: Vec<Sym>,
    /// statements
    pub body: Vec<Expr>,
    /// the body ends in `;`: the value is `::`
    pub silent: bool,
    /// names assigned to with `:` in the body, parameters excluded
    pub locals: Vec<Sym>,
}

/// An assignment to a name.
#[derive(Debug, Clone)]
pub struct Assign {
    /// the name
    pub name: Sym,
    /// indices in brackets, holes among them; `None` for the name alone
    pub index: Option<Vec<Expr>>,
    /// the function of `x f: y`
    pub with: Option<Expr>,
    /// `::`
    pub global: bool,
    /// the right side
    pub value: Expr,
    /// place of the colon, or of the operator before it
    pub at: At,
}

/// What an assignment or a parameter may take apart (q 4.1).
#[derive(Debug, Clone)]
pub enum Pattern {
    /// nothing is bound
    Skip,
    /// a name
    Name(Sym),
    /// must match
    Const(Value),
    /// items of a list
    List(Vec<Pattern>),
    /// values of keys: of a dictionary, or columns of a table
    Dict(Vec<(Sym, Pattern)>),
    /// a table's columns
    Table(Vec<(Sym, Pattern)>),
    /// a pattern whose value is checked: a type as `` `s `` or a function
    Typed(Box<Pattern>, Expr),
}

/// `([k:…]c:…)`; a column without a name is named by its expression.
#[derive(Debug, Clone)]
pub struct TableLiteral {
    /// key columns
    pub keys: Vec<(Sym, Expr)>,
    /// columns
    pub columns: Vec<(Sym, Expr)>,
    /// place of the bracket
    pub at: At,
}

/// The four templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Verb {
    Select,
    Exec,
    Update,
    Delete,
}

/// A q-SQL template.
#[derive(Debug, Clone)]
pub struct Query {
    /// which template
    pub verb: Verb,
    /// `select distinct`
    pub distinct: bool,
    /// `select[n]`, `select[m n]`
    pub limit: Option<Expr>,
    /// `select[<col]`: ascending false, descending true
    pub order: Option<(bool, Expr)>,
    /// result columns; an empty name is found from the expression
    pub columns: Vec<(Sym, Expr)>,
    /// `by` columns; `None` without `by`
    pub by: Option<Vec<(Sym, Expr)>>,
    /// the table
    pub from: Expr,
    /// conditions, each on the rows that those before it left
    pub filter: Vec<Expr>,
    /// place of the template
    pub at: At,
}
