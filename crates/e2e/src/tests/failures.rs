//! Passes that fail, on a real API server: what the status says, what stays, what goes on.

use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::{Outcome, expect};
use crate::gateway::Gateway;
use crate::runner::{Needs, Test};
use crate::world::Scene;

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "a child that the API server cannot take is told in its words, and none of a change by halves",
        needs: Needs::Any,
        run: refused,
    },
    Test {
        name: "what one role lacks holds neither kubectl scale nor other roles",
        needs: Needs::Any,
        run: held,
    },
    Test {
        name: "an admission webhook that is down is told, and its end heals the gateway",
        needs: Needs::Any,
        run: webhook,
    },
];

fn generation(g: &Gateway<'_>, role: &str) -> Outcome<Value> {
    let name = format!("{}-{role}", g.name);
    Ok(g.kube().get(g.namespace(), "deployments", &name)?["metadata"]["generation"].clone())
}

fn degraded(g: &Gateway<'_>, reasons: &[&str], part: &str) -> Outcome {
    let what = format!("Degraded says {part}");
    g.kube().until(&what, || {
        let told = g.condition("Degraded")?.filter(|one| one["status"] == "True");
        let told = told.filter(|one| reasons.iter().any(|reason| one["reason"] == *reason));
        Ok(told.and_then(|one| one["message"].as_str()?.contains(part).then_some(())))
    })
}

fn refused(scene: &Scene<'_>) -> Outcome {
    let g = Gateway::apply(scene, "g", &json!({}))?;
    g.settled()?;
    let before = generation(&g, "gw")?;
    // The schema of the resource has no word against it, the API server has.
    let toleration = json!({"key": "example.com/a", "operator": "Exists", "value": "b"});
    g.patch(json!({
        "gateway": {"podAnnotations": {"example.com/changed": "yes"}},
        "coordinator": {"tolerations": [toleration]},
    }))?;
    degraded(&g, &["Refused", "ApplyFailed"], "Deployment g-rc")?;
    std::thread::sleep(Duration::from_secs(3));
    let after = generation(&g, "gw")?;
    expect(before == after, || "the gateways were changed, and the coordinators were not".into())?;
    g.patch(json!({"coordinator": {"tolerations": null}}))?;
    g.wait_condition("Degraded", "False")?;
    g.settled()
}

fn held(scene: &Scene<'_>) -> Outcome {
    let g = Gateway::apply(scene, "g", &json!({}))?;
    g.settled()?;
    g.patch(json!({"gateway": {"envFrom": [{"configMapRef": {"name": "later"}}]}}))?;
    degraded(&g, &["MissingReference"], "'later' does not exist")?;
    g.kube().run(&["scale", "sgw/g", "-n", g.namespace(), "--replicas=2"])?;
    g.kube().until("two gateways run", || {
        let deployment = g.kube().get(g.namespace(), "deployments", "g-gw")?;
        Ok((deployment["status"]["readyReplicas"] == 2).then_some(()))
    })?;
    let before = generation(&g, "agg")?;
    g.patch(json!({"aggregator": {"podAnnotations": {"example.com/changed": "yes"}}}))?;
    g.kube().until("the aggregators roll", || Ok((generation(&g, "agg")? != before).then_some(())))?;
    g.kube().apply(&json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "later", "namespace": g.namespace()},
        "data": {"KXI_SG_MAX_RETRY": "2"},
    }))?;
    g.wait_condition("Degraded", "False")?;
    g.settled()
}

fn webhook(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let g = Gateway::apply(scene, "g", &json!({}))?;
    g.settled()?;
    let name = "qmesh-e2e-down";
    kube.apply(&json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [{
            "name": "down.qmesh.test", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "failurePolicy": "Fail", "timeoutSeconds": 2,
            "clientConfig": {"service": {"name": "nobody", "namespace": g.namespace()}},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": g.namespace()}},
            "rules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["deployments"]}],
        }],
    }))?;
    let done = (|| {
        g.patch(json!({"gateway": {"podAnnotations": {"example.com/changed": "yes"}}}))?;
        degraded(&g, &["ApplyFailed", "Refused"], "down.qmesh.test")
    })();
    kube.delete("", "validatingwebhookconfigurations", name)?;
    done?;
    g.wait_condition("Degraded", "False").map(|_| ())
}
