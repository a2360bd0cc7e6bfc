//! What discovery tells coordinators of data processes, and secrets that arrive at different times.
//!
//! Where data processes are looked for, each is ready a while after it has started, and each coordinator hears of it in
//! its own time; one that dies, or is told to end, is gone for discovery. A life of a process is a pod of its own.

use routing::{MILLI, SECOND};

use super::World;
use crate::net::{Happens, Proc};

impl World {
    /// A process has started.
    pub(super) fn is_up(&mut self, who: Proc) {
        if !self.looks {
            return;
        }
        let soon = self.net.rng.below(100 * MILLI);
        match who {
            Proc::Dap(i) => {
                self.ready_at.insert(i, self.net.now + soon);
                self.tell_found(soon);
            }
            Proc::Rc(i) => {
                let life = self.net.state(who).1;
                self.net.after(soon, Happens::Found(i, life));
            }
            Proc::Gw(_) | Proc::Agg(_) => {}
        }
    }

    /// A data process has ended, or is about to.
    pub(super) fn look_again(&mut self, who: Proc) {
        if self.looks && matches!(who, Proc::Dap(_)) {
            self.tell_found(0);
        }
    }

    /// Each coordinator hears of a change some time after `soon`.
    fn tell_found(&mut self, soon: u64) {
        for i in 0..self.counts[1] {
            let life = self.net.state(Proc::Rc(i)).1;
            let delay = self.net.rng.below(50 * MILLI);
            self.net.after(soon + delay, Happens::Found(i, life));
        }
    }

    /// A coordinator hears of all that are ready.
    pub(super) fn found(&mut self, rc: usize, life: u64) {
        if !self.net.is(Proc::Rc(rc), life) {
            return;
        }
        let found = |i: &usize| {
            let (alive, life) = self.net.state(Proc::Dap(*i));
            let ready = self.ready_at.get(i).is_some_and(|at| *at <= self.net.now);
            alive && ready && !self.ending.contains(&(Proc::Dap(*i), life))
        };
        let found: Vec<(usize, u64)> =
            (0..self.held.len()).filter(found).map(|i| (i, self.net.state(Proc::Dap(i)).1)).collect();
        let sources =
            found.iter().map(|(i, _)| &self.held[*i]).map(|h| (h.set.clone(), h.tier.into())).collect();
        if let Some(rc) = self.rcs.get_mut(&rc) {
            rc.found(&mut self.net, &mut self.ledger, &found, sources);
        }
    }

    /// The mesh's secret changes, and reaches each process at its own time; coordinators mostly restart with the new
    /// secret, as a Deployment with a config hash does. The one before is accepted still, or not: then whoever has the
    /// new one and whoever has not yet refuse each other.
    pub(super) fn secret_changes(&mut self) {
        self.secret += 1;
        let previous = self.net.rng.chance(30);
        if self.net.secrets.is_empty() {
            let all = self.everybody().into_iter().map(|who| (who, vec![self.secret - 1]));
            self.net.secrets.extend(all);
        }
        for who in self.everybody() {
            let comes = self.net.rng.below(2 * SECOND);
            self.net.after(comes, Happens::Secret(who, self.secret, previous));
            if matches!(who, Proc::Rc(_)) && self.net.rng.chance(60) {
                let away = self.net.rng.between(10 * MILLI, 200 * MILLI);
                self.stop(who, away);
            }
        }
        let (now, secret) = (self.net.now, self.secret);
        self.net.trace.note(now, || format!("the secret is {secret}, the one before accepted: {previous}"));
    }

    pub(super) fn secret_comes(&mut self, who: Proc, secret: u64, previous: bool) {
        let Some(known) = self.net.secrets.get_mut(&who).filter(|_| secret == self.secret) else { return };
        let before = known.first().copied().filter(|before| previous && *before != secret);
        *known = std::iter::once(secret).chain(before).collect();
    }
}
