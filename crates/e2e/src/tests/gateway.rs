//! A `ServiceGateway` in its life: made, changed, broken, paused, deleted.

use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::{Failure, Outcome, expect};
use crate::gateway::Gateway;
use crate::objects::TRADES;
use crate::runner::{Needs, Test};
use crate::world::Scene;

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "a minimal resource becomes a gateway that answers with real data of two data processes",
        needs: Needs::Any,
        run: minimal,
    },
    Test {
        name: "without the right to read pods all find the coordinators by their address",
        needs: Needs::Any,
        run: by_address,
    },
    Test { name: "kubectl scale changes the gateways alone", needs: Needs::Any, run: scale },
    Test {
        name: "an autoscaler is given the replicas, and gives them back",
        needs: Needs::Any,
        run: autoscaler,
    },
    Test { name: "children that are edited or deleted are repaired", needs: Needs::Any, run: repair },
    Test { name: "a child that the spec no longer asks for goes", needs: Needs::Any, run: option_removed },
    Test {
        name: "a missing or wrong secret is a condition and an event, and heals",
        needs: Needs::Any,
        run: secrets,
    },
    Test { name: "a paused resource is left alone until it goes on", needs: Needs::Any, run: pause },
    Test { name: "a deleted resource leaves nothing behind", needs: Needs::Any, run: deleted },
    Test {
        name: "two gateways in one namespace each answer from their own data",
        needs: Needs::Any,
        run: two,
    },
    Test {
        name: "a selector that takes in another gateway's data is a condition, and heals",
        needs: Needs::Any,
        run: overlap,
    },
    Test { name: "objects of others with our names are not taken over", needs: Needs::Any, run: foreign },
    Test { name: "a name at the length limit works", needs: Needs::Any, run: longest_name },
    Test {
        name: "a changed config map or secret rolls the pods that use it and no others",
        needs: Needs::Any,
        run: config_change,
    },
];

/// Kinds of which a gateway has children.
const KINDS: [&str; 10] = [
    "deployments",
    "services",
    "serviceaccounts",
    "secrets",
    "roles",
    "rolebindings",
    "poddisruptionbudgets",
    "horizontalpodautoscalers",
    "networkpolicies",
    "pods",
];

fn minimal(scene: &Scene<'_>) -> Outcome {
    let g = Gateway::apply(scene, "g", &json!({}))?;
    g.settled()?;
    // Without data: the resource says it, and so does the answer.
    let told = g.wait_condition("DataAccess", "False")?;
    expect(!told["message"].as_str().unwrap_or_default().is_empty(), || format!("{told}"))?;
    let answer = g.count()?;
    expect(answer.rc == 58, || format!("without data: {answer:?}"))?;
    g.with_data()?;
    g.wait_condition("DataAccess", "True")?;
    // What the page about Kubernetes shows.
    println!("{}", scene.kube().run(&["get", "sgw", "-n", &scene.namespace])?.trim_end());
    Ok(())
}

fn by_address(scene: &Scene<'_>) -> Outcome {
    let g = Gateway::apply(scene, "g", &json!({"discovery": {"method": "Address"}}))?;
    g.settled()?;
    for kind in ["roles", "rolebindings"] {
        let found = scene.kube().find(g.namespace(), kind, &g.child("pod-reader"))?;
        expect(found.is_none(), || format!("{kind} are there though nobody reads pods"))?;
    }
    g.registering_data("da-emea", "region=emea", 1)?;
    g.registering_data("da-amer", "region=amer", 1)?;
    g.answers(2 * TRADES)
}

fn scale(scene: &Scene<'_>) -> Outcome {
    let g = Gateway::apply(scene, "g", &json!({}))?;
    g.settled()?;
    scene.kube().run(&["scale", "sgw/g", "--replicas=2", "-n", &scene.namespace])?;
    scene.kube().until("two gateways are ready", || {
        Ok((g.get("deployments", "gw")?["status"]["readyReplicas"] == 2).then_some(()))
    })?;
    for role in ["rc", "agg"] {
        let wanted = g.get("deployments", role)?["spec"]["replicas"].clone();
        expect(wanted == 1, || format!("{role} has {wanted} replicas"))?;
    }
    scene.kube().until("the status says two", || Ok((g.read()?["status"]["replicas"] == 2).then_some(())))
}

