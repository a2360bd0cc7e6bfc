//! In-memory tables of the real-time tier: rows arrive by `upd`, queries read a snapshot.
//!
//! A table is a run of immutable chunks. `upd` adds one; neighbours of like size are joined, so that there are few
//! (logarithmically many) however small the batches are. A query takes the chunks as they are and holds no lock while
//! it runs. Rows before a table's `start` are another tier's to serve: such rows are refused on arrival, as are rows
//! with an infinite time, found by no query. Rows present when `start` moved (end of day) stay in the snapshot until
//! they are purged: a portion that was taken on before the move still reads them, and later ones do not ask for their
//! instants.

mod batch;
mod days;
mod unplaced;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, RwLock},
};

use ::hdb::save;
use getdata::{MemoryBlock, MemorySource, Source, TableSchema};
use kvalue::{Atom, Sym, Table, Type, Value, time::DAY};
use sg::{
    Ac, Failure, Rc, TimeRange,
    purview::{ColumnMeta, TableKind, TablePurview},
};

use self::batch::Form;
pub use self::unplaced::Unplaced;
use super::{Tables, type_number};

/// Chunks up to this many rows are joined with their neighbours.
const JOIN_ROWS: usize = 1 << 20;
/// Of a table that is not known yet no day is saved.
static NONE_CLOSED: BTreeSet<i64> = BTreeSet::new();
/// Most tables.
const MAX_TABLES: usize = 4096;

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
    /// the disk that days are saved to takes names that differ in case only for one
    folds_case: bool,
}

struct Held {
    schema: Arc<TableSchema>,
    form: Arc<Form>,
    chunks: Vec<Chunk>,
    start: i64,
    /// days that are saved: their rows are no longer taken
    closed: BTreeSet<i64>,
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
    /// rows that were left out
    pub unplaced: Unplaced,
    /// true where the batch made a table known, or gave a type to its columns
    pub new_schema: bool,
}

/// Why a batch was refused whole, and how many of its rows have no place.
#[derive(Debug)]
pub struct Refused {
    /// why
    pub failure: Failure,
    /// the rows that have none
    pub rows: Unplaced,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Refused { failure, rows: Unplaced::default() }
    }
}

impl MemoryTables {
    /// No tables; those made later serve from `start`, and all together hold at most `limit` bytes.
    pub fn new(start: i64, limit: u64) -> Self {
        let state = State { tables: BTreeMap::new(), bytes: 0, limit, start, day: start, folds_case: false };
        MemoryTables(Arc::new(RwLock::new(state)))
    }

    /// A day begins: rows that come from now on with a time of day belong to it.
    pub fn begin_day(&self, midnight: i64) {
        let mut state = self.write();
        state.day = state.day.max(midnight);
    }

    /// Refuses tables and columns that the disk they are saved to could not tell apart.
    pub fn fold_case(&self) {
        self.write().folds_case = true;
    }

    /// Makes a table of the assembly file known.
    pub fn declare(&self, schema: TableSchema) -> Result<(), Failure> {
        let form = Form::declared(schema)?;
        self.write().declare(form).map(|_| ())
    }

    /// Makes a table known as a tickerplant describes it: by an empty table, keyed or not. True where that is news.
    /// A table without rows takes another description than it had, unless that is the assembly file's.
    pub fn describe(&self, name: &Sym, schema: &Value) -> Result<bool, Failure> {
        if schema.as_table().is_none() && schema.as_dict().and_then(|d| d.as_keyed_table()).is_none() {
            return Err(Failure::arg(format!(
                "table {name}: its schema is a {}, expected a table",
                schema.type_name()
            )));
        }
        let form = Form::of_data(name, schema)?;
        self.write().declare(form)
    }

    /// Appends a batch as `upd` brings it (see the module `batch`), or nothing of it where a row has no place here. A table
    /// not known before takes its schema from the first batch that names its columns.
    pub fn upd(&self, table: &Sym, data: &Value) -> Result<Taken, Failure> {
        self.append(table, data, false).map_err(|refused| refused.failure)
    }

    /// As [`Self::upd`]. `in_part`: rows that have no place are left out and counted, for senders that hear no error.
    pub fn append(&self, name: &Sym, data: &Value, in_part: bool) -> Result<Taken, Refused> {
        loop {
            let known = self.read().tables.get(name).map(|held| held.form.clone());
            let form = match &known {
                Some(form) => form.clone(),
                None => Arc::new(Form::of_data(name, data)?),
            };
            let (rows, refined) = form.rows(data)?;
            let mut state = self.write();
            // Another batch may have changed the form while the rows were made.
            let now = state.tables.get(name).map(|held| &held.form);
            if now.map(Arc::as_ptr) != known.as_ref().map(Arc::as_ptr) {
                continue;
            }
            let new_schema = known.is_none() || !Arc::ptr_eq(&refined.schema, &form.schema);
            return state.append(
                if new_schema { Arc::new(refined) } else { form },
                rows,
                in_part,
                new_schema,
            );
        }
    }

