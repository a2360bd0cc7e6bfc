//! The HTTP port: bounded connections, each cut when its client reads nothing for too long or is gone.

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

use super::presence::{Presence, Watched};

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
    let (stream, presence) = (Arc::new(stream), Arc::new(Presence::default()));
    let guarded = Guarded { stream: stream.clone(), stall, stalled: None, presence: presence.clone() };
    let io = TokioIo::new(guarded);
    let service = Watched { inner: TowerToHyperService::new(app), presence: presence.clone() };
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(stall)
        .half_close(true)
        .serve_connection(io, service);
    let mut serving = std::pin::pin!(serving);
    let mut gone = std::pin::pin!(presence.gone(&stream));
    let mut stopping = false;
    loop {
        // Dropping the connection drops its requests, which cancels the requests.
        tokio::select! {
            biased;
            served = serving.as_mut() => return served,
            why = gone.as_mut() => {
                tracing::debug!(why, "HTTP client is gone");
                return Ok(());
            }
            () = shutdown.cancelled(), if !stopping => {
                stopping = true;
                serving.as_mut().graceful_shutdown();
            }
            () = end.cancelled() => return Ok(()),
        }
    }
}

/// A stream whose writes fail when the peer takes nothing for `stall`.
struct Guarded {
    stream: Arc<TcpStream>,
    presence: Arc<Presence>,
    stall: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Guarded {
    /// Calls `write` whenever the socket takes bytes, until it has taken some.
    fn write<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            match self.stream.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => return Poll::Pending,
            }
            match write(&self.stream) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.presence.set_blocked(polled.is_pending());
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
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read(buf.initialize_unfilled()) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                read => {
                    buf.advance(read?);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = self.write(cx, |stream| stream.try_write(buf));
        self.watch(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = self.write(cx, |stream| stream.try_write_vectored(bufs));
        self.watch(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket holds nothing back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match socket2::SockRef::from(&*self.stream).shutdown(std::net::Shutdown::Write) {
            // The client has closed already.
            Err(e) if e.kind() == io::ErrorKind::NotConnected => Ok(()),
            done => done,
        })
    }
}
