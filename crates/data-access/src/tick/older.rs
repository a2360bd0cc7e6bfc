//! After a restart: days that ended and that no save has completed come back from the logs of these days.
//!
//! A tickerplant writes a log a day, `<name><YYYY.MM.DD>`, beside the present one. The rows of each earlier log are
//! counted by table and day, newest log first, until one has no more than the folder holds: days are saved in order. Each
//! table then begins at its first day that lacks rows ([`handover::first_unsaved`]), the logs from there on are replayed,
//! and each day is saved again; a save unites. Tests: below, and the worlds of end of day in the simulation.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use kvalue::{Sym, Value, time::DAY};
use qipc::Limits;

use super::{
    Subscription,
    log::{LogError, LogReader},
};
use crate::{
    handover::{self, day_text},
    intake,
    store::memory::MemoryTables,
};

/// Most earlier logs that are looked at.
const MOST: usize = 7;
/// Rows of any day are counted.
const LONG_AGO: i64 = 36_500 * DAY;

/// A log and its day.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Log {
    day: i64,
    path: PathBuf,
}

/// The day in a log's name, and what is before it.
fn dated(name: &str) -> Option<(&str, i64)> {
    let (prefix, date) = name.split_at_checked(name.len().checked_sub(10)?)?;
    let number = |range: std::ops::Range<usize>| {
        let digits = date.get(range)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let dots = date.get(4..5) == Some(".") && date.get(7..8) == Some(".");
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let days = kvalue::time::days_from_civil(year, month as u32, day as u32)?;
    dots.then_some((prefix, days))
}

/// The day of the present log, and the newest earlier ones beside it, oldest first.
fn logs_before(current: &Path) -> Option<(i64, Vec<Log>)> {
    let (prefix, today) = dated(current.file_name()?.to_str()?)?;
    let mut logs = Vec::new();
    for entry in std::fs::read_dir(current.parent()?).ok()?.filter_map(Result::ok) {
        let name = entry.file_name();
        match name.to_str().and_then(dated) {
            Some((of, day)) if of == prefix && day < today => logs.push(Log { day, path: entry.path() }),
            _ => {}
        }
    }
    logs.sort_by_key(|log| log.day);
    let older = logs.split_off(logs.len().saturating_sub(MOST));
    Some((today, older))
}

/// Gives each batch of a log to `take`. What cannot be read is told, and costs itself only.
fn each_batch(path: &Path, mut take: impl FnMut(&Sym, &Value)) -> Result<(), LogError> {
    let mut reader = LogReader::open(path)?;
    loop {
        match reader.next_message() {
            Ok(None) => return Ok(()),
            Ok(Some(raw)) => {
                let Ok(message) = raw.decode(&Limits::internal()) else { continue };
                let is_batch = message.count() == 3
                    && message.index(0).as_name().is_some_and(|name| intake::is_upd(&name.text()));
                if let Some(table) = message.index(1).as_name().filter(|_| is_batch) {
                    take(&table, &message.index(2));
                }
            }
            Err(error @ LogError::Damaged { .. }) => {
                tracing::error!(%error, "a part of an earlier log is passed over");
            }
            Err(error) => return Err(error),
        }
    }
}

/// Rows of a log by table and day.
fn counted(log: &Log, schemas: &[(Sym, Value)]) -> Result<BTreeMap<(Sym, i64), u64>, LogError> {
    let midnight = log.day.saturating_mul(DAY);
    let scratch = MemoryTables::new(midnight.saturating_sub(LONG_AGO), u64::MAX / 2);
    scratch.begin_day(midnight);
    for (table, schema) in schemas {
        // A schema that cannot be used was told of before.
        let _ = scratch.describe(table, schema);
    }
    let mut rows = BTreeMap::new();
    each_batch(&log.path, |table, data| {
        // What is refused here is refused in the replay as well, and told there.
        let _ = scratch.append(table, data, true);
        // Rows are counted and dropped: a day in memory is enough at a time, and a log may be longer.
        if scratch.row_counts().iter().map(|(_, n)| n).sum::<u64>() > AT_A_TIME {
            add(&mut rows, &scratch);
            scratch.clear();
        }
    })?;
    add(&mut rows, &scratch);
    Ok(rows)
}

/// Rows that are held while they are counted.
const AT_A_TIME: u64 = 1 << 20;

fn add(rows: &mut BTreeMap<(Sym, i64), u64>, scratch: &MemoryTables) {
    for (table, days) in scratch.days() {
        for (day, more) in days {
            *rows.entry((table.clone(), day)).or_default() += more;
        }
    }
}

impl Subscription {
    /// Brings back what ended days hold beyond the folder; `current`: the present log, `schemas`: of the tickerplant.
    pub(super) async fn bring_back(&mut self, current: &Path, schemas: Vec<(Sym, Value)>) {
        let Some(root) = self.end_of_day.folder() else { return };
        let Some((today, older)) = logs_before(current) else { return };
        if older.is_empty() {
            return;
        }
        let logs = older.clone();
        let looked = tokio::task::spawn_blocking(move || first_days(&logs, &schemas, &root, today)).await;
        let firsts = looked.unwrap_or_else(|error| {
            tracing::error!(%error, "earlier logs were not looked at: a bug of qmesh");
            BTreeMap::new()
        });
        let Some(first) = firsts.values().min().copied() else { return };
        for (table, day) in &firsts {
            tracing::warn!(%table, day = day_text(*day), "a day that ended lacks rows in the folder; its log is replayed");
        }
        self.memory.reach_back(&firsts);
        for log in older.into_iter().filter(|log| log.day >= first) {
            let (memory, firsts) = (self.memory.clone(), firsts.clone());
            memory.begin_day(log.day.saturating_mul(DAY));
            let path = log.path.clone();
            let replayed = tokio::task::spawn_blocking(move || {
                each_batch(&path, |table, data| {
                    if firsts.contains_key(table) {
                        // Rows before the table's first day are on disk.
                        let _ = memory.append(table, data, true);
                    }
                })
            });
            match replayed.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "an earlier log is not replayed"),
                Err(error) => tracing::error!(%error, "an earlier log is not replayed: a bug of qmesh"),
            }
            self.end_of_day.run(log.day as i32).await;
        }
        self.memory.begin_day(today.saturating_mul(DAY));
        self.shared.purview_changed();
    }
}

