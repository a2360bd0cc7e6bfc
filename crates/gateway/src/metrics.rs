//! Every metric of the gateway: names of spec §8.4, and its own under `qmesh_gw_`.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use sg::codes::Rc;

use crate::unheard::Unheard;

/// Label of failures.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Code {
    /// name of the return code
    rc: &'static str,
}

/// The gateway's metrics. Clones share their values.
#[derive(Clone, Default)]
pub(crate) struct Metrics {
    /// QIPC requests taken
    pub ipc_requests: Counter,
    /// QIPC responses given
    pub ipc_responses: Counter,
    /// REST requests taken
    pub http_requests: Counter,
    /// REST responses given
    pub http_responses: Counter,
    /// requests in flight
    pub pending: Gauge,
    /// linked Aggs
    pub aggregators: Gauge,
    /// linked RCs
    pub coordinators: Gauge,
    /// connected QIPC clients
    pub clients: Gauge,
    /// failures by return code
    pub failures: Family<Code, Counter>,
    /// requests refused because no RC was ready
    pub refused: Counter,
    /// requests that were no call
    pub malformed: Counter,
    /// failures that no reply could carry
    pub unheard: Unheard,
    /// answers that nobody waited for
    pub late: Counter,
    /// answers cut after their first byte went to the client
    pub cut: Counter,
    /// requests given up because their client had gone
    pub gone: Counter,
    /// answers that left compressed
    pub compressed: Counter,
    /// requests sent again to another RC
    pub resent: Counter,
    /// seconds from request to answer
    pub seconds: Seconds,
}

/// A histogram of times, with a default.
#[derive(Clone)]
pub(crate) struct Seconds(Histogram);

impl Default for Seconds {
    fn default() -> Self {
        // 0.1 ms to 26 s
        Seconds(Histogram::new(exponential_buckets(1e-4, 4.0, 10)))
    }
}

impl Metrics {
    /// Fresh metrics and the registry that serves them.
    pub(crate) fn new(sources: discovery::Shown) -> (Metrics, Arc<Registry>) {
        let m = Metrics::default();
        let mut r = Registry::default();
        r.register_collector(Box::new(sources));
        r.register("kxi_sg_ipc_requests", "QIPC requests", m.ipc_requests.clone());
        r.register("kxi_sg_ipc_responses", "QIPC responses", m.ipc_responses.clone());
        r.register("kxi_sg_http_requests", "REST requests", m.http_requests.clone());
        r.register("kxi_sg_http_responses", "REST responses", m.http_responses.clone());
        r.register("kxi_sg_pending", "requests in flight", m.pending.clone());
        r.register("kxi_sg_connected_aggregators", "linked aggregators", m.aggregators.clone());
        r.register("kxi_sg_connected_coordinators", "linked coordinators", m.coordinators.clone());
        r.register("kxi_sg_connected_clients", "connected QIPC clients", m.clients.clone());
        r.register("qmesh_gw_failures", "answers with a return code other than OK", m.failures.clone());
        r.register(
            "qmesh_gw_refused",
            "requests refused because no coordinator was ready",
            m.refused.clone(),
        );
        r.register("qmesh_gw_malformed", "requests that were no call", m.malformed.clone());
        r.register(
            "qmesh_gw_unheard_failures",
            "asynchronous requests that failed and whose senders could not be told",
            m.unheard.count.clone(),
        );
        r.register("qmesh_gw_late_answers", "answers that nobody waited for any more", m.late.clone());
        r.register("qmesh_gw_cut_answers", "answers cut after their first byte", m.cut.clone());
        r.register("qmesh_gw_client_gone", "requests given up because their client had gone", m.gone.clone());
        r.register("qmesh_gw_compressed", "answers that left compressed", m.compressed.clone());
        r.register("qmesh_gw_resent", "requests sent again to another coordinator", m.resent.clone());
        r.register("qmesh_gw_request_seconds", "time from request to answer", m.seconds.0.clone());
        (m, Arc::new(r))
    }

    /// Counts a request.
    pub(crate) fn asked(&self, is_rest: bool) {
        match is_rest {
            true => self.http_requests.inc(),
            false => self.ipc_requests.inc(),
        };
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, is_rest: bool, elapsed: Duration, rc: Rc) {
        match is_rest {
            true => self.http_responses.inc(),
            false => self.ipc_responses.inc(),
        };
        self.seconds.0.observe(elapsed.as_secs_f64());
        if rc != Rc::OK {
            self.failures.get_or_create(&Code { rc: rc.name() }).inc();
        }
    }
}
