//! What a process shows of its sources: metrics, and lines of `/readyz?verbose`.

use std::{
    fmt::Error,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use link::Followed;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use crate::{Feed, Health};

/// Most places without a link that `/readyz?verbose` names.
const NAMED: usize = 10;

/// The sources of a process. Clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Shown(Arc<Mutex<Vec<Source>>>);

#[derive(Debug, Clone)]
struct Source {
    of: &'static str,
    feed: Feed,
    followed: Option<Followed>,
}

impl Shown {
    /// Shows a source of `of` (`rc`, `dap`), and how the links to its places fare.
    pub fn add(&self, of: &'static str, feed: Feed, followed: Option<Followed>) {
        self.sources().push(Source { of, feed, followed });
    }

    /// Lines for `/readyz?verbose`: each source, then the places that cannot be linked.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for Source { feed, followed, .. } in self.sources().iter() {
            lines.push(feed.health().line());
            let troubles = followed.as_ref().map(Followed::troubles).unwrap_or_default();
            let more = troubles.len().saturating_sub(NAMED);
            lines.extend(troubles.into_iter().take(NAMED).map(|t| format!("no link to {t}")));
            if more > 0 {
                lines.push(format!("no link to {more} more"));
            }
        }
        lines
    }

    fn sources(&self) -> MutexGuard<'_, Vec<Source>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Value = fn(&Health, usize, usize) -> u64;

const GAUGES: [(&str, &str, Value); 6] = [
    ("qmesh_discovery_endpoints", "processes found", |h, _, _| h.endpoints),
    ("qmesh_discovery_ready", "processes found that say they are ready", |h, _, _| h.ready),
    ("qmesh_discovery_linked", "processes found that are linked by a dial of this one", |_, linked, _| {
        linked as u64
    }),
    ("qmesh_discovery_unreachable", "processes found that cannot be linked", |_, _, t| t as u64),
    ("qmesh_discovery_stale", "1 where the source fails and the last known set is in use", |h, _, _| {
        u64::from(!h.fresh)
    }),
    ("qmesh_discovery_silent_seconds", "seconds since the source last said anything", |h, _, _| {
        h.silent_seconds
    }),
];

const COUNTERS: [(&str, &str, Value); 4] = [
    ("qmesh_discovery_lists", "whole lists read", |h, _, _| h.lists),
    ("qmesh_discovery_events", "single changes read", |h, _, _| h.events),
    ("qmesh_discovery_failures", "times a source failed", |h, _, _| h.failures),
    ("qmesh_discovery_quiet", "times a watch had gone quiet and was listed again", |h, _, _| h.quiet),
];

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let now: Vec<_> = self
            .sources()
            .iter()
            .map(|s| {
                let links = s.followed.as_ref();
                let linked = links.map_or(0, Followed::linked);
                (s.of, s.feed.health(), linked, links.map_or(0, |f| f.troubles().len()))
            })
            .collect();
        if now.is_empty() {
            return Ok(());
        }
        for (name, help, value) in GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (of, health, linked, troubles) in &now {
                let value = i64::try_from(value(health, *linked, *troubles)).unwrap_or(i64::MAX);
                ConstGauge::new(value).encode(family.encode_family(&[("of", *of)])?)?;
            }
        }
        for (name, help, value) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (of, health, linked, troubles) in &now {
                let value = value(health, *linked, *troubles);
                ConstCounter::new(value).encode(family.encode_family(&[("of", *of)])?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::*;
    use crate::feed::feed;

    #[test]
    fn a_source_that_fails_shows_in_metrics_and_lines() {
        let shown = Shown::default();
        let mut registry = Registry::default();
        registry.register_collector(Box::new(shown.clone()));
        let (publisher, feed) = feed("pods of test".into(), true);
        shown.add("rc", feed, None);
        publisher.failed("it is gone");
        let mut text = String::new();
        encode(&mut text, &registry).expect("text");
        for line in [
            "qmesh_discovery_stale{of=\"rc\"} 1",
            "qmesh_discovery_failures_total{of=\"rc\"} 1",
            "qmesh_discovery_endpoints{of=\"rc\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in:\n{text}");
        }
        assert!(shown.lines()[0].contains("it is gone"), "{:?}", shown.lines());
    }
}
