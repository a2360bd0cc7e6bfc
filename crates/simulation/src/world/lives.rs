//! Processes start and end: at once, or in order.

use routing::{MILLI, Nanos, SECOND};

use super::World;
use crate::{
    agg::Agg,
    dap::Dap,
    gw::Gw,
    ledger::End,
    net::{Happens, Proc},
    rc::Rc,
};

impl World {
    pub(super) fn start(&mut self, who: Proc) {
        if self.net.is_alive(who) {
            return;
        }
        self.net.start(who);
        let (net, rcs) = (&mut self.net, self.counts[1]);
        let now = net.now;
        net.trace.note(now, || format!("{} starts", who.name()));
        if !net.secrets.is_empty() {
            net.secrets.insert(who, vec![self.secret]);
        }
        match who {
            Proc::Gw(i) => _ = self.gws.insert(i, Gw::start(net, who, rcs, self.gw_limit)),
            Proc::Rc(i) => {
                let mut settings = self.settings.clone();
                settings.name = who.name().into();
                let rc = Rc::start(net, &mut self.ledger, who, rcs, settings);
                self.rcs.insert(i, rc);
            }
            Proc::Agg(i) => _ = self.aggs.insert(i, Agg::start(net, i, rcs, self.bounds.clone())),
            Proc::Dap(i) => {
                let held = self.held[i].clone();
                let saved = self.on_disk(&held);
                let (net, rcs) = (&mut self.net, self.counts[1]);
                self.daps.insert(i, Dap::start(net, i, rcs, held, saved));
            }
        }
        self.is_up(who);
    }

    pub(super) fn stop(&mut self, who: Proc, time: Nanos) {
        if !self.net.is_alive(who) {
            return;
        }
        let now = self.net.now;
        self.net.trace.note(now, || format!("{} dies", who.name()));
        self.ledger.tally.crashes += u64::from(!self.ending.remove(&(who, self.net.state(who).1)));
        self.net.stop(who);
        match who {
            Proc::Gw(i) => {
                self.gws.remove(&i);
                let mine = self.ledger.asked.iter_mut().filter(|a| a.gw == who && a.end.is_none());
                mine.for_each(|a| a.end = Some(End::Gone));
            }
            Proc::Rc(i) => {
                if let Some(rc) = self.rcs.remove(&i) {
                    rc.count(&mut self.ledger);
                }
            }
            Proc::Agg(i) => _ = self.aggs.remove(&i),
            Proc::Dap(i) => _ = self.daps.remove(&i),
        }
        self.look_again(who);
        self.net.after(time, Happens::Start(who));
    }

    /// A process is told to end, as an orchestrator does: it takes no more work and ends when what it has is
    /// done, or at the limit. False where that would leave nobody to take its work.
    pub(super) fn drain(&mut self, who: Proc) -> bool {
        /// `QMESH_DRAIN`
        const LIMIT: Nanos = 8 * SECOND;
        /// What a data process's owner sent before it heard of it is still taken.
        const ON_ITS_WAY: Nanos = 40 * MILLI;
        let (alive, life) = self.net.state(who);
        if !alive || !self.ending.insert((who, life)) {
            return false;
        }
        match who {
            Proc::Dap(i) => {
                // Without any, a coordinator refuses at once.
                let stays = |j: usize, dap: &Dap| {
                    let life = self.net.state(Proc::Dap(j)).1;
                    dap.owner().is_some() && !self.ending.contains(&(Proc::Dap(j), life))
                };
                if self.gentle && !self.daps.iter().any(|(j, dap)| *j != i && stays(*j, dap)) {
                    self.ending.remove(&(who, life));
                    return false;
                }
                _ = self.daps.get_mut(&i).map(|p| p.drain(&mut self.net));
            }
            Proc::Rc(i) => {
                let stays = |j: usize, rc: &Rc| {
                    let life = self.net.state(Proc::Rc(j)).1;
                    let takes = rc.is_ready() && !self.ending.contains(&(Proc::Rc(j), life));
                    takes && self.gws.keys().all(|g| self.net.is_linked(Proc::Gw(*g), Proc::Rc(j)))
                };
                if !self.rcs.iter().any(|(j, rc)| *j != i && stays(*j, rc)) {
                    self.ending.remove(&(who, life));
                    return false;
                }
                if let Some(rc) = self.rcs.get_mut(&i) {
                    rc.drain(&mut self.net, &mut self.ledger);
                }
                self.net.say_leaving(who);
            }
            Proc::Gw(_) | Proc::Agg(_) => return false,
        }
        let now = self.net.now;
        self.net.trace.note(now, || format!("{} is told to end", who.name()));
        self.look_again(who);
        self.net.after(ON_ITS_WAY, Happens::Drained(who, life, now + LIMIT));
        true
    }

    /// A process that was told to end looks whether it may.
    pub(super) fn drained(&mut self, who: Proc, life: u64, until: Nanos) {
        const LOOK_EVERY: Nanos = 20 * MILLI;
        /// Time for data processes that were handed over to register with another coordinator.
        const HAND_OVER: Nanos = SECOND;
        if !self.net.is(who, life) {
            return;
        }
        let (done, linger) = match who {
            Proc::Dap(i) => (self.daps.get(&i).is_some_and(Dap::is_drained), 0),
            Proc::Rc(i) => (self.rcs.get(&i).is_some_and(|rc| rc.router().is_drained()), HAND_OVER),
            Proc::Gw(_) | Proc::Agg(_) => (true, 0),
        };
        if !done && self.net.now < until {
            return self.net.after(LOOK_EVERY, Happens::Drained(who, life, until));
        }
        let away = self.net.rng.between(10 * MILLI, 2 * SECOND);
        self.net.after(linger, Happens::Ends(who, life, away));
    }
}
