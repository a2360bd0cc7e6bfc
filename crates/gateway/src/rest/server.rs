//! The HTTP port: bounded connections, each cut when its client reads nothing for too long.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Sleep, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Takes connections until `shutdown`, and runs them until they are done or `end`.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    max_connections: usize,
    stall: Duration,
    shutdown: CancellationToken,
    end: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                // Out of descriptors, the error comes again at once until one is closed.
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::warn!(%peer, max_connections, "connection refused: limit");
            continue;
        };
        let (app, shutdown, end) = (app.clone(), shutdown.clone(), end.clone());
        connections.spawn(async move {
            let _place = place;
            if let Err(error) = connection(stream, app, stall, shutdown, end).await {
                tracing::debug!(%peer, %error, "HTTP connection ended");
            }
        });
    }
    connections.close();
    connections.wait().await;
}

async fn connection(
    stream: TcpStream,
    app: Router,
    stall: Duration,
    shutdown: CancellationToken,
    end: CancellationToken,
) -> Result<(), hyper::Error> {
    // Without it small answers wait for the client's acknowledgement; an error means it is gone.
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(Guarded { stream, stall, stalled: None });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(stall)
        .serve_connection(io, TowerToHyperService::new(app));
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        served = serving.as_mut() => return served,
        () = shutdown.cancelled() => serving.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        served = serving.as_mut() => served,
        () = end.cancelled() => Ok(()),
    }
}

/// A stream whose writes fail when the peer takes nothing for `stall`.
struct Guarded {
    stream: TcpStream,
    stall: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Guarded {
    fn watch<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let stall = self.stall;
        ready!(std::future::Future::poll(
            self.stalled.get_or_insert_with(|| Box::pin(sleep(stall))).as_mut(),
            cx
        ));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("the client has read nothing for {stall:?} (QMESH_GW_STALL)"),
        )))
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
