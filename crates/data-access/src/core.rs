//! Who may give this DAP work, and what it is running: the sans-io core of the process.
//!
//! Rules kept (design, mesh §3): a DAP obeys its latest owner and refuses others; it runs no more portions at
//! a time than its capacity; a portion planned on another purview version is refused, so that a moved tile is
//! neither lost nor served twice; after each run it says that it is idle, under the epoch of its registration.

use std::{collections::HashMap, sync::Arc};

use sg::{
    Ac, Failure, PortionId, Rc,
    msg::{CancelRun, Done, Idle, Run, Running},
};

use crate::cancel::Cancel;

/// What the core keeps.
#[derive(Debug)]
pub struct Core {
    capacity: u32,
    epoch: i64,
    owner: Option<u64>,
    running: HashMap<Key, Arc<Cancel>>,
}

type Key = (sg::Corr, i32, PortionId);

/// What to do with an order to run.
#[derive(Debug)]
pub enum Order {
    /// Run it under this cancellation.
    Start(Arc<Cancel>),
    /// Say this to the RC; nothing runs.
    Refuse(Done),
}

impl Core {
    /// A DAP that runs `capacity` portions at a time.
    pub fn new(capacity: u32) -> Self {
        Core { capacity, epoch: 0, owner: None, running: HashMap::new() }
    }

    /// A link to an RC came up: it is the owner from now on. Returns the epoch to register under and what is
    /// still running from before.
    pub fn owned_by(&mut self, link: u64) -> (i64, Vec<Running>) {
        self.epoch += 1;
        self.owner = Some(link);
        let running = |&(corr, attempt, portion): &Key| Running { corr, attempt, portion };
        (self.epoch, self.running.keys().map(running).collect())
    }

    /// The link to an RC went down. What runs goes on: its partial may still reach its Agg.
    pub fn lost(&mut self, link: u64) {
        if self.owner == Some(link) {
            self.owner = None;
        }
    }

    /// Link of the present owner.
    pub fn owner(&self) -> Option<u64> {
        self.owner
    }

    /// Epoch of the present registration.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// An order from `link`; `version` is that of the DAP's purview now.
    pub fn order(&mut self, link: u64, run: &Run, version: i64, cancel: Cancel) -> Order {
        let refuse = |rc, ac, ai: String| {
            Order::Refuse(Done {
                corr: run.corr,
                attempt: run.attempt,
                portion: run.portion,
                rc,
                ac,
                ai,
                version,
            })
        };
        if self.owner != Some(link) || run.epoch != self.epoch {
            let ai = format!(
                "this data process is registered under epoch {}, the order is for epoch {}: it obeys its latest coordinator",
                self.epoch, run.epoch
            );
            return refuse(Rc::CONN, Ac::CONN, ai);
        }
        if run.version != version {
            let ai = format!(
                "purview mismatch: planned on version {}, now at {version}; the portion is planned again",
                run.version
            );
            return refuse(Rc::APP_RETRY2, Ac::NOT_READY, ai);
        }
        if self.running.len() >= self.capacity as usize {
            let ai = format!("busy: {} of {} portions are running", self.running.len(), self.capacity);
            return refuse(Rc::QUEUE, Ac::NOT_READY, ai);
        }
        let cancel = Arc::new(cancel);
        self.running.insert((run.corr, run.attempt, run.portion), cancel.clone());
        Order::Start(cancel)
    }

    /// Stop a run; nothing where it has ended.
    pub fn cancel(&mut self, order: &CancelRun) {
        if let Some(cancel) = self.running.get(&(order.corr, order.attempt, order.portion)) {
            cancel.cancel();
        }
    }

    /// A run ended: what to say to the owner.
    pub fn ended(&mut self, run: &Run, version: i64, outcome: Result<(), Failure>) -> (Done, Idle) {
        self.running.remove(&(run.corr, run.attempt, run.portion));
        let failure = outcome.err().unwrap_or_else(|| Failure::new(Rc::OK, Ac::OK, ""));
        let done = Done {
            corr: run.corr,
            attempt: run.attempt,
            portion: run.portion,
            rc: failure.rc,
            ac: failure.ac,
            ai: failure.ai,
            version,
        };
        (done, Idle { epoch: self.epoch, slots: self.slots() })
    }

    /// Portions that can be taken now.
    pub fn slots(&self) -> i32 {
        self.capacity as i32 - self.running.len() as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qipc::Raw;
    use sg::{Corr, LabelSet, TimeRange};
    use std::time::{Duration, Instant};

    fn run(epoch: i64, portion: u32) -> Run {
        Run {
            corr: Corr([1; 16]),
            attempt: 0,
            portion: PortionId(portion),
            epoch,
            left: 1_000,
            api: ".kxi.ping".into(),
            table: "".into(),
            labels: LabelSet::default(),
            range: TimeRange::ALL,
            version: 1,
            agg: "a:1".into(),
            opts: Raw::of(&kvalue::Value::empty_dict()),
            args: Raw::of(&kvalue::Value::empty_dict()),
        }
    }

    fn cancel() -> Cancel {
        Cancel::until(Instant::now() + Duration::from_secs(60))
    }

    #[test]
    fn only_the_latest_owner_is_obeyed() {
        let mut core = Core::new(1);
        core.owned_by(1);
        let (epoch, _) = core.owned_by(2);
        assert!(matches!(core.order(1, &run(epoch, 0), 1, cancel()), Order::Refuse(d) if d.rc == Rc::CONN));
        assert!(matches!(core.order(2, &run(epoch - 1, 0), 1, cancel()), Order::Refuse(_)));
        assert!(matches!(core.order(2, &run(epoch, 0), 1, cancel()), Order::Start(_)));
    }

    #[test]
    fn a_moved_purview_refuses_and_says_its_version() {
        let mut core = Core::new(1);
        let (epoch, _) = core.owned_by(1);
        match core.order(1, &run(epoch, 0), 2, cancel()) {
            Order::Refuse(d) => assert_eq!((d.rc, d.version), (Rc::APP_RETRY2, 2)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn capacity_is_kept_and_given_back() {
        let mut core = Core::new(1);
        let (epoch, _) = core.owned_by(1);
        let first = run(epoch, 0);
        assert!(matches!(core.order(1, &first, 1, cancel()), Order::Start(_)));
        assert!(matches!(core.order(1, &run(epoch, 1), 1, cancel()), Order::Refuse(d) if d.rc == Rc::QUEUE));
        let (done, idle) = core.ended(&first, 1, Ok(()));
        assert_eq!((done.rc, idle.slots), (Rc::OK, 1));
        assert!(matches!(core.order(1, &run(epoch, 1), 1, cancel()), Order::Start(_)));
    }

    #[test]
    fn a_new_registration_says_what_still_runs() {
        let mut core = Core::new(2);
        let (epoch, _) = core.owned_by(1);
        core.order(1, &run(epoch, 7), 1, cancel());
        core.lost(1);
        let (_, running) = core.owned_by(2);
        assert_eq!(running[0].portion, PortionId(7));
    }
}
