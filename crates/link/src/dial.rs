//! Links we open, and open again for ever.
//!
//! Names are resolved anew before each attempt; waits are exponential, jittered, and short again after a link
//! that lasted. Tests: here and `tests/links`.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use qipc::net::{ConnectOptions, Credentials};
use sg::InstanceId;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    Handler, Identity, LinkError, LinkOptions, handshake,
    identity::complete,
    live::{self, Opened},
};

/// The user that links connect as.
pub const USER: &str = "qmesh";
/// Time between two looks at whether names stand for other addresses now.
const RESOLVE_EVERY: Duration = Duration::from_secs(5);

/// To which of several addresses there is a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// To each of them: a GW to all its RCs.
    All,
    /// To the first that answers, moving on when it is lost.
    First,
    /// To one of the addresses, and to the next after a loss; the order differs by process, to spread the load: an Agg
    /// or a DAP to its RC.
    One,
}

/// Keeps links to `addrs` (`host:port`; a name stands for all its addresses) until `shutdown`.
pub fn dial(
    addrs: Vec<String>,
    spread: Spread,
    identity: Arc<Identity>,
    opts: LinkOptions,
    handler: Arc<dyn Handler>,
    shutdown: CancellationToken,
) -> JoinHandle<()> {
    let dialler =
        Arc::new(Dialler { identity, opts, handler, linked: Mutex::default(), unresolved: Mutex::default() });
    tokio::spawn(async move {
        match spread {
            Spread::All => dialler.all(addrs, shutdown).await,
            Spread::First => dialler.first(addrs, false, shutdown).await,
            Spread::One => dialler.first(addrs, true, shutdown).await,
        }
    })
}

struct Dialler {
    identity: Arc<Identity>,
    opts: LinkOptions,
    handler: Arc<dyn Handler>,
    /// peers there is a link to: two addresses may lead to one process
    linked: Mutex<HashMap<InstanceId, SocketAddr>>,
    /// names that do not resolve
    unresolved: Mutex<HashMap<String, Trouble>>,
}

impl Dialler {
    async fn all(self: Arc<Self>, addrs: Vec<String>, shutdown: CancellationToken) {
        let mut dialled: HashMap<SocketAddr, (CancellationToken, JoinHandle<()>)> = HashMap::new();
        while !shutdown.is_cancelled() {
            let resolved = self.resolve(&addrs).await;
            for addr in &resolved {
                dialled.entry(*addr).or_insert_with(|| {
                    let (this, addr, stop) = (self.clone(), *addr, shutdown.child_token());
                    let token = stop.clone();
                    (stop, tokio::spawn(async move { this.keep(addr, token).await }))
                });
            }
            // An address that no name stands for any more is given up once it is not in use. Where nothing
            // resolves, the resolver is more likely gone than all processes.
            if !resolved.is_empty() {
                let linked: Vec<SocketAddr> = self.linked().values().copied().collect();
                dialled.retain(|addr, (stop, _)| {
                    let keep = resolved.contains(addr) || linked.contains(addr);
                    if !keep {
                        stop.cancel();
                    }
                    keep
                });
            }
            let nap = if resolved.is_empty() { self.opts.backoff_max } else { RESOLVE_EVERY };
            pause(nap, &shutdown).await;
        }
        for (_, task) in dialled.into_values() {
            // A task ends by itself at shutdown; one that panicked has said so.
            let _ = task.await;
        }
    }

    /// A link to one address, for ever.
    async fn keep(&self, addr: SocketAddr, stop: CancellationToken) {
        let mut backoff = Backoff::new(&self.opts);
        while !stop.is_cancelled() {
            let outcome = self.once(addr, &stop).await;
            backoff.after(addr, outcome, &stop).await;
        }
    }

    async fn first(&self, addrs: Vec<String>, spread: bool, shutdown: CancellationToken) {
        let mut backoff = Backoff::new(&self.opts);
        let mut lost: Option<SocketAddr> = None;
        while !shutdown.is_cancelled() {
            let mut resolved = self.resolve(&addrs).await;
            if spread {
                resolved.sort_by_cached_key(|a| rank(&self.identity.name, a));
            }
            // The address whose link was lost is the last to be tried.
            let behind =
                lost.and_then(|lost| resolved.iter().position(|a| *a == lost)).map_or(0, |at| at + 1);
            let mut outcome = None;
            for i in 0..resolved.len() {
                let addr = resolved[(behind + i) % resolved.len()];
                let tried = self.once(addr, &shutdown).await;
                if shutdown.is_cancelled() {
                    return;
                }
                let lived = tried.is_ok();
                outcome = Some((addr, tried));
                if lived {
                    lost = Some(addr);
                    break;
                }
            }
            match outcome {
                Some((addr, outcome)) => backoff.after(addr, outcome, &shutdown).await,
                None => pause(backoff.next(), &shutdown).await,
            }
        }
    }

