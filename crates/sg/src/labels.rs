//! Labels: what a source of data is called, and what a request asks for.
//!
//! A [`LabelSet`] names one source (`region=amer, class=equity`). A [`LabelQuery`] is a request's `labels`:
//! per key the values wanted; a key that the query leaves out matches every value, a key that the source
//! lacks matches nothing. Names and values are case-sensitive symbols.

use std::{collections::BTreeMap, sync::Arc};

use kvalue::{Dict, Sym, Value};

use crate::codes::Failure;

/// The labels of one source, in ascending key order. May be empty. A clone shares them: a plan names the labels of
/// each portion several times.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct LabelSet(
    /// sorted by key, each key once; `None` where there are none
    Option<Arc<Vec<(Sym, Sym)>>>,
);

impl LabelSet {
    /// A set of these labels; the last value of a key wins.
    pub fn new<K: Into<Sym>, V: Into<Sym>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut labels: Vec<(Sym, Sym)> = pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        if !labels.is_sorted_by(|(a, _), (b, _)| a < b) {
            // Stable, and the first of equal keys stays.
            labels.reverse();
            labels.sort_by(|(a, _), (b, _)| a.cmp(b));
            labels.dedup_by(|(a, _), (b, _)| a == b);
        }
        LabelSet((!labels.is_empty()).then(|| Arc::new(labels)))
    }

    fn pairs(&self) -> &[(Sym, Sym)] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Parses `key=value,key=value`. An empty text is the empty set.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let mut labels: BTreeMap<Sym, Sym> = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (k, v) = part.split_once('=').ok_or_else(|| {
                Failure::arg(format!("label `{part}` has no value: write key=value, several with commas"))
            })?;
            let (k, v) = (k.trim(), v.trim());
            if k.is_empty() || v.is_empty() {
                return Err(Failure::arg(format!("label `{part}` lacks its key or value: write key=value")));
            }
            if labels.insert(Sym::new(k), Sym::new(v)).is_some() {
                return Err(Failure::arg(format!("label `{k}` is given twice")));
            }
        }
        Ok(LabelSet::new(labels))
    }

    /// The value of a label.
    pub fn get(&self, key: &Sym) -> Option<&Sym> {
        // There are few.
        self.iter().find_map(|(k, v)| (k == key).then_some(v))
    }

    /// All labels in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&Sym, &Sym)> {
        self.pairs().iter().map(|(k, v)| (k, v))
    }

    /// The keys in their order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Sym> {
        self.pairs().iter().map(|(k, _)| k)
    }

    /// The values in the order of their keys.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Sym> {
        self.pairs().iter().map(|(_, v)| v)
    }

    /// True without any label.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// As a q dictionary of symbols.
    pub fn to_value(&self) -> Value {
        let keys = Value::syms(self.keys().map(Sym::as_bytes));
        let values = Value::syms(self.values().map(Sym::as_bytes));
        // Keys and values come from one list, so the counts agree.
        Dict::new(keys, values).map_or_else(|_| Value::empty_dict(), Value::from)
    }

    /// From a q dictionary of names.
    pub fn from_value(value: &Value) -> Result<Self, Failure> {
        let dict = value.as_dict().ok_or_else(|| not_a_dict(value))?;
        let label = |(key, value): (Sym, Value)| {
            let name = value.as_name().ok_or_else(|| not_a_symbol(&key, &value))?;
            Ok((key, name))
        };
        Ok(LabelSet::new(dict.pairs().map(label).collect::<Result<Vec<_>, Failure>>()?))
    }
}

