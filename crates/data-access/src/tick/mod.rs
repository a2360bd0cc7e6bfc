//! Subscription to a tickerplant: schemas, replay of its log, live rows, end of day.
//!
//! The tickerplant says how many messages its log holds; exactly those are replayed and the live ones follow,
//! so that no row is lost or taken twice. After a lost connection only what the log gained meanwhile is
//! replayed. After a restart, earlier days that no save has completed come back from their logs (`older`). While a replay runs the DAP takes no work: its rows would be incomplete.

pub mod log;
mod older;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use kvalue::{Atom, Sym, Type, Value};
use qipc::{
    Body, Limits, Raw,
    net::{Client, ConnectOptions, Credentials},
};
use tokio_util::sync::CancellationToken;

use self::log::{LogError, LogReader};
use crate::{
    eod::EndOfDay,
    intake::{self, Sender},
    shared::Shared,
    store::memory::MemoryTables,
};

/// Time between attempts to reach the tickerplant.
const RETRY: Duration = Duration::from_millis(500);
/// Most different warnings of schemas that are remembered.
const MAX_TOLD: usize = 4096;

/// Position in a log: a new connection goes on from there.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Position {
    log: Sym,
    messages: u64,
    /// messages counted beyond the log's own: a damaged part may hide several messages
    hidden: u64,
}

/// A subscription that heals itself.
pub struct Subscription {
    shared: Arc<Shared>,
    memory: MemoryTables,
    address: String,
    end_of_day: EndOfDay,
    position: Position,
    /// what was said of schemas that cannot be used
    told: HashSet<String>,
}

impl Subscription {
    /// A subscription to all tables of the tickerplant at `host:port`.
    pub fn new(shared: Arc<Shared>, memory: MemoryTables, address: String, end_of_day: EndOfDay) -> Self {
        let (position, told) = (Position::default(), HashSet::new());
        Subscription { shared, memory, address, end_of_day, position, told }
    }

