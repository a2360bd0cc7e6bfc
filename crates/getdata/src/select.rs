//! The rows of a block that a query wants, window by window.
//!
//! The order of work: conditions on the partition first (they touch nothing), then the index of a parted column,
//! then time, then the other conditions from left to right, each on what the ones before left over.

use std::{borrow::Cow, ops::Range};

use kernels::{
    Selection,
    compare::{self, Op},
    error::BLOCK_ROWS,
};
use kvalue::{Atom, Sym, Type, Value, Vector};
use sg::{Failure, TimeRange};

use crate::{
    bind::Bound,
    chunk::Chunk,
    failure,
    query::Filter,
    source::{Block, Parts},
    time_range::{self, Cut},
};

/// Runs of rows closer than this are read as one.
const GAP_ROWS: usize = 1 << 14;
/// So many times are read as fast as one: from here on a range of times is searched in memory.
const CLOSE_ROWS: usize = 1 << 11;

/// What is left to do in a block.
pub(crate) struct Work<'a> {
    bound: &'a Bound<'a>,
    block: &'a dyn Block,
    partition: Option<Atom>,
    cut: Cut,
    filter: Filter,
    candidates: Selection,
}

/// Prepares a block; `None` where no row of it can be wanted.
pub(crate) fn prepare<'a>(
    bound: &'a Bound<'a>,
    block: &'a dyn Block,
    range: TimeRange,
) -> Result<Option<Work<'a>>, Failure> {
    let schema = bound.schema;
    let time = schema.time.as_ref();
    let timeless = time.is_none() && schema.partition.is_none();
    let cut = match timeless {
        true => Cut::All,
        false => {
            let ty = time.and_then(|name| schema.kind(name)).and_then(|kind| kind.basic());
            time_range::cut(ty, block.time_range(), range)
        }
    };
    if cut == Cut::None || bound.query.slice.is_some() && time.is_none() {
        return Ok(None);
    }
    let partition = block.partition();
    let filter = match bound.filters_partitions {
        true => Cow::Owned(for_partition(&bound.filter, bound, partition.as_ref())?),
        false => Cow::Borrowed(&bound.filter),
    };
    if is_never(&filter) {
        return Ok(None);
    }
    let mut candidates = Selection::All(block.rows()?);
    let mut left = Vec::new();
    by_parts(&filter, block, &mut candidates, &mut left)?;
    if candidates.is_empty() {
        return Ok(None);
    }
    let mut work = Work { bound, block, partition, cut, filter: Filter::All(left), candidates };
    if let (Cut::Between(from, to), Some(time), Selection::All(rows)) = (&work.cut, time, &work.candidates)
        && block.is_time_sorted()
    {
        // Once for the block, not once for each window of it.
        let narrowed = work.narrowed(0..*rows, time, from.as_ref(), to.as_ref())?;
        work.candidates = Selection::range(narrowed.rows);
    }
    Ok((!work.candidates.is_empty()).then_some(work))
}

/// The filter with its conditions on the virtual column decided.
fn for_partition(filter: &Filter, bound: &Bound<'_>, partition: Option<&Atom>) -> Result<Filter, Failure> {
    let each = |all: &[Filter]| -> Result<Vec<Filter>, Failure> {
        all.iter().map(|f| for_partition(f, bound, partition)).collect()
    };
    Ok(match filter {
        Filter::All(all) => {
            let all = each(all)?;
            if all.iter().any(is_never) {
                return Ok(Filter::Any(Vec::new()));
            }
            Filter::All(all.into_iter().filter(|f| !f.is_none()).collect())
        }
        Filter::Any(any) => {
            let any = each(any)?;
            if any.iter().any(Filter::is_none) {
                return Ok(Filter::none());
            }
            Filter::Any(any.into_iter().filter(|f| !is_never(f)).collect())
        }
        Filter::Not(not) => match for_partition(not, bound, partition)? {
            inner if inner.is_none() => Filter::Any(Vec::new()),
            inner if is_never(&inner) => Filter::none(),
            inner => Filter::Not(Box::new(inner)),
        },
        Filter::Condition { op, column, operand } => match partition {
            Some(atom) if bound.schema.is_virtual(column) => {
                let value = Value::Vector(Vector::repeat(atom, 1));
                let holds = compare::select(&value, *op, operand, &Selection::All(1));
                match holds.map_err(failure::kernel)?.is_empty() {
                    true => Filter::Any(Vec::new()),
                    false => Filter::none(),
                }
            }
            _ => filter.clone(),
        },
    })
}

