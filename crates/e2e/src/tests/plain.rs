//! The data plane on Kubernetes without an operator: plain Deployments that find each other by `KXI_SG_RC_ADDR`.

use std::time::Duration;

use crate::ask::{Load, count_by_qipc, count_by_rest};
use crate::failure::{Failure, Outcome, expect};
use crate::objects::{Role, TRADES, plain_gateway};
use crate::runner::{Needs, Test};
use crate::world::Scene;

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "plain deployments answer a client outside with real data of two data processes",
        needs: Needs::Any,
        run: plain_deployments,
    },
    Test {
        name: "plain deployments are rolled one after the other and no answer is wrong or an error",
        needs: Needs::Any,
        run: rolled,
    },
];

fn plain_deployments(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let namespace = scene.namespace.as_str();
    kube.apply_all(&plain_gateway(scene))?;
    for (name, label) in [("da-emea", "region=emea"), ("da-amer", "region=amer")] {
        kube.apply(&Role::data(scene.world, name, label, "rc:5050").deployment(namespace))?;
    }
    for name in ["rc", "agg", "gw", "da-emea", "da-amer"] {
        kube.rolled_out(namespace, name)?;
    }
    let http = scene.world.reach(namespace, "gw", 8080)?;
    // A partial of each data process, joined: each of them has all rows of the sample.
    let all = 2 * TRADES;
    let rest = kube.until("both data processes answer", || {
        Ok(count_by_rest(http.address).ok().filter(|answer| answer.n == Some(all)))
    })?;
    expect(rest.rc == 0, || format!("{rest:?}"))?;
    let qipc = scene.world.reach(namespace, "gw", 5040)?;
    let answer = count_by_qipc(scene.world, qipc.address)?;
    match answer.n {
        Some(n) if n == all => Ok(()),
        _ => Err(Failure(format!("{answer:?}, not {all} rows"))),
    }
}

fn rolled(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let namespace = scene.namespace.as_str();
    let mut objects = plain_gateway(scene);
    for object in &mut objects {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if object["kind"] == "Deployment" && name != "rc" {
            object["spec"]["replicas"] = 2.into();
        }
    }
    kube.apply_all(&objects)?;
    let data = Role::data(scene.world, "da", "region=emea", "rc:5050").with(|role| role.replicas = 2);
    kube.apply(&data.deployment(namespace))?;
    for name in ["rc", "agg", "gw", "da"] {
        kube.rolled_out(namespace, name)?;
    }
    let qipc = scene.world.reach(namespace, "gw", 5040)?;
    kube.until("the data answers", || {
        let answer = count_by_qipc(scene.world, qipc.address).ok();
        Ok(answer.filter(|answer| answer.n == Some(TRADES)))
    })?;
    let load = Load::start(scene.world, qipc.address, 4, Duration::from_millis(100), TRADES);
    load.settle(20)?;
    for name in ["agg", "da", "gw"] {
        kube.run(&["rollout", "restart", &format!("deployment/{name}"), "-n", namespace])?;
        kube.rolled_out(namespace, name)?;
        load.settle(20)?;
    }
    let seen = load.stop(scene.world);
    // A gateway that is told to stop closes connections that are idle: a client may have sent into that.
    expect(seen.wrong.is_empty() && seen.errors.is_empty() && seen.right > 0, || format!("load saw {seen:?}"))
}
