//! `KXI_LOG_FORMAT`, `KXI_LOG_LEVELS`, `KXI_LOG_DEST`, `KXI_LOG_CONFIG`, and levels that change at run time.
//!
//! The other variables win over the file that `KXI_LOG_CONFIG` names. Components are crates, or the names that
//! KX's processes use for themselves (`GW`, `RC`, `AGG`, `DA`).

use std::{
    fs::OpenOptions,
    io,
    sync::{Arc, OnceLock},
};

use sg::config::{ConfigError, Env, common};
use tracing_subscriber::{
    EnvFilter, Registry, fmt, layer::SubscriberExt, reload, reload::Handle, util::SubscriberInitExt,
};

static FILTER: OnceLock<Handle<EnvFilter, Registry>> = OnceLock::new();

/// Longest configuration file.
const MOST_BYTES: u64 = 1 << 20;

/// What the variables say.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Settings {
    json: bool,
    levels: Vec<String>,
    dest: String,
}

/// Starts logging as the environment says. A process that logs already keeps its logger.
pub fn init(env: &Env) -> Result<(), ConfigError> {
    let settings = settings(env)?;
    let filter = filter(&settings.levels).map_err(|why| env.refuse(&common::LOG_LEVELS, why))?;
    let (filter, handle) = reload::Layer::new(filter);
    let open = |path: &str| OpenOptions::new().create(true).append(true).open(path);
    let base = tracing_subscriber::registry().with(filter);
    let colour = false;
    // Each destination is a type of its own, hence the repetition.
    macro_rules! start {
        ($writer:expr) => {
            match settings.json {
                true => base.with(fmt::layer().json().flatten_event(true).with_writer($writer)).try_init(),
                false => base.with(fmt::layer().with_ansi(colour).with_writer($writer)).try_init(),
            }
        };
    }
    let started = match settings.dest.as_str() {
        "fd://stderr" => start!(io::stderr),
        "fd://stdout" => start!(io::stdout),
        dest => {
            let path = dest.strip_prefix("file://").unwrap_or(dest);
            let file =
                open(path).map_err(|e| env.refuse(&common::LOG_DEST, format!("a file to append to; {e}")))?;
            start!(Arc::new(file))
        }
    };
    if started.is_ok() {
        // Nobody else sets it: only one logger can start.
        let _ = FILTER.set(handle);
    }
    Ok(())
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
    // A variable's default must not hide what the file says, so the file is asked before the default.
    let given = |var| env.given(var);
    let format = given(&common::LOG_FORMAT).or_else(|| Some(file["formatMode"].as_str()?.to_owned()));
    let json = match format.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("text") => false,
        Some("json") => true,
        Some(_) => return Err(env.refuse(&common::LOG_FORMAT, "`text` or `json`")),
    };
    let levels = match (given(&common::LOG_LEVELS), file["routings"].as_object()) {
        (None, Some(routings)) => {
            routings.iter().filter_map(|(c, l)| Some(format!("{c}:{}", l.as_str()?))).collect()
        }
        _ => env.list(&common::LOG_LEVELS),
    };
    let dests = match (given(&common::LOG_DEST), file["endpoints"].as_array()) {
        (None, Some(endpoints)) => endpoints.iter().filter_map(|e| e.as_str().map(str::to_owned)).collect(),
        _ => env.list(&common::LOG_DEST),
    };
    match <[String; 1]>::try_from(dests) {
        Ok([dest]) if ["fd://", "file://"].iter().any(|p| dest.starts_with(p)) => {
            match dest.strip_prefix("fd://") {
                None | Some("stdout" | "stderr") => Ok(Settings { json, levels, dest }),
                Some(_) => {
                    Err(env.refuse(&common::LOG_DEST, "`fd://stdout`, `fd://stderr` or `file://path`"))
                }
            }
        }
        _ => Err(env.refuse(&common::LOG_DEST, "one of `fd://stdout`, `fd://stderr`, `file://path`")),
    }
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
            Settings { json: true, levels: vec!["DEFAULT:WARN".into()], dest: "fd://stdout".into() }
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
            Settings { json: false, levels: vec!["debug".into()], dest: "fd://stderr".into() }
        );
    }

    #[test]
    fn bad_values_name_variable_and_expectation() {
        for (var, value) in [
            ("KXI_LOG_FORMAT", "xml"),
            ("KXI_LOG_DEST", "tcp://h"),
            ("KXI_LOG_DEST", "fd://9"),
            ("KXI_LOG_CONFIG", "no/such/file"),
        ] {
            let err = settings(&Env::of([(var, value)])).unwrap_err().to_string();
            assert!(err.contains(var) && err.contains(value), "{err}");
        }
    }
}
