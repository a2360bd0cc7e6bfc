//! The DAP's own port: publishers (`upd`) and direct calls `(api; args; callback; opts)`.
//!
//! Direct calls answer from this DAP's data alone, in the shape the gateway answers: `(header; payload)`. One
//! call at a time per connection, answered in order.

use std::{sync::Arc, time::Instant};

use kvalue::{Atom, Dict, Sym, Type, Value};
use link::{Handler, Identity, LinkOptions};
use qipc::{
    Body, Limits, Message, MessageType, Raw,
    net::{AcceptOptions, Listener, Pending, Writer},
};
use sg::{Ac, Failure, LabelSet, Msg, Rc, TimeRange, msg::Payload};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    apis::{self, Call, Wanted},
    cancel::Cancel,
    intake::{self, Sender},
    shared::Shared,
    worker::guarded,
};

/// Most connections to a DAP's port.
pub const MAX_CONNECTIONS: usize = 1024;

/// What a connection needs.
#[derive(Clone)]
pub struct Port {
    /// the DAP
    pub shared: Arc<Shared>,
    /// who we are to a coordinator that dials us
    pub identity: Arc<Identity>,
    /// links
    pub links: LinkOptions,
    /// what happens on a coordinator's link
    pub orders: Arc<dyn Handler>,
}

/// Serves the port until shutdown.
pub async fn serve(listener: TcpListener, port: Port, shutdown: CancellationToken) {
    let listener = Listener::new(listener, AcceptOptions::default(), MAX_CONNECTIONS);
    let tasks = TaskTracker::new();
    loop {
        let pending = tokio::select! {
            () = shutdown.cancelled() => break,
            pending = listener.accept() => pending,
        };
        let (port, stop) = (port.clone(), shutdown.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = connection(pending, port, stop.clone()) => {}
            }
        });
    }
    tasks.close();
    tasks.wait().await;
}

async fn connection(pending: Pending, port: Port, shutdown: CancellationToken) {
    let peer = pending.peer;
    let (mut reader, mut writer) = match pending.handshake(|_, _| true).await {
        Ok(connection) => connection.split(),
        Err(error) => return tracing::debug!(%peer, %error, "no handshake"),
    };
    let (mut first, from) = (true, peer.to_string());
    loop {
        let message = match reader.next().await {
            Ok(Some(message)) => message,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%peer, %error, "unreadable message");
                if error.is_fatal() {
                    return;
                }
                continue;
            }
        };
        if std::mem::take(&mut first)
            && let Body::Object(raw) = &message.body
            && let Ok(Msg::Hello(hello)) = Msg::decode(raw)
        {
            let Port { identity, links, orders, .. } = port;
            return link::upgrade(reader, writer, hello, identity, links, orders, shutdown).await;
        }
        if let Err(error) = answer(&port.shared, &from, message, &mut writer).await {
            return tracing::debug!(%peer, %error, "client lost");
        }
    }
}

