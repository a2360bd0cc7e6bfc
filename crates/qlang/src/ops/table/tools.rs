//! `.Q.ft`, `.Q.fk`, `.Q.fu`, `.Q.fc`: functions on tables and columns.

use super::{
    names::{columns_of, named, rekey},
    shape::with_attr,
};
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, Dict, Groups, Sym, Value},
};

fn pair(args: Vec<Value>) -> R<[Value; 2]> {
    <[Value; 2]>::try_from(args).map_err(|_| QError::rank())
}

/// `.Q.ft[f;t]`: `f` on the table without its keys; the answer is keyed as the table was.
pub fn ft(ctx: &mut dyn Ctx, args: Vec<Value>) -> R {
    let [f, t] = pair(args)?;
    let t = named(ctx, t)?;
    let (table, keys) = columns_of(&t)?;
    let answer = ctx.apply(&f, vec![Value::Table(table)])?;
    if keys == 0 {
        return Ok(answer);
    }
    let (answer, _) = columns_of(&answer)?;
    Ok(rekey(std::sync::Arc::unwrap_or_clone(answer), keys))
}

/// `.Q.fk t`: column names and the keyed tables they point into.
pub fn fk(ctx: &mut dyn Ctx, args: Vec<Value>) -> R {
    let Some(t) = args.into_iter().next() else { return Err(QError::rank()) };
    let t = named(ctx, t)?;
    let (table, _) = columns_of(&t)?;
    let mut names = Vec::new();
    let mut domains: Vec<Sym> = Vec::new();
    for (name, column) in table.names.iter().zip(&table.columns) {
        if let Value::Vector(v) = column
            && let Data::Enum(d, _) = &v.data
            && ctx.global(d.name).is_some_and(|g| g.as_keyed().is_some() || matches!(g, Value::Table(_)))
        {
            names.push(*name);
            domains.push(d.name);
        }
    }
    Ok(Value::dict(Dict::new(Value::syms(names), Value::syms(domains))?))
}

/// `.Q.fu[f;x]`: `f` on the distinct items of `x`, each answer at the items' places.
pub fn fu(ctx: &mut dyn Ctx, args: Vec<Value>) -> R {
    let [f, x] = pair(args)?;
    if !x.is_list() {
        return ctx.apply(&f, vec![x]);
    }
    let groups = Groups::of_column(&x);
    let answer = ctx.apply(&f, vec![x.gather(&groups.firsts)])?;
    if answer.count() != groups.len() || answer.is_atom() {
        return Err(QError::length());
    }
    Ok(with_attr(answer.gather(&groups.ids), kvalue::Attr::None))
}

/// `.Q.fc[f;x]`: `f` on parts of `x`, the answers end to end.
pub fn fc(ctx: &mut dyn Ctx, args: Vec<Value>) -> R {
    let [f, x] = pair(args)?;
    ctx.apply(&f, vec![x])
}
