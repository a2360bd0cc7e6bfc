//! The Agg's metrics, declared once.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::core::{Dropped, Snapshot};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    why: &'static str,
}

/// All of them.
pub(crate) struct Metrics {
    /// time in aggregation functions
    pub(crate) fn_time: Histogram,
    /// plans taken from RCs
    pub(crate) requests: Counter,
    /// partials taken
    pub(crate) partials: Counter,
    /// bytes of partials taken
    pub(crate) partial_bytes: Counter,
    /// requests answered with a failure
    pub(crate) failures: Counter,
    /// answers that could not be handed to their GW
    pub(crate) undelivered: Counter,
    dropped: Family<Why, Counter>,
    outstanding: Gauge,
    held: Gauge,
    early: Gauge,
    /// large answers under way
    pub(crate) streams: Gauge,
    /// RCs linked
    pub(crate) coordinators: Gauge,
    /// DAPs linked
    pub(crate) daps: Gauge,
    /// GWs linked
    pub(crate) gateways: Gauge,
}

impl Metrics {
    /// Registered under the names they are known by.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        // 50 µs to 26 s, each bucket three times as long as the one before.
        let buckets = (0..13).map(|i| 50e-6 * 3f64.powi(i));
        let m = Metrics {
            fn_time: Histogram::new(buckets),
            requests: Counter::default(),
            partials: Counter::default(),
            partial_bytes: Counter::default(),
            failures: Counter::default(),
            undelivered: Counter::default(),
            dropped: Family::default(),
            outstanding: Gauge::default(),
            held: Gauge::default(),
            early: Gauge::default(),
            streams: Gauge::default(),
            coordinators: Gauge::default(),
            daps: Gauge::default(),
            gateways: Gauge::default(),
        };
        registry.register("kxi_agg_fn_time", "seconds in aggregation functions", m.fn_time.clone());
        registry.register("kxi_agg_ipc_reqs", "requests planned for this aggregator", m.requests.clone());
        registry.register("qmesh_agg_partials", "partials taken", m.partials.clone());
        registry.register_with_unit(
            "qmesh_agg_partials",
            "bytes of partials taken",
            Unit::Bytes,
            m.partial_bytes.clone(),
        );
        registry.register("qmesh_agg_failures", "requests answered with a failure", m.failures.clone());
        registry.register(
            "qmesh_agg_undelivered",
            "answers that could not be handed to their gateway",
            m.undelivered.clone(),
        );
        registry.register(
            "qmesh_agg_partials_dropped",
            "partials not taken: late, duplicate, unknown, early_full, retryable, stale",
            m.dropped.clone(),
        );
        registry.register(
            "qmesh_agg_outstanding",
            "requests collecting, aggregating or being answered",
            m.outstanding.clone(),
        );
        registry.register_with_unit("qmesh_agg_held", "bytes of partials held", Unit::Bytes, m.held.clone());
        registry.register_with_unit(
            "qmesh_agg_early",
            "bytes of partials that wait for their plan",
            Unit::Bytes,
            m.early.clone(),
        );
        registry.register("qmesh_agg_streams", "large answers under way", m.streams.clone());
        registry.register("qmesh_agg_connected_coordinators", "coordinators linked", m.coordinators.clone());
        registry.register("qmesh_agg_connected_daps", "data processes linked", m.daps.clone());
        registry.register("qmesh_agg_connected_gateways", "gateways linked", m.gateways.clone());
        m
    }

    /// Counts a partial that was not taken.
    pub(crate) fn dropped(&self, why: Dropped) {
        let why = match why {
            Dropped::Late => "late",
            Dropped::Duplicate => "duplicate",
            Dropped::Unknown => "unknown",
            Dropped::EarlyFull => "early_full",
            Dropped::Retryable => "retryable",
            Dropped::Stale => "stale",
        };
        self.dropped.get_or_create(&Why { why }).inc();
    }

    /// Shows what the core holds.
    pub(crate) fn show(&self, now: Snapshot) {
        let set = |gauge: &Gauge, n: usize| _ = gauge.set(i64::try_from(n).unwrap_or(i64::MAX));
        set(&self.outstanding, now.outstanding);
        set(&self.held, now.held);
        set(&self.early, now.early);
    }
}
