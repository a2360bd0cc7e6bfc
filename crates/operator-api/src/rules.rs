//! Rules that the API server checks by CEL when a resource is written, and that [`crate::validate`] checks once more:
//! for resources stored under an older definition, and for the plugin. Each rule is here once: its CEL, its sentence
//! and its check. Rules over lists and maps without a bound are checks alone (`validate`): CEL may not walk these.
//!
//! Tests: `tests/rules.rs`, and on a real API server `crates/e2e/src/tests/admission.rs`.

use k8s_openapi::api::core::v1::{EnvVar, ResourceRequirements};

use crate::spec::{RoleSpec, Service, UpdateStrategy, UpdateStrategyType};

/// An autoscaler needs to know what a pod asks for.
pub(crate) const AUTOSCALING_CPU: &str = "!has(self.autoscaling) || (!has(self.autoscaling.targetCpuUtilization) && has(self.autoscaling.targetMemoryUtilization)) || (has(self.resources) && ((has(self.resources.requests) && 'cpu' in self.resources.requests) || (has(self.resources.limits) && 'cpu' in self.resources.limits)))";
/// Its sentence.
pub(crate) const AUTOSCALING_CPU_SAYS: &str = "autoscaling by CPU compares use with what pods request: set resources.requests.cpu, or aim at targetMemoryUtilization alone";
/// The same for memory.
pub(crate) const AUTOSCALING_MEMORY: &str = "!has(self.autoscaling) || !has(self.autoscaling.targetMemoryUtilization) || (has(self.resources) && ((has(self.resources.requests) && 'memory' in self.resources.requests) || (has(self.resources.limits) && 'memory' in self.resources.limits)))";
/// Its sentence.
pub(crate) const AUTOSCALING_MEMORY_SAYS: &str =
    "autoscaling.targetMemoryUtilization compares use with what pods request: set resources.requests.memory";
/// Pods linger for three seconds before they are stopped; then they finish what they have.
pub(crate) const GRACE: &str =
    "!has(self.terminationGracePeriodSeconds) || self.terminationGracePeriodSeconds >= 5";
/// Its sentence.
pub(crate) const GRACE_SAYS: &str = "terminationGracePeriodSeconds must be 5 at least: a pod takes requests for 3 s after it was told to stop, then finishes those it has";
/// Recreate stops all pods first.
pub(crate) const RECREATE: &str =
    "!(has(self.type) && self.type == 'Recreate') || (!has(self.maxSurge) && !has(self.maxUnavailable))";
/// Its sentence.
pub(crate) const RECREATE_SAYS: &str =
    "maxSurge and maxUnavailable are of type RollingUpdate: take them out, or take type Recreate out";
/// As the processes read it.
pub(crate) const LEVELS: &str = r"!has(self.levels) || self.levels.matches('^ *([A-Za-z0-9_.-]+ *: *)?(?i:trace|debug|info|warn|warning|error|fatal|off) *(, *([A-Za-z0-9_.-]+ *: *)?(?i:trace|debug|info|warn|warning|error|fatal|off) *)*$')";
/// Its sentence.
pub(crate) const LEVELS_SAYS: &str = "levels must be a comma list of component:level with a level of trace, debug, info, warn, error, fatal or off, as default:info,rc:debug";
/// Origins as browsers send them.
pub(crate) const ORIGINS: &str =
    r"self.origins.all(origin, origin == '*' || origin.matches('^[A-Za-z][A-Za-z0-9+.-]*://[^/ ,?#]+$'))";
/// Its sentence.
pub(crate) const ORIGINS_SAYS: &str =
    "an origin is '*' or scheme://host[:port] without a path, as https://desk.example";
/// As container runtimes read references.
pub(crate) const IMAGE: &str = r"!has(self.image) || self.image.matches('^([A-Za-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$')";
/// Its sentence.
pub(crate) const IMAGE_SAYS: &str = "image must be [host[:port]/]path[:tag][@sha256:digest], the path in small letters, as registry.example.com/team/qmesh-gw:1.0";
/// Names of Kubernetes objects.
pub(crate) const PRIORITY: &str =
    r"!has(self.priorityClassName) || self.priorityClassName.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')";
/// Its sentence.
pub(crate) const PRIORITY_SAYS: &str =
    "priorityClassName must be the name of a PriorityClass: a-z, 0-9, '-' and '.'";
/// Two services cannot have one door.
pub(crate) const NODE_PORTS: &str =
    "!has(self.qipcNodePort) || !has(self.httpNodePort) || self.qipcNodePort != self.httpNodePort";
/// Its sentence.
pub(crate) const NODE_PORTS_SAYS: &str = "qipcNodePort and httpNodePort must be two different ports";

