//! What goes wrong, until the world calms down.

use routing::{MILLI, SECOND};
use sg::{
    Corr, PortionId,
    msg::{Answered, Cancel, Done, Got, Idle, Undelivered},
};

use super::World;
use crate::{
    data,
    net::{Happens, Proc},
};

/// What a world's trouble is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    Crash,
    Scale,
    Cut,
    Part,
    Clock,
    DayEnds,
    Stray,
    Drain,
    Double,
    /// only where data processes are looked for
    Secret,
}

/// All of it.
pub(super) const ALL: [Trouble; 9] = [
    Trouble::Crash,
    Trouble::Scale,
    Trouble::Cut,
    Trouble::Part,
    Trouble::Clock,
    Trouble::DayEnds,
    Trouble::Stray,
    Trouble::Drain,
    Trouble::Double,
];

/// What nobody may notice: with nothing but this no request fails.
pub(super) const GENTLE: [Trouble; 4] = [Trouble::DayEnds, Trouble::Stray, Trouble::Drain, Trouble::Double];

impl World {
    pub(super) fn trouble(&mut self) {
        if self.quiet {
            return;
        }
        let most = if self.only_rcs { 2 * SECOND } else { 200 * MILLI };
        let wait = self.net.rng.between(20 * MILLI, most);
        self.net.after(wait, Happens::Trouble);
        let mut everybody = self.everybody();
        if self.only_rcs {
            everybody.retain(|p| matches!(p, Proc::Rc(_)));
        }
        let Some(who) = self.net.rng.pick(&everybody) else { return };
        match self.net.rng.pick(&self.troubles) {
            Some(Trouble::Crash) => {
                let time = self.net.rng.between(10 * MILLI, 300 * MILLI);
                self.stop(who, time);
            }
            Some(Trouble::Scale) => {
                let time = self.net.rng.between(500 * MILLI, 5 * SECOND);
                self.stop(who, time);
            }
            Some(Trouble::Cut) => {
                let open = self.net.open_sessions();
                if let Some(id) = self.net.rng.pick(&open) {
                    self.ledger.tally.cuts += 1;
                    let (now, ends) = (self.net.now, self.net.ends(id));
                    self.net.trace.note(now, || format!("session {id} breaks between {ends:?}"));
                    self.net.cut(id);
                }
            }
            Some(Trouble::Part) => {
                let Some(other) = self.net.rng.pick(&everybody).filter(|o| *o != who) else { return };
                let time = self.net.rng.between(10 * MILLI, 2 * SECOND);
                self.ledger.tally.cuts += 1;
                let now = self.net.now;
                self.net.trace.note(now, || {
                    format!("{} and {} are parted for {} ms", who.name(), other.name(), time / MILLI)
                });
                self.net.part(who, other, time);
            }
            Some(Trouble::Clock) => {
                let by = self.net.rng.between(MILLI, SECOND) as i64;
                let by = if self.net.rng.chance(40) { -by } else { by };
                self.net.after(0, Happens::ClockJumps(who, by));
            }
            Some(Trouble::DayEnds) => self.day_ends(),
            Some(Trouble::Stray) => self.stray(),
            Some(Trouble::Drain) => _ = self.drain(who),
            Some(Trouble::Double) => self.double(),
            Some(Trouble::Secret) => self.secret_changes(),
            None => {}
        }
    }

    /// More is on disk: each serving process notices at its own time. Where there is a tier between memory and the old
    /// days, it has the new stretch first, and the old days get all of it at the day's end.
    fn day_ends(&mut self) {
        let labels = self.net.rng.below(self.saved.len() as u64) as usize;
        let more = self.net.rng.between(1, 5) as i64 * data::PARTITION;
        let saved = &mut self.saved[labels];
        let tier = match saved.between {
            Some((from, until)) if self.net.rng.chance(70) => {
                saved.between = Some((from, (until + more).min(900)));
                "idb"
            }
            Some((_, until)) => {
                saved.old = until;
                "hdb"
            }
            None => {
                saved.old = (saved.old + more).min(900);
                "hdb"
            }
        };
        let (now, saved) = (self.net.now, *saved);
        self.net.trace.note(now, || format!("of label set {labels} is on disk {saved:?}"));
        for (i, held) in self.held.iter().enumerate() {
            let notices = held.tier == tier || (held.tier == "idb" && tier == "hdb");
            if held.labels == labels && notices {
                let soon = if held.tier == tier { 0 } else { 100 * MILLI };
                let wait = soon + self.net.rng.between(MILLI, 100 * MILLI);
                self.net.after(wait, Happens::Reload(i));
            }
        }
    }

