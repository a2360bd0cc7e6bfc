//! `KXI_LOG_FORMAT`, `KXI_LOG_LEVELS`, `KXI_LOG_DEST`, `KXI_LOG_CONFIG`, and levels that change at run time.
//!
//! The other variables win over the file that `KXI_LOG_CONFIG` names. Components are crates, or the names that
//! KX's processes use for themselves (`GW`, `RC`, `AGG`, `DA`).

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    sync::{Arc, OnceLock},
};

use sg::config::{ConfigError, Env, common};
use tracing_subscriber::{
    EnvFilter, Registry,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    reload::{self, Handle},
    util::SubscriberInitExt,
};

mod record;

static FILTER: OnceLock<Handle<EnvFilter, Registry>> = OnceLock::new();

/// Longest configuration file.
const MOST_BYTES: u64 = 1 << 20;

/// What the variables say.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Settings {
    json: bool,
    levels: Vec<String>,
    dests: Vec<String>,
}

/// Where records go, each to all of them.
#[derive(Clone)]
struct Destinations(Arc<[Destination]>);

enum Destination {
    Stdout,
    Stderr,
    File(File),
}

impl Destinations {
    fn open(dests: &[String]) -> Result<Self, String> {
        let open = |dest: &String| match dest.as_str() {
            "fd://stdout" => Ok(Destination::Stdout),
            "fd://stderr" => Ok(Destination::Stderr),
            dest => {
                let path = dest.strip_prefix("file://").unwrap_or(dest);
                let file = OpenOptions::new().create(true).append(true).open(path);
                file.map(Destination::File).map_err(|e| format!("files to append to; {path}: {e}"))
            }
        };
        Ok(Destinations(dests.iter().map(open).collect::<Result<_, _>>()?))
    }
}

