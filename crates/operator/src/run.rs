//! All of it put together: wait for the definition, lead, watch, reconcile, stop.

use std::collections::HashSet;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, channel::mpsc, future, stream};
use kube::runtime::controller::{Config as ControllerConfig, Controller};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, ResourceExt};
use operator_api::spec::ServiceGateway;
use thiserror::Error;

use crate::api::Caller;
use crate::config::Config;
use crate::dereference::Contents;
use crate::events::Events;
use crate::http::{self, Readiness};
use crate::index::Index;
use crate::leader::Leader;
use crate::metrics::Metrics;
use crate::own_pods::OwnPods;
use crate::reconcile::{Context, Guarded, Memories, after_error, reconcile};
use crate::rights;
use crate::watch::{Scope, Watches, expand};

/// How often the definition is looked for at start.
const LOOK: Duration = Duration::from_secs(2);
/// Time that passes which run have to end after a signal.
const DRAIN: Duration = Duration::from_secs(10);

/// Why the operator ended.
#[derive(Debug, Error)]
pub enum RunError {
    /// Another leads now: this process must not go on, and is started again as a standby.
    #[error("the lease was lost; another operator leads or the API server could not be reached")]
    LeaseLost,
    /// No way to the API server.
    #[error("no way to a Kubernetes API server: {0}; run inside a cluster, or with KUBECONFIG")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The port of health and metrics.
    #[error("port {port} (QMESH_OPERATOR_HTTP_PORT) cannot be served: {source}")]
    Http {
        /// The port.
        port: u16,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Work until `stop` is there.
pub async fn run(config: Config, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), RunError> {
    let client = client().await?;
    let metrics = Metrics::default();
    let readiness = Readiness::default();
    readiness.waits("definition", "not looked for yet");
    let serving = http::serve(config.http_port, metrics.clone(), readiness.clone());
    let work = work(config.clone(), client, metrics, readiness, stop);
    tokio::select! {
        ended = serving => match ended {
            Ok(()) => Ok(()),
            Err(source) => Err(RunError::Http { port: config.http_port, source }),
        },
        ended = work => ended,
    }
}

async fn client() -> Result<Client, RunError> {
    let mut config = kube::Config::infer().await.map_err(|error| RunError::Client(Box::new(error)))?;
    // Up to 15 silent tries inside one call would outlive every limit; a failed pass is tried again anyway.
    config.default_retry = false;
    // Audit logs then say who wrote.
    let agent = concat!("qmesh-operator/", env!("CARGO_PKG_VERSION"));
    config.headers.push((hyper::header::USER_AGENT, hyper::header::HeaderValue::from_static(agent)));
    Client::try_from(config).map_err(|error| RunError::Client(Box::new(error)))
}

async fn work(
    config: Config,
    client: Client,
    metrics: Metrics,
    readiness: Readiness,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), RunError> {
    let caller = Caller { client: client.clone(), limit: config.api_timeout(), metrics: metrics.clone() };
    let stop = future::FutureExt::shared(future::FutureExt::boxed(stop));
    let scopes = config.scopes();
    let stopped = tokio::select! {
        () = wait_for_definition(&caller, &scopes, &readiness) => false,
        () = stop.clone() => true,
    };
    if stopped {
        return Ok(());
    }
    metrics.leader(false);
    let mut leader = Leader::new(&caller, &config.lease_namespace, &config.lease, &config.identity);
    if config.leader_election {
        tracing::info!(lease = config.lease, identity = config.identity, "waiting for the lease");
        tokio::select! {
            () = leader.acquire() => {}
            () = stop.clone() => return Ok(()),
        }
    }
    metrics.leader(true);
    tracing::info!(namespaces = ?config.namespaces, "working");
    let context = Arc::new(Context {
        events: Events::new(client, config.identity.clone(), metrics.clone()),
        caller,
        index: Index::default(),
        own_pods: OwnPods::default(),
        contents: Contents::default(),
        images: config.images(),
        resync: config.resync(),
        pod_monitors: AtomicBool::new(false),
        memories: Memories::default(),
    });
    let controllers = future::join_all(
        scopes
            .into_iter()
            .map(|scope| control(context.clone(), scope, &config, readiness.clone(), stop.clone())),
    );
    let ended = tokio::select! {
        _ = controllers => Ok(()),
        () = async { if config.leader_election { leader.keep().await } else { future::pending().await } } => {
            Err(RunError::LeaseLost)
        }
        () = async { stop.clone().await; tokio::time::sleep(DRAIN).await } => Ok(()),
    };
    metrics.leader(false);
    if ended.is_ok() && config.leader_election {
        leader.release().await;
    }
    ended
}

async fn wait_for_definition(caller: &Caller, scopes: &[Scope], readiness: &Readiness) {
    loop {
        // One readable scope is enough to begin: a missing right in one scope must not hold up other scopes.
        for scope in scopes {
            let api: Api<ServiceGateway> = match scope {
                Some(namespace) => Api::namespaced(caller.client.clone(), namespace),
                None => Api::all(caller.client.clone()),
            };
            let how = kube::api::ListParams::default().limit(1);
            match caller.call("list", "ServiceGateways", async move { api.list_metadata(&how).await }).await {
                Ok(_) => return readiness.there("definition"),
                Err(error) => {
                    let scope = rights::shown(scope);
                    tracing::info!(%error, scope, "ServiceGateways cannot be listed; is their definition installed?");
                    readiness.waits("definition", error.to_string());
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Watch and reconcile one scope until `stop`.
async fn control(
    context: Arc<Context>,
    scope: Scope,
    config: &Config,
    readiness: Readiness,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) {
    let caches = format!("caches of {}", rights::shown(&scope));
    readiness.waits(&caches, "children and data-access pods are being listed");
    tokio::spawn(rights::watch(context.caller.clone(), scope.clone(), readiness.clone()));
    let (wanted, requests) = mpsc::unbounded();
    let watches = Arc::new(Watches { context: context.clone(), scope: scope.clone(), wanted });
    for mut synced in watches.start() {
        // A watch that ended has said all it knew.
        let _ = synced.wait_for(|&synced| synced).await;
    }
    readiness.there(&caches);
    let api: Api<Guarded> = match &scope {
        Some(namespace) => Api::namespaced(context.caller.client.clone(), namespace),
        None => Api::all(context.caller.client.clone()),
    };
    let (store, writer) = reflector::store();
    let forgetful = context.clone();
    let mut seen = std::collections::HashMap::new();
    let events = watch(api, watcher::Config::default())
        .modify(|object| {
            // Half of an object in memory, and nothing here reads it.
            object.managed_fields_mut().clear();
        })
        .default_backoff()
        .reflect(writer)
        .inspect_err({
            let metrics = context.caller.metrics.clone();
            move |error| {
                metrics.watch_error("ServiceGateway");
                tracing::warn!(%error, "the watch of ServiceGateways broke off and begins again");
            }
        })
        .try_filter_map(move |event| future::ready(Ok(news(event, &mut seen, &forgetful))));
    let names = store.clone();
    let requests = requests.flat_map(move |one| {
        let all = expand(one, |namespace| {
            let state = names.state();
            let here = state.iter().filter(|object| object.namespace().as_deref() == Some(namespace));
            here.map(|object| object.name_any()).collect::<HashSet<_>>()
        });
        stream::iter(
            all.into_iter().map(|(namespace, name)| ObjectRef::<Guarded>::new(&name).within(&namespace)),
        )
    });
    let reader = store.clone();
    let once = context.clone();
    Controller::for_stream(events, store)
        .with_config(ControllerConfig::default().concurrency(config.concurrency))
        .reconcile_on(requests)
        .graceful_shutdown_on(stop)
        .run(
            move |object, context| reconcile(object, reader.clone(), context),
            |object, error, context| after_error(&object, error, &context),
            once,
        )
        .for_each(|_| future::ready(()))
        .await;
}

/// Resources that are new or changed in what we read: changes of the status alone are the operator's own writes, and
/// are passed over.
fn news(
    event: Event<Guarded>,
    seen: &mut std::collections::HashMap<String, u64>,
    context: &Context,
) -> Option<Guarded> {
    match event {
        Event::Apply(object) | Event::InitApply(object) => {
            let mut hasher = DefaultHasher::new();
            let metadata = kube::Resource::meta(&object);
            (metadata.generation, &metadata.labels, &metadata.annotations).hash(&mut hasher);
            metadata.deletion_timestamp.is_some().hash(&mut hasher);
            let hash = hasher.finish();
            let uid = object.uid().unwrap_or_default();
            if let Some(version) =
                metadata.resource_version.as_deref().and_then(|version| version.parse().ok())
            {
                context.memories.caught_up(&uid, version);
            }
            (seen.insert(uid, hash) != Some(hash)).then_some(object)
        }
        Event::Delete(object) => {
            let uid = object.uid().unwrap_or_default();
            seen.remove(&uid);
            context.memories.forget(&uid);
            context.contents.uses(&object.namespace().unwrap_or_default(), &object.name_any(), Vec::new());
            None
        }
        Event::Init | Event::InitDone => None,
    }
}
