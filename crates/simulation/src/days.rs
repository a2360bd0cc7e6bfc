//! Worlds of end of day: one data process of memory, the folder it saves to, an older tier over that folder.
//!
//! What decides is the code that runs in production: [`data_access::handover`], the in-memory tables, `live::obey`.
//! Simulated are the disk, the feed, the clock and what the owner says. The rule: **no accepted row is ever unreachable**.
//! A row is reachable in memory from the table's start on, and before it in what the older tier serves.
//!
//! | trouble | what it is |
//! | --- | --- |
//! | full | no save succeeds for a while |
//! | half | a save writes and is told as failed, or fails before it writes |
//! | late | rows of earlier days come, also while a day is written |
//! | leap | the clock passes several days at once, or an end of day comes twice |
//! | replica | another process saves a part of a day into the folder |
//! | lag | the older tier sees the folder as it was: its last days are not there yet |
//! | restart | the process dies, at any point between saves, and comes back with the logs from the first day on that has more rows than the folder |

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use data_access::{
    handover::{DayBook, first_unsaved, locked, save_due},
    live::{self, Step},
    shared::OwnerSays,
    store::memory::MemoryTables,
};
use kvalue::{Atom, Sym, Table, Value, Vector, time::DAY};
use sg::{
    TimeRange,
    msg::{Covered, LeasesOver},
};

use crate::rng::Rng;

const TABLE: &str = "t";
/// Things that happen in a world.
const EVENTS: u64 = 60;
/// The first day of every world.
const FIRST: i64 = 9_000;

/// What happened in worlds of end of day.
#[derive(Debug, Default, Clone)]
pub struct DaysTally {
    /// rows that were taken
    pub accepted: u64,
    /// rows that were refused as late
    pub late: u64,
    /// saves that failed
    pub failed: u64,
    /// hand-overs that were refused, in whole or in part
    pub refused: u64,
    /// hand-overs
    pub moved: u64,
    /// rows purged
    pub purged: u64,
    /// times that the process came back
    pub restarts: u64,
}

struct Days {
    rng: Rng,
    memory: MemoryTables,
    book: Mutex<DayBook>,
    today: i64,
    /// where this life's memory begins
    begins: i64,
    /// rows in the folder, by day: each row is its time
    folder: BTreeMap<i64, BTreeSet<i64>>,
    /// as the older tier last saw it
    served: BTreeMap<i64, BTreeSet<i64>>,
    accepted: BTreeSet<i64>,
    full: bool,
    version: i64,
    tally: DaysTally,
}

/// Runs the world of a seed: what happened, or which rule did not hold.
pub fn day_world(seed: u64) -> Result<DaysTally, String> {
    let rng = Rng::new(seed);
    let mut world = Days {
        rng,
        memory: MemoryTables::new(FIRST * DAY, 1 << 30),
        book: Mutex::new(DayBook::new(true)),
        today: FIRST,
        begins: FIRST * DAY,
        folder: BTreeMap::new(),
        served: BTreeMap::new(),
        accepted: BTreeSet::new(),
        full: false,
        version: 1,
        tally: DaysTally::default(),
    };
    for at in 0..EVENTS {
        let what = world.event();
        world.check().map_err(|why| format!("seed {seed}, event {at} ({what}): {why}"))?;
    }
    world.settle().map_err(|why| format!("seed {seed}, at the end: {why}"))?;
    Ok(world.tally)
}

