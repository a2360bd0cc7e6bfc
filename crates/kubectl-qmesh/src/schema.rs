//! A manifest against the definition of ServiceGateway, without a cluster: fields, types, bounds, and the CEL rules that
//! the API server would check. All that is wrong is told, each with its path, value and what is expected.
//!
//! A rule that cannot be evaluated here is told as well, and passed: the API server has the last word. Tests: below.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use cel::{Context, Program, Value as Cel};
use regex_lite::Regex;
use serde_json::{Map, Value};
use sg::nearest;

/// Longest value that a sentence shows, in bytes.
const SHOWN: usize = 80;

/// What is wrong with a manifest, and which rules could not be looked at.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Sentences, each begins with a path.
    pub(crate) problems: Vec<String>,
    /// Sentences on rules that were passed.
    pub(crate) passed: Vec<String>,
}

/// The schema of the one served version, and its rules as they were compiled.
pub(crate) struct Definition {
    schema: Value,
    programs: RefCell<HashMap<String, Rc<Result<Program, String>>>>,
}

impl Definition {
    /// Of this version.
    pub(crate) fn new() -> Self {
        let definition = serde_json::to_value(operator_api::crd::definition()).unwrap_or_default();
        let schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        Self { schema, programs: RefCell::default() }
    }

    /// Look at a manifest: with the defaults that the API server would set.
    pub(crate) fn check(&self, manifest: &Value) -> Findings {
        let mut findings = Findings::default();
        let mut whole = manifest.clone();
        fill(&self.schema, &mut whole);
        self.walk(&self.schema, &whole, "", &mut findings);
        findings
    }

