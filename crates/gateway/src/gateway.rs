//! The process: its ports, its links, its end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use discovery::{DiscoveryError, Shown, config as disc};
use link::{Identity, Role, advertised, health, listen_all};
use prometheus_client::registry::Registry;
use qipc::net::{AcceptOptions, Listener, Pending};
use sg::{InstanceId, config::common};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Options, client,
    config::{self, Bounds},
    hub::Hub,
    metrics::Metrics,
    rest,
};

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port cannot be listened on.
    #[error(transparent)]
    Bind(#[from] link::BindError),
    /// Coordinators cannot be looked for.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
}

/// What every connection needs.
pub(crate) struct Gate {
    pub(crate) hub: Arc<Hub>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) links: link::LinkOptions,
    pub(crate) limits: Bounds,
    /// time for requests in flight at the end
    pub(crate) drain: Duration,
    /// kilobytes of large payloads that may be written as JSON at once
    pub(crate) json_room: Arc<Semaphore>,
}

/// A gateway with bound ports, before serving.
pub struct Gateway {
    gate: Arc<Gate>,
    registry: Arc<Registry>,
    qipc: Vec<TcpListener>,
    http: Vec<TcpListener>,
    external: Vec<TcpListener>,
    metrics: Vec<TcpListener>,
    qipc_addr: SocketAddr,
    http_addr: SocketAddr,
    sources: Shown,
    options: Options,
}

impl Gateway {
    /// Takes the ports.
    pub async fn bind(mut options: Options) -> Result<Gateway, Error> {
        for warning in &options.warnings {
            tracing::warn!("{warning}");
        }
        let bind = options.bind.clone();
        let (qipc, qipc_addr) = listen_all(&bind, options.qipc_port, config::QIPC_PORT.name).await?;
        let (http, http_addr) = listen_all(&bind, options.http_port, config::HTTP_PORT.name).await?;
        let external = listen_if(&bind, options.ext_qipc_port, config::EXT_QIPC_PORT.name).await?;
        let metrics_port = listen_if(&bind, options.metrics_port, config::METRICS_PORT.name).await?;
        let address = advertised(options.advertise.as_deref(), qipc_addr);
        let identity = Identity {
            role: Role::Gw,
            name: options.name.clone(),
            instance: InstanceId::random(),
            address,
            secrets: std::mem::replace(&mut options.secrets, link::Secrets::none()),
        };
        let sources = Shown::default();
        let (metrics, registry) = Metrics::new(sources.clone());
        let limits = options.bounds.clone();
        let gate = Gate {
            hub: Hub::new(metrics, &limits, options.hard_affinity),
            identity: Arc::new(identity),
            links: options.links.clone(),
            drain: options.drain,
            json_room: Arc::new(Semaphore::new((limits.json_memory / 1024) as usize)),
            limits,
        };
        Ok(Gateway {
            gate: Arc::new(gate),
            registry,
            qipc,
            http,
            external,
            metrics: metrics_port,
            qipc_addr,
            http_addr,
            sources,
            options,
        })
    }

    /// Where QIPC clients connect.
    pub fn qipc_addr(&self) -> SocketAddr {
        self.qipc_addr
    }

