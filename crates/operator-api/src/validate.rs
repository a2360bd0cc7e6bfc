//! What the API server cannot check by schema and CEL, as sentences; pure.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::expected;
use crate::names::{self, Role};
use crate::rules;
use crate::selector::{Selector, SelectorError, is_label_word};
use crate::spec::{
    AUTH_NOT_YET, CUSTOM_CODE_NOT_YET, DiscoveryMethod, RoleSpec, ServiceGateway, ServiceGatewaySpec,
    TLS_NOT_YET,
};

/// Something in the spec that cannot be built.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Problem {
    /// A selector does not parse.
    #[error("{field}: {source}")]
    Selector {
        /// The field.
        field: String,
        /// What is wrong.
        source: SelectorError,
    },
    /// A label of the operator's own.
    #[error("spec.{role}.podLabels: '{key}' is set by the operator and cannot be changed; remove it")]
    OwnLabel {
        /// Field of the role.
        role: &'static str,
        /// The label.
        key: String,
    },
    /// Not a label.
    #[error(
        "spec.{role}.podLabels: '{key}: {value}' is no label: at most 63 letters, digits, '-', '_' and '.', with letters or digits at both ends"
    )]
    Label {
        /// Field of the role.
        role: &'static str,
        /// The label's key.
        key: String,
        /// Its value.
        value: String,
    },
    /// Two of a name.
    #[error("spec.{role}.{list}: '{name}' is there twice; keep one")]
    Twice {
        /// Field of the role.
        role: &'static str,
        /// The list.
        list: &'static str,
        /// What is there twice.
        name: String,
    },
    /// A name or path of the operator's own.
    #[error("spec.{role}.{list}: '{name}' is used by the operator itself; choose another")]
    Own {
        /// Field of the role.
        role: &'static str,
        /// The list.
        list: &'static str,
        /// The name or path.
        name: String,
    },
    /// A mount of a volume that is not there.
    #[error("spec.{role}.extraVolumeMounts: '{name}' names no volume; add it to spec.{role}.extraVolumes")]
    NoVolume {
        /// Field of the role.
        role: &'static str,
        /// The volume.
        name: String,
    },
    /// A path that leaves its volume.
    #[error("{field}: '{path}' must be a path inside the volume, without a leading '/' and without '..'")]
    Path {
        /// The field.
        field: &'static str,
        /// The path.
        path: String,
    },
    /// Declared tiers that coordinators could not read.
    #[error("spec.discovery.expected[{at}]: '{text}' {why}")]
    Expected {
        /// Place in the list.
        at: usize,
        /// What is wrong.
        text: String,
        /// Why, and what to do.
        why: &'static str,
    },
    /// More declared tiers than go into a variable.
    #[error(
        "spec.discovery.expected: as text it has {bytes} bytes, at most {most} go into a variable; declare fewer label sets", most = expected::MOST
    )]
    ExpectedLong {
        /// Length of the text.
        bytes: usize,
    },
    /// Rolling without any room.
    #[error(
        "spec.{role}.updateStrategy: maxSurge and maxUnavailable are both 0, so that no pod could ever be replaced; raise one"
    )]
    NoRoom {
        /// Field of the role.
        role: &'static str,
    },
    /// What this version's processes cannot do, and would not start with.
    #[error("{field}: {sentence}")]
    NotYet {
        /// The field.
        field: &'static str,
        /// What to do instead.
        sentence: &'static str,
    },
    /// A rule of a single field is broken.
    #[error("{field}: {sentence}")]
    Rule {
        /// The field, or what it is part of.
        field: String,
        /// What is expected, and the next step.
        sentence: String,
    },
    /// The processes of several gateways would mix.
    #[error("{field}: '{selector}' also matches the {what} of ServiceGateway '{other}' in this namespace; add {instance}=… to tell them apart",
        instance = names::INSTANCE)]
    Overlap {
        /// The field.
        field: &'static str,
        /// Its selector.
        selector: String,
        /// What is shared.
        what: &'static str,
        /// The other resource.
        other: String,
    },
}

/// Names of volumes that the operator makes.
pub(crate) const OWN_VOLUMES: [&str; 5] = ["tmp", "mesh-secret", "custom-code", "oidc", "keystore"];
/// Folders where it mounts them.
pub(crate) const OWN_PATHS: [&str; 5] =
    ["/tmp", "/etc/qmesh/mesh", "/opt/kx/custom", "/etc/qmesh/oidc", "/etc/qmesh/keystore"];

