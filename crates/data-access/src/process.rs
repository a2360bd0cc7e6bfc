//! The DAP as a process: opens its data and ports, and runs its tasks until shutdown.

use std::{net::SocketAddr, sync::Arc};

use kvalue::{Sym, time::DAY};
use link::{Handler, Identity, Pool, Ports, Role, Sender, Spread, health::Readiness};
use sg::{
    Msg,
    purview::{Purview, TableKind},
};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    Options, direct,
    intake::tell_timeless,
    orders::{Orders, hand_back},
    reload::{self, Disk},
    shared::{OwnerSays, Shared, Source},
    store::{Tables, hdb::HdbTables, memory::MemoryTables},
    worker::Worker,
};

/// Why a DAP does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port cannot be listened on.
    #[error(transparent)]
    Bind(#[from] link::BindError),
    /// The database cannot be opened.
    #[error(transparent)]
    Database(#[from] ::hdb::HdbError),
    /// The folder of a mount is not there and cannot be made.
    #[error("folder {path} of a mount in the assembly file is not there and cannot be made: {source}")]
    Folder {
        /// the folder
        path: String,
        /// what the system says
        source: std::io::Error,
    },
    /// The system gives no thread.
    #[error("no query thread: {0}")]
    Thread(std::io::Error),
}

/// How a DAP fares, for whoever runs it in its own process.
#[derive(Clone)]
pub struct Status(Arc<Shared>);

impl Status {
    /// Why the coordinator would not have this DAP, until it does.
    pub fn refusal(&self) -> Option<String> {
        self.0.refusal()
    }
}

/// A DAP that has its data and its ports, and waits to be run.
pub struct DataAccess {
    shared: Arc<Shared>,
    identity: Arc<Identity>,
    listener: TcpListener,
    http: Option<TcpListener>,
    local: SocketAddr,
    disk: Option<Disk>,
    owner_says: mpsc::UnboundedReceiver<OwnerSays>,
    options: Options,
}

impl DataAccess {
    /// Opens the data and the ports.
    pub async fn bind(mut options: Options) -> Result<DataAccess, Error> {
        for warning in &options.warnings {
            tracing::warn!("{warning}");
        }
        let Ports { listener, local, http } = options.process.listen(&crate::config::PORT).await?;
        let (disk, memory) = match &options.db {
            Some(root) => {
                if options.make_db && !root.exists() {
                    std::fs::create_dir_all(root)
                        .map_err(|source| Error::Folder { path: root.display().to_string(), source })?;
                }
                let tables = HdbTables::open(root, options.cache_bytes)?;
                if let Some(why) = tables.without_tables() {
                    tracing::warn!("no table is served: {why}");
                }
                (Some(Disk::new(tables, options.source.is_none())), None)
            }
            None => (None, Some(memory(&options))),
        };
        let (disk, found) = disk.unzip();
        let id = match (&options.source, found.flatten(), &options.tickerplant) {
            (Some(declared), _, _) => declared.clone(),
            (None, Some(found), _) => found,
            // Subscribers of one tickerplant hold the same rows; other publishers reach one process only.
            (None, None, Some(tickerplant)) => Sym::new(format!("tickerplant {tickerplant}")),
            (None, None, None) => options.process.name.clone(),
        };
        let tables: Arc<dyn Tables> = match (&disk, &memory) {
            (Some(disk), _) => Arc::new(disk.tables()),
            (None, Some(memory)) => Arc::new(memory.clone()),
            (None, None) => Arc::new(MemoryTables::new(0, 0)),
        };
        let identity = Arc::new(options.process.identity(Role::Da, local));
        let instance = identity.instance;
        let source = Source {
            name: options.process.name.clone(),
            instance,
            labels: options.labels.clone(),
            assembly: options.assembly.clone(),
            tier: options.tier.clone(),
            id,
        };
        let worker = Worker::start(&options.process.name.text(), 1).map_err(Error::Thread)?;
        let (says, owner_says) = mpsc::unbounded_channel();
        let shared =
            Arc::new(Shared::new(source, tables, memory, worker, options.depth, options.timeout, says));
        Ok(DataAccess { shared, identity, listener, http, local, disk, owner_says, options })
    }

    /// Tells how it fares while it runs.
    pub fn status(&self) -> Status {
        Status(self.shared.clone())
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Serves until shutdown, then for as long as what runs may take ([`link::LinkOptions::drain`]).
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let DataAccess { shared, identity, listener, http, disk, owner_says, options, .. } = self;
        // Links outlive the signal by the time for what runs.
        let (asked, shutdown) = (shutdown, CancellationToken::new());
        let (leaving, end, drain) = (shared.clone(), shutdown.clone(), options.process.link.drain);
        let leave = tokio::spawn(async move {
            asked.cancelled().await;
            leaving.drain(drain).await;
            end.cancel();
        });
        let aggs =
            Pool::new(identity.clone(), options.process.link.clone(), Arc::new(Quiet), shutdown.clone());
        let orders: Arc<dyn Handler> =
            Arc::new(Orders::new(shared.clone(), aggs, tokio::runtime::Handle::current()));
        let mut tasks = JoinSet::new();
        tasks.spawn(hand_back(shared.clone(), shutdown.clone()));
        if !options.rc.is_empty() {
            tasks.spawn(outcome(link::dial(
                options.rc.clone(),
                Spread::One,
                identity.clone(),
                options.process.link.clone(),
                orders.clone(),
                shutdown.clone(),
            )));
        }
        if let (Some(disk), false) = (disk, options.reload.is_zero()) {
            tasks.spawn(reload::watch(shared.clone(), disk, options.reload, shutdown.clone()));
        }
        if let Some(http) = http {
            let dap = shared.clone();
            let registers = !options.rc.is_empty();
            let ready = Arc::new(move || readiness(&dap, registers));
            tasks.spawn(link::health::serve(http, ready, shared.metrics.registry(), shutdown.clone()));
        }
        crate::live::start(&shared, &options, owner_says, &shutdown, &mut tasks);
        let port = direct::Port { shared, identity, links: options.process.link.clone(), orders };
        direct::serve(listener, port, shutdown).await;
        while tasks.join_next().await.is_some() {}
        // Ended: only it ends the port.
        leave.abort();
        Ok(())
    }
}

async fn outcome(task: tokio::task::JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::error!(%error, "link to the coordinator ended in a bug of qmesh");
    }
}