/// True for the filter that no row passes.
fn is_never(filter: &Filter) -> bool {
    matches!(filter, Filter::Any(any) if any.is_empty())
}

/// Narrows the candidates by conditions that the index of a parted column answers; the others are left.
fn by_parts(
    filter: &Filter,
    block: &dyn Block,
    candidates: &mut Selection,
    left: &mut Vec<Filter>,
) -> Result<(), Failure> {
    match filter {
        Filter::All(all) => all.iter().try_for_each(|f| by_parts(f, block, candidates, left)),
        Filter::Condition { op: Op::Eq | Op::In, column, operand } if is_symbols(operand) => {
            let Some(parts) = block.parts(column)? else {
                left.push(filter.clone());
                return Ok(());
            };
            let found = match operand {
                Value::Atom(Atom::Symbol(s)) => parts.rows_of(s.as_bytes()).into_iter().collect(),
                _ => several(operand, column, &*parts)?,
            };
            let found = Selection::Ranges(found.into_iter().filter(|r| !r.is_empty()).collect());
            *candidates = match (&*candidates, &found) {
                (Selection::All(rows), Selection::Ranges(one)) if one.len() < 2 && found.end() <= *rows => {
                    found
                }
                (some, _) => some.intersect(&found),
            };
            Ok(())
        }
        other => {
            left.push(other.clone());
            Ok(())
        }
    }
}

fn is_symbols(operand: &Value) -> bool {
    match operand {
        Value::Atom(a) => a.ty() == Type::Symbol,
        Value::Vector(v) => v.ty() == Type::Symbol,
        _ => false,
    }
}

/// The rows of each of several symbols, in stored order.
fn several(operand: &Value, column: &Sym, parts: &dyn Parts) -> Result<Vec<Range<usize>>, Failure> {
    let symbols = operand.as_vector().and_then(Vector::as_symbols);
    let mut ranges: Vec<Range<usize>> =
        symbols.into_iter().flat_map(|s| s.iter()).filter_map(|s| parts.rows_of(s)).collect();
    ranges.sort_unstable_by_key(|r| r.start);
    if let Some(overlapping) = ranges.windows(2).find(|w| w[1].start < w[0].end && w[1] != w[0]) {
        return Err(failure::internal(format!(
            "the index of the parted column `{column}` gives overlapping rows {overlapping:?}"
        )));
    }
    ranges.dedup();
    Ok(ranges)
}

impl<'a> Work<'a> {
    /// Runs of rows to be read and the candidates in each, in stored order.
    pub(crate) fn windows(&self) -> Vec<Range<usize>> {
        let mut windows: Vec<Range<usize>> = Vec::new();
        for run in self.candidates.runs() {
            let mut from = run.start;
            if let Some(last) = windows.last_mut()
                && run.start - last.end <= GAP_ROWS
            {
                last.end = run.end.min(last.start + BLOCK_ROWS).max(last.end);
                from = from.max(last.end);
            }
            while from < run.end {
                let end = run.end.min(from + BLOCK_ROWS);
                windows.push(from..end);
                from = end;
            }
        }
        windows
    }

    /// The rows of a window that are wanted, as a chunk and a selection of its rows.
    pub(crate) fn select(&self, window: Range<usize>) -> Result<(Chunk<'_>, Selection), Failure> {
        let schema = self.bound.schema;
        let time = schema.time.as_ref();
        let mut sorted = false;
        // What is left to be compared with the times of the rows that are read.
        let mut between = None;
        let mut window = window;
        if let (Cut::Between(from, to), Some(time)) = (&self.cut, time) {
            between = Some((time, from.as_ref(), to.as_ref()));
            let number = |bound: &Option<Atom>| bound.as_ref().and_then(time_range::number);
            if let Some(near) = self.block.ascending_in(&window, number(from), number(to))? {
                sorted = true;
                let narrowed = self.narrowed(near, time, from.as_ref(), to.as_ref())?;
                between = between.filter(|_| !narrowed.is_exact);
                window = narrowed.rows;
            }
        }
        let local = self.candidates.intersect(&Selection::range(window.clone()));
        let mut selection = shifted(&local, window.start, window.len());
        let chunk = Chunk::new(schema, self.block, self.partition.as_ref(), window);
        if let Some((time, from, to)) = between {
            selection = time_range::between(&chunk.column(time)?, from, to, sorted, selection)?;
        }
        if let (Some(slice), Some(time)) = (&self.bound.query.slice, time)
            && !selection.is_empty()
        {
            let base = self.block.time_range().start();
            selection = time_range::in_slice(&chunk.column(time)?, base, slice, &selection)?;
        }
        let selection = narrow(&self.filter, &chunk, selection)?;
        Ok((chunk, selection))
    }