    /// Subscribes, and again whenever the connection is lost, until shutdown.
    pub async fn run(mut self, shutdown: CancellationToken) {
        // A reason that repeats is told once; a session that was up makes it news again.
        let mut told = String::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                ended = self.session() => {
                    if ended.is_ok() {
                        told.clear();
                    }
                    let why = ended.unwrap_or_else(|why| why);
                    if why != told {
                        tracing::warn!(tickerplant = self.address, why, "no tickerplant; it is tried again");
                        told = why;
                    }
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    }

    /// One connection, from subscription to loss; says why it ended.
    async fn session(&mut self) -> Result<String, String> {
        let credentials = Credentials::new(self.shared.source.name.text().into_owned(), "");
        let client = Client::connect(&self.address, &credentials, &ConnectOptions::default())
            .await
            .map_err(|e| e.to_string())?;
        let mut live = client.incoming().ok_or("the client's messages are taken")?;
        let subscribe = Value::str("(.u.sub[`;`];`.u `i`L)");
        let reply = client.sync(&subscribe).await.map_err(|e| format!("subscription refused: {e}"))?;
        let pairs = self.declare(&reply.index(0));
        self.catch_up(&reply.index(1), pairs).await?;
        self.shared.set_available(true);
        tracing::info!(tickerplant = self.address, replayed = self.position.messages, "subscribed");
        while let Some(message) = live.recv().await {
            if let Body::Object(raw) = &message.body {
                self.take(raw).await;
            }
        }
        Ok("it closed the connection".into())
    }

    /// Makes the subscribed tables known: a pair (name; empty table), or a list of them. A table whose schema cannot
    /// be used costs itself only: its batches are refused until a schema that can be used comes.
    /// Returns the pairs that have a name.
    fn declare(&mut self, pairs: &Value) -> Vec<(Sym, Value)> {
        let is_pair = pairs.count() == 2 && pairs.index(0).as_sym().is_some();
        let pairs: Vec<Value> = match pairs {
            // What could be both is a list of pairs where its second item is a pair.
            Value::List(l) if !is_pair || pairs.index(1).index(0).as_sym().is_some() => l.items().to_vec(),
            one => vec![one.clone()],
        };
        let mut is_news = false;
        let mut named = Vec::new();
        for pair in pairs {
            named.extend(pair.index(0).as_sym().map(|name| (name, pair.index(1))));
            match self.declare_one(&pair) {
                Ok(new) => is_news |= new,
                Err(why) => self.tell(why),
            }
        }
        if is_news {
            self.shared.purview_changed();
        }
        named
    }

    fn declare_one(&self, pair: &Value) -> Result<bool, String> {
        let name = pair.index(0).as_sym().filter(|_| matches!(pair, Value::List(l) if l.len() == 2));
        let name = name.ok_or_else(|| {
            format!("subscription answered with a {} among the (table; schema) pairs", pair.type_name())
        })?;
        let is_new = self.memory.describe(&name, &pair.index(1)).map_err(|f| f.ai)?;
        if is_new {
            intake::tell_timeless(&self.memory, &name);
        }
        Ok(is_new)
    }

    /// Warns, once for each text.
    fn tell(&mut self, why: String) {
        if self.told.len() >= MAX_TOLD {
            self.told.clear();
        }
        if self.told.insert(why.clone()) {
            tracing::warn!(
                tickerplant = self.address,
                why,
                "schema from the tickerplant refused; the other tables are served"
            );
        }
    }

    /// Replays what the log holds beyond our position.
    async fn catch_up(&mut self, i_and_l: &Value, schemas: Vec<(Sym, Value)>) -> Result<(), String> {
        let (count, log) = (i_and_l.index(0).as_i64(), i_and_l.index(1).as_sym().unwrap_or_default());
        let Some(count) = count.and_then(|n| u64::try_from(n).ok()).filter(|_| !log.is_null()) else {
            tracing::info!("the tickerplant keeps no log: rows from before now are not served");
            return Ok(());
        };
        if self.position.log.is_null() {
            self.shared.set_available(false);
            self.bring_back(Path::new(log.text().trim_start_matches(':')), schemas).await;
        }
        if self.position.log != log {
            self.position = Position { log: log.clone(), ..Position::default() };
        }
        if self.position.messages >= count {
            return Ok(());
        }
        self.shared.set_available(false);
        let path = PathBuf::from(log.text().trim_start_matches(':'));
        let (shared, done) = (self.shared.clone(), self.position.clone());
        let replayed = tokio::task::spawn_blocking(move || replay(&shared, &path, &done, count)).await;
        self.position.hidden = replayed.map_err(|e| e.to_string())??;
        self.position.messages = count;
        self.shared.metrics.stream_pos.set(self.position.messages as i64);
        Ok(())
    }

    async fn take(&mut self, raw: &Raw) {
        let message = match raw.decode(&Limits::internal()) {
            Ok(message) => message,
            Err(error) => {
                self.shared.refusals.tell(FROM, &Sym::null(), &error.to_string());
                if log::begins_as_batch(&raw.0) {
                    self.counted();
                }
                return;
            }
        };
        match message.index(0).as_name().as_ref().map(Sym::text).as_deref() {
            Some(name) if intake::is_upd(name) => {
                // What is refused is told of there.
                let _ = intake::upd(&self.shared, FROM, Sender::Deaf, &message);
                self.counted();
            }
            Some(".u.end") => match message.index(1) {
                Value::Atom(Atom::Date(day)) => self.end_of_day.run(day).await,
                other => tracing::warn!(got = other.type_name(), "end of day without a {}", Type::Date),
            },
            other => tracing::debug!(name = other, "the tickerplant sent what is not known here"),
        }
    }

    /// A message that is in the tickerplant's log too.
    fn counted(&mut self) {
        self.position.messages += 1;
        self.shared.metrics.stream_pos.set(self.position.messages as i64);
    }
}

/// Who warnings name.
const FROM: &str = "tickerplant";

/// Applies the messages of a log up to `count` that are not `done`. What cannot be read, or is refused, costs itself
/// only. Returns how many messages the damaged parts of the log hide.
fn replay(shared: &Shared, path: &Path, done: &Position, count: u64) -> Result<u64, String> {
    let mut reader = LogReader::open(path).map_err(|e| e.to_string())?;
    while reader.messages() + done.hidden < count {
        let raw = match reader.next_message() {
            Ok(Some(raw)) => raw,
            Ok(None) if reader.damaged() > 0 => {
                let hidden = count - reader.messages();
                tracing::error!(log = %path.display(), hidden, "messages of the tickerplant's log are lost in its damaged parts");
                return Ok(hidden);
            }
            Ok(None) => {
                let (has, path) = (reader.messages(), path.display());
                return Err(format!(
                    "tickerplant log {path} holds {has} messages, the tickerplant said {count}"
                ));
            }
            Err(error @ LogError::Damaged { .. }) => {
                tracing::error!(%error, "a part of the tickerplant's log is passed over");
                continue;
            }
            Err(error) => return Err(error.to_string()),
        };
        if reader.messages() + done.hidden <= done.messages {
            continue;
        }
        match raw.decode(&Limits::internal()) {
            Ok(value) if value.index(0).as_name().is_some_and(|name| intake::is_upd(&name.text())) => {
                // What is refused is told of there.
                let _ = intake::upd(shared, "tickerplant's log", Sender::Deaf, &value);
            }
            Ok(value) => {
                let what =
                    value.index(0).as_name().map_or(value.type_name().into(), |n| n.text().into_owned());
                tracing::debug!(message = reader.messages(), what, "the log has what is no upd");
            }
            Err(error) => {
                let why = format!("message {} of the log: {error}", reader.messages());
                shared.refusals.tell("tickerplant's log", &Sym::null(), &why);
            }
        }
    }
    Ok(done.hidden)
}

#[cfg(test)]
mod tests;
