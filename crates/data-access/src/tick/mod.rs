//! Subscription to a tickerplant: schemas, replay of its log, live rows, end of day.
//!
//! The tickerplant says how many messages its log holds; exactly those are replayed and the live ones follow,
//! so that no row is lost or taken twice. After a lost connection only what the log gained meanwhile is
//! replayed. While a replay runs the DAP takes no work: its rows would be incomplete.

pub mod log;

use std::{path::PathBuf, sync::Arc, time::Duration};

use getdata::{Column, ColumnKind, TableSchema};
use kvalue::{Atom, Sym, Type, Value};
use qipc::{
    Body, Limits,
    net::{Client, ConnectOptions, Credentials},
};
use tokio_util::sync::CancellationToken;

use self::log::LogReader;
use crate::{direct, eod::EndOfDay, shared::Shared, store::memory::MemoryTables};

/// Time between attempts to reach the tickerplant.
const RETRY: Duration = Duration::from_millis(500);

/// What was taken from which log, so that a new connection goes on from there.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Position {
    log: Sym,
    messages: u64,
}

/// A subscription that heals itself.
pub struct Subscription {
    shared: Arc<Shared>,
    memory: MemoryTables,
    address: String,
    end_of_day: EndOfDay,
    position: Position,
}

impl Subscription {
    /// A subscription to all tables of the tickerplant at `host:port`.
    pub fn new(shared: Arc<Shared>, memory: MemoryTables, address: String, end_of_day: EndOfDay) -> Self {
        Subscription { shared, memory, address, end_of_day, position: Position::default() }
    }

    /// Subscribes, and again whenever the connection is lost, until shutdown.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                ended = self.session() => {
                    tracing::warn!(tickerplant = self.address, why = ended.unwrap_or_else(|why| why), "tickerplant lost");
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
        self.declare(&reply.index(0))?;
        self.catch_up(&reply.index(1)).await?;
        self.shared.set_available(true);
        tracing::info!(tickerplant = self.address, replayed = self.position.messages, "subscribed");
        while let Some(message) = live.recv().await {
            let Body::Object(raw) = &message.body else { continue };
            match raw.decode(&Limits::internal()) {
                Ok(value) => self.take(&value).await,
                Err(error) => tracing::warn!(%error, "unreadable message from the tickerplant"),
            }
        }
        Ok("it closed the connection".into())
    }

    /// Makes the subscribed tables known: a pair (name; empty table), or a list of them.
    fn declare(&self, pairs: &Value) -> Result<(), String> {
        let one = pairs.index(0).as_sym().is_some();
        let pairs: Vec<Value> =
            if one { vec![pairs.clone()] } else { (0..pairs.count()).map(|i| pairs.index(i)).collect() };
        for pair in pairs {
            let (Some(name), Value::Table(table)) = (pair.index(0).as_sym(), pair.index(1)) else {
                return Err("subscription answered with something else than (table; schema) pairs".into());
            };
            let kind = |column: &Value| match column {
                Value::Vector(v) => ColumnKind::Basic(v.ty()),
                _ => ColumnKind::Any,
            };
            let columns = table.iter().map(|(n, c)| Column { name: Sym::new(n), kind: kind(c) }).collect();
            self.memory.declare(TableSchema::timed(name, columns, None)).map_err(|f| f.ai)?;
        }
        self.shared.purview_changed();
        Ok(())
    }

    /// Replays what the log holds beyond our position.
    async fn catch_up(&mut self, i_and_l: &Value) -> Result<(), String> {
        let (count, log) = (i_and_l.index(0).as_i64(), i_and_l.index(1).as_sym().unwrap_or_default());
        let Some(count) = count.and_then(|n| u64::try_from(n).ok()).filter(|_| !log.is_null()) else {
            tracing::info!("the tickerplant keeps no log: rows from before now are not served");
            return Ok(());
        };
        if self.position.log != log {
            self.position = Position { log: log.clone(), messages: 0 };
        }
        if self.position.messages >= count {
            return Ok(());
        }
        self.shared.set_available(false);
        let path = PathBuf::from(log.text().trim_start_matches(':'));
        let (shared, skip) = (self.shared.clone(), self.position.messages);
        let replayed = tokio::task::spawn_blocking(move || replay(&shared, &path, skip, count)).await;
        self.position.messages = replayed.map_err(|e| e.to_string())??;
        self.shared.metrics.stream_pos.set(self.position.messages as i64);
        Ok(())
    }

    async fn take(&mut self, message: &Value) {
        match message.index(0).as_name().as_ref().map(Sym::text).as_deref() {
            Some("upd") => {
                if let Err(failure) = direct::upd(&self.shared, message) {
                    tracing::warn!(why = failure.ai, "batch from the tickerplant refused");
                }
                self.position.messages += 1;
                self.shared.metrics.stream_pos.set(self.position.messages as i64);
            }
            Some(".u.end") => match message.index(1) {
                Value::Atom(Atom::Date(day)) => self.end_of_day.run(day).await,
                other => tracing::warn!(got = other.type_name(), "end of day without a {}", Type::Date),
            },
            other => tracing::debug!(name = other, "the tickerplant sent what is not known here"),
        }
    }
}

/// Applies messages `skip..count` of a log; the number of messages then taken.
fn replay(shared: &Shared, path: &std::path::Path, skip: u64, count: u64) -> Result<u64, String> {
    let mut reader = LogReader::open(path).map_err(|e| e.to_string())?;
    while reader.messages() < count {
        let Some(raw) = reader.next_message().map_err(|e| e.to_string())? else {
            let (has, path) = (reader.messages(), path.display());
            return Err(format!("tickerplant log {path} holds {has} messages, the tickerplant said {count}"));
        };
        if reader.messages() <= skip {
            continue;
        }
        let value = raw.decode(&Limits::internal()).map_err(|e| e.to_string())?;
        if let Err(failure) = direct::upd(shared, &value) {
            tracing::warn!(message = reader.messages(), why = failure.ai, "batch of the log refused");
        }
    }
    Ok(count)
}
