//! Ownership and running portions of a DAP: the sans-io core of the process.
//!
//! Rules kept (design, mesh §3): a DAP obeys its latest owner and refuses others; it holds no more portions at a time
//! than its capacity; a portion planned on another purview version is refused, so that a moved tile is neither lost nor
//! served twice; free slots are told under the epoch of the registration: at once when idle, else for several runs
//! together.
//!
//! A DAP runs one portion at a time. Further held portions wait, so that short portions follow each other without a way
//! to the coordinator and back in between. None waits long: once a portion has run for [`Depth::patience`], the waiting
//! portions are handed back and further ones refused, so that the coordinator gives them to a replica that is free
//! (design §3.2). One that waits is handed back sooner where the coordinator asks for it.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use sg::{
    Ac, Failure, PortionId, Rc,
    msg::{CancelRun, Done, Idle, Recall, Run, Running},
};

use crate::cancel::Cancel;

/// How many portions a DAP holds, and for how long one may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// most portions at a time, the running one included
    pub capacity: u32,
    /// time the running one may take before those behind it are handed back
    pub patience: Duration,
}

/// What the core keeps.
#[derive(Debug)]
pub struct Core {
    depth: Depth,
    epoch: i64,
    owner: Option<u64>,
    /// few, and in an order that can be replayed: what is said of all of them follows it
    held: BTreeMap<Key, Held>,
    tickets: u64,
    /// runs that ended since the owner heard of free places
    unsaid: u32,
    /// since when the portion runs that has run longest
    busy_since: Option<Instant>,
}

/// A portion that waits or runs.
#[derive(Debug)]
struct Held {
    ticket: Ticket,
    cancel: Arc<Cancel>,
    runs_since: Option<Instant>,
}

/// Names one order: the same portion may be handed back and ordered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u64);

type Key = (sg::Corr, i32, PortionId);

fn key(run: &Run) -> Key {
    (run.corr, run.attempt, run.portion)
}

/// What to do with an order to run.
#[derive(Debug)]
pub enum Order {
    /// Run the portion under this cancellation, if [`Core::begin`] agrees when its turn comes.
    Start(Ticket, Arc<Cancel>),
    /// Say this to the RC; nothing runs.
    Refuse(Done),
}

impl Core {
    /// A DAP that holds so many portions at a time.
    pub fn new(depth: Depth) -> Self {
        Core { depth, epoch: 0, owner: None, held: BTreeMap::new(), tickets: 0, unsaid: 0, busy_since: None }
    }

    /// Most portions held at a time.
    pub fn capacity(&self) -> u32 {
        self.depth.capacity
    }

