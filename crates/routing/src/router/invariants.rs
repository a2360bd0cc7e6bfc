//! What must hold after every event; tests and the simulation call it after each step.

use super::{Due, Router};
use crate::{fleet::LeaseState, request::Place};

impl Router {
    /// Panics, saying what is wrong, where the state contradicts itself or a rule:
    ///
    /// * no portion waits while a replica that can serve it is idle;
    /// * each portion is in one place, and that place knows of it;
    /// * each request has its timer, each timer its request;
    /// * counts agree with what they count.
    pub fn check_invariants(&self) {
        self.fleet.check_invariants();
        for (_, dap) in self.fleet.iter().filter(|(_, d)| d.free() > 0) {
            assert_eq!(
                self.oldest_for(dap),
                None,
                "{} is idle while a portion it can serve waits",
                dap.name()
            );
        }
        let queued = self.queue.all();
        assert_eq!(queued.len(), self.queue.len(), "queue length");
        let mut timers = 0;
        for (seq, request) in &self.requests {
            assert_eq!(self.by_corr.get(&request.corr), Some(seq), "index of {}", request.corr);
            assert!(
                self.timers.contains(&(request.answer_by, *seq, Due::Answer)),
                "timer of {}",
                request.corr
            );
            timers += 1;
            let mut open = 0;
            for (id, portion) in (0u32..).zip(&request.portions) {
                let waiting = queued.contains(&(*seq, id));
                assert_eq!(waiting, matches!(portion.place, Place::Waiting(_)), "portion {id} and the queue");
                let key = crate::fleet::LeaseKey {
                    corr: request.corr,
                    attempt: request.attempt,
                    portion: sg::PortionId(id),
                };
                match portion.place {
                    Place::Leased(peer) => {
                        let lease = self.fleet.get(peer).and_then(|d| d.running.get(&key));
                        assert!(
                            lease.is_some_and(|l| l.state == LeaseState::Running),
                            "portion {id} says it is leased"
                        );
                        open += 1;
                    }
                    Place::Delivered { until, .. } => {
                        assert!(self.timers.contains(&(until, *seq, Due::Custody(id))), "custody of {id}");
                        timers += 1;
                        open += 1;
                    }
                    Place::Waiting(_) => open += 1,
                    Place::Nowhere => panic!("portion {id} of {} is nowhere", request.corr),
                    Place::Got | Place::Replaced => {}
                }
            }
            assert_eq!(open, request.open, "open portions of {}", request.corr);
            assert!(!request.portions.is_empty(), "a request without portions");
        }
        assert_eq!(timers, self.timers.len(), "timers without a request");
        assert_eq!(self.by_corr.len(), self.requests.len(), "index of requests");
        for order in &queued {
            assert!(self.requests.contains_key(&order.0), "queued portion without a request");
        }
        let with_agg = self.requests.values().filter(|r| r.agg.is_some()).count();
        assert_eq!(self.aggs.outstanding(), with_agg, "requests given to aggregators");
    }

    /// True where nothing is in flight: no request, no portion queued, no timer, nothing leased.
    pub fn is_quiet(&self) -> bool {
        self.requests.is_empty()
            && self.by_corr.is_empty()
            && self.timers.is_empty()
            && self.queue.len() == 0
            && self.aggs.outstanding() == 0
            && self.fleet.iter().all(|(_, d)| d.running.is_empty())
    }
}
