//! Variables that follow from a memory limit: a process with a known limit refuses a request that does not fit; without
//! a known limit the kernel kills the process with all requests.

use std::collections::BTreeSet;

use super::context::Context;
use crate::names::Role;
use crate::referenced::{Reference, ReferenceKind};
use crate::spec::RoleSpec;

const MIB: u64 = 1 << 20;
/// Memory of a process beside the held data.
const ITSELF: u64 = 64 * MIB;
/// QMESH_AGG_EARLY_BYTES where nothing sets it.
const EARLY: u64 = 256 * MIB;
/// More than any machine has: longer numbers are no use to the processes.
const MOST: f64 = (1u64 << 50) as f64;

/// The variables of a role. A user who sets one variable is taken to have thought of all.
pub(super) fn variables(cx: &Context<'_>, role: Role) -> Vec<(&'static str, String)> {
    let settings = cx.spec.role(role);
    let limits = settings.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    let limit = limits.and_then(|limits| limits.get("memory")).and_then(|memory| bytes(&memory.0));
    let all = limit.map_or(Vec::new(), |limit| shares(role, limit));
    let given = given(cx, settings);
    if all.iter().any(|(name, _)| given.contains(*name)) {
        return Vec::new();
    }
    all.into_iter().map(|(name, bytes)| (name, text(bytes))).collect()
}

fn shares(role: Role, limit: u64) -> Vec<(&'static str, u64)> {
    match role {
        Role::Coordinator => Vec::new(),
        Role::Aggregator => {
            let memory = (limit / 4 * 3).min(limit.saturating_sub(ITSELF)).max(limit / 4);
            let mut all = vec![("QMESH_AGG_MEMORY", memory)];
            if memory / 4 < EARLY {
                all.push(("QMESH_AGG_EARLY_BYTES", memory / 4));
            }
            all
        }
        // Text that is not written piece by piece takes about four times its payload.
        Role::Gateway => vec![("QMESH_GW_JSON_MEMORY", limit / 2), ("QMESH_GW_MAX_JSON", limit / 8)],
    }
}

/// Names of the variables that the user sets, as far as they are known.
fn given(cx: &Context<'_>, settings: &RoleSpec) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = settings.env.iter().map(|variable| variable.name.clone()).collect();
    for source in &settings.env_from {
        let config_map = source.config_map_ref.as_ref().map(|map| (ReferenceKind::ConfigMap, &map.name));
        let secret = source.secret_ref.as_ref().map(|secret| (ReferenceKind::Secret, &secret.name));
        let prefix = source.prefix.as_deref().unwrap_or_default();
        for (kind, name) in config_map.into_iter().chain(secret) {
            let reference = Reference { kind, name: name.clone() };
            let keys = cx.referenced.keys.get(&reference).into_iter().flatten();
            names.extend(keys.map(|key| format!("{prefix}{key}")));
        }
    }
    names
}

/// As the processes read it: whole MiB, one at least.
fn text(bytes: u64) -> String {
    match (bytes / MIB).max(1) {
        mib if mib % 1024 == 0 => format!("{}G", mib / 1024),
        mib => format!("{mib}M"),
    }
}

/// A quantity of Kubernetes in bytes; none where it is no quantity or nothing.
fn bytes(quantity: &str) -> Option<u64> {
    let quantity = quantity.trim();
    let end = quantity.find(|c: char| !(c.is_ascii_digit() || "+-.".contains(c))).unwrap_or(quantity.len());
    let (number, unit) = quantity.split_at(end);
    let factor = match unit {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        exponent => 10f64.powi(exponent.strip_prefix(['e', 'E'])?.parse::<i16>().ok()?.into()),
    };
    let bytes = number.parse::<f64>().ok()? * factor;
    (bytes > 0.0).then_some(bytes.min(MOST) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        for (text, wanted) in [
            ("8Gi", 8 << 30),
            ("512Mi", 512 << 20),
            ("1Ki", 1024),
            ("2G", 2_000_000_000),
            ("129M", 129_000_000),
            ("1k", 1000),
            ("129e6", 129_000_000),
            ("1E3", 1000),
            ("1.5Gi", 3 << 29),
            ("128974848000m", 128_974_848),
            ("100", 100),
            ("+5", 5),
            ("1E", MOST as u64),
        ] {
            assert_eq!(bytes(text), Some(wanted), "{text}");
        }
        for text in ["", "Gi", "1X", "-1Gi", "0", "1.2.3", "1e", "1e99999"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn whatever_is_written_never_panics_and_leaves_room() {
        let mut seed = 5u64;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        for _ in 0..4000 {
            let units = [
                "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e9",
                "E-3", "x",
            ];
            let quantity = format!("{}.{}{}", random(2000), random(100), units[random(units.len())]);
            let Some(limit) = bytes(&quantity).filter(|limit| *limit >= 64 * MIB) else { continue };
            for role in Role::ALL {
                let shares = shares(role, limit);
                let least = MIB;
                assert!(
                    shares.iter().all(|(_, share)| (least..limit).contains(share)),
                    "{quantity}: {shares:?}"
                );
            }
            let gateway = shares(Role::Gateway, limit);
            assert!(gateway[1].1 <= gateway[0].1, "the gateway refuses to start otherwise: {gateway:?}");
        }
    }

    #[test]
    fn shares_are_written_as_the_processes_read_them() {
        assert_eq!(text(6 << 30), "6G");
        assert_eq!(text((6 << 30) + MIB), "6145M");
        assert_eq!(text(0), "1M");
    }
}
