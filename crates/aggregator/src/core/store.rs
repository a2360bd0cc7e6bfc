//! Whether a partial whose place is free is taken into custody.

use sg::{Ac, Failure, PortionId, Rc, msg::Partial};

use super::{Dropped, Part, collecting::Collecting, detached_bytes, detached_raw};

/// Bytes of partials: how many may be held, and are.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) limit: usize,
    pub(super) held: usize,
    /// bytes of partials waiting for a plan
    pub(super) early: usize,
}

/// What became of a partial whose place is free.
pub(super) enum Stored {
    /// it is in custody: its bytes, its portion
    Whole(usize, PortionId),
    /// the request fails
    Failed(Failure),
    /// it is not taken
    Dropped(Dropped),
}

/// Takes a partial into custody, if it is one to be kept and there is room for it.
pub(super) fn store<L: Clone>(open: &mut Collecting<L>, partial: Partial, room: Room) -> Stored {
    let failure = Failure::new(partial.rc, partial.ac, partial.ai);
    // The RC hears of these from the DAP and tries again, or fails the request itself. A cancelled run is
    // one that the RC has replaced.
    if failure.rc.is_retryable() || failure.rc == Rc::CANCELLED {
        return Stored::Dropped(Dropped::Retryable);
    }
    if failure.rc != Rc::OK && !open.wants_partials() {
        return Stored::Failed(failure);
    }
    let (portion, payload) = (partial.portion, partial.payload.into_bytes());
    let (bytes, Room { limit, held, early }) = (payload.len(), room);
    if held + early + bytes > limit && bytes > 0 {
        let ai = format!(
            "limit: partials of {held} bytes are held and {bytes} more do not fit into {limit} (QMESH_AGG_MEMORY); ask for fewer rows or columns, or raise it"
        );
        return Stored::Failed(Failure::new(Rc::LIMIT, Ac::LIMIT, ai));
    }
    let payload = if open.waits_for_more() { detached_bytes(payload) } else { payload };
    let failure = (failure.rc != Rc::OK).then_some(failure);
    open.store(Part { portion, extra: detached_raw(partial.extra), payload }, failure);
    Stored::Whole(bytes, portion)
}
