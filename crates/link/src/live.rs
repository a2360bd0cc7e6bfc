//! A live link: a task that reads and looks at heartbeats, a task that writes.
//!
//! A peer is alive while bytes come from it: a long message counts before it is whole. Each end sends a
//! heartbeat per period of its own and echoes those of the other, so that ends with different periods do
//! not cut each other. Tests: here and `tests/links`.

use std::{cell::Cell, sync::Arc, time::Duration};

use kvalue::Sym;
use qipc::{
    Body, Frame, Message, MessageType, Raw,
    net::{ReadError, Reader, Writer},
};
use sg::{
    Msg,
    msg::{Heartbeat, MsgError, Refused},
};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use crate::{Handler, LinkOptions, Peer, Sender, backlog::Taken, sender::Next, wake_batch::WakeBatch};

/// What [`crate::Handler::down`] is told begins with, where the other end refused what was asked for; its own
/// sentence follows.
pub const REFUSED: &str = "the peer refused it: ";

/// Messages longer than this are taken apart on another thread: their symbols have to be counted.
const DECODE_HERE: usize = 512 << 10;
/// Most messages that are taken before the link looks at its heartbeats and its end again.
const AT_ONCE: usize = 32;
/// Time for what is queued when a link is closed.
const LINGER: Duration = Duration::from_secs(1);

/// A connection whose two ends know each other.
pub(crate) struct Opened {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) peer: Peer,
    /// where the peer can dial us
    pub(crate) own: Sym,
    /// this end dialled
    pub(crate) dialled: bool,
}

/// Runs a link from up to down; gives the reason for its end.
pub(crate) async fn run(
    link: Opened,
    opts: &LinkOptions,
    handler: &Arc<dyn Handler>,
    shutdown: &CancellationToken,
    opened: impl FnOnce(&Sender),
) -> String {
    let Opened { mut reader, writer, peer, own, dialled } = link;
    let link = Sender::new(peer, own, dialled, opts.send_limit, shutdown.child_token());
    tracing::info!(peer = %link.peer(), link = link.id().0, "link up");
    link.write_by(writer);
    let write = tokio::spawn(write(link.clone()));
    // Also where this future is dropped or a handler panics.
    let guard = DownGuard { link: link.clone(), handler: handler.clone() };
    handler.up(&link);
    opened(&link);
    let why = read(&mut reader, &link, opts, handler.as_ref()).await;
    link.close(&why);
    drop(guard);
    // The task ends by itself: closed, and bounded in time.
    let _ = write.await;
    link.why_closed().unwrap_or(why)
}

struct DownGuard {
    link: Sender,
    handler: Arc<dyn Handler>,
}

impl Drop for DownGuard {
    fn drop(&mut self) {
        self.link.close("its task ended");
        let why = self.link.why_closed().unwrap_or_default();
        tracing::info!(peer = %self.link.peer(), link = self.link.id().0, why, "link down");
        self.handler.down(&self.link, &why);
    }
}

async fn write(link: Sender) {
    write_until_end(&link).await;
    link.discard();
    // While the link lived nobody but this task took it for longer than a call.
    if let Some(mut writer) = link.retire() {
        let _ = timeout(LINGER, writer.shutdown()).await;
    }
}

async fn write_until_end(link: &Sender) {
    let mut batch = Vec::new();
    let mut closing = std::pin::pin!(async {
        link.ending().cancelled().await;
        tokio::time::sleep(LINGER).await;
    });
    loop {
        match link.take(&mut batch) {
            Next::End => return,
            Next::Wait => {
                link.wake().await;
                if link.is_likely_to_get_more() {
                    // Behind all that is ready: what they send leaves in one write. Whoever sends wakes this task
                    // to run next, which would make it a write for each message.
                    tokio::task::yield_now().await;
                }
            }
            Next::Write(Taken { bytes, messages }) => {
                let Some(mut writer) = link.borrow() else { return link.close("it has no writer") };
                let written = tokio::select! {
                    biased;
                    written = writer.send_many(&batch) => written,
                    () = &mut closing => return link.written(bytes),
                };
                link.written(bytes);
                link.wrote(writer, messages, &mut batch);
                if let Err(e) = written {
                    return link.close(&format!("write failed: {e}"));
                }
            }
        }
    }
}

/// Reads until the link ends; gives the reason.
async fn read(reader: &mut Reader, link: &Sender, opts: &LinkOptions, handler: &dyn Handler) -> String {
    let mut ending = std::pin::pin!(link.ending().clone().cancelled_owned());
    let mut beats = beats(opts.heartbeat);
    let mut pulse = Pulse { tolerance: opts.tolerance, missed: 0, seen: None };
    let mut seq = 0;
    reader.delay_acks();
    if beats.is_some() {
        reader.keep_memory();
    }
    loop {
        tokio::select! {
            biased;
            // The rare ones first: a peer that never pauses must not keep them out.
            () = beat(&mut beats) => {
                if let Err(missed) = pulse.beat(reader.received()) {
                    let period = opts.heartbeat;
                    return format!("nothing came for {missed} heartbeat periods of {period:?} (KXI_SAPI_HB_TOL)");
                }
                reader.let_go();
                link.let_go();
                seq += 1;
                // An error shows in the next turn as the link's end.
                let _ = link.send(Heartbeat { seq });
            }
            () = &mut ending => return crate::STOPPING.into(),
            message = reader.next() => {
                let Some(first) = message.transpose() else { return "the peer closed it".into() };
                let long = match handle_batch(first, reader, link, handler) {
                    Ok(long) => long,
                    Err(why) => return why,
                };
                if let Some(long) = long {
                    let decoded = tokio::task::spawn_blocking(move || Msg::decode(&long)).await;
                    let taken = match decoded {
                        Ok(decoded) => handle(decoded, link, handler),
                        Err(e) => Err(format!("a message could not be taken apart: {e}")),
                    };
                    if let Err(why) = taken {
                        return why;
                    }
                }
            },
        }
    }
}

