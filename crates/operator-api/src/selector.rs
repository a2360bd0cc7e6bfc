//! Label selectors as text: `a=b,c!=d,e in (f,g),h notin (i),j,!k`, as the API server reads them.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;
use thiserror::Error;

/// What is wrong with a selector.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "label selector '{text}' is not understood at '{part}': write requirements like key=value, key!=value, key in (a,b), key notin (a,b), key or !key, with commas between"
)]
pub struct SelectorError {
    text: String,
    part: String,
}

/// A selector: all of its requirements hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

impl Selector {
    /// Read one.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let requirements = split(text)
            .into_iter()
            .map(|part| {
                requirement(part.trim())
                    .ok_or_else(|| SelectorError { text: text.into(), part: part.trim().into() })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self(requirements))
    }

    /// Does an object with these labels match?
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Absent(key) => !labels.contains_key(key),
        })
    }

    /// The same as objects of the API.
    pub fn expressions(&self) -> Vec<LabelSelectorRequirement> {
        let make = |key: &String, operator: &str, values: Option<&Vec<String>>| LabelSelectorRequirement {
            key: key.clone(),
            operator: operator.into(),
            values: values.cloned(),
        };
        let one = |requirement: &Requirement| match requirement {
            Requirement::In(key, values) => make(key, "In", Some(values)),
            Requirement::NotIn(key, values) => make(key, "NotIn", Some(values)),
            Requirement::Exists(key) => make(key, "Exists", None),
            Requirement::Absent(key) => make(key, "DoesNotExist", None),
        };
        self.0.iter().map(one).collect()
    }

    /// Does everything that matches have this label?
    pub fn requires(&self, key: &str, value: &str) -> bool {
        self.0.iter().any(|requirement| {
            matches!(requirement, Requirement::In(k, values) if k == key && values.len() == 1 && values[0] == value)
        })
    }
}

/// Cut at commas outside brackets.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut inside) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            '(' => inside = true,
            ')' => inside = false,
            ',' if !inside => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn requirement(part: &str) -> Option<Requirement> {
    if let Some(key) = part.strip_prefix('!') {
        return key_of(key).map(Requirement::Absent);
    }
    if let Some((key, value)) = part.split_once("!=") {
        return Some(Requirement::NotIn(key_of(key)?, vec![value_of(value)?]));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Some(Requirement::In(key_of(key)?, vec![value_of(value)?]));
    }
    if let Some((head, list)) = part.split_once('(') {
        let list = list.strip_suffix(')')?;
        let values = list.split(',').map(value_of).collect::<Option<Vec<_>>>()?;
        let (key, word) = head.trim().rsplit_once(char::is_whitespace)?;
        return match word {
            "in" => Some(Requirement::In(key_of(key)?, values)),
            "notin" => Some(Requirement::NotIn(key_of(key)?, values)),
            _ => None,
        };
    }
    key_of(part).map(Requirement::Exists)
}

/// `[prefix/]name`, each as Kubernetes allows it.
fn key_of(text: &str) -> Option<String> {
    let text = text.trim();
    let (prefix, name) = text.rsplit_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let prefix_ok = prefix.is_none_or(|prefix| {
        !prefix.is_empty()
            && prefix.len() <= 253
            && prefix.split('.').all(|label| {
                !label.is_empty()
                    && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            })
    });
    (prefix_ok && !name.is_empty() && is_label_word(name)).then(|| text.into())
}

fn value_of(text: &str) -> Option<String> {
    let text = text.trim();
    is_label_word(text).then(|| text.into())
}

/// At most 63 of letters, digits, '-', '_' and '.', letters or digits at both ends; empty is one too.
pub(crate) fn is_label_word(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && edge(text.chars().next())
        && edge(text.chars().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    #[test]
    fn every_form_of_requirement_is_read_and_matched() {
        let selector = Selector::parse("a=b, c != d,e in (f, g),h notin (i),j,!k,x.y/z==w").unwrap();
        let good = labels(&[("a", "b"), ("e", "g"), ("j", ""), ("x.y/z", "w")]);
        assert!(selector.matches(&good));
        for (key, value) in [("a", "x"), ("c", "d"), ("e", "x"), ("h", "i"), ("k", ""), ("x.y/z", "")] {
            let mut bad = good.clone();
            bad.insert(key.into(), value.into());
            assert!(!selector.matches(&bad), "{key}={value} must not match");
        }
    }

    #[test]
    fn a_wrong_selector_is_refused_with_the_part_that_is_wrong() {
        for text in
            ["", "a=b,", "a=b c", "a in b", "a in (b", "=b", "-a=b", "a=b,c within (d)", "A/b/c=d", "é=1"]
        {
            let error = Selector::parse(text).expect_err(text);
            assert!(error.to_string().contains(&format!("'{text}'")), "{error}");
        }
    }
}
