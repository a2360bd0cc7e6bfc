//! The cluster's API as the tests use it: objects as JSON, by way of `kubectl proxy`, and kubectl itself.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use testkit::Process;
use testkit::cluster::wait_for;

use crate::failure::{Failure, Outcome};
use crate::http::{self, Reply};

/// How long anything in a cluster may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where the resources of these tests are served.
const RESOURCES: [(&str, &str); 21] = [
    ("pods", "api/v1"),
    ("services", "api/v1"),
    ("secrets", "api/v1"),
    ("configmaps", "api/v1"),
    ("serviceaccounts", "api/v1"),
    ("namespaces", "api/v1"),
    ("nodes", "api/v1"),
    ("events", "api/v1"),
    ("deployments", "apis/apps/v1"),
    ("replicasets", "apis/apps/v1"),
    ("roles", "apis/rbac.authorization.k8s.io/v1"),
    ("rolebindings", "apis/rbac.authorization.k8s.io/v1"),
    ("clusterroles", "apis/rbac.authorization.k8s.io/v1"),
    ("clusterrolebindings", "apis/rbac.authorization.k8s.io/v1"),
    ("poddisruptionbudgets", "apis/policy/v1"),
    ("horizontalpodautoscalers", "apis/autoscaling/v2"),
    ("networkpolicies", "apis/networking.k8s.io/v1"),
    ("leases", "apis/coordination.k8s.io/v1"),
    ("validatingwebhookconfigurations", "apis/admissionregistration.k8s.io/v1"),
    ("customresourcedefinitions", "apis/apiextensions.k8s.io/v1"),
    ("servicegateways", "apis/qmesh.dev/v1alpha1"),
];

/// A way to the API server with all rights.
pub(crate) struct Kube {
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    cache: PathBuf,
    proxy: SocketAddr,
    /// Ended when this is dropped.
    _proxy: Process,
}