/// Sentences of the rules that a role breaks.
pub(crate) fn role(settings: &RoleSpec) -> Vec<&'static str> {
    let asks = |what: &str| {
        settings.resources.as_ref().is_some_and(|resources| {
            let has = |map: &Option<std::collections::BTreeMap<String, _>>| {
                map.as_ref().is_some_and(|map| map.contains_key(what))
            };
            has(&resources.requests) || has(&resources.limits)
        })
    };
    let mut broken = Vec::new();
    if let Some(auto) = &settings.autoscaling {
        let by_cpu = auto.target_cpu_utilization.is_some() || auto.target_memory_utilization.is_none();
        if by_cpu && !asks("cpu") {
            broken.push(AUTOSCALING_CPU_SAYS);
        }
        if auto.target_memory_utilization.is_some() && !asks("memory") {
            broken.push(AUTOSCALING_MEMORY_SAYS);
        }
    }
    if settings.termination_grace_period_seconds.is_some_and(|seconds| seconds < 5) {
        broken.push(GRACE_SAYS);
    }
    if settings.image.as_deref().is_some_and(|image| !is_image(image)) {
        broken.push(IMAGE_SAYS);
    }
    if settings.priority_class_name.as_deref().is_some_and(|name| !is_name(name)) {
        broken.push(PRIORITY_SAYS);
    }
    broken
}

/// The same of an update strategy.
pub(crate) fn strategy(strategy: &UpdateStrategy) -> Option<&'static str> {
    let sets = strategy.max_surge.is_some() || strategy.max_unavailable.is_some();
    (strategy.kind == UpdateStrategyType::Recreate && sets).then_some(RECREATE_SAYS)
}

/// The same of the Service.
pub(crate) fn service(service: &Service) -> Option<&'static str> {
    let same = service.qipc_node_port.is_some() && service.qipc_node_port == service.http_node_port;
    same.then_some(NODE_PORTS_SAYS)
}

/// Is this a text of log levels?
pub(crate) fn are_levels(text: &str) -> bool {
    const KNOWN: [&str; 8] = ["trace", "debug", "info", "warn", "warning", "error", "fatal", "off"];
    let word =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    text.split(',').all(|entry| {
        let (component, level) = match entry.split_once(':') {
            Some((component, level)) => (Some(component.trim_matches(' ')), level.trim_matches(' ')),
            None => (None, entry.trim_matches(' ')),
        };
        component.is_none_or(word) && KNOWN.contains(&level.to_ascii_lowercase().as_str())
    })
}

/// Is this an origin?
pub(crate) fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return text == "*" };
    let letters = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(letters)
        && !host.is_empty()
        && !host.contains(['/', ' ', ',', '?', '#'])
}

fn is_name(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(edge) && text.ends_with(edge) && text.chars().all(|c| edge(c) || c == '-' || c == '.')
}

/// Is this a reference of an image?
pub(crate) fn is_image(text: &str) -> bool {
    let (text, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let is_digest = |digest: &str| {
        digest.strip_prefix("sha256:").is_some_and(|hash| hash.len() == 64 && hash.chars().all(hex))
    };
    if !digest.is_none_or(is_digest) {
        return false;
    }
    // A colon behind the last slash begins the tag; before it, a port.
    let slash = text.rfind('/').map_or(0, |at| at + 1);
    let (path, tag) = match text[slash..].find(':') {
        Some(at) => (&text[..slash + at], Some(&text[slash + at + 1..])),
        None => (text, None),
    };
    let sign = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_tag = |tag: &str| {
        tag.starts_with(sign) && tag.len() <= 128 && tag.chars().all(|c| sign(c) || c == '.' || c == '-')
    };
    let part = |part: &str| {
        let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.starts_with(edge) && part.ends_with(edge) && part.chars().all(|c| edge(c) || "._-".contains(c))
    };
    let is_host = |text: &str| {
        let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
        let digits = |port: &str| !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
        !host.is_empty()
            && host.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
            && port.is_none_or(digits)
    };
    let is_path = match path.split_once('/') {
        Some((first, rest)) => (part(first) || is_host(first)) && rest.split('/').all(part),
        None => part(path),
    };
    is_path && tag.is_none_or(is_tag)
}

/// Variables by which processes of a mesh find each other, and the field that sets each.
const OWN: [(&str, &str); 11] = [
    ("KXI_NAME", "leave it out: it is the pod's name"),
    ("QMESH_ADVERTISE", "leave it out: it is the pod's address"),
    ("QMESH_SECRET_FILE", "set spec.meshSecret"),
    ("GATEWAY_QIPC_PORT", "set spec.service.qipcPort"),
    ("GATEWAY_HTTP_PORT", "set spec.service.httpPort"),
    ("GATEWAY_EXT_QIPC_PORT", "set spec.service.externalQipcPort"),
    ("KXI_PORT", "leave it out: probes, Services and policies name the port"),
    ("QMESH_HTTP_PORT", "leave it out: probes, Services and policies name the port"),
    ("KXI_SG_DISC", "set spec.discovery.method"),
    ("KXI_SG_RC_LABEL_SELECTOR", "set spec.discovery.coordinatorSelector"),
    ("KXI_SG_DA_LABEL_SELECTOR", "set spec.discovery.dataAccessSelector"),
];

/// Values with which a variable asks for no protection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Harmless {
    Off,
    On,
    Empty,
}

