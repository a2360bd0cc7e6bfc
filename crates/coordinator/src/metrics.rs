//! The coordinator's metrics (spec §8.4, and its own), taken from the router when they are asked for.

use std::sync::Arc;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{
        counter::ConstCounter,
        gauge::ConstGauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use routing::Stats;

/// What is measured as it happens; the rest is in [`Stats`].
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    /// seconds from a request's arrival to its end
    pub(crate) complete: Histogram,
}

/// Reads the router's numbers.
type Read = Arc<dyn Fn() -> Stats + Send + Sync>;

struct FromRouter(Read);

impl std::fmt::Debug for FromRouter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FromRouter")
    }
}

impl Metrics {
    /// Metrics in a registry of their own.
    pub(crate) fn new(read: Read, sources: discovery::Shown) -> (Metrics, Registry) {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(sources));
        // 50 µs to about 100 s
        let complete = Histogram::new(exponential_buckets(0.000_05, 2.0, 21));
        registry.register(
            "kxi_rc_req_complete_time",
            "seconds from a request's arrival at the coordinator to its end",
            complete.clone(),
        );
        registry.register_collector(Box::new(FromRouter(read)));
        (Metrics { complete }, registry)
    }
}

impl Collector for FromRouter {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let s = (self.0)();
        let counters = [
            ("kxi_rc_reqs", "requests that came", s.accepted),
            ("qmesh_rc_reqs_succeeded", "requests answered with rc 0", s.succeeded),
            ("qmesh_rc_reqs_failed", "requests that ended otherwise", s.failed),
            ("qmesh_rc_reqs_timed_out", "requests that reached their deadline", s.timeouts),
            ("qmesh_rc_portions_dispatched", "portions given to a data process", s.dispatched),
            (
                "qmesh_rc_portions_handed_back",
                "portions that a data process did not start because another took long",
                s.handed_back,
            ),
            (
                "qmesh_rc_ejected",
                "times a data process was left alone because it said busy to everything",
                s.ejected,
            ),
            (
                "qmesh_rc_portions_recalled",
                "portions asked back from a busy data process because another was idle",
                s.recalled,
            ),
            ("qmesh_rc_overruns", "leases that ended before their data process had stopped", s.overruns),
            ("qmesh_rc_second_runs", "second runs of slow portions", s.hedges),
            ("qmesh_rc_second_runs_gave_way", "second runs ended because a portion had to wait", s.gave_way),
            ("qmesh_rc_portions_tried", "portions that another coordinator was asked to start", s.tried),
            ("qmesh_rc_portions_refused", "of those, not started there", s.refused),
            ("qmesh_rc_portions_lent", "portions of other coordinators' requests run here", s.lent),
            ("qmesh_rc_offers", "idle data processes offered to other coordinators", s.offers),
            ("qmesh_rc_offers_declined", "of those, not taken up", s.declined),
            ("qmesh_rc_stray_messages", "messages that fit no state", s.strays),
        ];
        for (name, help, value) in counters {
            let metric = ConstCounter::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        let gauges = [
            ("kxi_rc_queue_length", "portions that wait for a data process", s.queued as i64),
            ("kxi_rc_connected_daps", "data processes registered", s.daps as i64),
            ("kxi_rc_connected_aggs", "aggregators registered", s.aggs as i64),
            ("qmesh_rc_connected_gws", "gateways connected", s.gws as i64),
            ("qmesh_rc_connected_peers", "other coordinators connected", s.peers as i64),
            ("qmesh_rc_peer_daps", "data processes registered with them", s.peer_daps as i64),
            (
                "qmesh_rc_unlinked_daps",
                "data processes that were found ready and were never linked: what they hold is missing",
                s.unlinked as i64,
            ),
            ("qmesh_rc_reqs_kept", "requests not begun because of those", s.kept as i64),
            ("qmesh_rc_reqs_in_flight", "requests in flight", s.requests as i64),
            // A count, under the name that dashboards know, which has no `_total`.
            ("kxi_rc_retry_count", "portions and requests tried again since the start", s.retries as i64),
        ];
        for (name, help, value) in gauges {
            let metric = ConstGauge::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_dashboards_know_are_there() {
        let stats = Stats { accepted: 3, queued: 2, retries: 1, hedges: 4, peers: 2, ..Stats::default() };
        let (metrics, registry) = Metrics::new(Arc::new(move || stats), discovery::Shown::default());
        metrics.complete.observe(0.001);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "kxi_rc_reqs_total 3",
            "kxi_rc_queue_length 2",
            "kxi_rc_connected_daps 0",
            "kxi_rc_connected_aggs 0",
            "kxi_rc_retry_count 1",
            "kxi_rc_req_complete_time_count 1",
            "qmesh_rc_second_runs_total 4",
            "qmesh_rc_connected_peers 2",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in:\n{text}");
        }
    }
}
