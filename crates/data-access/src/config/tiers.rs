//! Which tiers a process serves: what `KXI_SC`, `QMESH_DB` and the assembly file's instances, mounts and bus say.
//!
//! | `KXI_SC` | serves |
//! | --- | --- |
//! | an instance of the assembly file | each of its mounts: a stream in memory, a local one from the folder of its `baseURI` |
//! | `rdb`, `idb`, `hdb` | that tier |
//! | `dap` | in-memory tables, and the database of `QMESH_DB` where it is set |
//! | not set | the database of `QMESH_DB`, else in-memory tables |

use std::path::PathBuf;

use sg::config::{ConfigError, Env, Kind};

use super::vars::{DB, NO_TRANSPORT, TICKERPLANT, TIER};
use crate::assembly::{Assembly, Mount};

/// One tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tier {
    /// what tells it from the others of its process
    pub(super) name: String,
    /// rdb, idb or hdb
    pub(super) tier: &'static str,
    /// its database, where it is on disk
    pub(super) folder: Option<PathBuf>,
    /// true where a mount names the folder: it may not be there yet
    pub(super) mounted: bool,
}

impl Tier {
    fn new(tier: &'static str, folder: Option<PathBuf>) -> Tier {
        Tier { name: tier.into(), tier, folder, mounted: false }
    }
}

/// The tiers, at least one.
pub(super) fn tiers(env: &Env, assembly: &Assembly) -> Result<Vec<Tier>, ConfigError> {
    let db = env.text(&DB).map(PathBuf::from);
    let class = env.text(&TIER);
    let instance = class.as_ref().and_then(|class| assembly.instances.get(class));
    if let Some(mounts) = instance.filter(|mounts| !mounts.is_empty()) {
        return mounts.iter().map(|name| served(env, assembly, name, mounts, db.as_ref())).collect();
    }
    let on_disk = |tier| match &db {
        Some(db) => Ok(vec![Tier::new(tier, Some(db.clone()))]),
        None => Err(ConfigError::Missing { name: DB.name, meaning: DB.meaning }),
    };
    match class.as_deref() {
        None if db.is_some() => on_disk("hdb"),
        None | Some("rdb") => Ok(vec![Tier::new("rdb", db)]),
        Some("idb") => on_disk("idb"),
        Some("hdb") => on_disk("hdb"),
        Some("dap") => {
            let hdb = db.map(|db| Tier::new("hdb", Some(db)));
            Ok([Tier::new("rdb", None)].into_iter().chain(hdb).collect())
        }
        Some(_) => {
            let known: Vec<&str> = assembly.instances.keys().map(String::as_str).collect();
            let instances = match known.is_empty() {
                true => {
                    "an instance under elements.dap.instances of the assembly file, which has none".into()
                }
                false => format!("an instance of the assembly file ({})", known.join(", ")),
            };
            Err(env.refuse(&TIER, format!("rdb, idb, hdb, dap, or {instances}")))
        }
    }
}

/// The tier of a mount.
fn served(
    env: &Env,
    assembly: &Assembly,
    name: &str,
    all: &[String],
    db: Option<&PathBuf>,
) -> Result<Tier, ConfigError> {
    let refuse = |why: String| env.refuse(&TIER, format!("an instance whose mounts can be served; {why}"));
    let Some(mount) = assembly.mounts.get(name) else {
        return Err(refuse(format!("its mount {name} is not under `mounts` of the assembly file")));
    };
    let tier = match tier_of(mount) {
        Some("rdb") => return Ok(Tier { name: name.into(), tier: "rdb", folder: None, mounted: true }),
        Some(tier) => tier,
        None => {
            return Err(refuse(format!(
                "mount {name} is of type `{}`: stream and local are served",
                mount.kind
            )));
        }
    };
    let count = |wanted: &str| {
        all.iter().filter(|m| assembly.mounts.get(*m).and_then(tier_of) == Some(wanted)).count()
    };
    // The variable is for the database; where there are several it cannot say for which.
    if let Some(db) = db
        && count(tier) == 1
        && (tier == "hdb" || count("hdb") == 0)
    {
        return Ok(Tier { name: name.into(), tier, folder: Some(db.clone()), mounted: false });
    }
    let folder = folder(&mount.base).ok_or_else(|| {
        refuse(format!("baseURI `{}` of mount {name} is no folder: expected file:///path", mount.base))
    })?;
    Ok(Tier { name: name.into(), tier, folder: Some(folder), mounted: true })
}

