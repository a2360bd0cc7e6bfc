//! Hello, welcome, proof: how the two ends of a new connection become peers.
//!
//! ```text
//! dialling side                    answering side
//!   .qm.hello (nonce a)     →
//!                           ←      .qm.welcome (nonce b, proofs over a and b)
//!   .qm.proof               →                            empty where no secret is set
//! ```
//! Either side may end it with `.qm.refused` and a sentence. Until its proof a peer is a stranger: its
//! messages are bounded to a few kilobytes, its time to `KXI_SG_CONN_TIMEOUT`. Tests: `tests/links/handshake.rs`.

use std::net::SocketAddr;

use qipc::{
    Body,
    net::{Reader, Writer},
};
use sg::{
    InstanceId, Msg,
    msg::{self, Chunk, Hello, Proof, Refused, Welcome},
};
use tokio::time::timeout;

use crate::{
    Identity, LinkError, LinkOptions, Peer, Role,
    identity::complete,
    secret::{Side, prove, prove_all, proved},
};

const PROTOCOL_ADVICE: &str = "run the same qmesh version at both ends";

/// Our hello.
fn hello(identity: &Identity) -> Hello {
    Hello {
        protocol: msg::PROTOCOL,
        role: identity.role.name().into(),
        name: identity.name.clone(),
        instance: identity.instance,
        address: identity.address.clone(),
        nonce: InstanceId::random(),
    }
}

/// What both ends prove their secret over: all that they said.
fn transcript(hello: &Hello, welcome: &Welcome) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend(hello.protocol.to_le_bytes());
    let ends = [
        (&hello.role, &hello.name, &hello.instance, &hello.address, &hello.nonce),
        (&welcome.role, &welcome.name, &welcome.instance, &welcome.address, &welcome.nonce),
    ];
    for (role, name, instance, address, nonce) in ends {
        for text in [role, name, address] {
            out.extend((text.as_bytes().len() as u64).to_le_bytes());
            out.extend(text.as_bytes());
        }
        out.extend(instance.0);
        out.extend(nonce.0);
    }
    out
}

/// Why a peer with this protocol and role is refused, before any proof.
fn unwanted(protocol: i32, role: &[u8]) -> Result<Role, String> {
    if protocol != msg::PROTOCOL {
        let ours = msg::PROTOCOL;
        return Err(format!("it speaks protocol {protocol}, this process {ours}; {PROTOCOL_ADVICE}"));
    }
    Role::from_name(role).ok_or_else(|| {
        format!("role `{}` is none of gw, rc, agg, da; {PROTOCOL_ADVICE}", String::from_utf8_lossy(role))
    })
}

/// The next message of a peer that is not one yet.
async fn next(reader: &mut Reader, peer: SocketAddr) -> Result<Msg, LinkError> {
    let unexpected = |why: String| LinkError::Unexpected { peer: peer.to_string(), why };
    let read = reader.next().await;
    let message = read.map_err(|source| LinkError::Read { peer: peer.to_string(), source })?;
    let message = message.ok_or_else(|| unexpected("it closed the connection".into()))?;
    let Body::Object(raw) = message.body else { return Err(unexpected("it sent an error".into())) };
    match Msg::decode(&raw).map_err(|e| unexpected(e.to_string()))? {
        Msg::Refused(Refused { why }) => Err(LinkError::Refused { peer: peer.to_string(), why }),
        msg => Ok(msg),
    }
}

async fn send(writer: &mut Writer, peer: SocketAddr, msg: impl Into<Msg>) -> Result<(), LinkError> {
    let sent = writer.send(msg.into().to_frame()).await;
    sent.map_err(|source| LinkError::Io { peer: peer.to_string(), source })
}

/// Tells the other end why, and fails.
async fn refuse<T>(writer: &mut Writer, peer: SocketAddr, why: String) -> Result<T, LinkError> {
    // Whether it still hears the reason makes no difference to us.
    let _ = send(writer, peer, Refused { why: why.clone() }).await;
    Err(LinkError::Unwanted { peer: peer.to_string(), why })
}

fn due(peer: SocketAddr, expected: &str, got: &Msg) -> LinkError {
    LinkError::Unexpected { peer: peer.to_string(), why: format!("{} came, {expected} was due", got.name()) }
}

/// The dialling side, within [`LinkOptions::connect_timeout`].
pub async fn offer(
    reader: &mut Reader,
    writer: &mut Writer,
    identity: &Identity,
    socket: SocketAddr,
    opts: &LinkOptions,
) -> Result<Peer, LinkError> {
    let limit = opts.connect_timeout;
    let exchange = timeout(limit, offer_unhurried(reader, writer, identity, socket)).await;
    let peer = exchange.unwrap_or_else(|_| Err(LinkError::Timeout { peer: socket.to_string(), limit }))?;
    reader.set_limits(opts.limits.clone());
    Ok(peer)
}

