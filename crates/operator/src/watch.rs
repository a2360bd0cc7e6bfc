//! The streams that feed the index, and say which resource to look at again.
//!
//! Children and data-access pods are watched as metadata (Deployments whole, for their progress), projected at once,
//! and filtered by label on the server. Secrets and ConfigMaps are watched as metadata and not kept: only objects
//! referred to by a resource matter, and their contents are cached by the reader.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc::UnboundedSender;
use futures::{Stream, StreamExt, TryStreamExt, pin_mut};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DynamicObject, ListParams, PartialObjectMeta};
use kube::core::NamespaceResourceScope;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Client, Resource};
use operator_api::names;
use operator_api::referenced::ReferenceKind;
use tokio::sync::watch as flag;

use crate::index::Key;
use crate::kinds::{Kind, Rollout, Seen, autoscaler_trouble};
use crate::reconcile::Context;

/// A resource to look at again: namespace, name.
pub type Wanted = (String, String);

/// Objects of one page of a list.
const PAGE: u32 = 500;
/// How often an API that is not installed is looked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// One namespace, or all.
pub type Scope = Option<String>;

fn api<K>(client: &Client, scope: &Scope) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match scope {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Everything that one scope watches beside the resources themselves.
pub struct Watches {
    /// Shared state.
    pub context: Arc<Context>,
    /// The scope.
    pub scope: Scope,
    /// Where resources to look at are sent. The controller drains the channel and merges equal entries, so the channel
    /// stays short.
    pub wanted: UnboundedSender<Wanted>,
}

impl Watches {
    /// Begin all watches. Each watch sets its flag after the first list.
    pub fn start(self: Arc<Self>) -> Vec<flag::Receiver<bool>> {
        let mut synced = Vec::new();
        for kind in Kind::BUILT_IN {
            let (done, ready) = flag::channel(false);
            synced.push(ready);
            let this = self.clone();
            tokio::spawn(async move { this.children(kind, done).await });
        }
        for kind in [ReferenceKind::Secret, ReferenceKind::ConfigMap] {
            let (done, ready) = flag::channel(false);
            synced.push(ready);
            let this = self.clone();
            tokio::spawn(async move { this.references(kind, done).await });
        }
        let (done, ready) = flag::channel(false);
        synced.push(ready);
        let this = self.clone();
        tokio::spawn(async move { this.pods(done).await });
        let (done, ready) = flag::channel(false);
        synced.push(ready);
        let this = self.clone();
        tokio::spawn(async move { this.own_pods(done).await });
        tokio::spawn(self.pod_monitors());
        synced
    }

    fn want(&self, namespace: &str, name: &str) {
        // The receiver lives as long as the operator works.
        let _ = self.wanted.unbounded_send((namespace.into(), name.into()));
    }

    fn ours() -> watcher::Config {
        let label = format!("{}={}", names::MANAGED_BY, names::MANAGED_BY_VALUE);
        watcher::Config::default().labels(&label).page_size(PAGE)
    }

    async fn children(&self, kind: Kind, done: flag::Sender<bool>) {
        let client = &self.context.caller.client;
        if kind == Kind::Deployment {
            let events = watch(api::<Deployment>(client, &self.scope), Self::ours()).map_ok(|event| {
                each(event, |deployment| {
                    let rollout = Rollout::of(&deployment);
                    (key(kind, &deployment.metadata), Seen::of(&deployment.metadata, Some(rollout)))
                })
            });
            return self.follow(kind, events, &done).await;
        }
        if kind == Kind::HorizontalPodAutoscaler {
            let events =
                watch(api::<HorizontalPodAutoscaler>(client, &self.scope), Self::ours()).map_ok(|event| {
                    each(event, |autoscaler| {
                        let trouble = autoscaler_trouble(&autoscaler).map(String::into_boxed_str);
                        let seen = Seen { trouble, ..Seen::of(&autoscaler.metadata, None) };
                        (key(kind, &autoscaler.metadata), seen)
                    })
                });
            return self.follow(kind, events, &done).await;
        }
        let resource = kind.resource();
        let api: Api<PartialObjectMeta<DynamicObject>> = match &self.scope {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        let events = watch(api, Self::ours()).map_ok(|event| {
            each(event, |object| (key(kind, &object.metadata), Seen::of(&object.metadata, None)))
        });
        self.follow(kind, events, &done).await;
    }

    async fn follow(
        &self,
        kind: Kind,
        events: impl Stream<Item = watcher::Result<Event<(Option<Key>, Seen)>>>,
        done: &flag::Sender<bool>,
    ) {
        let index = &self.context.index;
        let events = events.default_backoff();
        pin_mut!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => index.relist(kind, self.scope.clone()),
                Ok(Event::InitApply((key, seen)) | Event::Apply((key, seen))) => {
                    let Some(key) = key else { continue };
                    let owner = seen.owner_name.clone();
                    let namespace = key.namespace.clone();
                    if index.saw(key, seen)
                        && let Some(owner) = owner
                    {
                        self.want(&namespace, &owner);
                    }
                }
                Ok(Event::Delete((key, seen))) => {
                    let Some(key) = key else { continue };
                    index.gone(&key, &seen.uid);
                    if let Some(owner) = seen.owner_name {
                        self.want(&key.namespace, &owner);
                    }
                }
                Ok(Event::InitDone) => {
                    // What vanished while nobody watched comes with no event of its own.
                    for (key, seen) in index.listed(kind, self.scope.clone()) {
                        if let Some(owner) = seen.owner_name {
                            self.want(&key.namespace, &owner);
                        }
                    }
                    done.send_replace(true);
                }
                Err(error) => self.broke_off(&kind.resource().kind, &error),
            }
        }
    }

    async fn references(&self, kind: ReferenceKind, done: flag::Sender<bool>) {
        let client = &self.context.caller.client;
        let config = watcher::Config::default().page_size(PAGE);
        match kind {
            ReferenceKind::Secret => {
                let api = api::<PartialObjectMeta<Secret>>(client, &self.scope);
                let events = watch(api, config).map_ok(|event| each(event, |object| object.metadata));
                self.follow_references(kind, events, &done).await;
            }
            ReferenceKind::ConfigMap => {
                let api = api::<PartialObjectMeta<ConfigMap>>(client, &self.scope);
                let events = watch(api, config).map_ok(|event| each(event, |object| object.metadata));
                self.follow_references(kind, events, &done).await;
            }
        }
    }

    async fn follow_references(
        &self,
        kind: ReferenceKind,
        events: impl Stream<Item = watcher::Result<Event<ObjectMeta>>>,
        done: &flag::Sender<bool>,
    ) {
        let events = events.default_backoff();
        pin_mut!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Apply(metadata) | Event::Delete(metadata)) => {
                    let (namespace, name) = place(&metadata);
                    for user in self.context.contents.changed(&namespace, kind, &name) {
                        self.want(&namespace, &user);
                    }
                }
                Ok(Event::Init | Event::InitApply(_)) => {}
                Ok(Event::InitDone) => {
                    for (namespace, user) in self.context.contents.all_changed(kind) {
                        self.want(&namespace, &user);
                    }
                    done.send_replace(true);
                }
                Err(error) => self.broke_off(kind.as_str(), &error),
            }
        }
    }

    async fn pods(&self, done: flag::Sender<bool>) {
        let index = &self.context.index;
        let api = api::<PartialObjectMeta<Pod>>(&self.context.caller.client, &self.scope);
        let label = format!("{}={}", names::NAME, names::DATA_ACCESS);
        let config = watcher::Config::default().labels(&label).page_size(PAGE);
        let events =
            watch(api, config).map_ok(|event| each(event, |object| object.metadata)).default_backoff();
        pin_mut!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => index.relist_pods(self.scope.clone()),
                Ok(Event::InitApply(metadata) | Event::Apply(metadata)) => {
                    let (namespace, name) = place(&metadata);
                    let labels = metadata.labels.unwrap_or_default();
                    if index.saw_pod(namespace.clone(), name, labels) {
                        self.want_all_in(&namespace);
                    }
                }
                Ok(Event::Delete(metadata)) => {
                    let (namespace, name) = place(&metadata);
                    index.pod_gone(&namespace, &name);
                    self.want_all_in(&namespace);
                }
                Ok(Event::InitDone) => {
                    for namespace in index.listed_pods(&self.scope) {
                        self.want_all_in(&namespace);
                    }
                    done.send_replace(true);
                }
                Err(error) => self.broke_off("Pod", &error),
            }
        }
    }

    /// Pods of our own, whole: their status is what is looked at. Of each only its trouble is kept.
    async fn own_pods(&self, done: flag::Sender<bool>) {
        let pods = &self.context.own_pods;
        let api = api::<Pod>(&self.context.caller.client, &self.scope);
        let events = watch(api, Self::ours()).default_backoff();
        pin_mut!(events);
        while let Some(event) = events.next().await {
            let changed = match event {
                Ok(Event::Init) => {
                    pods.relist(self.scope.clone());
                    None
                }
                Ok(Event::InitApply(pod) | Event::Apply(pod)) => pods.saw(&pod),
                Ok(Event::Delete(pod)) => {
                    let (namespace, name) = place(&pod.metadata);
                    pods.gone(&namespace, &name)
                }
                Ok(Event::InitDone) => {
                    for (namespace, gateway) in pods.listed(&self.scope) {
                        self.want(&namespace, &gateway);
                    }
                    done.send_replace(true);
                    None
                }
                Err(error) => {
                    self.broke_off("Pod", &error);
                    None
                }
            };
            if let Some((namespace, gateway)) = changed {
                self.want(&namespace, &gateway);
            }
        }
    }

    /// An empty name stands for all resources of the namespace.
    fn want_all_in(&self, namespace: &str) {
        self.want(namespace, "");
    }

    /// PodMonitors, as soon as their API is there.
    async fn pod_monitors(self: Arc<Self>) {
        loop {
            let resource = Kind::PodMonitor.resource();
            let client = self.context.caller.client.clone();
            let api: Api<DynamicObject> = match &self.scope {
                Some(namespace) => Api::namespaced_with(client, namespace, &resource),
                None => Api::all_with(client, &resource),
            };
            let how = ListParams::default().limit(1);
            // A verb of its own: this call comes by the clock and belongs to no resource.
            let there = self
                .context
                .caller
                .call("discover", "PodMonitors", async move { api.list_metadata(&how).await });
            if there.await.is_ok() {
                self.context.pod_monitors.store(true, std::sync::atomic::Ordering::Relaxed);
                let (done, _) = flag::channel(false);
                self.children(Kind::PodMonitor, done).await;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn broke_off(&self, kind: &str, error: &watcher::Error) {
        self.context.caller.metrics.watch_error(kind);
        tracing::warn!(kind, %error, "a watch broke off and begins again");
    }
}

/// The same event about something else.
fn each<K, T>(event: Event<K>, project: impl Fn(K) -> T) -> Event<T> {
    match event {
        Event::Apply(object) => Event::Apply(project(object)),
        Event::Delete(object) => Event::Delete(project(object)),
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(project(object)),
        Event::InitDone => Event::InitDone,
    }
}

fn place(metadata: &ObjectMeta) -> (String, String) {
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

fn key(kind: Kind, metadata: &ObjectMeta) -> Option<Key> {
    Some(Key { kind, namespace: metadata.namespace.clone()?, name: metadata.name.clone()? })
}

/// Names in one namespace, for resources that an empty name stands for.
pub fn expand(wanted: Wanted, names: impl Fn(&str) -> HashSet<String>) -> Vec<Wanted> {
    let (namespace, name) = wanted;
    if !name.is_empty() {
        return vec![(namespace, name)];
    }
    names(&namespace).into_iter().map(|name| (namespace.clone(), name)).collect()
}
