//! `/healthz`, `/readyz` and `/metrics` over HTTP.
//!
//! `/healthz` says that the process turns; `/readyz` whether it can do its work, with the reasons where
//! `?verbose` is asked for or it cannot; `/metrics` is the OpenMetrics text. Tests: `tests/links/health.rs`.

use std::sync::Arc;

use axum::{
    Router,
    extract::RawQuery,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Whether a process can do its work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readiness {
    /// true where it can
    pub ready: bool,
    /// what it has and what it lacks, a sentence each
    pub why: Vec<String>,
}

/// Tells readiness when asked; called from HTTP tasks, so it must be quick.
pub type Ready = Arc<dyn Fn() -> Readiness + Send + Sync>;

/// The three paths, to be served on a port of their own or merged into a larger router.
pub fn router(ready: Ready, registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move |RawQuery(query): RawQuery| std::future::ready(readyz(&ready(), query))))
        .route("/metrics", get(move || std::future::ready(metrics(&registry))))
}

/// Serves the three paths until `shutdown`.
pub async fn serve(
    listener: TcpListener,
    ready: Ready,
    registry: Arc<Registry>,
    shutdown: CancellationToken,
) {
    let app = router(ready, registry);
    let served = axum::serve(listener, app).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    tokio::select! {
        // An open connection must not keep the process from ending.
        () = shutdown.cancelled() => {}
        served = async { served.await } => if let Err(error) = served {
            tracing::error!(%error, "health port failed");
        },
    }
}

fn readyz(now: &Readiness, query: Option<String>) -> Response {
    let verbose = query.is_some_and(|q| q.split('&').any(|p| p == "verbose" || p.starts_with("verbose=")));
    let (status, word) = match now.ready {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let mut text = format!("{word}\n");
    if verbose || !now.ready {
        now.why.iter().for_each(|why| text.extend([why.as_str(), "\n"]));
    }
    (status, text).into_response()
}

fn metrics(registry: &Registry) -> Response {
    const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, registry) {
        Ok(()) => ([(header::CONTENT_TYPE, TYPE)], text).into_response(),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, format!("metrics could not be written: {e}\n"))
            .into_response(),
    }
}
