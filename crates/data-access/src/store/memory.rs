//! In-memory tables of the real-time tier: rows arrive by `upd`, queries read a snapshot.
//!
//! A table is a run of immutable chunks. `upd` adds one; neighbours of like size are joined, so that there are
//! few (logarithmically many) however small the batches are. A query takes the chunks as they are and holds no
//! lock while it runs. Rows before a table's `start` are another tier's to serve: they are refused when they
//! arrive. Those that were there when `start` moved (end of day) stay in the snapshot until they are purged: a
//! portion that was taken on before the move still reads them, and later ones do not ask for their instants.

use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
};

use getdata::{Column, ColumnKind, MemoryBlock, MemorySource, Source, TableSchema};
use kvalue::{Atom, Sym, Table, Type, Value, Vector, time::DAY};
use sg::{
    Ac, Failure, Rc, TimeRange,
    purview::{ColumnMeta, TableKind, TablePurview},
};

use super::{Tables, type_number};

/// Chunks up to this many rows are joined with their neighbours.
const JOIN_ROWS: usize = 1 << 20;

/// The tables; cloning shares them.
#[derive(Clone)]
pub struct MemoryTables(Arc<RwLock<State>>);

struct State {
    tables: BTreeMap<Sym, Held>,
    bytes: u64,
    limit: u64,
    start: i64,
    /// midnight that times of day count from
    day: i64,
    /// days before this are saved: their rows are no longer taken
    closed: i64,
}

struct Held {
    schema: Arc<TableSchema>,
    chunks: Vec<Chunk>,
    start: i64,
    rows: u64,
}

#[derive(Clone)]
struct Chunk {
    block: MemoryBlock,
    bytes: u64,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    /// rows now served
    pub rows: usize,
    /// rows that belong to an older tier and were dropped
    pub late: usize,
    /// true where the batch made a table known
    pub new_table: bool,
}

impl MemoryTables {
    /// No tables; those made later serve from `start`, and all together hold at most `limit` bytes.
    pub fn new(start: i64, limit: u64) -> Self {
        let state = State { tables: BTreeMap::new(), bytes: 0, limit, start, day: start, closed: start };
        MemoryTables(Arc::new(RwLock::new(state)))
    }

    /// A day begins: rows that come from now on with a time of day belong to it.
    pub fn begin_day(&self, midnight: i64) {
        let mut state = self.write();
        state.day = state.day.max(midnight);
    }

    /// What is before `midnight` is about to be saved: rows of it that still come are refused as late, because
    /// they would be purged with the day without having been saved.
    pub fn close_before(&self, midnight: i64) {
        let mut state = self.write();
        state.closed = state.closed.max(midnight);
    }

    /// Makes a table known, or keeps it where it is known with these columns. A table with a time has the
    /// virtual column `date`, as it will have on disk, so that one query spans both.
    pub fn declare(&self, mut schema: TableSchema) -> Result<(), Failure> {
        if schema.time.is_some() && schema.kind(&"date".into()).is_none() {
            schema.partition = Some(("date".into(), Type::Date));
        }
        let mut state = self.write();
        let start = state.start;
        match state.tables.get(&schema.name) {
            Some(held) if held.schema.columns == schema.columns => Ok(()),
            Some(held) => Err(Failure::arg(format!(
                "table {} is known with columns {}, it cannot be declared again with {}",
                schema.name,
                held.schema.names(),
                schema.names()
            ))),
            None => {
                let held = Held { schema: Arc::new(schema), chunks: Vec::new(), start, rows: 0 };
                state.tables.insert(held.schema.name.clone(), held);
                Ok(())
            }
        }
    }

