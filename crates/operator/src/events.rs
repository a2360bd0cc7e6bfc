//! Events on a resource: made when a condition changes, aggregated by the recorder, bounded in time. One that
//! cannot be written is a line of the log and nothing else.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use crate::metrics::Metrics;

/// What writing one may take.
const LIMIT: Duration = Duration::from_secs(5);
/// Longest note that the API server takes.
const LONGEST: usize = 1024;

/// Writes events.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
    metrics: Metrics,
}

impl Events {
    /// As the operator of this name.
    pub fn new(client: kube::Client, instance: String, metrics: Metrics) -> Self {
        let reporter = Reporter { controller: "qmesh-operator".into(), instance: Some(instance) };
        Self { recorder: Recorder::new(client, reporter), metrics }
    }

    /// Write one.
    pub async fn publish(&self, about: &ObjectReference, warning: bool, reason: &str, note: &str) {
        let mut note = note.to_owned();
        if note.len() > LONGEST {
            let end = (0..=LONGEST - 3).rev().find(|&at| note.is_char_boundary(at)).unwrap_or(0);
            note.truncate(end);
            note.push('…');
        }
        let event = Event {
            type_: if warning { EventType::Warning } else { EventType::Normal },
            reason: reason.into(),
            note: Some(note),
            action: "Reconcile".into(),
            secondary: None,
        };
        let written = tokio::time::timeout(LIMIT, self.recorder.publish(&event, about)).await;
        let result = match &written {
            Ok(Ok(())) => "ok",
            Ok(Err(_)) => "api",
            Err(_) => "timeout",
        };
        self.metrics.call("event", result);
        if !matches!(written, Ok(Ok(()))) {
            tracing::info!(reason, result, object = about.name, "an event was not written");
        }
    }
}
