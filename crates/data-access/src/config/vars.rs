//! The DAP's environment variables, each with its default and meaning: `docs/configuration.md` is made of them.

use sg::config::{Kind, Var, common};

/// Port for internal links, publishers and direct calls.
pub const PORT: Var = Var::new("KXI_PORT", Kind::Port, "5080", "QIPC port");
/// Folder of the database.
pub const DB: Var = Var::new(
    "QMESH_DB",
    Kind::Path,
    "",
    "folder of a kdb+ database to serve; needed for the hdb and idb tiers, unless a mount of the assembly file names it (baseURI); wins over that",
);
/// Tier.
pub const TIER: Var = Var::new(
    "KXI_SC",
    Kind::Text,
    "",
    "service class: an instance of the assembly file (elements.dap.instances), whose mounts say what is served; or rdb (in-memory tables), idb or hdb (a database on disk), dap (rdb, and hdb where there is a database); default hdb with a database, else rdb",
);
/// Labels.
pub const LABELS: Var = Var::new(
    "QMESH_LABELS",
    Kind::List,
    "",
    "labels of the source, key=value with commas; wins over the assembly file",
);
/// Assembly file.
pub const ASSEMBLY_FILE: Var = Var::new(
    "KXI_ASSEMBLY_FILE",
    Kind::Path,
    "",
    "assembly YAML: its name, labels, table schemas, mounts, bus and instances",
);
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
pub const TICKERPLANT: Var = Var::new(
    "QMESH_TICKERPLANT",
    Kind::Address,
    "",
    "host:port of a tickerplant to subscribe to (rdb tier); wins over nodes of the assembly file's bus",
);
/// Where end of day writes.
pub const SAVE_DIR: Var = Var::new(
    "QMESH_SAVE_DIR",
    Kind::Path,
    "",
    "database folder, one that exists, that end of day saves the in-memory tables to (rdb tier); default: the hdb that the same process serves, else they are kept in memory",
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
        Kind::Address,
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
        Kind::Count,
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
        Kind::Count,
        "",
        "accepted with a warning: Reliable Transport is not spoken here; publish by `upd` or set QMESH_TICKERPLANT",
    ),
    &Var::new(
        "KXI_DA_START_SIDECARS",
        Kind::Flag,
        "",
        "accepted; health and metrics are served by the process itself, see QMESH_HTTP_PORT",
    ),
    &Var::new(
        "KXI_DA_SIDECAR_BASEPORT",
        Kind::Port,
        "",
        "accepted; health and metrics are served by the process itself, see QMESH_HTTP_PORT",
    ),
    &Var::new(
        "KXI_DA_RDB_THREADS",
        Kind::Count,
        "",
        "accepted; one query at a time runs on a thread of its own, more replicas run more",
    ),
    &Var::new(
        "KXI_DA_IDB_THREADS",
        Kind::Count,
        "",
        "accepted; one query at a time runs on a thread of its own, more replicas run more",
    ),
    &Var::new(
        "KXI_DA_HDB_THREADS",
        Kind::Count,
        "",
        "accepted; one query at a time runs on a thread of its own, more replicas run more",
    ),
    &Var::new(
        "KXI_ASSEMBLY_OVERRIDES",
        Kind::Text,
        "",
        "accepted with a warning: not applied; write them into the file that KXI_ASSEMBLY_FILE names",
    ),
];

/// Variables without effect, each with a warning: silence would mislead.
pub(super) const WARNED: &[(&str, &str)] = &[
    ("KXI_CUSTOM_FILE", NO_ENGINE),
    ("KXI_PACKAGES", NO_ENGINE),
    ("KXI_RT_LIB", NO_TRANSPORT),
    ("RT_SOURCE", NO_TRANSPORT),
    ("RT_LOG_PATH", NO_TRANSPORT),
    ("RT_TOPIC_PREFIX", NO_TRANSPORT),
    ("RT_REPLICAS", NO_TRANSPORT),
    (
        "KXI_ASSEMBLY_OVERRIDES",
        "overrides are not applied: write them into the file that KXI_ASSEMBLY_FILE names",
    ),
];
const NO_ENGINE: &str = "no q engine is built in: its APIs are not registered and calls to them fail";
pub(super) const NO_TRANSPORT: &str =
    "Reliable Transport is not spoken here: nothing comes by it; publish by `upd` or set QMESH_TICKERPLANT";
