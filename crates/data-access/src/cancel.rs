//! The way a running query is told to stop: by order, or because its deadline passed.
//!
//! Looked at per block of work, so that a runaway query ends soon. The clock is read only there.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use sg::{Ac, Failure, Rc};

/// Cancellation of one run.
#[derive(Debug)]
pub struct Cancel {
    stopped: AtomicBool,
    deadline: Instant,
}

impl Cancel {
    /// Stops at `deadline` at the latest.
    pub fn until(deadline: Instant) -> Self {
        Cancel { stopped: AtomicBool::new(false), deadline }
    }

    /// When it stops by itself.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Stops the run at its next look.
    pub fn cancel(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Why the run must stop, if it must.
    pub fn why(&self) -> Option<Failure> {
        self.why_at(Instant::now())
    }

    /// As [`Self::why`], for one who has looked at the clock.
    pub fn why_at(&self, now: Instant) -> Option<Failure> {
        if self.stopped.load(Ordering::Relaxed) {
            return Some(Failure::new(Rc::CANCELLED, Ac::CANCELLED, "the request was cancelled"));
        }
        (now >= self.deadline).then(|| {
            Failure::new(Rc::TIMEOUT, Ac::TIMEOUT, "the deadline passed while the data process was reading")
        })
    }
}

/// What may end a run before its time, and can say why.
pub trait Stop: kernels::Interrupt {
    /// Why the run must stop, if it must.
    fn why(&self) -> Option<Failure>;
}

impl Stop for Cancel {
    fn why(&self) -> Option<Failure> {
        Cancel::why(self)
    }
}

impl kernels::Interrupt for Cancel {
    fn check(&self) -> Result<(), kernels::Cancelled> {
        match self.why() {
            Some(_) => Err(kernels::Cancelled),
            None => Ok(()),
        }
    }
}
