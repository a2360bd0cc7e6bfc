//! Partials to one answer: the aggregation function of getData.
//!
//! Rows that need no look are joined as bytes ([`crate::raze`]); where the limit cuts only the partials it cuts
//! are decoded. States of groups are merged in the order of the portions, finished, and put in ascending order
//! of their groups. Tests: `tests/oracle.rs`, `tests/portions.rs`.

use bytes::Bytes;
use kernels::{aggregate, sort, take::take_rows};
use kvalue::{Symbols, Table, Value};
use qipc::Limits;
use sg::Failure;

use crate::{
    failure, finalize, groups,
    partial::States,
    query::{Fill, Query},
    raze,
    wire::{self, Segments},
};

/// An answer.
#[derive(Debug, Clone)]
pub struct Merged {
    /// The result, one QIPC object in segments.
    pub segments: Segments,
    /// True where the request's limit left rows out (`limitApplied`).
    pub limit_applied: bool,
}

impl Merged {
    /// The result as one run of bytes.
    pub fn object(&self) -> Bytes {
        wire::joined(&self.segments)
    }

    /// The result decoded.
    pub fn value(&self) -> Result<Value, Failure> {
        qipc::decode(self.object(), &Limits::internal()).map_err(failure::decode)
    }
}

/// Merges the partials of a request, given in the order of their portions: by label set, then time.
pub fn merge(query: &Query, partials: Vec<Bytes>) -> Result<Merged, Failure> {
    if partials.is_empty() {
        return Ok(Merged { segments: raze::raze(partials)?, limit_applied: false });
    }
    if !query.is_rows() {
        return of_groups(query, &partials);
    }
    if query.fill == Some(Fill::Forward) || !query.sort_cols.is_empty() {
        return of_decoded(query, &partials);
    }
    of_rows(query, partials)
}

/// As [`merge`], but the portions' answers concatenated, as q's raze joins partials of getData. Groups and order hold
/// within a portion; the limit holds for the whole answer.
pub fn merge_by_portion(query: &Query, partials: Vec<Bytes>) -> Result<Merged, Failure> {
    if partials.is_empty() {
        return merge(query, partials);
    }
    let limits = Limits::internal();
    let whole = Query { limit: None, ..query.clone() };
    let tables = partials
        .into_iter()
        .map(|partial| decode(&merge(&whole, vec![partial])?.object(), &limits))
        .collect::<Result<Vec<_>, _>>()?;
    let joined = raze::join_tables(&tables.iter().collect::<Vec<_>>())?;
    let window = query.limit.map_or(0..joined.len(), |limit| limit.window(joined.len()));
    let cut = window.len() < joined.len();
    encoded((joined.slice(window), cut))
}

/// Rows as they are.
fn of_rows(query: &Query, partials: Vec<Bytes>) -> Result<Merged, Failure> {
    let limits = Limits::internal();
    let Some(limit) = query.limit else {
        return Ok(Merged { segments: raze::tables_or_one(partials, &limits)?, limit_applied: false });
    };
    let mut rows = Vec::with_capacity(partials.len());
    for partial in &partials {
        rows.push(qipc::table_view(partial, &limits).map_err(failure::decode)?.rows() as usize);
    }
    let total = rows.iter().sum();
    let window = limit.window(total);
    if window.len() == total {
        return Ok(Merged { segments: raze::tables_or_one(partials, &limits)?, limit_applied: false });
    }
    let mut kept = Vec::with_capacity(partials.len());
    let mut start = 0;
    for (partial, rows) in partials.into_iter().zip(rows) {
        let wanted =
            window.start.clamp(start, start + rows) - start..window.end.clamp(start, start + rows) - start;
        start += rows;
        if wanted.len() == rows {
            kept.push(partial);
            continue;
        }
        let table = decode(&partial, &limits)?.slice(wanted);
        kept.push(qipc::encode(&Value::from(table)).map_err(failure::encode)?);
    }
    Ok(Merged { segments: raze::tables_or_one(kept, &limits)?, limit_applied: true })
}

