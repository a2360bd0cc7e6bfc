//! [`Net`]: open handles, listening sockets and the timer of a process.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    io::{Read as _, Write as _},
    os::fd::{AsFd as _, BorrowedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use qlang::{
    QError, R,
    host::{Connection as Open, HandleKind, Kind, Message},
    ops::files::ipc::error_body,
};
use rustix::event::{PollFd, PollFlags, poll};

use crate::{
    connection::{Connection, Protocol},
    listener::{Listener, listeners},
    websocket,
};

/// Most connections at a time, as kdb+ has it.
const MOST_CONNECTIONS: usize = 1022;

/// What a handle leads to.
#[derive(Debug)]
pub(crate) enum Slot {
    File(File),
    Pipe(File),
    Connection(Box<Connection>),
}

/// The timer of `\t`.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    pub(crate) milliseconds: i64,
    pub(crate) next: Option<Instant>,
}

impl Timer {
    /// Sets the time between two calls; 0 stops.
    pub(crate) fn set(&mut self, milliseconds: i64) {
        self.milliseconds = milliseconds.max(0);
        self.next = (milliseconds > 0).then(|| Instant::now() + Duration::from_millis(milliseconds as u64));
    }

    /// Whether it is time; sets the next time.
    pub(crate) fn is_due(&mut self) -> bool {
        let Some(next) = self.next else { return false };
        let now = Instant::now();
        if next > now {
            return false;
        }
        self.next = Some(now + Duration::from_millis(self.milliseconds as u64));
        true
    }
}

/// The open handles.
#[derive(Debug, Default)]
pub(crate) struct Net {
    slots: BTreeMap<i32, Slot>,
    pub(crate) listeners: Vec<Listener>,
    port: i32,
    /// the port that will be listened on once the script is loaded; `\p` tells of it already
    pub(crate) promised: i32,
    /// listen on all addresses where none is named
    pub(crate) open_to_all: bool,
    pub(crate) timer: Timer,
    pub(crate) environment: HashMap<String, String>,
    /// the handle whose request is evaluated, and whether its answer was kept back
    pub(crate) serving: Option<(i32, bool)>,
    /// handles that wait for an answer that was kept back
    deferred: BTreeSet<i32>,
    /// connections that ended and were not yet told of
    pub(crate) ended: Vec<i32>,
    /// set by ctrl-C
    pub(crate) interrupted: Arc<AtomicBool>,
}

fn bad_handle(handle: i32) -> QError {
    QError::new(format!("Cannot write to handle {handle}. OS reports: Bad file descriptor"))
}

impl Net {
    fn add(&mut self, slot: Slot) -> i32 {
        let free = (3..).find(|h| !self.slots.contains_key(h)).unwrap_or(i32::MAX);
        self.slots.insert(free, slot);
        free
    }

    /// A handle for a file.
    pub(crate) fn add_file(&mut self, file: File) -> i32 {
        self.add(Slot::File(file))
    }

    /// A handle for a pipe.
    pub(crate) fn add_pipe(&mut self, file: File) -> i32 {
        self.add(Slot::Pipe(file))
    }

    /// A handle for a connection; `None` where there are too many.
    pub(crate) fn add_connection(&mut self, connection: Connection) -> Option<i32> {
        let open = self.connections_mut().count();
        (open < MOST_CONNECTIONS).then(|| self.add(Slot::Connection(Box::new(connection))))
    }

    /// The connection of a handle.
    pub(crate) fn connection(&mut self, handle: i32) -> Option<&mut Connection> {
        match self.slots.get_mut(&handle) {
            Some(Slot::Connection(c)) => Some(c),
            _ => None,
        }
    }

    /// All connections.
    pub(crate) fn connections_mut(&mut self) -> impl Iterator<Item = (i32, &mut Connection)> {
        self.slots.iter_mut().filter_map(|(h, s)| match s {
            Slot::Connection(c) => Some((*h, &mut **c)),
            _ => None,
        })
    }

