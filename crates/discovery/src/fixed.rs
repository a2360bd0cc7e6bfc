//! Addresses given by hand: `host:port`, comma lists, names that stand for several addresses.
//!
//! Names are looked up again on a period. A name whose lookup fails keeps the last addresses: the resolver is more
//! likely gone than all processes. An address no longer behind a name is not dialled again; an open session goes on
//! ([`crate::Snapshot::absent_leaves`] is false), for a headless Service names only pods that are ready. Tests:
//! `tests/sources`.

use std::{collections::HashMap, future::Future, io, net::SocketAddr, pin::Pin, sync::Arc};

use tokio_util::sync::CancellationToken;

use crate::{
    Endpoint, Options, Source,
    endpoint::Found,
    feed::{Feed, Publisher, feed},
    set::Set,
};

/// What looking a name up comes as.
pub type Addresses<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// Looks names up.
pub trait Resolve: Send + Sync + 'static {
    /// All addresses that `host:port` stands for now.
    fn resolve<'a>(&'a self, name: &'a str) -> Addresses<'a>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Resolve for System {
    fn resolve<'a>(&'a self, name: &'a str) -> Addresses<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host(name).await?.collect()) })
    }
}

/// Names, and who looks them up.
pub struct Addressed {
    names: Vec<String>,
    resolver: Arc<dyn Resolve>,
}

impl Addressed {
    /// These, looked up by the system.
    pub fn new(names: Vec<String>) -> Addressed {
        Addressed::by(names, Arc::new(System))
    }

    /// With another resolver.
    pub fn by(names: Vec<String>, resolver: Arc<dyn Resolve>) -> Addressed {
        Addressed { names, resolver }
    }
}

impl Source for Addressed {
    fn follow(self: Box<Self>, options: &Options, shutdown: CancellationToken) -> Feed {
        let Addressed { names, resolver } = *self;
        let (publisher, feed) = feed(format!("addresses {}", names.join(",")), false);
        let (set, options) = (Set::new(options.max), options.clone());
        let fixed =
            Fixed { set, last: HashMap::new(), told: String::new(), names, options, resolver, publisher };
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = fixed.run() => {}
            }
        });
        feed
    }
}

struct Fixed {
    names: Vec<String>,
    options: Options,
    resolver: Arc<dyn Resolve>,
    publisher: Publisher,
    set: Set,
    /// what each name last stood for
    last: HashMap<String, Vec<SocketAddr>>,
    /// the trouble that was logged last
    told: String,
}

impl Fixed {
    async fn run(mut self) {
        let mut pause = self.options.backoff_min;
        while !self.publisher.is_unwatched() {
            let whole = self.look().await;
            // Until every name was found once, look often: processes start in any order.
            pause = match whole {
                true => self.options.dns,
                false => (pause * 2).min(self.options.dns),
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Looks all names up; true where each stands for something.
    async fn look(&mut self) -> bool {
        let mut troubles = Vec::new();
        for name in &self.names {
            match tokio::time::timeout(self.options.call, self.resolver.resolve(name)).await {
                Ok(Ok(found)) if !found.is_empty() => {
                    self.last.insert(name.clone(), found);
                    self.publisher.changed();
                }
                Ok(Ok(_)) => troubles.push(format!("{name} stands for no address")),
                Ok(Err(error)) => troubles.push(format!("{name} does not resolve: {error}")),
                Err(_) => troubles.push(format!("{name} does not resolve within {:?}", self.options.call)),
            }
        }
        let mut now = Set::new(self.options.max);
        for name in &self.names {
            for addr in self.last.get(name).into_iter().flatten() {
                let key: Arc<str> = addr.to_string().into();
                let (name, addr) = (name.as_str().into(), *addr);
                now.put(Found::endpoint(Endpoint { key, name, addr, ready: true, assembly: None }));
            }
        }
        let differs = self.set.replace(now);
        let trouble = troubles.join("; ");
        if troubles.is_empty() {
            self.publisher.listed();
        } else {
            if trouble != self.told {
                tracing::warn!(why = %trouble, "address does not resolve; it is looked up again");
            }
            self.publisher.failed(&trouble);
        }
        self.told = trouble;
        if differs || troubles.is_empty() {
            self.publisher.publish(&self.set);
        }
        troubles.is_empty()
    }
}
