//! The thread that runs queries, apart from the sockets.
//!
//! One query at a time per thread, in order of arrival; the socket side stays free for heartbeats and
//! cancellation. A query that panics costs its caller an error, not the process: that is a bug in qmesh and is
//! logged as one.
//!
//! The memory of a large answer goes back to where it was made. The last owner of an answer is a socket's task on
//! another thread. Memory freed by another thread is reused only when the owning thread collects it: the next answer
//! would begin while the memory of the last answer is still held.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use bytes::Bytes;
use kernels::{Cancelled, Interrupt};
use sg::{Failure, msg::Payload};

use crate::cancel::Stop;

type Job = Box<dyn FnOnce() + Send>;

/// A handle to the query threads. Dropping the last handle ends the threads once the queue is empty.
#[derive(Clone, Debug)]
pub struct Worker {
    queue: mpsc::Sender<Job>,
    returned: Arc<Returned>,
}

/// Answers of at least so many bytes are given back to the query threads.
const LARGE: usize = 1 << 20;

/// Answers that nobody needs any more, to be freed by a query thread.
#[derive(Debug, Default)]
struct Returned {
    answers: Mutex<Vec<Vec<Bytes>>>,
    /// some are there: a look between two blocks of work costs nothing where none are
    any: AtomicBool,
}

impl Returned {
    fn free(&self) {
        if self.any.swap(false, Ordering::AcqRel) {
            drop(std::mem::take(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner)));
        }
    }
}

/// An answer on its way: its segments go back together once the last of them has been let go.
struct Lent {
    segments: Vec<Bytes>,
    worker: Worker,
}

impl Drop for Lent {
    fn drop(&mut self) {
        let returned = self.worker.returned.clone();
        let segments = std::mem::take(&mut self.segments);
        returned.answers.lock().unwrap_or_else(PoisonError::into_inner).push(segments);
        // Where it is set already somebody else has queued the job, or a query is about to look.
        if !returned.any.swap(true, Ordering::AcqRel) {
            self.worker.run(move || returned.free());
        }
    }
}

/// A segment of it.
struct Segment {
    of: Arc<Lent>,
    at: usize,
}

impl AsRef<[u8]> for Segment {
    fn as_ref(&self) -> &[u8] {
        &self.of.segments[self.at]
    }
}

/// Stops as another does, and frees answers that have come back meanwhile.
pub struct Freeing<'a> {
    stop: &'a dyn Stop,
    worker: &'a Worker,
}

impl Interrupt for Freeing<'_> {
    fn check(&self) -> Result<(), Cancelled> {
        self.check_rows(0)
    }

    fn check_rows(&self, rows: usize) -> Result<(), Cancelled> {
        self.worker.returned.free();
        self.stop.check_rows(rows)
    }
}

impl Stop for Freeing<'_> {
    fn why(&self) -> Option<Failure> {
        self.stop.why()
    }
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
                    // The lock is held while waiting: one thread waits on the channel, other threads on the lock.
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
        Ok(Worker { queue, returned: Arc::default() })
    }

    /// An answer that a query thread made: where it is large, it is freed there too.
    pub fn lend(&self, answer: Payload) -> Payload {
        if answer.0.iter().map(Bytes::len).sum::<usize>() < LARGE {
            return answer;
        }
        let all = 0..answer.0.len();
        let of = Arc::new(Lent { segments: answer.0, worker: self.clone() });
        Payload(all.map(|at| Bytes::from_owner(Segment { of: of.clone(), at })).collect())
    }

    /// For a query on a query thread: it stops as `stop` says.
    pub fn freeing<'a>(&'a self, stop: &'a dyn Stop) -> Freeing<'a> {
        Freeing { stop, worker: self }
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
    fn a_large_answer_goes_back_to_the_query_thread_and_is_freed_there() {
        /// Says on which thread it is dropped.
        struct Told(mpsc::Sender<Option<String>>);
        impl AsRef<[u8]> for Told {
            fn as_ref(&self) -> &[u8] {
                &[7; LARGE]
            }
        }
        impl Drop for Told {
            fn drop(&mut self) {
                let _ = self.0.send(std::thread::current().name().map(str::to_owned));
            }
        }
        let worker = Worker::start("test", 1).unwrap();
        let (freed, freed_on) = mpsc::channel::<Option<String>>();
        let soon = || freed_on.recv_timeout(std::time::Duration::from_secs(20)).unwrap().unwrap();
        let lent =
            || worker.lend(Payload(vec![Bytes::from_owner(Told(freed.clone())), Bytes::from_static(b"end")]));

        let answer = lent();
        let part = answer.0[1].clone();
        drop(answer);
        assert_eq!(part, "end");
        assert!(freed_on.try_recv().is_err(), "a part of it is still on its way");
        drop(part);
        assert_eq!(soon(), "query-0-test");

        // A query that runs frees it between two blocks: the next answer does not come on top of it.
        let (go, wait) = mpsc::channel::<()>();
        let (looks, looked) = mpsc::channel();
        let (busy, answer) = (worker.clone(), lent());
        worker.run(move || {
            wait.recv().unwrap();
            let stop = crate::cancel::Cancel::until(std::time::Instant::now());
            looks.send(busy.freeing(&stop).check().is_err()).unwrap();
            wait.recv().unwrap();
        });
        drop(answer);
        go.send(()).unwrap();
        assert!(looked.recv().unwrap(), "it stops as its deadline says");
        assert_eq!(soon(), "query-0-test");
        go.send(()).unwrap();
    }

    #[test]
    fn a_guarded_panic_is_a_failure() {
        let failure = guarded::<()>(|| panic!("boom")).unwrap_err();
        assert_eq!(failure.ac, sg::Ac::INTERNAL);
    }
}
