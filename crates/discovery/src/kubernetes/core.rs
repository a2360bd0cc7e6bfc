//! When to list pods, when to watch them, when to wait; and what is known meanwhile. Sans-io.
//!
//! ```text
//!            page, with more to come
//!              ┌────┐
//!              ▼    │        last page: the set is replaced whole
//! start ──▶ Listing ┴───────────────▶ Watching ──▶ put, gone, bookmark: the version moves on
//!    ▲         │ failed                  │  │ ended by the server: watch again from the version
//!    │         ▼                         │  │ failed: wait, then watch again from the version
//!    └────── Waiting ◀───────────────────┘  └ expired (410), quiet, or time to list again: Listing
//! ```
//! Rules kept: nothing but a whole list takes away what a failure left unknown; a watch begins only at a
//! version that was read; waits double up to the longest and are short again after a success; a server that
//! asks for patience (429, 503 with `Retry-After`) gets it, bounded. Tests: here; with an API server:
//! `tests/kubernetes`.

use crate::{MILLI, Nanos, SECOND, endpoint::Found, set::Set};

/// What the shell does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Do {
    /// Read a page of the list.
    List {
        /// where the last page ended
        token: Option<String>,
        /// items at most
        limit: u32,
    },
    /// Watch from a version, until [`Core::watch_until`].
    Watch {
        /// version
        version: String,
    },
    /// Nothing until then.
    Wait {
        /// instant
        until: Nanos,
    },
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A page of the list.
    Page {
        /// what is on it
        items: Vec<Found>,
        /// where the next page begins, if there is one
        token: Option<String>,
        /// version of the list
        version: String,
    },
    /// The list or the watch failed.
    Failed(Trouble),
    /// Something is there, or is as this says now.
    Put(Found, String),
    /// Something is gone, or left the selector.
    Gone(Found, String),
    /// The version moved on, nothing else.
    Bookmark(String),
    /// The server ended the watch in order.
    Ended,
    /// The watch has said nothing for too long.
    Quiet,
    /// It is time: to go on after a wait, or to list again.
    Tick,
}

/// How a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The version or the page token is too old (410).
    Expired,
    /// The server asks to come again after so many nanoseconds.
    Busy(Nanos),
    /// The page is longer than may be read.
    TooLarge,
    /// Anything else.
    Other,
}

/// Times that the core keeps.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// first wait after a failure
    pub backoff_min: Nanos,
    /// longest wait
    pub backoff_max: Nanos,
    /// period of whole lists, 0 for never
    pub relist: Nanos,
    /// silence after which a watch is dead
    pub quiet: Nanos,
}

/// Most patience a server may ask for.
pub const LONGEST_BUSY: Nanos = 30 * SECOND;
/// Items of a page to begin with.
pub const PAGE: u32 = 500;
/// A watch that ended sooner than this without a word counts as failed: no spinning.
const SOON: Nanos = 500 * MILLI;

/// A watch that lasted so long was a success: the next wait is short again. A list alone is none, else a server
/// whose watches fail would be listed in a loop.
const SETTLED: Nanos = 5 * SECOND;

#[derive(Debug)]
enum State {
    Listing { token: Option<String>, building: Set },
    Watching { since: Nanos, spoke: bool },
    Waiting { until: Nanos, then: Then },
}

#[derive(Debug, Clone, Copy)]
enum Then {
    List,
    Watch,
}

/// See the module.
#[derive(Debug)]
pub struct Core {
    times: Times,
    max: usize,
    set: Set,
    state: State,
    version: String,
    page: u32,
    wait: Nanos,
    relist_at: Nanos,
    heard: Nanos,
}

impl Core {
    /// Nothing known; the first thing to do is to list.
    pub fn new(times: Times, max: usize) -> Core {
        Core {
            times,
            max,
            set: Set::new(max),
            state: State::Listing { token: None, building: Set::new(max) },
            version: String::new(),
            page: PAGE,
            wait: times.backoff_min,
            relist_at: Nanos::MAX,
            heard: 0,
        }
    }