    /// Appends a batch as `upd` brings it: a table, a list of columns, or a list of atoms (one row). A table
    /// not declared before takes its schema from the first batch that is a table.
    pub fn upd(&self, table: &Sym, data: &Value) -> Result<Taken, Failure> {
        let known = self.schema(table);
        let new_table = known.is_none();
        let schema = match known {
            Some(schema) => schema,
            None => {
                self.declare(schema_of(table, data)?)?;
                self.schema(table).ok_or_else(|| Failure::table_not_found(&table.text()))?
            }
        };
        let rows = rows_of(&schema, data)?;
        let mut state = self.write();
        let (limit, held_bytes, day, closed) = (state.limit, state.bytes, state.day, state.closed);
        let held = state.tables.get_mut(table).ok_or_else(|| Failure::table_not_found(&table.text()))?;
        let (rows, late) = in_time(&schema, rows, held.start.max(closed), day)?;
        let bytes = bytes_of(&rows);
        if held_bytes + bytes > limit {
            return Err(Failure::new(
                Rc::LIMIT,
                Ac::LIMIT,
                format!(
                    "a batch of {bytes} bytes does not fit: in-memory tables hold {held_bytes} of {limit}; raise QMESH_RDB_BYTES or save days down (QMESH_SAVE_DIR)"
                ),
            ));
        }
        let taken = Taken { rows: rows.len(), late, new_table };
        if !rows.is_empty() {
            held.rows += rows.len() as u64;
            for rows in by_day(&schema, rows)? {
                let bytes = bytes_of(&rows);
                held.chunks.push(Chunk { block: block(&schema, rows, day), bytes });
                join_small(&schema, &mut held.chunks)?;
            }
        }
        state.bytes += bytes;
        Ok(taken)
    }

    /// The schema of a table.
    pub fn schema(&self, table: &Sym) -> Option<Arc<TableSchema>> {
        self.read().tables.get(table).map(|h| h.schema.clone())
    }

    /// Names of all tables.
    pub fn names(&self) -> Vec<Sym> {
        self.read().tables.keys().cloned().collect()
    }

    /// First instant a table serves.
    pub fn start(&self, table: &Sym) -> Option<i64> {
        self.read().tables.get(table).map(|h| h.start)
    }

    /// Moves a table's first instant on; true where it moved. Rows before it are no longer in the purview, and
    /// can be read by what was asked before until [`Self::purge`].
    pub fn move_start(&self, table: &Sym, start: i64) -> bool {
        match self.write().tables.get_mut(table) {
            Some(held) if held.start < start => {
                held.start = start;
                true
            }
            _ => false,
        }
    }

    /// Frees the rows before each table's start; the number of rows freed.
    pub fn purge(&self) -> Result<u64, Failure> {
        let mut state = self.write();
        let (mut freed, mut freed_bytes) = (0, 0);
        for held in state.tables.values_mut() {
            let mut kept = Vec::new();
            for chunk in held.chunks.drain(..) {
                let range = chunk.block.range;
                if range.start() >= held.start {
                    kept.push(chunk);
                    continue;
                }
                freed_bytes += chunk.bytes;
                freed += chunk.block.table.len() as u64;
                if range.end() > held.start {
                    let day = chunk.block.range.start();
                    let (rows, _) = in_time(&held.schema, chunk.block.table.clone(), held.start, day)?;
                    if !rows.is_empty() {
                        let bytes = bytes_of(&rows);
                        freed -= rows.len() as u64;
                        freed_bytes -= bytes.min(freed_bytes);
                        kept.push(Chunk { block: block(&held.schema, rows, day), bytes });
                    }
                }
            }
            held.chunks = kept;
            held.rows = held.chunks.iter().map(|c| c.block.table.len() as u64).sum();
        }
        state.bytes -= freed_bytes.min(state.bytes);
        Ok(freed)
    }

    /// The rows of a table in a range, in order of arrival, as one table: what end of day saves.
    pub fn rows_in(&self, table: &Sym, range: TimeRange) -> Result<Option<Table>, Failure> {
        let Some((schema, chunks)) =
            self.read().tables.get(table).map(|h| (h.schema.clone(), h.chunks.clone()))
        else {
            return Ok(None);
        };
        let mut parts = Vec::new();
        for chunk in chunks.iter().filter(|c| c.block.range.intersect(range).is_some()) {
            let day = chunk.block.range.start();
            let (rows, _) = in_time(&schema, chunk.block.table.clone(), range.start(), day)?;
            parts.push(before(&schema, rows, range.end(), day)?);
        }
        concat(&schema, &parts).map(Some)
    }

