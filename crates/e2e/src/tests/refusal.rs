//! What the API server refuses, and the sentence that it says.

use serde_json::{Value, json};

use crate::failure::{Outcome, expect};
use crate::gateway::Gateway;
use crate::runner::{Needs, Test};
use crate::world::Scene;

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "invalid resources are refused with a sentence that helps",
        needs: Needs::Any,
        run: invalid,
    },
    Test { name: "what must not change is refused when it is changed", needs: Needs::Any, run: immutable },
    Test { name: "kubectl explain knows every field", needs: Needs::Any, run: explain },
];

fn invalid(scene: &Scene<'_>) -> Outcome {
    scene.world.operator()?;
    let auto = |min: i64, max: i64| json!({"minReplicas": min, "maxReplicas": max});
    let cases: Vec<(Value, &str)> = vec![
        (json!({"gateway": {"replicas": 2, "autoscaling": auto(1, 2)}}), "exclude each other"),
        (
            json!({"gateway": {"resources": {"requests": {"cpu": "1"}}, "autoscaling": auto(3, 2)}}),
            "minReplicas must not be greater",
        ),
        (json!({"gateway": {"replicas": -1}}), "greater than or equal to 0"),
        (json!({"gateway": {"replicas": "many"}}), "spec.gateway.replicas"),
        (json!({"service": {"qipcPort": 8080, "httpPort": 8080}}), "three different ports"),
        (json!({"service": {"type": "ClusterIP", "qipcNodePort": 30000}}), "NodePort or LoadBalancer"),
        (json!({"service": {"type": "Door"}}), "Unsupported value"),
        (json!({"customCode": {}}), "exactly one of configMap, claim and image"),
        (json!({"auth": {}}), "exactly one of keycloak, ipc and http"),
        // Not a pod that would not start.
        (json!({"auth": {"ipc": {"host": "h"}}}), "this version cannot authenticate"),
        (json!({"tls": {"secretName": "s"}}), "this version has no TLS"),
        (json!({"timeouts": {"requestMs": 0}}), "greater than or equal to 1"),
        (json!({"image": {"repository": "x", "tag": "not a tag"}}), "spec.image.tag"),
        (json!({"monitoring": {"podMonitor": {"interval": "often"}}}), "interval"),
        (json!({"nothing": true}), "spec.nothing"),
    ];
    for (spec, sentence) in &cases {
        let object = Gateway { scene, name: "g".into() }.object(spec);
        let reply = scene.kube().try_apply(&object)?;
        expect(reply.status >= 400 && reply.body.contains(sentence), || {
            format!("{spec}: status {}, not the sentence `{sentence}`: {}", reply.status, reply.body)
        })?;
    }
    let mut nameless = Gateway { scene, name: "1st".into() }.object(&json!({}));
    let reply = scene.kube().try_apply(&nameless)?;
    expect(reply.body.contains("must start with a letter"), || reply.body)?;
    nameless["metadata"]["name"] = json!("g");
    nameless.as_object_mut().map(|object| object.remove("spec"));
    let reply = scene.kube().try_apply(&nameless)?;
    expect(reply.body.contains("asks for all defaults"), || reply.body)
}

fn immutable(scene: &Scene<'_>) -> Outcome {
    let g = Gateway::apply(scene, "g", &json!({}))?;
    let change = json!({"spec": {"meshSecret": {"mode": "None"}}});
    let reply = scene.kube().try_patch(g.namespace(), "servicegateways", "g", &change)?;
    expect(reply.status == 422 && reply.body.contains("cannot be changed"), || reply.body)
}

fn explain(scene: &Scene<'_>) -> Outcome {
    scene.world.operator()?;
    // Inside the types of Kubernetes itself, its own pages explain.
    for field in ["", ".spec", ".spec.gateway", ".spec.service", ".spec.discovery", ".spec.image", ".status"]
    {
        let asked = format!("sgw{field}");
        let told = scene.kube().run(&["explain", &asked])?;
        expect(!told.contains("<no description>"), || format!("{asked} has fields without a word:\n{told}"))?;
    }
    Ok(())
}