fn tier_of(mount: &Mount) -> Option<&'static str> {
    match (mount.kind.as_str(), mount.partition.as_str()) {
        ("stream", _) => Some("rdb"),
        ("local", "ordinal") => Some("idb"),
        ("local", _) => Some("hdb"),
        _ => None,
    }
}

/// The folder of a `file://` URI, or of a bare path.
fn folder(base: &str) -> Option<PathBuf> {
    let path = match base.split_once("://") {
        Some(("file", path)) => path,
        None if base.starts_with('/') => base,
        _ => return None,
    };
    (!path.is_empty()).then(|| PathBuf::from(path))
}

/// The tickerplant that feeds the in-memory tier, and what is to be warned of.
pub(super) fn tickerplant(env: &Env, assembly: &Assembly, tiers: &[Tier]) -> (Option<String>, Vec<String>) {
    let mut warnings = Vec::new();
    let set = env.text(&TICKERPLANT);
    if set.is_some() || tiers.iter().all(|t| t.tier != "rdb") {
        return (set, warnings);
    }
    let mut found: Option<String> = None;
    for bus in &assembly.buses {
        for node in &bus.nodes {
            let node = node.trim().trim_start_matches(':');
            let said = format!("node `{node}` of bus {} in the assembly file", bus.name);
            if !Kind::Address.admits(node) {
                warnings.push(format!("{said} is left out: expected {}", Kind::Address.expected()));
            } else if found.is_some() {
                warnings.push(format!("{said} is left out: one tickerplant is subscribed to"));
            } else {
                found = Some(node.to_string());
            }
        }
        if bus.nodes.is_empty() {
            warnings.push(format!(
                "bus {} of the assembly file speaks {}: {NO_TRANSPORT}",
                bus.name, bus.protocol
            ));
        }
    }
    (found, warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "
mounts:
  rdb: {type: stream, baseURI: none, partition: none}
  idb: {type: local, baseURI: file:///mnt/db/idb, partition: ordinal}
  hdb: {type: local, baseURI: file:///mnt/db/hdb, partition: date}
  cloud: {type: object, baseURI: s3://bucket/db, partition: date}
";

    type Shown = (String, &'static str, String);

    fn tiers_of(class: &str, instances: &str, vars: &[(&str, &str)]) -> Result<Vec<Shown>, String> {
        let text = format!("{MOUNTS}elements: {{dap: {{instances: {instances}}}}}");
        let assembly = Assembly::parse(&text, "a.yaml").map_err(|e| e.to_string())?;
        let env = Env::of(vars.iter().copied().chain([("KXI_SC", class)]));
        let shown = |t: Tier| (t.name, t.tier, t.folder.unwrap_or_default().display().to_string());
        tiers(&env, &assembly).map(|all| all.into_iter().map(shown).collect()).map_err(|e| e.to_string())
    }

    #[test]
    fn an_instance_of_any_name_serves_its_mounts() {
        let three = "{dap: {mountList: [rdb, idb, hdb]}, archive: {mountName: hdb, size: 3}}";
        let all = tiers_of("dap", three, &[]).unwrap();
        let tiers: Vec<_> = all.iter().map(|(name, tier, at)| (name.as_str(), *tier, at.as_str())).collect();
        assert_eq!(tiers, [("rdb", "rdb", ""), ("idb", "idb", "/mnt/db/idb"), ("hdb", "hdb", "/mnt/db/hdb")]);
        assert_eq!(tiers_of("archive", three, &[]).unwrap(), [("hdb".into(), "hdb", "/mnt/db/hdb".into())]);
        assert_eq!(tiers_of("dap", three, &[("QMESH_DB", "/x")]).unwrap()[2].2, "/x");
        assert_eq!(tiers_of("archive", three, &[("QMESH_DB", "/x")]).unwrap()[0].2, "/x");
    }

    #[test]
    fn what_cannot_be_served_is_named() {
        for (instances, part) in [
            ("{x: {mountName: cloud}}", "`object`"),
            ("{x: {mountName: nosuch}}", "mount nosuch"),
            ("{y: {mountName: hdb}}", "an instance of the assembly file (y)"),
        ] {
            let err = tiers_of("x", instances, &[]).unwrap_err();
            assert!(err.contains("KXI_SC is `x`") && err.contains(part), "{err}");
        }
    }

    #[test]
    fn nodes_of_the_bus_are_a_tickerplant() {
        let fed = |bus: &str| {
            let assembly = Assembly::parse(&format!("bus: {{stream: {bus}}}"), "a.yaml").unwrap();
            tickerplant(&Env::default(), &assembly, &[Tier::new("rdb", None)])
        };
        assert_eq!(fed("{protocol: custom, nodes: tp:5010, topic: data}"), (Some("tp:5010".into()), vec![]));
        assert_eq!(fed("{protocol: tp, nodes: [':tp:5010']}").0.as_deref(), Some("tp:5010"));
        let (none, warnings) = fed("{protocol: rt, topic: data}");
        assert!(none.is_none() && warnings[0].contains("speaks rt"), "{warnings:?}");
    }

    /// Assemblies of both forms with mounts, instances and buses of any names: each instance serves its mounts in their
    /// order, each by its type, and nothing else of the file matters.
    #[test]
    fn whatever_mounts_an_instance_has_are_served_in_order() {
        let mut seed = 9u64;
        let mut roll = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        const NAMES: [&str; 6] = ["rdb", "hot", "idb-2", "hdb", "cold store", "7"];
        const KINDS: [(&str, &str, &str); 5] = [
            ("stream", "none", "rdb"),
            ("local", "ordinal", "idb"),
            ("local", "date", "hdb"),
            ("local", "month", "hdb"),
            ("local", "none", "hdb"),
        ];
        for case in 0..1000 {
            let mut lines = vec![format!("name: case {case}"), "labels: {region: us, shard: 3}".to_string()];
            let kinds: Vec<(&str, &str, &str)> = NAMES.iter().map(|_| KINDS[roll(5)]).collect();
            lines.push("mounts:".into());
            for (name, (kind, partition, _)) in NAMES.iter().zip(&kinds) {
                let base = if *kind == "stream" {
                    ["none", "file://stream"][roll(2)].into()
                } else {
                    format!("file:///d/{name}")
                };
                lines.push(format!(
                    "  '{name}': {{type: {kind}, baseURI: {base}, partition: {partition}, dependency: [x]}}"
                ));
            }
            let chosen: Vec<usize> = {
                let first = roll(6);
                (0..=roll(4)).map(|i| (first + i) % 6).collect()
            };
            let list = chosen.iter().map(|i| format!("'{}'", NAMES[*i])).collect::<Vec<_>>().join(", ");
            let mounts = match chosen.len() {
                1 if roll(2) == 0 => format!("mountName: {list}"),
                _ => format!("mountList: [{list}]"),
            };
            let class = ["dap", "rdb", "hdb", "archive", "da 1"][roll(5)];
            lines.push(
                [
                    "bus: {stream: {protocol: rt, topic: data}}",
                    "bus:",
                    "bus: {s: {protocol: tp, nodes: ['tp:1']}}",
                ][roll(3)]
                .into(),
            );
            lines.push("elements:".into());
            lines.push(
                "  sm: {source: stream, tiers: [{name: stream, mount: rdb}], disableDiscovery: true}".into(),
            );
            lines.push(format!("  dap: {{gwAssembly: g, instances: {{'{class}': {{{mounts}, mapPartitions: true}}, other: }}}}"));
            let text = match roll(2) {
                0 => lines.join("\n"),
                _ => format!("metadata: {{name: x}}\nspec:\n  {}", lines.join("\n  ")),
            };
            let assembly =
                Assembly::parse(&text, "a.yaml").unwrap_or_else(|e| panic!("case {case}: {e}\n{text}"));
            let served = tiers(&Env::of([("KXI_SC", class)]), &assembly)
                .unwrap_or_else(|e| panic!("case {case}: {e}"));
            let got: Vec<_> = served.iter().map(|t| (t.name.as_str(), t.tier, t.folder.clone())).collect();
            let folder = |i: usize| (kinds[i].2 != "rdb").then(|| PathBuf::from(format!("/d/{}", NAMES[i])));
            let wanted: Vec<_> = chosen.iter().map(|i| (NAMES[*i], kinds[*i].2, folder(*i))).collect();
            assert_eq!(got, wanted, "case {case}:\n{text}");
        }
    }
}
