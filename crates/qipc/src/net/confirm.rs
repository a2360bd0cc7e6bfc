//! When the kernel confirms what came.
//!
//! TCP confirms at once what a reader has read of a connection on which it hardly writes itself. That is a packet for
//! each batch of messages, which costs this side more than to read them, and the other side as much. A connection that
//! is used both ways confirms with what it sends, or a moment later (Linux: 40 ms at most). Links between processes
//! mostly carry messages one way, are never waited on by a sender that has more to say (`TCP_NODELAY`), and confirm
//! long messages in any case: they say that they are of the second kind. The kernel forgets that after a pause.

use tokio::net::tcp::OwnedReadHalf;

/// Reads between two times that the kernel is told.
const EVERY: u32 = 64;

/// Whether, and when, the kernel is told that confirmations may wait.
#[derive(Debug, Default)]
pub(super) struct Confirm {
    /// reads until it is told again; `None` where it is left to the kernel
    left: Option<u32>,
}

impl Confirm {
    /// From now on.
    pub(super) fn later(&mut self) {
        self.left = Some(0);
    }

    /// Something was read.
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