/// A record is whole in one call. A destination that cannot take it (a full disk, a closed pipe) costs the record
/// there, and neither those of the others nor the process.
impl Write for Destinations {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for to in self.0.iter() {
            let _ = match to {
                Destination::Stdout => io::stdout().lock().write_all(bytes),
                Destination::Stderr => io::stderr().lock().write_all(bytes),
                Destination::File(file) => (&*file).write_all(bytes),
            };
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Destinations {
    type Writer = Destinations;

    fn make_writer(&'a self) -> Destinations {
        self.clone()
    }
}

/// Starts logging as the environment says. A process that logs already keeps its logger.
pub fn init(env: &Env) -> Result<(), ConfigError> {
    let settings = settings(env)?;
    let filter = filter(&settings.levels).map_err(|why| env.refuse(&common::LOG_LEVELS, why))?;
    let (filter, handle) = reload::Layer::new(filter);
    let base = tracing_subscriber::registry().with(filter);
    let to = Destinations::open(&settings.dests).map_err(|why| env.refuse(&common::LOG_DEST, why))?;
    let started = match settings.json {
        true => {
            let layer = fmt::layer().event_format(record::Record).log_internal_errors(false);
            base.with(layer.with_writer(to)).try_init()
        }
        false => {
            let layer = fmt::layer().with_ansi(false).log_internal_errors(false);
            base.with(layer.with_writer(to)).try_init()
        }
    };
    if started.is_ok() {
        // Nobody else sets it: only one logger can start.
        let _ = FILTER.set(handle);
    }
    Ok(())
}

/// The component (`GW`, `RC`, `AGG`, `DA`) that the parts shared by all processes log as.
pub fn speak_as(component: &'static str) {
    record::speak_as(component);
}

/// Changes levels at run time: `debug`, or `component:level,…`. The error says what was expected.
pub fn set_levels(levels: &str) -> Result<(), String> {
    let filter = filter(&levels.split(',').map(|l| l.trim().to_owned()).collect::<Vec<_>>())?;
    match FILTER.get() {
        Some(handle) => handle.reload(filter).map_err(|e| e.to_string()),
        None => Err("this process's logger was started by its host; levels cannot be changed here".into()),
    }
}

fn settings(env: &Env) -> Result<Settings, ConfigError> {
    let file = match env.text(&common::LOG_CONFIG) {
        Some(path) => config_file(&path).map_err(|why| env.refuse(&common::LOG_CONFIG, why))?,
        None => serde_json::Value::Null,
    };
    // A variable's default must not hide what the file says, so the file is asked before the default. What is wrong
    // is told of where it was said.
    let of_file = |what: &str, said: &dyn std::fmt::Display, expected: &str| {
        env.refuse(&common::LOG_CONFIG, format!("a file whose {what} is {expected}, not `{said}`"))
    };
    const FORMAT: &str = "`text` or `json`";
    let parse_format = |text: &str| match text.to_ascii_lowercase().as_str() {
        "text" => Some(false),
        "json" => Some(true),
        _ => None,
    };
    let json = match (env.given(&common::LOG_FORMAT), &file["formatMode"]) {
        (Some(given), _) => parse_format(&given).ok_or_else(|| env.refuse(&common::LOG_FORMAT, FORMAT))?,
        (None, serde_json::Value::Null) => false,
        (None, said) => said.as_str().and_then(parse_format).ok_or_else(|| {
            of_file("formatMode", &said.as_str().map_or(said.to_string(), str::to_owned), FORMAT)
        })?,
    };
    let levels = match (env.given(&common::LOG_LEVELS), file["routings"].as_object()) {
        (None, Some(routings)) => {
            let levels: Vec<String> =
                routings.iter().filter_map(|(c, l)| Some(format!("{c}:{}", l.as_str()?))).collect();
            filter(&levels)
                .map_err(|why| env.refuse(&common::LOG_CONFIG, format!("a file whose routings are {why}")))?;
            levels
        }
        _ => {
            let levels = env.list(&common::LOG_LEVELS);
            filter(&levels).map_err(|why| env.refuse(&common::LOG_LEVELS, why))?;
            levels
        }
    };
    const DESTS: &str = "`fd://stdout`, `fd://stderr`, `file://path` or a comma list of them";
    let fits = |dest: &str| {
        matches!(dest, "fd://stdout" | "fd://stderr")
            || dest.strip_prefix("file://").is_some_and(|path| !path.is_empty())
    };
    let dests = match (env.given(&common::LOG_DEST), file["endpoints"].as_array()) {
        (None, Some(endpoints)) => {
            let wrong = endpoints.iter().find(|e| !e.as_str().is_some_and(fits));
            if let Some(wrong) = wrong {
                return Err(of_file("endpoints", wrong, DESTS));
            }
            endpoints.iter().filter_map(|e| e.as_str().map(str::to_owned)).collect()
        }
        _ => {
            let dests = env.list(&common::LOG_DEST);
            if dests.is_empty() || !dests.iter().all(|dest| fits(dest)) {
                return Err(env.refuse(&common::LOG_DEST, DESTS));
            }
            dests
        }
    };
    Ok(Settings { json, levels, dests })
}

/// Whether [`init`] could start with this; no file is made.
pub(crate) fn check(env: &Env) -> Result<(), ConfigError> {
    settings(env).map(drop)
}

fn config_file(path: &str) -> Result<serde_json::Value, String> {
    let unreadable = |e: io::Error| format!("a readable JSON file; {e}");
    if std::fs::metadata(path).map_err(unreadable)?.len() > MOST_BYTES {
        return Err(format!("a JSON file of at most {MOST_BYTES} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    serde_json::from_str(&text).map_err(|e| format!("a JSON file; {e}"))
}

/// The filter of `component:level` entries.
fn filter(entries: &[String]) -> Result<EnvFilter, String> {
    let mut default = "info";
    let mut directives = Vec::new();
    for entry in entries {
        let (component, level) = entry.rsplit_once(':').unwrap_or(("default", entry));
        let level = level_name(level.trim()).ok_or_else(|| {
            format!("component:level with a level of trace, debug, info, warn, error, fatal; not `{entry}`")
        })?;
        match component.trim().to_ascii_lowercase().as_str() {
            "default" => default = level,
            component => targets(component).iter().for_each(|t| directives.push(format!("{t}={level}"))),
        }
    }
    directives.insert(0, default.to_owned());
    let text = directives.join(",");
    text.parse().map_err(|_| format!("components that are names of crates; not `{text}`"))
}

fn level_name(level: &str) -> Option<&'static str> {
    Some(match level.to_ascii_lowercase().as_str() {
        "trace" => "trace",
        "debug" => "debug",
        "info" => "info",
        "warn" | "warning" => "warn",
        "error" | "fatal" => "error",
        "off" => "off",
        _ => return None,
    })
}

fn targets(component: &str) -> Vec<String> {
    let names: &[&str] = match component {
        "gw" | "sg" => &["gateway"],
        "rc" | "sgrc" => &["coordinator", "routing"],
        "agg" | "sgagg" => &["aggregator"],
        "da" | "dap" | "sgda" => &["data_access", "getdata", "hdb"],
        other => return vec![other.replace('-', "_")],
    };
    names.iter().map(|n| n.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_and_levels_become_a_filter() {
        let text = |entries: &[&str]| {
            let entries: Vec<String> = entries.iter().map(|e| e.to_string()).collect();
            let mut parts: Vec<String> =
                filter(&entries).unwrap().to_string().split(',').map(String::from).collect();
            parts.sort();
            parts.join(",")
        };
        assert_eq!(text(&["default:debug"]), "debug");
        assert_eq!(text(&["WARN"]), "warn");
        assert_eq!(
            text(&["default:info", "AGG:TRACE", "data-access:error"]),
            "aggregator=trace,data_access=error,info"
        );
        assert!(filter(&["default:loud".into()]).unwrap_err().contains("default:loud"));
    }

    #[test]
    fn variables_win_over_the_file_and_the_file_over_defaults() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            r#"{"endpoints":["fd://stdout"],"formatMode":"json","routings":{"DEFAULT":"WARN"}}"#,
        )
        .unwrap();
        let path = file.path().to_str().unwrap();
        let from_file = settings(&Env::of([("KXI_LOG_CONFIG", path)])).unwrap();
        assert_eq!(
            from_file,
            Settings { json: true, levels: vec!["DEFAULT:WARN".into()], dests: vec!["fd://stdout".into()] }
        );
        let both = Env::of([
            ("KXI_LOG_CONFIG", path),
            ("KXI_LOG_FORMAT", "text"),
            ("KXI_LOG_LEVELS", "debug"),
            ("KXI_LOG_DEST", "fd://stderr"),
        ]);
        let settings = settings(&both).unwrap();
        assert_eq!(
            settings,
            Settings { json: false, levels: vec!["debug".into()], dests: vec!["fd://stderr".into()] }
        );
    }

    #[test]
    fn each_record_goes_to_all_destinations_of_a_list() {
        let dir = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..3).map(|i| dir.path().join(format!("{i}.log"))).collect();
        let list = paths.iter().map(|p| format!("file://{}", p.display())).collect::<Vec<_>>().join(", ");
        let settings = settings(&Env::of([("KXI_LOG_DEST", list.as_str())])).unwrap();
        let mut to = Destinations::open(&settings.dests).unwrap();
        to.write_all(b"one\n").unwrap();
        to.write_all(b"two\n").unwrap();
        assert!(paths.iter().all(|p| std::fs::read_to_string(p).unwrap() == "one\ntwo\n"));
        // A device that is full is no reason to end.
        if let Ok(mut full) = Destinations::open(&["file:///dev/full".into()]) {
            full.write_all(b"lost").unwrap();
        }
        assert!(Destinations::open(&["file:///no/such/folder/x".into()]).is_err());
    }

    #[test]
    fn bad_values_name_variable_and_expectation() {
        for (var, value) in [
            ("KXI_LOG_FORMAT", "xml"),
            ("KXI_LOG_DEST", "tcp://h"),
            ("KXI_LOG_DEST", "fd://9"),
            ("KXI_LOG_DEST", "fd://stderr,tcp://h"),
            ("KXI_LOG_DEST", "file://"),
            ("KXI_LOG_CONFIG", "no/such/file"),
        ] {
            let err = settings(&Env::of([(var, value)])).unwrap_err().to_string();
            assert!(err.contains(var) && err.contains(value), "{err}");
        }
    }
}
