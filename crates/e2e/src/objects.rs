//! The objects that tests make: data processes over the sample database, and a gateway without an operator.

use serde_json::{Value, json};

use crate::world::{Scene, World};

/// Rows of the sample database's table `trade`.
pub(crate) const TRADES: i64 = 196_519 + 437_171;

/// The security that the strictest pod security level asks for.
pub(crate) fn restricted() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "runAsNonRoot": true,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

/// One process of the data plane as a Deployment.
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) replicas: u32,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(&'static str, String)>,
    pub(crate) labels: Vec<(&'static str, String)>,
    pub(crate) qipc: u16,
    pub(crate) http: u16,
}

impl Role {
    /// Data processes over the sample database, known by a label of their data.
    pub(crate) fn data(world: &World, name: &str, label: &str, rc: &str) -> Role {
        let args = ["--db", "/sample/hdb", "--label", label].map(str::to_string).to_vec();
        Role {
            name: name.into(),
            image: world.image("qmesh-da-sample"),
            replicas: 1,
            args,
            env: vec![("KXI_SG_RC_ADDR", rc.into())],
            labels: vec![("app.kubernetes.io/name", "qmesh-da".into())],
            qipc: 5080,
            http: 8081,
        }
    }

    /// Change something of it.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Role)) -> Role {
        change(&mut self);
        self
    }

    /// The Deployment.
    pub(crate) fn deployment(&self, namespace: &str) -> Value {
        let mut labels = json!({"qmesh.test/role": self.name});
        for (key, value) in &self.labels {
            labels[*key] = json!(value);
        }
        let mut env: Vec<Value> =
            self.env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let field = json!({"fieldRef": {"fieldPath": "status.podIP"}});
        env.push(json!({"name": "QMESH_ADVERTISE", "valueFrom": field}));
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": self.name, "namespace": namespace},
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": {"qmesh.test/role": self.name}},
                "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "enableServiceLinks": false,
                        "automountServiceAccountToken": false,
                        "terminationGracePeriodSeconds": 20,
                        "containers": [{
                            "name": "qmesh",
                            "image": self.image,
                            "imagePullPolicy": "IfNotPresent",
                            "args": self.args,
                            "env": env,
                            "ports": [
                                {"name": "qipc", "containerPort": self.qipc},
                                {"name": "http", "containerPort": self.http},
                            ],
                            "readinessProbe": {
                                "httpGet": {"path": "/readyz", "port": "http"},
                                "periodSeconds": 1, "failureThreshold": 2,
                            },
                            "securityContext": restricted(),
                        }],
                    },
                },
            },
        })
    }
}

/// A Service of pods by their role; headless where it has no address of its own.
pub(crate) fn service(
    namespace: &str,
    name: &str,
    role: &str,
    headless: bool,
    ports: &[(&str, u16)],
) -> Value {
    let ports: Vec<Value> = ports
        .iter()
        .map(|(name, port)| json!({"name": name, "port": port, "targetPort": name, "protocol": "TCP"}))
        .collect();
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"qmesh.test/role": role}, "ports": ports},
    });
    if headless {
        service["spec"]["clusterIP"] = json!("None");
        // A coordinator is told of data before it is ready, and ready only when it was told.
        service["spec"]["publishNotReadyAddresses"] = json!(true);
    }
    service
}

/// A gateway without an operator: GW, RC and Agg as plain Deployments that find each other by address.
pub(crate) fn plain_gateway(scene: &Scene<'_>) -> Vec<Value> {
    let world = scene.world;
    let namespace = scene.namespace.as_str();
    let role = |name: &str, env: Vec<(&'static str, String)>, qipc, http| Role {
        name: name.into(),
        image: world.image(&format!("qmesh-{name}")),
        replicas: 1,
        args: Vec::new(),
        env,
        labels: Vec::new(),
        qipc,
        http,
    };
    let rc = || vec![("KXI_SG_RC_ADDR", "rc:5050".to_string())];
    vec![
        role("rc", vec![("QMESH_RC_SETTLE", "1000".into())], 5050, 8081).deployment(namespace),
        role("agg", rc(), 5060, 8081).deployment(namespace),
        role("gw", rc(), 5040, 8080).deployment(namespace),
        service(namespace, "rc", "rc", true, &[("qipc", 5050)]),
        service(namespace, "gw", "gw", false, &[("qipc", 5040), ("http", 8080)]),
    ]
}
