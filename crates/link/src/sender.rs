//! The queue of a live link and the handle that fills it.
//!
//! Rules kept: order; never blocks (except [`Sender::send_when_room`]); bounded in bytes: a link whose peer
//! does not keep up is cut, alone. What comes while the link is quiet is written by whoever sends it: a task of its
//! own would only add its turn to the way of a single request. Tests: here and `tests/links`.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use kvalue::Sym;
use qipc::{Frame, net::Writer};
use sg::{Encoded, InstanceId, Msg};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    Peer, SendError,
    backlog::{Backlog, Taken},
    wake_batch,
};

/// Bytes that may be queued while [`Sender::send_when_room`] still adds more: enough to keep a fast socket
/// busy, little enough that what is sent in between does not wait long.
const ROOM: usize = 1 << 20;

/// A link's number, unique in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u64);

impl LinkId {
    fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        LinkId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What happens on links. Called from a link's reading task: be quick, never block.
pub trait Handler: Send + Sync + 'static {
    /// The link is up: both ends have proved themselves.
    fn up(&self, link: &Sender);
    /// A message came. Hello and heartbeats are not seen here.
    fn message(&self, link: &Sender, msg: Msg);
    /// Messages that came together, in their order: for whoever has something to do once for all of them.
    fn messages(&self, link: &Sender, batch: &mut dyn Iterator<Item = Msg>) {
        batch.for_each(|msg| self.message(link, msg));
    }
    /// The link is down: exactly once after [`Handler::up`].
    fn down(&self, link: &Sender, why: &str);
    /// Whether a new outgoing link is kept, once the peer is known: not if the same process has a link of its own
    /// already.
    fn wants(&self, _peer: &Peer) -> bool {
        true
    }
    /// Whether there is a link to this process now: it is not dialled then.
    fn has(&self, _instance: &InstanceId) -> bool {
        false
    }
    /// The process at the other end is on its way out: give it nothing new, and close the link once nothing is
    /// left to be heard from it. It is closed at [`crate::LinkOptions::drain`] in any case.
    fn leaving(&self, link: &Sender) {
        link.close("its process is leaving");
    }
}

/// A handle of one live link. Cheap to clone; sending on it after the link is down is an error.
#[derive(Clone)]
pub struct Sender(Arc<Shared>);

struct Shared {
    id: LinkId,
    peer: Peer,
    own_address: Sym,
    dialled: bool,
    limit: usize,
    queue: Mutex<Queue>,
    /// bytes queued or being written
    bytes: AtomicUsize,
    /// the writer has something to do
    wake: Notify,
    /// `bytes` has become less, or the link is closing
    room: Notify,
    /// cancelled once the link is to end
    ending: CancellationToken,
}

#[derive(Default)]
struct Queue {
    backlog: Backlog,
    closed: Option<String>,
    /// rests here while the link's task is not writing
    writer: Option<Writer>,
    /// frames were taken that are not written yet
    writing: bool,
    busy: Busy,
}

/// How busy a link is. On one that is not, a message is written at once: a single client's request waits for nobody. On
/// a busy link, ready tasks add more messages first, and one write sends all.
#[derive(Default)]
struct Busy {
    last: Option<Instant>,
    several: bool,
}

/// A link that wrote this recently is busy.
const BUSY: Duration = Duration::from_micros(50);

impl Busy {
    fn is_likely_to_get_more(&self, now: Instant) -> bool {
        self.several || self.last.is_some_and(|last| now.saturating_duration_since(last) < BUSY)
    }

    fn wrote(&mut self, messages: usize, now: Instant) {
        self.last = Some(now);
        self.several = messages > 1;
    }
}

/// What the writer does next.
pub(crate) enum Next {
    Write(Taken),
    Wait,
    End,
}

