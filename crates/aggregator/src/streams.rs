//! Large answers on their way to GWs: a task per GW link that has any, around [`FairStreams`].
//!
//! Chunks are queued only while the link has room, so that other messages of the link pass in between.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use link::{LinkId, Sender};
use sg::{
    Msg,
    msg::{AnswerData, Chunk},
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use crate::{
    core::{Key, Nanos},
    fair_streams::FairStreams,
};

/// How an answer's way ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// all of it was handed to the link
    Sent,
    /// the GW or the RC wanted no more
    Stopped,
    /// the link was lost
    Lost,
    /// the GW gave no credit for too long
    Stalled,
}

type OnEnd = Box<dyn Fn(Key, End) + Send + Sync>;

/// All large answers under way.
pub(crate) struct Streams {
    links: Mutex<HashMap<LinkId, Arc<Lane>>>,
    stall: Duration,
    started: Instant,
    on_end: OnEnd,
}

/// The answers that share a link.
struct Lane {
    link: Sender,
    turns: Mutex<FairStreams>,
    changed: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change under these locks is complete in itself.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Streams {
    /// `on_end` is told of each answer's end, once.
    pub(crate) fn new(stall: Duration, on_end: OnEnd) -> Arc<Self> {
        Arc::new(Streams { links: Mutex::default(), stall, started: Instant::now(), on_end })
    }

    fn now(&self) -> Nanos {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Sends an answer whose head is queued already.
    pub(crate) fn add(self: &Arc<Self>, link: &Sender, key: Key, segments: Vec<Bytes>) {
        let mut links = lock(&self.links);
        let lane = links.entry(link.id()).or_insert_with(|| {
            let lane = Lane { link: link.clone(), turns: Mutex::default(), changed: Notify::new() };
            let lane = Arc::new(lane);
            tokio::spawn(self.clone().pump(lane.clone()));
            lane
        });
        lock(&lane.turns).add(key, segments, self.now());
        lane.changed.notify_one();
    }

    /// The GW can take more of an answer.
    pub(crate) fn credit(&self, link: LinkId, key: &Key, bytes: u64) {
        if let Some(lane) = lock(&self.links).get(&link) {
            lock(&lane.turns).credit(key, bytes, self.now());
            lane.changed.notify_one();
        }
    }

    /// Nobody wants an answer any more.
    pub(crate) fn stop(&self, key: &Key) {
        let stopped = lock(&self.links).values().any(|lane| {
            let stopped = lock(&lane.turns).remove(key);
            lane.changed.notify_one();
            stopped
        });
        if stopped {
            (self.on_end)(*key, End::Stopped);
        }
    }

    /// A link is down: its answers are lost.
    pub(crate) fn link_down(&self, link: LinkId) {
        let lane = lock(&self.links).get(&link).cloned();
        if let Some(lane) = lane {
            self.lose(&lane);
            lane.changed.notify_one();
        }
    }

    fn lose(&self, lane: &Lane) {
        let lost = lock(&lane.turns).clear();
        lost.into_iter().for_each(|key| (self.on_end)(key, End::Lost));
    }

    async fn pump(self: Arc<Self>, lane: Arc<Lane>) {
        loop {
            let piece = lock(&lane.turns).next(self.now());
            let Some(piece) = piece else {
                // Removed under the same lock that `add` takes: none is added to a lane without a task.
                let mut links = lock(&self.links);
                if lock(&lane.turns).is_empty() {
                    links.remove(&lane.link.id());
                    return;
                }
                drop(links);
                // Woken to look at the clock, too.
                let _ =
                    timeout((self.stall / 4).max(Duration::from_millis(10)), lane.changed.notified()).await;
                let stall = u64::try_from(self.stall.as_nanos()).unwrap_or(u64::MAX);
                let stalled = lock(&lane.turns).stalled(self.now(), stall);
                stalled.into_iter().for_each(|key| (self.on_end)(key, End::Stalled));
                continue;
            };
            let (corr, attempt) = piece.key;
            let offset = i64::try_from(piece.offset).unwrap_or(i64::MAX);
            let data = AnswerData { corr, attempt, offset, chunk: Chunk(piece.bytes) };
            match lane.link.send_when_room(Msg::from(data).to_frame()).await {
                Ok(()) if piece.last => (self.on_end)(piece.key, End::Sent),
                Ok(()) => {}
                Err(_) => {
                    if piece.last {
                        (self.on_end)(piece.key, End::Lost);
                    }
                    self.lose(&lane);
                }
            }
        }
    }
}
