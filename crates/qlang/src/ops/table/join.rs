//! Joins by equal keys: lj, ij, pj, uj, ej and those that keep what nulls would overwrite.

use std::sync::Arc;

use super::{
    insert::upsert_value,
    lookup::{match_rows, nulls_of, put_rows, shared_groups},
    names::{columns_of, named, positions, rekey, symbols},
};
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Data, NO_ROW, Sym, Table, Value},
};

/// Columns of `x` that `y`'s keys name, and `y`'s keys and values.
struct Keyed {
    x: Arc<Table>,
    keys: usize,
    rows: Vec<u32>,
    values: Arc<Table>,
}

fn keyed(ctx: &mut dyn Ctx, x: Value, y: Value) -> R<Keyed> {
    let x = named(ctx, x)?;
    let y = named(ctx, y)?;
    let (k, values) = y.as_keyed().ok_or_else(QError::type_)?;
    let (x, keys) = columns_of(&x)?;
    let at = positions(&x, &k.names)?;
    let outer: Vec<&Value> = at.iter().map(|&i| &x.columns[i]).collect();
    let inner: Vec<&Value> = k.columns.iter().collect();
    let rows = match_rows(&outer, &inner);
    let values = values.clone();
    Ok(Keyed { x, keys, rows, values })
}

/// What becomes of a column that both have where the row is found.
#[derive(Clone, Copy, PartialEq)]
enum Common {
    /// the right one's value
    Take,
    /// the right one's value unless it is null
    Fill,
}

/// The left table's columns with the right one's at these rows.
pub(super) fn attach(x: &Table, values: &Table, rows: &[u32], fill: bool) -> R<Table> {
    let mut names = x.names.to_vec();
    let mut columns = x.columns.clone();
    let all = !rows.contains(&NO_ROW);
    for (name, column) in values.names.iter().zip(&values.columns) {
        let fresh = column.gather(rows);
        match names.iter().position(|n| n == name) {
            Some(at) => {
                if all && !fill {
                    columns[at] = fresh;
                    continue;
                }
                let missing = fill.then(|| nulls_of(&fresh));
                let places: Vec<u32> = rows
                    .iter()
                    .enumerate()
                    .map(|(i, &r)| {
                        let keep = r == NO_ROW || missing.as_ref().is_some_and(|m| m[i]);
                        if keep { NO_ROW } else { i as u32 }
                    })
                    .collect();
                let own = std::mem::replace(&mut columns[at], Value::Nil);
                columns[at] = put_rows(own, &places, &fresh);
            }
            None => {
                names.push(*name);
                columns.push(fresh);
            }
        }
    }
    Table::new(names, columns)
}

fn left(ctx: &mut dyn Ctx, x: Value, y: Value, common: Common) -> R {
    // A list of tables on the left joins each.
    let j = keyed(ctx, x, y)?;
    Ok(rekey(attach(&j.x, &j.values, &j.rows, common == Common::Fill)?, j.keys))
}

/// `x lj y`: `x` with the values of `y` where the key is there.
pub fn lj(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    left(ctx, x, y, Common::Take)
}

/// As [`lj`], but nulls of `y` do not overwrite.
pub fn ljf(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    left(ctx, x, y, Common::Fill)
}

fn inner(ctx: &mut dyn Ctx, x: Value, y: Value, common: Common) -> R {
    let j = keyed(ctx, x, y)?;
    let found: Vec<u32> = (0..j.rows.len() as u32).filter(|&i| j.rows[i as usize] != NO_ROW).collect();
    let rows: Vec<u32> = found.iter().map(|&i| j.rows[i as usize]).collect();
    let columns = j.x.columns.iter().map(|c| c.gather(&found)).collect();
    let x = Table { names: j.x.names.clone(), columns, sorted: false };
    Ok(rekey(attach(&x, &j.values, &rows, common == Common::Fill)?, j.keys))
}

/// `x ij y`: the rows of `x` whose key is in `y`, with its values.
pub fn ij(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    inner(ctx, x, y, Common::Take)
}

/// As [`ij`], but nulls of `y` do not overwrite.
pub fn ijf(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    inner(ctx, x, y, Common::Fill)
}

/// `x pj y`: the values of `y` are added, 0 where the key is not there.
pub fn pj(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    let j = keyed(ctx, x, y)?;
    let mut names = j.x.names.to_vec();
    let mut columns = j.x.columns.clone();
    for (name, column) in j.values.names.iter().zip(&j.values.columns) {
        let fresh = zeros(column.gather(&j.rows), &j.rows);
        match names.iter().position(|n| n == name) {
            Some(at) => columns[at] = plus(&columns[at], &fresh)?,
            None => {
                names.push(*name);
                columns.push(fresh);
            }
        }
    }
    Ok(rekey(Table::new(names, columns)?, j.keys))
}

