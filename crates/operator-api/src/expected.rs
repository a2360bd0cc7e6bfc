//! `spec.discovery.expected` as the text of QMESH_RC_EXPECT, and what cannot be written in it.
//!
//! The form is the coordinator's (`crates/coordinator/src/expect.rs`), where a test reads what is made here. Tests:
//! below.

use std::collections::BTreeSet;

use crate::spec::ExpectedTiers;
use crate::validate::Problem;

/// Longest text, in bytes: Linux gives a process no variable beyond 128 KiB.
pub(crate) const MOST: usize = 100_000;

const KEY: &str = "is no key of a label: write at least one sign, none of ',', ';' and '=', no control character, and no blank at an end";
const VALUE: &str = "is no value of a label: write at least one sign, none of ',' and ';', no control character, and no blank at an end";
const TIER: &str =
    "is no tier: write at least one sign, none of ',', ';', ':' and '=', no control character and no blank";
const NONE: &str = "has no tiers: name at least one, such as hdb";
const TWICE: &str = "names a tier twice: name each once";
const AGAIN: &str = "names a label set for the second time: write all its tiers in one place";

/// As coordinators read it: `region=amer:hdb,rdb;region=emea:hdb`.
pub(crate) fn text(all: &[ExpectedTiers]) -> String {
    all.iter().map(one).collect::<Vec<_>>().join(";")
}

fn one(expected: &ExpectedTiers) -> String {
    let labels: Vec<String> = expected.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("{}:{}", labels.join(","), expected.tiers.join(","))
}

/// What coordinators could not read, or would read otherwise.
pub(crate) fn check(all: &[ExpectedTiers], problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for (at, expected) in all.iter().enumerate() {
        let again = !seen.insert(&expected.labels);
        if let Some((text, why)) = wrong_word(expected).or_else(|| wrong_whole(expected, again)) {
            problems.push(Problem::Expected { at, text, why });
        }
    }
    let bytes = text(all).len();
    if bytes > MOST {
        problems.push(Problem::ExpectedLong { bytes });
    }
}

fn wrong_word(expected: &ExpectedTiers) -> Option<(String, &'static str)> {
    let keys = expected.labels.keys().map(|key| (key, &[',', ';', '='][..], KEY));
    let values = expected.labels.values().map(|value| (value, &[',', ';'][..], VALUE));
    let tiers = expected.tiers.iter().map(|tier| (tier, &[',', ';', ':', '=', ' '][..], TIER));
    let is_bad = |word: &str, signs: &[char]| {
        word.is_empty() || word.trim() != word || word.contains(signs) || word.contains(char::is_control)
    };
    let mut words = keys.chain(values).chain(tiers);
    words.find(|(word, signs, _)| is_bad(word, signs)).map(|(word, _, why)| (word.clone(), why))
}

fn wrong_whole(expected: &ExpectedTiers, again: bool) -> Option<(String, &'static str)> {
    let tiers: BTreeSet<&String> = expected.tiers.iter().collect();
    let why = match (expected.tiers.len(), again) {
        (0, _) => NONE,
        (count, _) if tiers.len() < count => TWICE,
        (_, true) => AGAIN,
        _ => return None,
    };
    Some((one(expected), why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(labels: &[(&str, &str)], tiers: &[&str]) -> ExpectedTiers {
        ExpectedTiers {
            labels: labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            tiers: tiers.iter().map(|tier| (*tier).into()).collect(),
        }
    }

    fn problems(all: &[ExpectedTiers]) -> Vec<Problem> {
        let mut problems = Vec::new();
        check(all, &mut problems);
        problems
    }

    #[test]
    fn all_that_coordinators_read_can_be_declared() {
        let all = [
            expected(&[("region", "amer"), ("desk", "fx spot")], &["hdb", "rdb"]),
            expected(&[("at", "a:1=2"), ("région", "é$")], &["hdb"]),
            expected(&[], &["idb"]),
        ];
        assert_eq!(problems(&all), []);
        assert_eq!(text(&all), "desk=fx spot,region=amer:hdb,rdb;at=a:1=2,région=é$:hdb;:idb");
    }

    #[test]
    fn each_thing_that_they_cannot_read_is_named_with_the_next_step() {
        for (all, at, text, why) in [
            (vec![expected(&[("", "x")], &["hdb"])], 0, "", KEY),
            (vec![expected(&[("a=b", "x")], &["hdb"])], 0, "a=b", KEY),
            (vec![expected(&[("a", "x,b=y")], &["hdb"])], 0, "x,b=y", VALUE),
            (vec![expected(&[("a", "x;y")], &["hdb"])], 0, "x;y", VALUE),
            (vec![expected(&[("a", "x ")], &["hdb"])], 0, "x ", VALUE),
            (vec![expected(&[("a", "x\ny")], &["hdb"])], 0, "x\ny", VALUE),
            (vec![expected(&[], &["hdb"]), expected(&[("a", "")], &["hdb"])], 1, "", VALUE),
            (vec![expected(&[], &["hdb", ""])], 0, "", TIER),
            (vec![expected(&[], &["h:db"])], 0, "h:db", TIER),
            (vec![expected(&[], &["h db"])], 0, "h db", TIER),
            (vec![expected(&[("a", "x")], &[])], 0, "a=x:", NONE),
            (vec![expected(&[("a", "x")], &["hdb", "hdb"])], 0, "a=x:hdb,hdb", TWICE),
            (vec![expected(&[("a", "x")], &["hdb"]), expected(&[("a", "x")], &["rdb"])], 1, "a=x:rdb", AGAIN),
        ] {
            assert_eq!(problems(&all), [Problem::Expected { at, text: text.into(), why }], "{all:?}");
        }
    }

    #[test]
    fn more_than_goes_into_a_variable_is_a_problem() {
        let many: Vec<_> =
            (0..1000).map(|n| expected(&[("region", &format!("{n:0>100}"))], &["hdb"])).collect();
        let bytes = text(&many).len();
        assert_eq!(problems(&many), [Problem::ExpectedLong { bytes }]);
        let said = Problem::ExpectedLong { bytes }.to_string();
        assert!(said.contains("at most 100000"), "{said}");
    }
}
