//! Whether an HTTP client is still there while its request is worked on.
//!
//! A client may close its sending half and wait for the answer (RFC 9112, 9.6). On the wire that is what a full close
//! looks like, too: both send a FIN. Only bytes sent to the client tell them apart, because a closed socket answers
//! them with a reset. So a client of HTTP/1.1 that has sent its FIN gets an interim response `100 Continue` after
//! [`PROBE`], which every client skips. HTTP/1.0 has no interim responses: after a FIN such a request runs to its end.
//! A reset ends the connection at once, whatever came before it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::http::{Request, Version};
use hyper::service::Service;
use tokio::{io::Interest, net::TcpStream};

/// Time between two probes of a client that has sent its FIN. Most answers leave before the first.
const PROBE: Duration = Duration::from_millis(500);
const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What the connection is doing, as far as a probe must know.
#[derive(Default)]
pub(super) struct Presence {
    /// a request of HTTP/1.1 is worked on, and nothing of its response has been written
    waiting: AtomicBool,
    /// bytes of an earlier response are not written yet
    blocked: AtomicBool,
}

impl Presence {
    /// Bytes wait in the connection for the client to read.
    pub(super) fn set_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
    }

    /// Ends when the client is gone.
    pub(super) async fn gone(&self, stream: &TcpStream) -> &'static str {
        // Not for bytes to read, which hyper may leave where they are: for the FIN behind them, or an error.
        match stream.ready(Interest::PRIORITY | Interest::ERROR).await {
            Ok(ready) if ready.is_error() => return "reset by the client",
            Ok(_) => {}
            Err(_) => return "the socket failed",
        }
        loop {
            tokio::select! {
                _ = stream.ready(Interest::ERROR) => return "reset by the client",
                () = tokio::time::sleep(PROBE) => {}
            }
            let may = self.waiting.load(Ordering::Relaxed) && !self.blocked.load(Ordering::Relaxed);
            if may {
                match stream.try_write(INTERIM) {
                    Ok(n) if n == INTERIM.len() => {}
                    Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                    _ => return "closed by the client",
                }
            }
        }
    }
}

/// A service that says when a request is worked on.
#[derive(Clone)]
pub(super) struct Watched<S> {
    pub(super) inner: S,
    pub(super) presence: Arc<Presence>,
}

impl<S, B> Service<Request<B>> for Watched<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Working<S::Future>;

    fn call(&self, request: Request<B>) -> Self::Future {
        let interim = request.version() == Version::HTTP_11;
        self.presence.waiting.store(interim, Ordering::Relaxed);
        Working { future: Box::pin(self.inner.call(request)), presence: self.presence.clone() }
    }
}

/// A request that is worked on.
pub(super) struct Working<F> {
    future: std::pin::Pin<Box<F>>,
    presence: Arc<Presence>,
}

impl<F: Future> Future for Working<F> {
    type Output = F::Output;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let polled = self.future.as_mut().poll(cx);
        if polled.is_ready() {
            self.presence.waiting.store(false, Ordering::Relaxed);
        }
        polled
    }
}
