//! Failures that no reply can carry: an asynchronous message without a callback, or one that cannot be read.
//!
//! Each is counted. The log has one WARN for each user and address per [`EVERY`], with the number of those that it
//! left out.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use kvalue::Sym;
use prometheus_client::metrics::counter::Counter;

/// Time between two lines about one sender.
const EVERY: Duration = Duration::from_secs(30);
/// Senders remembered. Beyond it, new senders share one entry.
const SENDERS: usize = 1024;

type Sender = (Sym, Option<IpAddr>);

/// Failures that no reply can carry. Clones share their state.
#[derive(Clone, Default)]
pub(crate) struct Unheard {
    /// all of them
    pub(crate) count: Counter,
    told: Arc<Mutex<HashMap<Sender, Told>>>,
}

struct Told {
    last: Instant,
    left_out: u64,
}

impl Unheard {
    /// One more, of this sender.
    pub(crate) fn tell(&self, user: &Sym, peer: SocketAddr, what: &str, why: &str) {
        self.count.inc();
        if let Some(left_out) = self.due(user, peer.ip(), Instant::now()) {
            tracing::warn!(%user, %peer, why, left_out, "{what} failed, and its sender cannot be told");
        }
    }

    /// The failures left out since the sender's last line, where another line is due.
    fn due(&self, user: &Sym, ip: IpAddr, now: Instant) -> Option<u64> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sender = (user.clone(), Some(ip));
        if !told.contains_key(&sender) && told.len() >= SENDERS {
            told.retain(|_, t| now.duration_since(t.last) < EVERY);
            if told.len() >= SENDERS {
                sender = (Sym::null(), None);
            }
        }
        match told.get_mut(&sender) {
            Some(t) if now.duration_since(t.last) < EVERY => {
                t.left_out += 1;
                None
            }
            Some(t) => {
                t.last = now;
                Some(std::mem::take(&mut t.left_out))
            }
            None => {
                told.insert(sender, Told { last: now, left_out: 0 });
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_gets_a_line_at_once_and_then_one_per_period_with_the_number_left_out() {
        let (unheard, start) = (Unheard::default(), Instant::now());
        let at = |user: &str, ip: u8, seconds: u64| {
            unheard.due(&user.into(), IpAddr::from([10, 0, 0, ip]), start + Duration::from_secs(seconds))
        };
        assert_eq!(at("feed", 1, 0), Some(0));
        assert_eq!((at("feed", 1, 1), at("feed", 1, 29)), (None, None));
        assert_eq!((at("feed", 2, 2), at("other", 1, 3)), (Some(0), Some(0)), "others have their own");
        assert_eq!(at("feed", 1, 30), Some(2));
        assert_eq!(at("feed", 1, 31), None);
    }

    #[test]
    fn a_flood_of_users_is_bounded_in_memory_and_in_lines() {
        let (unheard, now) = (Unheard::default(), Instant::now());
        let lines = (0..10_000)
            .filter(|n| unheard.due(&format!("u{n}").as_str().into(), [10, 0, 0, 1].into(), now).is_some())
            .count();
        assert_eq!(lines, SENDERS + 1);
        assert!(unheard.told.lock().unwrap().len() <= SENDERS + 1);
    }
}