    /// What is known.
    pub fn set(&self) -> &Set {
        &self.set
    }

    /// What to do now.
    pub fn next(&self) -> Do {
        match &self.state {
            State::Listing { token, .. } => Do::List { token: token.clone(), limit: self.page },
            State::Watching { .. } => Do::Watch { version: self.version.clone() },
            State::Waiting { until, .. } => Do::Wait { until: *until },
        }
    }

    /// When a watch is to be left: it is quiet, or it is time to list again.
    pub fn watch_until(&self) -> Nanos {
        self.relist_at.min(self.heard.saturating_add(self.times.quiet))
    }

    /// Why a watch that has come to [`Self::watch_until`] is left.
    pub fn left_at(&self, now: Nanos) -> Event {
        match now >= self.relist_at {
            true => Event::Tick,
            false => Event::Quiet,
        }
    }

    /// Takes in what happened; `jitter` is from 0 to 1. True where the set is to be published: it differs, or
    /// was listed.
    pub fn handle(&mut self, event: Event, now: Nanos, jitter: f64) -> bool {
        match event {
            Event::Page { items, token, version } => self.page(items, token, version, now, jitter),
            Event::Put(found, version) => {
                self.spoke(version, now);
                self.set.put(found)
            }
            Event::Gone(found, version) => {
                self.spoke(version, now);
                self.set.remove(&found.key)
            }
            Event::Bookmark(version) => {
                self.spoke(version, now);
                false
            }
            Event::Failed(trouble) => {
                self.failed(trouble, now, jitter);
                false
            }
            Event::Ended => {
                match self.state {
                    State::Watching { since, spoke: false } if now.saturating_sub(since) < SOON => {
                        self.pause(Then::Watch, now, jitter);
                    }
                    _ => self.watch(now),
                }
                false
            }
            Event::Quiet => {
                self.list();
                false
            }
            Event::Tick => {
                match self.state {
                    State::Waiting { until, then } if now >= until => match then {
                        Then::List => self.list(),
                        Then::Watch => self.watch(now),
                    },
                    State::Watching { .. } if now >= self.relist_at => self.list(),
                    _ => {}
                }
                false
            }
        }
    }

    fn page(
        &mut self,
        items: Vec<Found>,
        token: Option<String>,
        version: String,
        now: Nanos,
        jitter: f64,
    ) -> bool {
        let State::Listing { token: at, building } = &mut self.state else { return false };
        for item in items {
            building.put(item);
        }
        if token.is_some() {
            *at = token;
            return false;
        }
        let listed = std::mem::replace(building, Set::new(0));
        self.set.replace(listed);
        self.version = version;
        self.relist_at = match self.times.relist {
            0 => Nanos::MAX,
            period => now.saturating_add((period as f64 * (1.0 - jitter / 4.0)) as Nanos),
        };
        self.watch(now);
        true
    }

    fn spoke(&mut self, version: String, now: Nanos) {
        if let State::Watching { spoke, .. } = &mut self.state {
            *spoke = true;
        }
        if !version.is_empty() {
            self.version = version;
        }
        self.heard = now;
    }

    fn failed(&mut self, trouble: Trouble, now: Nanos, jitter: f64) {
        let listing = matches!(self.state, State::Listing { .. });
        if matches!(self.state, State::Watching { since, .. } if now.saturating_sub(since) >= SETTLED) {
            self.wait = self.times.backoff_min;
        }
        match trouble {
            Trouble::Expired => self.pause(Then::List, now, jitter),
            Trouble::Busy(patience) => {
                let then = if listing { Then::List } else { Then::Watch };
                self.pause(then, now, jitter);
                let asked = now.saturating_add(patience.min(LONGEST_BUSY));
                if let State::Waiting { until, .. } = &mut self.state {
                    *until = asked.max(*until);
                }
            }
            Trouble::TooLarge => {
                self.page = (self.page / 4).max(1);
                self.pause(Then::List, now, jitter);
            }
            Trouble::Other if listing => self.pause(Then::List, now, jitter),
            Trouble::Other => self.pause(Then::Watch, now, jitter),
        }
    }

