//! The Agg's configuration: its environment variables, and the options they make.
//!
//! [`VARS`] is what `docs/configuration.md` shows, with [`sg::config::common::VARS`] and [`link::VARS`].

use std::time::Duration;

use link::{ProcessOptions, Role};
use sg::config::{ConfigError, Env, Kind, Var, common};

use crate::core::Bounds;

/// QIPC port for internal links.
pub const PORT: Var = Var::new("KXI_PORT", Kind::Port, "5060", "QIPC port for internal links");
/// Memory for partials.
pub const MEMORY: Var = Var::new(
    "QMESH_AGG_MEMORY",
    Kind::Bytes,
    "4G",
    "most bytes of partials and answers held at once; the request whose partial goes beyond it fails with rc LIMIT; the operator sets it to three quarters of a memory limit, or to all but 64M of it where that is less",
);
/// Partials that wait for their plan.
pub const EARLY_BYTES: Var = Var::new(
    "QMESH_AGG_EARLY_BYTES",
    Kind::Bytes,
    "256M",
    "most bytes of partials that came before their plan; more are dropped, and their portions tried again; the operator sets it to a quarter of QMESH_AGG_MEMORY where that is less",
);
/// How long they wait.
pub const EARLY_TIME: Var = Var::new(
    "QMESH_AGG_EARLY_TIME",
    Kind::Millis,
    "10000",
    "time a partial waits for its plan before it is dropped",
);
/// Requests at once.
pub const REQUESTS: Var = Var::new(
    "QMESH_AGG_REQUESTS",
    Kind::Count,
    "65536",
    "requests open at once; more are refused with rc QUEUE",
);
/// Aggregations at once.
pub const THREADS: Var = Var::new(
    "QMESH_AGG_THREADS",
    Kind::Count,
    "0",
    "large aggregations that run at once, small ones run at once in any case; 0: one per processor",
);
/// Compression.
pub const COMPRESS_MAX: Var = Var::new(
    "QMESH_AGG_COMPRESS_MAX",
    Kind::Bytes,
    "1G",
    "longest answer that is compressed for a client that its gateway finds on another host: it is held together with its compressed form, which is at most half as long",
);
/// Patience with a GW.
pub const STREAM_STALL: Var = Var::new(
    "QMESH_AGG_STREAM_STALL",
    Kind::Millis,
    "120000",
    "time a large answer may wait for credit from the GW before it is given up",
);
/// Ids of answered requests.
pub const REQ_DEL_FREQ: Var = Var::new(
    "KXI_SG_REQ_DEL_FREQ",
    Kind::Millis,
    "10000",
    "time that ids of answered requests are remembered, so that partials that still come for them are known to be late",
);
/// Custom q file.
pub const CUSTOM_FILE: Var = Var::new(
    "KXI_CUSTOM_FILE",
    Kind::Path,
    "",
    "q file with custom aggregation functions; no q engine is built in yet, so setting it is a loud warning and requests that name such a function fail",
);

/// Every variable the Agg reads or accepts, beside those all processes and all links have.
pub const VARS: &[&Var] = &[
    &PORT,
    &common::RC_ADDR,
    &common::DISCOVERY_PROXY,
    &MEMORY,
    &EARLY_BYTES,
    &EARLY_TIME,
    &REQUESTS,
    &THREADS,
    &COMPRESS_MAX,
    &STREAM_STALL,
    &REQ_DEL_FREQ,
    &CUSTOM_FILE,
    &Var::new(
        "KXI_SG_TIMEOUT",
        Kind::Millis,
        "30000",
        "accepted; the Agg counts the time that each request's plan says is left",
    ),
    &Var::new(
        "KXI_PACKAGES",
        Kind::List,
        "",
        "accepted with a warning: packages hold q code, see KXI_CUSTOM_FILE",
    ),
    &Var::new("KX_PACKAGE_PATH", Kind::Path, "", "accepted, see KXI_PACKAGES"),
    &Var::new(
        "KXI_GC_AFTER_AGG",
        Kind::Flag,
        "true",
        "accepted; memory of large partials goes back to the system as soon as they are sent",
    ),
];

/// What an Agg is started with.
#[derive(Debug)]
pub struct Options {
    /// name, ports, links
    pub process: ProcessOptions,
    /// RCs: the first that answers
    pub rc: Vec<String>,
    /// what is bounded
    pub bounds: Bounds,
    /// large aggregations at once
    pub threads: usize,
    /// longest answer that is compressed
    pub compress_max: usize,
    /// time a large answer may wait for credit
    pub stream_stall: Duration,
    /// to be said at start, and in readiness
    pub warnings: Vec<String>,
}

