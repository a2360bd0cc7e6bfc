//! `n$x`: strings at a fixed width.

use super::map::deep;
use crate::{QError, R, ctx::Ctx, value::Value};

/// Every string below `x` at `n` characters, blanks behind it, or before it where `n` is negative.
pub(super) fn pad(ctx: &mut dyn Ctx, n: i64, x: Value) -> R {
    let width = usize::try_from(n.unsigned_abs()).map_err(|_| QError::type_())?;
    deep(x, &mut |v| match &v {
        Value::Vector(t) => {
            ctx.reserve(width)?;
            let text = t.as_chars().ok_or_else(QError::type_)?;
            Ok(Value::string(padded(text, width, n < 0)))
        }
        Value::Char(c) => {
            ctx.reserve(width)?;
            Ok(Value::string(padded(&[*c], width, n < 0)))
        }
        _ => Err(QError::type_()),
    })
}

fn padded(text: &[u8], width: usize, right: bool) -> Vec<u8> {
    let keep = text.len().min(width);
    let mut out = Vec::with_capacity(width);
    if right {
        out.resize(width - keep, b' ');
        out.extend_from_slice(&text[text.len() - keep..]);
    } else {
        out.extend_from_slice(&text[..keep]);
        out.resize(width, b' ');
    }
    out
}
