//! Several small meshes, a coordinator each, joined to one.

use std::collections::HashMap;

use routing::{PeerId, PeerRole, SECOND, Settings, check_mesh, check_quiet_mesh};
use sg::{Corr, Purview, Rc, msg::Run};

use crate::mesh::{Mesh, purview};

/// Coordinators with links between them, over which messages go when a test says so.
pub(crate) struct Net {
    pub(crate) rcs: Vec<Mesh>,
    pub(crate) links: HashMap<(usize, usize), PeerId>,
    pub(crate) read: Vec<usize>,
}

impl Net {
    pub(crate) fn new(rcs: usize) -> Net {
        let mut net = Net { rcs: Vec::new(), links: HashMap::new(), read: Vec::new() };
        (0..rcs).for_each(|_| net.join(Settings { settle: 0, ..Settings::default() }));
        net.pump();
        net
    }

    /// One more coordinator, linked to all.
    pub(crate) fn join(&mut self, settings: Settings) {
        let me = self.rcs.len();
        self.rcs.push(Mesh::with(Settings { name: format!("rc-{me}").into(), ..settings }));
        self.read.push(0);
        (0..me).for_each(|other| self.link(me, other));
    }

    pub(crate) fn link(&mut self, a: usize, b: usize) {
        for (at, other) in [(a, b), (b, a)] {
            let instance = 100 + other as u8;
            let peer = self.rcs[at].up(PeerRole::Rc, &format!("rc-{other}"), instance);
            self.links.insert((at, other), peer);
        }
    }

    pub(crate) fn cut(&mut self, a: usize, b: usize) {
        for (at, other) in [(a, b), (b, a)] {
            let peer = self.links.remove(&(at, other)).expect("linked");
            self.rcs[at].down(peer);
        }
    }

    /// Delivers what coordinators said to each other until nothing is on the way. One that has told the other
    /// that it is not wanted has cut the link.
    pub(crate) fn pump(&mut self) {
        while (0..self.rcs.len()).filter(|from| self.deliver(*from)).count() > 0 {}
        let routers: Vec<_> = self.rcs.iter().map(|m| &m.router).collect();
        check_mesh(&routers);
    }

    /// Delivers what one coordinator has said so far; false where that was nothing.
    pub(crate) fn deliver(&mut self, from: usize) -> bool {
        let mut any = false;
        while let Some((to, msg)) = self.rcs[from].sent.get(self.read[from]).cloned() {
            self.read[from] += 1;
            let to = self.links.iter().find(|((at, _), peer)| *at == from && **peer == to);
            if let Some((&(_, to), _)) = to
                && let Some(back) = self.links.get(&(to, from)).copied()
            {
                self.rcs[to].say(back, msg);
                any = true;
            }
        }
        any
    }

    pub(crate) fn pass(&mut self, time: u64) {
        self.rcs.iter_mut().for_each(|m| m.pass(time));
        self.pump();
    }

    pub(crate) fn dap(&mut self, rc: usize, purview: Purview) -> PeerId {
        let dap = self.rcs[rc].dap(purview);
        self.pump();
        dap
    }

    pub(crate) fn get(&mut self, rc: usize) -> Corr {
        let corr = self.rcs[rc].get(vec![]);
        self.pump();
        corr
    }

    /// A portion runs to its end at `owner`'s replica; its partial goes to the primary's Agg.
    pub(crate) fn complete(&mut self, owner: usize, dap: PeerId, primary: usize, run: &Run) {
        self.rcs[owner].done(dap, run, Rc::OK, run.version);
        self.rcs[owner].idle(dap, run);
        self.rcs[primary].got(run);
        self.rcs[primary].answered(run);
        self.pump();
    }

    pub(crate) fn quiet(&mut self) {
        self.pass(SECOND);
        let routers: Vec<_> = self.rcs.iter().map(|m| &m.router).collect();
        check_quiet_mesh(&routers);
        for rc in &self.rcs {
            assert!(rc.router.is_quiet(), "{:?}", rc.router.stats());
        }
    }
}

pub(crate) fn amer(name: &str) -> Purview {
    purview(name, "region=amer", "hdb", 0, 10)
}
