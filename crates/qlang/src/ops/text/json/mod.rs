//! JSON: `.j.j`, `.j.jd`, `.j.k`.

mod read;
mod write;

pub use self::{read::read, write::write};
use crate::{QError, R, ctx::Ctx, format, value::Value};

/// `.j.j x`
pub(super) fn to_text(ctx: &mut dyn Ctx, x: Value) -> R {
    let digits = format::precision(ctx.settings());
    Ok(Value::string(write(&x, digits, false)?))
}

/// `.j.jd (x;options)`: with the option `null0w` the infinities are `null`.
pub(super) fn to_text_with(ctx: &mut dyn Ctx, x: Value) -> R {
    if x.count() != 2 || x.is_atom() {
        return Err(QError::length());
    }
    let null_infinity = match x.at(1) {
        Value::Dict(d) => matches!(d.get("null0w".into()), Some(Value::Bool(true))),
        _ => false,
    };
    let digits = format::precision(ctx.settings());
    Ok(Value::string(write(&x.at(0), digits, null_infinity)?))
}

/// `.j.k x`
pub(super) fn from_text(_: &mut dyn Ctx, x: Value) -> R {
    match &x {
        Value::List(l) if !l.is_empty() => {
            // Lines of a file.
            let mut text = Vec::new();
            for line in l.iter() {
                text.extend(line.as_text().ok_or_else(QError::type_)?);
            }
            read(&text)
        }
        x => read(&x.as_text().ok_or_else(QError::type_)?),
    }
}
