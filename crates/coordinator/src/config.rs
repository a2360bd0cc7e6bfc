//! The coordinator's configuration: its environment variables, and the options they make.
//!
//! [`VARS`] is what `docs/configuration.md` shows. Flags of the command line are laid over the environment
//! before [`Options::from_env`] reads it, so that both have one meaning.

use discovery::{
    Find, config as disc,
    kubernetes::{COORDINATORS, Select},
};
use kvalue::Sym;
use link::{ProcessOptions, Role};
use routing::{MILLI, SECOND, Settings};
use sg::config::{ConfigError, Env, Kind, Var, common};

use crate::expect;

/// Port for internal links.
pub const PORT: Var =
    Var::new("KXI_PORT", Kind::Port, "5050", "QIPC port that gateways, aggregators and data processes dial");
/// Assembly.
pub const ASSEMBLY: Var = Var::new(
    "KXI_ASSEMBLY_NAME",
    Kind::Text,
    "",
    "the one assembly that this coordinator is for: gateways send it the requests whose scope.assembly says so, and others only where no other coordinator is ready; without it it is for all",
);
/// Retries.
pub const MAX_RETRY: Var = Var::new(
    "KXI_SG_MAX_RETRY",
    Kind::Count,
    "3",
    "how often a portion of a request, or the whole of it after its aggregator was lost, is tried again",
);
/// Old labels.
pub const OLD_LABELS: Var = Var::new(
    "ALLOW_OLD_LABEL_STYLE",
    Kind::Flag,
    "true",
    "take top-level arguments named like a known label as labels, with a warning",
);
/// Requests in flight.
pub const MAX_REQUESTS: Var = Var::new(
    "QMESH_RC_MAX_REQUESTS",
    Kind::Count,
    "100000",
    "requests in flight; one more is refused with rc QUEUE",
);
/// Waiting portions.
pub const MAX_QUEUE: Var = Var::new(
    "QMESH_RC_MAX_QUEUE",
    Kind::Count,
    "100000",
    "portions waiting for a data process; a request that needs one more is refused with rc QUEUE",
);
/// Portions of a request.
pub const MAX_PORTIONS: Var = Var::new(
    "QMESH_RC_MAX_PORTIONS",
    Kind::Count,
    "10000",
    "portions one request may be cut into; more is refused with rc LIMIT",
);
/// Known sources.
pub const MAX_SOURCES: Var = Var::new(
    "QMESH_RC_MAX_SOURCES",
    Kind::Count,
    "10000",
    "sources of data known at a time, lost ones included; the longest lost is forgotten first",
);
/// Declared tiers.
pub const EXPECT: Var = Var::new(
    "QMESH_RC_EXPECT",
    Kind::Text,
    "",
    "tiers that there should be: label set, colon, tiers, several with semicolons, such as `region=amer:hdb,rdb;region=emea:hdb`; the label set may be empty. Requests for what such a tier may hold wait for it from the start, as for one that was lost; without it only what was seen once is known to be missing. The same for all coordinators that work together",
);
/// Known APIs.
pub const MAX_APIS: Var = Var::new(
    "QMESH_RC_MAX_APIS",
    Kind::Count,
    "10000",
    "APIs known at a time; a registration that brings more is refused",
);
/// Custody.
pub const CUSTODY_WAIT: Var = Var::new(
    "QMESH_RC_CUSTODY_WAIT",
    Kind::Millis,
    "5000",
    "time a partial may take from its data process to the aggregator before the portion is tried again",
);
/// Margin.
pub const MARGIN: Var = Var::new(
    "QMESH_RC_MARGIN",
    Kind::Millis,
    "50",
    "least time before a request's deadline at which the answer that names what is missing is sent (or 2% of its time, if that is more)",
);
/// Probing.
pub const PROBE: Var = Var::new(
    "QMESH_RC_PROBE",
    Kind::Millis,
    "5000",
    "an idle data process unused for this long is tried again, however slow it was",
);
/// Forgetting.
pub const FORGET: Var = Var::new(
    "QMESH_RC_FORGET",
    Kind::Millis,
    "600000",
    "time for which data that only a lost process held stays wanted while others of its source are connected; requests for it wait so long as it is",
);
/// Settling.
pub const SETTLE: Var = Var::new(
    "QMESH_RC_SETTLE",
    Kind::Millis,
    "6000",
    "time after its start for which the coordinator is not ready, so that data processes an earlier one knew are back before a request is planned: a part of the data is never taken for all of it; 0 where nothing was there before",
);
/// Dividing.
pub const DIVIDE: Var = Var::new(
    "QMESH_RC_DIVIDE",
    Kind::Flag,
    "true",
    "divide getData at partition borders among the idle replicas of one source",
);

