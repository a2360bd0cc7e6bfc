//! What a source of endpoints is: addresses by hand, pods, and whatever comes later. What each promises is tested
//! alike: `tests/watching/sources.rs`.

use tokio_util::sync::CancellationToken;

use crate::{Feed, Options};

/// Somewhere to look for processes.
pub trait Source: Send {
    /// Looks until `shutdown`, or until nobody watches any more. What is found is replaced whole, and never given up
    /// because looking fails.
    fn follow(self: Box<Self>, options: &Options, shutdown: CancellationToken) -> Feed;
}
