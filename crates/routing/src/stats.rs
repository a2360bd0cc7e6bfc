//! Counters and gauges, as metrics show them.

/// Counts since the start, and present numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// requests that came
    pub accepted: u64,
    /// requests answered with rc 0
    pub succeeded: u64,
    /// requests that ended otherwise
    pub failed: u64,
    /// of those, at the deadline
    pub timeouts: u64,
    /// portions given to a replica
    pub dispatched: u64,
    /// portions, or whole requests after an Agg was lost, that were tried again
    pub retries: u64,
    /// second runs of slow portions
    pub hedges: u64,
    /// of those, ended because a portion had to wait
    pub gave_way: u64,
    /// portions that replicas handed back because another took long
    pub handed_back: u64,
    /// times a replica was left alone because it said busy to everything
    pub ejected: u64,
    /// portions asked back from a busy replica because another was idle
    pub recalled: u64,
    /// leases ended before the replica's report of the end
    pub overruns: u64,
    /// portions that replicas of peers were asked to run
    pub tried: u64,
    /// of those, refused: the peer's word of an idle replica was out of date
    pub refused: u64,
    /// portions of peers' requests that replicas here ran
    pub lent: u64,
    /// idle replicas offered to peers
    pub offers: u64,
    /// of those, not taken up
    pub declined: u64,
    /// messages that fit no state
    pub strays: u64,
    /// portions that wait now
    pub queued: usize,
    /// requests in flight now
    pub requests: usize,
    /// DAPs connected now
    pub daps: usize,
    /// Aggs connected now
    pub aggs: usize,
    /// GWs connected now
    pub gws: usize,
    /// other coordinators connected now
    pub peers: usize,
    /// replicas that they own
    pub peer_daps: usize,
    /// true while it waits for processes that an earlier coordinator knew
    pub settling: bool,
    /// true while it has not tried each data process that it has found
    pub untried: bool,
    /// data processes that were found ready and were never registered anywhere
    pub unlinked: usize,
    /// requests that are not begun because of those
    pub kept: usize,
}