/// Replicas of peers.
pub const MAX_REPLICAS: Var = Var::new(
    "QMESH_RC_MAX_REPLICAS",
    Kind::Count,
    "100000",
    "replicas known at a time, those of other coordinators included; further ones of theirs are not used",
);
/// Second runs.
pub const HEDGE: Var = Var::new(
    "QMESH_RC_HEDGE",
    Kind::Count,
    "5",
    "second runs of slow portions of safe APIs, in percent of the time of all portions; 0 for none",
);
/// Offers.
pub const OFFER_WAIT: Var = Var::new(
    "QMESH_RC_OFFER_WAIT",
    Kind::Millis,
    "20",
    "longest time for which an idle replica is kept for another coordinator to which it was offered",
);
/// Hints.
pub const COALESCE: Var = Var::new(
    "QMESH_RC_COALESCE",
    Kind::Millis,
    "1",
    "least time between two accounts to other coordinators of who is idle and who waits; the first of a quiet time goes at once",
);
/// Stopping.
pub const DRAIN_GRACE: Var = Var::new(
    "QMESH_RC_DRAIN_GRACE",
    Kind::Millis,
    "1000",
    "time after the order to stop for which requests are still taken: those that gateways sent before they heard of it",
);

/// Every variable the coordinator reads or accepts, beyond those of every process and of links.
pub const VARS: &[&Var] = &[
    &PORT,
    &MAX_RETRY,
    &OLD_LABELS,
    &MAX_REQUESTS,
    &MAX_QUEUE,
    &MAX_PORTIONS,
    &MAX_SOURCES,
    &EXPECT,
    &MAX_APIS,
    &CUSTODY_WAIT,
    &MARGIN,
    &PROBE,
    &FORGET,
    &SETTLE,
    &DIVIDE,
    &MAX_REPLICAS,
    &HEDGE,
    &OFFER_WAIT,
    &COALESCE,
    &DRAIN_GRACE,
    &Var::new(
        "KXI_SG_TIMEOUT",
        Kind::Millis,
        "30000",
        "accepted; each request brings the time it has left from the gateway, whose KXI_SG_TIMEOUT is the default",
    ),
    &Var::new(
        "KXI_SG_REQ_DEL_FREQ",
        Kind::Millis,
        "10000",
        "accepted; a request leaves the table the moment it is answered, there is nothing to purge",
    ),
    &Var::new(
        "KXI_SG_QUEUE_DEL_FREQ",
        Kind::Millis,
        "10000",
        "accepted; a portion leaves the queue when it starts or its request ends, there is nothing to purge",
    ),
    &Var::new(
        "KXI_SG_MULTI_RC_TO_MAX_WAIT",
        Kind::Count,
        "1",
        "accepted; one coordinator knows at the deadline what is missing and waits for nobody",
    ),
    &DISC,
    &PEERS,
    &disc::RC_SELECTOR,
    &disc::DA_SELECTOR,
    &disc::DA_SELECTOR_ALIAS,
    &disc::NAMESPACE,
    &disc::QUIET,
    &disc::RELIST,
    &disc::MAX,
    &disc::DNS,
    &disc::PROXY,
    &ASSEMBLY,
    &Var::new(
        "KXI_ALLOWED_SBX_APIS",
        Kind::List,
        "",
        "accepted; sandbox APIs (sql, qsql) come with the q engine",
    ),
];

