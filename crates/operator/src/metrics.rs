//! Metrics, all declared here.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// Bounds of the histogram of pass durations, seconds.
const SECONDS: [f64; 9] = [0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 3.0, 10.0, 30.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Call {
    verb: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Watched {
    kind: String,
}

/// Handles of all metrics; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    passes: Family<Outcome, Counter>,
    seconds: Histogram,
    calls: Family<Call, Counter>,
    watch_errors: Family<Watched, Counter>,
    in_flight: Gauge,
    children: Gauge,
    leader: Gauge,
    registry: Arc<Registry>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("qmesh_operator");
        let passes = Family::<Outcome, Counter>::default();
        let seconds = Histogram::new(SECONDS);
        let calls = Family::<Call, Counter>::default();
        let watch_errors = Family::<Watched, Counter>::default();
        let in_flight = Gauge::<i64, std::sync::atomic::AtomicI64>::default();
        let (children, leader) = (Gauge::default(), Gauge::default());
        registry.register("reconciles", "passes over a resource by outcome", passes.clone());
        registry.register("reconcile_seconds", "time of a pass", seconds.clone());
        registry.register(
            "api_calls",
            "calls to the API server by verb and result, watches aside",
            calls.clone(),
        );
        registry.register(
            "watch_errors",
            "watches that broke off and were begun again",
            watch_errors.clone(),
        );
        registry.register("reconciles_in_flight", "passes that run now", in_flight.clone());
        registry.register("children", "children that are known", children.clone());
        registry.register("leader", "1 while this operator works, 0 on standby", leader.clone());
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "version of the operator", build);
        Self {
            passes,
            seconds,
            calls,
            watch_errors,
            in_flight,
            children,
            leader,
            registry: Arc::new(registry),
        }
    }
}

impl Metrics {
    /// A pass ended.
    pub fn pass(&self, outcome: &'static str, took: Duration) {
        self.passes.get_or_create(&Outcome { outcome }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// A call ended.
    pub fn call(&self, verb: &'static str, result: &'static str) {
        self.calls.get_or_create(&Call { verb, result }).inc();
    }

    /// A watch broke off.
    pub fn watch_error(&self, kind: &str) {
        self.watch_errors.get_or_create(&Watched { kind: kind.into() }).inc();
    }

    /// A pass began (1) or ended (-1).
    pub fn in_flight(&self, by: i64) {
        self.in_flight.inc_by(by);
    }

    /// Children that are known.
    pub fn children(&self, count: usize) {
        self.children.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Whether this operator works.
    pub fn leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// As Prometheus reads it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail; what is there is shown either way.
        if let Err(error) = prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            tracing::warn!(%error, "metrics are not complete");
        }
        text
    }
}
