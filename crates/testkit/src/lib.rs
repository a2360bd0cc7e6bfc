//! What tests share: launch a mesh, write sample databases.
//!
//! | module | what |
//! | --- | --- |
//! | [`process`] | one program under test: its output kept, ended by its own id |
//! | [`mesh`] | `qmesh up` on free ports |
//! | [`separate`] | the four processes, each alone, configured by their variables |
//! | [`nodes`] | processes by name, that come and go one by one |
//! | [`ports`] | ports that must be known before somebody listens |
//! | [`http`] | the few lines of HTTP that a launcher needs |
//! | [`api_server`] | a Kubernetes API server that knows pods, and misbehaves when told to |
//! | `cluster` | a real Kubernetes in namespaces of its own (feature `cluster`, Linux) |
//! | [`fault`] | a proxy that delays, throttles, cuts, resets, falls silent |
//! | [`gallery`] | a database with every basic type, and one big enough for a 100 MB answer |
#![forbid(unsafe_code)]

#[cfg(feature = "fakes")]
pub mod api_server;
#[cfg(all(feature = "cluster", target_os = "linux"))]
pub mod cluster;
pub mod error;
#[cfg(feature = "fakes")]
pub mod fault;
#[cfg(feature = "gallery")]
pub mod gallery;
pub mod http;
pub mod mesh;
pub mod nodes;
pub mod ports;
pub mod process;
pub mod separate;

pub use error::LaunchError;
#[cfg(feature = "gallery")]
pub use gallery::GalleryError;
pub use mesh::{Mesh, Up};
pub use nodes::Nodes;
pub use process::Process;
pub use separate::{Separate, SeparateMesh};