fn autoscaler(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let g = Gateway::apply(scene, "g", &json!({"gateway": {"replicas": 2}}))?;
    g.settled()?;
    let auto = json!({"gateway": {"replicas": null, "autoscaling": {"minReplicas": 1, "maxReplicas": 4}, "resources": {"requests": {"cpu": "10m"}}}});
    g.patch(auto)?;
    kube.until("there is an autoscaler", || {
        kube.find(g.namespace(), "horizontalpodautoscalers", &g.child("gw"))
    })?;
    // The number stays as it was, and what an autoscaler sets stays too.
    g.settled()?;
    let replicas =
        |g: &Gateway<'_>| Ok::<Value, Failure>(g.get("deployments", "gw")?["spec"]["replicas"].clone());
    let kept = replicas(&g)?;
    expect(kept == 2, || format!("the hand-over made {kept} of two replicas"))?;
    kube.run(&["scale", "deployment/g-gw", "--replicas=3", "-n", g.namespace()])?;
    g.patch(json!({"gateway": {"podAnnotations": {"touched": "yes"}}}))?;
    g.settled()?;
    let kept = replicas(&g)?;
    expect(kept == 3, || format!("{kept} replicas: the operator has set what the autoscaler owns"))?;
    g.patch(json!({"gateway": {"replicas": 1, "autoscaling": null}}))?;
    kube.until("the autoscaler is gone and there is one gateway", || {
        let gone = kube.find(g.namespace(), "horizontalpodautoscalers", &g.child("gw"))?.is_none();
        Ok((gone && replicas(&g)? == 1).then_some(()))
    })
}