/// Zero in place of what a missing row gave, and of nulls.
fn zeros(column: Value, _rows: &[u32]) -> Value {
    let missing = nulls_of(&column);
    if !missing.contains(&true) {
        return column;
    }
    let Value::Vector(mut v) = column else { return column };
    let own = Arc::make_mut(&mut v);
    macro_rules! fill {
        ($items:expr, $zero:expr) => {
            $items.to_mut().iter_mut().zip(&missing).for_each(|(x, &m)| {
                if m {
                    *x = $zero;
                }
            })
        };
    }
    match &mut own.data {
        Data::I16(x) => fill!(x, 0),
        Data::I32(x) => fill!(x, 0),
        Data::I64(x) => fill!(x, 0),
        Data::F32(x) => fill!(x, 0.0),
        Data::F64(x) => fill!(x, 0.0),
        _ => {}
    }
    Value::Vector(v)
}

/// Sums of two numeric columns, of the wider type; nulls stay null.
fn plus(x: &Value, y: &Value) -> R {
    let (Value::Vector(a), Value::Vector(b)) = (x, y) else { return Err(QError::type_()) };
    let n = a.len();
    let ints = |v: &crate::value::Vector| (0..n).map(|i| v.at(i).as_int()).collect::<Option<Vec<i64>>>();
    let null = kvalue::types::NULL_LONG;
    match (&a.data, &b.data) {
        (Data::I64(p), Data::I64(q)) => {
            let sum = |(&p, &q): (&i64, &i64)| if p == null || q == null { null } else { p.wrapping_add(q) };
            Ok(Value::vector(a.ty, Data::I64(p.iter().zip(q.iter()).map(sum).collect())))
        }
        (Data::F64(p), Data::F64(q)) => {
            Ok(Value::floats(p.iter().zip(q.iter()).map(|(p, q)| p + q).collect()))
        }
        (Data::F64(_) | Data::F32(_), _) | (_, Data::F64(_) | Data::F32(_)) => {
            let number = |v: &crate::value::Vector, i| v.at(i).as_number().ok_or_else(QError::type_);
            (0..n).map(|i| Ok(number(a, i)? + number(b, i)?)).collect::<R<Vec<f64>>>().map(Value::floats)
        }
        _ => {
            let (p, q) = (ints(a).ok_or_else(QError::type_)?, ints(b).ok_or_else(QError::type_)?);
            let sums: Vec<i64> = p
                .iter()
                .zip(&q)
                .map(|(&p, &q)| if p == null || q == null { null } else { p.wrapping_add(q) })
                .collect();
            let small = |ty: kvalue::Type| !matches!(ty, kvalue::Type::Long);
            if small(a.ty) && small(b.ty) {
                let narrow = |x: i64| if x == null { kvalue::types::NULL_INT } else { x as i32 };
                return Ok(Value::vector(
                    kvalue::Type::Int,
                    Data::I32(sums.into_iter().map(narrow).collect()),
                ));
            }
            Ok(Value::longs(sums))
        }
    }
}

/// `x uj y`: rows of both, with the columns of both; keyed tables update.
pub fn uj(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    union(ctx, x, y, false)
}

/// As [`uj`], but nulls of `y` do not overwrite.
pub fn ujf(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    union(ctx, x, y, true)
}

