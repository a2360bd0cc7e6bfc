//! The mesh on Kubernetes: found by label, scaled, rolled, cut and blinded under load that must see nothing of it.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::cluster::Part;

use crate::failure::{Failure, Outcome, expect};
use crate::gateway::{Gateway, flawless};
use crate::ip;
use crate::objects::TRADES;
use crate::runner::{Needs, Test};
use crate::world::Scene;

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "coordinators go from one to three to one and no request fails",
        needs: Needs::Any,
        run: coordinators,
    },
    Test {
        name: "data processes go from two to six to two and no request fails",
        needs: Needs::Any,
        run: data,
    },
    Test { name: "aggregators and gateways are rolled and no request fails", needs: Needs::Any, run: rolled },
    Test {
        name: "roles of one replica are rolled and no request fails",
        needs: Needs::Any,
        run: rolled_alone,
    },
    Test { name: "a data pod whose network is cut costs no request", needs: Needs::Own, run: cut },
    Test {
        name: "a data pod that leaves the selector is used no more and costs no request",
        needs: Needs::Any,
        run: leaves,
    },
    Test { name: "a data pod whose readiness flips costs no request", needs: Needs::Any, run: flips },
    Test { name: "routing goes on while the API server is gone", needs: Needs::OwnAlone, run: blind },
    Test {
        name: "data processes that register themselves and are found by label too serve on",
        needs: Needs::Any,
        run: found_twice,
    },
    Test {
        name: "a rotated mesh secret rolls the pods and fails no request",
        needs: Needs::Any,
        run: rotate,
    },
    Test {
        name: "hundreds of ready pods that match and never answer are missing data until they go",
        needs: Needs::OwnAlone,
        run: silent_pods,
    },
];

/// Label of the data pods of a test.
const DATA: &str = "app.kubernetes.io/name=data-access";

fn mesh<'a>(scene: &'a Scene<'a>, replicas: u32) -> Outcome<Gateway<'a>> {
    let spec = json!({
        "gateway": {"replicas": 2}, "aggregator": {"replicas": 2}, "coordinator": {"replicas": 2},
        // So that what does not answer is noticed within the time that a request has.
        "heartbeat": {"periodMs": 1000, "tolerance": 2},
    });
    let g = Gateway::apply(scene, "g", &spec)?;
    g.settled()?;
    g.pulled_data("da", "region=emea", replicas)?;
    scene.kube().rolled_out(g.namespace(), "da")?;
    g.answers(TRADES)?;
    Ok(g)
}

/// Scale a Deployment of the test's own, and wait until it is so.
fn scale_data(g: &Gateway<'_>, replicas: u32) -> Outcome {
    g.kube().run(&["scale", "deployment/da", &format!("--replicas={replicas}"), "-n", g.namespace()])?;
    g.kube().rolled_out(g.namespace(), "da")?;
    g.kube().until("as many data pods as wanted", || {
        let pods = g.kube().list(g.namespace(), "pods", DATA)?;
        Ok((pods.len() == replicas as usize).then_some(()))
    })
}

fn coordinators(scene: &Scene<'_>) -> Outcome {
    let g = mesh(scene, 2)?;
    g.patch(json!({"coordinator": {"replicas": 1}}))?;
    g.settled()?;
    g.answers(TRADES)?;
    let load = g.load(TRADES)?;
    for replicas in [3, 1] {
        g.patch(json!({"coordinator": {"replicas": replicas}}))?;
        g.settled()?;
        load.settle(40)?;
    }
    flawless(&load.stop(scene.world))
}

fn data(scene: &Scene<'_>) -> Outcome {
    let g = mesh(scene, 2)?;
    let load = g.load(TRADES)?;
    for replicas in [6, 2] {
        scale_data(&g, replicas)?;
        load.settle(40)?;
    }
    flawless(&load.stop(scene.world))
}

fn rolled(scene: &Scene<'_>) -> Outcome {
    let g = mesh(scene, 2)?;
    let load = g.load(TRADES)?;
    for role in ["aggregator", "gateway"] {
        g.patch(json!({role: {"podAnnotations": {"example.com/rolled": "yes"}}}))?;
        g.settled()?;
        load.settle(40)?;
    }
    let seen = load.stop(scene.world);
    // A gateway that is told to stop closes its connections when they are idle: a client may have sent into that.
    expect(seen.wrong.is_empty() && seen.errors.is_empty(), || format!("load saw {seen:?}"))
}