async fn answer(
    shared: &Arc<Shared>,
    from: &str,
    message: Message,
    writer: &mut Writer,
) -> std::io::Result<()> {
    let value = match message.decode(&Limits::internal()) {
        Ok(Ok(value)) => value,
        Ok(Err(_)) => return Ok(()),
        Err(error) => {
            if message.ty == MessageType::Async {
                shared.refusals.tell(from, &Sym::null(), &error.to_string());
            }
            return refuse(writer, message.ty, &error.to_string()).await;
        }
    };
    // A string is q text, not a call; a list of symbols is one.
    let is_call = value.as_text().is_none() && matches!(value, Value::List(_) | Value::Vector(_));
    let name = value.index(0).as_name().filter(|_| is_call);
    match name.as_ref().map(|n| n.text()).as_deref() {
        Some(name) if intake::is_upd(name) => {
            let sender = if message.ty == MessageType::Sync { Sender::Waiting } else { Sender::Deaf };
            match (message.ty, intake::upd(shared, from, sender, &value)) {
                (MessageType::Sync, Ok(())) => writer.send_message(MessageType::Response, &Value::Null).await,
                (ty, Err(failure)) => refuse(writer, ty, &failure.ai).await,
                _ => Ok(()),
            }
        }
        Some(_) if message.ty == MessageType::Sync => match call(&value) {
            Ok(call) => {
                let (header, payload) = execute(shared, call).await;
                let frame = qipc::frame_of(
                    MessageType::Response,
                    &[&[Raw::of(&header).0][..], &payload.0[..]].concat(),
                );
                writer.send(frame).await
            }
            Err(failure) => refuse(writer, message.ty, &failure.ai).await,
        },
        _ => {
            if message.ty == MessageType::Async {
                // Nobody else will hear of it.
                let what = name.map_or_else(|| value.type_name().to_string(), |n| n.text().into_owned());
                shared.refusals.tell(
                    from,
                    &Sym::null(),
                    &format!("{what}: an asynchronous message is (`upd; table; data)"),
                );
            }
            let why = "this is a data process of a qmesh gateway: send (api; args; callback; opts), or (`upd; table; data)";
            refuse(writer, message.ty, why).await
        }
    }
}

/// Errors go to whoever waits for an answer.
async fn refuse(writer: &mut Writer, ty: MessageType, why: &str) -> std::io::Result<()> {
    match ty {
        MessageType::Sync => writer.send(qipc::Frame(vec![qipc::error_message(why)])).await,
        _ => Ok(()),
    }
}

/// A direct call: everything this DAP has, between startTS and endTS.
fn call(message: &Value) -> Result<Call, Failure> {
    let wrong =
        || Failure::arg("a call is (api; args; callback; opts): symbol, dictionary, symbol, dictionary");
    let api = message.index(0).as_name().ok_or_else(wrong)?;
    let args = message.index(1);
    let opts = match message.count() {
        2 => Value::empty_dict(),
        3 => message.index(2),
        4 => message.index(3),
        _ => return Err(wrong()),
    };
    if args.as_dict().is_none() || opts.as_dict().is_none() {
        return Err(wrong());
    }
    Ok(Call {
        api,
        range: TimeRange::ALL,
        opts: Raw::of(&opts),
        args: Raw::of(&args),
        labels: LabelSet::default(),
    })
}

async fn execute(shared: &Arc<Shared>, mut call: Call) -> (Value, Payload) {
    let (done, answer) = tokio::sync::oneshot::channel();
    let (dap, api) = (shared.clone(), call.api.clone());
    call.labels = shared.source.labels.clone();
    let deadline = Instant::now() + shared.timeout;
    shared.worker.run(move || {
        let started = Instant::now();
        let tables = dap.tables();
        let (worker, stop) = (&dap.worker, Cancel::until(deadline));
        let outcome = guarded(|| apis::run(&tables, &call, Wanted::Whole, &worker.freeing(&stop)));
        let outcome = outcome.map(|answer| worker.lend(answer));
        dap.metrics.executed(started.elapsed(), outcome.is_ok());
        // The client may be gone.
        let _ = done.send(outcome);
    });
    let outcome = answer.await.unwrap_or_else(|_| {
        Err(Failure::new(Rc::ERR, Ac::INTERNAL, "the query thread gave no answer; the log has the details"))
    });
    let (code, payload) = match outcome {
        Ok(payload) => (Failure::new(Rc::OK, Ac::OK, ""), payload),
        Err(failure) => (failure, Payload::empty()),
    };
    (header(&api, &code), payload)
}

fn header(api: &Sym, code: &Failure) -> Value {
    Dict::of([
        ("rcvTS", Value::Atom(Atom::from_i64(Type::Timestamp, kvalue::time::now()))),
        ("api", api.clone().into()),
        ("protocol", Value::sym("q")),
        ("rc", code.rc.0.into()),
        ("ac", code.ac.0.into()),
        ("ai", Value::str(&code.ai)),
    ])
    .into()
}
