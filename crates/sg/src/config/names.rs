//! Names of variables that nobody knows: which is misspelt, and which is none of ours.

use std::collections::BTreeSet;

use super::{Env, Var, safety};
use crate::nearest::{nearest, within};

/// What Kubernetes and container links set for each Service of a namespace.
fn of_a_service(name: &str, value: &str) -> bool {
    let ends = ["_SERVICE_HOST", "_SERVICE_PORT", "_TCP_ADDR", "_TCP_PORT", "_TCP_PROTO", "_TCP", "_UDP"];
    ends.iter().any(|end| name.ends_with(end)) || name.contains("_SERVICE_PORT_") || value.contains("://")
}

impl Var {
    /// True where the variable has this name, or is a family (`KXI_SG_SM_ADDR_<name>`) that the name is of.
    pub fn is_named(&self, name: &str) -> bool {
        match self.name.split_once('<') {
            Some((family, _)) => name.len() > family.len() && name.starts_with(family),
            None => self.name == name,
        }
    }
}

impl Env {
    /// Variables that are most likely misspelt, each with the known name that is closest: those that begin as
    /// names of ours do and are not in `known`, and any other that is a slip or two from one of ours. `known` holds
    /// the variables of all processes: they often share one file.
    pub fn unknown<'a>(&'a self, known: &'a [&Var]) -> Vec<(&'a str, Option<&'a str>)> {
        const OURS: [&str; 3] = ["KXI_", "QMESH_", "GATEWAY_"];
        let names: BTreeSet<&str> = known.iter().map(|v| v.name).filter(|n| !n.contains('<')).collect();
        // Names of TLS are those of many programs: only where one begins as ours do it may be a slip.
        let shared =
            |name: &str| !name.starts_with("KXI_") && safety::GUARDS.iter().any(|g| g.var.name == name);
        let mut out = Vec::new();
        for (name, value) in &self.vars {
            if known.iter().any(|v| v.is_named(name)) || of_a_service(name, value) {
                continue;
            }
            let ours = OURS.iter().any(|prefix| name.starts_with(prefix));
            let near = match ours {
                true => nearest(name, names.iter().copied()),
                // A stranger's name that is short is close to many.
                false if name.len() < 7 => None,
                false => within(
                    if name.len() < 12 { 1 } else { 2 },
                    name,
                    names.iter().copied().filter(|n| !shared(n)),
                ),
            };
            if ours || near.is_some() {
                out.push((name.as_str(), near));
            }
        }
        out
    }
}
