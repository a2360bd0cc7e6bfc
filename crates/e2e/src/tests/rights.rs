//! Rights: of the operator in each namespace it works in, and of the users of a namespace.

use std::time::Duration;

use serde_json::json;

use crate::failure::{Failure, Outcome, expect};
use crate::install::{Helm, SYSTEM, tree};
use crate::runner::{Needs, Test};
use crate::world::Scene;

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "users bound to view, edit or admin in a namespace may see or make gateways there",
        needs: Needs::Any,
        run: users,
    },
    Test {
        name: "an operator that may not read one of its namespaces is not ready, and works in the other",
        needs: Needs::Alone,
        run: scopes,
    },
];

fn users(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    scene.world.operator()?;
    for role in ["view", "edit", "admin"] {
        kube.apply(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": role, "namespace": scene.namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "User", "name": format!("e2e-{role}"), "apiGroup": "rbac.authorization.k8s.io"}],
        }))?;
    }
    let can = |role: &str, verb: &str, what: &str| -> Outcome<bool> {
        let user = format!("e2e-{role}");
        // kubectl ends with 1 for a no, and says it.
        let (what, below) = what.split_once('/').unwrap_or((what, ""));
        let below = format!("--subresource={below}");
        let asked = ["auth", "can-i", verb, what, "-n", &scene.namespace, "--as", &user, &below];
        let said = kube.run(&asked);
        Ok(said.is_ok_and(|said| said.trim().starts_with("yes")))
    };
    let wanted = [
        ("view", "get", "servicegateways", true),
        ("view", "watch", "servicegateways", true),
        ("view", "create", "servicegateways", false),
        ("view", "patch", "servicegateways", false),
        ("edit", "create", "servicegateways", true),
        ("edit", "delete", "servicegateways", true),
        ("edit", "patch", "servicegateways/scale", true),
        ("edit", "patch", "servicegateways/status", false),
        ("admin", "get", "servicegateways", true),
        ("admin", "update", "servicegateways", true),
        ("admin", "patch", "servicegateways/scale", true),
    ];
    // Controllers put the rules together a moment after the roles are there.
    kube.until("users may do what their roles say", || {
        for (role, verb, what, may) in wanted {
            let is = can(role, verb, what)?;
            expect(is == may, || format!("{role} may {verb} {what}: {is}, and should be {may}"))?;
        }
        Ok(Some(()))
    })
}

fn scopes(scene: &Scene<'_>) -> Outcome {
    let (kube, helm) = (scene.kube(), Helm(scene.world));
    scene.world.operator()?;
    let (one, other) = (format!("{}-one", scene.namespace), format!("{}-two", scene.namespace));
    kube.namespace(&one)?;
    kube.namespace(&other)?;
    kube.run(&["scale", "deployment", "qmesh-operator", "--replicas=0", "-n", SYSTEM])?;
    let outcome =
        (|| {
            // The one without rights comes first: it must not hold up the other.
            let watched = format!("watchNamespaces={{{other},{one}}}");
            helm.install("two", &tree("charts/qmesh"), &one, &[&watched])?;
            let binding =
                |namespace: &str| kube.list(namespace, "rolebindings", "app.kubernetes.io/instance=two");
            let kept =
                binding(&other)?.into_iter().next().ok_or(Failure("the chart made no RoleBinding".into()))?;
            let name = kept["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            kube.delete(&other, "rolebindings", &name)?;
            let ready = || -> Outcome<bool> {
                let pods = kube.list(&one, "pods", "app.kubernetes.io/instance=two")?;
                let is = |pod: &serde_json::Value| {
                    let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
                    conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
                };
                Ok(pods.iter().any(is))
            };
            kube.within(Duration::from_secs(90), "the operator is not ready once rights are gone", || {
                match ready()? {
                    false => Ok(()),
                    true => Err(Failure("it is ready".into())),
                }
            })?;
            let pods = kube.list(&one, "pods", "app.kubernetes.io/instance=two")?;
            let pod =
                pods.first().and_then(|pod| pod["metadata"]["name"].as_str()).unwrap_or_default().to_owned();
            let page = format!("/api/v1/namespaces/{one}/pods/{pod}:8080/proxy/readyz");
            let said = kube.call("GET", &page, "application/json", "")?.body;
            expect(
                said.contains(&format!("rights in namespace '{other}'")) && said.contains("servicegateways"),
                || format!("/readyz says: {said}"),
            )?;
            kube.apply(&json!({
            "apiVersion": "qmesh.dev/v1alpha1", "kind": "ServiceGateway",
            "metadata": {"name": "g", "namespace": one},
            "spec": {"image": {"repository": scene.world.options.repository, "tag": scene.world.options.tag}},
        }))?;
            kube.until("the other namespace goes on", || kube.find(&one, "deployments", "g-gw"))?;
            kube.apply(&json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": {"name": name, "namespace": other, "labels": kept["metadata"]["labels"]},
                "roleRef": kept["roleRef"], "subjects": kept["subjects"],
            }))?;
            kube.within(
                Duration::from_secs(90),
                "the operator is ready once rights are back",
                || match ready()? {
                    true => Ok(()),
                    false => Err(Failure("it is not ready".into())),
                },
            )?;
            helm.run(&["uninstall", "two", "-n", &one]).map(|_| ())
        })();
    kube.run(&["scale", "deployment", "qmesh-operator", "--replicas=1", "-n", SYSTEM])?;
    for namespace in [&one, &other] {
        kube.delete("", "namespaces", namespace)?;
    }
    let back = kube.rolled_out(SYSTEM, "qmesh-operator");
    outcome.and(back)
}