/// The first day of each table of which a log has more rows than the folder.
fn first_days(logs: &[Log], schemas: &[(Sym, Value)], root: &Path, today: i64) -> BTreeMap<Sym, i64> {
    let on_disk = crate::eod::on_disk(root);
    let earliest = logs.first().map_or(today, |log| log.day);
    let mut logged: BTreeMap<(Sym, i64), u64> = BTreeMap::new();
    for log in logs.iter().rev() {
        match counted(log, schemas) {
            Ok(mut rows) => {
                // Late rows of days without a log here are no reason to begin there.
                rows.retain(|(_, day), _| (earliest..today).contains(day));
                let complete = handover::first_unsaved(&rows, &on_disk).is_empty();
                for (key, more) in rows {
                    *logged.entry(key).or_default() += more;
                }
                if complete {
                    break;
                }
            }
            Err(error) => tracing::warn!(%error, "an earlier log is passed over"),
        }
    }
    handover::first_unsaved(&logged, &on_disk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eod::EndOfDay;
    use kvalue::{Table, Vector};
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    /// A log as a tickerplant writes it: of table `t`, a row for each time.
    fn write_log(dir: &Path, day: i64, times: &[i64]) -> PathBuf {
        let path = dir.join(format!("sym{}", day_text(day)));
        let mut bytes = vec![0xff, 0x01, 0, 0, 0, 0, 0, 0];
        for time in times {
            let row = Value::list([
                Vector::timestamps(vec![*time]).into(),
                Value::from(Vector::longs(vec![*time])),
            ]);
            let message = Value::list([Value::sym("upd"), Value::sym("t"), row]);
            bytes.extend_from_slice(&qipc::Raw::of(&message).0);
        }
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn schema() -> Value {
        Table::of([
            ("time", Value::from(Vector::empty(kvalue::Type::Timestamp))),
            ("x", Value::from(Vector::empty(kvalue::Type::Long))),
        ])
        .unwrap()
        .into()
    }

    /// Times of the table on disk or in memory, of one day.
    fn held(memory: &MemoryTables, day: i64) -> Vec<i64> {
        let range = sg::TimeRange::new(day * DAY, (day + 1) * DAY).unwrap();
        let rows = memory.rows_in(&"t".into(), range).unwrap().unwrap();
        let column = rows.column("x").and_then(|column| column.as_vector()).cloned();
        column
            .into_iter()
            .flat_map(|v| v.iter().filter_map(|a| Value::Atom(a).as_i64()).collect::<Vec<_>>())
            .collect()
    }

    /// Of random days some were saved, whole or in part, and one lost all: after a restart each row of each log is on
    /// disk or in memory, once, and a process over whole days begins today.
    #[tokio::test]
    async fn whatever_was_saved_each_row_of_the_logs_is_held_after_a_restart() {
        let mut random = StdRng::seed_from_u64(rand::rng().random());
        for case in 0..120 {
            let dir = tempfile::tempdir().unwrap();
            let (logs, folder) = (dir.path().join("logs"), dir.path().join("db"));
            std::fs::create_dir_all(&logs).unwrap();
            std::fs::create_dir_all(&folder).unwrap();
            let (first, today) = (9_000, 9_000 + random.random_range(1..4));
            let mut wanted = BTreeMap::new();
            let mut broken = false;
            for day in first..today {
                let rows: Vec<i64> =
                    (0..random.random_range(1..5)).map(|_| day * DAY + random.random_range(0..DAY)).collect();
                write_log(&logs, day, &rows);
                // Days are saved in order: after one that failed, none is.
                broken |= random.random_bool(0.4);
                let saved = if broken { random.random_range(0..rows.len()) } else { rows.len() };
                if saved > 0 && (!broken || random.random_bool(0.5)) {
                    let memory = MemoryTables::new(day * DAY, 1 << 30);
                    memory.describe(&"t".into(), &schema()).unwrap();
                    for row in &rows[..saved] {
                        let row = Value::list([
                            Vector::timestamps(vec![*row]).into(),
                            Value::from(Vector::longs(vec![*row])),
                        ]);
                        memory.upd(&"t".into(), &row).unwrap();
                    }
                    EndOfDay::new(memory, Some(folder.clone()), None).run(day as i32).await;
                }
                wanted.insert(day, rows);
            }
            let current = write_log(&logs, today, &[today * DAY]);
            let mut subscription = crate::tick::tests::subscription(today * DAY);
            subscription.end_of_day = EndOfDay::new(subscription.memory.clone(), Some(folder.clone()), None);
            subscription.declare(&Value::list([Value::sym("t"), schema()]));
            subscription.bring_back(&current, vec![("t".into(), schema())]).await;
            let on_disk = crate::eod::on_disk(&folder);
            let start = subscription.memory.start(&"t".into()).unwrap();
            assert_eq!(
                start < today * DAY,
                broken,
                "case {case}: it reaches back exactly where a day lacks rows"
            );
            for (day, mut rows) in wanted {
                assert_eq!(
                    on_disk(&"t".into(), day),
                    rows.len() as u64,
                    "case {case}: day {day} is whole on disk"
                );
                if day * DAY >= start {
                    let mut there = held(&subscription.memory, day);
                    there.sort_unstable();
                    rows.sort_unstable();
                    assert_eq!(there, rows, "case {case}: day {day} is whole in memory");
                }
            }
        }
    }

    #[test]
    fn logs_are_told_apart_by_the_day_at_the_end_of_their_names() {
        assert_eq!(dated("sym2000.01.03"), Some(("sym", 2)));
        assert_eq!(dated("2000.01.01"), Some(("", 0)));
        for name in ["sym", "sym2000-01-03", "sym2000.13.03", "sym2000.01.3x", "é2000.01.0é", ""] {
            assert_eq!(dated(name), None, "{name}");
        }
        let dir = tempfile::tempdir().unwrap();
        for day in 1..=12 {
            std::fs::write(dir.path().join(format!("sym2000.01.{day:02}")), "").unwrap();
            std::fs::write(dir.path().join(format!("other2000.01.{day:02}")), "").unwrap();
        }
        let (today, older) = logs_before(&dir.path().join("sym2000.01.10")).unwrap();
        let days: Vec<i64> = older.iter().map(|log| log.day + 1).collect();
        assert_eq!((today, days), (9, vec![3, 4, 5, 6, 7, 8, 9]));
    }
}
