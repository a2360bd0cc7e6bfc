//! What is asked of the API server: each call bounded in time.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use operator_api::build::ImageDefaults;
use operator_api::mesh_secret::MeshSecret;
use operator_api::names::{self, FIELD_MANAGER};
use operator_api::referenced::{Content, ReferenceKind, Referenced};
use operator_api::spec::{MeshSecretMode, ServiceGateway};
use operator_api::uses::{resolve, uses};

use crate::error::Error;
use crate::operator;

/// What one call may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Most pods of one gateway that are shown.
const PODS: u32 = 500;

/// A cluster, and one namespace of it.
pub(crate) struct Cluster {
    client: Client,
    /// The namespace.
    pub(crate) namespace: String,
}

impl Cluster {
    /// By kubeconfig, as kubectl finds it, or from inside a pod.
    pub(crate) async fn open(context: &Option<String>, namespace: &Option<String>) -> Result<Self, Error> {
        let options = KubeConfigOptions { context: context.clone(), ..Default::default() };
        let config = match Kubeconfig::read() {
            Ok(file) => Config::from_custom_kubeconfig(file, &options)
                .await
                .map_err(|error| Error::Kubeconfig(Box::new(error)))?,
            Err(error) => Config::incluster().map_err(|_| Error::Kubeconfig(Box::new(error)))?,
        };
        let namespace = namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| Error::Kubeconfig(Box::new(error)))?;
        Ok(Self { client, namespace })
    }

    async fn call<T>(&self, what: &str, call: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
        match tokio::time::timeout(LIMIT, call).await {
            Ok(answer) => answer.map_err(|source| Error::Api { what: what.into(), source: Box::new(source) }),
            Err(_) => Err(Error::Timeout(what.into())),
        }
    }

    fn objects(&self, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, resource)
    }

    /// The resource.
    pub(crate) async fn gateway(&self, name: &str) -> Result<ServiceGateway, Error> {
        let api = Api::<ServiceGateway>::namespaced(self.client.clone(), &self.namespace);
        let found = match self.call("get ServiceGateway", api.get_opt(name)).await {
            // Of an object that is not there the answer is none: it is the type that nobody knows.
            Err(error) if error.is_answer(404) => return Err(Error::NoDefinition),
            found => found?,
        };
        found.ok_or_else(|| Error::NotFound { name: name.into(), namespace: self.namespace.clone() })
    }

    /// A resource as it would be stored; nothing is written.
    pub(crate) async fn try_gateway(&self, gateway: &ServiceGateway) -> Result<ServiceGateway, Error> {
        let api = Api::<ServiceGateway>::namespaced(self.client.clone(), &self.namespace);
        let name = gateway.metadata.name.as_deref().unwrap_or_default();
        let mut object = serde_json::to_value(gateway).map_err(|error| Error::Write(error.to_string()))?;
        if let Some(object) = object.as_object_mut() {
            object.remove("status");
        }
        object["metadata"]["namespace"] = self.namespace.clone().into();
        let how = PatchParams::apply("kubectl-qmesh").force().dry_run();
        let what = format!("try to apply ServiceGateway {name}");
        match self.call(&what, api.patch(name, &how, &Patch::Apply(object))).await {
            Err(error) if error.is_answer(404) => Err(Error::NoDefinition),
            tried => tried,
        }
    }

    /// All resources of the namespace.
    pub(crate) async fn gateways(&self) -> Result<Vec<ServiceGateway>, Error> {
        let api = Api::<ServiceGateway>::namespaced(self.client.clone(), &self.namespace);
        Ok(self.call("list ServiceGateways", api.list(&ListParams::default())).await?.items)
    }

    /// The objects referred to by a resource, and the missing objects.
    pub(crate) async fn referenced(
        &self,
        gateway: &ServiceGateway,
    ) -> Result<(Referenced, Vec<String>), Error> {
        let uses = uses(gateway.metadata.name.as_deref().unwrap_or_default(), &gateway.spec);
        let mut there = BTreeMap::new();
        for one in uses.iter().filter(|one| one.reference.can_exist()) {
            if there.contains_key(&one.reference) {
                continue;
            }
            let name = one.reference.name.as_str();
            let what = format!("get {} {name}", one.reference.kind.as_str());
            let content = match one.reference.kind {
                ReferenceKind::Secret => {
                    let api = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
                    self.call(&what, api.get_opt(name)).await?.map(|secret| Content::of_secret(&secret))
                }
                ReferenceKind::ConfigMap => {
                    let api = Api::<ConfigMap>::namespaced(self.client.clone(), &self.namespace);
                    self.call(&what, api.get_opt(name)).await?.map(|map| Content::of_config_map(&map))
                }
            };
            there.extend(content.map(|content| (one.reference.clone(), content)));
        }
        let (mut found, missing) = resolve(&self.namespace, &gateway.spec, &uses, &there);
        if gateway.spec.mesh_secret.mode == MeshSecretMode::Generated {
            let name = names::mesh_secret(gateway.metadata.name.as_deref().unwrap_or_default());
            let api = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
            let existing = self.call("get the mesh's Secret", api.get_opt(&name)).await?;
            let existing = existing.and_then(|secret| MeshSecret::read(&secret));
            // A secret that the operator would make is unknown here; its place is all that is shown.
            let rotation = gateway.spec.mesh_secret.rotation.as_deref();
            found.mesh_secret =
                Some(MeshSecret::next(existing, rotation, || "made-by-the-operator".repeat(2)));
        }
        let monitors = self.objects(&operator_api::build::pod_monitor_resource());
        found.pod_monitor_api =
            self.call("list PodMonitors", monitors.list(&ListParams::default().limit(1))).await.is_ok();
        Ok((found, missing.into_iter().map(|one| one.sentence).collect()))
    }

    /// The images that the operator takes where a resource names none; none where no operator can be seen, which
    /// needs the right to list Deployments everywhere.
    pub(crate) async fn images(&self) -> Result<Option<ImageDefaults>, Error> {
        let api = Api::<Deployment>::all(self.client.clone());
        let how = ListParams::default().labels(&format!("{}={}", names::NAME, names::MANAGED_BY_VALUE));
        match self.call("list operators", api.list(&how)).await {
            Ok(found) => Ok(operator::images(&found.items, &self.namespace)),
            Err(error) if error.is_answer(403) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An object, if it is there.
    pub(crate) async fn get(
        &self,
        resource: &ApiResource,
        name: &str,
    ) -> Result<Option<DynamicObject>, Error> {
        self.call(&format!("get {} {name}", resource.kind), self.objects(resource).get_opt(name)).await
    }

    /// Objects that the operator made for a resource.
    pub(crate) async fn children(
        &self,
        resource: &ApiResource,
        gateway: &str,
    ) -> Result<Vec<DynamicObject>, Error> {
        let labels =
            format!("{}={},{}={gateway}", names::MANAGED_BY, names::MANAGED_BY_VALUE, names::INSTANCE);
        let how = ListParams::default().labels(&labels);
        Ok(self.call(&format!("list {}", resource.plural), self.objects(resource).list(&how)).await?.items)
    }

    /// The object as it would be after the operator applied this; nothing is written.
    pub(crate) async fn dry_run(
        &self,
        resource: &ApiResource,
        name: &str,
        object: &serde_json::Value,
    ) -> Result<DynamicObject, Error> {
        let how = PatchParams::apply(FIELD_MANAGER).force().dry_run();
        let what = format!("try to apply {} {name}", resource.kind);
        self.call(&what, self.objects(resource).patch(name, &how, &Patch::Apply(object))).await
    }

    /// Pods that match.
    pub(crate) async fn pods(&self, selector: &str) -> Result<Vec<Pod>, Error> {
        let api = Api::<Pod>::namespaced(self.client.clone(), &self.namespace);
        let how = ListParams::default().labels(selector).limit(PODS);
        Ok(self.call(&format!("list pods {selector}"), api.list(&how)).await?.items)
    }

    /// A page of a pod, through the API server.
    pub(crate) async fn page(&self, pod: &str, port: i32, page: &str) -> Result<String, Error> {
        let path = format!("/api/v1/namespaces/{}/pods/{pod}:{port}/proxy{page}", self.namespace);
        let request =
            http::Request::get(path).body(Vec::new()).map_err(|error| Error::Write(error.to_string()))?;
        self.call(&format!("ask pod {pod} for {page}"), self.client.request_text(request)).await
    }

    /// May an account of the namespace do this? None where we may not ask.
    pub(crate) async fn may(&self, account: &str, verb: &str, resource: &str) -> Result<Option<bool>, Error> {
        use k8s_openapi::api::authorization::v1::{
            ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
        };
        let attributes = ResourceAttributes {
            namespace: Some(self.namespace.clone()),
            verb: Some(verb.into()),
            resource: Some(resource.into()),
            ..Default::default()
        };
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(format!("system:serviceaccount:{}:{account}", self.namespace)),
                resource_attributes: Some(attributes),
                ..Default::default()
            },
            ..Default::default()
        };
        let api = Api::<SubjectAccessReview>::all(self.client.clone());
        match self.call("review rights", api.create(&Default::default(), &review)).await {
            Ok(answer) => Ok(answer.status.map(|status| status.allowed)),
            Err(error) if error.is_answer(403) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