    fn list(&mut self) {
        self.state = State::Listing { token: None, building: Set::new(self.max) };
    }

    fn watch(&mut self, now: Nanos) {
        self.heard = now;
        self.state = State::Watching { since: now, spoke: false };
    }

    fn pause(&mut self, then: Then, now: Nanos, jitter: f64) {
        let wait = (self.wait as f64 * (1.0 - jitter / 2.0)) as Nanos;
        self.wait = (self.wait * 2).min(self.times.backoff_max);
        self.state = State::Waiting { until: now.saturating_add(wait), then };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Endpoint;

    const TIMES: Times =
        Times { backoff_min: 100, backoff_max: 400, relist: 10_000 * SECOND, quiet: 60 * SECOND };

    fn core() -> Core {
        Core::new(TIMES, 100)
    }

    fn found(key: &str) -> Found {
        let addr = ([127, 0, 0, 1], 1).into();
        Found::endpoint(Endpoint { key: key.into(), name: key.into(), addr, ready: true, assembly: None })
    }

    fn page(keys: &[&str], token: Option<&str>, version: &str) -> Event {
        let items = keys.iter().map(|k| found(k)).collect();
        Event::Page { items, token: token.map(String::from), version: version.into() }
    }

    fn keys(core: &Core) -> String {
        core.set().endpoints().iter().map(|e| e.key.to_string()).collect::<Vec<_>>().join(",")
    }

    fn watching(version: &str) -> Do {
        Do::Watch { version: version.into() }
    }

    fn waits(core: &Core) -> Nanos {
        match core.next() {
            Do::Wait { until } => until,
            other => panic!("{other:?} where a wait was due"),
        }
    }

    #[test]
    fn pages_make_one_set_that_appears_at_once() {
        let mut core = core();
        assert_eq!(core.next(), Do::List { token: None, limit: PAGE });
        assert!(!core.handle(page(&["a"], Some("t"), "5"), 1, 0.0));
        assert_eq!(
            (keys(&core).as_str(), core.next()),
            ("", Do::List { token: Some("t".into()), limit: PAGE })
        );
        assert!(core.handle(page(&["b"], None, "5"), 2, 0.0));
        assert_eq!((keys(&core).as_str(), core.next()), ("a,b", watching("5")));
    }

    #[test]
    fn a_watch_goes_on_from_the_last_version_it_read() {
        let mut core = core();
        core.handle(page(&["a"], None, "5"), 1, 0.0);
        assert!(core.handle(Event::Put(found("b"), "6".into()), 2, 0.0));
        assert!(core.handle(Event::Gone(found("a"), "7".into()), 3, 0.0));
        assert!(!core.handle(Event::Bookmark("9".into()), 4, 0.0));
        core.handle(Event::Ended, 5, 0.0);
        assert_eq!((keys(&core).as_str(), core.next()), ("b", watching("9")));
        core.handle(Event::Failed(Trouble::Other), 6, 0.0);
        assert_eq!((keys(&core).as_str(), waits(&core)), ("b", 106));
        core.handle(Event::Tick, 106, 0.0);
        assert_eq!(core.next(), watching("9"));
    }

    #[test]
    fn what_went_while_the_watch_was_down_is_gone_after_an_expired_version() {
        let mut core = core();
        core.handle(page(&["a", "b"], None, "5"), 1, 0.0);
        core.handle(Event::Failed(Trouble::Expired), 2, 0.0);
        assert_eq!(keys(&core), "a,b");
        core.handle(Event::Tick, 102, 0.0);
        assert_eq!(core.next(), Do::List { token: None, limit: PAGE });
        core.handle(page(&["b"], None, "50"), 103, 0.0);
        assert_eq!((keys(&core).as_str(), core.next()), ("b", watching("50")));
    }

    #[test]
    fn a_list_that_breaks_off_half_way_leaves_nothing_behind() {
        let mut core = core();
        core.handle(page(&["a"], None, "5"), 1, 0.0);
        core.handle(Event::Quiet, 2, 0.0);
        core.handle(page(&["x"], Some("t"), "6"), 3, 0.0);
        core.handle(Event::Failed(Trouble::Expired), 4, 0.0);
        core.handle(Event::Tick, 1000, 0.0);
        core.handle(page(&["b"], None, "8"), 1001, 0.0);
        assert_eq!(keys(&core), "b");
    }

    #[test]
    fn waits_double_up_to_the_longest_and_are_short_after_a_watch_that_lasted() {
        let mut core = core();
        let mut now = 0;
        let mut waited = Vec::new();
        for _ in 0..4 {
            core.handle(Event::Failed(Trouble::Other), now, 0.0);
            waited.push(waits(&core) - now);
            now = waits(&core);
            core.handle(Event::Tick, now, 0.0);
        }
        assert_eq!(waited, [100, 200, 400, 400]);
        core.handle(page(&[], None, "1"), now, 0.0);
        core.handle(Event::Failed(Trouble::Other), now, 0.0);
        assert_eq!(waits(&core) - now, 400);
        now = waits(&core);
        core.handle(Event::Tick, now, 0.0);
        core.handle(Event::Failed(Trouble::Other), now + SETTLED, 1.0);
        assert_eq!(waits(&core) - now - SETTLED, 50);
    }

    #[test]
    fn a_server_that_asks_for_patience_gets_it_bounded() {
        let mut core = core();
        core.handle(Event::Failed(Trouble::Busy(7 * SECOND)), 0, 0.0);
        assert_eq!(waits(&core), 7 * SECOND);
        core.handle(Event::Tick, 7 * SECOND, 0.0);
        core.handle(Event::Failed(Trouble::Busy(9_000 * SECOND)), 0, 0.0);
        assert_eq!(waits(&core), LONGEST_BUSY);
    }

    #[test]
    fn a_quiet_watch_and_one_that_is_old_are_left_for_a_list() {
        let mut core = Core::new(Times { relist: 100 * SECOND, ..TIMES }, 100);
        core.handle(page(&["a"], None, "5"), SECOND, 0.0);
        assert_eq!(core.watch_until(), 61 * SECOND);
        assert!(matches!(core.left_at(61 * SECOND), Event::Quiet));
        core.handle(Event::Bookmark("6".into()), 60 * SECOND, 0.0);
        assert_eq!(core.watch_until(), 101 * SECOND);
        let why = core.left_at(101 * SECOND);
        assert!(matches!(why, Event::Tick));
        core.handle(why, 101 * SECOND, 0.0);
        assert_eq!(core.next(), Do::List { token: None, limit: PAGE });
        assert_eq!(keys(&core), "a");
    }

    #[test]
    fn a_server_that_ends_every_watch_at_once_is_not_asked_in_a_loop() {
        let mut core = core();
        core.handle(page(&[], None, "5"), 0, 0.0);
        core.handle(Event::Ended, 1, 0.0);
        assert_eq!(waits(&core), 101);
    }

    #[test]
    fn pages_that_are_too_large_become_smaller() {
        let mut core = core();
        let mut limits = Vec::new();
        for _ in 0..6 {
            core.handle(Event::Failed(Trouble::TooLarge), 0, 0.0);
            core.handle(Event::Tick, Nanos::MAX, 0.0);
            if let Do::List { limit, .. } = core.next() {
                limits.push(limit);
            }
        }
        assert_eq!(limits, [125, 31, 7, 1, 1, 1]);
    }
}
