//! Ownership of the data process: the owner, the next owner, and all linked coordinators.
//!
//! Rule kept: running portions, owner and next owner are read and changed under one lock. A coordinator that comes
//! during a run waits for the end of the run. With two locks the run could end between the check and the entry of the
//! waiting coordinator: no registration would follow until another portion had run. Test: below.

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard, PoisonError},
};

use sg::msg::Running;

use crate::core::Core;

/// A link to a coordinator.
pub trait Link: Clone {
    /// what tells it from others
    fn id(&self) -> u64;
    /// false once it is known to have ended
    fn is_up(&self) -> bool;
}

impl Link for link::Sender {
    fn id(&self) -> u64 {
        self.id().0
    }
    fn is_up(&self) -> bool {
        self.is_up()
    }
}

/// A registration that is due: by which link, in which epoch, and what runs.
#[derive(Debug)]
pub struct Due<L> {
    /// the coordinator that is the owner from now on
    pub link: L,
    /// counts registrations
    pub epoch: i64,
    /// what it is told to run still
    pub running: Vec<Running>,
}

/// The core, and who owns it.
pub struct Owned<L>(Mutex<Held<L>>);

struct Held<L> {
    core: Core,
    owner: Option<L>,
    /// a coordinator that is to be the owner once nothing runs for the present one
    next: Option<L>,
    /// all links to coordinators: a DAP that registers itself and is found by label too has several for a moment,
    /// and the one that the coordinator does not want may be the latest
    links: Vec<L>,
}

impl<L: Link> Held<L> {
    fn register(&mut self, link: L) -> Due<L> {
        let (epoch, running) = self.core.owned_by(link.id());
        self.owner = Some(link.clone());
        Due { link, epoch, running }
    }

    fn take_next(&mut self) -> Option<L> {
        self.next.take().filter(Link::is_up)
    }
}

impl<L: Link> Owned<L> {
    /// Nobody's yet.
    pub fn new(core: Core) -> Self {
        Owned(Mutex::new(Held { core, owner: None, next: None, links: Vec::new() }))
    }

    /// The core, for a moment.
    pub fn core(&self) -> Guard<'_, L> {
        Guard(self.lock())
    }

    /// The present owner.
    pub fn owner(&self) -> Option<L> {
        self.lock().owner.clone()
    }

    /// A link to a coordinator is up: it is the owner from now on, or, where something runs for the present one, once
    /// that has ended: whoever asked hears of it by the link it asked by.
    pub fn link_up(&self, link: &L) -> Option<Due<L>> {
        let mut held = self.lock();
        held.links.push(link.clone());
        let owned = held.owner.as_ref().is_some_and(Link::is_up);
        if held.core.runs() > 0 && owned {
            held.next = Some(link.clone());
            return None;
        }
        Some(held.register(link.clone()))
    }

    /// Nothing runs: the next owner's turn, if one waits.
    pub fn hand_over(&self) -> Option<Due<L>> {
        let mut held = self.lock();
        if held.core.runs() > 0 {
            return None;
        }
        held.take_next().map(|link| held.register(link))
    }

    /// A link has ended. True for the owner's link, with the new owner: the waiting coordinator, or a linked
    /// coordinator with an older registration that may still consider itself the owner.
    pub fn link_down(&self, link: &L) -> (bool, Option<Due<L>>) {
        let mut held = self.lock();
        held.core.lost(link.id());
        held.links.retain(|l| l.id() != link.id() && l.is_up());
        if held.owner.as_ref().is_none_or(|o| o.id() != link.id()) {
            // A former owner lets go, or the next owner is gone.
            if held.next.as_ref().is_some_and(|n| n.id() == link.id()) {
                held.next = None;
            }
            return (false, None);
        }
        held.owner = None;
        let next = held.take_next().or_else(|| held.links.last().cloned());
        (true, next.map(|link| held.register(link)))
    }

    /// A lock whose holder panicked still guards consistent data here: each change is whole before anything can fail.
    fn lock(&self) -> MutexGuard<'_, Held<L>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The core in one thread's hands.
pub struct Guard<'a, L>(MutexGuard<'a, Held<L>>);

impl<L: Link> Guard<'_, L> {
    /// True where a coordinator is to be the owner once nothing runs.
    pub fn has_next_owner(&self) -> bool {
        self.0.next.as_ref().is_some_and(Link::is_up)
    }

    /// The present owner.
    pub fn owned_by(&self) -> Option<L> {
        self.0.owner.clone()
    }
}