    /// Where REST clients connect.
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Serves until `shutdown`, then for as long as requests in flight may take to be answered.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Gateway { gate, registry, qipc, http, external, metrics, sources, options, .. } = self;
        let Options { rc, daps, discovery, assembly_key, metrics_path, cors, .. } = options;
        tracing::info!(name = %gate.identity.name, qipc = %self.qipc_addr, http = %self.http_addr, ?rc, "gateway up");
        // Connections and links outlive the shutdown signal by the time for draining.
        let end = CancellationToken::new();
        let found = rc.start(&discovery, assembly_key, common::RC_ADDR.name, end.clone()).await?;
        let linked = link::follow(
            found.sets(),
            Role::Rc,
            gate.identity.clone(),
            gate.links.clone(),
            gate.hub.clone(),
            end.clone(),
        );
        sources.add("rc", found, Some(linked));
        if let Some(daps) = daps {
            look_at_data_pods(daps, &discovery, &sources, &end).await;
        }
        let tasks = TaskTracker::new();
        tasks.spawn({
            let (hub, end) = (gate.hub.clone(), end.clone());
            async move { hub.run_timer(end).await }
        });
        for (sockets, links) in [(qipc, true), (external, false)] {
            for socket in sockets {
                tasks.spawn(accept(gate.clone(), socket, links, shutdown.clone(), end.clone()));
            }
        }
        let hub = gate.hub.clone();
        let ready: health::Ready = Arc::new(move || {
            let mut now = hub.readiness();
            now.why.extend(sources.lines());
            now
        });
        let registry = if metrics_path.is_some() { registry } else { Arc::default() };
        let app = rest::router(gate.clone(), ready.clone(), registry.clone(), metrics_path.as_deref(), cors);
        let (max, stall) = (gate.limits.max_connections, gate.limits.stall);
        for listener in http {
            tasks.spawn(rest::serve(listener, app.clone(), max, stall, shutdown.clone(), end.clone()));
        }
        for listener in metrics {
            let app = rest::health_router(ready.clone(), registry.clone(), metrics_path.as_deref());
            tasks.spawn(rest::serve(listener, app, max, stall, shutdown.clone(), end.clone()));
        }
        shutdown.cancelled().await;
        gate.hub.drain(gate.drain).await;
        end.cancel();
        tasks.close();
        tasks.wait().await;
        tracing::info!(name = %gate.identity.name, "gateway down");
        Ok(())
    }
}

async fn listen_if(
    hosts: &[String],
    port: Option<u16>,
    variable: &'static str,
) -> Result<Vec<TcpListener>, link::BindError> {
    match port {
        Some(port) => Ok(listen_all(hosts, port, variable).await?.0),
        None => Ok(Vec::new()),
    }
}

/// A gateway has no link to data processes. The pods found by the selector are shown beside the coordinators' report,
/// so that a selector without a match is seen. Without an API server the gateway shows the report alone.
async fn look_at_data_pods(
    daps: discovery::Find,
    options: &discovery::Options,
    sources: &Shown,
    end: &CancellationToken,
) {
    match daps.start(options, String::new(), disc::DA_SELECTOR.name, end.clone()).await {
        Ok(found) => sources.add("dap", found, None),
        Err(error) => tracing::warn!(%error, "data pods are not looked for"),
    }
}

/// Takes QIPC connections until `end`: while requests are in flight an aggregator that has no link yet may bring an
/// answer. Clients are let in until `shutdown` alone.
async fn accept(
    gate: Arc<Gate>,
    socket: TcpListener,
    links: bool,
    shutdown: CancellationToken,
    end: CancellationToken,
) {
    let opts = AcceptOptions { limits: gate.limits.client.clone(), ..AcceptOptions::for_clients() };
    let listener = Listener::new(socket, opts, gate.limits.max_connections);
    let connections = TaskTracker::new();
    loop {
        let pending = tokio::select! {
            () = end.cancelled() => break,
            pending = listener.accept() => pending,
        };
        connections.spawn(connection(gate.clone(), pending, links, shutdown.clone(), end.clone()));
    }
    connections.close();
    connections.wait().await;
}

async fn connection(
    gate: Arc<Gate>,
    pending: Pending,
    links: bool,
    shutdown: CancellationToken,
    end: CancellationToken,
) {
    let peer = pending.peer;
    // Before its handshake: whoever has been let in is heard before the gateway ends.
    let counted = client::Counted::new(&gate.hub.metrics().clients);
    // Any user and password: authentication is not there yet, and asking for it stops the start.
    let greeted = pending.handshake(|user, _| !shutdown.is_cancelled() || (links && user == link::USER));
    let greeted = tokio::select! {
        () = end.cancelled() => return,
        () = client::stopping_for(client::FIRST, &shutdown) => return,
        greeted = greeted => greeted,
    };
    match greeted {
        Ok(connection) => client::serve(gate, connection, counted, links, shutdown, end).await,
        // Scans and health checks come all the time.
        Err(error) => tracing::debug!(%peer, %error, "connection without a handshake"),
    }
}
