//! The DAP's configuration: its environment variables, and the options they make.
//!
//! [`VARS`] is what `docs/configuration.md` shows. Flags of the command line are laid over the environment
//! before [`Options::from_env`] reads it, so that both have one meaning.

use std::{path::PathBuf, time::Duration};

use kvalue::Sym;
use link::{ProcessOptions, Role};
use sg::{
    LabelSet,
    config::{ConfigError, Env, Kind, Var, common},
};

use crate::{
    assembly::{Assembly, AssemblyError},
    core::Depth,
};

/// Port for internal links, publishers and direct calls.
pub const PORT: Var = Var::new("KXI_PORT", Kind::Port, "5080", "QIPC port");
/// Folder of the database.
pub const DB: Var = Var::new(
    "QMESH_DB",
    Kind::Path,
    "",
    "folder of a kdb+ database to serve; needed for the hdb and idb tiers",
);
/// Tier.
pub const TIER: Var = Var::new(
    "KXI_SC",
    Kind::Text,
    "",
    "tier: rdb (in-memory tables), idb or hdb (a database on disk); default hdb with a database, else rdb",
);
/// Labels.
pub const LABELS: Var = Var::new(
    "QMESH_LABELS",
    Kind::List,
    "",
    "labels of the source, key=value with commas; wins over the assembly file",
);
/// Assembly file.
pub const ASSEMBLY_FILE: Var =
    Var::new("KXI_ASSEMBLY_FILE", Kind::Path, "", "assembly YAML: its name, labels and table schemas");
/// Source id.
pub const SOURCE: Var = Var::new(
    "QMESH_SOURCE",
    Kind::Text,
    "",
    "id that replicas of the same data share; default: made from the database's partitions and the rows in each, and made anew as it grows",
);
/// Block cache.
pub const CACHE: Var =
    Var::new("QMESH_CACHE_BYTES", Kind::Bytes, "256M", "most memory for decompressed blocks of the database");
/// Reload period.
pub const RELOAD: Var = Var::new(
    "QMESH_RELOAD_FREQ",
    Kind::Millis,
    "2000",
    "how often the database folder is looked at for new or removed partitions; 0 never",
);
/// Tickerplant.
pub const TICKERPLANT: Var =
    Var::new("QMESH_TICKERPLANT", Kind::Text, "", "host:port of a tickerplant to subscribe to (rdb tier)");
/// Where end of day writes.
pub const SAVE_DIR: Var = Var::new(
    "QMESH_SAVE_DIR",
    Kind::Path,
    "",
    "database folder that end of day saves the in-memory tables to (rdb tier); empty: they are kept in memory",
);
/// Compression of saved columns.
pub const SAVE_COMPRESS: Var = Var::new(
    "QMESH_SAVE_COMPRESS",
    Kind::Text,
    "",
    "compression of saved columns as in q's .z.zd: logical block size, algorithm, level (`17 2 6`); empty: none",
);
/// Portions held.
pub const CAPACITY: Var = Var::new(
    "QMESH_DA_CAPACITY",
    Kind::Count,
    "32",
    "portions taken at a time, 1 to 1024: one runs, the others wait for it, so that short ones follow each other without a way to the coordinator and back",
);
/// How long they wait.
pub const PATIENCE: Var = Var::new(
    "QMESH_DA_PATIENCE",
    Kind::Millis,
    "2",
    "once a portion has run for this long those behind it are handed back to the coordinator, which gives them to a replica that is free",
);
/// Rows kept.
pub const MEMORY: Var = Var::new(
    "QMESH_RDB_BYTES",
    Kind::Bytes,
    "8G",
    "most memory for in-memory tables; rows beyond it are refused with an error to their publisher",
);

