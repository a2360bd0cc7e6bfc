//! Links that a process opens when it first needs them, as `link::Pool` does.

use std::collections::{BTreeMap, VecDeque};

use routing::{MILLI, Nanos};

use super::{Net, Proc};

/// Links that a process opens when it first needs them, as `link::Pool` does.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    links: BTreeMap<Proc, Slot<T>>,
}

#[derive(Debug)]
enum Slot<T> {
    Opening { since: Nanos, waiting: VecDeque<T> },
    Up(u64),
}

/// What becomes of something that needs a link.
#[derive(Debug)]
pub(crate) enum Pooled<T> {
    /// by this session, now
    Now(u64, T),
    /// when the link is up, or has failed
    Later,
}

/// How long a pool tries to open a link.
const CONNECT_TIMEOUT: Nanos = 1_000 * MILLI;

impl<T> Pool<T> {
    pub(crate) fn new() -> Self {
        Pool { links: BTreeMap::new() }
    }

    pub(crate) fn get(&mut self, net: &mut Net, me: Proc, to: Proc, what: T) -> Pooled<T> {
        match self.links.get_mut(&to) {
            Some(Slot::Up(id)) => return Pooled::Now(*id, what),
            Some(Slot::Opening { waiting, .. }) => waiting.push_back(what),
            None => {
                let slot = Slot::Opening { since: net.now, waiting: VecDeque::from([what]) };
                self.links.insert(to, slot);
                let delay = net.delay();
                net.dial(me, to, delay);
            }
        }
        Pooled::Later
    }

    /// A dial of the pool's came to this: what can go on by the session, or has failed.
    pub(crate) fn connected(
        &mut self,
        net: &mut Net,
        me: Proc,
        to: Proc,
        session: Option<u64>,
    ) -> (Option<u64>, Vec<T>) {
        let Some(Slot::Opening { since, waiting }) = self.links.get_mut(&to) else {
            return (None, Vec::new());
        };
        if session.is_none() && net.now < *since + CONNECT_TIMEOUT {
            let backoff = net.rng.between(5 * MILLI, 200 * MILLI);
            net.dial(me, to, backoff);
            return (None, Vec::new());
        }
        let waiting = std::mem::take(waiting).into();
        match session {
            Some(id) => self.links.insert(to, Slot::Up(id)),
            None => self.links.remove(&to),
        };
        (session, waiting)
    }

    /// A session ended; true where it was the pool's.
    pub(crate) fn down(&mut self, session: u64) -> bool {
        let before = self.links.len();
        self.links.retain(|_, slot| !matches!(slot, Slot::Up(id) if *id == session));
        self.links.len() != before
    }
}