    fn walk(&self, schema: &Value, value: &Value, path: &str, findings: &mut Findings) {
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        if let Some(expected) = wrong_type(schema, value) {
            findings.problems.push(format!("{}: {} is no {expected}", named(path), shown(value)));
            return;
        }
        bounds(schema, value, path, findings);
        match value {
            Value::Object(object) => self.fields(schema, object, path, findings),
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.walk(&schema["items"], item, &format!("{path}[{at}]"), findings);
                }
            }
            _ => {}
        }
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            self.evaluate(rule, value, path, findings);
        }
    }

    fn fields(&self, schema: &Value, object: &Map<String, Value>, path: &str, findings: &mut Findings) {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let known = schema["properties"].as_object();
        for (name, value) in object {
            // Those of every object of Kubernetes: the definition has no word about them.
            if path.is_empty() && ["apiVersion", "kind", "metadata"].contains(&name.as_str()) {
                continue;
            }
            let of = known.and_then(|known| known.get(name));
            let free = &schema["additionalProperties"];
            match of {
                Some(of) => self.walk(of, value, &below(name), findings),
                None if free.is_object() => self.walk(free, value, &below(name), findings),
                None if *free == true || schema["x-kubernetes-preserve-unknown-fields"] == true => {}
                None if known.is_none() => {}
                None => {
                    let names = known.into_iter().flatten().map(|(name, _)| name.as_str());
                    let meant =
                        nearest(name, names.clone()).map(|meant| format!("; did you mean '{meant}'?"));
                    let all = || format!("; there are {}", names.collect::<Vec<_>>().join(", "));
                    findings.problems.push(format!(
                        "{}: no such field{}",
                        below(name),
                        meant.unwrap_or_else(all)
                    ));
                }
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                findings.problems.push(format!("{}: is missing", below(name)));
            }
        }
    }

    fn evaluate(&self, rule: &Value, value: &Value, path: &str, findings: &mut Findings) {
        let (Some(text), message) = (rule["rule"].as_str(), rule["message"].as_str().unwrap_or_default())
        else {
            return;
        };
        // About a change: there is nothing that was before.
        if text.contains("oldSelf") {
            return;
        }
        match self.holds(text, value) {
            Ok(true) => {}
            Ok(false) => findings.problems.push(format!("{}: {message}", named(path))),
            Err(why) => findings
                .passed
                .push(format!("{}: the rule `{message}` is left to the API server: {why}", named(path))),
        }
    }

    fn holds(&self, rule: &str, value: &Value) -> Result<bool, String> {
        let program = self
            .programs
            .borrow_mut()
            .entry(rule.to_owned())
            .or_insert_with(|| Rc::new(Program::compile(rule).map_err(|error| error.to_string())))
            .clone();
        let program = program.as_ref().as_ref().map_err(Clone::clone)?;
        let mut context = Context::default();
        let itself = cel::to_value(value).map_err(|error| error.to_string())?;
        context.add_variable_from_value("self", itself);
        match program.execute(&context) {
            Ok(Cel::Bool(is)) => Ok(is),
            Ok(_) => Err("it gives no truth value".into()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Sets defaults of fields that are absent.
fn fill(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (name, of) in schema["properties"].as_object().into_iter().flatten() {
                if let (Some(default), false) = (of.get("default"), object.contains_key(name)) {
                    object.insert(name.clone(), default.clone());
                }
                if let Some(inner) = object.get_mut(name) {
                    fill(of, inner);
                }
            }
            if schema["additionalProperties"].is_object() {
                object.values_mut().for_each(|inner| fill(&schema["additionalProperties"], inner));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill(&schema["items"], item)),
        _ => {}
    }
}

fn named(path: &str) -> &str {
    if path.is_empty() { "the manifest" } else { path }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    let end = (0..=SHOWN.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    if end < text.len() { format!("{}…", &text[..end]) } else { text }
}

/// What type is expected, where the value has another.
fn wrong_type(schema: &Value, value: &Value) -> Option<String> {
    if schema["x-kubernetes-int-or-string"] == true {
        let fits = value.is_i64() || value.is_u64() || value.is_string();
        return (!fits).then(|| "integer or string".into());
    }
    let expected = schema["type"].as_str()?;
    let fits = match expected {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => true,
    };
    (!fits).then(|| expected.into())
}

fn bounds(schema: &Value, value: &Value, path: &str, findings: &mut Findings) {
    let mut wrong = |expected: String| {
        findings.problems.push(format!("{}: {} must be {expected}", named(path), shown(value)));
    };
    if let Some(all) = schema["enum"].as_array()
        && !all.contains(value)
    {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        wrong(format!("one of {}", all.join(", ")));
    }
    if let Some(number) = value.as_f64() {
        if let Some(least) = schema["minimum"].as_f64().filter(|least| number < *least) {
            wrong(format!("{least} at least"));
        }
        if let Some(most) = schema["maximum"].as_f64().filter(|most| number > *most) {
            wrong(format!("{most} at most"));
        }
    }
    let (length, least, most, what) = match value {
        Value::String(text) => (text.chars().count(), "minLength", "maxLength", "letters"),
        Value::Array(items) => (items.len(), "minItems", "maxItems", "items"),
        Value::Object(fields) => (fields.len(), "minProperties", "maxProperties", "fields"),
        _ => return,
    };
    let length = length as u64;
    if let Some(least) = schema[least].as_u64().filter(|least| length < *least) {
        wrong(format!("{least} {what} at least"));
    }
    if let Some(most) = schema[most].as_u64().filter(|most| length > *most) {
        wrong(format!("{most} {what} at most"));
    }
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str())
        && let Ok(regex) = Regex::new(pattern)
        && !regex.is_match(text)
    {
        wrong(format!("of the form {pattern}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::seq::IndexedRandom;
    use rand::{Rng, SeedableRng};
    use serde_json::json;

    fn of(spec: Value) -> Value {
        json!({ "apiVersion": "qmesh.dev/v1alpha1", "kind": "ServiceGateway", "metadata": { "name": "g" }, "spec": spec })
    }

    fn problems(spec: Value) -> Vec<String> {
        let findings = Definition::new().check(&of(spec));
        assert!(findings.passed.is_empty(), "each rule can be evaluated: {:?}", findings.passed);
        findings.problems
    }

    #[test]
    fn each_kind_of_mistake_is_told_with_path_and_next_step() {
        for (spec, said) in [
            (json!({ "gatway": {} }), "spec.gatway: no such field; did you mean 'gateway'?"),
            (json!({ "gateway": { "replicas": "many" } }), "spec.gateway.replicas: \"many\" is no integer"),
            (json!({ "gateway": { "replicas": -1 } }), "spec.gateway.replicas: -1 must be 0 at least"),
            (json!({ "service": { "type": "Door" } }), "spec.service.type: \"Door\" must be one of"),
            (json!({ "image": { "tag": "not a tag" } }), "spec.image.tag: \"not a tag\" must be of the form"),
            (
                json!({ "service": { "qipcPort": 8080 } }),
                "spec.service: qipcPort, httpPort and externalQipcPort must be three different ports",
            ),
            (
                json!({ "gateway": { "replicas": 2, "autoscaling": { "maxReplicas": 3 } } }),
                "spec.gateway: replicas and autoscaling exclude each other",
            ),
            (json!({ "auth": { "ipc": { "host": "h" } } }), "spec.auth: this version cannot authenticate"),
            (json!({ "cors": { "origins": [] } }), "spec.cors.origins: [] must be 1 items at least"),
            (json!({ "tls": {} }), "spec.tls.secretName: is missing"),
        ] {
            let told = problems(spec.clone());
            assert!(told.iter().any(|one| one.starts_with(said)), "{spec}: {told:?}");
        }
        assert_eq!(problems(json!({})), Vec::<String>::new());
    }

    /// Every path to a field of a document.
    fn paths(value: &Value, at: &str, all: &mut Vec<String>) {
        for (name, inner) in value.as_object().into_iter().flatten() {
            let path = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            paths(inner, &path, all);
            all.push(path);
        }
    }

    /// Of a valid resource with one mistake, the mistake is named by its path: a letter of a field's name changed, or a
    /// value of another type.
    #[test]
    fn a_mistake_anywhere_is_named_by_its_path() {
        let seed: u64 = rand::rng().random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let text = include_str!("../../operator-api/tests/golden/full.in.yaml");
        let mut full: Value = serde_saphyr::from_str(text).expect("YAML");
        for field in ["auth", "tls", "customCode"] {
            full["spec"].as_object_mut().expect("a spec").remove(field);
        }
        let definition = Definition::new();
        assert_eq!(definition.check(&full).problems, Vec::<String>::new());
        let mut all = Vec::new();
        paths(&full["spec"], "/spec", &mut all);
        let (mut named, mut tried) = (0, 0);
        while tried < 1_200 {
            let path = all.choose(&mut random).expect("a path");
            let mut wrong = full.clone();
            let (parent, name) = path.rsplit_once('/').expect("a parent");
            let typo = random.random_bool(0.5);
            // Maps of free names take any name and any text.
            let free =
                ["Labels", "labels", "Annotations", "annotations", "nodeSelector", "requests", "limits"];
            if free.iter().any(|end| parent.ends_with(end)) || parent.contains("matchLabels") {
                continue;
            }
            tried += 1;
            let holder = wrong.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
            let value = holder.remove(name).expect("a value");
            let wanted = if typo {
                let other = format!("{name}Zq");
                holder.insert(other.clone(), value);
                other
            } else {
                holder.insert(name.to_owned(), json!([[true]]));
                name.to_owned()
            };
            let told = definition.check(&wrong).problems;
            assert!(!told.is_empty(), "seed {seed}: {path} {wanted}");
            named += usize::from(told.iter().any(|one| one.contains(&wanted)));
        }
        assert_eq!(named, tried, "seed {seed}");
    }
}