fn repair(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let g = Gateway::apply(scene, "g", &json!({}))?;
    // Deployments are applied last.
    for role in ["gw", "rc", "agg"] {
        kube.until("the children are made", || kube.find(g.namespace(), "deployments", &g.child(role)))?;
    }
    let ns = g.namespace();
    let kinds = ["deployments", "services", "serviceaccounts"];
    for kind in kinds {
        let before = g.get(kind, "rc")?["metadata"]["uid"].clone();
        kube.delete(ns, kind, &g.child("rc"))?;
        kube.until(&format!("{kind} g-rc is made again"), || {
            let found = kube.find(ns, kind, &g.child("rc"))?;
            Ok(found
                .filter(|f| f["metadata"]["uid"] != before && f["metadata"]["deletionTimestamp"].is_null()))
        })?;
    }
    kube.patch(ns, "deployments", "g-agg", &json!({"spec": {"replicas": 3}}))?;
    kube.patch(ns, "services", "g-gw", &json!({"spec": {"selector": {"app.kubernetes.io/name": "nobody"}}}))?;
    let reader = json!({"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]});
    kube.patch(ns, "roles", "g-pod-reader", &reader)?;
    kube.until("edits are undone", || {
        let replicas = g.get("deployments", "agg")?["spec"]["replicas"] == 1;
        let selector = g.get("services", "gw")?["spec"]["selector"]["app.kubernetes.io/name"] == "sg-gateway";
        let rules = g.get("roles", "pod-reader")?["rules"][0]["resources"] == json!(["pods"]);
        Ok((replicas && selector && rules).then_some(()))
    })?;
    // What others add beside our fields is theirs.
    kube.patch(ns, "services", "g-gw", &json!({"metadata": {"annotations": {"example.com/mine": "kept"}}}))?;
    g.patch(json!({"service": {"annotations": {"example.com/ours": "set"}}}))?;
    kube.until("our annotation is there beside theirs", || {
        let found = g.get("services", "gw")?["metadata"]["annotations"].clone();
        Ok((found["example.com/ours"] == "set" && found["example.com/mine"] == "kept").then_some(()))
    })
}

fn option_removed(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let g = Gateway::apply(scene, "g", &json!({"gateway": {"replicas": 2}}))?;
    let count =
        |kind: &str| kube.list(g.namespace(), kind, "app.kubernetes.io/instance=g").map(|all| all.len());
    kube.until("there are policies and a disruption budget", || {
        Ok((count("networkpolicies")? > 0 && count("poddisruptionbudgets")? > 0).then_some(()))
    })?;
    g.patch(json!({"networkPolicy": {"enabled": false}, "gateway": {"replicas": 1}}))?;
    kube.until("policies and budgets that nothing asks for are gone", || {
        Ok((count("networkpolicies")? == 0).then_some(()))
    })
}

fn secrets(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let ns = scene.namespace.as_str();
    let g = Gateway::apply(scene, "g", &json!({"licenseSecret": {"name": "licence"}}))?;
    let named = |condition: &Value| condition["message"].as_str().is_some_and(|m| m.contains("licence"));
    let degraded = g.wait_condition("Degraded", "True")?;
    expect(named(&degraded), || format!("no word of the secret: {degraded}"))?;
    kube.until("an event says it too", || {
        let events = kube.list(ns, "events", "")?;
        let told = |event: &Value| {
            let about = event["involvedObject"]["kind"] == "ServiceGateway"
                || event["regarding"]["kind"] == "ServiceGateway";
            about && event["type"] == "Warning" && event.to_string().contains("licence")
        };
        Ok(events.iter().any(told).then_some(()))
    })?;
    let secret = |key: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "licence", "namespace": ns},
            "stringData": {key: "bm90IGEgbGljZW5jZQ=="},
        })
    };
    kube.apply(&secret("wrong-key"))?;
    kube.until("the condition names the key", || {
        let condition = g.condition("Degraded")?.unwrap_or_default();
        let message = condition["message"].as_str().unwrap_or_default().to_string();
        Ok((condition["status"] == "True" && message.contains("license")).then_some(()))
    })?;
    kube.delete(ns, "secrets", "licence")?;
    kube.apply(&secret("license"))?;
    g.wait_condition("Degraded", "False")?;
    g.settled()
}

fn pause(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let g = Gateway::apply(scene, "g", &json!({}))?;
    g.settled()?;
    g.patch(json!({"paused": true}))?;
    g.wait_condition("Paused", "True")?;
    kube.delete(g.namespace(), "services", "g-gw")?;
    g.patch(json!({"gateway": {"replicas": 2}}))?;
    scene.watch_for(Duration::from_secs(4));
    let there = kube.find(g.namespace(), "services", "g-gw")?;
    expect(there.is_none(), || "a paused resource was repaired".into())?;
    let replicas = g.get("deployments", "gw")?["spec"]["replicas"].clone();
    expect(replicas == 1, || format!("a paused resource was changed to {replicas} replicas"))?;
    g.patch(json!({"paused": false}))?;
    g.wait_condition("Paused", "False")?;
    kube.until("what was left undone is done", || {
        let service = kube.find(g.namespace(), "services", "g-gw")?;
        Ok((service.is_some() && g.get("deployments", "gw")?["spec"]["replicas"] == 2).then_some(()))
    })
}

fn deleted(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let g = Gateway::apply(scene, "g", &json!({"gateway": {"replicas": 2}}))?;
    g.settled()?;
    kube.delete(g.namespace(), "servicegateways", "g")?;
    kube.within(Duration::from_secs(90), "everything is gone", || {
        for kind in KINDS {
            let left = kube.list(g.namespace(), kind, "app.kubernetes.io/instance=g")?;
            expect(left.is_empty(), || format!("{} {kind} left", left.len()))?;
        }
        let resource = kube.find(g.namespace(), "servicegateways", "g")?;
        expect(resource.is_none(), || "the resource itself is still there".into())
    })
}

