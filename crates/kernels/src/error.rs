//! What a kernel can refuse, in q's own words where q has one; and how a long one is interrupted.
//!
//! The first word of each sentence is the error a q process would signal (`type`, `length`, ...), so that a
//! caller which answers in QIPC may cut the text there. Tests: beside the kernels that raise them.

use kvalue::{ShapeError, Value};

/// Why a kernel gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// Operands of types the operation is not defined for (q's `'type`).
    #[error("type: {operation} is not defined for {got}; {expected}")]
    Type {
        /// The operation, in q's name for it.
        operation: String,
        /// The types that were given.
        got: String,
        /// What would have been accepted.
        expected: String,
    },
    /// Operands that must be equally long and are not (q's `'length`).
    #[error("length: {what} has {got} items where {expected} are needed")]
    Length {
        /// What is too short or too long.
        what: String,
        /// Its length.
        got: usize,
        /// The length it should have.
        expected: usize,
    },
    /// An aggregate got another number of columns than it takes (q's `'rank`).
    #[error("rank: {function} takes {expected} columns, got {got}")]
    Rank {
        /// The aggregate's name.
        function: &'static str,
        /// Columns it takes.
        expected: usize,
        /// Columns it was given.
        got: usize,
    },
    /// A name that is none of the aggregates.
    #[error(
        "unknown aggregate `{0}`; known are all any avg cor count cov dev distinct first last max min prd scov sdev sum svar var wavg wsum"
    )]
    UnknownFunction(String),
    /// A `like` pattern that is not well formed.
    #[error("pattern: `{0}` has a [ without its ]; write [[] for the character itself")]
    Pattern(String),
    /// More rows than row numbers can count. Work in smaller blocks.
    #[error("limit: {0} rows in one block, the most is 4294967294; work in smaller blocks")]
    Rows(usize),
    /// A partial state that is not what the aggregate writes: the peer that sent it speaks another version.
    #[error("partial state of {function} is malformed: {problem}; are all processes of one version?")]
    State {
        /// The aggregate's name.
        function: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The work was cancelled between two blocks.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// A value could not be put together.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

impl KernelError {
    /// A `type` error that names the operation and the operand's types.
    pub(crate) fn types(operation: impl Into<String>, got: &[&Value], expected: impl Into<String>) -> Self {
        let got: Vec<String> = got.iter().map(|v| describe(v)).collect();
        KernelError::Type { operation: operation.into(), got: got.join(" and "), expected: expected.into() }
    }
}

/// A value's type for a message: `float list`, `symbol`, `general list`.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Vector(v) => format!("{} list", v.ty()),
        Value::Atom(a) => a.ty().to_string(),
        other => other.type_name().to_string(),
    }
}

/// The work was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled: the request was withdrawn or its deadline passed")]
pub struct Cancelled;

/// Asked between blocks of work whether to go on.
///
/// Kernels do not look at it themselves: each runs over the rows of one [`crate::Selection`], at a few
/// nanoseconds a row. A caller cuts its rows into blocks of about [`BLOCK_ROWS`], asks between them, and joins
/// the blocks' partial states as it would those of several processes.
pub trait Interrupt {
    /// An error where the work is to stop.
    fn check(&self) -> Result<(), Cancelled>;

    /// The same, where it is known that as many rows may have to be read until the next look.
    fn check_rows(&self, rows: usize) -> Result<(), Cancelled> {
        let _ = rows;
        self.check()
    }
}

/// Rows of a block between two looks at [`Interrupt`]: at most a millisecond of work on a column. A column of them
/// stays in the processor's cache, and what a query holds of columns that had to be unpacked is a few times that.
pub const BLOCK_ROWS: usize = 1 << 17;

/// Never interrupts: for tests and for short work.
#[derive(Debug, Clone, Copy, Default)]
pub struct Uninterrupted;

impl Interrupt for Uninterrupted {
    fn check(&self) -> Result<(), Cancelled> {
        Ok(())
    }
}

impl<F: Fn() -> bool> Interrupt for F {
    /// A closure that says whether the work was cancelled.
    fn check(&self) -> Result<(), Cancelled> {
        if self() { Err(Cancelled) } else { Ok(()) }
    }
}
