//! Links we take: on a port of their own, or on one that serves clients too. Tests: `tests/links`.

use std::sync::Arc;

use qipc::net::{AcceptOptions, Listener, Pending, Reader, Writer};
use sg::msg::Hello;
use tokio::{net::TcpListener, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Handler, Identity, LinkError, LinkOptions, handshake,
    identity::complete,
    live::{self, Opened},
};

/// Takes links on a port until `shutdown`, and returns when the last of them is down.
pub async fn serve(
    listener: TcpListener,
    identity: Arc<Identity>,
    opts: LinkOptions,
    handler: Arc<dyn Handler>,
    shutdown: CancellationToken,
) {
    let accept = AcceptOptions { limits: opts.stranger_limits(), ..AcceptOptions::default() };
    let listener = Listener::new(listener, accept, opts.max_links);
    let links = TaskTracker::new();
    loop {
        let pending = tokio::select! {
            () = shutdown.cancelled() => break,
            pending = listener.accept() => pending,
        };
        let (identity, opts, handler) = (identity.clone(), opts.clone(), handler.clone());
        let shutdown = shutdown.clone();
        links.spawn(async move {
            let peer = pending.peer;
            let taken = tokio::select! {
                () = shutdown.cancelled() => return,
                taken = greet(pending, &opts) => taken,
            };
            match taken {
                Ok((reader, writer, hello)) => {
                    upgrade(reader, writer, hello, identity, opts, handler, shutdown).await
                }
                // Scans and health checks come all the time: nothing to wake anybody for.
                Err(error) => tracing::debug!(%peer, %error, "connection is no link"),
            }
        });
    }
    links.close();
    links.wait().await;
}

async fn greet(pending: Pending, opts: &LinkOptions) -> Result<(Reader, Writer, Hello), LinkError> {
    let (peer, limit) = (pending.peer, opts.connect_timeout);
    // The user name says nothing here: the proof does.
    let connection = pending.handshake(|_, _| true).await?;
    let (mut reader, writer) = connection.split();
    let hello = timeout(limit, handshake::first_hello(&mut reader, peer)).await;
    let hello = hello.unwrap_or_else(|_| Err(LinkError::Timeout { peer: peer.to_string(), limit }))?;
    Ok((reader, writer, hello))
}

/// Runs a link to its end on a connection whose first message turned out to be a hello.
pub async fn upgrade(
    mut reader: Reader,
    mut writer: Writer,
    hello: Hello,
    identity: Arc<Identity>,
    opts: LinkOptions,
    handler: Arc<dyn Handler>,
    shutdown: CancellationToken,
) {
    let (socket, local) = match (writer.peer_addr(), writer.local_addr()) {
        (Ok(socket), Ok(local)) => (socket, local),
        // It broke before it began.
        _ => return,
    };
    let answered = handshake::answer(&mut reader, &mut writer, hello, &identity, socket, &opts);
    let answered = tokio::select! {
        () = shutdown.cancelled() => return,
        answered = answered => answered,
    };
    match answered {
        Ok(peer) => {
            let own = complete(&identity.address, local);
            live::run(
                Opened { reader, writer, peer, own, dialled: false },
                &opts,
                &handler,
                &shutdown,
                |_| (),
            )
            .await;
        }
        // A list of peers may well contain this process.
        Err(LinkError::Myself { .. }) => tracing::debug!(peer = %socket, "dialled by this very process"),
        Err(error) => tracing::warn!(peer = %socket, %error, "link not taken"),
    }
}