/// A process that knows no coordinator's address is ready before it has one: it waits to be found, and coordinators
/// dial only pods that are ready.
fn readiness(shared: &Shared, registers: bool) -> Readiness {
    let owned = shared.is_owned();
    let why = |ok, yes: &str, no: &str| if ok { yes.to_string() } else { no.to_string() };
    let unowned = match shared.refusal() {
        Some(refusal) => format!("refused by the coordinator: {refusal}"),
        None if registers => "no coordinator answers (KXI_SG_RC_ADDR)".into(),
        None => "waits for a coordinator to find it".into(),
    };
    let state = [
        why(owned, "registered with a coordinator", &unowned),
        why(shared.is_available(), "takes work", "replaying the tickerplant's log"),
    ];
    Readiness {
        ready: (owned || !registers) && shared.is_available(),
        why: state.into_iter().chain(unsaved(shared)).chain(serves(&shared.purview())).collect(),
    }
}

/// Days that are in memory only though they have ended, as lines for people.
fn unsaved(shared: &Shared) -> Vec<String> {
    let days = shared.unsaved();
    let more = days.len().saturating_sub(TABLES_SHOWN);
    let mut lines: Vec<String> = days.iter().take(TABLES_SHOWN).map(ToString::to_string).collect();
    lines.extend((more > 0).then(|| format!("and {more} unsaved days more")));
    lines
}

/// Tables that the page of readiness names.
const TABLES_SHOWN: usize = 50;

/// The purview, as lines for people.
fn serves(purview: &Purview) -> Vec<String> {
    let mut lines = vec![format!("serves {} as {}", purview.labels, purview.tier)];
    for table in purview.tables.iter().take(TABLES_SHOWN) {
        lines.push(match table.kind {
            TableKind::Partitioned => format!("table {} {}", table.name, table.range),
            kind => format!("table {}, {}", table.name, kind.name()),
        });
    }
    let more = purview.tables.len().saturating_sub(TABLES_SHOWN);
    lines.extend((more > 0).then(|| format!("and {more} tables more")));
    lines
}

/// In-memory tables that begin today, with the schemas of the assembly file.
fn memory(options: &Options) -> MemoryTables {
    let today = kvalue::time::now().div_euclid(DAY) * DAY;
    let memory = MemoryTables::new(today, options.memory_bytes);
    if options.save_dir.as_deref().is_some_and(::hdb::save::folds_case) {
        memory.fold_case();
    }
    for table in &options.schemas {
        match memory.declare(table.to_schema()) {
            Ok(()) => tell_timeless(&memory, &table.name),
            Err(failure) => {
                tracing::warn!(
                    why = failure.ai,
                    "schema of the assembly file refused; the other tables are served"
                );
            }
        }
    }
    memory
}

/// Links to Aggs bring no messages a DAP acts on.
struct Quiet;

impl Handler for Quiet {
    fn up(&self, _: &Sender) {}
    fn message(&self, link: &Sender, msg: Msg) {
        tracing::debug!(message = msg.name(), peer = %link.peer(), "an aggregator sent what a data process does not take");
    }
    fn down(&self, _: &Sender, _: &str) {}
}