/// Of each role there is one: the next is ready before it goes, and nothing is lost between them.
fn rolled_alone(scene: &Scene<'_>) -> Outcome {
    let g = Gateway::apply(scene, "g", &json!({}))?;
    g.settled()?;
    g.pulled_data("da", "region=emea", 2)?;
    g.answers(TRADES)?;
    let load = g.load(TRADES)?;
    for role in ["aggregator", "coordinator", "aggregator", "gateway"] {
        let stamp = format!("{:?}", std::time::SystemTime::now());
        g.patch(json!({role: {"podAnnotations": {"example.com/rolled": stamp}}}))?;
        g.settled()?;
        load.settle(40)?;
        // A gateway's connections end with it, as above; those of the others are nothing to a client.
        let cut = load.so_far().cut;
        expect(cut.is_empty() || role == "gateway", || format!("rolling the {role} cut {cut:?}"))?;
    }
    let seen = load.stop(scene.world);
    expect(seen.wrong.is_empty() && seen.errors.is_empty(), || format!("load saw {seen:?}"))
}

fn first_pod(g: &Gateway<'_>) -> Outcome<Value> {
    let pods = g.pods(DATA)?;
    pods.into_iter().next().ok_or_else(|| Failure("no data pod".into()))
}

fn cut(scene: &Scene<'_>) -> Outcome {
    let g = mesh(scene, 3)?;
    let pod = first_pod(&g)?;
    let address = pod["status"]["podIP"].as_str().unwrap_or_default();
    let load = g.load(TRADES)?;
    // The pod's end of its cable is in its own namespace; ours is where the route to it leads.
    let route = ip(&["-o", "route", "get", address])?;
    let cable = ip::word_after(&route, "dev")?;
    ip(&["link", "set", &cable, "down"])?;
    scene.watch_for(Duration::from_secs(8));
    load.settle(20)?;
    ip(&["link", "set", &cable, "up"])?;
    // The kernel has dropped the route with the link.
    ip(&["route", "replace", address, "dev", &cable, "src", "10.244.0.1"])?;
    scene.kube().rolled_out(g.namespace(), "da")?;
    load.settle(20)?;
    flawless(&load.stop(scene.world))
}

fn ip(args: &[&str]) -> Outcome<String> {
    ip::run(Command::new("ip"), args)
}

fn leaves(scene: &Scene<'_>) -> Outcome {
    let g = mesh(scene, 2)?;
    let load = g.load(TRADES)?;
    let pod = first_pod(&g)?;
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let left = json!({"metadata": {"labels": {"app.kubernetes.io/instance": "elsewhere"}}});
    scene.kube().patch(g.namespace(), "pods", name, &left)?;
    load.settle(20)?;
    scene.kube().within(Duration::from_secs(30), "the pod that left has no link any more", || {
        let linked = links(&g, name)?;
        expect(linked == 0, || format!("{linked} coordinators"))
    })?;
    let back = json!({"metadata": {"labels": {"app.kubernetes.io/instance": "g"}}});
    scene.kube().patch(g.namespace(), "pods", name, &back)?;
    scene.kube().within(Duration::from_secs(30), "the pod that is back has its link again", || {
        let linked = links(&g, name)?;
        expect(linked > 0, || "none".into())
    })?;
    load.settle(20)?;
    flawless(&load.stop(scene.world))
}

/// How many coordinators a data pod is linked with, by its page of health.
fn links(g: &Gateway<'_>, pod: &str) -> Outcome<usize> {
    // One that is only found is ready without a coordinator: what its page says counts, not its status.
    let path = format!("/api/v1/namespaces/{}/pods/{pod}:8081/proxy/readyz?verbose", g.namespace());
    let reply = g.kube().call("GET", &path, "application/json", "")?;
    Ok(usize::from(reply.body.contains("registered with a coordinator")))
}

fn flips(scene: &Scene<'_>) -> Outcome {
    let g = mesh(scene, 2)?;
    g.gated_data("gated", "region=emea", 1, "qmesh.test/gate")?;
    let gated = || {
        let pods = g.pods("qmesh.test/role=gated")?;
        Ok::<_, Failure>(pods.into_iter().find(|pod| pod["status"]["podIP"].is_string()))
    };
    let pod = scene.kube().until("the gated pod runs", gated)?;
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let load = g.load(TRADES)?;
    for status in ["True", "False", "True", "False", "True"] {
        let gate = json!({"status": {"conditions": [{"type": "qmesh.test/gate", "status": status}]}});
        let path = format!("/api/v1/namespaces/{}/pods/{name}/status", g.namespace());
        let kind = "application/strategic-merge-patch+json";
        let reply = scene.kube().call("PATCH", &path, kind, &gate.to_string())?;
        expect(reply.status == 200, || reply.body)?;
        scene.kube().until("the pod's readiness follows", || {
            let pod = scene.kube().get(g.namespace(), "pods", name)?;
            let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
            Ok(conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == status).then_some(()))
        })?;
        load.settle(10)?;
    }
    flawless(&load.stop(scene.world))
}

