//! The allocator, and how soon it gives memory back.
//!
//! Large answers come and go: mimalloc gives their memory out again without new pages from the system, which cost more
//! than the copy into them, and gives back what nobody needs for a moment. That moment is 10 ms. In a data process,
//! memory should be the sum of cache and answers. With 10 ms the process would hold freed memory while taking new
//! memory: there the delay is 1 ms.
//!
//! Unsafe, because mimalloc's options can be set by a foreign function or the environment only.
#![allow(unsafe_code)]

use libmimalloc_sys::{mi_option_get, mi_option_set, mi_option_t};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 2, which the bindings do not name: between `eager_commit_delay` (14) and
/// `use_numa_nodes` (16).
const PURGE_DELAY: mi_option_t = 15;
/// Milliseconds, unless somebody has said otherwise.
const USUAL: std::ffi::c_long = 10;
const SOON: std::ffi::c_long = 1;

/// Memory that is free goes back to the system sooner. To be called before there are other threads. What the
/// environment says (`MIMALLOC_PURGE_DELAY`) stays.
pub(crate) fn give_back_soon() {
    // SAFETY: both take and give numbers and touch nothing but mimalloc's table of options, which nobody reads or
    // writes at the same time while there is one thread. If a later version renumbers the options, the value read
    // differs from the usual value of this option.
    unsafe {
        if mi_option_get(PURGE_DELAY) == USUAL {
            mi_option_set(PURGE_DELAY, SOON);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_there_and_takes_the_value() {
        // SAFETY: as above; only this test touches the options.
        let delay = || unsafe { mi_option_get(PURGE_DELAY) };
        assert_eq!(delay(), USUAL);
        give_back_soon();
        assert_eq!(delay(), SOON);
    }
}
