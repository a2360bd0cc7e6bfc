//! The commands of the pages on Kubernetes, as they stand there: blocks `sh cluster`, one after the other.

use std::path::Path;
use std::process::Command;

use crate::failure::{Failure, Outcome, expect};
use crate::install::{self, Helm, SYSTEM, served, tree};
use crate::runner::{Needs, Test};
use crate::world::Scene;

pub(super) const TESTS: &[Test] = &[Test {
    name: "the commands of the pages on Kubernetes do what the pages say",
    needs: Needs::Alone,
    run: pages,
}];

/// Pages with such blocks. `cargo xtask pages` fails where one is not here.
const PAGES: [&str; 2] = ["README.md", "docs/kubernetes.md"];
/// The gateway of `manifests/examples/minimal.yaml`.
const GATEWAY: &str = "first";
/// `--watch` goes on until it is interrupted: it gets three seconds.
const NAMES: &str = r#"
set -euo pipefail
kubectl() {
  case "$*" in
    *--watch*) timeout 3 "$KUBECTL" --cache-dir "$CACHE" "$@" || [[ $? == 124 ]] ;;
    *) "$KUBECTL" --cache-dir "$CACHE" "$@" ;;
  esac
}
"#;

fn pages(scene: &Scene<'_>) -> Outcome {
    scene.world.operator()?;
    let copy = scene.kube().cache().join("pages");
    let outcome = PAGES.iter().try_for_each(|page| run(scene, &copy, page));
    // Whatever a page left: the others find the operator that Helm installed.
    let cleared = clear(scene, &copy);
    let back = install::operator(scene.world);
    outcome.and(cleared).and(back)
}

fn run(scene: &Scene<'_>, copy: &Path, page: &str) -> Outcome {
    tree_copy(scene, copy)?;
    let text = std::fs::read_to_string(tree(page))?;
    let blocks: Vec<&str> =
        text.split("```sh cluster\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    expect(!blocks.is_empty(), || format!("{page} has no block `sh cluster`"))?;
    for block in blocks {
        let takes_over = block.contains("--take-ownership");
        if !takes_over && (block.contains("helm install") || block.contains("manifests/install.yaml")) {
            // Each is a way to install all of it.
            clear(scene, copy)?;
        }
        shell(scene, copy, block).map_err(|failure| Failure(format!("{page}: {}\n{block}", failure.0)))?;
        scene.kube().until("the API server knows ServiceGateways", || served(scene.kube()))?;
        if block.contains("minimal.yaml") {
            scene.kube().until("the operator has made the gateway", || {
                scene.kube().find("default", "deployments", &format!("{GATEWAY}-gw"))
            })?;
            scene.kube().rolled_out("default", &format!("{GATEWAY}-gw"))?;
        }
    }
    Ok(())
}

/// What the commands name, with the operator's image set as the page asks.
fn tree_copy(scene: &Scene<'_>, copy: &Path) -> Outcome {
    let _ = std::fs::remove_dir_all(copy);
    std::fs::create_dir_all(copy)?;
    for part in ["charts", "crds", "manifests"] {
        let copied = Command::new("cp").arg("-r").arg(tree(part)).arg(copy).status()?;
        expect(copied.success(), || format!("cp {part} failed"))?;
    }
    let file = copy.join("manifests/install.yaml");
    let options = &scene.world.options;
    let lines: Vec<String> = std::fs::read_to_string(&file)?
        .lines()
        .map(|line| match line.split_once("image: ") {
            Some((before, _)) => {
                format!("{before}image: {}/qmesh-operator:{}", options.repository, options.tag)
            }
            None => line.to_string(),
        })
        .collect();
    std::fs::write(&file, lines.join("\n") + "\n")?;
    Ok(())
}

fn shell(scene: &Scene<'_>, copy: &Path, block: &str) -> Outcome {
    let options = &scene.world.options;
    let script = block.replace("registry.example.com/team", &options.repository);
    let path = format!("{}:{}", options.tools.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("timeout");
    command.args(["120", "bash", "-c", &format!("{NAMES}\n{script}")]).current_dir(copy);
    command.env("PATH", path).env("KUBECONFIG", scene.kube().kubeconfig());
    command.env("KUBECTL", options.tools.join("kubectl")).env("CACHE", scene.kube().cache());
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(variable, scene.kube().cache().join(variable));
    }
    let done = command.output()?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    expect(done.status.success(), || format!("{}{}", said(&done.stdout), said(&done.stderr)))
}

/// Take away the gateway and whatever installed the operator.
fn clear(scene: &Scene<'_>, copy: &Path) -> Outcome {
    let kube = scene.kube();
    if served(kube)?.is_some() {
        kube.run(&["delete", "sgw", GATEWAY, "-n", "default", "--ignore-not-found"])?;
    }
    // A release that is not there is no failure: the page before may have installed without Helm.
    let helm = Helm(scene.world);
    let releases = helm.run(&["list", "-n", SYSTEM, "-q"])?;
    for release in
        ["qmesh", "qmesh-crds"].into_iter().filter(|name| releases.lines().any(|line| line == *name))
    {
        helm.run(&["uninstall", release, "-n", SYSTEM, "--wait"])?;
    }
    for file in ["manifests/install.yaml", "crds"] {
        let file = copy.join(file).display().to_string();
        kube.run(&["delete", "--ignore-not-found", "-f", &file])?;
    }
    let _ = std::fs::remove_dir_all(kube.cache().join("discovery"));
    kube.until("the definition is gone", || Ok(served(kube)?.is_none().then_some(())))
}