fn beats(period: Duration) -> Option<Interval> {
    (!period.is_zero()).then(|| {
        let mut beats = interval_at(Instant::now() + period, period);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beats
    })
}

async fn beat(beats: &mut Option<Interval>) {
    match beats {
        Some(beats) => _ = beats.tick().await,
        None => std::future::pending().await,
    }
}

/// How long a peer has been silent, in heartbeat periods.
struct Pulse {
    tolerance: u32,
    missed: u32,
    /// bytes that had come at the last beat; none before our first beat, which the peer answers
    seen: Option<u64>,
}

impl Pulse {
    /// A period has passed and so many bytes have come since the link's beginning. The number of silent
    /// periods where they are too many.
    fn beat(&mut self, received: u64) -> Result<(), u32> {
        self.missed = if self.seen == Some(received) { self.missed + 1 } else { 0 };
        self.seen = Some(received);
        match self.missed {
            n if n >= self.tolerance => Err(n),
            _ => Ok(()),
        }
    }
}

/// Handles a message and those that came with it, up to one that is too long to be taken apart here, which is given
/// back. An error ends the link, once what came before it is handled.
fn handle_batch(
    first: Result<Message, ReadError>,
    reader: &mut Reader,
    link: &Sender,
    handler: &dyn Handler,
) -> Result<Option<Raw>, String> {
    let mut messages = MESSAGES.take();
    let (mut next, mut left, mut outcome) = (Some(first), AT_ONCE, Ok(None));
    while let Some(message) = next {
        match message {
            Ok(Message { ty: MessageType::Sync, .. }) => {
                let _ =
                    link.send_frame(Frame::of_error("nyi: internal links take asynchronous messages only"));
            }
            Ok(Message { body: Body::Object(raw), .. }) if raw.len() > DECODE_HERE => {
                outcome = Ok(Some(raw));
                break;
            }
            Ok(Message { body: Body::Object(raw), .. }) => match own(Msg::decode(&raw), link) {
                Ok(msg) => messages.extend(msg),
                Err(why) => {
                    outcome = Err(why);
                    break;
                }
            },
            Ok(_) => {}
            Err(ReadError::Body { source, .. }) => {
                tracing::warn!(peer = %link.peer(), error = %source, "internal message dropped");
            }
            Err(e) => {
                outcome = Err(e.to_string());
                break;
            }
        }
        left -= 1;
        next = if left > 0 { reader.next_buffered() } else { None };
    }
    if !messages.is_empty() {
        handler.messages(link, &mut WakeBatch::begin(messages.drain(..)));
    }
    MESSAGES.set(messages);
    outcome
}

thread_local! {
    /// Memory for the messages of a batch, at most [`AT_ONCE`].
    static MESSAGES: Cell<Vec<Msg>> = const { Cell::new(Vec::new()) };
}

/// Handles one message; an error ends the link.
fn handle(decoded: Result<Msg, MsgError>, link: &Sender, handler: &dyn Handler) -> Result<(), String> {
    own(decoded, link)?.into_iter().for_each(|msg| handler.message(link, msg));
    Ok(())
}

/// A message that is for the handler: not one that is the link's own business. An error ends the link.
fn own(decoded: Result<Msg, MsgError>, link: &Sender) -> Result<Option<Msg>, String> {
    match decoded {
        Ok(Msg::Heartbeat(Heartbeat { seq })) => {
            if seq > 0 {
                let _ = link.send(Heartbeat { seq: -seq });
            }
        }
        Ok(Msg::Refused(Refused { why })) => return Err(format!("{REFUSED}{why}")),
        Ok(msg) => return Ok(Some(msg)),
        Err(e @ MsgError::NotAMessage) | Err(e @ MsgError::Unknown { .. }) => {
            tracing::warn!(peer = %link.peer(), error = %e, "internal message ignored");
        }
        // A request would wait for what a dropped message said: better that both ends know at once.
        Err(e) => return Err(e.to_string()),
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_for_the_tolerance_is_the_end_and_any_byte_resets_it() {
        let mut pulse = Pulse { tolerance: 2, missed: 0, seen: None };
        for received in [0, 0, 5, 5, 6, 6] {
            assert_eq!(pulse.beat(received), Ok(()), "{received}");
        }
        assert_eq!(pulse.beat(6), Err(2));
    }
}
