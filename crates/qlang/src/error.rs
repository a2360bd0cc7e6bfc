//! What can go wrong in q: an error text, how it may be trapped, and where it happened.

use std::{fmt, sync::Arc};

/// A result of q code.
pub type R<T = crate::Value> = Result<T, QError>;

/// A q error. One pointer wide: results stay small.
#[derive(Clone)]
pub struct QError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    text: String,
    kind: Kind,
    trace: Vec<Frame>,
}

/// How an error travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// signalled by a primitive or by `'`: traps catch it
    Signal,
    /// text that is no q
    Parse,
    /// the budget is used up or the caller is gone: no trap catches it
    Stop,
    /// `exit n`: ends the process
    Exit(i32),
}

/// One level of a backtrace.
#[derive(Debug, Clone)]
pub struct Frame {
    /// name of the function, or its text where nothing names it
    pub name: String,
    /// source text that was evaluated
    pub text: Arc<str>,
    /// byte offset in `text` where evaluation stood
    pub at: usize,
    /// file and first line of `text`, where it was loaded from a file
    pub file: Option<(Arc<str>, usize)>,
}

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident => $text:literal;)*) => {
        impl QError {$(
            $(#[$doc])*
            #[cold]
            pub fn $name() -> QError { QError::new($text) }
        )*}
    };
}
named! {
    /// wrong type
    type_ => "type";
    /// lengths differ
    length => "length";
    /// wrong number of arguments
    rank => "rank";
    /// argument outside the domain
    domain => "domain";
    /// not implemented
    nyi => "nyi";
    /// memory limit
    wsfull => "wsfull";
    /// too deep a recursion
    stack => "stack";
    /// columns do not match
    mismatch => "mismatch";
    /// value not in the enumeration, key twice, …
    cast => "cast";
    /// more than a limit allows
    limit => "limit";
    /// assignment to a reserved name
    assign => "assign";
    /// signal of something that is no string or symbol
    stype => "stype";
    /// amend that a read-only evaluation may not do
    noupdate => "noupdate";
    /// access that the host does not allow
    access => "access";
    /// not sorted
    s_fail => "s-fail";
    /// not unique
    u_fail => "u-fail";
}

impl QError {
    /// An error of this text that traps catch.
    #[cold]
    pub fn new(text: impl Into<String>) -> QError {
        QError(Box::new(Inner { text: text.into(), kind: Kind::Signal, trace: Vec::new() }))
    }

    /// An error of another kind.
    #[cold]
    pub fn of(kind: Kind, text: impl Into<String>) -> QError {
        QError(Box::new(Inner { text: text.into(), kind, trace: Vec::new() }))
    }

    /// The error's text, without the leading quote.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// How the error travels.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// True where a trap may catch it.
    pub fn is_trappable(&self) -> bool {
        matches!(self.0.kind, Kind::Signal | Kind::Parse)
    }

    /// Adds the next outer level to the backtrace; levels beyond 100 are dropped.
    pub fn push(&mut self, frame: Frame) {
        if self.0.trace.len() < 100 {
            self.0.trace.push(frame);
        }
    }

    /// Names the file in the levels that have none; `line` is that on which their text begins.
    pub fn locate(&mut self, file: &Arc<str>, line: usize) {
        for frame in &mut self.0.trace {
            frame.file.get_or_insert_with(|| (file.clone(), line));
        }
    }

    /// The backtrace, innermost level first.
    pub fn trace(&self) -> &[Frame] {
        &self.0.trace
    }
}

impl fmt::Debug for QError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}", self.0.text)
    }
}

impl fmt::Display for QError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}", self.0.text)
    }
}

impl std::error::Error for QError {}

impl PartialEq for QError {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text && self.0.kind == other.0.kind
    }
}
