//! A part of the data is never taken for all of it: data pods that are ready and that a coordinator cannot link.

use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::{Failure, Outcome, expect};
use crate::gateway::{Gateway, flawless};
use crate::objects::TRADES;
use crate::runner::{Needs, Test};
use crate::world::Scene;

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "a mesh secret that is deleted is put back and fails no request",
        needs: Needs::Any,
        run: deleted_secret,
    },
    Test {
        name: "a gateway that is deleted and made again never answers with a part of the data",
        needs: Needs::Any,
        run: made_again,
    },
    Test {
        name: "a ready data pod with another secret is missing data, said so, until it is gone",
        needs: Needs::Any,
        run: refused,
    },
];

fn spec() -> Value {
    json!({"gateway": {"replicas": 2}, "aggregator": {"replicas": 2}, "coordinator": {"replicas": 2}})
}

fn secret(g: &Gateway<'_>) -> Outcome<Value> {
    Ok(g.get("secrets", "mesh")?["data"].clone())
}

fn deleted_secret(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let g = Gateway::apply(scene, "g", &spec())?;
    g.settled()?;
    g.with_data()?;
    let before = secret(&g)?;
    let load = g.load(2 * TRADES)?;
    kube.delete(g.namespace(), "secrets", &g.child("mesh"))?;
    kube.until("the secret is put back as it was", || {
        Ok((secret(&g).ok() == Some(before.clone())).then_some(()))
    })?;
    g.settled()?;
    load.settle(100)?;
    flawless(&load.stop(scene.world))
}

fn made_again(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let g = Gateway::apply(scene, "g", &spec())?;
    g.settled()?;
    g.with_data()?;
    let load = g.load(2 * TRADES)?;
    kube.delete(g.namespace(), "servicegateways", "g")?;
    // Its children go with it; load sees errors and no connection for as long as there is no gateway.
    std::thread::sleep(Duration::from_secs(2));
    g.reapply(&spec())?;
    g.settled()?;
    // The new Service has another address: who goes on at the old one reaches nobody.
    let old = load.stop(scene.world);
    let load = g.load(2 * TRADES)?;
    load.settle(100)?;
    for seen in [old, load.stop(scene.world)] {
        expect(seen.wrong.is_empty(), || format!("load saw a part that was taken for the whole: {seen:?}"))?;
    }
    g.answers(2 * TRADES)
}

fn refused(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let g = Gateway::apply(scene, "g", &spec())?;
    g.settled()?;
    g.with_data()?;
    let other = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "other", "namespace": g.namespace()},
        "stringData": {"secret": "a secret of another mesh, as long as it is to be\n"},
    });
    kube.apply(&other)?;
    g.pulled_data("stranger", "region=apac", 0)?;
    let stranger = json!({"spec": {"replicas": 1, "template": {"spec": {
        "volumes": [{"name": "mesh", "secret": {"secretName": "other"}}],
    }}}});
    kube.patch(g.namespace(), "deployments", "stranger", &stranger)?;
    kube.rolled_out(g.namespace(), "stranger")?;
    kube.until("what it holds is missing", || {
        let counted = g.count()?;
        if counted.rc == 0 {
            // Until the coordinators have heard of it, there is nothing to be missing.
            expect(counted.n == Some(2 * TRADES), || format!("{counted:?}"))?;
            return Ok(None);
        }
        expect(counted.ai.contains("stranger"), || format!("{counted:?}")).map(Some)
    })?;
    kube.delete(g.namespace(), "deployments", "stranger")?;
    g.answers(2 * TRADES).map_err(|Failure(why)| Failure(format!("after it went: {why}")))
}