impl Default for Options {
    /// On loopback, any free port, no HTTP port, no RC.
    fn default() -> Self {
        Options {
            process: ProcessOptions::local("agg"),
            rc: Vec::new(),
            bounds: Bounds::default(),
            threads: processors(),
            compress_max: 1 << 30,
            stream_stall: Duration::from_secs(120),
            warnings: Vec::new(),
        }
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

impl Options {
    /// From the environment.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        link::check(env, VARS)?;
        let (rc, mut warnings) = common::coordinators(env)?;
        if rc.is_empty() {
            return Err(ConfigError::Missing {
                name: common::RC_ADDR.name,
                meaning: common::RC_ADDR.meaning,
            });
        }
        for name in ["KXI_CUSTOM_FILE", "KXI_PACKAGES"] {
            if let Some(value) = VARS.iter().find(|v| v.name == name).and_then(|v| env.given(v)) {
                warnings.push(format!(
                    "{name} is set to {value} but no q engine is built in: custom aggregation functions are unavailable, and requests that name one fail"
                ));
            }
        }
        let at_least = |var: &Var, value: u64| match usize::try_from(value) {
            Ok(0) | Err(_) => Err(env.refuse(var, "more than 0")),
            Ok(n) => Ok(n),
        };
        Ok(Options {
            process: ProcessOptions::from_env(env, Role::Agg, &PORT)?,
            rc,
            bounds: Bounds {
                memory: at_least(&MEMORY, env.bytes(&MEMORY)?)?,
                early_bytes: at_least(&EARLY_BYTES, env.bytes(&EARLY_BYTES)?)?,
                early_time: env.millis(&EARLY_TIME)?,
                requests: at_least(&REQUESTS, env.count(&REQUESTS)?)?,
                remember: env.millis(&REQ_DEL_FREQ)?,
            },
            threads: match usize::try_from(env.count(&THREADS)?) {
                Ok(0) => processors(),
                Ok(n) => n.min(512),
                Err(_) => 512,
            },
            compress_max: usize::try_from(env.bytes(&COMPRESS_MAX)?).unwrap_or(usize::MAX),
            stream_stall: match env.millis(&STREAM_STALL)? {
                Duration::ZERO => return Err(env.refuse(&STREAM_STALL, "more than 0")),
                stall => stall,
            },
            warnings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let options = Options::from_env(&Env::of([("KXI_SG_RC_ADDR", "rc:5050, other:5050")])).unwrap();
        assert_eq!((options.process.port, options.process.http_port), (5060, Some(8081)));
        assert_eq!(options.rc, ["rc:5050", "other:5050"]);
        let (read, default) = (options.bounds, Bounds::default());
        assert_eq!(
            (read.memory, read.early_bytes, read.early_time, read.requests, read.remember),
            (default.memory, default.early_bytes, default.early_time, default.requests, default.remember)
        );
        assert_eq!(options.stream_stall, Options::default().stream_stall);
        assert_eq!(options.compress_max, Options::default().compress_max);
        assert!(options.warnings.is_empty());
    }

    #[test]
    fn a_missing_coordinator_and_useless_bounds_are_refused() {
        let err = Options::from_env(&Env::default()).unwrap_err().to_string();
        assert!(err.contains("KXI_SG_RC_ADDR"), "{err}");
        for var in
            ["QMESH_AGG_MEMORY", "QMESH_AGG_EARLY_BYTES", "QMESH_AGG_REQUESTS", "QMESH_AGG_STREAM_STALL"]
        {
            let env = Env::of([("KXI_SG_RC_ADDR", "rc:1"), (var, "0")]);
            let err = Options::from_env(&env).unwrap_err().to_string();
            assert!(err.contains(var) && err.contains("more than 0"), "{err}");
        }
    }

    #[test]
    fn a_custom_file_is_warned_of_loudly() {
        let env = Env::of([("KXI_SG_RC_ADDR", "rc:1"), ("KXI_CUSTOM_FILE", "agg.q")]);
        let warnings = Options::from_env(&env).unwrap().warnings;
        assert!(warnings[0].contains("agg.q") && warnings[0].contains("no q engine"), "{warnings:?}");
    }
}