impl Sender {
    pub(crate) fn new(
        peer: Peer,
        own_address: Sym,
        dialled: bool,
        limit: usize,
        ending: CancellationToken,
    ) -> Self {
        Sender(Arc::new(Shared {
            id: LinkId::fresh(),
            peer,
            own_address,
            dialled,
            limit,
            queue: Mutex::default(),
            bytes: AtomicUsize::new(0),
            wake: Notify::new(),
            room: Notify::new(),
            ending,
        }))
    }

    /// Queues a message.
    ///
    /// # Errors
    /// As [`Self::send_frame`].
    pub fn send(&self, msg: impl Into<Msg>) -> Result<(), SendError> {
        msg.into().encoded(|encoded| match encoded {
            Encoded::Small(bytes) => self.send_small(bytes),
            Encoded::Large(frame) => self.send_frame(frame),
        })
    }

    /// Queues a frame, which must be one whole message.
    ///
    /// # Errors
    /// [`SendError::Full`] where the queue would exceed its limit, which cuts the link; a frame alone in the
    /// queue may be longer than the limit.
    pub fn send_frame(&self, frame: Frame) -> Result<(), SendError> {
        let queue = self.open_queue()?;
        self.enqueue(queue, frame.len(), |backlog| backlog.push(frame))
    }

    fn send_small(&self, message: &[u8]) -> Result<(), SendError> {
        let mut queue = self.open_queue()?;
        match queue.send_now(message) {
            Ok(n) if n == message.len() => Ok(()),
            Ok(n) => self.enqueue(queue, message.len() - n, |backlog| backlog.append(&message[n..])),
            Err(error) => {
                drop(queue);
                self.close(&format!("write failed: {error}"));
                Err(SendError::Closed)
            }
        }
    }

