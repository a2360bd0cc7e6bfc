//! `fills`: nulls replaced by what stands before them.

use std::sync::Arc;

use kvalue::{
    Attr, Type,
    types::{NULL_INT, NULL_LONG, NULL_SHORT},
};

use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, Dict, Element, Sym, Table, Value},
};

/// `fills x`: lists item by item, tables by column, general lists as `^\` does.
pub(super) fn fills(ctx: &mut dyn Ctx, x: Value) -> R {
    match x {
        Value::Vector(mut v) => {
            let ty = v.ty;
            let own = Arc::make_mut(&mut v);
            own.attr = Attr::None;
            match &mut own.data {
                Data::Bool(_) => {}
                Data::Guid(d) => carry(d.to_mut(), |g| *g == [0; 16]),
                Data::U8(d) if ty == Type::Char => carry(d.to_mut(), |b| *b == b' '),
                Data::U8(_) => {}
                Data::I16(d) => carry(d.to_mut(), |n| *n == NULL_SHORT),
                Data::I32(d) => carry(d.to_mut(), |n| *n == NULL_INT),
                Data::I64(d) => carry(d.to_mut(), |n| *n == NULL_LONG),
                Data::F32(d) => carry(d.to_mut(), |x| x.is_nan()),
                Data::F64(d) => carry(d.to_mut(), |x| x.is_nan()),
                Data::Sym(d) => carry(d.to_mut(), |s| s.is_null()),
                Data::Enum(domain, d) => {
                    let n =
                        if matches!(domain.list, Value::Nil) { i64::MAX } else { domain.list.count() as i64 };
                    carry(d.to_mut(), |c| *c < 0 || *c >= n);
                }
            }
            Ok(Value::Vector(v))
        }
        Value::List(l) if !l.is_empty() => {
            let fill = ctx.lookup(Sym::new("^")).ok_or_else(QError::nyi)?;
            let mut out: Vec<Value> = Vec::with_capacity(l.len());
            for item in l.iter() {
                ctx.check()?;
                let next = match out.last() {
                    Some(before) => ctx.apply(&fill, vec![before.clone(), item.clone()])?,
                    None => item.clone(),
                };
                out.push(next);
            }
            Ok(Value::from_items(out))
        }
        Value::Dict(d) => {
            let values = fills(ctx, d.values.clone())?;
            Ok(Value::dict(Dict { keys: d.keys.clone(), values, sorted: d.sorted }))
        }
        Value::Table(t) => {
            let columns = t.columns.iter().map(|c| fills(ctx, c.clone())).collect::<R<Vec<Value>>>()?;
            Ok(Value::table(Table { names: t.names.clone(), columns, sorted: t.sorted }))
        }
        Value::Mapped(m) => fills(ctx, m.load()?),
        x => Ok(x),
    }
}

fn carry<T: Element>(items: &mut [T], is_null: impl Fn(&T) -> bool) {
    for i in 1..items.len() {
        if is_null(&items[i]) {
            items[i] = items[i - 1];
        }
    }
}
