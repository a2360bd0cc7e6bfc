//! The header fields an answer of this Agg carries beside rc, ac and ai.

use std::cell::RefCell;

use bytes::Bytes;
use kvalue::{Sym, Table, Value, Vector};
use qipc::{Limits, Raw};
use sg::{
    header::NO_VINTAGE,
    msg::PlannedPortion,
    opts::{EMPTY_DICT, PACKED, join, pairs},
};

use crate::{
    core::{Job, Part},
    functions::Output,
};

/// Most warnings of partials that are passed on.
const MOST_WARNINGS: usize = 32;

/// What an answer does without.
#[derive(Debug, Default, Clone, Copy)]
pub struct Without<'a> {
    /// portions
    pub missing: &'a [PlannedPortion],
    /// what there should be is declared for all label sets of the request, not known by observation only
    pub declared: bool,
}

impl<'a> Without<'a> {
    /// What the answer of this job does without.
    pub fn of<L>(job: &'a Job<L>) -> Self {
        Without { missing: &job.missing, declared: job.declared }
    }
}

/// `agg`, `refVintage` (the vintage of the partials, the newest in a failure; `-0Wj` without a vintage), the length of
/// a payload that was compressed, `limitApplied` where the function says it, `warnings` where partials have any, each
/// once; for an answer without some portions, `missing` names the label sets and times left out, and `coverage` tells
/// whether the expected tiers are `declared` or `observed`.
pub fn fields(own: &Sym, parts: &[Part], without: Without<'_>, output: &Output) -> Raw {
    let silent = parts.iter().all(|part| part.extra.0[..] == EMPTY_DICT);
    match silent && output.packed.is_none() && without.missing.is_empty() {
        true => usual(own, output.limit_applied),
        false => all(own, parts, without, output),
    }
}

