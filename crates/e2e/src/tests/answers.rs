//! Answers of the API server that a client meets now and then: 409, 429, and the 410 of a watch that has expired.

use std::time::Duration;

use serde_json::json;
use testkit::cluster::Cluster;

use crate::alone::{self, Operator};
use crate::failure::{Outcome, expect};
use crate::front::{Front, Rule};
use crate::kube::Kube;
use crate::runner::{Needs, Test};
use crate::world::{Options, Scene};

pub(super) const TESTS: &[Test] = &[Test {
    name: "answers 409, 429 and 410 of the API server cost the operator some time and nothing else",
    needs: Needs::Own,
    run: answers,
}];

/// What is refused, with what, how often: three times together. A third pass over the children that fails would be told.
const REFUSED: [(&str, u16, usize); 3] =
    [("/services/g-rc", 429, 1), ("/deployments/g-gw", 409, 1), ("/servicegateways/g/status", 409, 1)];

fn answers(scene: &Scene<'_>) -> Outcome {
    let options = &scene.world.options;
    let cluster = alone::cluster(options)?;
    alone::inside(&cluster, options, |kube| answers_in(&cluster, kube, options))
}

fn answers_in(cluster: &Cluster, kube: &Kube, options: &Options) -> Outcome {
    kube.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}))?;
    let front = Front::start(kube.proxy())?;
    let mut operator = Operator::start(options, &front.kubeconfig(cluster.state())?, &cluster.logs())?;
    for (path, status, left) in REFUSED {
        front.answer(Rule { method: "PATCH", path, status, left });
    }
    let gateway = |replicas: u32| {
        json!({
            "apiVersion": "qmesh.dev/v1alpha1", "kind": "ServiceGateway",
            "metadata": {"name": "g", "namespace": "n"}, "spec": {"gateway": {"replicas": replicas}},
        })
    };
    kube.apply(&gateway(1))?;
    let follows = || {
        kube.within(Duration::from_secs(120), "the status follows", || {
            let g = kube.get("n", "servicegateways", "g")?;
            let (seen, now) = (&g["status"]["observedGeneration"], &g["metadata"]["generation"]);
            expect(seen == now, || format!("{seen} of {now}; {}", operator.said()))
        })
    };
    follows()?;
    // How long each delay is, a test of the operator shows (`tests/passes`): here a watch that tells of a child may wake
    // the resource sooner.
    expect(front.left() == 0, || format!("{} refusals were never asked for", front.left()))?;
    for (result, times) in [("conflict", 2), ("throttled", 1)] {
        let counted = operator.counted("api_calls", &format!("result=\"{result}\""))?;
        expect(counted == times, || format!("{counted} calls ended as {result}, not {times}"))?;
    }
    let mut events = kube.list("n", "events", "")?;
    // The API server's own: one that has just begun may tell of a Service's address that it repairs.
    events.retain(|event| event["reportingComponent"] != "ipallocator-repair-controller");
    expect(events.is_empty(), || format!("what passes by itself is no event: {events:?}"))?;

    // All watches end, and each is told that where it stood is too long ago; meanwhile a child goes.
    let broke_off = operator.counted("watch_errors", "")?;
    front.answer(Rule { method: "GET", path: "watch=true", status: 410, left: EXPIRED });
    front.cut();
    kube.delete("n", "deployments", "g-agg")?;
    kube.until("every watch was told so", || Ok((front.left() == 0).then_some(())))?;
    kube.within(Duration::from_secs(60), "what went meanwhile is made again", || {
        kube.get("n", "deployments", "g-agg").map(|_| ())
    })?;
    let again = operator.counted("watch_errors", "")? - broke_off;
    expect(again >= EXPIRED as u64, || format!("{again} watches began again, {EXPIRED} had expired"))?;
    kube.apply(&gateway(2))?;
    follows()?;
    kube.until("a change is seen by the new watches", || {
        Ok((kube.get("n", "deployments", "g-gw")?["spec"]["replicas"] == 2).then_some(()))
    })?;
    operator.lives()
}

/// Watches that expire: of gateways, nine kinds of children, Secrets, ConfigMaps, data pods, own pods.
const EXPIRED: usize = 14;
