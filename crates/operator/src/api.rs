//! Calls to the API server: each bounded in time and counted. kube's own retries are off (they may take minutes
//! inside one call); what fails is tried again by the next pass.

use std::future::Future;
use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject, PartialObjectMeta, Patch, PatchParams};
use kube::{Client, ResourceExt};
use operator_api::names::FIELD_MANAGER;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Error;
use crate::metrics::Metrics;

/// A client with a limit on each call.
#[derive(Clone)]
pub struct Caller {
    /// For APIs.
    pub client: Client,
    /// What a call may take.
    pub limit: Duration,
    /// Where calls are counted.
    pub metrics: Metrics,
}

impl Caller {
    /// Wait for a call, no longer than the limit.
    pub async fn call<T>(
        &self,
        verb: &'static str,
        what: &str,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Error> {
        let answer = tokio::time::timeout(self.limit, call).await;
        let result = match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(source)) => Err(Error::Api { verb, what: what.into(), source: Box::new(source) }),
            Err(_) => Err(Error::Timeout { verb, what: what.into(), limit: self.limit }),
        };
        self.metrics.call(verb, result.as_ref().err().map_or("ok", Error::kind));
        result
    }

    /// The API of one kind in one namespace.
    pub fn objects(&self, resource: &ApiResource, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, resource)
    }

    /// Name, uid and owners of an object, if it is there.
    pub async fn metadata(
        &self,
        resource: &ApiResource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<PartialObjectMeta<DynamicObject>>, Error> {
        let api = self.objects(resource, namespace);
        self.call(
            "get",
            &format!("{} {name}", resource.kind),
            async move { api.get_metadata_opt(name).await },
        )
        .await
    }

    /// An object, if it is there.
    pub async fn get<K>(&self, namespace: &str, name: &str) -> Result<Option<K>, Error>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        let api = Api::<K>::namespaced(self.client.clone(), namespace);
        let what = format!("{} {name}", K::kind(&()));
        self.call("get", &what, async move { api.get_opt(name).await }).await
    }

    /// Server-side apply of an object. Fields of other managers that the object sets become the operator's.
    pub async fn apply(
        &self,
        resource: &ApiResource,
        namespace: &str,
        name: &str,
        object: &Value,
    ) -> Result<DynamicObject, Error> {
        self.patch("apply", resource, namespace, name, object).await
    }

    /// Asks whether the API server would accept the object. Nothing is stored.
    pub async fn dry_run(
        &self,
        resource: &ApiResource,
        namespace: &str,
        name: &str,
        object: &Value,
    ) -> Result<(), Error> {
        self.patch("dry-run", resource, namespace, name, object).await.map(|_| ())
    }

    async fn patch(
        &self,
        verb: &'static str,
        resource: &ApiResource,
        namespace: &str,
        name: &str,
        object: &Value,
    ) -> Result<DynamicObject, Error> {
        let api = self.objects(resource, namespace);
        let mut how = PatchParams::apply(FIELD_MANAGER).force();
        // A field that the server does not know is a mistake that must be seen.
        how.field_validation = Some(kube::api::ValidationDirective::Strict);
        how.dry_run = verb == "dry-run";
        let what = format!("{} {name}", resource.kind);
        self.call(verb, &what, async move { api.patch(name, &how, &Patch::Apply(object)).await }).await
    }
}

/// `namespace/name` for a log.
pub fn shown(object: &impl ResourceExt) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}
