//! The operator in the cluster: installed by Helm from the charts of this tree, as a user would.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::failure::{Failure, Outcome};
use crate::kube::Kube;
use crate::world::World;

/// Namespace of the operator that the tests share.
pub(crate) const SYSTEM: &str = "qmesh-system";
/// Name of its Deployment, its account and its lease.
pub(crate) const OPERATOR: &str = "qmesh-operator";
/// Who it is to the API server.
pub(crate) const USER: &str = "system:serviceaccount:qmesh-system:qmesh-operator";

/// A directory of the source tree.
pub(crate) fn tree(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(below)
}

/// Helm against the cluster under test.
pub(crate) struct Helm<'a>(pub(crate) &'a World);

impl Helm<'_> {
    /// What it prints; a failure where it fails.
    pub(crate) fn run(&self, args: &[&str]) -> Outcome<String> {
        let mut command = Command::new(self.0.options.tools.join("helm"));
        command.args(args).env("KUBECONFIG", self.0.kube.kubeconfig());
        // Nothing of the user's own Helm is read or written.
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(variable, self.0.kube.cache().join(variable));
        }
        let done = command.output()?;
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        if done.status.success() {
            return Ok(said);
        }
        Err(Failure(format!("helm {}: {said}{}", args.join(" "), String::from_utf8_lossy(&done.stderr))))
    }

    /// `helm upgrade --install` of one of our charts, with the images under test.
    pub(crate) fn install(
        &self,
        release: &str,
        chart: &Path,
        namespace: &str,
        set: &[&str],
    ) -> Outcome<String> {
        let chart = chart.display().to_string();
        let options = &self.0.options;
        let images =
            [format!("image.repository={}", options.repository), format!("image.tag={}", options.tag)];
        let mut args =
            vec!["upgrade", "--install", release, &chart, "--namespace", namespace, "--create-namespace"];
        args.extend(["--wait", "--timeout", "120s"]);
        if !chart.ends_with("-crds") {
            images.iter().for_each(|image| args.extend(["--set", image.as_str()]));
        }
        set.iter().for_each(|value| args.extend(["--set", value]));
        self.run(&args)
    }
}

/// Install definitions and operator.
pub(crate) fn operator(world: &World) -> Outcome {
    install(world)?;
    // kubectl keeps for ten minutes which types there are: what it learnt before is of no use.
    match std::fs::remove_dir_all(world.kube.cache().join("discovery")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn install(world: &World) -> Outcome {
    let helm = Helm(world);
    helm.install("qmesh-crds", &tree("charts/qmesh-crds"), SYSTEM, &[])?;
    helm.install("qmesh", &tree("charts/qmesh"), SYSTEM, &[])?;
    world.kube.until("the API server knows ServiceGateways", || served(&world.kube))
}

/// Whether the type is served.
pub(crate) fn served(kube: &Kube) -> Outcome<Option<()>> {
    let reply = kube.call("GET", "/apis/qmesh.dev/v1alpha1/servicegateways", "application/json", "")?;
    Ok((reply.status == 200).then_some(()))
}

/// Pods of the shared operator.
pub(crate) fn pods(kube: &Kube) -> Outcome<Vec<Value>> {
    let pods = kube.list(SYSTEM, "pods", "app.kubernetes.io/name=qmesh-operator")?;
    Ok(pods.into_iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).collect())
}

/// Who holds the lease of the shared operator.
pub(crate) fn leader(kube: &Kube) -> Outcome<Option<String>> {
    let lease = kube.find(SYSTEM, "leases", OPERATOR)?;
    let holder = lease.and_then(|lease| Some(lease["spec"]["holderIdentity"].as_str()?.to_string()));
    Ok(holder.filter(|holder| !holder.is_empty()))
}
