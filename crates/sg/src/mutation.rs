//! Deliberate defects in the cores, to show that the simulation would catch them.
//!
//! Each rule of the mesh has one, named in `docs/simulation.md`. Without the feature `mutations`, which only
//! the simulation's own tests turn on, [`on`] is a constant `false` and nothing of this is in a build.

/// True where this defect is switched on, on this thread.
#[cfg(not(feature = "mutations"))]
#[inline(always)]
pub const fn on(_: &str) -> bool {
    false
}

#[cfg(feature = "mutations")]
mod active {
    use std::cell::Cell;

    thread_local! {
        static ACTIVE: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// True where this defect is switched on, on this thread.
    pub fn on(name: &str) -> bool {
        ACTIVE.get() == Some(name)
    }

    /// Switches a defect on for this thread, and any other off.
    pub fn set(name: Option<&'static str>) {
        ACTIVE.set(name);
    }
}

#[cfg(feature = "mutations")]
pub use active::{on, set};