/// Rows that have to be looked into.
fn of_decoded(query: &Query, partials: &[Bytes]) -> Result<Merged, Failure> {
    let limits = Limits::internal();
    let tables = partials.iter().map(|p| decode(p, &limits)).collect::<Result<Vec<_>, _>>()?;
    let joined = raze::join_tables(&tables.iter().collect::<Vec<_>>())?;
    encoded(finalize::finalize(query, joined, query.converts_in_portions())?)
}

fn decode(partial: &Bytes, limits: &Limits) -> Result<Table, Failure> {
    match qipc::decode(partial.clone(), limits).map_err(failure::decode)? {
        Value::Table(table) => Ok((*table).clone()),
        other => Err(failure::malformed(format!("it is a {} where a table is needed", other.type_name()))),
    }
}

fn encoded((table, limit_applied): (Table, bool)) -> Result<Merged, Failure> {
    let segments = vec![qipc::encode(&Value::from(table)).map_err(failure::encode)?];
    Ok(Merged { segments, limit_applied })
}

fn of_groups(query: &Query, partials: &[Bytes]) -> Result<Merged, Failure> {
    let limits = Limits::internal();
    let mut all = Vec::with_capacity(partials.len());
    for partial in partials {
        let value = qipc::decode(partial.clone(), &limits).map_err(failure::decode)?;
        all.push(States::from_value(&value)?);
    }
    let first = all[0].clone();
    if let Some(odd) = all.iter().find(|s| !s.agrees_with(&first)) {
        let names =
            |s: &States| s.keys.iter().chain(&s.names).map(kvalue::Sym::as_bytes).collect::<Symbols>();
        return Err(raze::mismatch(&names(&first), &names(odd)));
    }
    // A source whose column has another type cannot be merged with the others.
    for other in &all[1..] {
        if let Some(i) = (0..first.inputs.len()).find(|&i| first.inputs[i] != other.inputs[i]) {
            return Err(Failure::new(
                sg::Rc::APP,
                sg::Ac::TYPE,
                format!(
                    "`{}` is of {} in one source and of {} in another: ask for one label set",
                    first.names[i],
                    types(&first.inputs[i]),
                    types(&other.inputs[i])
                ),
            ));
        }
    }
    let parts = all.into_iter().map(|s| s.part).collect::<Vec<_>>();
    let part = match parts.len() {
        1 => first.part.clone(),
        _ => groups::merge(parts, &first.functions)?,
    };
    let mut columns = part.keys.clone();
    for ((function, state), inputs) in first.functions.iter().zip(&part.states).zip(&first.inputs) {
        let column = aggregate::finish(*function, state, inputs).map_err(failure::kernel)?;
        columns.push(without_missing(column));
    }
    if !part.keys.is_empty() {
        let order = sort::iasc(&part.keys, &[]).map_err(failure::kernel)?;
        columns = columns.iter().map(|c| take_rows(c, &order)).collect();
    }
    let names: Symbols = first.keys.iter().chain(&first.names).map(kvalue::Sym::as_bytes).collect();
    let table = Table::new(names, columns).map_err(failure::malformed)?;
    encoded(finalize::finalize(query, table, false)?)
}

/// The first or last of no lists is the empty list, as in q, where the kernel says that there is none.
fn without_missing(column: Value) -> Value {
    match &column {
        Value::List(l) if l.items().contains(&Value::Null) => {
            let present = |item: &Value| match item {
                Value::Null => Value::list([]),
                other => other.clone(),
            };
            Value::list(l.items().iter().map(present).collect::<Vec<_>>())
        }
        _ => column,
    }
}

fn types(inputs: &[Option<kvalue::Type>]) -> String {
    inputs.iter().map(|ty| ty.map_or("mixed list", kvalue::Type::name)).collect::<Vec<_>>().join(" and ")
}
