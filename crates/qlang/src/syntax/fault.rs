//! Errors about text: what kdb+ says, and where.

use std::sync::Arc;

use crate::{Frame, QError, error::Kind};

/// A parse error of this text, at a byte of what was parsed.
#[cold]
pub fn fault(message: impl Into<String>, text: &[u8], at: usize) -> QError {
    let mut e = QError::of(Kind::Parse, message);
    e.push(Frame { name: String::new(), text: Arc::from(String::from_utf8_lossy(text)), at, file: None });
    e
}
