//! Values as text: what the console shows ([`console`]), q text on one line ([`inline`]), and plain text without
//! quotes or type letters ([`atom::plain`]), which `string`, tables and CSV use.

pub mod atom;
mod console;
pub mod float;
mod inline;
#[cfg(test)]
mod tests;

pub use self::{console::console_bytes, inline::inline_bytes};
use crate::{ctx::Settings, value::Value};

/// What the console prints for a value, with the final newline; empty for `::`.
pub fn console(v: &Value, s: &Settings) -> String {
    lossy(console_bytes(v, s, s.console))
}

/// q text of a value on one line, as `-3!` and `.Q.s1` give it.
pub fn inline(v: &Value, s: &Settings) -> String {
    lossy(inline_bytes(v, s, usize::MAX))
}

/// Digits shown of a float.
pub fn precision(s: &Settings) -> usize {
    match s.precision {
        0 => 17,
        p => p.min(17),
    }
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}
