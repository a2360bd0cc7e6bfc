//! What must hold after every step, and when the world is at rest.

use routing::{MILLI, Nanos};

pub(super) use routing::Beside;

use super::World;
use crate::{
    agg::Agg,
    dap::Dap,
    gw::Gw,
    net::{EVEN, Proc},
    rc::Rc,
};

/// Two round trips between coordinators, and the time over which either end gathers what it has to tell.
const MOST_BESIDE: Nanos = 2 * (2 * EVEN + MILLI);

/// The same for one that waits at a data process: the portion has to be recalled, and the idle replica has to report.
const MOST_BEHIND: Nanos = MOST_BESIDE + 4 * EVEN;

impl World {
    /// Nothing happens any more: all counters are zero, every request has ended as it may.
    pub(super) fn rest(&mut self) {
        let all = self.held.len();
        let routers: Vec<&routing::Router> = self.rcs.values().map(Rc::router).collect();
        routing::check_quiet_mesh(&routers);
        let checks = self.gws.values().map(Gw::check_quiet).chain(self.rcs.values().map(Rc::check_quiet));
        let checks = checks.chain(self.aggs.values().map(Agg::check_quiet));
        let found = checks.chain(self.daps.values().map(Dap::check_quiet)).find_map(Result::err);
        if let Some(why) = found {
            return self.ledger.violation(|| format!("after quiet {why}"));
        }
        let daps: usize = self.rcs.values().map(Rc::daps).sum();
        if daps != all {
            return self
                .ledger
                .violation(|| format!("{daps} of {all} data processes are registered at the end"));
        }
        self.rcs.values().for_each(|rc| rc.count(&mut self.ledger));
        let moves = self.troubles.iter().any(|t| matches!(t, super::Trouble::Double | super::Trouble::Drain));
        self.ledger.check_ends(self.calm || self.gentle, moves);
    }

    /// The invariants of whoever was touched.
    pub(super) fn check(&mut self, touched: Option<Proc>) -> Result<(), String> {
        self.check_beside()?;
        self.check_behind()?;
        match touched {
            Some(Proc::Gw(i)) => self.gws.get(&i).map_or(Ok(()), |p| p.check(self.gw_limit)),
            Some(Proc::Rc(i)) => {
                self.check_mesh();
                self.rcs.get(&i).map_or(Ok(()), |p| p.check(&mut self.ledger))
            }
            Some(Proc::Agg(i)) => self.aggs.get(&i).map_or(Ok(()), Agg::check),
            Some(Proc::Dap(_)) | None => Ok(()),
        }
    }

    /// What must hold over all coordinators. Panics where it does not; the world's runner names the seed.
    pub(super) fn check_mesh(&self) {
        if self.rcs.len() > 1 {
            let routers: Vec<&routing::Router> = self.rcs.values().map(Rc::router).collect();
            routing::check_mesh(&routers);
        }
    }

    /// No portion waits for longer than two round trips while a replica that could serve it is idle at another
    /// coordinator. Said of worlds in which no message takes long, and of coordinators that reach each other.
    fn check_beside(&mut self) -> Result<(), String> {
        if !self.net.even || self.rcs.len() < 2 {
            return Ok(());
        }
        let routers: Vec<&routing::Router> = self.rcs.values().map(Rc::router).collect();
        let now = self.net.now;
        let mut present = std::mem::take(&mut self.beside);
        let waiting = routing::waiting_beside_idle(&routers);
        present.retain(|beside, _| waiting.contains(beside));
        for beside in waiting {
            let ends = Proc::named(&beside.at).zip(Proc::named(&beside.owner));
            let since = present.entry(beside.clone()).or_insert(now);
            match ends.filter(|(a, b)| self.net.is_linked(*a, *b)) {
                Some((a, b)) => *since = (*since).max(self.net.reached_since(a, b)),
                None => *since = now,
            }
            let since = *since;
            let most = &mut self.ledger.tally.most_beside;
            *most = (*most).max(now - since);
            if now - since > MOST_BESIDE {
                return Err(format!("{beside}, for {} µs", (now - since) / 1_000));
            }
        }
        self.beside = present;
        Ok(())
    }

    /// No portion waits behind another at a data process while one that holds the same runs nothing, for longer than
    /// word of it takes. Said of worlds in which no message takes long, and of processes that reach each other.
    fn check_behind(&mut self) -> Result<(), String> {
        if !self.net.even || (self.behind.is_empty() && !self.daps.values().any(Dap::is_stacked)) {
            return Ok(());
        }
        let mut before = std::mem::take(&mut self.behind);
        for (busy, dap) in self.daps.iter().filter(|(_, d)| d.is_stacked()) {
            for (idle, mate) in self.daps.iter().filter(|(idle, _)| *idle != busy) {
                let Some(together) = self.share_a_mesh(dap, mate) else { continue };
                for run in dap.behind(mate) {
                    let since = before.remove(&(run, *busy, *idle)).unwrap_or(self.net.now);
                    self.behind.insert((run, *busy, *idle), since.max(together));
                }
            }
        }
        for ((run, busy, idle), since) in &self.behind {
            let waited = self.net.now - since;
            self.ledger.tally.most_behind = self.ledger.tally.most_behind.max(waited);
            if waited > MOST_BEHIND {
                let corr = crate::trace::short(run.0);
                let (busy, idle) = (Proc::Dap(*busy).name(), Proc::Dap(*idle).name());
                let micros = waited / 1_000;
                return Err(format!(
                    "{:?} of {corr} waits at {busy} for {micros} µs while {idle} is idle",
                    run.2
                ));
            }
        }
        Ok(())
    }

    /// Since when the owners of two data processes are one, or hear of each other, and each reaches its own.
    fn share_a_mesh(&self, a: &Dap, b: &Dap) -> Option<Nanos> {
        let ((a, of_a), (b, of_b)) = (self.owner(a)?, self.owner(b)?);
        let between = match a == b || self.net.is_linked(a, b) {
            true => self.net.reached_since(a, b),
            false => return None,
        };
        Some(between.max(of_a).max(of_b))
    }

    /// The coordinator that a data process obeys, if that is still the one it registered with and they reach each
    /// other, and since when they do: nothing can be given to one that is cut off, nor asked back from it.
    fn owner(&self, dap: &Dap) -> Option<(Proc, Nanos)> {
        let session = dap.owner()?;
        let owner = self.net.peer(session, dap.proc())?;
        let has = self.rcs.values().any(|rc| rc.proc() == owner && rc.has(session));
        (has && self.net.reaches(owner, dap.proc()))
            .then(|| (owner, self.net.reached_since(owner, dap.proc())))
    }
}