    /// The rows between the bounds of a window in which time ascends, so that no more of the columns is read.
    /// They are found by reading single times, halving, until few enough are left to be read at once.
    fn narrowed(
        &self,
        window: Range<usize>,
        time: &Sym,
        from: Option<&Atom>,
        to: Option<&Atom>,
    ) -> Result<Narrowed, Failure> {
        let Range { mut start, mut end } = window;
        let chunk = |rows| Chunk::new(self.bound.schema, self.block, self.partition.as_ref(), rows);
        let kind = self.bound.schema.stored(time);
        let times = |rows: Range<usize>| match kind {
            Some(kind) => chunk(rows).stored(time, kind),
            None => chunk(rows).load(time),
        };
        let is_before = |row: usize, bound: &Atom| -> Result<bool, Failure> {
            let Value::Vector(v) = times(row..row + 1)? else { return Ok(false) };
            Ok(time_range::first_row_at(&v, bound) > 0)
        };
        let is_short = end - start <= 2 * CLOSE_ROWS;
        if let Some(from) = from.filter(|_| !is_short) {
            let mut first_not = end;
            while first_not - start > CLOSE_ROWS {
                let middle = start + (first_not - start) / 2;
                match is_before(middle, from)? {
                    true => start = middle + 1,
                    false => first_not = middle,
                }
            }
        }
        if let Some(to) = to.filter(|_| !is_short) {
            let mut last = start;
            // Most ranges are short: steps that double find one's end sooner than halving all there is.
            let mut step = CLOSE_ROWS;
            while end - last > step && is_before(last + step, to)? {
                last += step + 1;
                step *= 2;
            }
            end = end.min(last.saturating_add(step + 1));
            while end - last > CLOSE_ROWS {
                let middle = last + (end - last) / 2;
                match is_before(middle, to)? {
                    true => last = middle + 1,
                    false => end = middle,
                }
            }
        }
        if end - start > 2 * CLOSE_ROWS {
            return Ok(Narrowed { rows: start..end, is_exact: false });
        }
        let Value::Vector(times) = times(start..end)? else {
            return Ok(Narrowed { rows: start..end, is_exact: false });
        };
        let rows = time_range::rows_between(&times, from, to);
        Ok(Narrowed { rows: start + rows.start..start + rows.end, is_exact: true })
    }
}

/// Rows among which are all of a window whose times lie between two bounds.
struct Narrowed {
    rows: Range<usize>,
    /// true where no other is among them
    is_exact: bool,
}

/// A selection of rows from `start` on as rows of a chunk of `len` that begins there.
fn shifted(selection: &Selection, start: usize, len: usize) -> Selection {
    if selection.len() == len {
        return Selection::All(len);
    }
    match selection {
        Selection::Rows(rows) => Selection::Rows(rows.iter().map(|r| r - start as u32).collect()),
        other => Selection::Ranges(other.runs().map(|r| r.start - start..r.end - start).collect()),
    }
}

/// The rows of `within` that pass a filter.
fn narrow(filter: &Filter, chunk: &Chunk<'_>, within: Selection) -> Result<Selection, Failure> {
    if within.is_empty() {
        return Ok(within);
    }
    match filter {
        Filter::All(all) => all.iter().try_fold(within, |left, f| narrow(f, chunk, left)),
        Filter::Any(any) => {
            let mut found = Selection::none();
            for f in any {
                found = found.union(&narrow(f, chunk, within.except(&found))?);
            }
            Ok(found)
        }
        Filter::Not(not) => Ok(within.except(&narrow(not, chunk, within.clone())?)),
        Filter::Condition { op, column, operand } => {
            compare::select(&chunk.column(column)?, *op, operand, &within).map_err(failure::kernel)
        }
    }
}
