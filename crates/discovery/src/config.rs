//! Discovery's environment variables; each process that finds others lists [`VARS`].

use std::time::Duration;

use sg::config::{ConfigError, Env, Kind, Var};

/// Selector of RC pods.
pub const RC_SELECTOR: Var = Var::new(
    "KXI_SG_RC_LABEL_SELECTOR",
    Kind::Text,
    "",
    "label selector of coordinator pods, as kubectl takes it; the API server evaluates it. A gateway uses it where KXI_SG_RC_ADDR is not set; coordinators use it to find each other with KXI_SG_DISC=kubernetes",
);
/// Selector of DAP pods.
pub const DA_SELECTOR: Var = Var::new(
    "KXI_SG_DA_LABEL_SELECTOR",
    Kind::Text,
    "",
    "label selector of data access pods; coordinators find and dial them, each pod from one coordinator. A gateway does not need it: it shows what is found in /readyz?verbose",
);
/// The same by its other name.
pub const DA_SELECTOR_ALIAS: Var =
    Var::new("KXI_DA_LABEL_SELECTOR", Kind::Text, "", "other name of KXI_SG_DA_LABEL_SELECTOR");
/// Namespace.
pub const NAMESPACE: Var = Var::new(
    "QMESH_NAMESPACE",
    Kind::Text,
    "",
    "namespace in which pods are looked for; default: that of the process's own service account, else that of the kubeconfig file",
);
pub use sg::config::common::DISCOVERY_PROXY as PROXY;

/// Name in the registry.
pub const RC_SERVICE: Var = Var::new(
    "KXI_RC_SERVICE_NAME",
    Kind::Text,
    "KXI-SG-RC",
    "service name of coordinators in the registry; without effect until DISCOVERY_PROXY is supported",
);
/// Silence.
pub const QUIET: Var = Var::new(
    "QMESH_DISC_QUIET",
    Kind::Millis,
    "120000",
    "time for which a watch of pods may say nothing, not even a bookmark (the API server sends one a minute), before it is taken for dead: it is shown in metrics and /readyz?verbose, and pods are listed again",
);
/// Lists.
pub const RELIST: Var = Var::new(
    "QMESH_DISC_RELIST",
    Kind::Millis,
    "300000",
    "pods are listed again this often (up to a quarter earlier, so that processes spread), whatever the watch says; 0 for never",
);
/// Bound.
pub const MAX: Var = Var::new(
    "QMESH_DISC_MAX",
    Kind::Count,
    "50000",
    "pods or addresses that one source keeps; more are counted in /readyz?verbose and not used",
);
/// Names.
pub const DNS: Var = Var::new(
    "QMESH_DISC_DNS",
    Kind::Millis,
    "5000",
    "time between two looks at what the names in address lists stand for",
);

/// All of them that gateways and coordinators share.
pub const VARS: &[&Var] =
    &[&RC_SELECTOR, &DA_SELECTOR, &DA_SELECTOR_ALIAS, &NAMESPACE, &QUIET, &RELIST, &MAX, &DNS];

/// Times and bounds of sources.
#[derive(Debug, Clone)]
pub struct Options {
    /// namespace of pods, `None` for the service account's
    pub namespace: Option<String>,
    /// a watch that says nothing for so long is dead
    pub quiet: Duration,
    /// period of whole lists; zero for never
    pub relist: Duration,
    /// things one source keeps
    pub max: usize,
    /// period of looking names up
    pub dns: Duration,
    /// time one call to an API server or resolver may take
    pub call: Duration,
    /// first wait after a failure
    pub backoff_min: Duration,
    /// longest wait after failures
    pub backoff_max: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            namespace: None,
            quiet: Duration::from_secs(120),
            relist: Duration::from_secs(300),
            max: 50_000,
            dns: Duration::from_secs(5),
            call: Duration::from_secs(15),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
        }
    }
}

impl Options {
    /// From the environment.
    pub fn from_env(env: &Env) -> Result<Options, ConfigError> {
        let above_zero = |var: &Var| match env.millis(var)? {
            Duration::ZERO => Err(env.refuse(var, "more than 0")),
            time => Ok(time),
        };
        let max = usize::try_from(env.count(&MAX)?).unwrap_or(usize::MAX);
        if max == 0 {
            return Err(env.refuse(&MAX, "more than 0"));
        }
        Ok(Options {
            namespace: env.text(&NAMESPACE),
            quiet: above_zero(&QUIET)?,
            relist: env.millis(&RELIST)?,
            max,
            dns: above_zero(&DNS)?,
            ..Options::default()
        })
    }
}

/// The selector of DAP pods, by either name.
pub fn da_selector(env: &Env) -> Option<String> {
    env.text(&DA_SELECTOR).or_else(|| env.text(&DA_SELECTOR_ALIAS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_documentation_and_zero_is_refused_where_it_makes_no_sense() {
        assert_eq!(
            format!("{:?}", Options::from_env(&Env::default()).unwrap()),
            format!("{:?}", Options::default())
        );
        for var in ["QMESH_DISC_QUIET", "QMESH_DISC_MAX", "QMESH_DISC_DNS"] {
            let error = Options::from_env(&Env::of([(var, "0")])).unwrap_err().to_string();
            assert!(error.contains(var), "{error}");
        }
    }

    #[test]
    fn the_selector_of_data_pods_has_two_names() {
        assert_eq!(da_selector(&Env::of([("KXI_DA_LABEL_SELECTOR", "a=b")])).as_deref(), Some("a=b"));
        let both = Env::of([("KXI_DA_LABEL_SELECTOR", "a=b"), ("KXI_SG_DA_LABEL_SELECTOR", "c=d")]);
        assert_eq!(da_selector(&both).as_deref(), Some("c=d"));
    }
}
