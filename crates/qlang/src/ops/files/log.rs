//! `-11!`: replay of a log of messages, and what its whole part is.

use bytes::Bytes;

use super::{ipc, path};
use crate::{
    QError, R, convert,
    ctx::Ctx,
    value::{Sym, Value},
};

/// Bytes before the first message.
const HEADER: usize = 8;

/// `-11!file` evaluates each message by `.z.ps` and gives their number; `-11!(n;file)` the first `n`;
/// `-11!(-2;file)` counts: the number, or number and bytes of the whole part where the end is cut.
pub fn replay(ctx: &mut dyn Ctx, x: &Value) -> R {
    let (most, file) = match x {
        Value::List(l) if l.len() == 2 => (l[0].as_int().ok_or_else(QError::type_)?, l[1].clone()),
        x => (-1, x.clone()),
    };
    let file = path::of(&file).ok_or_else(QError::type_)?;
    let bytes = ctx.host().files().map(&file)?;
    if !bytes.starts_with(&[0xff, 0x01, 0x00]) || bytes.len() < HEADER {
        return Err(QError::new(format!("{file}: no log of messages")));
    }
    let limits = qipc::Limits::internal();
    let whole = |at: usize| -> Option<usize> {
        let len = qipc::object_len(&bytes[at..], &limits).ok()?;
        (at + len <= bytes.len()).then_some(len)
    };
    if most == -2 {
        let (mut at, mut n) = (HEADER, 0);
        while at < bytes.len() {
            match whole(at) {
                Some(len) => (at, n) = (at + len, n + 1),
                None => return Ok(Value::longs(vec![n, at as i64])),
            }
        }
        return Ok(Value::Long(n));
    }
    let handler = ctx.global(Sym::new(".z.ps"));
    let (mut at, mut n) = (HEADER, 0);
    while at < bytes.len() && (most < 0 || n < most) {
        let len = whole(at).ok_or_else(|| QError::new("badtail"))?;
        let message = decode(ctx, &bytes.slice(at..at + len), &limits)?;
        match &handler {
            Some(f) => ctx.apply(f, vec![message])?,
            None => ipc::value(ctx, message)?,
        };
        (at, n) = (at + len, n + 1);
        ctx.check()?;
    }
    Ok(Value::Long(n))
}

fn decode(ctx: &mut dyn Ctx, object: &Bytes, limits: &qipc::Limits) -> R {
    let object = qipc::decode(object.clone(), limits).map_err(|_| QError::new("badtail"))?;
    convert::revive(ctx, &object)
}