impl Days {
    fn event(&mut self) -> &'static str {
        match self.rng.below(20) {
            0..=6 => {
                self.feed();
                "rows"
            }
            7..=9 => {
                self.day_ends();
                "day ends"
            }
            10 | 11 => {
                self.save();
                "tried again"
            }
            12 => {
                self.full = !self.full;
                "the disk fills or is emptied"
            }
            13 => {
                self.replica();
                "another saves a part"
            }
            14..=16 => {
                self.offer();
                "an older tier covers"
            }
            17 | 18 => {
                self.obey(&OwnerSays::LeasesOver(LeasesOver { version: self.version }));
                "leases are over"
            }
            _ => {
                self.restart();
                "restart"
            }
        }
    }

    /// A batch of one day, mostly today's.
    fn feed(&mut self) {
        let back = if self.rng.chance(30) { self.rng.below(4) as i64 } else { 0 };
        let times = fresh(&mut self.rng, self.today - back);
        match self.memory.upd(&TABLE.into(), &batch(&times)) {
            Ok(_) => {
                self.tally.accepted += times.len() as u64;
                self.accepted.extend(times);
            }
            Err(_) => self.tally.late += times.len() as u64,
        }
    }

    fn day_ends(&mut self) {
        // Said twice, or days late.
        let ended = if self.rng.chance(10) { self.today - 1 } else { self.today };
        self.today = (ended + 1).max(self.today);
        if self.rng.chance(15) {
            self.today += self.rng.between(1, 3) as i64;
        }
        self.memory.begin_day((ended + 1) * DAY);
        locked(&self.book).day_ended(ended, &self.memory.days());
        self.save();
    }

    /// Saves what is due, on a disk that may be full, fail or be told wrong; rows may come meanwhile.
    fn save(&mut self) {
        let Days { rng, memory, book, folder, served, accepted, full, tally, .. } = self;
        save_due(book, memory, |_, day, rows| {
            let times = times_of(rows);
            if *full || rng.chance(15) {
                tally.failed += 1;
                return Err("no space left on device".into());
            }
            if rng.chance(20) {
                let late = fresh(rng, day);
                if memory.upd(&TABLE.into(), &batch(&late)).is_ok() {
                    accepted.extend(late);
                }
            }
            let there = folder.entry(day).or_default();
            there.extend(times);
            // What changes within the stretch that is served is seen at once: docs/simulation.md, "What is left".
            let within = served.first_key_value().zip(served.last_key_value());
            if within.is_some_and(|((first, _), (last, _))| (*first..=*last).contains(&day)) {
                served.insert(day, there.clone());
            }
            if rng.chance(10) {
                tally.failed += 1;
                return Err("the last rename failed".into());
            }
            Ok(there.len())
        });
    }

    /// Another process holds some of the rows of a day and saves them.
    fn replica(&mut self) {
        let day = self.today - self.rng.between(1, 3) as i64;
        let some: Vec<i64> = self.accepted.range(day * DAY..(day + 1) * DAY).copied().collect();
        let some: Vec<i64> = some.into_iter().filter(|_| self.rng.chance(50)).collect();
        if !some.is_empty() {
            self.folder.entry(day).or_default().extend(some);
        }
    }

    /// The older tier looks at the folder, and the owner tells what it covers; or it tells what it covered before.
    fn offer(&mut self) {
        if self.rng.chance(80) {
            self.served = self.folder.clone();
        }
        let (Some((first, _)), Some((last, _))) =
            (self.served.first_key_value(), self.served.last_key_value())
        else {
            return;
        };
        let (from, until) = (first * DAY, (last + 1) * DAY);
        self.obey(&OwnerSays::Covered(Covered { table: TABLE.into(), from, until }));
    }

    fn obey(&mut self, said: &OwnerSays) {
        match live::obey(&self.memory, &mut locked(&self.book), said, self.version) {
            Step::None => {}
            Step::Moved => {
                self.version += 1;
                self.tally.moved += 1;
            }
            Step::Refused { moved, .. } => {
                self.version += i64::from(moved);
                self.tally.refused += 1;
            }
            Step::Purged(rows) => self.tally.purged += rows.unwrap_or_default(),
        }
    }

    /// The process dies, with all that it knew. What the logs have beyond the folder comes again.
    fn restart(&mut self) {
        let mut logged: BTreeMap<(Sym, i64), u64> = BTreeMap::new();
        for day in self.accepted.iter().map(|time| time.div_euclid(DAY)).filter(|day| *day < self.today) {
            *logged.entry((TABLE.into(), day)).or_default() += 1;
        }
        let on_disk = |_: &Sym, day: i64| self.folder.get(&day).map_or(0, |rows| rows.len() as u64);
        let first = first_unsaved(&logged, on_disk).remove(&Sym::from(TABLE)).unwrap_or(self.today);
        self.begins = first * DAY;
        self.memory = MemoryTables::new(self.begins, 1 << 30);
        self.book = Mutex::new(DayBook::new(true));
        self.memory.begin_day(self.today * DAY);
        for time in self.accepted.range(self.begins..) {
            // Each was taken once and belongs to a day that is not closed.
            let _ = self.memory.upd(&TABLE.into(), &batch(&[*time]));
        }
        locked(&self.book).day_ended(self.today - 1, &self.memory.days());
        // Days before the first are the older tier's, which has seen them by now.
        self.served = self.folder.clone();
        self.version += 1;
        self.tally.restarts += 1;
    }

    fn start(&self) -> i64 {
        self.memory.start(&TABLE.into()).unwrap_or(self.begins)
    }

    /// The rule.
    fn check(&self) -> Result<(), String> {
        let start = self.start();
        let all = self.memory.rows_in(&TABLE.into(), TimeRange::ALL).map_err(|f| f.ai)?;
        let held: BTreeSet<i64> = all.map(|rows| times_of(&rows)).unwrap_or_default().into_iter().collect();
        let lost = self.accepted.iter().find(|time| match **time >= start {
            true => !held.contains(time),
            false => !self.served.get(&time.div_euclid(DAY)).is_some_and(|day| day.contains(time)),
        });
        lost.map_or(Ok(()), |time| {
            let day = time.div_euclid(DAY) - FIRST;
            Err(format!("a row of day {day} is nowhere; memory begins at day {}", start / DAY - FIRST))
        })
    }

    /// The disk is well again: every day that has ended goes to it, is handed over and purged.
    fn settle(&mut self) -> Result<(), String> {
        self.full = false;
        let is_due = |world: &Days| !locked(&world.book).unsaved(&world.memory.days()).is_empty();
        locked(&self.book).day_ended(self.today - 1, &self.memory.days());
        let mut tries = 0;
        while is_due(self) {
            tries += 1;
            if tries > 1_000 {
                return Err(format!("{:?} is never saved", locked(&self.book).unsaved(&self.memory.days())));
            }
            self.save();
            self.check()?;
        }
        self.served = self.folder.clone();
        if let Some((last, _)) = self.served.last_key_value() {
            let first = self.served.first_key_value().map_or(*last, |(first, _)| *first);
            let (from, until) = (first * DAY, (last + 1) * DAY);
            self.obey(&OwnerSays::Covered(Covered { table: TABLE.into(), from, until }));
            self.obey(&OwnerSays::LeasesOver(LeasesOver { version: self.version }));
            self.check()?;
        }
        let kept = self.memory.days().remove(&Sym::from(TABLE)).unwrap_or_default();
        let old = kept.range(..self.today).next();
        old.map_or(Ok(()), |(day, rows)| {
            Err(format!("{rows} rows of day {} stay in memory though they are on disk", day - FIRST))
        })
    }
}

/// Some new rows of a day.
fn fresh(rng: &mut Rng, day: i64) -> Vec<i64> {
    (0..rng.between(1, 4)).map(|_| day * DAY + rng.below(DAY as u64) as i64).collect()
}

fn batch(times: &[i64]) -> Value {
    let column = Value::from(Vector::timestamps(times.to_vec()));
    Table::of([("time", column)]).map_or(Value::Null, Value::from)
}

fn times_of(rows: &Table) -> Vec<i64> {
    let column = rows.column("time").and_then(|column| column.as_vector());
    let atoms = column.into_iter().flat_map(Vector::iter);
    atoms.filter_map(|atom| if let Atom::Timestamp(time) = atom { Some(time) } else { None }).collect()
}
