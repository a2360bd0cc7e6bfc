//! The GW process: the one address that clients use, over QIPC and REST.
//!
//! | module | what |
//! | --- | --- |
//! | [`config`] | environment variables and the [`Options`] they make |
//! | [`pending`] | requests in flight: deadlines, failover, exactly one end (sans-io) |
//! | [`stream`] | large answers under credit |
//! | `outbox` | what waits to be written to one QIPC client |
//! | `call` | what a QIPC client asks |
//! | `json` | q objects as JSON, from their bytes |
//! | `reply` | answers as frames |
//! | `metrics` | every metric |
//! | `hub` | the centre: links and requests around `pending` |
//! | `client` | one QIPC connection |
//! | `names` | API names that stand for others |
//! | `unheard` | failures that no reply can carry |
//! | `rest` | paths, arguments, statuses, formats, bodies |
//! | `gateway` | [`Gateway`]: ports, start, end |
//! | [`tool`] | the REST interface's JSON for other programs |
//!
//! Rules kept: exactly one answer per request, by its deadline; payloads pass through undecoded, held within a
//! window; a client that is slow, rude or gone costs itself only. Tests: beside the parts and in `tests/`.
#![forbid(unsafe_code)]

pub mod config;
pub mod pending;
pub mod stream;
pub mod tool;

mod call;
mod client;
mod gateway;
mod header_cache;
mod hub;
mod json;
mod metrics;
mod names;
mod outbox;
mod reply;
mod rest;
mod unheard;

pub use config::{Bounds, Options, VARS};
pub use gateway::{Error, Gateway};
