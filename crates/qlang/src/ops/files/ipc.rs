//! Handles: `hopen`, `hclose`, `h x`, `neg[h] x`, `h[]`, one-shot requests, `-25!`, `-30!`; and what is done with a
//! message that comes in.
//!
//! Rule: while a sync request waits for its answer, what else arrives on its handle is served, as kdb+ does.

use bytes::Bytes;

use super::path;
use crate::{
    QError, R, convert,
    ctx::{Ctx, Def},
    host::{HandleKind, Kind, Message, Target},
    value::{Sym, Value},
};

/// Rows of this file's primitives.
pub(super) const ROWS: &[Def] = &[
    Def::unary("hopen", "hopen", hopen),
    Def::monad("hclose", hclose),
    // `h x` for handles other than the console's: the evaluator calls it by this name
    Def::dyad(".handle", handle),
];

/// First byte of an error's body.
const ERROR: u8 = 0x80;

/// `hopen`: `` `:host:port ``, `(…;timeout)`, a port, a file, a pipe.
fn hopen(ctx: &mut dyn Ctx, x: Value) -> R {
    let target = target(&x)?;
    ctx.host().open(&target).map(Value::Int)
}

fn target(x: &Value) -> R<Target> {
    let (name, timeout) = match x {
        Value::List(l) if l.len() == 2 => {
            let timeout = l[1].as_int().ok_or_else(QError::type_)?;
            (l[0].clone(), u64::try_from(timeout).unwrap_or(0))
        }
        // A port and a time come as one vector.
        Value::Vector(v) if v.len() == 2 && !x.is_string() => {
            (v.at(0), u64::try_from(v.at(1).as_int().ok_or_else(QError::type_)?).unwrap_or(0))
        }
        x => (x.clone(), 0),
    };
    if let Some(port) = name.as_int().filter(|_| !matches!(name, Value::Char(_))) {
        let port = u16::try_from(port).map_err(|_| QError::domain())?;
        let host = Some(String::new());
        return Ok(Target::Process { host, port, tls: false, credentials: String::new(), timeout });
    }
    path::target(&path::named(&name)?, timeout)
}

/// `hclose h`.
fn hclose(ctx: &mut dyn Ctx, x: Value) -> R {
    for h in x.items() {
        let h = h.as_int().and_then(|h| i32::try_from(h).ok()).ok_or_else(QError::type_)?;
        ctx.host().close(h)?;
    }
    Ok(Value::Nil)
}

/// A handle applied to a value, and `` `:host:port `` applied to one.
pub fn handle(ctx: &mut dyn Ctx, h: Value, x: Value) -> R {
    if let Value::Sym(_) = h {
        return one_shot(ctx, &h, &x);
    }
    let number = h.as_int().and_then(|n| i32::try_from(n).ok()).ok_or_else(QError::type_)?;
    let handle = number.checked_abs().ok_or_else(QError::domain)?;
    let is_wait = matches!(x, Value::Nil | Value::Hole);
    match ctx.host().handle(handle) {
        None => {
            let what = if number > 0 && is_wait { "rcv" } else { "Cannot write to" };
            Err(QError::new(format!("{what} handle {number}. OS reports: Bad file descriptor")))
        }
        Some(HandleKind::Console) => Err(QError::domain()),
        Some(HandleKind::File | HandleKind::Pipe) => {
            let mut out = Vec::new();
            file_bytes(&x, number < 0, &mut out)?;
            ctx.host().put(handle, &out)?;
            Ok(h)
        }
        Some(HandleKind::WebSocket) => {
            let (bytes, is_text) = match (&x, x.as_text()) {
                (_, Some(text)) => (text, true),
                (Value::Vector(v), _) if v.ty == kvalue::Type::Byte => {
                    (super::write::raw(&v.data).to_vec(), false)
                }
                _ => return Err(QError::type_()),
            };
            ctx.host().send(handle, if is_text { Kind::Async } else { Kind::Sync }, &bytes)?;
            Ok(h)
        }
        Some(HandleKind::Process) if number < 0 => {
            match is_wait {
                true => ctx.host().flush(handle)?,
                false => {
                    let body = encode(&x)?;
                    ctx.host().send(handle, Kind::Async, &body)?;
                }
            }
            Ok(Value::Nil)
        }
        Some(HandleKind::Process) if is_wait => {
            ctx.host().flush(handle)?;
            let message = ctx.host().receive(handle)?;
            match message.kind {
                Kind::Response | Kind::Async => decode(ctx, &message.body),
                Kind::Sync => {
                    serve_here(ctx, handle, message)?;
                    Ok(Value::Nil)
                }
            }
        }
        Some(HandleKind::Process) => request(ctx, handle, &x),
    }
}

/// Sends a request and waits for its answer.
fn request(ctx: &mut dyn Ctx, handle: i32, x: &Value) -> R {
    let body = encode(x)?;
    ctx.host().send(handle, Kind::Sync, &body)?;
    loop {
        let message = ctx.host().receive(handle)?;
        match message.kind {
            Kind::Response => return decode(ctx, &message.body),
            _ => serve_here(ctx, handle, message)?,
        }
    }
}

/// `` `:host:port "…" ``: opens, asks, closes.
fn one_shot(ctx: &mut dyn Ctx, target: &Value, x: &Value) -> R {
    let target = path::target(&path::named(target)?, 0)?;
    if !matches!(target, Target::Process { .. }) {
        return Err(QError::type_());
    }
    let handle = ctx.host().open(&target)?;
    let answer = request(ctx, handle, x);
    let closed = ctx.host().close(handle);
    let answer = answer?;
    closed?;
    Ok(answer)
}

