//! The thread that runs queries, apart from the sockets.
//!
//! One query at a time per thread, in order of arrival; the socket side stays free for heartbeats and
//! cancellation. A query that panics costs its caller an error, not the process: that is a bug in qmesh and is
//! logged as one.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
};

type Job = Box<dyn FnOnce() + Send>;

/// A handle to the query threads. Dropping the last one ends them once their queue is empty.
#[derive(Clone, Debug)]
pub struct Worker {
    queue: mpsc::Sender<Job>,
}

impl Worker {
    /// Starts `threads` query threads named after the process.
    pub fn start(name: &str, threads: u32) -> std::io::Result<Worker> {
        let (queue, jobs) = mpsc::channel::<Job>();
        let jobs = std::sync::Arc::new(std::sync::Mutex::new(jobs));
        for i in 0..threads.max(1) {
            let jobs = jobs.clone();
            let name: String = format!("query-{i}-{name}").chars().take(15).collect();
            std::thread::Builder::new().name(name).spawn(move || {
                loop {
                    // The lock is held while waiting: one thread waits on the channel, the others on it.
                    let next = match jobs.lock() {
                        Ok(jobs) => jobs.recv(),
                        Err(_) => return,
                    };
                    let Ok(job) = next else { return };
                    if catch_unwind(AssertUnwindSafe(job)).is_err() {
                        tracing::error!(
                            "a query ended in a bug of qmesh; its caller gets no result from here"
                        );
                    }
                }
            })?;
        }
        Ok(Worker { queue })
    }

    /// Queues a job. The number of jobs is bounded by the callers: the DAP's capacity, and the limit on direct
    /// calls.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        // The threads live as long as the handle: sending cannot fail.
        let _ = self.queue.send(Box::new(job));
    }
}

/// Runs a query and turns a panic into the failure its caller is told.
pub fn guarded<T>(query: impl FnOnce() -> Result<T, sg::Failure>) -> Result<T, sg::Failure> {
    catch_unwind(AssertUnwindSafe(query)).unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        tracing::error!(what, "a query ended in a bug of qmesh");
        Err(sg::Failure::new(
            sg::Rc::ERR,
            sg::Ac::INTERNAL,
            "the query ran into a bug of qmesh; the data process's log has the details",
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_run_in_order_and_a_panic_ends_only_itself() {
        let worker = Worker::start("test", 1).unwrap();
        let (tx, rx) = mpsc::channel();
        let first = tx.clone();
        worker.run(move || first.send(1).unwrap());
        worker.run(|| panic!("a bug"));
        worker.run(move || tx.send(2).unwrap());
        assert_eq!((rx.recv(), rx.recv()), (Ok(1), Ok(2)));
    }

    #[test]
    fn a_guarded_panic_is_a_failure() {
        let failure = guarded::<()>(|| panic!("boom")).unwrap_err();
        assert_eq!(failure.ac, sg::Ac::INTERNAL);
    }
}
