//! A pipelined client: many calls outstanding on one connection, answered in order.
//!
//! One task writes, one reads; they share the queue of calls that wait. A call whose future is dropped keeps
//! its place in the queue, so that answers never go to the wrong one.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use kvalue::Value;
use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
};

use super::{ConnectError, ConnectOptions, Connection, Credentials, ReadError, Reader, Writer, connect};
use crate::{
    DecodeError, EncodeError, Frame, Limits, Message, MessageType, QError, check_capability,
    check_message_len,
};

/// Calls that wait to be written; more wait in their callers.
const QUEUED_CALLS: usize = 1024;
/// Asynchronous messages that wait for whoever took them with [`Client::incoming`].
const QUEUED_INCOMING: usize = 1024;
/// Most frames written at once.
const BATCH: usize = 64;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server answered with an error.
    #[error("{0}")]
    Remote(QError),
    /// The connection ended before the answer.
    #[error("the connection ended before the answer: {0}")]
    Closed(Arc<str>),
    /// The answer is no value.
    #[error("bad answer: {0}")]
    Decode(#[from] DecodeError),
    /// The value cannot be sent.
    #[error("cannot be sent: {0}")]
    Encode(#[from] EncodeError),
}

type Answer = Result<Message, CallError>;

struct Request {
    frame: Frame,
    /// `None` for an asynchronous message.
    answer: Option<oneshot::Sender<Answer>>,
}

/// Calls in the order of their requests on the wire, and why there are no more.
#[derive(Default)]
struct Waiting {
    calls: VecDeque<oneshot::Sender<Answer>>,
    ended: Option<Arc<str>>,
}

type SharedWaiting = Arc<Mutex<Waiting>>;

/// Where asynchronous messages go.
#[derive(Debug, Default)]
enum Wanted {
    /// nobody has asked for them
    #[default]
    No,
    /// to whoever asked
    To(mpsc::Sender<Message>),
    /// the connection has ended: whoever asked is told by the end of the queue
    Ended,
}

type Incoming = Arc<Mutex<Wanted>>;

/// A client for tools and tests. Dropping it closes the connection.
#[derive(Debug)]
pub struct Client {
    requests: mpsc::Sender<Request>,
    incoming: Incoming,
    waiting: SharedWaiting,
    limits: Limits,
    capability: u8,
    tasks: [AbortHandle; 2],
}

impl Client {
    /// Opens a connection to `host:port`.
    pub async fn connect(
        addr: &str,
        auth: &Credentials,
        opts: &ConnectOptions,
    ) -> Result<Client, ConnectError> {
        Ok(Client::new(connect(addr, auth, opts).await?, opts.limits.clone()))
    }

    /// A client over a connection.
    pub fn new(connection: Connection, limits: Limits) -> Client {
        let capability = connection.capability;
        let (reader, writer) = connection.split();
        let (requests, queue) = mpsc::channel(QUEUED_CALLS);
        let incoming = Incoming::default();
        let waiting = SharedWaiting::default();
        let write = tokio::spawn(write(writer, queue, waiting.clone()));
        let refuse = requests.downgrade();
        let read =
            tokio::spawn(read(reader, incoming.clone(), refuse, waiting.clone(), write.abort_handle()));
        let tasks = [write.abort_handle(), read.abort_handle()];
        Client { requests, incoming, waiting, limits, capability, tasks }
    }

    /// The protocol version that both ends speak.
    pub fn capability(&self) -> u8 {
        self.capability
    }

    /// True once the connection has ended: a call would fail without being sent.
    pub fn is_closed(&self) -> bool {
        lock(&self.waiting).ended.is_some()
    }

    /// Asynchronous messages from the server, once; the queue ends with the connection. Until it is taken
    /// they are dropped; after that a full queue keeps further messages, answers too, in the socket.
    pub fn incoming(&self) -> Option<mpsc::Receiver<Message>> {
        let (to, from) = mpsc::channel(QUEUED_INCOMING);
        let mut wanted = lock(&self.incoming);
        match *wanted {
            Wanted::To(_) => None,
            Wanted::Ended => Some(from),
            Wanted::No => {
                *wanted = Wanted::To(to);
                Some(from)
            }
        }
    }

    /// Sends a value and waits for the answer's value.
    pub async fn sync(&self, value: &Value) -> Result<Value, CallError> {
        let message = self.raw_sync(self.frame(MessageType::Sync, value)?).await?;
        message.decode(&self.limits)?.map_err(CallError::Remote)
    }

    /// Calls a function by name: `sync` of `(name; args…)`.
    pub async fn call(&self, name: &str, args: Vec<Value>) -> Result<Value, CallError> {
        let mut items = vec![Value::sym(name)];
        items.extend(args);
        self.sync(&Value::list(items)).await
    }

    /// Sends a value and waits for nothing but its place in the queue of writes.
    pub async fn asyn(&self, value: &Value) -> Result<(), CallError> {
        let frame = self.frame(MessageType::Async, value)?;
        self.submit(Request { frame, answer: None }).await
    }

    /// Sends a frame, which must be one sync message, and waits for the answer, errors included.
    pub async fn raw_sync(&self, frame: Frame) -> Result<Message, CallError> {
        let (answer, answered) = oneshot::channel();
        self.submit(Request { frame, answer: Some(answer) }).await?;
        answered.await.unwrap_or_else(|_| Err(self.closed()))
    }

    fn frame(&self, ty: MessageType, value: &Value) -> Result<Frame, EncodeError> {
        check_capability(value, self.capability)?;
        let frame = Frame::of_value(ty, value)?;
        check_message_len(frame.len() as u64, self.capability)?;
        Ok(frame)
    }

    async fn submit(&self, request: Request) -> Result<(), CallError> {
        self.requests.send(request).await.map_err(|_| self.closed())
    }

    fn closed(&self) -> CallError {
        let why = lock(&self.waiting).ended.clone();
        CallError::Closed(why.unwrap_or_else(|| "it was closed".into()))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is shared is never left half changed, so a panic elsewhere does not spoil it.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fails all calls that wait, and those to come.
fn end(waiting: &SharedWaiting, why: String) {
    let why: Arc<str> = why.into();
    let calls = {
        let mut waiting = lock(waiting);
        waiting.ended.get_or_insert_with(|| why.clone());
        std::mem::take(&mut waiting.calls)
    };
    for call in calls {
        // A caller that has left does not mind.
        let _ = call.send(Err(CallError::Closed(why.clone())));
    }
}

async fn write(mut writer: Writer, mut queue: mpsc::Receiver<Request>, waiting: SharedWaiting) {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let mut frames = Vec::with_capacity(batch.len());
        {
            let mut waiting = lock(&waiting);
            if waiting.ended.is_some() {
                // Nobody would answer what is queued from here on; dropping it tells the callers.
                return;
            }
            for request in batch.drain(..) {
                frames.push(request.frame);
                waiting.calls.extend(request.answer);
            }
        }
        if let Err(e) = writer.send_many(&frames).await {
            return end(&waiting, format!("write failed: {e}"));
        }
    }
}

async fn read(
    mut reader: Reader,
    incoming: Incoming,
    requests: mpsc::WeakSender<Request>,
    waiting: SharedWaiting,
    writer: AbortHandle,
) {
    let why = loop {
        let answer = match reader.next().await {
            Ok(None) => break "the server closed it".to_owned(),
            Ok(Some(message)) => match message.ty {
                MessageType::Response => Ok(message),
                MessageType::Async => {
                    let wanted = match &*lock(&incoming) {
                        Wanted::To(to) => Some(to.clone()),
                        Wanted::No | Wanted::Ended => None,
                    };
                    if let Some(incoming) = wanted {
                        // An error means that the receiver was taken and dropped.
                        let _ = incoming.send(message).await;
                    }
                    continue;
                }
                MessageType::Sync => {
                    let frame = Frame::of_error("a client does not answer requests");
                    if let Some(requests) = requests.upgrade() {
                        // Where the queue is full the server waits: waiting here could make both wait.
                        let _ = requests.try_send(Request { frame, answer: None });
                    }
                    continue;
                }
            },
            Err(ReadError::Body { ty: MessageType::Response, source }) => Err(CallError::Decode(source)),
            Err(ReadError::Body { .. }) => continue,
            Err(ReadError::Io(e)) if e.kind() == io::ErrorKind::ConnectionReset => {
                break "the server reset it".to_owned();
            }
            Err(e) => break e.to_string(),
        };
        let Some(call) = lock(&waiting).calls.pop_front() else {
            break "an answer came without a question".to_owned();
        };
        let _ = call.send(answer);
    };
    writer.abort();
    *lock(&incoming) = Wanted::Ended;
    end(&waiting, why);
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Waiting({} calls, ended: {:?})", self.calls.len(), self.ended)
    }
}
