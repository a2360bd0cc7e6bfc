//! Links between the processes of a mesh: dial, hello, proof, heartbeats, ordered bounded sending, healing.
//!
//! | module | what |
//! | --- | --- |
//! | [`identity`] | who is at the ends of a link: [`Role`], [`Identity`], [`Peer`] |
//! | [`secret`] | the mesh's own secret and the proof of knowing it |
//! | [`options`] | every limit, its default and its variable |
//! | [`error`] | why there is no link, why something was not sent |
//! | [`handshake`] | hello, welcome, proof, from both sides |
//! | [`sender`] | the queue of a live link, and the handle that fills it |
//! | `live` | a live link: its reader, writer and heartbeats |
//! | [`fn@dial`], [`fn@serve`], [`Pool`] | links we open for ever, links we take, links on demand |
//! | [`fn@follow`] | links to each place of a set that changes |
//! | `port`, `process` | the ports that a process listens on, and all that is alike in what processes are started with |
//! | [`health`] | `/healthz`, `/readyz`, `/metrics` |
//! | [`logging`] | `KXI_LOG_*` |
//!
//! Rules kept: a lost link comes back by itself, in any start order; a message is never sent out of order or
//! twice; what a peer that has not proved itself can make us hold is a few kilobytes for a few seconds.
#![forbid(unsafe_code)]

pub mod error;
pub mod handshake;
pub mod health;
pub mod identity;
pub mod logging;
pub mod options;
pub mod secret;
pub mod sender;

mod backlog;
mod dial;
mod follow;
mod live;
mod pool;
mod port;
mod process;
mod serve;
mod wake_batch;

/// Why a link is down where its own process is stopping: nothing to warn anybody of.
pub const STOPPING: &str = "the process is stopping";

pub use dial::{Spread, USER, dial};
pub use error::{LinkError, SendError};
pub use follow::{Followed, Place, Places, Standing, follow};
pub use identity::{Identity, Peer, Role, advertised};
pub use live::REFUSED;
pub use options::{LinkOptions, VARS, check};
pub use pool::Pool;
pub use port::{BindError, listen, listen_all, listen_if};
pub use process::{Ports, ProcessOptions};
pub use secret::Secrets;
pub use sender::{Handler, LinkId, Sender};
pub use serve::{serve, upgrade};
