//! Numbers and file symbols applied to arguments: handles of console, files and connections.

use super::interp::Interp;
use crate::{QError, R, ctx::Ctx, value::Value};

/// `h x`: 0 evaluates, 1 and 2 print, others are the host's.
pub(crate) fn message(ctx: &mut Interp, h: &Value, mut args: Vec<Value>) -> R {
    // `:host:port applied to a request: one connection for it alone
    if let Value::Sym(name) = h
        && name.bytes().first() == Some(&b':')
        && args.len() == 1
        && let Some(p) = crate::registry::registry().find(b".handle")
    {
        return ctx.primitive(p, vec![h.clone(), args.remove(0)]);
    }
    let number = match h {
        Value::Sym(_) | Value::Bool(_) => None,
        h => h.as_int(),
    };
    if matches!(h, Value::Sym(_))
        && args.len() == 1
        && let Some(p) = crate::registry::registry().find(b".handle")
    {
        return ctx.primitive(p, vec![h.clone(), args.remove(0)]);
    }
    let Some(n) = number else { return Err(QError::type_()) };
    if args.len() != 1 {
        return Err(QError::rank());
    }
    let x = args.remove(0);
    match n {
        0 => match x.as_text() {
            Some(text) if x.is_string() => ctx.run(&String::from_utf8_lossy(&text)),
            _ => super::words::value(ctx, x),
        },
        1 | 2 | -1 | -2 => {
            let line = n < 0;
            let mut out = Vec::new();
            let mut add = |v: &Value| match v.as_text() {
                Some(t) => {
                    out.extend_from_slice(&t);
                    if line {
                        out.push(b'\n');
                    }
                    Ok(())
                }
                None => Err(QError::type_()),
            };
            match &x {
                Value::List(l) => l.iter().try_for_each(&mut add)?,
                x => add(x)?,
            }
            ctx.host.print(n.unsigned_abs() as i32, &out)?;
            Ok(h.clone())
        }
        _ => match crate::registry::registry().find(b".handle") {
            Some(p) => ctx.primitive(p, vec![h.clone(), x]),
            None => Err(QError::new(format!("Cannot write to handle {n}. OS reports: Bad file descriptor"))),
        },
    }
}