fn union(ctx: &mut dyn Ctx, x: Value, y: Value, fill: bool) -> R {
    let x = named(ctx, x)?;
    let y = named(ctx, y)?;
    let (a, keys) = columns_of(&x)?;
    let (b, other) = columns_of(&y)?;
    if keys == 0 && other == 0 {
        return Ok(Value::table(stack(&a, &b)?));
    }
    if keys != other || a.names[..keys].iter().any(|k| !b.names[..keys].contains(k)) {
        return Err(QError::mismatch());
    }
    // The rows whose key is there are replaced column by column, the rest is added.
    let at = positions(&b, &a.names[..keys])?;
    let outer: Vec<&Value> = at.iter().map(|&i| &b.columns[i]).collect();
    let inner: Vec<&Value> = a.columns[..keys].iter().collect();
    let rows = match_rows(&outer, &inner);
    let n = a.len();
    let mut wide = a.clone();
    let own = Arc::make_mut(&mut wide);
    for (name, column) in b.names.iter().zip(&b.columns) {
        if own.position(*name).is_none() {
            own.names = own.names.iter().copied().chain([*name]).collect();
            own.columns.push(column.nulls(n));
        }
    }
    let old: Vec<u32> = (0..rows.len() as u32).filter(|&i| rows[i as usize] != NO_ROW).collect();
    let new: Vec<u32> = (0..rows.len() as u32).filter(|&i| rows[i as usize] == NO_ROW).collect();
    for (name, column) in b.names.iter().zip(&b.columns).filter(|(n, _)| !a.names[..keys].contains(n)) {
        let Some(at) = own.position(*name) else { continue };
        let fresh = column.gather(&old);
        let missing = nulls_of(&fresh);
        let places: Vec<u32> = old
            .iter()
            .enumerate()
            .map(|(k, &i)| if fill && missing[k] { NO_ROW } else { rows[i as usize] })
            .collect();
        let column = std::mem::replace(&mut own.columns[at], Value::Nil);
        own.columns[at] = put_rows(column, &places, &fresh);
    }
    let added = b.columns.iter().map(|c| c.gather(&new)).collect();
    let added = Table { names: b.names.clone(), columns: added, sorted: false };
    let base = rekey(Arc::unwrap_or_clone(wide), keys);
    let (base_table, _) = columns_of(&base)?;
    let full = stack(
        &Table { names: base_table.names.clone(), columns: Vec::new(), sorted: false }.shaped(&base_table),
        &added,
    )?;
    upsert_value(base, rekey(full, keys))
}

impl Table {
    /// No rows of a table's columns.
    fn shaped(self, like: &Table) -> Table {
        Table {
            names: self.names,
            columns: like.columns.iter().map(|c| c.slice(0, 0)).collect(),
            sorted: false,
        }
    }
}

/// Rows of two tables, with the columns of both, nulls where one has none.
pub fn stack(a: &Table, b: &Table) -> R<Table> {
    let (m, n) = (a.len(), b.len());
    let mut names: Vec<Sym> = a.names.to_vec();
    let mut columns = Vec::with_capacity(names.len());
    for (name, column) in a.names.iter().zip(&a.columns) {
        let below = b.column(*name).cloned().unwrap_or_else(|| column.nulls(n));
        columns.push(column.clone().plain().append(&below));
    }
    for (name, column) in b.names.iter().zip(&b.columns) {
        if a.position(*name).is_none() {
            names.push(*name);
            columns.push(column.nulls(m).append(column));
        }
    }
    Table::new(names, columns)
}

/// `ej[c;x;y]`: every pair of rows with the same values of columns `c`.
pub fn ej(ctx: &mut dyn Ctx, args: Vec<Value>) -> R {
    let [c, x, y] = <[Value; 3]>::try_from(args).map_err(|_| QError::rank())?;
    let names = symbols(&c)?;
    let x = named(ctx, x)?;
    let y = named(ctx, y)?;
    let (a, _) = columns_of(&x)?;
    let (b, _) = columns_of(&y)?;
    let outer: Vec<&Value> = positions(&a, &names)?.iter().map(|&i| &a.columns[i]).collect();
    let inner: Vec<&Value> = positions(&b, &names)?.iter().map(|&i| &b.columns[i]).collect();
    let n = b.len();
    let groups = shared_groups(&outer, &inner);
    let (rows, starts) =
        crate::value::Groups { ids: groups.ids[..n].to_vec(), firsts: groups.firsts.clone() }.sorted_rows();
    let (mut from_a, mut from_b) = (Vec::new(), Vec::new());
    for (i, &id) in groups.ids[n..].iter().enumerate() {
        let hits = &rows[starts[id as usize] as usize..starts[id as usize + 1] as usize];
        from_a.extend(std::iter::repeat_n(i as u32, hits.len()));
        from_b.extend_from_slice(hits);
        if i % 4096 == 0 {
            ctx.reserve(from_a.len() * 8)?;
        }
    }
    let columns = a.columns.iter().map(|c| c.gather(&from_a)).collect();
    let left = Table { names: a.names.clone(), columns, sorted: false };
    let keep: Vec<usize> = (0..b.names.len()).filter(|&i| !names.contains(&b.names[i])).collect();
    let right = Table {
        names: keep.iter().map(|&i| b.names[i]).collect(),
        columns: keep.iter().map(|&i| b.columns[i].clone()).collect(),
        sorted: false,
    };
    Ok(Value::table(attach(&left, &right, &from_b, false)?))
}