/// Every variable the DAP reads or accepts.
pub const VARS: &[&Var] = &[
    &PORT,
    &common::RC_ADDR,
    &common::DISCOVERY_PROXY,
    &DB,
    &TIER,
    &LABELS,
    &ASSEMBLY_FILE,
    &SOURCE,
    &CACHE,
    &RELOAD,
    &TICKERPLANT,
    &SAVE_DIR,
    &SAVE_COMPRESS,
    &CAPACITY,
    &PATIENCE,
    &MEMORY,
    &Var::new(
        "KXI_CUSTOM_FILE",
        Kind::Path,
        "",
        "q file with custom APIs; no q engine is built in yet, so setting it is a loud warning and its APIs are not registered",
    ),
    &Var::new(
        "KXI_PACKAGES",
        Kind::List,
        "",
        "accepted with a warning: packages hold q code, see KXI_CUSTOM_FILE",
    ),
    &Var::new("KX_PACKAGE_PATH", Kind::Path, "", "accepted, see KXI_PACKAGES"),
    &Var::new(
        "KXI_SM_ADDR",
        Kind::Text,
        "",
        "accepted; there is no Storage Manager: the database folder is watched instead",
    ),
    &Var::new(
        "KXI_DAP_SANDBOX",
        Kind::Flag,
        "false",
        "accepted; sandbox APIs (sql, qsql) come with the q engine",
    ),
    &Var::new(
        "KXI_ALLOWED_SBX_APIS",
        Kind::List,
        "",
        "accepted; sandbox APIs (sql, qsql) come with the q engine",
    ),
    &Var::new(
        "SBX_MAX_ROWS",
        Kind::Text,
        "",
        "accepted; memory of in-memory tables is bounded by QMESH_RDB_BYTES",
    ),
    &Var::new(
        "KXI_RT_LIB",
        Kind::Path,
        "",
        "accepted with a warning: Reliable Transport is not spoken here; publish by `upd` or set QMESH_TICKERPLANT",
    ),
    &Var::new(
        "RT_SOURCE",
        Kind::Text,
        "",
        "accepted with a warning: Reliable Transport is not spoken here; publish by `upd` or set QMESH_TICKERPLANT",
    ),
    &Var::new(
        "RT_LOG_PATH",
        Kind::Path,
        "",
        "accepted with a warning: Reliable Transport is not spoken here; publish by `upd` or set QMESH_TICKERPLANT",
    ),
    &Var::new(
        "RT_TOPIC_PREFIX",
        Kind::Text,
        "",
        "accepted with a warning: Reliable Transport is not spoken here; publish by `upd` or set QMESH_TICKERPLANT",
    ),
    &Var::new(
        "RT_REPLICAS",
        Kind::Text,
        "",
        "accepted with a warning: Reliable Transport is not spoken here; publish by `upd` or set QMESH_TICKERPLANT",
    ),
    &Var::new(
        "KXI_DA_START_SIDECARS",
        Kind::Text,
        "",
        "accepted; health and metrics are served by the process itself, see QMESH_HTTP_PORT",
    ),
    &Var::new(
        "KXI_DA_SIDECAR_BASEPORT",
        Kind::Text,
        "",
        "accepted; health and metrics are served by the process itself, see QMESH_HTTP_PORT",
    ),
    &Var::new(
        "KXI_DA_RDB_THREADS",
        Kind::Text,
        "",
        "accepted; one query at a time runs on a thread of its own, more replicas run more",
    ),
    &Var::new(
        "KXI_DA_IDB_THREADS",
        Kind::Text,
        "",
        "accepted; one query at a time runs on a thread of its own, more replicas run more",
    ),
    &Var::new(
        "KXI_DA_HDB_THREADS",
        Kind::Text,
        "",
        "accepted; one query at a time runs on a thread of its own, more replicas run more",
    ),
    &Var::new(
        "KXI_SECURE_ENABLED",
        Kind::Text,
        "",
        "accepted with a warning: there is no TLS and no login yet; QMESH_SECRET_FILE proves the processes of a mesh to each other",
    ),
    &Var::new(
        "KXI_LATE_DATA",
        Kind::Text,
        "",
        "accepted; rows of the day are taken whenever they come, rows of a day that has ended are dropped, counted in qmesh_da_late_records and warned of",
    ),
    &Var::new(
        "KXI_SCHEMA_OWNERSHIP",
        Kind::Text,
        "",
        "accepted; schemas come from the database, the assembly file or the first rows published",
    ),
    &Var::new("KXDB_ENABLED", Kind::Text, "", "accepted without effect"),
    &Var::new(
        "KXI_ASSEMBLY_OVERRIDES",
        Kind::Text,
        "",
        "accepted with a warning: not applied; write them into the file that KXI_ASSEMBLY_FILE names",
    ),
    &Var::new(
        "KXI_ENCRYPTION_KEY_FILE",
        Kind::Path,
        "",
        "accepted with a warning, never logged: encrypted databases are not read, a column that is one fails its queries",
    ),
    &Var::new(
        "KXI_ENCRYPTION_PASSWORD",
        Kind::Text,
        "",
        "accepted with a warning, never logged: encrypted databases are not read, a column that is one fails its queries",
    ),
];