/// How coordinators find each other.
pub const DISC: Var = Var::new(
    "KXI_SG_DISC",
    Kind::OneOf(&["kubernetes"]),
    "",
    "`kubernetes`: coordinators find each other by pods: those of KXI_SG_RC_LABEL_SELECTOR, else those of app.kubernetes.io/name=resource-coordinator with the same app.kubernetes.io/instance label as the process's own pod; without a value this one is alone, unless QMESH_RC_PEERS names others",
);
/// Addresses of coordinators.
pub const PEERS: Var = Var::new(
    "QMESH_RC_PEERS",
    Kind::Addresses,
    "",
    "host:port of the other coordinators, comma list; names stand for all their addresses; may contain this one, which leaves itself alone; wins over KXI_SG_DISC",
);
/// Name of the pod this process runs in, as Kubernetes sets it.
const HOSTNAME: Var =
    Var::new("HOSTNAME", Kind::Text, "", "name of this process's own pod, set by Kubernetes");

/// What a coordinator is started with.
#[derive(Debug)]
pub struct Options {
    /// name, ports, links
    pub process: ProcessOptions,
    /// where the other coordinators are; `None` for none
    pub peers: Option<Find>,
    /// pods of data processes to dial; `None` where they all register by themselves
    pub daps: Option<Find>,
    /// times and bounds of finding them
    pub discovery: discovery::Options,
    /// limits and choices of the router; name and start are set when it runs
    pub settings: Settings,
    /// sentences to log at start
    pub warnings: Vec<String>,
}

impl Options {
    /// Reads the environment.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        link::check(env, VARS)?;
        let mut warnings = Vec::new();
        let peers = find_peers(env)?;
        let instead = format!("{} or {}", PEERS.name, DISC.name);
        warnings.extend(common::registry(env, peers.is_some(), &instead)?);
        if env.given(&disc::RC_SELECTOR).is_some() && !matches!(peers, Some(Find::Pods(_))) {
            warnings.push(format!(
                "{} is set and has no effect: coordinators look for each other's pods only with {}=kubernetes and without {}",
                disc::RC_SELECTOR.name, DISC.name, PEERS.name
            ));
        }
        Ok(Options {
            process: ProcessOptions::from_env(env, Role::Rc, &PORT)?,
            peers,
            daps: disc::da_selector(env).map(Find::matching),
            discovery: discovery::Options::from_env(env)?,
            settings: settings(env)?,
            warnings,
        })
    }
}

/// Addresses, else pods.
fn find_peers(env: &Env) -> Result<Option<Find>, ConfigError> {
    let addresses = env.list(&PEERS);
    if !addresses.is_empty() {
        return Ok(Some(Find::Addresses(addresses)));
    }
    match env.text(&DISC).as_deref() {
        None => Ok(None),
        Some("kubernetes") => Ok(Some(match (env.text(&disc::RC_SELECTOR), env.text(&HOSTNAME)) {
            (Some(selector), _) => Find::matching(selector),
            (None, Some(pod)) => Find::Pods(Select::Siblings { pod }),
            (None, None) => Find::matching(COORDINATORS),
        })),
        Some(_) => Err(env.refuse(&DISC, "kubernetes, or no value")),
    }
}

