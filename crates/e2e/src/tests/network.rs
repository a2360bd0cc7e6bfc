//! NetworkPolicies where something enforces them, in a cluster of its own: what must flow, flows; the rest is denied.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::cluster::Part;

use crate::failure::{Failure, Outcome, expect};
use crate::gateway::{Gateway, flawless};
use crate::ip::{self, word_after};
use crate::objects::{Role, TRADES};
use crate::runner::{Needs, Test};
use crate::world::{Options, Scene, World};

pub(super) const TESTS: &[Test] = &[Test {
    name: "network policies that are enforced let through what must flow and nothing else",
    needs: Needs::Own,
    run: enforced,
}];

fn enforced(scene: &Scene<'_>) -> Outcome {
    with_enforcer(&scene.world.options, |scene| {
        let (stranger, friend) = (bystander(scene, "stranger")?, bystander(scene, "friend")?);
        let roles = json!({"gateway": {"replicas": 2}, "coordinator": {"replicas": 2}, "aggregator": {"replicas": 2}});
        let g = Gateway::apply(scene, "g", &roles)?;
        g.settled()?;
        let (gw, rc) = (address(&g, "sg-gateway")?, address(&g, "resource-coordinator")?);
        let agg = address(&g, "aggregator")?;
        for role in [format!("{rc}:5050"), format!("{agg}:5060")] {
            until(scene, &stranger, &role, false)?;
        }
        // All links of the mesh come up, and are used, while the rest is denied.
        g.with_data()?;
        flawless(&g.load(2 * TRADES)?.stop(scene.world))?;
        for to in ["10.96.0.1:443", &format!("{rc}:5050"), &format!("{agg}:5060")] {
            until(scene, &gw, to, true)?;
        }
        until(scene, &gw, &format!("{stranger}:5080"), false)?;
        until(scene, &agg, "10.96.0.1:443", false)?;
        let ports = [5040, 8080].map(|port| format!("{gw}:{port}"));
        ports.iter().try_for_each(|port| until(scene, &stranger, port, true))?;
        until(scene, &stranger, &format!("{rc}:8081"), true)?;

        let named = json!([{"podSelector": {"matchLabels": {"qmesh.test/role": "friend"}}}]);
        g.patch(json!({"networkPolicy": {"clients": named, "monitors": named}}))?;
        for to in [&ports[0], &ports[1], &format!("{rc}:8081")] {
            until(scene, &stranger, to, false)?;
            until(scene, &friend, to, true)?;
        }
        flawless(&g.load(2 * TRADES)?.stop(scene.world))?;

        g.patch(json!({"networkPolicy": {"enabled": false}}))?;
        until(scene, &stranger, &format!("{rc}:5050"), true)?;
        until(scene, &gw, &format!("{stranger}:5080"), true)
    })
}

/// Work in a namespace of a second cluster, where policies are enforced.
fn with_enforcer(options: &Options, work: impl FnOnce(&Scene<'_>) -> Outcome + Send) -> Outcome {
    std::thread::scope(|scope| {
        // In a thread of its own: it moves into that cluster's network.
        let run = scope.spawn(|| {
            let world = World::make(options)?;
            let log = {
                let mut cluster = world.own().ok_or_else(|| Failure("no cluster of our own".into()))?;
                cluster.launch(Part::KubeRouter)?;
                cluster.logs().join("kube-router.log")
            };
            let scene = Scene { world: &world, namespace: "walled".into() };
            world.kube.namespace(&scene.namespace)?;
            work(&scene).map_err(|failure| {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                let lines: Vec<&str> = said.lines().collect();
                let last = lines[lines.len().saturating_sub(20)..].join("\n");
                Failure(format!("{failure}\nkube-router said:\n{last}"))
            })
        });
        run.join().unwrap_or_else(|_| Err(Failure("a panic, see above".into())))
    })
}

/// A pod that is no part of the gateway and listens on port 5080; its address.
fn bystander(scene: &Scene<'_>, name: &str) -> Outcome<String> {
    let role = Role::data(scene.world, name, "region=none", "nowhere:5050");
    scene.kube().apply(&role.deployment(&scene.namespace))?;
    running(scene, &format!("qmesh.test/role={name}"))
}

/// The address of a pod of a role.
fn address(g: &Gateway<'_>, role: &str) -> Outcome<String> {
    running(g.scene, &format!("app.kubernetes.io/instance={},app.kubernetes.io/name={role}", g.name))
}

/// The address of a running pod with these labels.
fn running(scene: &Scene<'_>, labels: &str) -> Outcome<String> {
    scene.kube().until(&format!("a pod with {labels} runs"), || {
        let pods = scene.kube().list(&scene.namespace, "pods", labels)?;
        let running = |pod: &&Value| {
            pod["status"]["phase"] == "Running" && pod["metadata"]["deletionTimestamp"].is_null()
        };
        let pod = pods.iter().find(running);
        Ok(pod.and_then(|pod| Some(pod["status"]["podIP"].as_str()?.to_string())))
    })
}

/// Wait until a connection from a pod to an address can, or cannot, be made.
fn until(scene: &Scene<'_>, from: &str, to: &str, open: bool) -> Outcome {
    let what = format!("from {from} to {to} the way is {}", if open { "open" } else { "closed" });
    scene.kube().within(Duration::from_secs(30), &what, || {
        expect(connects(scene, from, to)? == open, || what.clone())
    })
}

/// Whether a connection from the pod of this address can be made.
fn connects(scene: &Scene<'_>, from: &str, to: &str) -> Outcome<bool> {
    let (host, port) = to.rsplit_once(':').ok_or_else(|| Failure(format!("`{to}` has no port")))?;
    // The pod's network has a name where its cable ends.
    let route = ip(scene, &["-o", "route", "get", from])?;
    let cable = word_after(&route, "dev")?;
    let link = ip(scene, &["-o", "link", "show", &cable])?;
    let network = word_after(&link, "link-netns")?;
    let dial = format!("exec 3<>/dev/tcp/{host}/{port}");
    let mut command = inside(scene)?;
    let done = command.args(["netns", "exec", &network, "timeout", "2", "bash", "-c", &dial]).output()?;
    let said = String::from_utf8_lossy(&done.stderr);
    match done.status.code() {
        Some(0) => Ok(true),
        // Its time was over, or somebody refused.
        Some(124) => Ok(false),
        Some(1) if said.contains("/dev/tcp/") => Ok(false),
        _ => Err(Failure(format!("{dial} in {network}: {}: {said}", done.status))),
    }
}

/// `ip` where the cluster's own names of networks are known.
fn inside(scene: &Scene<'_>) -> Outcome<Command> {
    let cluster = scene.world.own().ok_or_else(|| Failure("no cluster of our own".into()))?;
    Ok(cluster.enter().inside("ip"))
}

fn ip(scene: &Scene<'_>, args: &[&str]) -> Outcome<String> {
    ip::run(inside(scene)?, args)
}
