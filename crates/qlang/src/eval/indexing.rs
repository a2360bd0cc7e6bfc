//! Where the evaluator meets the primitives of indexing and matching.

use super::interp::Interp;
use crate::{
    QError, R,
    value::{Value, order},
};

/// Equal as `~` has it.
pub(crate) fn matches(_: &Interp, x: &Value, y: &Value) -> bool {
    order::matches(x, y)
}

/// `x[i;j;…]` of data; [`Value::Nil`] stands for all.
pub(crate) fn index(ctx: &mut Interp, x: &Value, mut args: Vec<Value>) -> R {
    if args.len() == 1 {
        let i = args.remove(0);
        return at(ctx, x, &i);
    }
    dot(ctx, x.clone(), Value::list(args))
}

fn at(ctx: &mut Interp, x: &Value, i: &Value) -> R {
    match (x, i) {
        (x, Value::Nil) => Ok(x.clone()),
        (x, i) if x.is_list() && i.is_atom() => match i {
            Value::Float(_) | Value::Real(_) | Value::Sym(_) | Value::Char(_) => Err(QError::type_()),
            i => Ok(x.at(i.as_int().and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX))),
        },
        (Value::Dict(d), i) if i.is_atom() => {
            for k in 0..d.len() {
                if matches(ctx, &d.keys.at(k), i) {
                    return Ok(d.values.at(k));
                }
            }
            Ok(d.values.at(usize::MAX))
        }
        (Value::Table(t), Value::Sym(s)) => t.column(*s).cloned().ok_or_else(|| QError::new(s.text())),
        (Value::Table(t), i) if i.is_atom() => {
            Ok(t.row(i.as_int().and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX)))
        }
        (x, i) if !i.is_atom() => {
            let items = i.items().iter().map(|i| at(ctx, x, i)).collect::<R<Vec<Value>>>()?;
            Ok(Value::from_items(items))
        }
        _ => Err(QError::type_()),
    }
}

/// `x . i`.
pub(crate) fn dot(ctx: &mut Interp, x: Value, i: Value) -> R {
    let path = i.items();
    let Some((first, rest)) = path.split_first() else { return Ok(x) };
    let v = at(ctx, &x, first)?;
    if rest.is_empty() {
        return Ok(v);
    }
    let rest = Value::list(rest.to_vec());
    if first.is_atom() && !matches!(first, Value::Nil) {
        return dot(ctx, v, rest);
    }
    let items = v.items().into_iter().map(|v| dot(ctx, v, rest.clone())).collect::<R<Vec<Value>>>()?;
    Ok(Value::from_items(items))
}

/// `@[x;i;f;y]`.
pub(crate) fn amend_at(_: &mut Interp, _: Value, _: Value, _: Value, _: Option<Value>) -> R {
    Err(QError::nyi())
}

/// `.[x;i;f;y]`.
pub(crate) fn amend_dot(_: &mut Interp, _: Value, _: Vec<Value>, _: Value, _: Option<Value>) -> R {
    Err(QError::nyi())
}