/// The selector of RC pods that the resource uses.
pub fn coordinator_selector(gateway: &str, spec: &ServiceGatewaySpec) -> String {
    let own = || names::selector_text(&names::selector_labels(gateway, Role::Coordinator));
    spec.discovery.coordinator_selector.clone().unwrap_or_else(own)
}

/// The selector of data-access pods that the resource uses.
pub fn data_access_selector(gateway: &str, spec: &ServiceGatewaySpec) -> String {
    spec.discovery
        .data_access_selector
        .clone()
        .unwrap_or_else(|| names::default_data_access_selector(gateway))
}

/// All that is wrong with one resource by itself.
pub fn validate(gateway: &ServiceGateway) -> Vec<Problem> {
    let spec = &gateway.spec;
    let mut problems = Vec::new();
    for (field, text) in [
        ("spec.discovery.coordinatorSelector", &spec.discovery.coordinator_selector),
        ("spec.discovery.dataAccessSelector", &spec.discovery.data_access_selector),
    ] {
        if let Some(Err(source)) = text.as_deref().map(Selector::parse) {
            problems.push(Problem::Selector { field: field.into(), source });
        }
    }
    expected::check(&spec.discovery.expected, &mut problems);
    // New ones are refused by the API server; these were stored under an older definition.
    for (field, set, sentence) in [
        ("spec.customCode", spec.custom_code.is_some(), CUSTOM_CODE_NOT_YET),
        ("spec.auth", spec.auth.is_some(), AUTH_NOT_YET),
        ("spec.tls", spec.tls.is_some(), TLS_NOT_YET),
    ] {
        if set {
            problems.push(Problem::NotYet { field, sentence });
        }
    }
    for role in Role::ALL {
        check_role(role.field(), spec.role(role), &mut problems);
        check_rules(role.field(), spec.role(role), &mut problems);
    }
    let mut broken = |field: &str, sentence: &str| {
        problems.push(Problem::Rule { field: field.into(), sentence: sentence.into() });
    };
    rules::service(&spec.service).into_iter().for_each(|sentence| broken("spec.service", sentence));
    if spec.logging.levels.as_deref().is_some_and(|levels| !rules::are_levels(levels)) {
        broken("spec.logging", rules::LEVELS_SAYS);
    }
    for origin in spec.cors.iter().flat_map(|cors| &cors.origins).filter(|one| !rules::is_origin(one)) {
        broken("spec.cors", &format!("'{origin}': {}", rules::ORIGINS_SAYS));
    }
    if let Some(code) = &spec.custom_code {
        let paths = [
            ("spec.customCode.claim.path", code.claim.as_ref().map(|claim| &claim.path)),
            ("spec.customCode.image.path", code.image.as_ref().map(|image| &image.path)),
        ];
        for (field, path) in paths {
            if let Some(path) =
                path.filter(|path| path.starts_with('/') || path.split('/').any(|part| part == ".."))
            {
                problems.push(Problem::Path { field, path: path.clone() });
            }
        }
    }
    problems
}

/// Rules of single fields.
fn check_rules(role: &'static str, settings: &RoleSpec, problems: &mut Vec<Problem>) {
    let mut broken = |field: String, sentence: String| problems.push(Problem::Rule { field, sentence });
    for sentence in rules::role(settings) {
        broken(format!("spec.{role}"), sentence.into());
    }
    if let Some(sentence) = rules::strategy(&settings.update_strategy) {
        broken(format!("spec.{role}.updateStrategy"), sentence.into());
    }
    for (at, one) in settings.env.iter().enumerate() {
        if let Some(sentence) = rules::variable(one) {
            broken(format!("spec.{role}.env[{at}]"), sentence);
        }
    }
    let sidecar = settings.sidecar.as_ref();
    if sidecar.is_some_and(|sidecar| !rules::is_image(&sidecar.image)) {
        broken(format!("spec.{role}.sidecar"), rules::IMAGE_SAYS.into());
    }
    let of_sidecar = sidecar.and_then(|sidecar| sidecar.resources.as_ref());
    for (of, resources) in [("", settings.resources.as_ref()), (".sidecar", of_sidecar)] {
        for (field, value) in resources.map(rules::quantities).unwrap_or_default() {
            broken(
                format!("spec.{role}{of}.resources.{field}"),
                format!(
                    "'{value}' is no quantity: write a number with m, k, M, G, Ki, Mi, Gi or no unit, as 500m or 2Gi"
                ),
            );
        }
    }
}