/// Variables asking for a protection not built in: processes would not start. A test compares the list with the
/// processes' own list.
const GUARDS: [(&str, Harmless); 27] = [
    ("KXI_AUTH_DISABLED", Harmless::On),
    ("KXI_OIDC_JSON_PATH", Harmless::Empty),
    ("KXI_SG_AUTH_IPC_HOST", Harmless::Empty),
    ("KXI_SG_AUTH_IPC_PORT", Harmless::Empty),
    ("KXI_SG_AUTH_IPC_USE_TLS", Harmless::Off),
    ("KXI_SG_AUTH_IPC_AUTH_API", Harmless::Empty),
    ("KXI_SG_AUTH_IPC_API", Harmless::Empty),
    ("KXI_SG_AUTH_HTTP_ENDPOINT", Harmless::Empty),
    ("KXI_SG_AUTH_HTTP_HEADERS", Harmless::Empty),
    ("KXI_SECURE_ENABLED", Harmless::Off),
    ("KXI_SG_USE_SSL", Harmless::Off),
    ("KXI_SG_KEYSTORE", Harmless::Empty),
    ("KXI_SG_KEYSTORE_PASS_FILE", Harmless::Empty),
    ("KXI_SG_KEYSTORE_PASS", Harmless::Empty),
    ("KX_SSL_CERT_FILE", Harmless::Empty),
    ("KX_SSL_KEY_FILE", Harmless::Empty),
    ("KX_SSL_CA_CERT_FILE", Harmless::Empty),
    ("KX_SSL_CA_CERT_PATH", Harmless::Empty),
    ("KX_SSL_VERIFY_CLIENT", Harmless::Off),
    ("KX_SSL_VERIFY_SERVER", Harmless::Off),
    ("KX_SSL_CIPHER_LIST", Harmless::Empty),
    ("SSL_KEY_FILE", Harmless::Empty),
    ("SSL_CA_CERT_FILE", Harmless::Empty),
    ("SSL_CA_CERT_PATH", Harmless::Empty),
    ("SSL_VERIFY_CLIENT", Harmless::Off),
    ("KXI_ENCRYPTION_KEY_FILE", Harmless::Empty),
    ("KXI_ENCRYPTION_PASSWORD", Harmless::Empty),
];

/// Names of the variables that ask for a protection, for a test against the processes' own list.
pub fn guards() -> impl Iterator<Item = &'static str> {
    GUARDS.iter().map(|(name, _)| *name)
}

/// Why a variable cannot be set in `env`, if so. Never its value: it may be a password.
pub(crate) fn variable(one: &EnvVar) -> Option<String> {
    if let Some((_, instead)) = OWN.iter().find(|(name, _)| *name == one.name) {
        return Some(format!("'{}' is set by the operator; {instead}", one.name));
    }
    if one.name.is_empty() || one.name.contains(['=', '\0', ' ']) {
        return Some(format!("'{}' is no name of a variable: letters, digits and '_'", one.name));
    }
    let (name, harmless) = GUARDS.iter().find(|(name, _)| *name == one.name)?;
    let value = one.value.as_deref().unwrap_or_default();
    let asks = match (&one.value_from, harmless) {
        (Some(_), _) => true,
        (None, _) if value.is_empty() => false,
        (None, Harmless::Empty) => true,
        (None, Harmless::Off) => !["false", "0", "no", "off"].contains(&value.to_ascii_lowercase().as_str()),
        (None, Harmless::On) => !["true", "1", "yes", "on"].contains(&value.to_ascii_lowercase().as_str()),
    };
    asks.then(|| {
        format!("'{name}' asks for a protection that this version does not have, and its processes would not start; take it out and protect the network instead (networkPolicy.clients, a proxy in front)")
    })
}

/// Fields of resources whose value is no quantity, with the value.
pub(crate) fn quantities(resources: &ResourceRequirements) -> Vec<(String, String)> {
    let maps = [("requests", &resources.requests), ("limits", &resources.limits)];
    let all = maps.into_iter().flat_map(|(field, map)| map.iter().flatten().map(move |(k, q)| (field, k, q)));
    all.filter(|(_, _, quantity)| !is_quantity(&quantity.0))
        .map(|(field, key, quantity)| (format!("{field}.{key}"), quantity.0.clone()))
        .collect()
}

/// A number of Kubernetes: sign, digits, and a unit or an exponent.
pub(crate) fn is_quantity(text: &str) -> bool {
    const UNITS: [&str; 15] = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi"];
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let digits = number.chars().filter(char::is_ascii_digit).count();
    let exponent = |unit: &str| {
        let power = unit.strip_prefix(['e', 'E']).unwrap_or_default();
        let power = power.strip_prefix(['+', '-']).unwrap_or(power);
        !power.is_empty() && power.chars().all(|c| c.is_ascii_digit())
    };
    digits > 0
        && number.matches('.').count() <= 1
        && (UNITS.contains(&unit) || unit == "Ei" || exponent(unit))
}
