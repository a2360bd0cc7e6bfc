//! Running a bound query on one portion of the data.
//!
//! Rules: only the columns and blocks that are needed are touched; between two windows of rows it is asked
//! whether to go on; a block is checked after the last look at its rows; a limit that each portion may apply ends
//! the work early. Tests: `tests/oracle.rs`, `tests/naive`.

use kernels::{Interrupt, Selection, fill, sort, take::take};
use kvalue::{Sym, Type, Value};
use sg::{Failure, TimeRange};

use crate::{
    bind::{Bound, Plan},
    chunk::Chunk,
    failure, finalize,
    groups::Groups,
    merge::{self, Merged},
    partial::States,
    query::{Fill, Limit, Query},
    select,
    source::{Block, Source},
    wire::{self, Segments},
};

/// Runs the query on the rows of `portion`: the encoded partial, as segments of one QIPC object.
pub fn execute(
    bound: &Bound<'_>,
    source: &dyn Source,
    portion: TimeRange,
    interrupt: &dyn Interrupt,
) -> Result<Segments, Failure> {
    let range = bound.query.range.intersect(portion);
    let timeless = bound.schema.time.is_none() && bound.schema.partition.is_none();
    let range = match range {
        // A table without time belongs to every range that has an instant.
        _ if timeless && !bound.query.range.is_empty() => Some(TimeRange::ALL),
        range => range,
    };
    let blocks = range.map_or_else(|| Ok(Vec::new()), |range| source.blocks(range))?;
    let range = range.unwrap_or(bound.query.range);
    match &bound.plan {
        Plan::Rows(columns) => rows(bound, columns, &blocks, range, interrupt),
        Plan::Groups { keys, aggregates } => {
            let mut groups = Groups::new(keys, aggregates);
            for block in &blocks {
                interrupt.check().map_err(failure::cancelled)?;
                let Some(work) = select::prepare(bound, &**block, range)? else { continue };
                for window in work.windows() {
                    interrupt.check_rows(window.len()).map_err(failure::cancelled)?;
                    let (chunk, selection) = work.select(window)?;
                    if !selection.is_empty() {
                        groups.add(&chunk, &selection)?;
                    }
                }
            }
            let part = groups.finish()?;
            let keys: Vec<Sym> = keys.iter().map(|(name, _)| name.clone()).collect();
            let value = States::new(&keys, aggregates, part).to_value()?;
            let encoded = qipc::encode(&value).map_err(failure::encode)?;
            blocks.iter().try_for_each(|b| b.check())?;
            Ok(vec![encoded])
        }
    }
}

/// Runs the query over all of a source and merges: what one process answers when it is asked alone.
pub fn execute_whole(
    bound: &Bound<'_>,
    source: &dyn Source,
    interrupt: &dyn Interrupt,
) -> Result<Merged, Failure> {
    let partial = execute(bound, source, TimeRange::ALL, interrupt)?;
    merge::merge(bound.query, vec![wire::joined(&partial)])
}

/// Rows in stored order, from either end.
fn rows(
    bound: &Bound<'_>,
    columns: &[(&Sym, &Sym, Option<Type>)],
    blocks: &[Box<dyn Block>],
    range: TimeRange,
    interrupt: &dyn Interrupt,
) -> Result<Segments, Failure> {
    let limit = bound.query.portion_limit();
    let (mut missing, backwards) = match limit {
        None => (usize::MAX, false),
        Some(Limit::First { count, .. }) => (count, false),
        Some(Limit::Last(count)) => (count, true),
    };
    let mut found = wire::Columns::new(columns.iter().map(|(_, _, ty)| *ty));
    let mut order: Vec<&Box<dyn Block>> = blocks.iter().collect();
    if backwards {
        order.reverse();
    }
    'blocks: for block in order {
        interrupt.check().map_err(failure::cancelled)?;
        let Some(work) = select::prepare(bound, &**block, range)? else { continue };
        let mut windows = work.windows();
        if backwards {
            windows.reverse();
        }
        for window in windows {
            interrupt.check_rows(window.len()).map_err(failure::cancelled)?;
            let (chunk, selection) = work.select(window)?;
            let selection = match backwards {
                _ if selection.len() <= missing => selection,
                false => selection.first(missing),
                true => selection.last(missing),
            };
            let selection = top(bound, columns, &chunk, selection)?;
            if selection.is_empty() {
                continue;
            }
            for (column, (new, name, _)) in columns.iter().enumerate() {
                let rows = take(&chunk.glance(name)?, &selection);
                found.push(column, &finished(bound.query, new, rows))?;
            }
            missing -= selection.len();
            if missing == 0 {
                break 'blocks;
            }
        }
    }
    if backwards {
        found.reverse();
    }
    let segments = found.table(columns.iter().map(|(new, _, _)| new.as_bytes()));
    blocks.iter().try_for_each(|b| b.check())?;
    Ok(segments)
}

/// The rows that can be among those that a limit leaves of the sorted answer, in stored order.
fn top(
    bound: &Bound<'_>,
    columns: &[(&Sym, &Sym, Option<Type>)],
    chunk: &Chunk<'_>,
    selection: Selection,
) -> Result<Selection, Failure> {
    let Some(limit) = bound.query.portion_top() else { return Ok(selection) };
    let window = limit.window(selection.len());
    if window.len() == selection.len() {
        return Ok(selection);
    }
    let mut keys = Vec::with_capacity(bound.query.sort_cols.len());
    for wanted in &bound.query.sort_cols {
        // Sort columns were found among the result's when the query was bound.
        if let Some((new, name, _)) = columns.iter().find(|(new, _, _)| *new == wanted) {
            keys.push(finished(bound.query, new, take(&chunk.column(name)?, &selection)));
        }
    }
    let order = sort::iasc(&keys, &[]).map_err(failure::kernel)?;
    let rows = selection.to_rows();
    let mut kept: Vec<u32> = order[window].iter().map(|&at| rows[at as usize]).collect();
    kept.sort_unstable();
    Ok(Selection::Rows(kept))
}

/// Fill and time zone, applied per portion, so that the merge does not read the rows.
fn finished(query: &Query, name: &Sym, column: Value) -> Value {
    let column = match query.fill {
        Some(Fill::Zero) => fill::zero(&column),
        _ => column,
    };
    match query.converts_in_portions() {
        true => finalize::localised(query, name, column),
        false => column,
    }
}