    /// Rows of each table, for metrics and tests.
    pub fn row_counts(&self) -> Vec<(Sym, u64)> {
        self.read().tables.iter().map(|(n, h)| (n.clone(), h.rows)).collect()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Tables for MemoryTables {
    fn purviews(&self) -> Vec<TablePurview> {
        let purview = |held: &Held| {
            Some(TablePurview {
                name: held.schema.name.clone(),
                kind: match held.schema.time {
                    Some(_) => TableKind::Partitioned,
                    None => TableKind::Basic,
                },
                range: match held.schema.time {
                    Some(_) => TimeRange::new(held.start, TimeRange::MAX)?,
                    None => TimeRange::ALL,
                },
                cuts: Vec::new(),
                time_column: held.schema.time.clone().unwrap_or_default(),
                columns: held
                    .schema
                    .columns
                    .iter()
                    .map(|c| ColumnMeta { name: c.name.clone(), ty: type_number(&c.kind), attr: Sym::null() })
                    .collect(),
            })
        };
        self.read().tables.values().filter_map(purview).collect()
    }

    fn source(&self, table: &Sym) -> Option<Box<dyn Source>> {
        let state = self.read();
        let held = state.tables.get(table)?;
        let blocks = held.chunks.iter().map(|c| c.block.clone()).collect();
        Some(Box::new(MemorySource { schema: (*held.schema).clone(), blocks }))
    }
}

/// A schema made from data: only a table says what its columns are called.
fn schema_of(name: &Sym, data: &Value) -> Result<TableSchema, Failure> {
    let Some(t) = data.as_table() else {
        return Err(Failure::arg(format!(
            "table {name} is not known and a {} does not say its columns: declare it in the assembly file or send a table first",
            data.type_name()
        )));
    };
    let kind = |column: &Value| match column {
        Value::Vector(v) => ColumnKind::Basic(v.ty()),
        Value::List(l) if l.items().iter().all(|i| i.as_text().is_some()) => ColumnKind::Nested(Type::Char),
        _ => ColumnKind::Any,
    };
    let columns = t.iter().map(|(n, c)| Column { name: Sym::new(n), kind: kind(c) }).collect();
    Ok(TableSchema::timed(name.clone(), columns, None))
}

/// The batch as rows of the schema.
fn rows_of(schema: &TableSchema, data: &Value) -> Result<Table, Failure> {
    let wrong = |why: String| Failure::arg(format!("upd of table {}: {why}", schema.name));
    let columns: Vec<Value> = match data {
        Value::Table(t) => schema
            .columns
            .iter()
            .map(|c| {
                t.column(&c.name.text()).cloned().ok_or_else(|| {
                    wrong(format!("column {} is missing; expected {}", c.name, schema.names()))
                })
            })
            .collect::<Result<_, _>>()?,
        Value::List(l) => l.items().iter().map(as_column).collect(),
        Value::Vector(v) => v.iter().map(|a| as_column(&Value::Atom(a))).collect(),
        other => return Err(wrong(format!("a {} is no batch of rows", other.type_name()))),
    };
    if columns.len() != schema.columns.len() {
        return Err(wrong(format!("{} columns came, expected {}", columns.len(), schema.names())));
    }
    let mut typed = Vec::with_capacity(columns.len());
    for (column, value) in schema.columns.iter().zip(columns) {
        typed.push(
            fitted(&column.kind, value).map_err(|got| {
                wrong(format!("column {} must be {}, got a {got}", column.name, column.kind))
            })?,
        );
    }
    let names = schema.columns.iter().map(|c| c.name.as_bytes()).collect();
    Table::new(names, typed).map_err(|e| wrong(e.to_string()))
}

/// An atom as a column of one row.
fn as_column(value: &Value) -> Value {
    match value {
        Value::Atom(a) => Vector::repeat(a, 1).into(),
        other => other.clone(),
    }
}

/// A column of the declared kind; the error is what it is instead.
fn fitted(kind: &ColumnKind, value: Value) -> Result<Value, &'static str> {
    match (kind, value) {
        (ColumnKind::Basic(ty), Value::Vector(v)) if v.ty() == *ty => {
            Ok(Value::Vector(v.with_attr(kvalue::Attr::None)))
        }
        (ColumnKind::Basic(ty), Value::List(l)) if l.is_empty() => Ok(Vector::empty(*ty).into()),
        // One string is a row of a string column, several are several.
        (ColumnKind::Nested(Type::Char) | ColumnKind::Any, Value::Vector(v)) if v.ty() == Type::Char => {
            Ok(Value::list([Value::Vector(v)]))
        }
        (ColumnKind::Nested(_) | ColumnKind::Any, Value::List(l)) => Ok(Value::List(l)),
        (_, other) => Err(other.type_name()),
    }
}

/// True where the time column tells times of day only.
fn is_of_day(schema: &TableSchema) -> bool {
    let ty = schema.time.as_ref().and_then(|t| schema.kind(t)).and_then(|k| k.basic());
    !matches!(ty, Some(Type::Timestamp | Type::Date) | None)
}

/// The time column in nanoseconds, times of day counted from `day`; `None` for a table without time.
fn instants(schema: &TableSchema, rows: &Table, day: i64) -> Option<Vec<i64>> {
    let Value::Vector(v) = rows.column(&schema.time.as_ref()?.text())? else { return None };
    let scale = |unit: i64, base: i64| {
        let wide: Option<Vec<i64>> = v.as_buf::<i32>().map(|b| b.iter().map(i64::from).collect());
        let null = i64::from(i32::MIN);
        wide.map(|b| b.into_iter().map(|n| if n == null { i64::MIN } else { base + n * unit }).collect())
    };
    match v.ty() {
        Type::Timestamp => v.as_buf::<i64>().map(|b| b.to_vec()),
        Type::Timespan => {
            let instant = |n: i64| if n == i64::MIN { n } else { day.saturating_add(n) };
            v.as_buf::<i64>().map(|b| b.iter().map(instant).collect())
        }
        Type::Date => scale(DAY, 0),
        Type::Time => scale(1_000_000, day),
        Type::Second => scale(kvalue::time::SECOND, day),
        Type::Minute => scale(60 * kvalue::time::SECOND, day),
        _ => None,
    }
}

/// The rows at or after `start`, and how many were before it. Rows without a time are kept: they count as
/// their block's first instant.
fn in_time(schema: &TableSchema, rows: Table, start: i64, day: i64) -> Result<(Table, usize), Failure> {
    let Some(times) = instants(schema, &rows, day) else { return Ok((rows, 0)) };
    filtered(rows, |i| times[i] >= start || times[i] == i64::MIN)
}

fn before(schema: &TableSchema, rows: Table, end: i64, day: i64) -> Result<Table, Failure> {
    // A block of times of day is one day whole, however late its last row came.
    let times = instants(schema, &rows, day).filter(|_| !is_of_day(schema));
    let Some(times) = times else { return Ok(rows) };
    filtered(rows, |i| times[i] < end).map(|(rows, _)| rows)
}

fn filtered(rows: Table, keep: impl Fn(usize) -> bool) -> Result<(Table, usize), Failure> {
    let kept: Vec<u32> = (0..rows.len()).filter(|&i| keep(i)).map(|i| i as u32).collect();
    let dropped = rows.len() - kept.len();
    if dropped == 0 {
        return Ok((rows, 0));
    }
    let columns: Vec<Value> = rows.columns().iter().map(|c| kernels::take::take_rows(c, &kept)).collect();
    let table = Table::new(rows.names().clone(), columns).map_err(|e| Failure::arg(e.to_string()))?;
    Ok((table, dropped))
}

/// The rows of each day, in order of their days; rows without a time stay with the first.
fn by_day(schema: &TableSchema, rows: Table) -> Result<Vec<Table>, Failure> {
    let times = instants(schema, &rows, 0).filter(|_| !is_of_day(schema));
    let Some(times) = times else { return Ok(vec![rows]) };
    let real = || times.iter().copied().filter(|&t| t != i64::MIN).map(|t| t.div_euclid(DAY));
    let (Some(first), Some(last)) = (real().min(), real().max()) else { return Ok(vec![rows]) };
    if first == last {
        return Ok(vec![rows]);
    }
    let mut days: Vec<i64> = real().collect();
    days.sort_unstable();
    days.dedup();
    let is_of = |i: usize, day: i64| match times[i] {
        i64::MIN => day == first,
        t => t.div_euclid(DAY) == day,
    };
    days.iter().map(|&day| filtered(rows.clone(), |i| is_of(i, day)).map(|(rows, _)| rows)).collect()
}

/// Rows of one day as a block. Its range is what its times span; a day for times of day.
fn block(schema: &TableSchema, rows: Table, day: i64) -> MemoryBlock {
    let (range, is_time_sorted) = match instants(schema, &rows, day) {
        Some(_) if is_of_day(schema) => (TimeRange::new(day, day.saturating_add(DAY)), false),
        Some(times) => {
            let real = times.iter().copied().filter(|&t| t != i64::MIN);
            let low = real.clone().min().unwrap_or(day);
            let high = real.max().unwrap_or(day).saturating_add(1);
            (TimeRange::new(low, high), times.is_sorted())
        }
        None => (None, false),
    };
    let range = range.unwrap_or(TimeRange::ALL);
    let date = || Atom::Date(range.start().div_euclid(DAY) as i32);
    let partition = schema.partition.is_some().then(date);
    MemoryBlock { table: rows, range, partition, is_time_sorted }
}

/// Joins the newest chunks while the last is not much smaller than the one before, as a merge sort does.
fn join_small(schema: &TableSchema, chunks: &mut Vec<Chunk>) -> Result<(), Failure> {
    while let [.., a, b] = &chunks[..] {
        let (left, right) = (a.block.table.len(), b.block.table.len());
        let (first, second) = (a.block.range, b.block.range);
        let other_day = a.block.partition != b.block.partition || (is_of_day(schema) && first != second);
        if left > 2 * right || left + right > JOIN_ROWS || other_day {
            return Ok(());
        }
        let joined = concat(schema, &[a.block.table.clone(), b.block.table.clone()])?;
        let bytes = a.bytes + b.bytes;
        let day = first.start();
        chunks.truncate(chunks.len() - 2);
        chunks.push(Chunk { block: block(schema, joined, day), bytes });
    }
    Ok(())
}

fn concat(schema: &TableSchema, parts: &[Table]) -> Result<Table, Failure> {
    let columns = schema
        .columns
        .iter()
        .enumerate()
        .map(|(i, c)| {
            let pieces: Vec<Value> = parts.iter().map(|t| t.columns()[i].clone()).collect();
            match pieces.is_empty() {
                true => Ok(c.kind.empty()),
                false => kernels::take::concat(&pieces),
            }
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| Failure::arg(e.to_string()))?;
    let names = schema.columns.iter().map(|c| c.name.as_bytes()).collect();
    Table::new(names, columns).map_err(|e| Failure::arg(e.to_string()))
}

fn bytes_of(rows: &Table) -> u64 {
    rows.columns()
        .iter()
        .map(|c| match c {
            Value::Vector(v) => v.wire_len() as u64,
            other => qipc::encoded_len(other) as u64 + 48 * other.count() as u64,
        })
        .sum()
}

#[cfg(test)]
mod tests;