    /// All addresses the names stand for now, in order, each once.
    async fn resolve(&self, addrs: &[String]) -> Vec<SocketAddr> {
        let mut out = Vec::new();
        for addr in addrs {
            match tokio::time::timeout(self.opts.connect_timeout, tokio::net::lookup_host(addr)).await {
                Ok(Ok(found)) => {
                    self.unresolved(addr, None);
                    let mut found: Vec<SocketAddr> = found.collect();
                    // Processes spread over the addresses of one name, each in an order of its own.
                    found.sort_by_cached_key(|a| rank(&self.identity.name, a));
                    for addr in found {
                        if !out.contains(&addr) {
                            out.push(addr);
                        }
                    }
                }
                Ok(Err(error)) => self.unresolved(addr, Some(error.to_string())),
                Err(_) => self.unresolved(addr, Some("resolving takes too long".into())),
            }
        }
        out
    }

    /// Notes how a name resolves, and warns where it does not.
    fn unresolved(&self, name: &str, why: Option<String>) {
        let mut all = self.unresolved.lock().unwrap_or_else(PoisonError::into_inner);
        match why {
            None => drop(all.remove(name)),
            Some(why)
                if all.entry(name.to_owned()).or_default().is_news(&why, Trouble::GRACE, Instant::now()) =>
            {
                tracing::warn!(addr = name, why, "address does not resolve; it is looked up again");
            }
            Some(why) => tracing::debug!(addr = name, why, "address does not resolve yet"),
        }
    }

    /// One link from its connection to its end; how long it lasted.
    async fn once(&self, addr: SocketAddr, stop: &CancellationToken) -> Result<Duration, LinkError> {
        let opened = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(LinkError::Stopping),
            opened = open(addr, &self.identity, &self.opts) => opened,
        };
        let opened = opened?;
        let instance = opened.peer.instance;
        {
            let mut linked = self.linked();
            if let Some(other) = linked.get(&instance) {
                let why = format!("it is the process that {other} leads to already");
                return Err(LinkError::Unwanted { peer: addr.to_string(), why });
            }
            linked.insert(instance, addr);
        }
        let _linked = Linked { dialler: self, instance };
        let since = Instant::now();
        live::run(opened, &self.opts, &self.handler, stop, |_| ()).await;
        Ok(since.elapsed())
    }

    fn linked(&self) -> std::sync::MutexGuard<'_, HashMap<InstanceId, SocketAddr>> {
        self.linked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Frees a peer's entry when its link is gone.
struct Linked<'a> {
    dialler: &'a Dialler,
    instance: InstanceId,
}

impl Drop for Linked<'_> {
    fn drop(&mut self) {
        self.dialler.linked().remove(&self.instance);
    }
}

/// Connects and shakes hands.
pub(crate) async fn open(
    addr: SocketAddr,
    identity: &Identity,
    opts: &LinkOptions,
) -> Result<Opened, LinkError> {
    let options = ConnectOptions {
        limits: opts.stranger_limits(),
        capability: qipc::net::CAPABILITY,
        connect_time: opts.connect_timeout,
    };
    let connection = qipc::net::connect(&addr.to_string(), &Credentials::new(USER, ""), &options).await?;
    let (mut reader, mut writer) = connection.split();
    let local = writer.local_addr().map_err(|source| LinkError::Io { peer: addr.to_string(), source })?;
    let own = complete(&identity.address, local);
    let peer = handshake::offer(&mut reader, &mut writer, identity, addr, opts).await?;
    Ok(Opened { reader, writer, peer, own, dialled: true })
}

