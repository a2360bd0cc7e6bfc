//! Pods that match a label selector, listed and watched at the API server.
//!
//! | file | what |
//! | --- | --- |
//! | [`self`] | the task that drives the core with the client |
//! | [`core`] | when to list, watch, wait; sans-io |
//! | [`client`] | calls to the API server, within bounds |
//! | [`pod`] | what is read of a pod, and the endpoint it makes |
//!
//! The selector goes to the server as it is, so that a label change that makes a pod leave the selector comes
//! as a deletion. Tests: beside each file, and `tests/kubernetes` against an API server that misbehaves.

pub mod client;
pub mod core;
pub mod pod;

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use self::{
    client::{Failed, Pods, Watched},
    core::{Core, Do, Event, Times},
};
use crate::{
    MILLI, Nanos, Options, Source,
    feed::{Feed, Publisher, feed},
};

/// Label shared by the pods of one installation.
pub const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";
/// Selector of coordinators where none is set.
pub const COORDINATORS: &str = "app.kubernetes.io/name=resource-coordinator";

/// Least time between two sets while pods come and go in a hurry. The first change after a pause is published at once;
/// without this ten thousand pods that start make ten thousand sets of up to ten thousand, each looked through by all.
pub const GATHER: Nanos = 50 * MILLI;

/// Which pods.
#[derive(Debug, Clone)]
pub enum Select {
    /// Those that match this selector.
    Selector(String),
    /// The coordinators of this process's own installation: named so by `app.kubernetes.io/name`, and with the
    /// same `app.kubernetes.io/instance` label as the pod of this name, so that two in a namespace do not mix.
    Siblings {
        /// this process's own pod
        pod: String,
    },
}

/// The pods that match.
pub struct Matching {
    /// who asks the API server
    pub pods: Pods,
    /// which
    pub select: Select,
    /// label that ties a pod to an assembly
    pub assembly_key: String,
}

impl Source for Matching {
    fn follow(self: Box<Self>, options: &Options, shutdown: CancellationToken) -> Feed {
        follow(*self, options, shutdown)
    }
}

fn follow(matching: Matching, options: &Options, shutdown: CancellationToken) -> Feed {
    let Matching { pods, select, assembly_key } = matching;
    let source = match &select {
        Select::Selector(selector) => format!("pods of {} matching {selector}", pods.namespace()),
        Select::Siblings { .. } => format!("coordinator pods of {}", pods.namespace()),
    };
    let (publisher, feed) = feed(source, true);
    let nanos = |d: Duration| Nanos::try_from(d.as_nanos()).unwrap_or(Nanos::MAX);
    let times = Times {
        backoff_min: nanos(options.backoff_min),
        backoff_max: nanos(options.backoff_max),
        relist: nanos(options.relist),
        quiet: nanos(options.quiet),
    };
    let task = Task {
        core: Core::new(times, options.max),
        start: Instant::now(),
        pods,
        select,
        selector: String::new(),
        assembly_key,
        publisher,
        owed: false,
        published: 0,
        told: String::new(),
    };
    tokio::spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = task.run() => {}
        }
    });
    feed
}

struct Task {
    pods: Pods,
    select: Select,
    /// empty until it is known
    selector: String,
    assembly_key: String,
    core: Core,
    start: Instant,
    publisher: Publisher,
    /// the set differs from what was published
    owed: bool,
    /// when it was published
    published: Nanos,
    /// the last failure: one that repeats is logged once
    told: String,
}

impl Task {
    async fn run(mut self) {
        while !self.publisher.is_unwatched() {
            self.publish();
            match self.core.next() {
                Do::Wait { until } => {
                    tokio::time::sleep(Duration::from_nanos(until.saturating_sub(self.now()))).await;
                    self.handle(Event::Tick);
                }
                Do::List { token, limit } => {
                    let event = match self.page(token.as_deref(), limit).await {
                        Ok(event) => event,
                        Err(failed) => self.failed(failed),
                    };
                    self.handle(event);
                }
                Do::Watch { version } => self.watch(&version).await,
            }
        }
    }