    fn open_queue(&self) -> Result<MutexGuard<'_, Queue>, SendError> {
        let queue = self.queue();
        if queue.closed.is_some() { Err(SendError::Closed) } else { Ok(queue) }
    }

    fn enqueue(
        &self,
        mut queue: MutexGuard<'_, Queue>,
        len: usize,
        add: impl FnOnce(&mut Backlog),
    ) -> Result<(), SendError> {
        let before = self.0.bytes.fetch_add(len, Ordering::AcqRel);
        if before > 0 && before.saturating_add(len) > self.0.limit {
            self.0.bytes.fetch_sub(len, Ordering::AcqRel);
            drop(queue);
            self.discard();
            let limit = self.0.limit;
            self.close(&format!("limit: over {limit} bytes wait to be sent (QMESH_LINK_QUEUE)"));
            return Err(SendError::Full);
        }
        let first = queue.backlog.is_empty();
        add(&mut queue.backlog);
        drop(queue);
        if first && !wake_batch::holds(self) {
            self.rouse();
        }
        Ok(())
    }

    /// Queues a frame once less than a small window is queued: for streams of data, which must not fill
    /// memory nor delay other messages of the link.
    pub async fn send_when_room(&self, frame: Frame) -> Result<(), SendError> {
        loop {
            let mut room = pin!(self.0.room.notified());
            room.as_mut().enable();
            if self.queued_bytes() <= ROOM {
                return self.send_frame(frame);
            }
            if !self.is_up() {
                return Err(SendError::Closed);
            }
            room.await;
        }
    }

    /// The link's number.
    pub fn id(&self) -> LinkId {
        self.0.id
    }

    /// The other end.
    pub fn peer(&self) -> &Peer {
        &self.0.peer
    }

    /// Where the peer can dial this process: the identity's address, completed by the address this link goes
    /// out from.
    pub fn own_address(&self) -> &Sym {
        &self.0.own_address
    }

    /// True where this end dialled.
    pub fn dialled(&self) -> bool {
        self.0.dialled
    }

    /// False once the link is closing.
    pub fn is_up(&self) -> bool {
        self.queue().closed.is_none()
    }

    /// Ends the link: what is queued is still written if the peer takes it quickly. The first reason counts.
    pub fn close(&self, why: &str) {
        self.queue().closed.get_or_insert_with(|| why.to_owned());
        self.0.ending.cancel();
        self.0.wake.notify_one();
        self.0.room.notify_waiters();
    }

    /// Bytes queued or being written.
    pub fn queued_bytes(&self) -> usize {
        self.0.bytes.load(Ordering::Acquire)
    }

    pub(crate) fn why_closed(&self) -> Option<String> {
        self.queue().closed.clone()
    }

    pub(crate) fn ending(&self) -> &CancellationToken {
        &self.0.ending
    }

    /// The link writes by this from now on. To be said once; the writer comes back with [`Self::retire`].
    pub(crate) fn write_by(&self, writer: Writer) {
        self.queue().writer = Some(writer);
    }

    /// The writer, to write what was taken; it is to be given back with [`Self::wrote`].
    pub(crate) fn borrow(&self) -> Option<Writer> {
        self.queue().writer.take()
    }

    /// A batch of so many messages has been written; its memory is taken out of `batch`.
    pub(crate) fn wrote(&self, writer: Writer, messages: usize, batch: &mut Vec<Frame>) {
        let mut queue = self.queue();
        queue.backlog.written(batch);
        queue.writer = Some(writer);
        queue.writing = false;
        queue.busy.wrote(messages, Instant::now());
    }

    /// Keeps less memory: said once per heartbeat, so that a busy link seldom has to take it again.
    pub(crate) fn let_go(&self) {
        self.queue().backlog.let_go();
    }

    /// The writer, once the link is closed.
    pub(crate) fn retire(&self) -> Option<Writer> {
        self.queue().writer.take()
    }

    /// Whether those who are ready to run probably have more to send.
    pub(crate) fn is_likely_to_get_more(&self) -> bool {
        self.queue().busy.is_likely_to_get_more(Instant::now())
    }

    /// Takes frames to write, whose bytes are given back with [`Self::written`].
    pub(crate) fn take(&self, batch: &mut Vec<Frame>) -> Next {
        let mut queue = self.queue();
        let taken = queue.backlog.take(batch);
        queue.writing = taken.messages > 0;
        match (queue.writing, &queue.closed) {
            (true, _) => Next::Write(taken),
            (false, Some(_)) => Next::End,
            (false, None) => Next::Wait,
        }
    }

    pub(crate) fn written(&self, bytes: usize) {
        self.0.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.0.room.notify_waiters();
    }

    /// Lets go what can no longer be written: handles may outlive the link.
    pub(crate) fn discard(&self) {
        let mut backlog = std::mem::take(&mut self.queue().backlog);
        while !backlog.is_empty() {
            self.written(backlog.take(&mut Vec::new()).bytes);
        }
    }

    /// Something is queued.
    pub(crate) fn rouse(&self) {
        self.0.wake.notify_one();
    }

    /// Until something is queued or the link is closing.
    pub(crate) async fn wake(&self) {
        self.0.wake.notified().await;
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A panic elsewhere leaves no half-made queue behind: each change is one call.
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Writes a small message where nothing goes before it and nothing is likely to follow at once; the number of its
    /// bytes that are written.
    fn send_now(&mut self, message: &[u8]) -> std::io::Result<usize> {
        if self.writing || !self.backlog.is_empty() || self.busy.several || wake_batch::expects_more() {
            return Ok(0);
        }
        let now = Instant::now();
        let Some(writer) = self.writer.as_mut().filter(|_| !self.busy.is_likely_to_get_more(now)) else {
            return Ok(0);
        };
        let written = writer.write_now(message)?;
        if written == message.len() {
            self.busy.wrote(1, now);
        }
        Ok(written)
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sender({} to {}, {} bytes queued)", self.0.id.0, self.0.peer, self.queued_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use sg::InstanceId;

    use super::*;
    use crate::Role;

    fn sender(limit: usize) -> Sender {
        let peer = Peer {
            role: Role::Rc,
            name: "rc".into(),
            instance: InstanceId([1; 16]),
            address: "h:1".into(),
            socket: ([127, 0, 0, 1], 1).into(),
        };
        Sender::new(peer, "h:2".into(), true, limit, CancellationToken::new())
    }

    fn frame(len: usize) -> Frame {
        Frame(vec![vec![7; len].into()])
    }

    #[test]
    fn a_link_waits_for_more_where_it_wrote_a_moment_ago_or_several_at_once() {
        let (mut busy, now) = (Busy::default(), Instant::now());
        assert!(!busy.is_likely_to_get_more(now), "nothing was written yet");
        busy.wrote(1, now);
        assert!(busy.is_likely_to_get_more(now + BUSY / 2));
        assert!(!busy.is_likely_to_get_more(now + BUSY), "one client alone waits for nobody");
        busy.wrote(2, now);
        assert!(busy.is_likely_to_get_more(now + BUSY));
    }

    #[test]
    fn frames_come_out_in_order_and_are_counted_until_written() {
        let link = sender(100);
        (1..=3).for_each(|n| link.send_frame(frame(n)).unwrap());
        let mut batch = Vec::new();
        assert!(matches!(link.take(&mut batch), Next::Write(Taken { bytes: 6, messages: 3 })));
        assert_eq!(batch.iter().map(Frame::len).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(link.queued_bytes(), 6);
        link.written(6);
        assert_eq!(link.queued_bytes(), 0);
        assert!(matches!(link.take(&mut batch), Next::Wait));
    }

    #[test]
    fn a_full_queue_cuts_the_link_and_drops_what_waited() {
        let link = sender(10);
        link.send_frame(frame(6)).unwrap();
        assert_eq!(link.send_frame(frame(5)), Err(SendError::Full));
        assert_eq!(link.send_frame(frame(1)), Err(SendError::Closed));
        assert!(matches!(link.take(&mut Vec::new()), Next::End));
        assert!(link.why_closed().unwrap().contains("QMESH_LINK_QUEUE"));
    }

    #[test]
    fn one_frame_longer_than_the_limit_can_be_sent_alone() {
        let link = sender(10);
        link.send_frame(frame(50)).unwrap();
        assert_eq!(link.send_frame(frame(1)), Err(SendError::Full));
    }

    #[test]
    fn what_was_queued_before_a_close_is_still_taken() {
        let link = sender(10);
        link.send_frame(frame(2)).unwrap();
        link.close("done");
        link.close("again");
        let mut batch = Vec::new();
        assert!(matches!(link.take(&mut batch), Next::Write(Taken { bytes: 2, messages: 1 })));
        batch.clear();
        assert!(matches!(link.take(&mut batch), Next::End));
        assert_eq!(link.why_closed().unwrap(), "done");
    }

    #[test]
    fn a_dead_link_holds_nothing_however_long_its_handles_live() {
        let link = sender(10);
        link.send_frame(frame(2)).unwrap();
        link.close("lost");
        link.discard();
        assert_eq!(link.queued_bytes(), 0);
        assert!(matches!(link.take(&mut Vec::new()), Next::End));
    }

    #[tokio::test]
    async fn a_stream_waits_for_room_and_learns_of_the_end() {
        let link = sender(usize::MAX);
        link.send_frame(frame(ROOM + 1)).unwrap();
        let mut waiting = pin!(link.send_when_room(frame(1)));
        let poll = |f: std::pin::Pin<&mut dyn Future<Output = _>>| {
            f.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
        };
        assert!(poll(waiting.as_mut()).is_pending());
        link.take(&mut Vec::new());
        link.written(ROOM + 1);
        assert!(poll(waiting.as_mut()).is_ready());
        link.send_frame(frame(ROOM + 1)).unwrap();
        let mut waiting = pin!(link.send_when_room(frame(1)));
        assert!(poll(waiting.as_mut()).is_pending());
        link.close("end");
        assert_eq!(waiting.await, Err(SendError::Closed));
    }
}
