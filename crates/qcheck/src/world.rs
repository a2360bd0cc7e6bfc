//! The world of a checked interpreter: that of a process, with a console that is kept.

use qhost::World;
use qlang::host::{Capabilities, Host};

use crate::interpreter::Printed;

/// A host that keeps what is printed, and where it keeps it.
pub fn open() -> (Box<dyn Host>, Printed) {
    let printed = Printed::default();
    (Box::new(World::kept(Capabilities::all(), printed.clone())), printed)
}