/// The fields where nobody has anything special to say: those of the answer before.
fn usual(own: &Sym, limit_applied: Option<bool>) -> Raw {
    thread_local! {
        static LAST: RefCell<Option<(Sym, Option<bool>, Raw)>> = const { RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| match last {
        Some((of, applied, fields)) if of == own && *applied == limit_applied => fields.clone(),
        _ => {
            let output = Output { limit_applied, ..Output::default() };
            let fields = all(own, &[], Without::default(), &output);
            *last = Some((own.clone(), limit_applied, fields.clone()));
            fields
        }
    })
}

fn all(own: &Sym, parts: &[Part], without: Without<'_>, output: &Output) -> Raw {
    let mut newest = NO_VINTAGE;
    let mut warnings: Vec<Value> = Vec::new();
    for part in parts.iter().filter(|p| p.extra.0[..] != EMPTY_DICT) {
        newest = newest.max(vintage(&part.extra));
        // A DAP that sends no dictionary has nothing to say that we understand.
        for (name, value) in pairs(&part.extra.0, &Limits::internal()).unwrap_or_default() {
            if name.as_bytes() == b"warnings" {
                let said = qipc::decode(value, &Limits::internal()).unwrap_or(Value::Null);
                add_warnings(&mut warnings, &said);
            }
        }
    }
    let mut fields = Vec::with_capacity(4);
    fields.extend([(Sym::new("agg"), address(own)), (Sym::new("refVintage"), long(newest))]);
    if let Some(plain) = output.packed {
        fields.push((Sym::new(PACKED), long(plain as i64)));
    }
    if let Some(applied) = output.limit_applied {
        let object: &'static [u8] = if applied { &[0xff, 1] } else { &[0xff, 0] };
        fields.push((Sym::new("limitApplied"), Bytes::from_static(object)));
    }
    if !warnings.is_empty() {
        fields.push((Sym::new("warnings"), object(&Value::list(warnings))));
    }
    if !without.missing.is_empty() {
        let coverage = if without.declared { "declared" } else { "observed" };
        fields.push((Sym::new("missing"), object(&named(without.missing))));
        fields.push((Sym::new("coverage"), object(&Value::sym(coverage))));
    }
    Raw(join(&fields))
}

/// The vintage of reference tables that a partial used, `-0Wj` where it says none.
pub(crate) fn vintage(extra: &Raw) -> i64 {
    if extra.0[..] == EMPTY_DICT {
        return NO_VINTAGE;
    }
    let said = pairs(&extra.0, &Limits::internal()).unwrap_or_default();
    let said = said.into_iter().find(|(name, _)| name.as_bytes() == b"refVintage");
    let said = said.and_then(|(_, value)| qipc::decode(value, &Limits::internal()).ok()?.as_i64());
    // A null says none either.
    said.unwrap_or(NO_VINTAGE).max(NO_VINTAGE)
}

/// Label sets and times of portions.
fn named(portions: &[PlannedPortion]) -> Value {
    let columns = [
        ("labels", Value::list(portions.iter().map(|p| p.labels.to_value()).collect::<Vec<_>>())),
        ("table", Value::syms(portions.iter().map(|p| p.table.as_bytes()))),
        ("startTS", Vector::timestamps(portions.iter().map(|p| p.range.start()).collect()).into()),
        ("endTS", Vector::timestamps(portions.iter().map(|p| p.range.end()).collect()).into()),
    ];
    Table::of(columns).map_or(Value::Null, Value::from)
}

/// The symbol `:host:port`, encoded.
fn address(own: &Sym) -> Bytes {
    [b"\xf5:", own.as_bytes(), b"\0"].concat().into()
}

/// A long, encoded.
fn long(n: i64) -> Bytes {
    let mut out = [0xf9; 9];
    out[1..].copy_from_slice(&n.to_le_bytes());
    Bytes::copy_from_slice(&out)
}

fn object(value: &Value) -> Bytes {
    Raw::of(value).0
}

/// A warning is a string; several are a list of them.
fn add_warnings(all: &mut Vec<Value>, said: &Value) {
    let texts = match said {
        Value::List(list) => list.items().iter().filter_map(Value::as_text).collect(),
        other => other.as_text().into_iter().collect::<Vec<_>>(),
    };
    for text in texts {
        let text = Value::str(text);
        if all.len() < MOST_WARNINGS && !all.contains(&text) {
            all.push(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use kvalue::Dict;
    use sg::PortionId;

    use super::*;

    fn part(extra: Value) -> Part {
        Part { portion: PortionId(0), extra: Raw::of(&extra), payload: Bytes::new() }
    }

    fn read(parts: &[Part], limit_applied: Option<bool>) -> Value {
        let output = Output { limit_applied, ..Output::default() };
        fields(&"h:1".into(), parts, Without::default(), &output).decode(&Limits::internal()).unwrap()
    }

    #[test]
    fn nothing_said_by_partials_is_the_least_vintage_and_no_more() {
        let dict = read(&[part(Value::empty_dict()), part(Value::Null)], None);
        let expected = Dict::of([("agg", Value::sym(":h:1")), ("refVintage", NO_VINTAGE.into())]);
        assert_eq!(dict, expected.into());
    }

    #[test]
    fn what_the_answer_does_without_is_named() {
        let portion = PlannedPortion {
            id: PortionId(3),
            labels: sg::LabelSet::parse("region=emea").unwrap(),
            table: "trade".into(),
            range: sg::TimeRange::new(5, 9).unwrap(),
        };
        let said = |declared| {
            let without = Without { missing: std::slice::from_ref(&portion), declared };
            let said = fields(&"h:1".into(), &[], without, &Output::default());
            said.decode(&Limits::internal()).unwrap().as_dict().unwrap().clone()
        };
        assert_eq!(said(true).get("coverage"), Some(Value::sym("declared")));
        let said = said(false);
        let missing = said.get("missing").unwrap();
        let row = missing.index(0);
        let row = row.as_dict().unwrap();
        let labels = sg::LabelSet::from_value(&row.get("labels").unwrap()).unwrap();
        assert_eq!(labels.to_string(), "region=emea");
        assert_eq!(row.get("endTS").and_then(|t| t.as_i64()), Some(9));
        assert_eq!(said.get("coverage"), Some(Value::sym("observed")));
    }

    #[test]
    fn the_newest_vintage_and_each_warning_once_are_passed_on() {
        let with = |vintage: i64, warnings: Value| {
            part(Dict::of([("refVintage", vintage.into()), ("warnings", warnings)]).into())
        };
        let said = [
            with(3, Value::str("one")),
            with(7, Value::list([Value::str("two"), Value::str("one")])),
            with(5, Value::Null),
        ];
        let dict = read(&said, Some(true));
        let dict = dict.as_dict().unwrap();
        assert_eq!(dict.get("refVintage"), Some(7i64.into()));
        assert_eq!(dict.get("limitApplied"), Some(true.into()));
        assert_eq!(dict.get("warnings"), Some(Value::list([Value::str("one"), Value::str("two")])));
    }
}
