//! The coordinator as a process: opens its ports and runs its tasks until shutdown.

use std::{net::SocketAddr, sync::Arc};

use link::{Handler, Identity, Role, health::Readiness};
use routing::Stats;
use sg::{
    InstanceId,
    config::{Env, common},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Options, config::PORT, metrics::Metrics, shared::Shared};

/// Why a coordinator does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port cannot be listened on.
    #[error("cannot listen on {addr}: {source}; choose another with {variable}")]
    Bind {
        /// address
        addr: String,
        /// variable of the port
        variable: &'static str,
        /// what the system says
        source: std::io::Error,
    },
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
        let listener = listen(&options.bind, options.port, PORT.name).await?;
        let local = listener.local_addr().map_err(|source| Error::Bind {
            addr: options.bind.clone(),
            variable: PORT.name,
            source,
        })?;
        let http = match options.http_port {
            Some(port) => Some(listen(&options.bind, port, common::HTTP_PORT.name).await?),
            None => None,
        };
        options.settings.name = options.name.clone();
        options.settings.started = kvalue::time::now();
        let advertise = options.advertise.clone().unwrap_or_default();
        let identity = Arc::new(Identity {
            role: Role::Rc,
            name: options.name.clone(),
            instance: InstanceId::random(),
            address: link::advertised(&Env::default().with(&common::ADVERTISE, advertise), local),
            secrets: std::mem::replace(&mut options.secrets, link::Secrets::none()),
        });
        let shared = Arc::new(Shared::new(options.settings.clone()));
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

    /// To look into it while it runs.
    pub fn handle(&self) -> Handle {
        Handle(self.shared.clone())
    }

    /// Serves until shutdown.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Coordinator { shared, identity, listener, http, options, .. } = self;
        let read = shared.clone();
        let (metrics, registry) = Metrics::new(Arc::new(move || read.stats()));
        shared.measure_with(metrics);
        tracing::info!(name = %identity.name, address = %identity.address, "coordinator listens");
        let health = async {
            if let Some(http) = http {
                let of = shared.clone();
                let ready = Arc::new(move || readiness(&of.stats()));
                link::health::serve(http, ready, Arc::new(registry), shutdown.clone()).await;
            }
        };
        let handler: Arc<dyn Handler> = shared.clone();
        tokio::join!(
            link::serve(listener, identity, options.link, handler, shutdown.clone()),
            shared.keep_time(shutdown.clone()),
            health,
        );
        Ok(())
    }
}

/// Ready once it has settled: data processes that are missing then are the client's rc 58, not unreadiness.
fn readiness(stats: &Stats) -> Readiness {
    let count = |n: usize, what: &str| format!("{n} {what} registered");
    let settled = match stats.settling {
        true => "waits for processes that an earlier coordinator knew (QMESH_RC_SETTLE)",
        false => "takes requests",
    };
    Readiness {
        ready: !stats.settling,
        why: vec![
            settled.to_string(),
            count(stats.daps, "data processes"),
            count(stats.aggs, "aggregators"),
            count(stats.gws, "gateways"),
            format!("{} requests in flight, {} portions waiting", stats.requests, stats.queued),
        ],
    }
}

async fn listen(host: &str, port: u16, variable: &'static str) -> Result<TcpListener, Error> {
    let addr = format!("{host}:{port}");
    TcpListener::bind(&addr).await.map_err(|source| Error::Bind { addr, variable, source })
}
