//! `QMESH_RC_EXPECT`: the tiers that there should be, as text.
//!
//! `region=amer:hdb,rdb;region=emea:hdb`: a label set, a colon, its tiers; several with semicolons. The label set may
//! be empty. What follows from it: `docs/routing.md`. Tests: below.

use std::collections::BTreeSet;

use kvalue::Sym;
use routing::Expected;
use sg::LabelSet;

/// How it is written, for errors.
pub(crate) const FORM: &str =
    "labels:tiers, several with semicolons, such as region=amer:hdb,rdb;region=emea:hdb";

/// Reads the text; an error says which part of it cannot be used, and why.
pub(crate) fn parse(text: &str) -> Result<Vec<Expected>, String> {
    let mut all: Vec<Expected> = Vec::new();
    for part in text.split(';').map(str::trim).filter(|p| !p.is_empty()) {
        let one = part_of(part).map_err(|why| format!("`{part}` {why}"))?;
        if all.iter().any(|e| e.labels == one.labels) {
            return Err(format!(
                "`{part}` names a label set for the second time: write all its tiers in one place"
            ));
        }
        all.push(one);
    }
    Ok(all)
}

fn part_of(part: &str) -> Result<Expected, String> {
    let (labels, tiers) =
        part.rsplit_once(':').ok_or("has no tiers: write a colon and them after the label set")?;
    let labels = LabelSet::parse(labels).map_err(|failure| format!("is no label set ({})", failure.ai))?;
    let tiers: Vec<&str> = tiers.split(',').map(str::trim).filter(|t| !t.is_empty()).collect();
    if tiers.is_empty() {
        return Err("has no tiers after its colon: write at least one, such as hdb".into());
    }
    if let Some(tier) = tiers.iter().find(|t| t.contains(['=', ' '])) {
        return Err(format!("has `{tier}` for a tier: label sets are separated by semicolons"));
    }
    if tiers.iter().collect::<BTreeSet<_>>().len() < tiers.len() {
        return Err("names a tier twice".into());
    }
    Ok(Expected { labels, tiers: tiers.into_iter().map(Sym::new).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let show = |e: &Expected| {
            let tiers: Vec<String> = e.tiers.iter().map(Sym::to_string).collect();
            format!("[{}] {}", e.labels, tiers.join("+"))
        };
        parse(text).map_or_else(|why| why, |all| all.iter().map(show).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn label_sets_and_their_tiers_are_read() {
        assert_eq!(shown(""), "");
        assert_eq!(
            shown("region=amer,desk=fx : hdb, rdb; region=emea:hdb ;"),
            "[desk=fx,region=amer] hdb+rdb [region=emea] hdb"
        );
        assert_eq!(shown(":hdb"), "[no labels] hdb", "an empty label set");
        assert_eq!(shown("at=a:1:hdb"), "[at=a:1] hdb", "the last colon counts");
    }

    #[test]
    fn what_the_operator_writes_is_read() {
        let made = include_str!("../../operator-api/tests/golden/full.out.yaml");
        let after = made.split("name: QMESH_RC_EXPECT\n").nth(1).expect("the operator's variable");
        let line = after.lines().next().expect("its value").trim();
        // Kubernetes makes one of two.
        let text = line.trim_start_matches("value: ").trim_matches('"').replace("$$", "$");
        assert_eq!(
            shown(&text),
            "[mark-desk=mark-fx,mark-region=mark-amer$(HOME)] mark-hdb+mark-rdb [no labels] mark-idb"
        );
    }

    #[test]
    fn what_cannot_be_used_is_named_with_the_next_step() {
        for (text, why) in [
            ("region=amer", "`region=amer` has no tiers"),
            ("region=amer:", "`region=amer:` has no tiers after its colon"),
            ("amer:hdb", "`amer:hdb` is no label set"),
            ("a=1:hdb,a=2:rdb", "is no label set"),
            ("a=1:hdb,a=2", "has `a=2` for a tier: label sets are separated by semicolons"),
            ("a=1:hdb;a=1:rdb", "`a=1:rdb` names a label set for the second time"),
            ("a=1:hdb,hdb", "`a=1:hdb,hdb` names a tier twice"),
        ] {
            let said = shown(text);
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