fn blind(scene: &Scene<'_>) -> Outcome {
    let g = mesh(scene, 2)?;
    let load = g.load(TRADES)?;
    let own = || scene.world.own().ok_or_else(|| Failure("not a cluster of our own".into()));
    own()?.kill(Part::ApiServer);
    scene.watch_for(Duration::from_secs(15));
    load.settle(40)?;
    own()?.launch(Part::ApiServer)?;
    own()?.wait_api()?;
    // What changes afterwards is seen.
    scale_data(&g, 3)?;
    load.settle(40)?;
    flawless(&load.stop(scene.world))
}

/// Pods of kwok: objects with addresses that nobody has.
const SILENT: usize = 500;

fn silent_pods(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let g = mesh(scene, 2)?;
    let load = g.load(TRADES)?;
    let stages = std::fs::read_to_string(scene.world.options.tools.join("kwok-stages.yaml"))?;
    let own = || scene.world.own().ok_or_else(|| Failure("not a cluster of our own".into()));
    own()?.launch_kwok(&stages)?;
    let node = |number: usize| {
        json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {
                "name": format!("fake-{number}"),
                "annotations": {"kwok.x-k8s.io/node": "fake"},
                "labels": {"type": "kwok", "kubernetes.io/hostname": format!("fake-{number}")},
            },
            "spec": {"taints": [{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}]},
        })
    };
    let nodes: Vec<Value> = (0..5).map(node).collect();
    kube.apply_all(&nodes)?;
    g.pulled_data("silent", "region=emea", 0)?;
    let fake = json!({"spec": {"replicas": SILENT, "template": {"spec": {
        "nodeSelector": {"type": "kwok"},
        "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists", "effect": "NoSchedule"}],
    }}}});
    kube.patch(g.namespace(), "deployments", "silent", &fake)?;
    kube.within(Duration::from_secs(120), "all of them say that they are ready", || {
        let ready = kube.get(g.namespace(), "deployments", "silent")?["status"]["readyReplicas"].clone();
        expect(ready == SILENT, || format!("{ready} of {SILENT}"))
    })?;
    // What they hold nobody knows: an answer without it would be a part that is taken for the whole.
    let counted = g.count()?;
    expect(counted.rc != 0 && counted.ai.contains("silent"), || format!("{counted:?}"))?;
    kube.delete(g.namespace(), "deployments", "silent")?;
    kube.within(Duration::from_secs(120), "they are gone", || {
        let left = kube.list(g.namespace(), "pods", "qmesh.test/role=silent")?.len();
        expect(left == 0, || format!("{left} are left"))
    })?;
    own()?.kill(Part::Kwok);
    nodes.iter().try_for_each(|node| {
        kube.delete("", "nodes", node["metadata"]["name"].as_str().unwrap_or_default())
    })?;
    load.settle(100)?;
    let seen = load.stop(scene.world);
    expect(seen.wrong.is_empty(), || format!("load saw {seen:?}"))
}

fn found_twice(scene: &Scene<'_>) -> Outcome {
    let g = Gateway::apply(scene, "g", &json!({}))?;
    g.settled()?;
    g.registering_data("da", "region=emea", 2)?;
    g.answers(TRADES)?;
    let load = g.load(TRADES)?;
    load.settle(40)?;
    flawless(&load.stop(scene.world))
}

fn rotate(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let spec =
        json!({"gateway": {"replicas": 2}, "aggregator": {"replicas": 2}, "coordinator": {"replicas": 2}});
    let g = Gateway::apply(scene, "g", &spec)?;
    g.settled()?;
    g.with_data()?;
    let before: Vec<Value> = g.pods("app.kubernetes.io/managed-by=qmesh-operator")?;
    let secret = |g: &Gateway<'_>| Ok::<Value, Failure>(g.get("secrets", "mesh")?["data"].clone());
    let old = secret(&g)?;
    let load = g.load(2 * TRADES)?;
    g.patch(json!({"meshSecret": {"rotation": "second"}}))?;
    kube.until("the secret is another", || Ok((secret(&g)? != old).then_some(())))?;
    g.settled()?;
    let after = g.pods("app.kubernetes.io/managed-by=qmesh-operator")?;
    let uid = |pod: &Value| pod["metadata"]["uid"].to_string();
    let kept: Vec<_> = after.iter().filter(|pod| before.iter().any(|old| uid(old) == uid(pod))).collect();
    expect(kept.is_empty(), || format!("{} pods still have the old secret", kept.len()))?;
    load.settle(20)?;
    flawless(&load.stop(scene.world))
}
