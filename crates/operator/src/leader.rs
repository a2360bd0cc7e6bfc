//! One of several operators works: the holder of a Lease, by the protocol of client-go.
//!
//! Clocks of different machines are never compared: a lease has run out when *we* have seen it unchanged for its
//! whole duration. A holder that could not renew in time stops before another may begin.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, PostParams};

use crate::api::Caller;
use crate::error::Error;

/// A lease that is not renewed for this long is free.
pub const DURATION: Duration = Duration::from_secs(15);
/// A holder that could not renew for this long stops.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Time between two looks at it.
pub const PERIOD: Duration = Duration::from_secs(2);

/// A candidate for the lease.
pub struct Leader {
    api: Api<Lease>,
    caller: Caller,
    name: String,
    namespace: String,
    identity: String,
    /// The lease as last seen to change, and when that was.
    observed: Option<(String, Instant)>,
}

impl Leader {
    /// Of the lease `name`, as `identity`, which no other operator has.
    pub fn new(caller: &Caller, namespace: &str, name: &str, identity: &str) -> Self {
        let mut caller = caller.clone();
        // A call that outlives the deadline would keep us from seeing that we lost.
        caller.limit = caller.limit.min(RENEW_DEADLINE / 2);
        Self {
            api: Api::namespaced(caller.client.clone(), namespace),
            caller,
            name: name.into(),
            namespace: namespace.into(),
            identity: identity.into(),
            observed: None,
        }
    }

    /// Wait until the lease is ours.
    pub async fn acquire(&mut self) {
        loop {
            match self.attempt().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::info!(%error, "the lease could not be looked at"),
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// Keep it; comes back when it is lost.
    pub async fn keep(&mut self) {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(PERIOD).await;
            match self.attempt().await {
                Ok(true) => renewed = Instant::now(),
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, "the lease could not be renewed");
                    if renewed.elapsed() >= RENEW_DEADLINE {
                        return;
                    }
                }
            }
        }
    }

    /// Release the lease, so that a standby does not wait for its end.
    pub async fn release(&mut self) {
        let released = async {
            let Some(mut lease) = self.read().await? else { return Ok(()) };
            if lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_ref()) != Some(&self.identity) {
                return Ok(());
            }
            if let Some(spec) = &mut lease.spec {
                spec.holder_identity = None;
                spec.lease_duration_seconds = Some(1);
            }
            self.replace(lease).await
        };
        let outcome: Result<(), Error> = released.await;
        if let Err(error) = outcome {
            tracing::info!(%error, "the lease could not be given back; it runs out by itself");
        }
    }

    /// Take or renew it. True where it is ours now.
    async fn attempt(&mut self) -> Result<bool, Error> {
        let Some(lease) = self.read().await? else { return self.create().await };
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        if self.observed.as_ref().is_none_or(|(seen, _)| *seen != version) {
            self.observed = Some((version, Instant::now()));
        }
        let ours = holder == self.identity;
        let duration = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let duration = duration.map_or(DURATION, Duration::from_secs);
        let ran_out = self.observed.as_ref().is_some_and(|(_, since)| since.elapsed() > duration);
        if !ours && !holder.is_empty() && !ran_out {
            return Ok(false);
        }
        let now = MicroTime(Timestamp::now());
        let mut next = lease;
        next.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: if ours { spec.acquire_time.clone() } else { Some(now.clone()) },
            renew_time: Some(now),
            lease_transitions: Some(spec.lease_transitions.unwrap_or(0).saturating_add(i32::from(!ours))),
            ..spec
        });
        match self.replace(next).await {
            Ok(()) => Ok(true),
            // Another was faster.
            Err(error) if error.kind() == "conflict" => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn read(&self) -> Result<Option<Lease>, Error> {
        let (api, name) = (self.api.clone(), self.name.clone());
        self.caller.call("get", "Lease", async move { api.get_opt(&name).await }).await
    }

    /// With the version that was read: it fails where another wrote in between.
    async fn replace(&self, lease: Lease) -> Result<(), Error> {
        let (api, name) = (self.api.clone(), self.name.clone());
        let call = async move { api.replace(&name, &PostParams::default(), &lease).await };
        self.caller.call("lease", "Lease", call).await.map(|_| ())
    }

    async fn create(&self) -> Result<bool, Error> {
        let now = MicroTime(Timestamp::now());
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                ..Default::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                acquire_time: Some(now.clone()),
                renew_time: Some(now),
                lease_transitions: Some(0),
                ..Default::default()
            }),
        };
        let api = self.api.clone();
        let call = async move { api.create(&PostParams::default(), &lease).await };
        match self.caller.call("lease", "Lease", call).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == "conflict" => Ok(false),
            Err(error) => Err(error),
        }
    }
}
