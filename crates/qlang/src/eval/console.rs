//! `show`, `getenv`, `setenv`: console and environment.

use crate::{QError, R, ctx::Ctx, format, value::Value};

/// `show x`: prints as the console does; no value.
pub(crate) fn show(ctx: &mut dyn Ctx, x: Value) -> R {
    let text = match &x {
        Value::Nil => "::\n".to_string(),
        x => format::console(x, ctx.settings()),
    };
    ctx.host().print(1, text.as_bytes())?;
    Ok(Value::Nil)
}

/// `` getenv `NAME ``: the text of a variable, empty where there is none.
pub(crate) fn getenv(ctx: &mut dyn Ctx, x: Value) -> R {
    let name = x.as_sym().ok_or_else(QError::type_)?;
    Ok(Value::string(ctx.host().env(&name.text())?))
}

/// `` `NAME setenv "text" ``.
pub(crate) fn setenv(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let name = x.as_sym().ok_or_else(QError::type_)?;
    let text = y.as_text().ok_or_else(QError::type_)?;
    ctx.host().set_env(&name.text(), &String::from_utf8_lossy(&text))?;
    Ok(Value::Nil)
}