/// Order of addresses for a process: rendezvous hashing, so that processes spread evenly and a change of
/// addresses moves few of them.
fn rank(name: &kvalue::Sym, addr: &SocketAddr) -> u64 {
    // FNV-1a: the same in every process and version; then mixed, for texts that differ in few bytes would
    // otherwise rank alike.
    let text = addr.to_string();
    let bytes = name.as_bytes().iter().chain(&[0]).chain(text.as_bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

/// Waits between attempts.
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    wait: Duration,
    trouble: Trouble,
}

/// Why there is no link, told once and again when the reason changes.
#[derive(Default)]
pub(crate) struct Trouble {
    /// the last reason that was logged
    told: Option<(String, Instant)>,
    /// since when there is no link
    since: Option<Instant>,
}

impl Trouble {
    /// Processes start in any order: a peer that comes within this time is nothing to warn of.
    const GRACE: Duration = Duration::from_secs(1);
    /// Least time between two warnings, where reasons alternate.
    const PAUSE: Duration = Duration::from_secs(30);

    /// True where `reason` is to be logged now.
    pub(crate) fn is_news(&mut self, reason: &str, grace: Duration, now: Instant) -> bool {
        let failing = now - *self.since.get_or_insert(now) >= grace;
        let told = match &self.told {
            Some((told, at)) => told == reason || now - *at < Self::PAUSE,
            None => false,
        };
        if failing && !told {
            self.told = Some((reason.to_owned(), now));
        }
        failing && !told
    }

    /// There is a link.
    pub(crate) fn over(&mut self) {
        *self = Trouble::default();
    }
}

impl Backoff {
    pub(crate) fn new(opts: &LinkOptions) -> Self {
        Backoff {
            min: opts.backoff_min,
            max: opts.backoff_max,
            wait: opts.backoff_min,
            trouble: Trouble::default(),
        }
    }

    /// The next wait: between half of it and all of it, twice as long each time.
    pub(crate) fn next(&mut self) -> Duration {
        let wait = self.wait.min(self.max);
        self.wait = (wait * 2).min(self.max);
        wait.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// Waits as the outcome of an attempt asks for.
    async fn after(
        &mut self,
        addr: SocketAddr,
        outcome: Result<Duration, LinkError>,
        stop: &CancellationToken,
    ) {
        let wait = self.judge(addr, outcome);
        pause(wait, stop).await;
    }

    /// The wait that the outcome of an attempt asks for.
    pub(crate) fn judge(&mut self, addr: SocketAddr, outcome: Result<Duration, LinkError>) -> Duration {
        match outcome {
            Ok(lived) => {
                self.trouble.over();
                if lived >= self.max {
                    self.wait = self.min;
                }
            }
            Err(LinkError::Stopping) => return Duration::ZERO,
            Err(LinkError::Duplicate { .. }) => {}
            Err(error) if error.is_transient() => {
                match self.trouble.is_news(&error.to_string(), Trouble::GRACE, Instant::now()) {
                    true => tracing::warn!(%addr, %error, "no link; dialling goes on"),
                    false => tracing::debug!(%addr, %error, "no link yet"),
                }
            }
            Err(error) => {
                // Somebody answered and said no: asking more often does not help.
                self.wait = self.max;
                if self.trouble.is_news(&error.to_string(), Duration::ZERO, Instant::now()) {
                    tracing::warn!(%addr, %error, "no link");
                }
            }
        }
        self.next()
    }
}

pub(crate) async fn pause(time: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = stop.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_jittered() {
        let opts = LinkOptions {
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_millis(400),
            ..LinkOptions::default()
        };
        let mut backoff = Backoff::new(&opts);
        for most in [100, 200, 400, 400] {
            let wait = backoff.next().as_millis() as u64;
            assert!((most / 2..=most).contains(&wait), "{wait} for {most}");
        }
    }

    #[test]
    fn a_reason_is_told_once_and_again_when_it_changes() {
        let (mut trouble, mut told, start) = (Trouble::default(), Vec::new(), Instant::now());
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        for second in 0..1000 {
            let reason = if second < 500 { "refused" } else { "no route" };
            if trouble.is_news(reason, Trouble::GRACE, after(second)) {
                told.push(second);
            }
        }
        assert_eq!(told, [1, 500]);
        // Reasons that alternate are told now and then.
        trouble.over();
        let mut told = 0;
        for second in 0..600 {
            let reason = if second % 2 == 0 { "a" } else { "b" };
            told += u32::from(trouble.is_news(reason, Duration::ZERO, after(second)));
        }
        assert!((2..=21).contains(&told), "{told}");
    }

    #[test]
    fn processes_order_the_addresses_of_a_name_differently_and_always_alike() {
        let addrs: Vec<SocketAddr> = (1..=3).map(|i| SocketAddr::from(([10, 0, 0, i], 5050))).collect();
        let first = |name: &str| {
            *addrs.iter().min_by_key(|a| rank(&name.into(), a)).expect("three addresses to choose from")
        };
        let mut seen: Vec<SocketAddr> = (0..60).map(|i| first(&format!("agg-{i}"))).collect();
        assert_eq!(first("agg-0"), seen[0]);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 3, "{seen:?}");
    }
}
