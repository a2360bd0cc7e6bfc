//! `(f;x) fby g`: an aggregate by group for each row.

use crate::{
    QError, R,
    ctx::Ctx,
    value::{Groups, Value},
};

use super::{aggregate::grouped, grouping::as_column};

/// `(f;data) fby groups`: `f` of the data of each group, for each row. Groups and data may be tables.
pub fn fby(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let items = x.items();
    let [f, data] = &items[..] else { return Err(QError::length()) };
    let n = y.count();
    if y.is_atom() || data.is_atom() {
        return Err(QError::rank());
    }
    if data.count() != n {
        return Err(QError::length());
    }
    let y = match y {
        Value::Mapped(m) => m.load()?,
        y => y,
    };
    let groups = Groups::of(&[&y], n);
    if groups.is_empty() {
        return Ok(data.slice(0, 0));
    }
    if let Value::Prim(p) = f
        && let Some(v) = grouped(p.word, std::slice::from_ref(data), &groups)
    {
        return Ok(v?.gather(&groups.ids));
    }
    let (rows, starts) = groups.sorted_rows();
    let sorted = data.gather(&rows);
    let mut values = Vec::with_capacity(groups.len());
    for w in starts.windows(2) {
        ctx.check()?;
        let part = sorted.slice(w[0] as usize, (w[1] - w[0]) as usize);
        values.push(ctx.apply(f, vec![part])?);
    }
    if values.iter().all(|v| !v.is_list() && !matches!(v, Value::Table(_))) {
        return Ok(Value::from_items(values).gather(&groups.ids));
    }
    let mut joined = Value::empty_list();
    for (value, w) in values.into_iter().zip(starts.windows(2)) {
        joined = joined.append(&as_column(value, (w[1] - w[0]) as usize)?);
    }
    let mut back = vec![0u32; n];
    for (k, &row) in rows.iter().enumerate() {
        back[row as usize] = k as u32;
    }
    Ok(joined.gather(&back))
}
