//! Where the processes of a mesh are: one stream of endpoint sets, whatever it is made from.
//!
//! | module | what |
//! | --- | --- |
//! | [`endpoint`] | an [`Endpoint`], and why something found is none |
//! | [`set`] | what is known now, sans-io: changes in, whether the set differs out |
//! | [`feed`] | the stream that consumers watch, and how its source fares |
//! | [`source`] | what a source is |
//! | [`fixed`] | addresses given by hand; names are resolved again and again |
//! | [`kubernetes`] | pods that match a label selector |
//! | [`registry`] | services of a kdb Insights registry: its place |
//! | [`find`] | where to look, as configured |
//! | [`shown`] | metrics and lines of `/readyz?verbose` |
//! | [`config`] | environment variables |
//! | [`error`] | why a source does not start |
//!
//! Rules kept: a set is replaced whole when a source has listed anew, never emptied because a source fails;
//! what is known is keyed by what cannot be reused (a pod's uid); a source that has gone quiet is noticed
//! after a named time and shows in [`feed::Health`]; memory is that of the endpoints, not of the objects
//! they were read from. Tests: beside each module, and `tests/` where both sources pass one suite and the
//! Kubernetes source meets an API server that misbehaves.
#![forbid(unsafe_code)]

pub mod config;
pub mod endpoint;
pub mod error;
pub mod feed;
pub mod find;
pub mod fixed;
pub mod kubernetes;
pub mod registry;
pub mod set;
pub mod shown;
pub mod source;

pub use config::{Options, VARS};
pub use endpoint::{Endpoint, Skip};
pub use error::DiscoveryError;
pub use feed::{Feed, Health, Snapshot};
pub use find::Find;
pub use shown::Shown;
pub use source::Source;

/// Nanoseconds on a monotonic clock.
pub type Nanos = u64;
/// A second of [`Nanos`].
pub const SECOND: Nanos = 1_000_000_000;
/// A millisecond of [`Nanos`].
pub const MILLI: Nanos = 1_000_000;
