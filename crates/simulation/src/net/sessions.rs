//! Sessions between two lives of processes: what arrives, in which order, and how they break.

use routing::{MILLI, Nanos};
use sg::{InstanceId, Msg};

use super::{Happens, Net, Proc};

/// Which end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Side {
    Dialler,
    Acceptor,
}

impl Side {
    fn other(self) -> Side {
        match self {
            Side::Dialler => Side::Acceptor,
            Side::Acceptor => Side::Dialler,
        }
    }
}

#[derive(Debug)]
struct End {
    proc: Proc,
    life: u64,
    up: bool,
    closed: bool,
    /// what is on its way arrives no sooner
    order: Nanos,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Session {
    dialler: End,
    acceptor: End,
    /// both ends will be told, or have been
    breaking: bool,
}

impl Session {
    fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Dialler => &mut self.dialler,
            Side::Acceptor => &mut self.acceptor,
        }
    }
}

impl Net {
    /// Whether two processes can reach each other now.
    pub(crate) fn reaches(&self, a: Proc, b: Proc) -> bool {
        self.reached_since(a, b) <= self.now
    }

    /// Since when two processes reach each other; later than now where they do not yet.
    pub(crate) fn reached_since(&self, a: Proc, b: Proc) -> Nanos {
        self.parted.get(&pair(a, b)).copied().unwrap_or_default()
    }

    /// Begins to connect; what comes of it is told by [`Happens::Connect`].
    pub(crate) fn dial(&mut self, by: Proc, to: Proc, delay: Nanos) {
        let life = self.state(by).1;
        self.after(delay, Happens::Connect { by, life, to });
    }

    fn share_a_secret(&self, a: Proc, b: Proc) -> bool {
        let both = self.secrets.get(&a).zip(self.secrets.get(&b));
        both.is_none_or(|(a, b)| a.iter().any(|secret| b.contains(secret)))
    }

    /// Opens a session; `None` where nobody answers. The dialling side may send at once.
    pub(crate) fn connect(&mut self, by: Proc, to: Proc) -> Option<u64> {
        if !self.is_alive(to) || !self.reaches(by, to) || !self.share_a_secret(by, to) {
            return None;
        }
        let id = self.next_session;
        self.next_session += 1;
        let arrives = self.now + self.delay();
        let end = |proc, life, order| End { proc, life, up: false, closed: false, order };
        let dialler = end(by, self.state(by).1, self.now);
        let acceptor = end(to, self.state(to).1, arrives);
        self.sessions.insert(id, Session { dialler, acceptor, breaking: false });
        self.at(arrives, Happens::Up(id, Side::Acceptor));
        if let Some(s) = self.sessions.get_mut(&id) {
            s.dialler.up = true;
        }
        Some(id)
    }

    /// The process that a session's end belongs to, if this life of it still takes part.
    pub(crate) fn receiver(&self, id: u64, side: Side) -> Option<Proc> {
        let session = self.sessions.get(&id)?;
        let end = match side {
            Side::Dialler => &session.dialler,
            Side::Acceptor => &session.acceptor,
        };
        (!end.closed && self.is(end.proc, end.life)).then_some(end.proc)
    }

    /// Marks an end as up; the processes at both ends.
    pub(crate) fn up(&mut self, id: u64, side: Side) -> Option<Proc> {
        let proc = self.receiver(id, side)?;
        self.sessions.get_mut(&id)?.end(side).up = true;
        Some(proc)
    }

    /// Marks an end as closed; the process that is to be told.
    pub(crate) fn down(&mut self, id: u64, side: Side) -> Option<Proc> {
        let proc = self.receiver(id, side);
        let session = self.sessions.get_mut(&id)?;
        let end = session.end(side);
        end.closed = true;
        let was_up = end.up;
        if session.dialler.closed && session.acceptor.closed {
            self.sessions.remove(&id);
        }
        proc.filter(|_| was_up)
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self, id: u64, me: Proc) -> Option<Proc> {
        let session = self.sessions.get(&id)?;
        Some(if session.dialler.proc == me { session.acceptor.proc } else { session.dialler.proc })
    }

    /// The running process at the other end, as its hello said.
    pub(crate) fn peer_instance(&self, id: u64, me: Proc) -> InstanceId {
        // An instance is one life: a session does not outlive its ends' lives by more than its own end.
        self.peer(id, me).map_or(InstanceId([0; 16]), |p| self.instance(p))
    }

    /// Sends by a session. An error where the sender knows that the session is gone.
    pub(crate) fn send(&mut self, id: u64, from: Proc, msg: impl Into<Msg>) -> Result<(), ()> {
        let delay = self.delay();
        let now = self.now;
        let Some(session) = self.sessions.get_mut(&id) else { return Err(()) };
        let side = if session.dialler.proc == from { Side::Dialler } else { Side::Acceptor };
        if session.end(side).closed {
            return Err(());
        }
        let to = session.end(side.other());
        to.order = to.order.max(now + delay);
        let at = to.order;
        let msg = msg.into();
        self.trace.sent(now, id, from, &msg);
        self.at(at, Happens::Message(id, side.other(), Box::new(msg)));
        Ok(())
    }

    /// Sessions of a process that are not about to break.
    pub(super) fn unbroken(&self, proc: Proc) -> Vec<u64> {
        let of = |s: &Session| s.dialler.proc == proc || s.acceptor.proc == proc;
        self.sessions.iter().filter(|(_, s)| !s.breaking && of(s)).map(|(id, _)| *id).collect()
    }