/// Variables whose silence would mislead, and what follows from setting them. Values are not shown: one is a password.
const WARNED: &[(&str, &str)] = &[
    ("KXI_CUSTOM_FILE", NO_ENGINE),
    ("KXI_PACKAGES", NO_ENGINE),
    ("KXI_RT_LIB", NO_TRANSPORT),
    ("RT_SOURCE", NO_TRANSPORT),
    ("RT_LOG_PATH", NO_TRANSPORT),
    ("RT_TOPIC_PREFIX", NO_TRANSPORT),
    ("RT_REPLICAS", NO_TRANSPORT),
    ("KXI_SECURE_ENABLED", "there is no TLS and no login yet: connections are not encrypted"),
    (
        "KXI_ASSEMBLY_OVERRIDES",
        "overrides are not applied: write them into the file that KXI_ASSEMBLY_FILE names",
    ),
    ("KXI_ENCRYPTION_KEY_FILE", NO_ENCRYPTION),
    ("KXI_ENCRYPTION_PASSWORD", NO_ENCRYPTION),
];
const NO_ENGINE: &str = "no q engine is built in: its APIs are not registered and calls to them fail";
const NO_TRANSPORT: &str =
    "Reliable Transport is not spoken here: nothing comes by it; publish by `upd` or set QMESH_TICKERPLANT";
const NO_ENCRYPTION: &str = "encrypted databases are not read: queries that need an encrypted column fail";

/// What a DAP is started with.
#[derive(Debug)]
pub struct Options {
    /// name, ports, links
    pub process: ProcessOptions,
    /// RCs to register with: the first that answers
    pub rc: Vec<String>,
    /// tier
    pub tier: Sym,
    /// labels of the source
    pub labels: LabelSet,
    /// assembly the source belongs to, null for none
    pub assembly: Sym,
    /// schemas declared by the assembly file
    pub schemas: Vec<crate::assembly::TableSchema>,
    /// declared source id
    pub source: Option<Sym>,
    /// database folder
    pub db: Option<PathBuf>,
    /// most memory for decompressed blocks
    pub cache_bytes: u64,
    /// period of looking for new partitions, zero for never
    pub reload: Duration,
    /// tickerplant to subscribe to
    pub tickerplant: Option<String>,
    /// where end of day saves to
    pub save_dir: Option<PathBuf>,
    /// compression of saved columns: logical block size, algorithm, level
    pub save_compress: Option<(u8, u8, u8)>,
    /// most memory for in-memory tables
    pub memory_bytes: u64,
    /// portions held at a time
    pub depth: Depth,
    /// default request timeout, for direct calls
    pub timeout: Duration,
    /// sentences to log at start
    pub warnings: Vec<String>,
}

/// Why a DAP cannot start with its configuration.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// a variable
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// the assembly file
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    /// labels
    #[error("QMESH_LABELS: {0}")]
    Labels(sg::Failure),
}

impl Options {
    /// Reads the environment.
    pub fn from_env(env: &Env) -> Result<Self, OptionsError> {
        let assembly = match env.text(&ASSEMBLY_FILE) {
            Some(path) => Assembly::read(path.as_ref())?,
            None => Assembly::default(),
        };
        let labels = match env.text(&LABELS) {
            Some(text) => LabelSet::parse(&text).map_err(OptionsError::Labels)?,
            None => assembly.labels,
        };
        let db = env.text(&DB).map(PathBuf::from);
        let tier = tier(env, db.is_some())?;
        if tier != "rdb" && db.is_none() {
            return Err(ConfigError::Missing { name: DB.name, meaning: DB.meaning }.into());
        }
        let (rc, mut warnings) = common::coordinators(env)?;
        for (name, so) in WARNED {
            if VARS.iter().any(|v| v.name == *name && env.text(v).is_some()) {
                warnings.push(format!("{name} is set but {so}"));
            }
        }
        Ok(Options {
            process: ProcessOptions::from_env(env, Role::Da, &PORT)?,
            rc,
            tier,
            labels,
            assembly: assembly.name,
            schemas: assembly.tables,
            source: env.text(&SOURCE).map(Sym::new),
            db,
            cache_bytes: env.bytes(&CACHE)?,
            reload: env.millis(&RELOAD)?,
            tickerplant: env.text(&TICKERPLANT),
            save_dir: env.text(&SAVE_DIR).map(PathBuf::from),
            save_compress: env.parsed(&SAVE_COMPRESS, compression)?,
            memory_bytes: env.bytes(&MEMORY)?,
            depth: depth(env)?,
            timeout: env.millis(&common::TIMEOUT)?,
            warnings,
        })
    }
}