    /// The schema of a table.
    pub fn schema(&self, table: &Sym) -> Option<Arc<TableSchema>> {
        self.read().tables.get(table).map(|h| h.schema.clone())
    }

    /// True for a table that has no time column, and no column without a type that may become one.
    pub fn is_timeless(&self, table: &Sym) -> bool {
        self.read().tables.get(table).is_some_and(|held| held.form.is_timeless())
    }

    /// Names of all tables.
    pub fn names(&self) -> Vec<Sym> {
        self.read().tables.keys().cloned().collect()
    }

    /// First instant a table serves.
    pub fn start(&self, table: &Sym) -> Option<i64> {
        self.read().tables.get(table).map(|h| h.start)
    }

    /// The rows of a table in a range, in order of arrival, as one table: what end of day saves. `None` for a table
    /// without time, all of which belongs to every day: it would be counted once for each.
    pub fn rows_in(&self, table: &Sym, range: TimeRange) -> Result<Option<Table>, Failure> {
        let Some((schema, chunks)) =
            self.read().tables.get(table).map(|h| (h.schema.clone(), h.chunks.clone()))
        else {
            return Ok(None);
        };
        if schema.time.is_none() {
            return Ok(None);
        }
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

impl State {
    /// Whether a table of this form can be made known beside those that are.
    fn admit(&self, form: &Form) -> Result<(), Failure> {
        let name = &form.schema.name;
        if self.tables.len() >= MAX_TABLES {
            return Err(Failure::new(
                Rc::LIMIT,
                Ac::LIMIT,
                format!("table {name} is one too many: this process holds at most {MAX_TABLES} tables"),
            ));
        }
        if !self.folds_case {
            return Ok(());
        }
        let alike = |a: &Sym, b: &Sym| a != b && save::folded(a.as_bytes()) == save::folded(b.as_bytes());
        let columns = &form.schema.columns;
        let tables = self.tables.keys().map(|other| (name, other));
        let pairs = columns
            .iter()
            .enumerate()
            .flat_map(|(i, a)| columns[..i].iter().map(move |b| (&a.name, &b.name)));
        match tables.chain(pairs).find(|(a, b)| alike(a, b)) {
            Some((a, b)) => Err(Failure::arg(format!(
                "table {name}: the disk of QMESH_SAVE_DIR takes {a} and {b} for one name; rename one"
            ))),
            None => Ok(()),
        }
    }

    fn insert(&mut self, form: Arc<Form>) {
        let held = Held {
            schema: form.schema.clone(),
            form,
            chunks: Vec::new(),
            start: self.start,
            closed: BTreeSet::new(),
            rows: 0,
        };
        self.tables.insert(held.schema.name.clone(), held);
    }

    /// True where the table, or its form, is news.
    fn declare(&mut self, form: Form) -> Result<bool, Failure> {
        let Some(held) = self.tables.get_mut(&form.schema.name) else {
            self.admit(&form)?;
            self.insert(Arc::new(form));
            return Ok(true);
        };
        let merged = match held.form.merged(&form) {
            Some(merged) => merged,
            None if held.chunks.is_empty() && !held.form.is_fixed => form,
            None => {
                return Err(Failure::arg(format!(
                    "table {} is known with columns {}, it cannot be declared again with {}",
                    form.schema.name,
                    described(&held.schema),
                    described(&form.schema)
                )));
            }
        };
        if merged.schema == held.schema {
            return Ok(false);
        }
        held.schema = merged.schema.clone();
        held.form = Arc::new(merged);
        Ok(true)
    }

    fn append(
        &mut self,
        form: Arc<Form>,
        rows: Table,
        in_part: bool,
        new_schema: bool,
    ) -> Result<Taken, Refused> {
        let schema = form.schema.clone();
        let (day, came) = (self.day, rows.len());
        let known = self.tables.get(&schema.name).map(|held| (held.start, &held.closed));
        let known_start = known.map(|(start, _)| start);
        let (start, closed) = known.unwrap_or((self.start, &NONE_CLOSED));
        let (rows, unplaced) = unplaced::placed(&schema, rows, start, closed, day)?;
        if unplaced.rows() > 0 && (!in_part || rows.is_empty()) {
            let why = unplaced.text(came, "nothing of the batch was taken");
            let failure = Failure::arg(format!("upd of table {}: {why}", schema.name));
            return Err(Refused { failure, rows: unplaced });
        }
        let bytes = bytes_of(&rows);
        if self.bytes + bytes > self.limit {
            let (held, limit) = (self.bytes, self.limit);
            return Err(Failure::new(
                Rc::LIMIT,
                Ac::LIMIT,
                format!(
                    "a batch of {bytes} bytes does not fit: in-memory tables hold {held} of {limit}; raise QMESH_RDB_BYTES or save days down (QMESH_SAVE_DIR)"
                ),
            )
            .into());
        }
        if known_start.is_none() {
            self.admit(&form)?;
            self.insert(form.clone());
        }
        let taken = Taken { rows: rows.len(), unplaced, new_schema };
        let Some(held) = self.tables.get_mut(&schema.name) else { return Ok(taken) };
        (held.schema, held.form) = (schema.clone(), form);
        if !rows.is_empty() {
            held.rows += rows.len() as u64;
            for rows in by_day(&schema, rows)? {
                let bytes = bytes_of(&rows);
                held.chunks.push(Chunk { block: block(&schema, rows, day), bytes });
                join_small(&schema, &mut held.chunks)?;
            }
        }
        self.bytes += bytes;
        Ok(taken)
    }
}

fn described(schema: &TableSchema) -> String {
    schema.columns.iter().map(|c| format!("{} ({})", c.name, c.kind)).collect::<Vec<_>>().join(", ")
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

/// True where the time column tells times of day only.
fn is_of_day(schema: &TableSchema) -> bool {
    let ty = schema.time.as_ref().and_then(|t| schema.kind(t)).and_then(|k| k.basic());
    !matches!(ty, Some(Type::Timestamp | Type::Date | Type::Datetime) | None)
}

/// The time column in nanoseconds, times of day counted from `day`; `None` for a table without time. A null is
/// `i64::MIN`; what is infinite, or beyond the calendar, is one of [`TimeRange`]'s ends.
fn instants(schema: &TableSchema, rows: &Table, day: i64) -> Option<Vec<i64>> {
    let Value::Vector(v) = rows.column(&schema.time.as_ref()?.text())? else { return None };
    let ty = v.ty();
    let end = |n: i64| if n < 0 { TimeRange::MIN } else { TimeRange::MAX };
    let instant = |n: i64, null: i64, unit: i64, base: i64| match n {
        n if n == null => i64::MIN,
        n if kvalue::time::is_special(ty, n) => end(n),
        n => n.checked_mul(unit).and_then(|ns| ns.checked_add(base)).unwrap_or(end(n)).max(TimeRange::MIN),
    };
    let narrow = |unit: i64, base: i64| {
        let null = i64::from(i32::MIN);
        v.as_buf::<i32>().map(|b| b.iter().map(|n| instant(i64::from(n), null, unit, base)).collect())
    };
    let wide =
        |base: i64| v.as_buf::<i64>().map(|b| b.iter().map(|n| instant(n, i64::MIN, 1, base)).collect());
    let of_days = |x: f64| match (x * DAY as f64).round() {
        ns if ns.is_nan() => i64::MIN,
        ns if ns.abs() < TimeRange::MAX as f64 => ns as i64,
        ns => end(if ns < 0.0 { -1 } else { 1 }),
    };
    match ty {
        Type::Timestamp => v.as_buf::<i64>().map(|b| b.to_vec()),
        Type::Datetime => v.as_buf::<f64>().map(|b| b.iter().map(of_days).collect()),
        Type::Timespan => wide(day),
        Type::Date => narrow(DAY, 0),
        Type::Time => narrow(1_000_000, day),
        Type::Second => narrow(kvalue::time::SECOND, day),
        Type::Minute => narrow(60 * kvalue::time::SECOND, day),
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
    Ok((taken(&rows, &kept)?, dropped))
}

fn taken(rows: &Table, kept: &[u32]) -> Result<Table, Failure> {
    let columns: Vec<Value> = rows.columns().iter().map(|c| kernels::take::take_rows(c, kept)).collect();
    Table::new(rows.names().clone(), columns).map_err(|e| Failure::arg(e.to_string()))
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
    let mut days: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
    for (row, &time) in (0u32..).zip(&times) {
        let day = if time == i64::MIN { first } else { time.div_euclid(DAY) };
        days.entry(day).or_default().push(row);
    }
    days.values().map(|kept| taken(&rows, kept)).collect()
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