fn settings(env: &Env) -> Result<Settings, ConfigError> {
    let count = |var: &Var| env.count(var).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let at_least_one = |var: &Var| match count(var)? {
        0 => Err(env.refuse(var, "a whole number from 1")),
        n => Ok(n),
    };
    let nanos = |var: &Var| env.millis(var).map(|d| (d.as_millis() as u64).saturating_mul(MILLI));
    let custody_wait = nanos(&CUSTODY_WAIT)?;
    if custody_wait == 0 || custody_wait > 3600 * SECOND {
        return Err(env.refuse(&CUSTODY_WAIT, "milliseconds from 1 to an hour"));
    }
    Ok(Settings {
        assembly: env.text(&ASSEMBLY).map(Sym::new).unwrap_or_default(),
        max_retry: env.parsed(&MAX_RETRY, |t| t.parse().ok().filter(|n| *n <= 1000))?.unwrap_or_default(),
        max_requests: at_least_one(&MAX_REQUESTS)?,
        max_queued: count(&MAX_QUEUE)?,
        max_portions: at_least_one(&MAX_PORTIONS)?,
        max_sources: at_least_one(&MAX_SOURCES)?,
        expected: expect::parse(&env.text(&EXPECT).unwrap_or_default())
            .map_err(|why| env.refuse(&EXPECT, format!("{}; {why}", expect::FORM)))?,
        max_apis: at_least_one(&MAX_APIS)?,
        custody_wait,
        min_margin: nanos(&MARGIN)?,
        probe_after: nanos(&PROBE)?,
        forget_after: nanos(&FORGET)?,
        settle: nanos(&SETTLE)?,
        divide: env.flag(&DIVIDE)?,
        max_replicas: at_least_one(&MAX_REPLICAS)?,
        hedge_percent: env.parsed(&HEDGE, |t| t.parse().ok().filter(|n| *n <= 100))?.unwrap_or_default(),
        offer_wait: nanos(&OFFER_WAIT)?.max(MILLI),
        coalesce: nanos(&COALESCE)?,
        drain_grace: nanos(&DRAIN_GRACE)?,
        old_labels: env.flag(&OLD_LABELS)?,
        ..Settings::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_of_the_variables_are_those_of_the_router() {
        let options = Options::from_env(&Env::default()).unwrap();
        let defaults = format!("{:?}", Settings::default());
        assert_eq!(format!("{:?}", options.settings), defaults);
        assert_eq!((options.process.port, options.process.http_port), (5050, Some(8081)));
        assert!(options.warnings.is_empty());
    }

    #[test]
    fn values_that_cannot_be_used_name_their_variable() {
        for (var, value) in [
            ("KXI_SG_MAX_RETRY", "many"),
            ("QMESH_RC_MAX_REQUESTS", "0"),
            ("QMESH_RC_CUSTODY_WAIT", "0"),
            ("ALLOW_OLD_LABEL_STYLE", "perhaps"),
            ("QMESH_RC_EXPECT", "region=amer:hdb;emea"),
        ] {
            let err = Options::from_env(&Env::of([(var, value)])).unwrap_err().to_string();
            assert!(err.contains(var) && err.contains(value), "{err}");
        }
    }

    #[test]
    fn declared_tiers_reach_the_router() {
        let options = Options::from_env(&Env::of([("QMESH_RC_EXPECT", "region=amer:hdb,rdb")])).unwrap();
        let expected = &options.settings.expected[0];
        assert_eq!((expected.labels.to_string().as_str(), expected.tiers.len()), ("region=amer", 2));
        let wrong = Options::from_env(&Env::of([("QMESH_RC_EXPECT", "region=amer:hdb;emea")])).unwrap_err();
        let wrong = wrong.to_string();
        assert!(wrong.contains("labels:tiers") && wrong.contains("`emea` has no tiers"), "{wrong}");
    }

    fn peers(vars: &[(&str, &str)]) -> String {
        let options = Options::from_env(&Env::of(vars.iter().copied()));
        options.map_or_else(|e| e.to_string(), |o| format!("{:?}", o.peers))
    }

    #[test]
    fn peers_are_found_by_addresses_else_by_pods_else_there_are_none() {
        assert_eq!(peers(&[]), "None");
        assert!(peers(&[("QMESH_RC_PEERS", "a:1,b:2"), ("KXI_SG_DISC", "kubernetes")]).contains("Addresses"));
        assert!(
            peers(&[("KXI_SG_DISC", "kubernetes"), ("HOSTNAME", "rc-0")])
                .contains("Siblings { pod: \"rc-0\" }")
        );
        let selected = [("KXI_SG_DISC", "kubernetes"), ("KXI_SG_RC_LABEL_SELECTOR", "x in (a,b)")];
        assert!(peers(&selected).contains("Selector(\"x in (a,b)\")"));
        assert!(peers(&[("KXI_SG_DISC", "eureka")]).contains("KXI_SG_DISC is `eureka`"));
    }

    #[test]
    fn a_selector_that_nobody_reads_is_a_warning() {
        let warnings = Options::from_env(&Env::of([("KXI_SG_RC_LABEL_SELECTOR", "a=b")])).unwrap().warnings;
        assert!(warnings[0].contains("KXI_SG_DISC=kubernetes"), "{warnings:?}");
    }
}