impl std::fmt::Display for LabelSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_empty() {
            return f.write_str("no labels");
        }
        for (i, (k, v)) in self.iter().enumerate() {
            write!(f, "{}{k}={v}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// A request's `labels` argument: per key the values wanted, in ascending key order. A list, no map: a request has few
/// keys, and each waiting request holds a copy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelQuery(Vec<(Sym, Vec<Sym>)>);

impl LabelQuery {
    /// From the request's dictionary: each value a symbol, a string, or a list of them.
    pub fn from_value(value: &Value) -> Result<Self, Failure> {
        let dict = match value {
            Value::Null => return Ok(LabelQuery::default()),
            _ => value.as_dict().ok_or_else(|| not_a_dict(value))?,
        };
        let mut wanted = LabelQuery::default();
        for (key, value) in dict.pairs().filter(|(k, _)| !k.is_null()) {
            let values = value.as_names().ok_or_else(|| not_a_symbol(&key, &value))?;
            if !wanted.insert(key.clone(), values) {
                return Err(crate::args::twice(&format!("label {key}")));
            }
        }
        Ok(wanted)
    }

    /// Adds a wanted value list (old style: labels as top-level arguments). False, and nothing is changed, where the
    /// key has one.
    #[must_use]
    pub fn insert(&mut self, key: Sym, values: Vec<Sym>) -> bool {
        match self.0.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(_) => false,
            Err(at) => {
                // Most have one or two: the list is not to grow by four at a time.
                self.0.reserve_exact(1);
                self.0.insert(at, (key, values));
                true
            }
        }
    }

    /// Keys and values as `name` gives them back: equal, and perhaps held elsewhere already.
    pub fn renamed(&mut self, mut name: impl FnMut(&mut Sym)) {
        for (key, values) in &mut self.0 {
            name(key);
            values.shrink_to_fit();
            values.iter_mut().for_each(&mut name);
        }
    }

    /// True where the source's labels are among those wanted.
    pub fn matches(&self, labels: &LabelSet) -> bool {
        self.0.iter().all(|(key, values)| labels.get(key).is_some_and(|v| values.contains(v)))
    }

    /// Keys and wanted values.
    pub fn iter(&self) -> impl Iterator<Item = (&Sym, &[Sym])> {
        self.0.iter().map(|(k, v)| (k, v.as_slice()))
    }

    /// True where every source matches.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Display for LabelQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, (k, v)) in self.0.iter().enumerate() {
            let values: Vec<_> = v.iter().map(Sym::text).collect();
            write!(f, "{}{k}={}", if i == 0 { "" } else { "," }, values.join("|"))?;
        }
        Ok(())
    }
}

fn not_a_dict(value: &Value) -> Failure {
    Failure::arg(format!(
        "bad args purview dimensions: labels must be a dictionary of symbols, got a {}",
        value.type_name()
    ))
}

fn not_a_symbol(key: &Sym, value: &Value) -> Failure {
    Failure::arg(format!(
        "bad args purview dimensions: label {key} must be a symbol or list of symbols, got a {}",
        value.type_name()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_matches_by_every_key_it_names() {
        let amer = LabelSet::parse("region=amer,class=equity").unwrap();
        let query = |pairs: Vec<(&str, Value)>| LabelQuery::from_value(&Dict::of(pairs).into()).unwrap();
        assert!(query(vec![]).matches(&amer));
        assert!(query(vec![("region", Value::syms(["emea", "amer"]))]).matches(&amer));
        assert!(query(vec![("region", Value::str("amer"))]).matches(&amer));
        assert!(!query(vec![("region", Value::sym("AMER"))]).matches(&amer), "case matters");
        assert!(!query(vec![("desk", Value::sym("x"))]).matches(&amer), "a label the source lacks");
    }

    #[test]
    fn bad_labels_are_named() {
        let err = LabelQuery::from_value(&Dict::of([("region", Value::from(1i64))]).into()).unwrap_err();
        assert_eq!((err.rc.0, err.ac.0), (5, 23));
        assert!(err.ai.contains("label region must be a symbol"), "{}", err.ai);
        assert!(LabelSet::parse("region").is_err());
        assert!(LabelSet::parse("a=1,a=2").is_err());
    }

    #[test]
    fn a_set_has_one_order_and_each_key_once_with_its_last_value() {
        let set = LabelSet::new([("b", "2"), ("a", "1"), ("b", "3"), ("c", "4"), ("b", "5")]);
        assert_eq!(set.to_string(), "a=1,b=5,c=4");
        assert_eq!(set, LabelSet::new([("a", "1"), ("b", "5"), ("c", "4")]));
        assert_eq!(set.get(&"b".into()), Some(&"5".into()));
        assert_eq!(LabelSet::new([("", ""); 0]), LabelSet::default());
    }

    #[test]
    fn label_sets_survive_the_wire() {
        let labels = LabelSet::parse("b=2, a=1").unwrap();
        assert_eq!(LabelSet::from_value(&labels.to_value()).unwrap(), labels);
        assert_eq!(labels.to_string(), "a=1,b=2");
    }
}
