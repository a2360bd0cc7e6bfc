//! The Agg as a process: binds its ports, links to an RC, runs until shutdown.

use std::{net::SocketAddr, sync::Arc};

use link::{Pool, Ports, Role, Spread, health::Readiness};
use prometheus_client::registry::Registry;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    Options, config,
    error::Error,
    metrics::Metrics,
    shell::{Shell, TICK},
};

/// An Agg that has its ports and waits to be run.
pub struct Aggregator {
    options: Options,
    listener: TcpListener,
    http: Option<TcpListener>,
    local: SocketAddr,
    http_local: Option<SocketAddr>,
}

/// Binds and runs until `shutdown`.
pub async fn run(options: Options, shutdown: CancellationToken) -> Result<(), Error> {
    Aggregator::bind(options).await?.run(shutdown).await
}

impl Aggregator {
    /// Opens the ports.
    pub async fn bind(options: Options) -> Result<Aggregator, Error> {
        let Ports { listener, local, http } = options.process.listen(&config::PORT).await?;
        let http_local = http.as_ref().and_then(|listener| listener.local_addr().ok());
        Ok(Aggregator { options, listener, http, local, http_local })
    }

    /// Where it takes links.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Where it serves health and metrics.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http_local
    }

    /// Serves until `shutdown`, then for as long as what is in flight may take ([`link::LinkOptions::drain`]).
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Aggregator { mut options, listener, http, local, .. } = self;
        // Links outlive the signal by the time for what is in flight.
        let (asked, shutdown, drain) = (shutdown, CancellationToken::new(), options.process.link.drain);
        for warning in &options.warnings {
            tracing::warn!("{warning}");
        }
        let identity = Arc::new(options.process.identity(Role::Agg, local));
        tracing::info!(name = %options.process.name, %local, "aggregator starts");
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry);
        let shell = Shell::new(
            metrics,
            options.bounds,
            options.threads,
            options.stream_stall,
            options.compress_max,
            local,
        );
        let pool = Pool::new(identity.clone(), options.process.link.clone(), shell.clone(), shutdown.clone());
        shell.use_pool(pool);

        let mut tasks = JoinSet::new();
        let (leaving, end) = (shell.clone(), shutdown.clone());
        tasks.spawn(async move {
            asked.cancelled().await;
            leaving.drain(drain).await;
            end.cancel();
        });
        let (shell_ready, warnings) = (shell.clone(), options.warnings);
        if let Some(http) = http {
            let ready = Arc::new(move || {
                let linked = shell_ready.coordinators();
                let mut why = vec![format!("coordinators linked: {linked}")];
                why.extend(warnings.iter().cloned());
                Readiness { ready: linked > 0, why }
            });
            tasks.spawn(link::health::serve(http, ready, Arc::new(registry), shutdown.clone()));
        }
        let (clock, stop) = (shell.clone(), shutdown.clone());
        tasks.spawn(async move {
            let mut ticks = tokio::time::interval(TICK);
            while !stop.is_cancelled() {
                tokio::select! {
                    _ = ticks.tick() => clock.tick(),
                    () = stop.cancelled() => {}
                }
            }
        });
        let serve = link::serve(
            listener,
            identity.clone(),
            options.process.link.clone(),
            shell.clone(),
            shutdown.clone(),
        );
        tasks.spawn(serve);
        let dial = link::dial(options.rc, Spread::One, identity, options.process.link, shell, shutdown);
        while tasks.join_next().await.is_some() {}
        // Ends by itself at shutdown; a panic in it has been reported.
        let _ = dial.await;
        Ok(())
    }
}
