//! Delayed acknowledgements: the socket option `TCP_QUICKACK`.
//!
//! On a connection that is mostly read, the kernel acknowledges each batch at once: one packet per batch, and each
//! packet costs both sides more than reading the batch. A connection used both ways acknowledges with its data, or
//! after 40 ms at most (Linux). Links between processes carry messages mostly one way, and no sender waits for an
//! acknowledgement (`TCP_NODELAY`): links ask for delayed acknowledgements. The kernel drops the option after a pause.

use tokio::net::tcp::OwnedReadHalf;

/// Reads between two settings of the option.
const EVERY: u32 = 64;

/// Whether, and when, the option is set again.
#[derive(Debug, Default)]
pub(super) struct Quickack {
    /// reads until the next setting; `None` leaves the choice to the kernel
    left: Option<u32>,
}

impl Quickack {
    /// Delays acknowledgements from now on.
    pub(super) fn later(&mut self) {
        self.left = Some(0);
    }

    /// Counts a read.
    pub(super) fn read(&mut self, half: &OwnedReadHalf) {
        match &mut self.left {
            None => {}
            Some(0) => {
                self.left = Some(EVERY);
                tell(half);
            }
            Some(left) => *left -= 1,
        }
    }
}

#[cfg(target_os = "linux")]
fn tell(half: &OwnedReadHalf) {
    // A wish: where it is not heard, confirmations come sooner.
    let _ = socket2::SockRef::from(half.as_ref()).set_tcp_quickack(false);
}

#[cfg(not(target_os = "linux"))]
fn tell(_: &OwnedReadHalf) {}
