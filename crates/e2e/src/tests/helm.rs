//! The charts, by real Helm: linted, rendered, installed, upgraded, removed.

use serde_json::{Value, json};

use crate::failure::{Failure, Outcome, expect};
use crate::install::{Helm, SYSTEM, served, tree};
use crate::runner::{Needs, Test};
use crate::world::Scene;

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "the charts pass lint, and what they render is what the API server takes",
        needs: Needs::Any,
        run: rendered,
    },
    Test { name: "values that make no sense are refused by the chart", needs: Needs::Any, run: schema },
    Test {
        name: "an upgrade brings a changed definition, an uninstall keeps the gateways",
        needs: Needs::Alone,
        run: upgrade,
    },
    Test {
        name: "an operator of named namespaces works there and nowhere else",
        needs: Needs::Alone,
        run: namespaced,
    },
];

fn rendered(scene: &Scene<'_>) -> Outcome {
    let helm = Helm(scene.world);
    for chart in ["charts/qmesh", "charts/qmesh-crds"] {
        let path = tree(chart).display().to_string();
        helm.run(&["lint", "--strict", &path])?;
        let text = helm.run(&["template", "try", &path, "--namespace", &scene.namespace])?;
        let file = scene.kube().cache().join(format!("{}.yaml", chart.replace('/', "-")));
        std::fs::write(&file, &text)?;
        let file = file.display().to_string();
        scene.kube().run(&["apply", "--dry-run=server", "-n", &scene.namespace, "-f", &file])?;
    }
    Ok(())
}

fn schema(scene: &Scene<'_>) -> Outcome {
    let chart = tree("charts/qmesh").display().to_string();
    for value in ["replicas=many", "image.tag=[]", "nonsense.at.all=1"] {
        let refused = Helm(scene.world).run(&["template", "try", &chart, "--set", value]);
        expect(refused.is_err(), || format!("--set {value} was taken"))?;
    }
    Ok(())
}

fn upgrade(scene: &Scene<'_>) -> Outcome {
    let (kube, helm) = (scene.kube(), Helm(scene.world));
    scene.world.operator()?;
    // A copy of the chart with one more field in its definition stands for the next release.
    let copy = kube.cache().join("next-crds");
    let copied =
        std::process::Command::new("cp").arg("-r").arg(tree("charts/qmesh-crds")).arg(&copy).status()?;
    expect(copied.success(), || "cp failed".into())?;
    let mut changed = 0;
    for dir in ["templates", "crds", "files"] {
        for entry in std::fs::read_dir(copy.join(dir)).into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(entry.path())?;
            let next = text.replacen(
                "Do nothing about this resource",
                "NEXT RELEASE, do nothing about this resource",
                1,
            );
            changed += usize::from(next != text);
            std::fs::write(entry.path(), next)?;
        }
    }
    expect(changed == 1, || format!("the sentence to change is in {changed} files of the chart"))?;
    helm.install("qmesh-crds", &copy, SYSTEM, &[])?;
    kube.until("the cluster has the changed definition", || {
        let told = kube.run(&["explain", "sgw.spec.paused"])?;
        Ok(told.contains("NEXT RELEASE").then_some(()))
    })?;
    helm.install("qmesh-crds", &tree("charts/qmesh-crds"), SYSTEM, &[])?;
    // Gateways are users' data: neither chart takes them along when it goes.
    let object = json!({
        "apiVersion": "qmesh.dev/v1alpha1", "kind": "ServiceGateway",
        "metadata": {"name": "kept", "namespace": scene.namespace}, "spec": {"paused": true},
    });
    kube.apply(&object)?;
    helm.run(&["uninstall", "qmesh", "-n", SYSTEM, "--wait"])?;
    let left = kube.list(SYSTEM, "deployments", "app.kubernetes.io/name=qmesh-operator")?;
    expect(left.is_empty(), || "the operator is still there".into())?;
    helm.run(&["uninstall", "qmesh-crds", "-n", SYSTEM])?;
    kube.get(&scene.namespace, "servicegateways", "kept")?;
    // Back, for the tests that follow.
    helm.install("qmesh-crds", &tree("charts/qmesh-crds"), SYSTEM, &[])?;
    helm.install("qmesh", &tree("charts/qmesh"), SYSTEM, &[])?;
    kube.until("the type is served", || served(kube))
}

fn namespaced(scene: &Scene<'_>) -> Outcome {
    let (kube, helm) = (scene.kube(), Helm(scene.world));
    scene.world.operator()?;
    let (here, there) = (format!("{}-in", scene.namespace), format!("{}-out", scene.namespace));
    kube.namespace(&here)?;
    kube.namespace(&there)?;
    // The cluster-wide one would do the work of the other: it rests meanwhile.
    kube.run(&["scale", "deployment", "qmesh-operator", "--replicas=0", "-n", SYSTEM])?;
    let outcome = (|| {
        let watched = format!("watchNamespaces={{{here}}}");
        helm.install("local", &tree("charts/qmesh"), &here, &[&watched])?;
        let gateway = |namespace: &str| {
            json!({
                "apiVersion": "qmesh.dev/v1alpha1", "kind": "ServiceGateway",
                "metadata": {"name": "g", "namespace": namespace},
                "spec": {"image": {"repository": scene.world.options.repository, "tag": scene.world.options.tag}},
            })
        };
        kube.apply(&gateway(&here))?;
        kube.apply(&gateway(&there))?;
        for role in ["gw", "rc", "agg"] {
            kube.until("the children are made", || kube.find(&here, "deployments", &format!("g-{role}")))?;
            kube.rolled_out(&here, &format!("g-{role}"))?;
        }
        let outside = kube.find(&there, "deployments", "g-gw")?;
        expect(outside.is_none(), || "it worked in a namespace that is not its own".into())?;
        let bindings = kube.list("", "clusterrolebindings", "app.kubernetes.io/instance=local")?;
        let names: Vec<&Value> = bindings.iter().map(|b| &b["metadata"]["name"]).collect();
        expect(names.is_empty(), || format!("it has rights in the whole cluster: {names:?}"))?;
        helm.run(&["uninstall", "local", "-n", &here]).map(|_| ())
    })();
    kube.run(&["scale", "deployment", "qmesh-operator", "--replicas=1", "-n", SYSTEM])?;
    for namespace in [&here, &there] {
        kube.delete("", "namespaces", namespace)?;
    }
    let back = kube.rolled_out(SYSTEM, "qmesh-operator");
    outcome.and(back).map_err(|failure| Failure(failure.0))
}