impl Kube {
    /// Connect; the calling thread must be in the cluster's network.
    pub(crate) fn new(kubectl: PathBuf, kubeconfig: PathBuf, cache: PathBuf) -> Outcome<Kube> {
        let args = ["proxy", "--port=0", "--reject-paths=^$", "--reject-methods=^$", "--accept-hosts=.*"];
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_string()).collect();
        let env = [("KUBECONFIG".to_string(), kubeconfig.display().to_string())];
        let mut process = Process::start("kubectl proxy", &kubectl, &args, &env).map_err(launch)?;
        let proxy = process
            .wait_for(PATIENCE, "its address", |p| {
                p.output().iter().find_map(|line| line.rsplit(' ').next()?.parse().ok())
            })
            .map_err(launch)?;
        Ok(Kube { kubectl, kubeconfig, cache, proxy, _proxy: process })
    }

    /// Its kubeconfig.
    pub(crate) fn kubeconfig(&self) -> &std::path::Path {
        &self.kubeconfig
    }

    /// Where the API is served without a word of who asks.
    pub(crate) fn proxy(&self) -> SocketAddr {
        self.proxy
    }

    /// A directory for what clients keep between calls.
    pub(crate) fn cache(&self) -> &std::path::Path {
        &self.cache
    }

    /// kubectl in the calling thread's network.
    pub(crate) fn kubectl(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.env("KUBECONFIG", &self.kubeconfig).arg("--cache-dir").arg(&self.cache).args(args);
        command
    }

    /// What kubectl prints; a failure where it fails.
    pub(crate) fn run(&self, args: &[&str]) -> Outcome<String> {
        let done = self.kubectl(args).stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        if done.status.success() {
            return Ok(said);
        }
        let errors = String::from_utf8_lossy(&done.stderr);
        Err(Failure(format!("kubectl {}: {}{}", args.join(" "), said, errors.trim())))
    }

    /// One call of the API.
    pub(crate) fn call(&self, method: &str, path: &str, kind: &str, body: &str) -> Outcome<Reply> {
        http::send(self.proxy, method, path, &[("Content-Type", kind), ("Accept", "application/json")], body)
    }

    /// One call of the API in the name of somebody else.
    pub(crate) fn call_as(&self, user: &str, method: &str, path: &str, body: &str) -> Outcome<Reply> {
        let headers = [("Impersonate-User", user), ("Content-Type", "application/json")];
        http::send(self.proxy, method, path, &headers, body)
    }

    /// Make it so by server-side apply; fails where the API server refuses, with its sentence.
    pub(crate) fn apply(&self, object: &Value) -> Outcome<Value> {
        let reply = self.try_apply(object)?;
        if reply.status < 300 { reply.json() } else { Err(Failure(format!("apply refused: {}", reply.body))) }
    }

    /// Server-side apply, whatever the API server says to it.
    pub(crate) fn try_apply(&self, object: &Value) -> Outcome<Reply> {
        let meta = &object["metadata"];
        let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
        let resource = match kind.as_str() {
            "networkpolicy" => "networkpolicies".to_string(),
            _ => format!("{kind}s"),
        };
        let name = meta["name"].as_str().unwrap_or_default();
        let path = path(meta["namespace"].as_str().unwrap_or_default(), &resource, name);
        let path = format!("{path}?fieldManager=e2e&force=true");
        self.call("PATCH", &path, "application/apply-patch+yaml", &object.to_string())
    }

    /// Several objects.
    pub(crate) fn apply_all<'a>(&self, objects: impl IntoIterator<Item = &'a Value>) -> Outcome {
        objects.into_iter().try_for_each(|object| self.apply(object).map(|_| ()))
    }

    /// One object, where there is one.
    pub(crate) fn find(&self, namespace: &str, resource: &str, name: &str) -> Outcome<Option<Value>> {
        let reply = self.call("GET", &path(namespace, resource, name), "application/json", "")?;
        match reply.status {
            200 => reply.json().map(Some),
            404 => Ok(None),
            status => Err(Failure(format!("{resource} {name}: status {status}: {}", reply.body))),
        }
    }

    /// One object that must be there.
    pub(crate) fn get(&self, namespace: &str, resource: &str, name: &str) -> Outcome<Value> {
        let found = self.find(namespace, resource, name)?;
        found.ok_or_else(|| Failure(format!("no {resource} {name} in {namespace}")))
    }

    /// All objects with these labels (`a=b,c=d`; all where it is empty).
    pub(crate) fn list(&self, namespace: &str, resource: &str, labels: &str) -> Outcome<Vec<Value>> {
        let labels = labels.replace(',', "%2C").replace('=', "%3D");
        let path = format!("{}?labelSelector={labels}", path(namespace, resource, ""));
        let reply = self.call("GET", &path, "application/json", "")?;
        if reply.status != 200 {
            return Err(Failure(format!("list of {resource}: status {}: {}", reply.status, reply.body)));
        }
        Ok(reply.json()?["items"].as_array().cloned().unwrap_or_default())
    }

    /// Change part of an object by a merge patch.
    pub(crate) fn patch(&self, namespace: &str, resource: &str, name: &str, part: &Value) -> Outcome<Value> {
        let reply = self.try_patch(namespace, resource, name, part)?;
        if reply.status < 300 { reply.json() } else { Err(Failure(format!("patch refused: {}", reply.body))) }
    }

    /// A merge patch, whatever the API server says to it.
    pub(crate) fn try_patch(
        &self,
        namespace: &str,
        resource: &str,
        name: &str,
        part: &Value,
    ) -> Outcome<Reply> {
        let path = path(namespace, resource, name);
        self.call("PATCH", &path, "application/merge-patch+json", &part.to_string())
    }

    /// Delete an object; it need not be there. Its dependents follow.
    pub(crate) fn delete(&self, namespace: &str, resource: &str, name: &str) -> Outcome {
        let policy = r#"{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Background"}"#;
        let reply = self.call("DELETE", &path(namespace, resource, name), "application/json", policy)?;
        match reply.status {
            200 | 202 | 404 => Ok(()),
            status => Err(Failure(format!("delete {resource} {name}: status {status}: {}", reply.body))),
        }
    }

    /// Look again and again until it is so.
    pub(crate) fn until<T>(&self, what: &str, mut look: impl FnMut() -> Outcome<Option<T>>) -> Outcome<T> {
        self.within(PATIENCE, what, || match look() {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(Failure("not yet".into())),
            Err(failure) => Err(failure),
        })
    }

    /// Look again and again, until the last complaint is the failure.
    pub(crate) fn within<T>(
        &self,
        patience: Duration,
        what: &str,
        mut look: impl FnMut() -> Outcome<T>,
    ) -> Outcome<T> {
        Ok(wait_for(what, patience, || look().map_err(|failure| failure.0))?)
    }

    /// Wait until a Deployment has all its pods, new and ready.
    pub(crate) fn rolled_out(&self, namespace: &str, deployment: &str) -> Outcome {
        self.within(PATIENCE * 2, &format!("{deployment} is rolled out"), || {
            let found = self.get(namespace, "deployments", deployment)?;
            let (spec, status) = (&found["spec"], &found["status"]);
            let number = |value: &Value| value.as_i64().unwrap_or(0);
            let wanted = spec["replicas"].as_i64().unwrap_or(1);
            let seen = number(&status["observedGeneration"]) >= number(&found["metadata"]["generation"]);
            let counts = ["replicas", "updatedReplicas", "readyReplicas"].map(|key| number(&status[key]));
            if seen && counts == [wanted; 3] { Ok(()) } else { Err(Failure(status.to_string())) }
        })
    }

    /// A namespace of its own for one test.
    pub(crate) fn namespace(&self, name: &str) -> Outcome {
        let labels = serde_json::json!({
            "qmesh.test/e2e": "true",
            "pod-security.kubernetes.io/enforce": "restricted",
        });
        let object = serde_json::json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}
        });
        self.apply(&object)?;
        // Pods are refused until their account exists.
        self.until("the default service account", || self.find(name, "serviceaccounts", "default"))
            .map(|_| ())
    }
}

fn launch(error: testkit::LaunchError) -> Failure {
    Failure(error.to_string())
}

/// Path of an object, or of a list where the name is empty; cluster-wide where the namespace is.
pub(crate) fn path(namespace: &str, resource: &str, name: &str) -> String {
    let prefix = RESOURCES.iter().find(|(known, _)| *known == resource).map(|(_, prefix)| *prefix);
    let prefix = prefix.unwrap_or_else(|| panic!("add {resource} to the resources of the tests"));
    let mut path = format!("/{prefix}");
    if !namespace.is_empty() {
        path.push_str(&format!("/namespaces/{namespace}"));
    }
    path.push_str(&format!("/{resource}"));
    if !name.is_empty() {
        path.push_str(&format!("/{name}"));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_group_and_scope() {
        assert_eq!(path("a", "pods", "p"), "/api/v1/namespaces/a/pods/p");
        assert_eq!(path("", "nodes", ""), "/api/v1/nodes");
        assert_eq!(
            path("a", "servicegateways", "g"),
            "/apis/qmesh.dev/v1alpha1/namespaces/a/servicegateways/g"
        );
    }
}
