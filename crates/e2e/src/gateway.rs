//! A `ServiceGateway` under test: applied, waited for, asked.

use std::time::Duration;

use serde_json::{Value, json};

use crate::ask::{Counted, Load, count_by_qipc, count_by_rest};
use crate::failure::{Failure, Outcome, expect};
use crate::kube::Kube;
use crate::objects::{Role, TRADES};
use crate::world::{Reach, Scene};

/// One resource of a test.
pub(crate) struct Gateway<'a> {
    pub(crate) scene: &'a Scene<'a>,
    pub(crate) name: String,
}

impl<'a> Gateway<'a> {
    /// Apply one that is called `name`; images are those under test.
    pub(crate) fn apply(scene: &'a Scene<'a>, name: &str, spec: &Value) -> Outcome<Gateway<'a>> {
        scene.world.operator()?;
        let gateway = Gateway { scene, name: name.to_string() };
        gateway.reapply(spec)?;
        Ok(gateway)
    }

    /// Apply it again with another spec.
    pub(crate) fn reapply(&self, spec: &Value) -> Outcome {
        self.kube().apply(&self.object(spec)).map(|_| ())
    }

    /// The resource as it is applied.
    pub(crate) fn object(&self, spec: &Value) -> Value {
        let mut spec = spec.clone();
        if spec.get("image").is_none() {
            let options = &self.scene.world.options;
            spec["image"] = json!({"repository": options.repository, "tag": options.tag});
        }
        json!({
            "apiVersion": "qmesh.dev/v1alpha1", "kind": "ServiceGateway",
            "metadata": {"name": self.name, "namespace": self.scene.namespace},
            "spec": spec,
        })
    }

    /// The API.
    pub(crate) fn kube(&self) -> &Kube {
        self.scene.kube()
    }

    /// Its namespace.
    pub(crate) fn namespace(&self) -> &str {
        &self.scene.namespace
    }

    /// Name of one of its children: `gw`, `rc`, `agg`, `mesh`, `pod-reader`.
    pub(crate) fn child(&self, end: &str) -> String {
        format!("{}-{end}", self.name)
    }

    /// A child that must be there.
    pub(crate) fn get(&self, resource: &str, end: &str) -> Outcome<Value> {
        self.kube().get(self.namespace(), resource, &self.child(end))
    }

    /// The resource with its status.
    pub(crate) fn read(&self) -> Outcome<Value> {
        self.kube().get(self.namespace(), "servicegateways", &self.name)
    }

    /// Change part of its spec.
    pub(crate) fn patch(&self, spec: Value) -> Outcome {
        let part = json!({"spec": spec});
        self.kube().patch(self.namespace(), "servicegateways", &self.name, &part).map(|_| ())
    }

    /// A condition, as it stands.
    pub(crate) fn condition(&self, kind: &str) -> Outcome<Option<Value>> {
        let found = self.read()?;
        let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
        Ok(conditions.into_iter().find(|c| c["type"] == kind))
    }

    /// Wait until a condition has this status, and about the present spec; the condition.
    pub(crate) fn wait_condition(&self, kind: &str, status: &str) -> Outcome<Value> {
        self.kube().within(Duration::from_secs(90), &format!("{} has {kind}={status}", self.name), || {
            let found = self.read()?;
            let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let condition = conditions.iter().find(|c| c["type"] == kind && c["status"] == status);
            let about_now = found["status"]["observedGeneration"] == found["metadata"]["generation"];
            match condition {
                Some(condition) if about_now => Ok(condition.clone()),
                _ => Err(Failure(found["status"].to_string())),
            }
        })
    }

    /// Wait until it is available and nothing is on its way any more.
    pub(crate) fn settled(&self) -> Outcome {
        self.wait_condition("Available", "True")?;
        self.wait_condition("Progressing", "False")?;
        ["gw", "rc", "agg"]
            .iter()
            .try_for_each(|role| self.kube().rolled_out(self.namespace(), &self.child(role)))
    }

    /// Data processes over the sample database that know the coordinators' address *and* have the labels by which
    /// they are found.
    pub(crate) fn registering_data(&self, name: &str, label: &str, replicas: u32) -> Outcome {
        self.kube().apply(&self.data_deployment(name, label, replicas)).map(|_| ())
    }

    /// Data processes over the sample database that know no address: the coordinators find them by their labels.
    pub(crate) fn pulled_data(&self, name: &str, label: &str, replicas: u32) -> Outcome {
        self.kube().apply(&self.pulled(name, label, replicas)).map(|_| ())
    }

    /// The same, in pods that are ready only where the condition `gate` is true, which the test sets.
    pub(crate) fn gated_data(&self, name: &str, label: &str, replicas: u32, gate: &str) -> Outcome {
        let mut deployment = self.pulled(name, label, replicas);
        deployment["spec"]["template"]["spec"]["readinessGates"] = json!([{"conditionType": gate}]);
        self.kube().apply(&deployment).map(|_| ())
    }

    fn pulled(&self, name: &str, label: &str, replicas: u32) -> Value {
        let mut deployment = self.data_deployment(name, label, replicas);
        let env = &mut deployment["spec"]["template"]["spec"]["containers"][0]["env"];
        if let Some(env) = env.as_array_mut() {
            env.retain(|variable| variable["name"] != "KXI_SG_RC_ADDR");
        }
        deployment
    }

    fn data_deployment(&self, name: &str, label: &str, replicas: u32) -> Value {
        let rc = format!("{}:5050", self.child("rc"));
        let role = Role::data(self.scene.world, name, label, &rc).with(|role| {
            role.replicas = replicas;
            role.env.push(("QMESH_SECRET_FILE", "/mesh/secret".into()));
            role.labels = vec![
                ("app.kubernetes.io/name", "data-access".into()),
                ("app.kubernetes.io/instance", self.name.clone()),
            ];
        });
        let mut deployment = role.deployment(self.namespace());
        let pod = &mut deployment["spec"]["template"]["spec"];
        pod["volumes"] = json!([{"name": "mesh", "secret": {"secretName": self.child("mesh")}}]);
        pod["containers"][0]["volumeMounts"] =
            json!([{"name": "mesh", "mountPath": "/mesh", "readOnly": true}]);
        deployment
    }

    /// Data of two label sets, and wait until both answer.
    pub(crate) fn with_data(&self) -> Outcome {
        self.pulled_data("da-emea", "region=emea", 1)?;
        self.pulled_data("da-amer", "region=amer", 1)?;
        self.answers(2 * TRADES)
    }

    /// Its REST address.
    pub(crate) fn http(&self) -> Outcome<Reach> {
        self.scene.world.reach(self.namespace(), &self.child("gw"), 8080)
    }

    /// Its QIPC address.
    pub(crate) fn qipc(&self) -> Outcome<Reach> {
        self.scene.world.reach(self.namespace(), &self.child("gw"), 5040)
    }

    /// What a client outside is told, once it gets an answer: the node's kube-proxy hears of a pod that has become ready
    /// after the operator may have.
    pub(crate) fn count(&self) -> Outcome<Counted> {
        let http = self.http()?;
        let what = format!("{} answers a client outside", self.name);
        self.kube().within(Duration::from_secs(20), &what, || count_by_rest(http.address))
    }

    /// Wait until a client outside gets this many rows, by REST and by QIPC.
    pub(crate) fn answers(&self, rows: i64) -> Outcome {
        let patience = Duration::from_secs(90);
        let http = self.http()?;
        self.kube().within(patience, &format!("{} answers with {rows} rows", self.name), || {
            let answer = count_by_rest(http.address)?;
            expect(answer.rc == 0 && answer.n == Some(rows), || format!("{answer:?}"))
        })?;
        let answer = count_by_qipc(self.scene.world, self.qipc()?.address)?;
        expect(answer.n == Some(rows), || format!("by QIPC: {answer:?}"))
    }

    /// Steady load from outside whose right answer is `rows`.
    pub(crate) fn load(&self, rows: i64) -> Outcome<Load> {
        let reach = self.qipc()?;
        let load = Load::start(self.scene.world, reach.address, 4, Duration::from_millis(100), rows);
        load.settle(8)?;
        Ok(load)
    }

    /// Pods of one role, without leaving pods.
    pub(crate) fn pods(&self, labels: &str) -> Outcome<Vec<Value>> {
        let pods = self.kube().list(self.namespace(), "pods", labels)?;
        Ok(pods.into_iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).collect())
    }
}

/// Most requests of a test that may cross the end of their connection on the wire; a gateway that closes under its
/// clients' hands has more.
const MOST_CROSSED: usize = 2;

/// All answers were right: none wrong, none an error, none cut off that a gateway had read.
pub(crate) fn flawless(seen: &crate::ask::Seen) -> Outcome {
    let clean = seen.wrong.is_empty() && seen.errors.is_empty() && seen.cut.is_empty();
    expect(clean && seen.crossed.len() <= MOST_CROSSED && seen.right > 0, || format!("load saw {seen:?}"))
}