    /// The sockets of all connections, in the order of their handles.
    pub(crate) fn sockets(&self) -> Vec<BorrowedFd<'_>> {
        let sockets = self.slots.values().filter_map(|s| match s {
            Slot::Connection(c) => Some(c.stream().as_fd()),
            _ => None,
        });
        sockets.collect()
    }

    /// Forgets a connection that failed or ended; the loop tells q code of it.
    pub(crate) fn lost(&mut self, handle: i32) {
        if let Some(Slot::Connection(c)) = self.slots.remove(&handle)
            && matches!(c.protocol, Protocol::Q | Protocol::WebSocket)
        {
            self.ended.push(handle);
        }
        self.deferred.remove(&handle);
    }

    /// Closes a connection that never was one of q.
    pub(crate) fn drop_connection(&mut self, handle: i32) {
        self.slots.remove(&handle);
        self.deferred.remove(&handle);
    }

    /// `hclose`
    pub(crate) fn close(&mut self, handle: i32) -> R<()> {
        if let Some(c) = self.connection(handle) {
            // What was sent asynchronously goes out first.
            let _ = flush(c, Some(Duration::from_secs(5)), None);
        }
        self.deferred.remove(&handle);
        match self.slots.remove(&handle) {
            Some(_) => Ok(()),
            None => Err(QError::new(format!("close handle {handle}. OS reports: Bad file descriptor"))),
        }
    }

    /// What a handle leads to.
    pub(crate) fn kind(&self, handle: i32) -> Option<HandleKind> {
        Some(match self.slots.get(&handle)? {
            Slot::File(_) => HandleKind::File,
            Slot::Pipe(_) => HandleKind::Pipe,
            Slot::Connection(c) if c.protocol == Protocol::WebSocket => HandleKind::WebSocket,
            Slot::Connection(_) => HandleKind::Process,
        })
    }

    /// Sends a message.
    pub(crate) fn send(&mut self, handle: i32, kind: Kind, body: &[u8]) -> R<()> {
        let interrupted = self.interrupted.clone();
        let c = self.connection(handle).ok_or_else(|| bad_handle(handle))?;
        let sent = match c.protocol {
            Protocol::WebSocket => c.queue(websocket::frame(body, kind == Kind::Async).into()),
            _ => c.queue_message(kind, body),
        };
        let sent = match sent {
            Ok(()) if kind == Kind::Sync && c.protocol == Protocol::Q => flush(c, None, Some(&interrupted)),
            other => other,
        };
        sent.map_err(|e| {
            let text = e.to_string();
            if text == "limit" {
                return QError::limit();
            }
            self.lost(handle);
            let reason = text.split(" (os error").next().unwrap_or(&text);
            QError::new(format!("Cannot write to handle {handle}. OS reports: {reason}"))
        })
    }

    /// Waits until all that is queued has gone out.
    pub(crate) fn flush(&mut self, handle: i32) -> R<()> {
        let interrupted = self.interrupted.clone();
        let c = self.connection(handle).ok_or_else(|| bad_handle(handle))?;
        flush(c, None, Some(&interrupted)).map_err(|e| {
            self.lost(handle);
            QError::new(format!("Cannot write to handle {handle}. OS reports: {e}"))
        })
    }

    /// Waits for the next message.
    pub(crate) fn receive(&mut self, handle: i32) -> R<Message> {
        let interrupted = self.interrupted.clone();
        let failed = |reason: &str| QError::new(format!("rcv handle: {handle}. OS reports: {reason}"));
        let c = self.connection(handle).ok_or_else(|| failed("Bad file descriptor"))?;
        let got = loop {
            match c.next_message() {
                Ok(Some(message)) => return Ok(message),
                Ok(None) if c.ended => break "Connection reset by peer".to_owned(),
                Ok(None) => {}
                Err(e) => break e,
            }
            let wants = if c.has_output() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            let ready = poll(&mut [PollFd::new(c.stream(), wants)], None);
            if interrupted.swap(false, Ordering::Relaxed) {
                break "Interrupted system call".to_owned();
            }
            if let Err(e) = ready.map(|_| ())
                && e != rustix::io::Errno::INTR
            {
                break e.to_string();
            }
            if let Err(e) = c.drain().and_then(|()| c.fill()) {
                let text = e.to_string();
                break text.split(" (os error").next().unwrap_or(&text).to_owned();
            }
        };
        // As in kdb+, a handle that failed is no handle any more.
        self.lost(handle);
        Err(failed(&got))
    }

    /// Writes to a file.
    pub(crate) fn put(&mut self, handle: i32, bytes: &[u8]) -> R<()> {
        match self.slots.get_mut(&handle) {
            Some(Slot::File(f) | Slot::Pipe(f)) => f
                .write_all(bytes)
                .map_err(|e| QError::new(format!("Cannot write to handle {handle}. OS reports: {e}"))),
            _ => Err(bad_handle(handle)),
        }
    }

    /// Reads from a pipe.
    pub(crate) fn take(&mut self, handle: i32, length: usize) -> R<Vec<u8>> {
        let (Some(Slot::Pipe(f)) | Some(Slot::File(f))) = self.slots.get_mut(&handle) else {
            return Err(QError::new(format!("{handle}. OS reports: Bad file descriptor")));
        };
        let mut out = vec![0; length.min(1 << 20)];
        let n = f.read(&mut out).map_err(|e| QError::new(format!("{handle}. OS reports: {e}")))?;
        out.truncate(n);
        Ok(out)
    }

    /// Connections of q and of browsers.
    pub(crate) fn connections(&self) -> Vec<Open> {
        let open = self.slots.iter().filter_map(|(h, s)| match s {
            Slot::Connection(c) => {
                let protocol = match c.protocol {
                    Protocol::Q => b'q',
                    Protocol::WebSocket => b'w',
                    Protocol::Hello | Protocol::Http => return None,
                };
                Some(Open { handle: *h, queued: c.waiting(), protocol })
            }
            _ => None,
        });
        open.collect()
    }

    /// Listens as `-p` and `\p` say; 0 stops. Gives the port.
    pub(crate) fn listen(&mut self, address: &str) -> R<i32> {
        let (listeners, port) = listeners(address, self.open_to_all)?;
        self.listeners = listeners;
        self.promised = 0;
        self.port = port;
        Ok(port)
    }

    /// The port that is listened on, or will be.
    pub(crate) fn port(&self) -> i32 {
        if self.port == 0 { self.promised } else { self.port }
    }

    /// `-30!(::)`
    pub(crate) fn defer(&mut self) -> R<()> {
        match &mut self.serving {
            Some((handle, deferred)) => {
                *deferred = true;
                self.deferred.insert(*handle);
                Ok(())
            }
            None => Err(QError::new("No request to defer")),
        }
    }

    /// `-30!(handle;isError;answer)`
    pub(crate) fn answer(&mut self, handle: i32, body: Result<&[u8], &str>) -> R<()> {
        if !self.deferred.remove(&handle) {
            return Err(QError::new(format!("Handle {handle} was not expecting a response msg")));
        }
        match body {
            Ok(body) => self.send(handle, Kind::Response, body),
            Err(text) => self.send(handle, Kind::Response, &error_body(text)),
        }
    }

    /// Whether a handle's answer was kept back.
    pub(crate) fn is_deferred(&self, handle: i32) -> bool {
        self.deferred.contains(&handle)
    }
}

/// Sends all that waits, for at most this long.
fn flush(
    c: &mut Connection,
    limit: Option<Duration>,
    interrupted: Option<&AtomicBool>,
) -> std::io::Result<()> {
    let end = limit.map(|l| Instant::now() + l);
    c.drain()?;
    while c.has_output() {
        if end.is_some_and(|e| Instant::now() > e) {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        let timeout = limit.map(|_| rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 });
        match poll(&mut [PollFd::from_borrowed_fd(c.stream().as_fd(), PollFlags::OUT)], timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        if interrupted.is_some_and(|i| i.swap(false, Ordering::Relaxed)) {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        c.drain()?;
    }
    Ok(())
}
