//! The coordinator as a process: opens its ports and runs its tasks until shutdown.

use std::{net::SocketAddr, sync::Arc};

use discovery::{DiscoveryError, Shown};
use link::{Handler, Identity, Ports, Role, health::Readiness};
use routing::Stats;
use sg::config::common;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    Options,
    config::{PEERS, PORT},
    found,
    metrics::Metrics,
    pull,
    shared::Shared,
};

/// Why a coordinator does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port cannot be listened on.
    #[error(transparent)]
    Bind(#[from] link::BindError),
    /// Other processes cannot be looked for.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
}

/// A coordinator that has its ports and waits to be run.
pub struct Coordinator {
    shared: Arc<Shared>,
    identity: Arc<Identity>,
    listener: TcpListener,
    http: Option<TcpListener>,
    local: SocketAddr,
    options: Options,
}

/// Looks into a running coordinator. Cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

impl Handle {
    /// Counters and gauges.
    pub fn stats(&self) -> Stats {
        self.0.stats()
    }
}

impl Coordinator {
    /// Opens the ports.
    pub async fn bind(mut options: Options) -> Result<Coordinator, Error> {
        for warning in &options.warnings {
            tracing::warn!("{warning}");
        }
        let Ports { listener, local, http } = options.process.listen(&PORT).await?;
        options.settings.name = options.process.name.clone();
        options.settings.started = kvalue::time::now();
        options.settings.looks = options.daps.is_some();
        let identity = Arc::new(options.process.identity(Role::Rc, local));
        let shared = Shared::new(options.settings.clone(), identity.instance);
        Ok(Coordinator { shared, identity, listener, http, local, options })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Where health and metrics are, if anywhere.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http.as_ref().and_then(|l| l.local_addr().ok())
    }

    /// Where the other coordinators are, if there are any, whatever the options said: ports chosen by the system
    /// are known only once all are bound.
    pub fn meet(&mut self, peers: Option<Vec<String>>) {
        self.options.peers = peers.map(discovery::Find::Addresses);
    }

    /// To look into it while it runs.
    pub fn handle(&self) -> Handle {
        Handle(self.shared.clone())
    }

    /// Serves until shutdown, then for as long as what is in flight may take ([`link::LinkOptions::drain`]).
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Coordinator { shared, identity, listener, http, options, .. } = self;
        let (read, sources) = (shared.clone(), Shown::default());
        let (metrics, registry) = Metrics::new(Arc::new(move || read.stats()), sources.clone());
        shared.measure_with(metrics);
        tracing::info!(name = %identity.name, address = %identity.address, "coordinator listens");
        // Links outlive the shutdown signal by the time for draining.
        let end = CancellationToken::new();
        let drain = options.process.link.drain;
        shared.dial_as(identity.clone(), options.process.link.clone(), end.clone());
        find_others(&options, &shared, &identity, &sources, &end).await?;
        let health = async {
            if let Some(http) = http {
                let of = shared.clone();
                let ready = Arc::new(move || readiness(&of.stats(), sources.lines()));
                link::health::serve(http, ready, Arc::new(registry), end.clone()).await;
            }
        };
        let leave = async {
            shutdown.cancelled().await;
            shared.drain(drain).await;
            end.cancel();
        };
        let handler: Arc<dyn Handler> = shared.clone();
        tokio::join!(
            link::serve(listener, identity, options.process.link, handler, end.clone()),
            shared.keep_time(end.clone()),
            health,
            leave,
        );
        Ok(())
    }
}

/// Looks for other coordinators, and for data processes to dial, as configured.
async fn find_others(
    options: &Options,
    shared: &Arc<Shared>,
    identity: &Arc<Identity>,
    sources: &Shown,
    end: &CancellationToken,
) -> Result<(), DiscoveryError> {
    let handler: Arc<dyn Handler> = shared.clone();
    let (links, no_key) = (&options.process.link, String::new);
    match options.peers.clone() {
        None => shared.peers_tried(),
        Some(find) => {
            let found = find.start(&options.discovery, no_key(), PEERS.name, end.clone()).await?;
            let followed = link::follow(
                found.sets(),
                Role::Rc,
                identity.clone(),
                links.clone(),
                handler.clone(),
                end.clone(),
            );
            sources.add("rc", found, Some(followed.clone()));
            let (shared, end) = (shared.clone(), end.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = end.cancelled() => {}
                    () = followed.tried() => shared.peers_tried(),
                }
            });
        }
    }
    if let Some(find) = options.daps.clone() {
        let found = find.start(&options.discovery, no_key(), common::RC_ADDR.name, end.clone()).await?;
        let mine = pull::assigned(&found, shared.clone(), identity.instance, end.clone());
        let followed = link::follow(mine, Role::Da, identity.clone(), links.clone(), handler, end.clone());
        found::tell(found.clone(), followed.clone(), shared.clone(), identity.instance, end.clone());
        sources.add("dap", found, Some(followed));
    }
    Ok(())
}

/// Ready once it has settled: data processes that are missing then are the client's rc 58, not unreadiness.
fn readiness(stats: &Stats, sources: Vec<String>) -> Readiness {
    let count = |n: usize, what: &str| format!("{n} {what} registered");
    let settled = match (stats.settling, stats.untried) {
        (true, _) => "waits for processes that an earlier coordinator knew (QMESH_RC_SETTLE)",
        (false, true) => "waits until each data process that was found has been tried",
        (false, false) => "takes requests",
    };
    let unlinked = match (stats.untried, stats.unlinked) {
        (true, n) => Some(format!("has not tried each data process that was found: {n} are not linked")),
        (false, 0) => None,
        (false, n) => Some(format!(
            "{n} data processes that are ready were never linked: what they hold is missing, {} requests wait for it",
            stats.kept
        )),
    };
    let own = [
        settled.to_string(),
        count(stats.daps, "data processes"),
        count(stats.aggs, "aggregators"),
        count(stats.gws, "gateways"),
        format!("{} other coordinators linked", stats.peers),
        format!("{} requests in flight, {} portions waiting", stats.requests, stats.queued),
    ];
    let ready = !stats.settling && !stats.untried;
    Readiness { ready, why: own.into_iter().chain(unlinked).chain(sources).collect() }
}