impl<L> Deref for Guard<'_, L> {
    type Target = Core;
    fn deref(&self) -> &Core {
        &self.0.core
    }
}

impl<L> DerefMut for Guard<'_, L> {
    fn deref_mut(&mut self) -> &mut Core {
        &mut self.0.core
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc, mpsc,
            mpsc::{Receiver, Sender},
        },
        time::{Duration, Instant},
    };

    use sg::msg::Run;

    use super::*;
    use crate::{
        cancel::Cancel,
        core::{Depth, Order, tests::run},
    };

    /// A link of which somebody hears when it is asked whether it is up, and is given a moment to do something.
    #[derive(Clone)]
    struct Watched {
        id: u64,
        asked: Option<(Sender<()>, Moment)>,
    }

    /// When what somebody does in the moment is done.
    type Moment = Arc<Mutex<Receiver<()>>>;

    impl Link for Watched {
        fn id(&self) -> u64 {
            self.id
        }
        fn is_up(&self) -> bool {
            if let Some((asked, done)) = &self.asked {
                let _ = asked.send(());
                let _ = done.lock().unwrap().recv_timeout(Duration::from_millis(50));
            }
            true
        }
    }

    fn owned() -> Owned<Watched> {
        Owned::new(Core::new(Depth { capacity: 1, patience: Duration::from_secs(60) }))
    }

    fn starts(owned: &Owned<Watched>, link: u64, epoch: i64) -> Run {
        let run = run(epoch, 0);
        let cancel = Cancel::until(Instant::now() + Duration::from_secs(60));
        assert!(matches!(owned.core().order(link, &run, 1, cancel, Instant::now()), Order::Start(..)));
        run
    }

    fn ends(owned: &Owned<Watched>, run: &Run) -> Option<u64> {
        owned.core().ended(run, 1, Ok(()));
        owned.hand_over().map(|due| due.link.id)
    }

    /// The last portion ends just when a coordinator that comes looks whether the present owner is up.
    #[test]
    fn a_coordinator_that_comes_while_the_last_portion_ends_is_registered_with() {
        let owned = owned();
        let (asked, hears) = mpsc::channel();
        let (does, done) = mpsc::channel();
        let first = Watched { id: 1, asked: Some((asked, Arc::new(Mutex::new(done)))) };
        let epoch = owned.link_up(&first).unwrap().epoch;
        let run = starts(&owned, 1, epoch);
        std::thread::scope(|scope| {
            let (held, last) = (&owned, &run);
            let ending = scope.spawn(move || {
                hears.recv().unwrap();
                let handed = ends(held, last);
                let _ = does.send(());
                handed
            });
            let at_once = owned.link_up(&Watched { id: 2, asked: None }).map(|due| due.link.id);
            let handed = ending.join().unwrap();
            assert_eq!(
                at_once.or(handed),
                Some(2),
                "nobody would register with it until another portion had run"
            );
        });
        assert_eq!(owned.owner().map(|o| o.id), Some(2));
    }

    /// Whatever comes, ends or starts at the same time: once nothing runs, nobody waits.
    #[test]
    fn in_no_order_of_ends_and_links_does_a_coordinator_wait_for_ever() {
        for round in 0..1_000_u64 {
            let owned = owned();
            let epoch = owned.link_up(&Watched { id: 1, asked: None }).unwrap().epoch;
            let run = starts(&owned, 1, epoch);
            let barrier = std::sync::Barrier::new(2);
            std::thread::scope(|scope| {
                let comes = scope.spawn(|| {
                    barrier.wait();
                    (0..round % 50).for_each(|_| std::hint::spin_loop());
                    owned.link_up(&Watched { id: 2, asked: None });
                });
                barrier.wait();
                (0..round % 37).for_each(|_| std::hint::spin_loop());
                ends(&owned, &run);
                comes.join().unwrap();
            });
            assert!(!owned.core().has_next_owner(), "round {round}");
            assert_eq!(owned.owner().map(|o| o.id), Some(2), "round {round}");
        }
    }

    #[test]
    fn when_the_owner_is_lost_another_that_is_linked_is_the_owner() {
        let owned = owned();
        let [a, b] = [1, 2].map(|id| Watched { id, asked: None });
        owned.link_up(&a);
        owned.link_up(&b);
        assert_eq!(owned.link_down(&a).1.map(|due| due.link.id), None, "it was not the owner");
        owned.link_up(&a);
        let (was, due) = owned.link_down(&a);
        assert_eq!((was, due.map(|due| due.link.id)), (true, Some(2)));
    }
}
