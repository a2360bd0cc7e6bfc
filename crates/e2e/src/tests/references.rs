//! What pods refer to, in whatever field: missing, it is named; changed, exactly the roles roll that use it. And what
//! follows from a memory limit.

use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::{Failure, Outcome, expect};
use crate::gateway::Gateway;
use crate::runner::{Needs, Test};
use crate::world::Scene;

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "a ConfigMap of a further volume is missed by name, and a change to it rolls that role alone",
        needs: Needs::Any,
        run: volume,
    },
    Test {
        name: "a Secret of a sidecar's variable is missed by name, and a change to it rolls that role alone",
        needs: Needs::Any,
        run: sidecar,
    },
    Test {
        name: "a memory limit reaches the processes, which also run as a user of the image's choice",
        needs: Needs::Any,
        run: memory,
    },
];

/// Generations of the three Deployments, which move when the operator changes them.
fn generations(g: &Gateway<'_>) -> Outcome<[Value; 3]> {
    let of = |role| Ok::<Value, Failure>(g.get("deployments", role)?["metadata"]["generation"].clone());
    Ok([of("gw")?, of("rc")?, of("agg")?])
}

/// Wait until a missing object is said to be missing.
fn missed(g: &Gateway<'_>, sentence: &str) -> Outcome {
    g.kube().until(&format!("Degraded says `{sentence}`"), || {
        let degraded = g.condition("Degraded")?.unwrap_or_default();
        let is = degraded["status"] == "True"
            && degraded["reason"] == "MissingReference"
            && degraded["message"].as_str().is_some_and(|message| message.contains(sentence));
        expect(is, || degraded.to_string()).map(Some)
    })
}

/// Wait until the Deployment at `at` has changed, and see that the others have not.
fn only_rolls(g: &Gateway<'_>, at: usize, before: &[Value; 3]) -> Outcome {
    g.kube().until("the role that uses it rolls", || {
        let now = generations(g)?;
        expect(now[at] != before[at], || format!("still {now:?}")).map(Some)
    })?;
    // Another that rolled in the same pass would be a moment later.
    g.scene.watch_for(Duration::from_secs(2));
    let now = generations(g)?;
    let others = (0..3).filter(|other| *other != at).all(|other| now[other] == before[other]);
    expect(others, || format!("others rolled too: {before:?}, then {now:?}"))
}

fn volume(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let config = |value: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "extra", "namespace": scene.namespace}, "data": {"setting": value},
        })
    };
    let volume = json!({
        "name": "extra",
        "projected": {"sources": [{"configMap": {"name": "extra", "items": [{"key": "setting", "path": "s"}]}}]},
    });
    let g = Gateway::apply(
        scene,
        "g",
        &json!({"gateway": {
            "extraVolumes": [volume], "extraVolumeMounts": [{"name": "extra", "mountPath": "/extra"}],
        }}),
    )?;
    missed(
        &g,
        "spec.gateway.extraVolumes[0].projected.sources[0].configMap: ConfigMap 'extra' does not exist",
    )?;
    kube.apply(&config("one"))?;
    g.settled()?;
    g.wait_condition("Degraded", "False")?;
    let before = generations(&g)?;
    kube.apply(&config("two"))?;
    only_rolls(&g, 0, &before)?;
    g.settled()?;
    // A key that goes is told, and the pods that run are left alone.
    kube.patch(g.namespace(), "configmaps", "extra", &json!({"data": {"setting": null, "other": "x"}}))?;
    missed(&g, "ConfigMap 'extra' has no key 'setting'; it has other")
}

fn sidecar(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let secret = |value: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "token", "namespace": scene.namespace}, "stringData": {"token": value},
        })
    };
    let variable = json!({"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "token"}}});
    // The sidecar itself ends at once, for want of an address: what rolls is seen on the Deployments.
    let image = scene.world.image("qmesh-agg");
    let g = Gateway::apply(
        scene,
        "g",
        &json!({"coordinator": {"sidecar": {"image": image, "env": [variable]}}}),
    )?;
    missed(&g, "spec.coordinator.sidecar.env[0].valueFrom.secretKeyRef: Secret 'token' does not exist")?;
    kube.apply(&secret("one"))?;
    let before = kube.until("all Deployments are made", || Ok(generations(&g).ok()))?;
    kube.apply(&secret("two"))?;
    only_rolls(&g, 1, &before)
}

fn memory(scene: &Scene<'_>) -> Outcome {
    let limited = json!({"resources": {"limits": {"memory": "512Mi"}}});
    let g = Gateway::apply(
        scene,
        "g",
        &json!({"gateway": limited, "aggregator": limited, "podSecurity": {"user": "FromNamespace"}}),
    )?;
    g.settled()?;
    for (role, name, wanted) in [
        ("aggregator", "QMESH_AGG_MEMORY", "384M"),
        ("aggregator", "QMESH_AGG_EARLY_BYTES", "96M"),
        ("sg-gateway", "QMESH_GW_JSON_MEMORY", "256M"),
        ("sg-gateway", "QMESH_GW_MAX_JSON", "64M"),
    ] {
        let pods = g.pods(&format!("app.kubernetes.io/name={role},app.kubernetes.io/instance=g"))?;
        let pod = pods.first().ok_or_else(|| Failure(format!("no pod of {role}")))?;
        expect(pod["spec"]["securityContext"]["runAsUser"].is_null(), || pod["spec"].to_string())?;
        let variables = pod["spec"]["containers"][0]["env"].as_array().cloned().unwrap_or_default();
        let found = variables.iter().find(|variable| variable["name"] == name);
        let value = found.map(|variable| &variable["value"]);
        expect(value == Some(&json!(wanted)), || format!("{name} is {value:?}, not {wanted}"))?;
    }
    Ok(())
}