    /// A link to an RC came up: it is the owner from now on. Returns the epoch to register under and what is
    /// still running from before.
    pub fn owned_by(&mut self, link: u64) -> (i64, Vec<Running>) {
        self.epoch += 1;
        self.owner = Some(link);
        let running = |&(corr, attempt, portion): &Key| Running { corr, attempt, portion };
        (self.epoch, self.held.keys().map(running).collect())
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
    pub fn order(&mut self, link: u64, run: &Run, version: i64, cancel: Cancel, now: Instant) -> Order {
        let refuse =
            |rc, ac, ai: String| Order::Refuse(Done::of(key(run), version, Failure::new(rc, ac, ai)));
        let obeys = self.owner == Some(link) && run.epoch == self.epoch;
        if !obeys && !sg::mutation::on("dap-obeys-anyone") {
            let ai = format!(
                "this data process is registered under epoch {}, the order is for epoch {}: it obeys its latest coordinator",
                self.epoch, run.epoch
            );
            return refuse(Rc::CONN, Ac::NOT_READY, ai);
        }
        if run.version != version && !sg::mutation::on("dap-ignores-version") {
            let ai = format!(
                "purview mismatch: planned on version {}, now at {version}; the portion is planned again",
                run.version
            );
            return refuse(Rc::APP_RETRY2, Ac::NOT_READY, ai);
        }
        let is_full = self.held.len() >= self.depth.capacity as usize;
        if (is_full || self.is_overdue(now)) && !sg::mutation::on("dap-exceeds-capacity") {
            return Order::Refuse(Done::of(key(run), version, self.busy()));
        }
        if self.held.contains_key(&key(run)) {
            // It was stopped and has not ended yet, and is wanted again: two under one name would end as one.
            let ai = format!("busy: an earlier run of portion {} has not ended", run.portion.0);
            return refuse(Rc::QUEUE, Ac::NOT_READY, ai);
        }
        let cancel = Arc::new(cancel);
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.held.insert(key(run), Held { ticket, cancel: cancel.clone(), runs_since: None });
        Order::Start(ticket, cancel)
    }

    /// The turn of an order has come; false where it was handed back meanwhile.
    pub fn begin(&mut self, run: &Run, ticket: Ticket, now: Instant) -> bool {
        match self.held.get_mut(&key(run)) {
            Some(held) if held.ticket == ticket => {
                held.runs_since = Some(now);
                self.busy_since.get_or_insert(now);
                true
            }
            _ => false,
        }
    }

    /// When [`Self::overdue`] may have something to hand back; `None` while nothing waits.
    pub fn next_look(&self, now: Instant) -> Option<Instant> {
        let waits = self.held.values().any(|h| h.runs_since.is_none());
        waits.then(|| self.busy_since.unwrap_or(now) + self.depth.patience)
    }

    /// True with more than one portion held: a portion may have to wait.
    pub fn is_shared(&self) -> bool {
        self.held.len() > 1
    }

    /// What waits behind a portion that has run for too long, with what to say to the owner of each: they are
    /// no longer held.
    pub fn overdue(&mut self, version: i64, now: Instant) -> Vec<Done> {
        if !self.is_overdue(now) {
            return Vec::new();
        }
        let busy = self.busy();
        let waiting = self.held.extract_if(.., |_, held| held.runs_since.is_none());
        waiting.map(|(key, _)| Done::of(key, version, busy.clone())).collect()
    }

    /// The owner has an idle replica for a portion: it is handed back unless it has begun. Returns what to say of it
    /// and, where nothing is held any more, of the places that are free.
    pub fn recall(&mut self, order: &Recall, version: i64) -> Option<(Done, Option<Idle>)> {
        let key = (order.corr, order.attempt, order.portion);
        if self.held.get(&key).is_none_or(|held| held.runs_since.is_some()) {
            return None;
        }
        self.held.remove(&key);
        let ai = "handed back: another data process is idle";
        let done = Done::of(key, version, Failure::new(Rc::QUEUE, Ac::NOT_READY, ai));
        // The one before it may have ended, and said nothing of free places because this one was still held.
        let idle = self.held.is_empty().then(|| Idle { epoch: self.epoch, slots: self.slots() });
        if idle.is_some() {
            self.unsaid = 0;
        }
        Some((done, idle))
    }

    /// Stop a run; nothing where it has ended.
    pub fn cancel(&mut self, order: &CancelRun) {
        if let Some(held) = self.held.get(&(order.corr, order.attempt, order.portion)) {
            held.cancel.cancel();
        }
    }

    /// A run ended: what to say to the owner. Of free places it hears when nothing is held any more, and while
    /// some are held once for each quarter of all places (`TOLD_TOGETHER`).
    pub fn ended(&mut self, run: &Run, version: i64, outcome: Result<(), Failure>) -> (Done, Option<Idle>) {
        if !sg::mutation::on("dap-stays-busy") {
            self.held.remove(&key(run));
            self.busy_since = self.held.values().filter_map(|h| h.runs_since).min();
        }
        let failure = outcome.err().unwrap_or_else(|| Failure::new(Rc::OK, Ac::OK, ""));
        self.unsaid += 1;
        let tell = self.held.is_empty() || self.unsaid >= self.depth.capacity.div_ceil(Self::TOLD_TOGETHER);
        let idle = tell.then(|| Idle { epoch: self.epoch, slots: self.slots() });
        if tell {
            self.unsaid = 0;
        }
        (Done::of(key(run), version, failure), idle)
    }

    /// What to say to the owner of a portion that ended, with the places that are free; but where nothing is held and
    /// a next owner waits it is that one's turn, and this one is not to give work. Returns what is held back then.
    pub fn told_together(&self, done: Done, idle: Option<Idle>, next_owner: bool) -> (Done, Option<Idle>) {
        match idle {
            Some(idle) if !(next_owner && self.held.is_empty()) => (done.with(idle), None),
            idle => (done, idle),
        }
    }

    /// Free places are told of when they are this part of all: a word for each would double what is said.
    const TOLD_TOGETHER: u32 = 4;

    /// Portions that run now.
    pub fn runs(&self) -> usize {
        self.held.len()
    }

    /// Portions that can be taken now.
    pub fn slots(&self) -> i32 {
        self.depth.capacity as i32 - self.held.len() as i32
    }

    fn is_overdue(&self, now: Instant) -> bool {
        self.busy_since.is_some_and(|since| now.duration_since(since) >= self.depth.patience)
    }

    fn busy(&self) -> Failure {
        let ai = format!("busy: it holds {} of {} portions", self.held.len(), self.depth.capacity);
        Failure::new(Rc::QUEUE, Ac::NOT_READY, ai)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use qipc::Raw;
    use sg::{Corr, LabelSet, TimeRange};
    const PATIENCE: Duration = Duration::from_millis(2);

    fn core(capacity: u32) -> Core {
        Core::new(Depth { capacity, patience: PATIENCE })
    }

    pub(crate) fn run(epoch: i64, portion: u32) -> Run {
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
            lone: None,
            opts: Raw::of(&kvalue::Value::empty_dict()),
            args: Raw::of(&kvalue::Value::empty_dict()),
        }
    }

    fn cancel() -> Cancel {
        Cancel::until(Instant::now() + Duration::from_secs(60))
    }

    #[test]
    fn only_the_latest_owner_is_obeyed() {
        let mut core = self::core(1);
        core.owned_by(1);
        let (epoch, _) = core.owned_by(2);
        assert!(
            matches!(core.order(1, &run(epoch, 0), 1, cancel(), Instant::now()), Order::Refuse(d) if d.rc == Rc::CONN)
        );
        assert!(matches!(core.order(2, &run(epoch - 1, 0), 1, cancel(), Instant::now()), Order::Refuse(_)));
        assert!(matches!(core.order(2, &run(epoch, 0), 1, cancel(), Instant::now()), Order::Start(..)));
    }

    #[test]
    fn a_moved_purview_refuses_and_says_its_version() {
        let mut core = self::core(1);
        let (epoch, _) = core.owned_by(1);
        match core.order(1, &run(epoch, 0), 2, cancel(), Instant::now()) {
            Order::Refuse(d) => assert_eq!((d.rc, d.version), (Rc::APP_RETRY2, 2)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn capacity_is_kept_and_given_back() {
        let mut core = self::core(1);
        let (epoch, _) = core.owned_by(1);
        let first = run(epoch, 0);
        assert!(matches!(core.order(1, &first, 1, cancel(), Instant::now()), Order::Start(..)));
        assert!(
            matches!(core.order(1, &run(epoch, 1), 1, cancel(), Instant::now()), Order::Refuse(d) if d.rc == Rc::QUEUE)
        );
        let (done, idle) = core.ended(&first, 1, Ok(()));
        assert_eq!((done.rc, idle.map(|i| i.slots)), (Rc::OK, Some(1)));
        assert!(matches!(core.order(1, &run(epoch, 1), 1, cancel(), Instant::now()), Order::Start(..)));
    }

    #[test]
    fn a_portion_that_has_not_ended_is_not_begun_again() {
        let mut core = self::core(2);
        let (epoch, _) = core.owned_by(1);
        let first = run(epoch, 7);
        assert!(matches!(core.order(1, &first, 1, cancel(), Instant::now()), Order::Start(..)));
        assert!(
            matches!(core.order(1, &first, 1, cancel(), Instant::now()), Order::Refuse(d) if d.rc == Rc::QUEUE)
        );
        core.ended(&first, 1, Ok(()));
        assert_eq!(core.slots(), 2);
        assert!(matches!(core.order(1, &first, 1, cancel(), Instant::now()), Order::Start(..)));
    }

    #[test]
    fn free_places_are_told_together_and_at_once_when_nothing_is_held() {
        let mut core = self::core(8);
        let (epoch, _) = core.owned_by(1);
        let runs: Vec<Run> = (0..5).map(|portion| run(epoch, portion)).collect();
        for run in &runs {
            assert!(matches!(core.order(1, run, 1, cancel(), Instant::now()), Order::Start(..)));
        }
        let told: Vec<_> = runs.iter().map(|run| core.ended(run, 1, Ok(())).1.map(|i| i.slots)).collect();
        assert_eq!(told, [None, Some(5), None, Some(7), Some(8)]);
    }

    #[test]
    fn an_owner_hears_of_free_places_with_the_end_of_a_portion_unless_another_is_to_be_the_owner() {
        let mut core = self::core(2);
        let (epoch, _) = core.owned_by(1);
        let runs = [run(epoch, 0), run(epoch, 1)];
        for run in &runs {
            assert!(matches!(core.order(1, run, 1, cancel(), Instant::now()), Order::Start(..)));
        }
        let (done, idle) = core.ended(&runs[0], 1, Ok(()));
        let (done, idle) = core.told_together(done, idle, true);
        assert_eq!((done.epoch, done.slots, idle), (epoch, 1, None), "something is held still");
        let (done, idle) = core.ended(&runs[1], 1, Ok(()));
        let told = core.told_together(done.clone(), idle.clone(), true);
        assert_eq!((told.0.slots, told.1.map(|i| i.slots)), (-1, Some(2)), "it is the next owner's turn");
        let (done, idle) = core.told_together(done, idle, false);
        assert_eq!((done.slots, idle), (2, None));
    }

    #[test]
    fn a_portion_is_handed_back_when_asked_for_unless_it_has_begun() {
        let mut core = self::core(4);
        let (epoch, _) = core.owned_by(1);
        let now = Instant::now();
        let asked = |portion| Recall { corr: Corr([1; 16]), attempt: 0, portion: PortionId(portion) };
        let order = |core: &mut Core, portion| match core.order(1, &run(epoch, portion), 1, cancel(), now) {
            Order::Start(ticket, _) => ticket,
            refused => panic!("{refused:?}"),
        };
        let (first, second, third) = (order(&mut core, 0), order(&mut core, 1), order(&mut core, 2));
        assert!(core.begin(&run(epoch, 0), first, now));
        assert_eq!(core.recall(&asked(0), 1), None, "it has begun");
        let (done, idle) = core.recall(&asked(2), 1).expect("it waits");
        assert_eq!((done.portion.0, done.rc, idle), (2, Rc::QUEUE, None));
        assert!(!core.begin(&run(epoch, 2), third, now), "handed back: not run as well");
        assert_eq!(core.recall(&asked(2), 1), None, "it is not here any more");

        assert_eq!(core.ended(&run(epoch, 0), 1, Ok(())).1.map(|i| i.slots), Some(3));
        let (done, idle) = core.recall(&asked(1), 1).expect("it has not begun yet");
        assert_eq!(
            (done.portion.0, idle.map(|i| i.slots)),
            (1, Some(4)),
            "nothing is held: all places are free"
        );
        assert!(!core.begin(&run(epoch, 1), second, now));
    }

    #[test]
    fn a_new_registration_says_what_still_runs() {
        let mut core = self::core(2);
        let (epoch, _) = core.owned_by(1);
        core.order(1, &run(epoch, 7), 1, cancel(), Instant::now());
        core.lost(1);
        let (_, running) = core.owned_by(2);
        assert_eq!(running[0].portion, PortionId(7));
    }

    #[test]
    fn what_waits_behind_a_short_portion_follows_it_and_behind_a_long_one_is_handed_back() {
        let mut core = self::core(4);
        let (epoch, _) = core.owned_by(1);
        let start = Instant::now();
        let order = |core: &mut Core, portion: u32, now: Instant| {
            let run = run(epoch, portion);
            (core.order(1, &run, 1, cancel(), now), run)
        };
        let (Order::Start(first, _), first_run) = order(&mut core, 0, start) else { panic!("not taken") };
        let (Order::Start(second, _), second_run) = order(&mut core, 1, start) else { panic!("not taken") };
        assert!(core.is_shared());
        assert!(core.begin(&first_run, first, start));
        assert_eq!(core.next_look(start + PATIENCE / 2), Some(start + PATIENCE));
        assert_eq!(core.overdue(1, start + PATIENCE / 2), []);

        let late = start + PATIENCE;
        let handed_back = core.overdue(1, late);
        assert_eq!(handed_back.iter().map(|d| (d.portion.0, d.rc)).collect::<Vec<_>>(), [(1, Rc::QUEUE)]);
        assert!(!core.begin(&second_run, second, late), "handed back: not run as well");
        assert_eq!(core.next_look(late), None, "nothing waits any more");
        let (refused, _) = order(&mut core, 2, late);
        assert!(matches!(refused, Order::Refuse(d) if d.rc == Rc::QUEUE), "nothing queues behind a long one");

        assert_eq!(core.ended(&first_run, 1, Ok(())).1.map(|i| i.slots), Some(4));
        let (Order::Start(again, _), again_run) = order(&mut core, 1, late) else { panic!("not taken") };
        assert!(!core.begin(&second_run, second, late), "the old order stays handed back");
        assert!(core.begin(&again_run, again, late));
        assert_eq!(core.overdue(1, late), []);
    }
}