    fn now(&self) -> Nanos {
        self.start.elapsed().as_nanos() as Nanos
    }

    fn handle(&mut self, event: Event) {
        let now = self.now();
        self.owed |= self.core.handle(event, now, rand::random_range(0.0..=1.0));
    }

    fn publish(&mut self) {
        if std::mem::take(&mut self.owed) {
            self.publisher.publish(self.core.set());
            self.published = self.now();
        }
    }

    fn failed(&mut self, Failed { trouble, why }: Failed) -> Event {
        self.publisher.failed(&why);
        if self.told != why {
            tracing::warn!(selector = self.selector, why, "pods cannot be followed; what is known stays");
            self.told = why;
        }
        Event::Failed(trouble)
    }

    async fn page(&mut self, token: Option<&str>, limit: u32) -> Result<Event, Failed> {
        self.selector = match &self.select {
            Select::Selector(selector) => selector.clone(),
            // Asked anew for each list: labels change.
            Select::Siblings { pod } => match self.pods.pod(pod).await?.metadata.labels.get(INSTANCE_LABEL) {
                Some(instance) => format!("{COORDINATORS},{INSTANCE_LABEL}={instance}"),
                None => COORDINATORS.to_string(),
            },
        };
        let page = self.pods.list(&self.selector, limit, token).await?;
        let token = page.metadata.token.filter(|t| !t.is_empty());
        if token.is_none() {
            self.publisher.listed();
            if !self.told.is_empty() {
                tracing::info!(selector = self.selector, "pods are followed again");
                self.told.clear();
            }
        }
        let items = page.items.iter().map(|pod| pod.found(&self.assembly_key)).collect();
        Ok(Event::Page { items, token, version: page.metadata.resource_version })
    }

    /// Watches until the watch ends, fails, goes quiet, or it is time to list again.
    async fn watch(&mut self, version: &str) {
        // The server ends it in order a little before we would take it for old.
        const SERVER_ENDS: u64 = 290;
        let mut watch = match self.pods.watch(&self.selector, version, SERVER_ENDS).await {
            Ok(watch) => watch,
            Err(failed) => {
                let event = self.failed(failed);
                return self.handle(event);
            }
        };
        self.publisher.heard();
        loop {
            let due = self.published.saturating_add(GATHER);
            if self.now() >= due {
                self.publish();
            }
            let until = self.core.watch_until().min(if self.owed { due } else { Nanos::MAX });
            let left = Duration::from_nanos(until.saturating_sub(self.now()));
            let event = match tokio::time::timeout(left, watch.next()).await {
                Ok(Ok(Some(watched))) => self.read(watched),
                Ok(Ok(None)) => Event::Ended,
                Ok(Err(failed)) => self.failed(failed),
                Err(_) if self.owed => {
                    self.publish();
                    continue;
                }
                Err(_) => self.leave(),
            };
            let goes_on = matches!(event, Event::Put(..) | Event::Gone(..) | Event::Bookmark(_));
            self.handle(event);
            if !goes_on {
                return;
            }
        }
    }

    fn read(&mut self, watched: Watched) -> Event {
        let found = |pod: &pod::Pod| pod.found(&self.assembly_key);
        let event = match watched {
            Watched::Put(mut pod) => {
                Event::Put(found(&pod), std::mem::take(&mut pod.metadata.resource_version))
            }
            Watched::Gone(mut pod) => {
                Event::Gone(found(&pod), std::mem::take(&mut pod.metadata.resource_version))
            }
            Watched::Bookmark(version) => {
                self.publisher.heard();
                return Event::Bookmark(version);
            }
        };
        self.publisher.changed();
        event
    }

    fn leave(&self) -> Event {
        let event = self.core.left_at(self.now());
        if matches!(event, Event::Quiet) {
            let why = "the watch has said nothing for too long (QMESH_DISC_QUIET); pods are listed again";
            self.publisher.went_quiet(why);
            tracing::warn!(selector = self.selector, why);
        }
        event
    }
}
