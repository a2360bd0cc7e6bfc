//! Metrics of a DAP, under kdb Insights' names where kdb Insights has a name.

use std::{
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use sg::Purview;

/// The DAP's metrics. Cloning shares them.
#[derive(Clone)]
pub struct Metrics {
    requests: Counter,
    failed: Counter,
    time: Histogram,
    purview_start: Gauge<i64, AtomicI64>,
    purview_end: Gauge<i64, AtomicI64>,
    /// batches received by `upd`
    pub stream_msgs: Counter,
    /// rows received by `upd`
    pub stream_records: Counter,
    /// rows refused because an older tier serves their time
    pub late_records: Counter,
    /// rows refused because their time is infinite
    pub infinite_records: Counter,
    /// batches refused whole
    pub refused_msgs: Counter,
    /// position in the tickerplant's log
    pub stream_pos: Gauge<i64, AtomicI64>,
    /// days of tables that have ended and are not on disk
    pub unsaved_days: Gauge<i64, AtomicI64>,
    /// rows left after a purge
    pub records_after_purge: Gauge<i64, AtomicI64>,
}

impl Default for Metrics {
    fn default() -> Self {
        // From 50 microseconds to a minute and a half.
        let buckets = std::iter::successors(Some(5e-5), |b| Some(b * 3.0)).take(14);
        Metrics {
            requests: Counter::default(),
            failed: Counter::default(),
            time: Histogram::new(buckets),
            purview_start: Gauge::default(),
            purview_end: Gauge::default(),
            stream_msgs: Counter::default(),
            stream_records: Counter::default(),
            late_records: Counter::default(),
            infinite_records: Counter::default(),
            refused_msgs: Counter::default(),
            stream_pos: Gauge::default(),
            unsaved_days: Gauge::default(),
            records_after_purge: Gauge::default(),
        }
    }
}

impl Metrics {
    /// A portion or direct call ended.
    pub fn executed(&self, took: Duration, ok: bool) {
        self.requests.inc();
        if !ok {
            self.failed.inc();
        }
        self.time.observe(took.as_secs_f64());
    }

    /// Shows what is covered: the earliest start and the latest end of all tables.
    pub fn show(&self, purview: &Purview) {
        let ranges = || purview.tables.iter().map(|t| t.range);
        self.purview_start.set(ranges().map(|r| r.start()).min().unwrap_or_default());
        self.purview_end.set(ranges().map(|r| r.end()).max().unwrap_or_default());
    }

    /// All of them, to be scraped.
    pub fn registry(&self) -> Arc<Registry> {
        let mut r = Registry::default();
        let m = self.clone();
        r.register("kxi_da_requests", "portions and direct calls executed", m.requests);
        r.register("kxi_da_failed_requests", "those that failed", m.failed);
        r.register("kxi_da_request_time", "seconds a portion took", m.time);
        r.register("kxi_da_purview_start", "earliest instant covered, ns since 2000.01.01", m.purview_start);
        r.register("kxi_da_purview_end", "end of what is covered, ns since 2000.01.01", m.purview_end);
        r.register("kxi_da_stream_msgs", "batches received", m.stream_msgs);
        r.register("kxi_da_stream_records", "rows received", m.stream_records);
        r.register("qmesh_da_late_records", "rows refused as an older tier's", m.late_records);
        r.register("qmesh_da_infinite_records", "rows refused for an infinite time", m.infinite_records);
        r.register("qmesh_da_refused_msgs", "batches refused whole", m.refused_msgs);
        r.register(
            "qmesh_da_unsaved_days",
            "days of tables that ended and are in memory only",
            m.unsaved_days,
        );
        r.register("kxi_da_stream_pos", "messages taken from the tickerplant", m.stream_pos);
        r.register("kxi_da_records_after_purge", "rows left after a purge", m.records_after_purge);
        Arc::new(r)
    }
}
