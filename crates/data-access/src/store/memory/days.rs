//! The days of a table: held days, closed days, and the move of the start.

use std::collections::BTreeMap;

use kvalue::{Sym, time::DAY};
use sg::Failure;

use super::{Chunk, Held, MemoryTables, block, bytes_of, in_time};
use crate::handover::{Days, Decision};

impl MemoryTables {
    /// Rows by day of each table that has a time, at or after its start.
    pub fn days(&self) -> BTreeMap<Sym, Days> {
        let timed = |(name, held): (&Sym, &Held)| Some((name.clone(), held.days()?));
        self.read().tables.iter().filter_map(timed).collect()
    }

    /// The day is on disk with this many rows: later ones are refused as late. False, and nothing is changed, where
    /// it holds another number of rows, because some came meanwhile.
    pub fn close_day(&self, table: &Sym, day: i64, rows: u64) -> bool {
        let mut state = self.write();
        let Some(held) = state.tables.get_mut(table) else { return false };
        let now = held.days().and_then(|days| days.get(&day).copied()).unwrap_or_default();
        now == rows && {
            held.closed.insert(day);
            true
        }
    }

    /// Moves a table's first instant on as `decide` says of its start and its days; no row comes meanwhile. Rows
    /// before it are no longer in the purview, and can be read by what was asked before until [`Self::purge`].
    pub fn hand_over(&self, table: &Sym, decide: impl FnOnce(i64, &Days) -> Decision) -> Decision {
        let mut state = self.write();
        let Some(held) = state.tables.get_mut(table) else { return Decision::Stay };
        let Some(days) = held.days() else { return Decision::Stay };
        let decision = decide(held.start, &days);
        if let Decision::Move(to) | Decision::Refuse(Some(to), _) = decision {
            held.start = held.start.max(to);
        }
        decision
    }

    /// After a restart, before any row has come: these tables begin at midnight of their days, and times of day belong to
    /// the first of these days.
    pub fn reach_back(&self, firsts: &BTreeMap<Sym, i64>) {
        let mut state = self.write();
        for (table, day) in firsts {
            if let Some(held) = state.tables.get_mut(table).filter(|held| held.chunks.is_empty()) {
                held.start = held.start.min(day.saturating_mul(DAY));
            }
        }
        let is_empty = state.tables.values().all(|held| held.chunks.is_empty());
        if let Some(first) = firsts.values().min().filter(|_| is_empty) {
            state.day = state.day.min(first.saturating_mul(DAY));
        }
    }

    /// Frees all rows; schemas and starts stay.
    pub fn clear(&self) {
        let mut state = self.write();
        state.bytes = 0;
        for held in state.tables.values_mut() {
            held.chunks.clear();
            held.rows = 0;
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
            let first = held.start.div_euclid(DAY);
            held.closed.retain(|day| *day >= first);
            held.rows = held.chunks.iter().map(|c| c.block.table.len() as u64).sum();
        }
        state.bytes -= freed_bytes.min(state.bytes);
        Ok(freed)
    }
}

impl Held {
    /// Rows by day; `None` for a table without time.
    fn days(&self) -> Option<Days> {
        self.schema.time.as_ref()?;
        let mut days = Days::new();
        for block in self.chunks.iter().map(|c| &c.block).filter(|b| b.range.end() > self.start) {
            let first = block.range.start().max(self.start).div_euclid(DAY);
            // A chunk is of one day; of one that spans more, each is held.
            let last = block.range.end().saturating_sub(1).div_euclid(DAY).min(first + 1).max(first);
            for day in first..=last {
                *days.entry(day).or_default() += block.table.len() as u64;
            }
        }
        Some(days)
    }
}
