//! The DAP's configuration: its environment variables, and the options they make.
//!
//! [`VARS`] is what `docs/configuration.md` shows. Flags of the command line are laid over the environment
//! before [`Options::from_env`] reads it, so that both have one meaning.

use std::{path::PathBuf, time::Duration};

use kvalue::Sym;
use link::{ProcessOptions, Role};
use sg::{
    LabelSet,
    config::{ConfigError, Env, common},
};

use crate::{
    assembly::{Assembly, AssemblyError},
    core::Depth,
};

mod tiers;
mod vars;

pub use vars::*;

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
    /// make the database folder where it is not there: a mount of the assembly file names it
    pub make_db: bool,
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
    /// Reads the environment of a process that serves one tier.
    pub fn from_env(env: &Env) -> Result<Self, OptionsError> {
        let mut all = Options::all(env)?;
        match (all.pop(), all.is_empty()) {
            (Some(one), true) => Ok(one),
            _ => Err(env.refuse(&TIER, "the name of one tier").into()),
        }
    }

    /// Reads the environment: one data process per named tier, at least one. The first data process takes the ports of
    /// the variables, each further one the next; of several, each has its tier at the end of its name.
    pub fn all(env: &Env) -> Result<Vec<Self>, OptionsError> {
        link::check(env, VARS)?;
        let assembly = match env.text(&ASSEMBLY_FILE) {
            Some(path) => Assembly::read(path.as_ref())?,
            None => Assembly::default(),
        };
        let labels = match env.text(&LABELS) {
            Some(text) => LabelSet::parse(&text).map_err(OptionsError::Labels)?,
            None => assembly.labels.clone(),
        };
        let tiers = tiers::tiers(env, &assembly)?;
        let (rc, mut warnings) = common::coordinators(env)?;
        let (tickerplant, more) = tiers::tickerplant(env, &assembly, &tiers);
        warnings.extend(in_vain(env).into_iter().chain(more));
        let save_dir = save_dir(env)?;
        let alone = tiers.len() == 1;
        let beside = tiers.iter().find(|t| t.tier == "hdb").and_then(|t| t.folder.clone());
        let mut out = Vec::new();
        for (i, tier) in tiers.into_iter().enumerate() {
            let in_memory = tier.tier == "rdb";
            // Tiers of one process hold different data.
            let source = env.text(&SOURCE).map(|id| if alone { id } else { format!("{id}-{}", tier.name) });
            out.push(Options {
                process: process(env, &tier, if alone { None } else { Some(i) })?,
                rc: rc.clone(),
                labels: labels.clone(),
                assembly: assembly.name.clone(),
                schemas: assembly.tables.clone(),
                source: source.map(Sym::new),
                cache_bytes: env.bytes(&CACHE)?,
                reload: env.millis(&RELOAD)?,
                tickerplant: tickerplant.clone().filter(|_| in_memory),
                save_dir: save_dir.clone().or_else(|| beside.clone()).filter(|_| in_memory),
                save_compress: env.parsed(&SAVE_COMPRESS, compression)?,
                memory_bytes: env.bytes(&MEMORY)?,
                depth: depth(env)?,
                timeout: env.millis(&common::TIMEOUT)?,
                warnings: std::mem::take(&mut warnings),
                tier: tier.tier.into(),
                make_db: tier.mounted,
                db: tier.folder,
            });
        }
        Ok(out)
    }
}

/// What the data process of a tier is started with; `place` is its place among several.
fn process(env: &Env, tier: &tiers::Tier, place: Option<usize>) -> Result<ProcessOptions, ConfigError> {
    let mut process = ProcessOptions::from_env(env, Role::Da, &PORT)?;
    let Some(place) = place else { return Ok(process) };
    let next = |first: u16, var| match first {
        0 => Ok(0),
        _ => u16::try_from(place)
            .ok()
            .and_then(|n| first.checked_add(n))
            .ok_or_else(|| env.refuse(var, "a port that leaves room for one of each further tier")),
    };
    process.name = Sym::new(format!("{}-{}", process.name, tier.name));
    process.port = next(process.port, &PORT)?;
    process.http_port = process.http_port.map(|port| next(port, &common::HTTP_PORT)).transpose()?;
    Ok(process)
}

/// What is set in vain, a sentence for each reason.
fn in_vain(env: &Env) -> Vec<String> {
    let mut out: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, so) in vars::WARNED {
        if VARS.iter().any(|v| v.name == *name && env.given(v).is_some()) {
            match out.iter_mut().find(|(known, _)| known == so) {
                Some((_, names)) => names.push(name),
                None => out.push((so, vec![name])),
            }
        }
    }
    let is = |names: &[&str]| if names.len() == 1 { "is" } else { "are" };
    out.into_iter().map(|(so, names)| format!("{} {} set but {so}", names.join(", "), is(&names))).collect()
}

/// That the folder is missing would else be found out at end of day.
fn save_dir(env: &Env) -> Result<Option<PathBuf>, ConfigError> {
    let dir = env.text(&SAVE_DIR).map(PathBuf::from);
    match dir.as_ref().is_some_and(|dir| !dir.is_dir()) {
        true => Err(env.refuse(&SAVE_DIR, "a folder that exists: create it, or mount it here")),
        false => Ok(dir),
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
        assert!(err.to_string().starts_with("KXI_SC is `cold`: expected rdb, idb, hdb, dap"), "{err}");
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
    fn a_folder_to_save_to_exists() {
        let at = |dir: &str| Options::from_env(&Env::of([("QMESH_SAVE_DIR", dir)])).map(|o| o.save_dir);
        let err = at("/no/such/folder").unwrap_err().to_string();
        assert!(err.contains("QMESH_SAVE_DIR is `/no/such/folder`: expected a folder that exists"), "{err}");
        assert_eq!(at("/").unwrap(), Some("/".into()));
    }

    #[test]
    fn custom_code_without_an_engine_is_a_warning() {
        let options = Options::from_env(&Env::of([("KXI_CUSTOM_FILE", "x.q")])).unwrap();
        assert!(options.warnings[0].contains("no q engine"), "{:?}", options.warnings);
    }

    #[test]
    fn what_is_set_in_vain_is_warned_of_and_its_value_is_not_told() {
        for (name, _) in vars::WARNED {
            let value = if *name == "RT_REPLICAS" { "31" } else { "hush" };
            let options = Options::from_env(&Env::of([(*name, value)])).unwrap();
            let [warning] = &options.warnings[..] else { panic!("{name}: {:?}", options.warnings) };
            assert!(warning.starts_with(name) && !warning.contains(value), "{warning}");
        }
    }
}