fn two(scene: &Scene<'_>) -> Outcome {
    let a = Gateway::apply(scene, "a", &json!({}))?;
    let b = Gateway::apply(scene, "b", &json!({}))?;
    a.settled()?;
    b.settled()?;
    a.pulled_data("da-of-a", "region=emea", 1)?;
    b.pulled_data("da-one-of-b", "region=emea", 1)?;
    b.pulled_data("da-two-of-b", "region=amer", 1)?;
    a.answers(TRADES)?;
    b.answers(2 * TRADES)?;
    // Still so: neither has taken in what is the other's.
    a.answers(TRADES)
}

fn overlap(scene: &Scene<'_>) -> Outcome {
    let a = Gateway::apply(scene, "a", &json!({}))?;
    let wide = json!({"discovery": {"dataAccessSelector": "app.kubernetes.io/name=data-access"}});
    let b = Gateway::apply(scene, "b", &wide)?;
    let told = b.wait_condition("Degraded", "True")?;
    let message = told["message"].as_str().unwrap_or_default();
    expect(told["reason"] == "SelectorOverlap" && message.contains("ServiceGateway 'a'"), || {
        told.to_string()
    })?;
    // It is told, not stopped: both are made.
    a.settled()?;
    b.settled()?;
    b.patch(json!({"discovery": {"dataAccessSelector": "app.kubernetes.io/name=data-access,team=b"}}))?;
    b.wait_condition("Degraded", "False").map(|_| ())
}

fn foreign(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let ns = scene.namespace.as_str();
    let theirs = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "g-gw", "namespace": ns, "labels": {"team": "other"}},
        "spec": {"selector": {"app": "other"}, "ports": [{"name": "web", "port": 80}]},
    });
    kube.apply(&theirs)?;
    let g = Gateway::apply(scene, "g", &json!({}))?;
    let degraded = g.wait_condition("Degraded", "True")?;
    let message = degraded["message"].as_str().unwrap_or_default();
    expect(message.contains("g-gw"), || format!("no word of the object in the way: {degraded}"))?;
    let kept = kube.get(ns, "services", "g-gw")?;
    expect(kept["spec"]["selector"] == json!({"app": "other"}), || {
        format!("it was changed: {}", kept["spec"])
    })?;
    kube.delete(ns, "servicegateways", "g")?;
    kube.until("the resource is gone", || {
        Ok(kube.find(ns, "servicegateways", "g")?.is_none().then_some(()))
    })?;
    scene.watch_for(Duration::from_secs(3));
    kube.get(ns, "services", "g-gw").map(|_| ())
}

fn longest_name(scene: &Scene<'_>) -> Outcome {
    let name = format!("g{}", "x".repeat(39));
    let g = Gateway::apply(scene, &name, &json!({}))?;
    g.settled()?;
    let object = Gateway { scene, name: format!("{name}y") }.object(&json!({}));
    let refused = scene.kube().try_apply(&object)?;
    expect(refused.status == 422 && refused.body.contains("40 characters"), || refused.body)
}

fn config_change(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let ns = scene.namespace.as_str();
    let config = |value: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra", "namespace": ns},
            "data": {"EXTRA": value},
        })
    };
    kube.apply(&config("one"))?;
    let g = Gateway::apply(
        scene,
        "g",
        &json!({"aggregator": {"envFrom": [{"configMapRef": {"name": "extra"}}]}}),
    )?;
    g.settled()?;
    let generation =
        |role: &str| Ok::<Value, Failure>(g.get("deployments", role)?["metadata"]["generation"].clone());
    let before = (generation("gw")?, generation("rc")?, generation("agg")?);
    kube.apply(&config("two"))?;
    kube.until("the aggregators roll", || Ok((generation("agg")? != before.2).then_some(())))?;
    g.settled()?;
    let after = (generation("gw")?, generation("rc")?);
    expect(after == (before.0, before.1), || format!("others rolled too: {after:?}"))
}