fn check_role(role: &'static str, settings: &RoleSpec, problems: &mut Vec<Problem>) {
    for (key, value) in &settings.pod_labels {
        let own = [names::NAME, names::INSTANCE, names::MANAGED_BY, "app.kubernetes.io/part-of"];
        if own.contains(&key.as_str()) {
            problems.push(Problem::OwnLabel { role, key: key.clone() });
        } else if !is_label_word(value) || Selector::parse(key).is_err() {
            problems.push(Problem::Label { role, key: key.clone(), value: value.clone() });
        }
    }
    twice(role, "env", settings.env.iter().map(|variable| &variable.name), problems);
    twice(role, "extraVolumes", settings.extra_volumes.iter().map(|volume| &volume.name), problems);
    if let Some(sidecar) = &settings.sidecar {
        twice(role, "sidecar.env", sidecar.env.iter().map(|variable| &variable.name), problems);
        for mount in &sidecar.volume_mounts {
            let known = settings.extra_volumes.iter().any(|volume| volume.name == mount.name);
            if !known && !OWN_VOLUMES.contains(&mount.name.as_str()) {
                problems.push(Problem::NoVolume { role, name: mount.name.clone() });
            }
        }
    }
    let paths = || settings.extra_volume_mounts.iter().map(|mount| &mount.mount_path);
    twice(role, "extraVolumeMounts", paths(), problems);
    let mut own = |list, name: &String| problems.push(Problem::Own { role, list, name: name.clone() });
    settings
        .extra_volumes
        .iter()
        .filter(|volume| OWN_VOLUMES.contains(&volume.name.as_str()))
        .for_each(|volume| own("extraVolumes", &volume.name));
    paths()
        .filter(|path| OWN_PATHS.contains(&path.trim_end_matches('/')))
        .for_each(|path| own("extraVolumeMounts", path));
    for mount in &settings.extra_volume_mounts {
        let known = settings.extra_volumes.iter().any(|volume| volume.name == mount.name);
        if !known {
            problems.push(Problem::NoVolume { role, name: mount.name.clone() });
        }
    }
    let zero = |value: &Option<_>, default: bool| {
        use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
        match value {
            None => default,
            Some(IntOrString::Int(number)) => *number == 0,
            Some(IntOrString::String(text)) => text == "0%" || text == "0",
        }
    };
    if zero(&settings.update_strategy.max_surge, false)
        && zero(&settings.update_strategy.max_unavailable, true)
    {
        problems.push(Problem::NoRoom { role });
    }
}

fn twice<'a>(
    role: &'static str,
    list: &'static str,
    names: impl Iterator<Item = &'a String>,
    problems: &mut Vec<Problem>,
) {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            problems.push(Problem::Twice { role, list, name: name.clone() });
        }
    }
}

/// Selectors that match processes of other resources in the namespace: `others` are their names and specs.
pub fn overlaps<'a>(
    name: &str,
    spec: &ServiceGatewaySpec,
    others: impl Iterator<Item = (&'a str, &'a ServiceGatewaySpec)>,
) -> Vec<Problem> {
    let coordinators = coordinator_selector(name, spec);
    let data_access = data_access_selector(name, spec);
    let (Ok(rc), Ok(da)) = (Selector::parse(&coordinators), Selector::parse(&data_access)) else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    let mut overlap = |field, selector: &str, what, other: &str| {
        problems.push(Problem::Overlap { field, selector: selector.into(), what, other: other.into() });
    };
    for (other, other_spec) in others.filter(|(other, _)| *other != name) {
        if spec.discovery.method == DiscoveryMethod::Pods
            && rc.matches(&names::role_labels(other, Role::Coordinator))
        {
            overlap("spec.discovery.coordinatorSelector", &coordinators, "coordinators", other);
        }
        let theirs = Selector::parse(&data_access_selector(other, other_spec));
        let pods = std::collections::BTreeMap::from([
            (names::NAME.into(), names::DATA_ACCESS.into()),
            (names::INSTANCE.into(), other.into()),
        ]);
        // Certain only where both say the same, or where the other's own pods are matched.
        let same = theirs.as_ref() == Ok(&da);
        let its_own = da.matches(&pods) && theirs.is_ok_and(|theirs| theirs.matches(&pods));
        let pulls = |spec: &ServiceGatewaySpec| spec.discovery.method == DiscoveryMethod::Pods;
        let pulled_by_both = pulls(spec) && pulls(other_spec) && (same || its_own);
        if pulled_by_both {
            overlap("spec.discovery.dataAccessSelector", &data_access, "data-access processes", other);
        }
    }
    problems
}
