//! What tests share: launch a mesh, write sample databases.
//!
//! | module | what |
//! | --- | --- |
//! | [`process`] | one program under test: its output kept, ended by its own id |
//! | [`mesh`] | `qmesh up` on free ports |
//! | [`separate`] | the four processes, each alone, configured by their variables |
//! | [`http`] | the few lines of HTTP that a launcher needs |
//! | [`gallery`] | a database with every basic type, and one big enough for a 100 MB answer |
#![forbid(unsafe_code)]

pub mod error;
#[cfg(feature = "gallery")]
pub mod gallery;
pub mod http;
pub mod mesh;
pub mod process;
pub mod separate;

pub use error::LaunchError;
#[cfg(feature = "gallery")]
pub use gallery::GalleryError;
pub use mesh::{Mesh, Up};
pub use process::Process;
pub use separate::{Separate, SeparateMesh};