/// What a file handle writes: text and bytes as they are (with line ends for a negative handle), the items of other
/// lists as serialised objects, which is how logs grow.
fn file_bytes(x: &Value, lines: bool, out: &mut Vec<u8>) -> R<()> {
    if let Some(text) = x.as_text() {
        out.extend_from_slice(&text);
        if lines {
            out.push(b'\n');
        }
        return Ok(());
    }
    match x {
        Value::List(l) if l.iter().all(|i| i.as_text().is_some()) => {
            for line in l.iter() {
                file_bytes(line, lines, out)?;
            }
        }
        Value::List(l) => {
            for item in l.iter() {
                out.extend_from_slice(&encode(item)?);
            }
        }
        Value::Vector(v) => match &v.data {
            crate::value::Data::Sym(_) => return Err(QError::type_()),
            data => out.extend_from_slice(super::write::raw(data)),
        },
        Value::Byte(b) => out.push(*b),
        other => out.extend_from_slice(&encode(other)?),
    }
    Ok(())
}

/// A value as a serialised object.
pub fn encode(x: &Value) -> R<Bytes> {
    qipc::encode(&convert::to_kvalue(x)?).map_err(|e| QError::new(e.to_string()))
}

/// The value of a serialised object; the error it says where it is one.
pub fn decode(ctx: &mut dyn Ctx, body: &Bytes) -> R {
    if body.first() == Some(&ERROR) {
        let text = body[1..].split(|b| *b == 0).next().unwrap_or_default();
        return Err(QError::new(String::from_utf8_lossy(text)));
    }
    let object = qipc::decode(body.clone(), &qipc::Limits::client()).map_err(|_| QError::new("badmsg"))?;
    convert::revive(ctx, &object)
}

/// The body of an error.
pub fn error_body(text: &str) -> Vec<u8> {
    let mut body = vec![ERROR];
    body.extend(text.bytes().filter(|b| *b != 0));
    body.push(0);
    body
}

/// Evaluates what a message asks by `.z.pg` or `.z.ps`: the value, for a sync one to be answered with. The caller has
/// told the host whose message it is, so that `.z.w` and kin are right.
pub fn evaluate(ctx: &mut dyn Ctx, kind: Kind, body: &Bytes) -> R {
    let message = match decode(ctx, body) {
        Ok(message) => message,
        Err(e) if e.text() == "badmsg" => {
            let bytes = Value::vector(kvalue::Type::Byte, crate::value::Data::U8(body.to_vec().into()));
            return match ctx.global(Sym::new(".z.bm")) {
                Some(f) => {
                    let handle = Value::Int(ctx.settings().caller.handle);
                    ctx.apply(&f, vec![Value::list(vec![handle, bytes])])
                }
                None => Err(e),
            };
        }
        Err(e) => return Err(e),
    };
    let handler = if kind == Kind::Sync { ".z.pg" } else { ".z.ps" };
    match ctx.global(Sym::new(handler)) {
        Some(f) => ctx.apply(&f, vec![message]),
        None => value(ctx, message),
    }
}

/// `value x`.
pub fn value(ctx: &mut dyn Ctx, x: Value) -> R {
    let value = crate::registry::registry().find(b"value").ok_or_else(QError::nyi)?;
    ctx.apply(&Value::Prim(value), vec![x])
}

/// Serves a message that came while this process waited for an answer on its handle.
fn serve_here(ctx: &mut dyn Ctx, handle: i32, message: Message) -> R<()> {
    let before = ctx.settings().caller;
    ctx.settings().caller.handle = handle;
    let got = evaluate(ctx, message.kind, &message.body);
    ctx.settings().caller = before;
    if message.kind != Kind::Sync {
        return match got {
            Err(e) if !e.is_trappable() => Err(e),
            Err(e) => ctx.host().print(2, format!("{e}\n").as_bytes()),
            Ok(_) => Ok(()),
        };
    }
    let body = match got.and_then(|v| encode(&v)) {
        Ok(body) => body.to_vec(),
        Err(e) if e.is_trappable() => error_body(e.text()),
        Err(e) => return Err(e),
    };
    ctx.host().send(handle, Kind::Response, &body)
}

/// `-25!(handles;message)`: one async message to several handles, serialised once.
pub fn broadcast(ctx: &mut dyn Ctx, x: &Value) -> R {
    let (handles, message) = (x.at(0), x.at(1));
    if x.count() != 2 {
        return Err(QError::length());
    }
    let body = encode(&message)?;
    for h in handles.items() {
        let h = h.as_int().and_then(|h| i32::try_from(h.abs()).ok()).ok_or_else(QError::type_)?;
        if ctx.host().handle(h) != Some(HandleKind::Process) {
            return Err(QError::new(format!("{h} is not an ipc handle")));
        }
        ctx.host().send(h, Kind::Async, &body)?;
    }
    Ok(Value::Nil)
}

/// `-30!(::)` keeps the answer to the request at hand back; `-30!(handle;isError;answer)` gives it.
pub fn respond(ctx: &mut dyn Ctx, x: &Value) -> R {
    if matches!(x, Value::Nil) {
        ctx.host().defer()?;
        return Ok(Value::Nil);
    }
    let handle = x.at(0).as_int().and_then(|h| i32::try_from(h).ok()).ok_or_else(QError::type_)?;
    let Value::Bool(is_error) = x.at(1) else { return Err(QError::type_()) };
    match is_error {
        true => {
            let text = x.at(2).as_name().ok_or_else(QError::type_)?;
            ctx.host().answer(handle, Err(&String::from_utf8_lossy(&text)))?;
        }
        false => {
            let body = encode(&x.at(2))?;
            ctx.host().answer(handle, Ok(&body))?;
        }
    }
    Ok(Value::Nil)
}
