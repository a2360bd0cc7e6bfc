//! One step: what is on the agenda goes to the process that it is for.

use super::World;
use crate::net::{Happens, Proc, Side};

impl World {
    /// One step; who was touched by it.
    pub(super) fn happen(&mut self, what: Happens) -> Result<Option<Proc>, String> {
        let World { net, ledger, gws, rcs, aggs, daps, .. } = self;
        let touched = match what {
            Happens::Start(who) => {
                self.start(who);
                Some(who)
            }
            Happens::Connect { by, life, to } => {
                if !net.is(by, life) {
                    return Ok(None);
                }
                let session = net.connect(by, to);
                match by {
                    Proc::Gw(i) => gws.get_mut(&i).map(|p| p.connected(net, to, session)),
                    Proc::Rc(i) => rcs.get_mut(&i).map(|p| p.connected(net, ledger, to, session)),
                    Proc::Agg(i) => aggs.get_mut(&i).map(|p| p.connected(net, to, session)),
                    Proc::Dap(i) => daps.get_mut(&i).map(|p| p.connected(net, ledger, to, session)),
                };
                Some(by)
            }
            Happens::Up(id, side) => {
                let Some(me) = net.up(id, side) else { return Ok(None) };
                let Some(peer) = net.peer(id, me) else { return Ok(None) };
                match me {
                    Proc::Gw(i) => gws.get_mut(&i).map(|p| p.up(id, peer)),
                    Proc::Rc(i) => rcs.get_mut(&i).map(|p| p.up(net, ledger, id, peer)),
                    Proc::Agg(i) => aggs.get_mut(&i).map(|p| p.up(net, id, peer)),
                    Proc::Dap(i) => daps.get_mut(&i).map(|p| p.up(net, id, peer)),
                };
                Some(me)
            }
            Happens::Message(id, side, msg) => {
                let Some(me) = net.receiver(id, side) else {
                    net.lost += 1;
                    return Ok(None);
                };
                let name = msg.name();
                let now = net.now;
                net.trace.note(now, || format!("{} gets {name} by session {id}", me.name()));
                match me {
                    Proc::Gw(i) => gws.get_mut(&i).map(|p| p.message(net, ledger, id, *msg)),
                    Proc::Rc(i) => rcs.get_mut(&i).map(|p| p.message(net, ledger, id, *msg)),
                    Proc::Agg(i) => aggs.get_mut(&i).map(|p| p.message(net, id, *msg)),
                    Proc::Dap(i) => daps.get_mut(&i).map(|p| p.message(net, ledger, id, *msg)),
                };
                Some(me)
            }
            Happens::Down(id, side) => {
                let Some(me) = net.down(id, side) else { return Ok(None) };
                let now = net.now;
                net.trace.note(now, || format!("{} loses session {id}", me.name()));
                let dialled = side == Side::Dialler;
                match me {
                    Proc::Gw(i) => gws.get_mut(&i).map(|p| p.down(net, ledger, id)),
                    Proc::Rc(i) => rcs.get_mut(&i).map(|p| p.down(net, ledger, id, dialled)),
                    Proc::Agg(i) => aggs.get_mut(&i).map(|p| p.down(net, id, dialled)),
                    Proc::Dap(i) => daps.get_mut(&i).map(|p| p.down(net, id, dialled)),
                };
                Some(me)
            }
            Happens::Wake(who, life) => {
                if !net.is(who, life) {
                    return Ok(None);
                }
                net.woken(who);
                match who {
                    Proc::Gw(i) => gws.get_mut(&i).map(|p| p.wake(net, ledger)),
                    Proc::Rc(i) => rcs.get_mut(&i).map(|p| p.wake(net, ledger)),
                    Proc::Agg(i) => aggs.get_mut(&i).map(|p| p.wake(net)),
                    Proc::Dap(_) => None,
                };
                Some(who)
            }
            Happens::RunEnds(i, life, key) => {
                if net.is(Proc::Dap(i), life)
                    && let Some(p) = daps.get_mut(&i)
                {
                    p.run_ends(net, ledger, key);
                }
                Some(Proc::Dap(i))
            }
            Happens::OwnerSaid(i, life) => {
                if net.is(Proc::Dap(i), life)
                    && let Some(p) = daps.get_mut(&i)
                {
                    p.obey(net, ledger);
                }
                Some(Proc::Dap(i))
            }
            Happens::AggregateEnds(i, life, key) => {
                if net.is(Proc::Agg(i), life)
                    && let Some(p) = aggs.get_mut(&i)
                {
                    p.aggregated(net, key);
                }
                Some(Proc::Agg(i))
            }
            Happens::ClientReads(i, life, job) => {
                if net.is(Proc::Gw(i), life)
                    && let Some(p) = gws.get_mut(&i)
                {
                    p.read(net, ledger, job);
                }
                Some(Proc::Gw(i))
            }
            Happens::ClientLeaves(job) => {
                let Some(asked) = ledger.asked.get(job).filter(|a| a.end.is_none()) else { return Ok(None) };
                let gw = asked.gw;
                if let Proc::Gw(i) = gw
                    && let Some(p) = gws.get_mut(&i)
                {
                    p.gone(net, ledger, job);
                }
                Some(gw)
            }
            Happens::Ask => {
                self.ask();
                None
            }
            Happens::Trouble => {
                self.trouble();
                None
            }
            Happens::Calm => {
                self.calm_down();
                None
            }
            Happens::Probe => {
                self.probe();
                None
            }
            Happens::Reload(i) => {
                self.reload(i);
                Some(Proc::Dap(i))
            }
            Happens::Found(i, life) => {
                self.found(i, life);
                Some(Proc::Rc(i))
            }
            Happens::Secret(who, secret, previous) => {
                self.secret_comes(who, secret, previous);
                None
            }
            Happens::ClockJumps(who, by) => {
                self.clock_jumps(who, by);
                None
            }
            Happens::Leaving(id, side) => {
                if let Some(Proc::Gw(i)) = net.receiver(id, side)
                    && let Some(p) = gws.get_mut(&i)
                {
                    p.leaving(id);
                }
                None
            }
            Happens::Drained(who, life, until) => {
                self.drained(who, life, until);
                None
            }
            Happens::Ends(who, life, time) => {
                if net.is(who, life) {
                    net.leave(who);
                    ledger.tally.drained += 1;
                    self.stop(who, time);
                }
                None
            }
        };
        Ok(touched)
    }
}