async fn offer_unhurried(
    reader: &mut Reader,
    writer: &mut Writer,
    identity: &Identity,
    socket: SocketAddr,
) -> Result<Peer, LinkError> {
    let hello = hello(identity);
    send(writer, socket, hello.clone()).await?;
    let welcome = match next(reader, socket).await? {
        Msg::Welcome(welcome) => welcome,
        other => return Err(due(socket, ".qm.welcome", &other)),
    };
    if welcome.instance == identity.instance {
        // Said to nobody but ourselves: a list of peers may well contain this process.
        return Err(LinkError::Myself { peer: socket.to_string() });
    }
    let role = match unwanted(welcome.protocol, welcome.role.as_bytes()) {
        Ok(role) => role,
        Err(why) => return refuse(writer, socket, why).await,
    };
    let known = identity.secrets.known();
    let proofs = welcome.proof.0.concat();
    let transcript = transcript(&hello, &welcome);
    let shown = proved(&known, Side::Answered, &transcript, &proofs);
    let proof = match (known.is_empty(), proofs.is_empty(), shown) {
        (true, true, _) => Chunk::default(),
        (false, false, Some(secret)) => {
            Chunk(vec![prove(secret, Side::Dialled, &transcript).to_vec().into()])
        }
        (true, false, _) => return refuse(writer, socket, no_secret("the dialling process")).await,
        (false, true, _) => return refuse(writer, socket, no_secret("the answering process")).await,
        (false, false, None) => return refuse(writer, socket, wrong_secret("the answering process")).await,
    };
    send(writer, socket, Proof { proof }).await?;
    let Welcome { name, instance, address, .. } = welcome;
    Ok(Peer { role, name, instance, address: complete(&address, socket), socket })
}

fn no_secret(who: &str) -> String {
    format!("{who} has no mesh secret and the other one has; set QMESH_SECRET_FILE to the mesh's file")
}

fn wrong_secret(who: &str) -> String {
    format!("{who} did not prove the mesh's secret; is its QMESH_SECRET_FILE the mesh's current one?")
}

/// The answering side once the hello has come, within [`LinkOptions::connect_timeout`].
pub async fn answer(
    reader: &mut Reader,
    writer: &mut Writer,
    hello: Hello,
    identity: &Identity,
    socket: SocketAddr,
    opts: &LinkOptions,
) -> Result<Peer, LinkError> {
    reader.set_limits(opts.stranger_limits());
    let limit = opts.connect_timeout;
    let exchange = timeout(limit, answer_unhurried(reader, writer, hello, identity, socket)).await;
    let peer = exchange.unwrap_or_else(|_| Err(LinkError::Timeout { peer: socket.to_string(), limit }))?;
    reader.set_limits(opts.limits.clone());
    Ok(peer)
}

async fn answer_unhurried(
    reader: &mut Reader,
    writer: &mut Writer,
    theirs: Hello,
    identity: &Identity,
    socket: SocketAddr,
) -> Result<Peer, LinkError> {
    let role = match unwanted(theirs.protocol, theirs.role.as_bytes()) {
        Ok(role) => role,
        Err(why) => return refuse(writer, socket, why).await,
    };
    let ours = hello(identity);
    let mut welcome = Welcome {
        protocol: ours.protocol,
        role: ours.role,
        name: ours.name,
        instance: ours.instance,
        address: ours.address,
        nonce: ours.nonce,
        proof: Chunk::default(),
    };
    let transcript = transcript(&theirs, &welcome);
    let known = identity.secrets.known();
    welcome.proof = Chunk(vec![prove_all(&known, Side::Answered, &transcript).into()]);
    send(writer, socket, welcome).await?;
    if theirs.instance == identity.instance {
        // The dialling side knows itself by the welcome.
        return Err(LinkError::Myself { peer: socket.to_string() });
    }
    // Where no secret is set it is empty, and says that the dialling side took our welcome.
    let proof = match next(reader, socket).await? {
        Msg::Proof(Proof { proof }) => proof.0.concat(),
        other => return Err(due(socket, ".qm.proof", &other)),
    };
    if !known.is_empty() && proved(&known, Side::Dialled, &transcript, &proof).is_none() {
        return refuse(writer, socket, wrong_secret("the dialling process")).await;
    }
    let Hello { name, instance, address, .. } = theirs;
    Ok(Peer { role, name, instance, address: complete(&address, socket), socket })
}

/// The hello that a connection on a port of links only must begin with.
pub(crate) async fn first_hello(reader: &mut Reader, peer: SocketAddr) -> Result<Hello, LinkError> {
    match next(reader, peer).await? {
        Msg::Hello(hello) => Ok(hello),
        other => Err(due(peer, ".qm.hello", &other)),
    }
}
