//! Links on demand: from a DAP to the Agg of a request, from an Agg to the GW that asked.
//!
//! One shared link per address. A link stays open until lost; the next request opens a new link. Tests:
//! `tests/links/pool.rs`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahash::HashMap;
use kvalue::Sym;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Handler, Identity, LinkError, LinkOptions, Sender,
    dial::{Backoff, open, pause},
    live::{self, Opened},
};

type Outcome = Option<Result<Sender, Arc<LinkError>>>;

enum Entry {
    /// somebody is connecting; the outcome comes here
    Opening(watch::Receiver<Outcome>),
    Up(Sender),
}

/// Links by address, opened when asked for.
pub struct Pool {
    identity: Arc<Identity>,
    opts: LinkOptions,
    handler: Arc<dyn Handler>,
    shutdown: CancellationToken,
    links: Mutex<HashMap<Sym, Entry>>,
}

impl Pool {
    /// A pool without links.
    pub fn new(
        identity: Arc<Identity>,
        opts: LinkOptions,
        handler: Arc<dyn Handler>,
        shutdown: CancellationToken,
    ) -> Arc<Pool> {
        Arc::new(Pool { identity, opts, handler, shutdown, links: Mutex::default() })
    }

    /// The link to `host:port` where it is up.
    pub fn get_now(&self, addr: &Sym) -> Option<Sender> {
        match self.links().get(addr) {
            Some(Entry::Up(link)) if link.is_up() => Some(link.clone()),
            _ => None,
        }
    }

    /// The link to `host:port`, opened if needed: tried again until `connect_timeout` where nobody answers.
    pub async fn get(self: &Arc<Self>, addr: &Sym) -> Result<Sender, LinkError> {
        let mut outcome = match self.join(addr)? {
            Ok(link) => return Ok(link),
            Err(outcome) => outcome,
        };
        let told = outcome.wait_for(Option::is_some).await.map(|o| o.clone());
        match told {
            Ok(Some(Ok(link))) => Ok(link),
            Ok(Some(Err(error))) => Err(LinkError::Shared(error)),
            // The opening task ended without a word: the runtime is going down.
            Ok(None) | Err(_) => Err(LinkError::Stopping),
        }
    }

    /// The live link, or where the outcome of its opening will be told.
    fn join(self: &Arc<Self>, addr: &Sym) -> Result<Result<Sender, watch::Receiver<Outcome>>, LinkError> {
        if self.shutdown.is_cancelled() {
            return Err(LinkError::Stopping);
        }
        let mut links = self.links();
        match links.get(addr) {
            Some(Entry::Up(link)) if link.is_up() => return Ok(Ok(link.clone())),
            Some(Entry::Opening(outcome)) => return Ok(Err(outcome.clone())),
            // A closing link removes its own entry only, never the entry of a newer link.
            Some(Entry::Up(_)) | None => {}
        }
        if links.len() >= self.opts.max_links {
            return Err(LinkError::TooMany { limit: self.opts.max_links });
        }
        let (tell, outcome) = watch::channel(None);
        links.insert(addr.clone(), Entry::Opening(outcome.clone()));
        drop(links);
        tokio::spawn(self.clone().run(addr.clone(), tell));
        Ok(Err(outcome))
    }

    /// Opens a link and runs it to its end.
    async fn run(self: Arc<Self>, addr: Sym, tell: watch::Sender<Outcome>) {
        let opened = tokio::select! {
            () = self.shutdown.cancelled() => Err(LinkError::Stopping),
            opened = self.open(&addr) => opened,
        };
        match opened {
            Ok(opened) => {
                let mut id = None;
                let up = |link: &Sender| {
                    id = Some(link.id());
                    self.links().insert(addr.clone(), Entry::Up(link.clone()));
                    tell.send_replace(Some(Ok(link.clone())));
                };
                live::run(opened, &self.opts, &self.handler, &self.shutdown, up).await;
                let mut links = self.links();
                if matches!(links.get(&addr), Some(Entry::Up(link)) if Some(link.id()) == id) {
                    links.remove(&addr);
                }
            }
            Err(error) => {
                tracing::warn!(%addr, %error, "no link");
                self.links().remove(&addr);
                tell.send_replace(Some(Err(Arc::new(error))));
            }
        }
    }

    async fn open(&self, addr: &Sym) -> Result<Opened, LinkError> {
        let text = addr.text();
        let until = Instant::now() + self.opts.connect_timeout;
        let mut backoff = Backoff::new(&self.opts);
        loop {
            let error = match timeout_at(until, self.attempt(&text)).await {
                Ok(Ok(opened)) => return Ok(opened),
                Ok(Err(error)) => error,
                Err(_) => {
                    let (peer, limit) = (text.into_owned(), self.opts.connect_timeout);
                    return Err(LinkError::Timeout { peer, limit });
                }
            };
            let wait = backoff.next();
            if !error.is_transient() || Instant::now() + wait >= until {
                return Err(error);
            }
            pause(wait, &self.shutdown).await;
        }
    }

    async fn attempt(&self, addr: &str) -> Result<Opened, LinkError> {
        let unresolved = |why: String| LinkError::Resolve { addr: addr.to_owned(), why };
        let found = tokio::net::lookup_host(addr).await.map_err(|e| unresolved(e.to_string()))?;
        let mut last = unresolved("the name stands for no address".into());
        for socket in found {
            match open(socket, &self.identity, &self.opts).await {
                Ok(opened) => return Ok(opened),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn links(&self) -> MutexGuard<'_, HashMap<Sym, Entry>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({} links)", self.links().len())
    }
}
