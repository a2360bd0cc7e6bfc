//! `where`: conditions in order, each on the rows left by earlier conditions.

use super::{
    quick::{self, Hits},
    scope::Scope,
    tree::eval_in,
};
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, Value},
};

/// The conditions of a constraint: a list of trees.
pub fn conditions(c: &Value) -> R<Vec<Value>> {
    match c {
        Value::List(items) => Ok(items.to_vec()),
        Value::Nil => Ok(Vec::new()),
        Value::Vector(_) => Ok(c.items()),
        Value::Bool(_) => Ok(vec![c.clone()]),
        _ => Err(QError::type_()),
    }
}

/// Narrows the scope to the rows that fulfil all conditions.
pub fn filter(ctx: &mut dyn Ctx, scope: &mut Scope, c: &Value) -> R<()> {
    for condition in conditions(c)? {
        ctx.check()?;
        match quick::hits(ctx, scope, &condition)? {
            Some(Hits::Run(from, n)) => {
                if n != scope.len() {
                    scope.narrow_run(from, n);
                }
                continue;
            }
            Some(Hits::Places(places)) => {
                scope.narrow(places);
                continue;
            }
            None => {}
        }
        let mask = eval_in(ctx, &condition, scope)?;
        keep(scope, &mask)?;
    }
    Ok(())
}

/// Keeps the rows where the mask is set; numbers repeat a row, as `where` does.
fn keep(scope: &mut Scope, mask: &Value) -> R<()> {
    let n = scope.len();
    match mask {
        Value::Vector(v) => {
            if v.len() != n {
                return Err(QError::length());
            }
            let places = match &v.data {
                Data::Bool(bits) => set_places(bits),
                Data::U8(counts) if v.ty == kvalue::Type::Byte => {
                    counted(counts.iter().map(|&c| i64::from(c)))
                }
                Data::I16(counts) => counted(counts.iter().map(|&c| i64::from(c))),
                Data::I32(counts) if v.ty == kvalue::Type::Int => {
                    counted(counts.iter().map(|&c| i64::from(c)))
                }
                Data::I64(counts) if v.ty == kvalue::Type::Long => counted(counts.iter().copied()),
                _ => return Err(QError::type_()),
            };
            if places.len() != n || !matches!(v.data, Data::Bool(_)) {
                scope.narrow(places);
            }
        }
        Value::List(l) if l.is_empty() && n == 0 => {}
        Value::List(l) => {
            // A list of booleans that was not collapsed, as `each` over no rows may give.
            if l.len() != n {
                return Err(QError::length());
            }
            let counts =
                l.iter().map(Value::as_int).collect::<Option<Vec<i64>>>().ok_or_else(QError::type_)?;
            scope.narrow(counted(counts.into_iter()));
        }
        atom => {
            if atom.as_int().ok_or_else(QError::type_)? == 0 {
                scope.narrow(Vec::new());
            }
        }
    }
    Ok(())
}

/// The places of set bits, without a branch per bit.
pub fn set_places(bits: &[bool]) -> Vec<u32> {
    let count = bits.iter().map(|&b| usize::from(b)).sum();
    let mut out = vec![0u32; count + 1];
    let mut at = 0;
    for (i, &b) in bits.iter().enumerate() {
        out[at] = i as u32;
        at += usize::from(b);
    }
    out.truncate(count);
    out
}

fn counted(counts: impl Iterator<Item = i64>) -> Vec<u32> {
    let mut out = Vec::new();
    for (i, c) in counts.enumerate() {
        for _ in 0..c.clamp(0, 1 << 20) {
            out.push(i as u32);
        }
    }
    out
}