    /// A process that serves a disk looks at it again.
    pub(super) fn reload(&mut self, i: usize) {
        let Some(held) = self.held.get(i).cloned() else { return };
        if let ("idb", Some((from, until))) = (held.tier, self.saved[held.labels].between) {
            // It lets go of what owners know all old-day processes to hold.
            let old = self.daps.iter().filter(|(i, _)| {
                self.held.get(**i).is_some_and(|h| h.labels == held.labels && h.tier == "hdb")
            });
            let covered = old.map(|(_, p)| p.confirmed()).min().unwrap_or(from);
            let from = from.max(covered.min(until - data::PARTITION));
            self.saved[held.labels].between = Some((from, until));
        }
        let saved = self.on_disk(&held);
        if let Some(p) = self.daps.get_mut(&i) {
            p.reload(&mut self.net, saved);
        }
    }

    /// A clock leaps ahead, or steps back.
    pub(super) fn clock_jumps(&mut self, who: Proc, by: i64) {
        let now = self.net.now;
        self.net.trace.note(now, || format!("the clock of {} jumps {} ms", who.name(), by / MILLI as i64));
        self.net.jump(who, by);
        self.ledger.tally.steps_back += u64::from(by < 0);
        // What the jump itself leaped over is not late.
        let clock = self.net.clock(who);
        let open = self.ledger.asked.iter_mut().filter(|a| a.gw == who && a.end.is_none());
        open.for_each(|a| a.deadline = a.deadline.max(clock));
    }

    /// A process opens a second session to a linked process, or to a process linked elsewhere.
    fn double(&mut self) {
        let rcs: Vec<Proc> = self.rcs.keys().map(|i| Proc::Rc(*i)).collect();
        let Some(rc) = self.net.rng.pick(&rcs) else { return };
        let (gws, daps): (Vec<usize>, Vec<usize>) =
            (self.gws.keys().copied().collect(), self.daps.keys().copied().collect());
        let (by, to) = match self.net.rng.below(4) {
            0 => (self.net.rng.pick(&gws).map(Proc::Gw), Some(rc)),
            // Of two links between coordinators one ends, and with it what runs by it and is not safe.
            1 if !self.gentle => (self.net.rng.pick(&rcs).filter(|other| *other != rc), Some(rc)),
            // As a coordinator that finds a pod by its labels does.
            _ => (Some(rc), self.net.rng.pick(&daps).map(Proc::Dap)),
        };
        if let (Some(by), Some(to)) = (by, to) {
            let (now, delay) = (self.net.now, self.net.delay());
            self.net.trace.note(now, || format!("{} dials {} once more", by.name(), to.name()));
            self.ledger.tally.doubles += 1;
            self.net.dial(by, to, delay);
        }
    }

    /// A process says what makes no sense.
    pub(super) fn stray(&mut self) {
        let open = self.net.open_sessions();
        let Some(id) = self.net.rng.pick(&open) else { return };
        let Some((dialler, acceptor)) = self.net.ends(id) else { return };
        let from = if self.net.rng.chance(50) { dialler } else { acceptor };
        let known: Vec<Corr> = self.ledger.asked.iter().rev().take(20).map(|a| a.corr).collect();
        let other = Corr(self.net.rng.guid());
        let corr = self.net.rng.pick(&known).filter(|_| matches!(from, Proc::Dap(_))).unwrap_or(other);
        // The same for a gateway's report on a request of another gateway.
        let anothers = match from {
            Proc::Gw(_) => self.ledger.asked.iter().rev().take(20).find(|a| a.gw != from).map(|a| a.corr),
            _ => None,
        };
        let anothers = anothers.unwrap_or(other);
        let (attempt, portion) = (0, PortionId(self.net.rng.below(4) as u32));
        let (rc, ac, ai) = (sg::Rc::OK, sg::Ac::OK, String::new());
        if let Proc::Dap(i) = if from == dialler { acceptor } else { dialler }
            && matches!(from, Proc::Rc(_))
            && let Some(order) =
                self.daps.get(&i).filter(|d| d.owner() == Some(id)).map(|d| d.strange_order(other))
        {
            let _ = self.net.send(id, from, order);
            return;
        }
        let msg: sg::Msg = match self.net.rng.below(6) {
            // A data process's report on portions running elsewhere is not trusted; what it runs itself is its word.
            0 => {
                let (took, bytes, epoch, slots) = (-1, i64::MAX, 77, 5);
                Done { corr: other, attempt, portion, rc, ac, ai, version: 1, took, bytes, epoch, slots }
                    .into()
            }
            1 => Idle { epoch: 77, slots: 5 }.into(),
            2 => Got { corr, attempt, portion }.into(),
            3 => Undelivered { corrs: vec![corr], attempts: vec![attempt], rc, ac, ai }.into(),
            4 => Answered { corr: anothers, attempt, rc, ai, took: i64::MIN, bytes: -1 }.into(),
            _ => Cancel { corr: other, attempt }.into(),
        };
        let _ = self.net.send(id, from, msg);
    }

    pub(super) fn calm_down(&mut self) {
        self.net.heal();
        self.net.secrets.clear();
        self.net.vintages = self.net.vintages.map(|_| self.net.now);
        for who in self.everybody() {
            self.net.after(0, Happens::Start(who));
        }
        for i in 0..3 {
            self.net.after((30 + 20 * i) * SECOND, Happens::Probe);
        }
    }
}
