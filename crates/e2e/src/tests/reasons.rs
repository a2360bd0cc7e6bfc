//! Why pods of a gateway are not ready, told in its status; and what Ready means.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::failure::{Failure, Outcome, expect};
use crate::gateway::Gateway;
use crate::runner::{Needs, Test};
use crate::world::Scene;

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "why pods do not start is in the status within seconds, and goes when it is mended",
        needs: Needs::Any,
        run: reasons,
    },
    Test {
        name: "Ready is True where clients are answered with data, and kubectl shows it",
        needs: Needs::Any,
        run: ready,
    },
];

/// How soon the status must say it.
const SOON: Duration = Duration::from_secs(20);

/// Wait until Degraded is True and its message holds all of these.
fn told(g: &Gateway<'_>, parts: &[&str]) -> Outcome {
    let begun = Instant::now();
    loop {
        let degraded = g.condition("Degraded")?.unwrap_or_default();
        let message = degraded["message"].as_str().unwrap_or_default();
        if degraded["status"] == "True" && parts.iter().all(|part| message.contains(part)) {
            return Ok(());
        }
        if begun.elapsed() > SOON {
            return Err(Failure(format!("Degraded without {parts:?} after {SOON:?}: {degraded}")));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn reasons(scene: &Scene<'_>) -> Outcome {
    let g = Gateway::apply(scene, "g", &json!({}))?;
    g.settled()?;
    // Each with a pod's name, and its own cause; the pods of before go on.
    g.patch(json!({"aggregator": {"image": "qmesh.test/no-such-image:1"}}))?;
    told(&g, &["pod g-agg-", "ErrImagePull", "qmesh.test/no-such-image:1"])?;
    expect(g.condition("Ready")?.unwrap_or_default()["status"] == "False", || {
        "it is Ready beside a failing pod".into()
    })?;
    g.patch(json!({"aggregator": {"image": null}, "gateway": {"env": [{"name": "KXI_SG_TIMEOUT", "value": "abc"}]}}))?;
    told(&g, &["pod g-gw-", "exit code", "KXI_SG_TIMEOUT"])?;
    g.patch(json!({"gateway": {"env": null}, "coordinator": {"nodeSelector": {"example.com/no": "node"}}}))?;
    told(&g, &["pod g-rc-", "Unschedulable"])?;
    g.patch(json!({"coordinator": {"nodeSelector": null}}))?;
    g.wait_condition("Degraded", "False")?;
    // Of an autoscaler over pods that request nothing; no metrics are served here either.
    g.patch(json!({"gateway": {"replicas": null, "autoscaling": {"maxReplicas": 3}, "resources": {"requests": {"cpu": "10m"}}}}))?;
    told(&g, &["gw: FailedGetResourceMetric"])
}

fn ready(scene: &Scene<'_>) -> Outcome {
    let g = Gateway::apply(scene, "g", &json!({}))?;
    g.settled()?;
    let without = g.condition("Ready")?.unwrap_or_default();
    expect(without["status"] == "False" && without["reason"] == "NoPods", || {
        format!("without data: {without}")
    })?;
    let shown = g.kube().run(&["get", "sgw", "g", "-n", g.namespace()])?;
    let columns = ["READY", "REASON", "DATA", "NoPods"];
    expect(columns.iter().all(|column| shown.contains(column)), || shown.clone())?;
    g.with_data()?;
    g.kube().run(&["wait", "sgw/g", "-n", g.namespace(), "--for=condition=Ready", "--timeout=60s"])?;
    let stalled = g.condition("Stalled")?.unwrap_or_default();
    expect(stalled["status"] == "False", || stalled.to_string())?;
    g.patch(json!({"licenseSecret": {"name": "nowhere"}}))?;
    g.wait_condition("Stalled", "True")?;
    let blocked = g.condition("Ready")?.unwrap_or_default();
    expect(blocked["status"] == "False" && blocked["reason"] == "MissingReference", || blocked.to_string())
}