fn tier(env: &Env, has_db: bool) -> Result<Sym, ConfigError> {
    match env.text(&TIER).as_deref() {
        None => Ok(if has_db { "hdb" } else { "rdb" }.into()),
        Some(t @ ("rdb" | "idb" | "hdb")) => Ok(t.into()),
        Some(_) => Err(env.refuse(&TIER, "rdb, idb or hdb")),
    }
}

fn depth(env: &Env) -> Result<Depth, ConfigError> {
    let capacity = u32::try_from(env.count(&CAPACITY)?).ok().filter(|n| (1..=1024).contains(n));
    let capacity = capacity.ok_or_else(|| env.refuse(&CAPACITY, "a whole number from 1 to 1024"))?;
    Ok(Depth { capacity, patience: env.millis(&PATIENCE)? })
}

fn compression(text: &str) -> Option<(u8, u8, u8)> {
    let numbers: Vec<u8> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    match numbers[..] {
        [block @ 12..=20, algorithm @ 0..=5, level] => Some((block, algorithm, level)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tier_follows_the_database_unless_said() {
        let hdb = Options::from_env(&Env::of([("QMESH_DB", "db")])).unwrap();
        assert_eq!(hdb.tier, "hdb");
        assert_eq!(Options::from_env(&Env::default()).unwrap().tier, "rdb");
        let err = Options::from_env(&Env::of([("KXI_SC", "hdb")])).unwrap_err();
        assert!(err.to_string().contains("QMESH_DB is not set"), "{err}");
        let err = Options::from_env(&Env::of([("KXI_SC", "cold")])).unwrap_err();
        assert_eq!(err.to_string(), "KXI_SC is `cold`: expected rdb, idb or hdb");
    }

    #[test]
    fn labels_and_compression_are_checked() {
        let env = |k: &str, v: &str| Options::from_env(&Env::of([(k, v)]));
        assert!(env("QMESH_LABELS", "region").unwrap_err().to_string().contains("QMESH_LABELS"));
        assert_eq!(env("QMESH_SAVE_COMPRESS", "17 2 6").unwrap().save_compress, Some((17, 2, 6)));
        assert!(env("QMESH_SAVE_COMPRESS", "9 2 6").is_err());
    }

    #[test]
    fn a_data_process_takes_at_least_one_portion() {
        let depth = Options::from_env(&Env::default()).unwrap().depth;
        assert_eq!(depth, Depth { capacity: 32, patience: Duration::from_millis(2) });
        let err = Options::from_env(&Env::of([("QMESH_DA_CAPACITY", "0")])).unwrap_err();
        assert!(err.to_string().contains("QMESH_DA_CAPACITY is `0`"), "{err}");
    }

    #[test]
    fn custom_code_without_an_engine_is_a_warning() {
        let options = Options::from_env(&Env::of([("KXI_CUSTOM_FILE", "x.q")])).unwrap();
        assert!(options.warnings[0].contains("no q engine"), "{:?}", options.warnings);
    }

    #[test]
    fn what_is_set_in_vain_is_warned_of_and_its_value_is_not_told() {
        for (name, _) in WARNED {
            let options = Options::from_env(&Env::of([(*name, "hush")])).unwrap();
            let [warning] = &options.warnings[..] else { panic!("{name}: {:?}", options.warnings) };
            assert!(warning.starts_with(name) && !warning.contains("hush"), "{warning}");
        }
    }
}
