//! What the evaluator runs: the parser's tree with names resolved to slots and calls to the code behind them.

use std::sync::{Arc, OnceLock};

use crate::{
    ctx::Call,
    syntax::ast,
    value::{Iterator, Lambda, Primitive, Sym, Value},
};

/// A place in the source text.
pub(crate) type At = u32;

/// No place.
pub(crate) const NOWHERE: At = At::MAX;

/// Operators that work on long, float and boolean atoms without a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fast {
    Add,
    Sub,
    Mul,
    Divide,
    And,
    Or,
    Less,
    More,
    Equal,
    Differ,
    NotMore,
    NotLess,
    Div,
    Mod,
    Match,
    Join,
    None,
}

/// Code.
#[derive(Debug)]
pub(crate) enum Node {
    Const(Value),
    Local(u32),
    /// a local that nothing reads afterwards
    Take(u32),
    /// cell, name as written
    Global(u32, Sym, At),
    /// the function that runs
    This,
    Hole,
    List(Vec<Node>),
    /// a primitive of one argument
    Monad(&'static Primitive, fn(&mut dyn crate::ctx::Ctx, Value) -> crate::R, Box<Node>, At),
    /// a primitive of two arguments
    Dyad(Box<Dyad>),
    /// anything applied to one argument
    Call1(Box<(Node, Node)>, At),
    /// anything applied to two arguments
    Call2(Box<(Node, Node, Node)>, At),
    /// anything applied to arguments, holes among them
    Call(Box<Node>, Vec<Node>, At),
    Derive(Box<Node>, Iterator),
    Compose(Vec<Node>),
    Lambda(Arc<Lambda>),
    SetLocal(u32, Box<Node>),
    SetGlobal(u32, Sym, Box<Node>, At),
    /// `a::expr` outside of lambdas
    View(Box<ViewNode>),
    Amend(Box<Amend>),
    Match(Box<(Pattern, Node)>, At),
    Cond(Vec<Node>, At),
    If(Vec<Node>, At),
    Do(Vec<Node>, At),
    While(Vec<Node>, At),
    Block(Vec<Node>),
    Return(Box<Node>),
    Signal(Box<Node>, At),
    Table(Vec<(Sym, Node)>, Vec<(Sym, Node)>, At),
    Dict(Vec<(Sym, Node)>),
    Query(Box<QueryNode>),
}

/// A primitive between two operands.
#[derive(Debug)]
pub(crate) struct Dyad {
    pub(crate) fast: Fast,
    pub(crate) call: fn(&mut dyn crate::ctx::Ctx, Value, Value) -> crate::R,
    pub(crate) x: Node,
    pub(crate) y: Node,
    pub(crate) at: At,
}

/// A q-SQL template; its parts are made into trees when it runs, since they hold values of locals.
#[derive(Debug)]
pub(crate) struct QueryNode {
    pub(crate) query: ast::Query,
    pub(crate) from: Node,
    pub(crate) limit: Option<Node>,
    pub(crate) at: At,
}

/// `a::expr` at the outermost level.
#[derive(Debug)]
pub(crate) struct ViewNode {
    pub(crate) slot: u32,
    pub(crate) name: Sym,
    pub(crate) value: ast::Expr,
    pub(crate) at: At,
}

/// Whose value an assignment changes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    Local(u32),
    Global(u32, Sym),
}

/// `x[i]:v`, `x op:v`, `x[i]op:v`.
#[derive(Debug)]
pub(crate) struct Amend {
    /// the operator of `x op:v` without an index
    pub(crate) fast: Fast,
    pub(crate) target: Target,
    pub(crate) index: Option<Vec<Node>>,
    pub(crate) with: Option<Node>,
    pub(crate) value: Node,
    pub(crate) at: At,
}

/// A pattern with its names resolved.
#[derive(Debug)]
pub(crate) enum Pattern {
    Skip,
    Bind(Target),
    Const(Value),
    List(Vec<Pattern>),
    Dict(Vec<(Sym, Pattern)>),
    Typed(Box<Pattern>, Node),
}

/// A lambda's code, or that of a statement.
#[derive(Debug)]
pub(crate) struct Code {
    /// how backtraces call it
    pub(crate) name: String,
    /// statements
    pub(crate) body: Vec<Node>,
    /// the value is `::`
    pub(crate) silent: bool,
    /// parameters; the first slots
    pub(crate) params: u32,
    /// parameters and locals by slot
    pub(crate) names: Vec<Sym>,
    /// parameters that are taken apart or checked on entry
    pub(crate) patterns: Vec<(u32, Pattern)>,
    /// the text that places point into
    pub(crate) text: Arc<str>,
    /// where the code's own text begins in `text`
    pub(crate) start: At,
    /// file and line where `text` begins
    pub(crate) file: Option<(Arc<str>, usize)>,
    /// globals read, by full name, for `value f` and views
    pub(crate) globals: Vec<Sym>,
    /// constants, for `value f`
    pub(crate) constants: Vec<Value>,
    /// the lambda for long arguments, where it works on atoms alone
    pub(crate) long: OnceLock<Option<super::scalar::Program>>,
    /// the lambda for float arguments
    pub(crate) float: OnceLock<Option<super::scalar::Program>>,
}

/// How a primitive's row is called with `n` arguments.
pub(crate) fn call_of(p: &Primitive) -> Call {
    crate::registry::registry().def(p).call
}
