//! Deliberate defects of the router, by name: one or more for each rule.
//!
//! Each is looked up with [`sg::mutation::on`], a constant `false` in every build but the simulation's own
//! tests, which show that each of [`ALL`] is caught.

/// Plans that purviews have overtaken are served.
pub const STALE_PLAN: &str = "routing.stale_plan";
/// APIs that are not safe are tried again.
pub const UNSAFE_RETRY: &str = "routing.unsafe_retry";
/// What a lost peer was asked to start is taken for not begun.
pub const LOST_PEER_NEVER_STARTED: &str = "routing.lost_peer_never_started";
/// An offer that nobody answers keeps its replica.
pub const OFFER_FOR_EVER: &str = "routing.offer_for_ever";
/// Owners do not hear who waits for them.
pub const DEMAND_UNTOLD: &str = "routing.demand_untold";
/// A replica that was told to stop is taken for idle at once.
pub const OVERRUN_IS_IDLE: &str = "routing.overrun_is_idle";
/// The Agg does not hear that a portion was cut again.
pub const REPLACE_UNTOLD: &str = "routing.replace_untold";
/// What a lost replica held is forgotten with it.
pub const LOST_IS_FORGOTTEN: &str = "routing.lost_is_forgotten";
/// The GW does not hear that an unsafe request has started.
pub const STARTED_UNTOLD: &str = "routing.started_untold";
/// A coordinator takes requests before it has learnt what the mesh knew.
pub const SETTLE_SKIPPED: &str = "routing.settle_skipped";
/// Of two registrations of a process the earlier one holds.
pub const EARLIER_OWNER_STAYS: &str = "routing.earlier_owner_stays";
/// The primary does not hear how its portion ended at a peer.
pub const LENT_UNREPORTED: &str = "routing.lent_unreported";
/// What is over stays in the queue.
pub const ENDED_STAYS_QUEUED: &str = "routing.ended_stays_queued";
/// A new link to a peer is not told what is owned here.
pub const ACCOUNT_UNTOLD: &str = "routing.account_untold";
/// What a GW says of a request that is another's is believed.
pub const STRANGER_BELIEVED: &str = "routing.stranger_believed";
/// Requests are ended by name for anybody.
pub const CANCEL_BY_ANYBODY: &str = "routing.cancel_by_anybody";
/// A coordinator that leaves hands over data processes that are still at work.
pub const DRAIN_HURRIES: &str = "routing.drain_hurries";

/// Tiers that were declared are not missed.
pub const DECLARED_UNHEEDED: &str = "routing.declared_unheeded";
/// Data processes that were found and never registered are not missed.
pub const UNLINKED_UNHEEDED: &str = "routing.unlinked_unheeded";
/// What was kept for an unlinked data process begins when the first of them has registered.
pub const KEPT_FOR_ONE: &str = "routing.kept_for_one";
/// What registers with a peer is not taken for what was found here.
pub const PEERS_UNLINKED: &str = "routing.peers_unlinked";
/// A coordinator is ready before it has tried what was found.
pub const FOUND_UNTRIED: &str = "routing.found_untried";
/// What waits behind a busy replica stays there, whoever is idle.
pub const NEVER_ASKED_BACK: &str = "routing.never_asked_back";

/// Those that the simulation catches.
pub const ALL: &[&str] = &[
    STALE_PLAN,
    DECLARED_UNHEEDED,
    UNSAFE_RETRY,
    OFFER_FOR_EVER,
    DEMAND_UNTOLD,
    OVERRUN_IS_IDLE,
    REPLACE_UNTOLD,
    LOST_IS_FORGOTTEN,
    STARTED_UNTOLD,
    SETTLE_SKIPPED,
    EARLIER_OWNER_STAYS,
    LENT_UNREPORTED,
    ENDED_STAYS_QUEUED,
    ACCOUNT_UNTOLD,
    STRANGER_BELIEVED,
    CANCEL_BY_ANYBODY,
    NEVER_ASKED_BACK,
    UNLINKED_UNHEEDED,
    KEPT_FOR_ONE,
    PEERS_UNLINKED,
];

/// Those that thousands of seeds pass by: a peer has to be lost between two messages, and a data process that is handed
/// over at work mostly ends it unharmed. Rule tests hold them:
/// `what_may_have_started_at_a_lost_peer_is_not_started_again_unless_safe` and
/// `a_coordinator_that_leaves_hands_its_data_processes_over`. A coordinator ready too early keeps requests waiting:
/// `a_coordinator_is_not_ready_before_it_has_tried_each`.
pub const RARE: &[&str] = &[LOST_PEER_NEVER_STARTED, DRAIN_HURRIES, FOUND_UNTRIED];