    /// Breaks a session: each end notices soon, or only when it has lost patience.
    pub(crate) fn cut(&mut self, id: u64) {
        let (a, b) = (self.notice(), self.notice());
        self.cut_at(id, self.now + a, self.now + b);
    }

    fn notice(&mut self) -> Nanos {
        match self.rng.below(4) {
            0 => self.rng.between(self.patience / 4, self.patience),
            1 => 0,
            _ => self.rng.between(0, 3 * MILLI),
        }
    }

    fn cut_at(&mut self, id: u64, dialler: Nanos, acceptor: Nanos) {
        let Some(session) = self.sessions.get_mut(&id).filter(|s| !s.breaking) else { return };
        session.breaking = true;
        // The acceptor hears of the session before it hears of its end.
        let acceptor = match session.acceptor.up {
            true => acceptor,
            false => acceptor.max(session.acceptor.order),
        };
        self.at(dialler, Happens::Down(id, Side::Dialler));
        self.at(acceptor, Happens::Down(id, Side::Acceptor));
    }

    /// A process has said its last word and ends: peers receive all messages, then the end of the sessions.
    pub(crate) fn leave(&mut self, proc: Proc) {
        for id in self.unbroken(proc) {
            let delay = self.delay();
            let Some(session) = self.sessions.get(&id) else { continue };
            let heard = session.dialler.order.max(session.acceptor.order).max(self.now) + delay;
            match session.dialler.proc == proc {
                true => self.cut_at(id, self.now, heard),
                false => self.cut_at(id, heard, self.now),
            }
        }
    }

    /// A process announces its end to all peers.
    pub(crate) fn say_leaving(&mut self, proc: Proc) {
        let of = |s: &Session| (s.dialler.proc == proc).then_some(Side::Acceptor);
        let of = |s: &Session| of(s).or((s.acceptor.proc == proc).then_some(Side::Dialler));
        let to: Vec<(u64, Side)> = self.sessions.iter().filter_map(|(id, s)| Some((*id, of(s)?))).collect();
        for (id, side) in to {
            let delay = self.delay();
            let at = self.now + delay;
            let Some(end) = self.sessions.get_mut(&id).map(|s| s.end(side)) else { continue };
            end.order = end.order.max(at);
            let at = end.order;
            self.at(at, Happens::Leaving(id, side));
        }
    }

    /// Whether two processes have an unbroken session, and nothing keeps them apart.
    pub(crate) fn is_linked(&self, a: Proc, b: Proc) -> bool {
        let up = |s: &Session| !s.breaking && s.acceptor.up && !s.dialler.closed && !s.acceptor.closed;
        let between = |s: &Session| {
            let ends = (s.dialler.proc, s.acceptor.proc);
            ends == (a, b) || ends == (b, a)
        };
        self.reaches(a, b) && self.sessions.values().any(|s| between(s) && up(s))
    }

    /// True where this process opened the session.
    pub(crate) fn dialled(&self, id: u64, me: Proc) -> bool {
        self.sessions.get(&id).is_some_and(|s| s.dialler.proc == me)
    }

    /// One side closes: it hears of nothing more, the other end soon does.
    pub(crate) fn close(&mut self, id: u64, by: Proc) {
        let Some(session) = self.sessions.get(&id) else { return };
        let soon = self.now + MILLI;
        match session.dialler.proc == by {
            true => self.cut_at(id, self.now, soon),
            false => self.cut_at(id, soon, self.now),
        }
    }

    /// Live sessions, for trouble to choose from.
    pub(crate) fn open_sessions(&self) -> Vec<u64> {
        self.sessions.iter().filter(|(_, s)| !s.breaking).map(|(id, _)| *id).collect()
    }

    /// Ends of a session.
    pub(crate) fn ends(&self, id: u64) -> Option<(Proc, Proc)> {
        self.sessions.get(&id).map(|s| (s.dialler.proc, s.acceptor.proc))
    }

    /// Nothing passes between two processes for a while. What is under way waits; where it lasts longer than
    /// patience does, the sessions break.
    pub(crate) fn part(&mut self, a: Proc, b: Proc, time: Nanos) {
        let until = self.now + time;
        self.parted.insert(pair(a, b), until);
        let between = |s: &Session| {
            let ends = (s.dialler.proc, s.acceptor.proc);
            ends == (a, b) || ends == (b, a)
        };
        let ids: Vec<u64> =
            self.sessions.iter().filter(|(_, s)| !s.breaking && between(s)).map(|(id, _)| *id).collect();
        for id in ids {
            if time < self.patience {
                if let Some(s) = self.sessions.get_mut(&id) {
                    s.dialler.order = s.dialler.order.max(until);
                    s.acceptor.order = s.acceptor.order.max(until);
                }
            } else {
                let (early, late) = (self.rng.below(self.patience / 2), self.rng.below(self.patience / 2));
                self.cut_at(id, self.now + early + self.patience / 2, self.now + late + self.patience / 2);
            }
        }
    }

    /// Everybody reaches everybody again; but where a session outlives the parting, what is under way in it comes
    /// when that would have ended.
    pub(crate) fn heal(&mut self) {
        let sessions = &self.sessions;
        self.parted.retain(|parted, until| {
            sessions.values().any(|s| {
                let waits = s.dialler.order.max(s.acceptor.order) >= *until;
                waits && !s.breaking && pair(s.dialler.proc, s.acceptor.proc) == *parted
            })
        });
    }
}

/// Two processes, in whichever order they are named.
fn pair(a: Proc, b: Proc) -> (Proc, Proc) {
    (a.min(b), a.max(b))
}
