//! `kubectl qmesh`, as kubectl itself starts it, against a real cluster.

use std::process::Command;

use serde_json::json;

use crate::failure::{Failure, Outcome, expect};
use crate::gateway::Gateway;
use crate::runner::{Needs, Test};
use crate::world::Scene;

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "kubectl qmesh renders, compares, shows and checks a gateway",
        needs: Needs::Any,
        run: plugin,
    },
    Test {
        name: "kubectl qmesh says what a file would change and roll, and what others have added",
        needs: Needs::Any,
        run: file,
    },
];

/// What it printed, and the status it ended with.
struct Said {
    text: String,
    status: i32,
}

impl Said {
    /// It must hold all of these, and have ended with this status.
    fn tells(&self, status: i32, parts: &[&str]) -> Outcome {
        let missing: Vec<_> = parts.iter().filter(|part| !self.text.contains(**part)).collect();
        expect(missing.is_empty() && self.status == status, || {
            format!("status {} instead of {status}, without {missing:?}:\n{}", self.status, self.text)
        })
    }
}

fn qmesh(scene: &Scene<'_>, args: &[&str]) -> Outcome<Said> {
    let options = &scene.world.options;
    // kubectl finds its plugins on the path.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = [options.programs.clone()].into_iter().chain(std::env::split_paths(&path));
    let path = std::env::join_paths(dirs).map_err(|error| Failure(error.to_string()))?;
    let mut command = Command::new(options.tools.join("kubectl"));
    command.arg("qmesh").args(args).env("PATH", path).env("KUBECONFIG", scene.kube().kubeconfig());
    let done = command.output()?;
    let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    Ok(Said { text, status: done.status.code().unwrap_or(-1) })
}

fn file(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let ns = scene.namespace.as_str();
    let g = Gateway::apply(scene, "g", &json!({}))?;
    g.settled()?;
    let path = kube.cache().join(format!("{ns}-file.json")).display().to_string();
    std::fs::create_dir_all(kube.cache())?;
    let write = |spec: &serde_json::Value| std::fs::write(&path, g.object(spec).to_string());
    write(&json!({}))?;
    qmesh(scene, &["diff", "-f", &path, "-n", ns])?.tells(0, &["nothing would change"])?;
    write(&json!({"aggregator": {"podAnnotations": {"example.com/changed": "yes"}}}))?;
    let rolls = ["Deployment/g-agg wanted", "pods would be replaced: g-agg"];
    qmesh(scene, &["diff", "-f", &path, "-n", ns])?.tells(1, &rolls)?;
    write(&json!({"gateway": {"replicas": 2}}))?;
    qmesh(scene, &["diff", "-f", &path, "-n", ns])?
        .tells(1, &["+  replicas: 2", "no pods would be replaced"])?;
    // Nothing of it was written.
    qmesh(scene, &["diff", "g", "-n", ns])?.tells(0, &["nothing would change"])?;
    write(&json!({"gatway": {}}))?;
    qmesh(scene, &["diff", "-f", &path, "-n", ns])?.tells(2, &["did you mean 'gateway'"])?;
    qmesh(scene, &["render", "-f", &path])?.tells(2, &["spec.gatway: no such field"])?;
    // Server-side apply leaves what others set.
    kube.run(&["annotate", "deployment", "g-gw", "-n", ns, "example.com/by-hand=yes"])?;
    kube.patch(ns, "deployments", "g-gw", &json!({"spec": {"minReadySeconds": 3}}))?;
    let shown = qmesh(scene, &["diff", "g", "-n", ns])?;
    shown.tells(0, &["Deployment/g-gw, added by", "spec.minReadySeconds = 3", "example.com/by-hand"])
}

fn plugin(scene: &Scene<'_>) -> Outcome {
    let kube = scene.kube();
    let ns = scene.namespace.as_str();
    scene.world.operator()?;
    // Without an image: the operator's own are taken, and the plugin knows them.
    let spec = json!({"coordinator": {"replicas": 2}, "image": {}});
    let object = Gateway { scene, name: "g".into() }.object(&spec);
    let file = kube.cache().join(format!("{ns}.json"));
    std::fs::create_dir_all(kube.cache())?;
    std::fs::write(&file, object.to_string())?;
    let rendered = qmesh(scene, &["render", "-f", &file.display().to_string()])?;
    rendered.tells(0, &["kind: Deployment", "kind: NetworkPolicy", "name: g-agg", "name: g-mesh"])?;
    qmesh(scene, &["status", "g", "-n", ns])?.tells(2, &["ServiceGateway 'g' is not in namespace"])?;

    let g = Gateway::apply(scene, "g", &spec)?;
    g.settled()?;
    qmesh(scene, &["check", "g", "-n", ns])?
        .tells(1, &["BAD  0 data-access processes match", "ok   2 coordinators"])?;
    g.with_data()?;
    // The operator has made exactly what the plugin would have it make.
    qmesh(scene, &["diff", "g", "-n", ns])?.tells(0, &["nothing would change"])?;
    let all_well =
        ["ok   2 coordinators match", "ok   2 data-access processes match", "account g-rc may watch pods"];
    qmesh(scene, &["check", "g", "-n", ns])?.tells(0, &all_well)?;
    let shown = qmesh(scene, &["status", "g", "-n", ns])?;
    let tree = [
        "coordinator 2/2",
        "coordinators linked: 2, ready: 2",
        "registered with a coordinator",
        "serves region=amer as hdb",
        "table trade [",
        "1 other coordinators linked",
    ];
    shown.tells(0, &tree)?;
    if scene.world.options.only.iter().any(|only| only.contains("kubectl")) {
        println!("{}", shown.text);
    }

    g.patch(json!({"paused": true}))?;
    g.wait_condition("Paused", "True")?;
    kube.patch(ns, "deployments", "g-agg", &json!({"spec": {"replicas": 3}}))?;
    kube.delete(ns, "services", "g-gw")?;
    let differs = ["Deployment/g-agg wanted", "-  replicas: 3", "+  replicas: 1", "Service/g-gw wanted"];
    qmesh(scene, &["diff", "g", "-n", ns])?.tells(1, &differs)?;
    kube.apply(&json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "g-gw", "namespace": ns},
        "spec": {"selector": {"app": "other"}, "ports": [{"name": "web", "port": 80}]},
    }))?;
    g.patch(json!({"licenseSecret": {"name": "nowhere"}}))?;
    let wrong = ["BAD  Service 'g-gw' exists and does not belong to it", "'nowhere' does not exist"];
    qmesh(scene, &["check", "g", "-n", ns])?.tells(1, &wrong)
}
