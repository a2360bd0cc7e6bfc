//! The linked RCs of a GW: readiness, assembly, round robin.
//!
//! A request goes to the best-ranked RCs, in turn; a leaving RC gets requests only where no other RC is ready. Tests:
//! `tests.rs`, through [`super::Pending`].

use kvalue::Sym;

use super::RcLink;

/// RCs for a request: RCs of the request's assembly, else RCs without an assembly, else any RC (`scope` of the
/// arguments).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Affinity {
    /// `scope.assembly`; null for none
    pub assembly: Sym,
    /// only an RC of that assembly will do (`scope.affinity` is `hard`)
    pub hard: bool,
}

impl Affinity {
    /// Rank of an RC of this assembly, 0 best; `None` if unsuitable. An RC of another assembly, or of any assembly for
    /// a request without one, comes last.
    fn rank(&self, assembly: &Sym) -> Option<u8> {
        let wants = !self.assembly.is_null();
        match assembly.is_null() {
            _ if wants && *assembly == self.assembly => Some(0),
            _ if wants && self.hard => None,
            true => Some(1),
            false => Some(2),
        }
    }
}

#[derive(Debug)]
struct Coordinator {
    link: RcLink,
    ready: bool,
    /// the one it is for; null for all
    assembly: Sym,
    /// the process is leaving, whatever the process says
    leaving: bool,
}

impl Coordinator {
    fn takes_requests(&self) -> bool {
        self.ready && !self.leaving
    }
}

/// All RCs that are linked.
#[derive(Debug, Default)]
pub(super) struct Coordinators {
    linked: Vec<Coordinator>,
    turn: usize,
}

impl Coordinators {
    pub(super) fn linked(&self) -> usize {
        self.linked.len()
    }

    /// How many take requests.
    pub(super) fn ready(&self) -> usize {
        let staying = self.linked.iter().filter(|c| c.takes_requests()).count();
        if staying > 0 { staying } else { self.linked.iter().filter(|c| c.ready).count() }
    }

    /// True where one beside this takes requests, and stays.
    pub(super) fn others(&self, link: RcLink) -> bool {
        self.linked.iter().any(|c| c.link != link && c.takes_requests())
    }

    /// It is not ready until it says so.
    pub(super) fn up(&mut self, link: RcLink) {
        if self.linked.iter().all(|c| c.link != link) {
            self.linked.push(Coordinator { link, ready: false, assembly: Sym::null(), leaving: false });
        }
    }

    /// False for one that is not linked.
    pub(super) fn set(&mut self, link: RcLink, ready: bool, assembly: Sym) -> bool {
        let known = self.linked.iter_mut().find(|c| c.link == link);
        known.map(|c| (c.ready, c.assembly) = (ready, assembly)).is_some()
    }

    pub(super) fn leaving(&mut self, link: RcLink) {
        if let Some(c) = self.linked.iter_mut().find(|c| c.link == link) {
            c.leaving = true;
        }
    }

    pub(super) fn down(&mut self, link: RcLink) {
        self.linked.retain(|c| c.link != link);
    }

    /// True where this RC is ready, and no other ready RC stays.
    pub(super) fn is_last(&self, link: RcLink) -> bool {
        self.linked.iter().any(|c| c.link == link && c.ready) && !self.others(link)
    }

    /// The ready ones that suit best, in turn.
    pub(super) fn next(&mut self, affinity: &Affinity) -> Option<RcLink> {
        let rank =
            |c: &Coordinator| affinity.rank(&c.assembly).filter(|_| c.ready).map(|rank| (c.leaving, rank));
        let best = self.linked.iter().filter_map(rank).min()?;
        let n = self.linked.len();
        let in_turn = (0..n).map(|i| (self.turn + i) % n);
        let at = in_turn.into_iter().find(|at| rank(&self.linked[*at]) == Some(best))?;
        self.turn = at + 1;
        Some(self.linked[at].link)
    }
}
