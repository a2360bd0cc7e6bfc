//! Tiers that are declared: what of them was never seen is missing, never taken for nothing.

use kvalue::Value;
use routing::{Expected, SECOND, Settings};
use sg::{
    Corr, LabelSet, Msg, Rc,
    msg::{GiveUp, Replace},
    purview::TableKind,
};

use crate::mesh::{LEFT, Mesh, labels, purview, table, times};

fn expected(tiers: &[(&str, &[&str])]) -> Settings {
    let of = |(labels, tiers): &(&str, &[&str])| Expected {
        labels: LabelSet::parse(labels).unwrap(),
        tiers: tiers.iter().map(|t| (*t).into()).collect(),
    };
    Settings { settle: 0, expected: tiers.iter().map(of).collect(), ..Settings::default() }
}

fn best(mesh: &mut Mesh) -> Corr {
    let opts = vec![("completeness", Value::sym("best"))];
    mesh.ask(sg::api::GET_DATA, vec![("table", Value::sym("trade"))], opts)
}

fn given_up(mesh: &Mesh) -> Vec<GiveUp> {
    let of = |m: &Msg| if let Msg::GiveUp(m) = m { Some(m.clone()) } else { None };
    mesh.sent.iter().filter_map(|(_, m)| of(m)).collect()
}

fn replaced(mesh: &Mesh) -> Vec<Replace> {
    let of = |m: &Msg| if let Msg::Replace(m) = m { Some(m.clone()) } else { None };
    mesh.sent.iter().filter_map(|(_, m)| of(m)).collect()
}

/// The ends of the time line, as `portions` shows them.
const ALL: (i64, i64) = (-1_000_000, 1_000_000);

fn portion(labels: &str, from: i64, until: i64) -> (String, i64, i64) {
    (labels.into(), from, until)
}

/// All portions that were leased run to their end.
fn complete(mesh: &mut Mesh, corr: Corr) {
    let runs = mesh.runs(corr);
    for (dap, run) in &runs {
        mesh.complete(*dap, run);
    }
    mesh.answered(&runs[0].1);
    assert!(mesh.router.is_quiet(), "{:?}", mesh.router.stats());
}

#[test]
fn a_tier_that_was_never_seen_is_waited_for_and_named_at_the_deadline() {
    let mut mesh = Mesh::with(expected(&[("region=amer", &["hdb", "rdb"])]));
    let a = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    assert_eq!(
        mesh.portions(corr),
        [portion("region=amer", ALL.0, 10), portion("region=amer", 10, ALL.1)],
        "the newer tier may hold what comes after the older one"
    );
    let run = mesh.runs(corr)[0].1.clone();
    mesh.complete(a, &run);
    mesh.pass(LEFT - LEFT / 50);
    let (rc, _, ai) = mesh.failure(corr);
    assert_eq!(rc, Rc::TIMEOUT.0);
    assert!(ai.contains("region=amer") && ai.contains("tier rdb, which is declared"), "{ai}");
}

#[test]
fn a_request_for_times_that_seen_tiers_cover_misses_nothing() {
    let tiers: &[&str] = &["hdb", "idb", "rdb"];
    let mut mesh = Mesh::with(expected(&[("region=amer", tiers)]));
    mesh.dap(purview("h", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(times(2, 8));
    assert_eq!(mesh.portions(corr), [portion("region=amer", 2, 8)]);
    complete(&mut mesh, corr);
    mesh.dap(purview("r", "region=amer", "rdb", 10, 20));
    let corr = mesh.get(vec![]);
    assert_eq!(mesh.portions(corr).len(), 2, "between hdb and rdb there is no time that an idb could hold");
    complete(&mut mesh, corr);
}

#[test]
fn an_older_tier_that_was_never_seen_may_hold_what_lies_before_the_newer_one() {
    let mut mesh = Mesh::with(expected(&[("region=amer", &["hdb", "idb", "rdb"])]));
    mesh.dap(purview("r", "region=amer", "rdb", 10, 20));
    let corr = mesh.get(vec![]);
    assert_eq!(mesh.portions(corr), [portion("region=amer", ALL.0, 10), portion("region=amer", 10, ALL.1)]);
    mesh.pass(LEFT - LEFT / 50);
    let (_, _, ai) = mesh.failure(corr);
    assert!(ai.contains("tier hdb, which is declared") && ai.contains("tier idb, which is declared"), "{ai}");
}

#[test]
fn of_a_label_set_of_which_nothing_was_seen_all_is_missing() {
    let mut mesh = Mesh::with(expected(&[("region=amer", &["hdb"]), ("region=emea", &["hdb", "rdb"])]));
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    assert_eq!(mesh.portions(corr)[1], portion("region=emea", ALL.0, ALL.1));
    mesh.pass(LEFT - LEFT / 50);
    let (_, _, ai) = mesh.failure(corr);
    assert!(ai.contains("region=emea") && ai.contains("tier hdb, wh") && ai.contains("tier rdb, wh"), "{ai}");
    let amer = mesh.get(vec![labels(vec![("region", Value::sym("amer"))])]);
    assert_eq!(mesh.portions(amer).len(), 1, "other label sets are answered");
}

#[test]
fn what_waits_for_a_declared_tier_runs_when_it_comes() {
    let mut mesh = Mesh::with(expected(&[("region=amer", &["hdb"]), ("region=emea", &["hdb", "rdb"])]));
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    assert_eq!(mesh.runs(corr).len(), 1);
    let mut first = purview("h", "region=emea", "hdb", 0, 10);
    first.assembly = "asm".into();
    mesh.dap(first);
    assert_eq!(mesh.runs(corr).len(), 2, "the assembly is that of the first that comes");
    assert_eq!(replaced(&mesh)[0].new.len(), 2, "the rdb is still wanted for what comes after");
    let mut second = purview("r", "region=emea", "rdb", 10, 20);
    second.assembly = "asm".into();
    mesh.dap(second);
    assert_eq!(mesh.runs(corr).len(), 3);
    complete(&mut mesh, corr);
    assert_eq!(mesh.router.stats().succeeded, 1);
}

/// It may hold any table, until it says which.
#[test]
fn a_table_that_the_tier_does_not_have_is_no_longer_waited_for_when_it_comes() {
    let mut mesh = Mesh::with(expected(&[("region=emea", &["hdb"])]));
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let (both, other) =
        (mesh.get(vec![]), mesh.ask(sg::api::GET_DATA, vec![("table", Value::sym("fx"))], vec![]));
    assert_eq!((mesh.portions(both).len(), mesh.portions(other).len()), (2, 1));
    let mut quotes = purview("e", "region=emea", "hdb", 0, 10);
    quotes.tables = vec![table("quote", TableKind::Partitioned, 0, 10)];
    mesh.dap(quotes);
    assert_eq!(replaced(&mesh)[0].new.len(), 0, "nothing comes in the place of what is not there");
    assert!(mesh.failure(other).2.contains("Table not found"), "{:?}", mesh.failure(other));
    complete(&mut mesh, both);
}

#[test]
fn tables_without_times_are_served_by_any_tier_that_was_seen() {
    let mut mesh = Mesh::with(expected(&[("", &["hdb", "rdb"])]));
    let mut inst = purview("h", "", "hdb", 0, 10);
    inst.tables = vec![table("trade", TableKind::Splayed, 0, 0)];
    mesh.dap(inst);
    let corr = mesh.get(vec![]);
    assert_eq!(mesh.runs(corr).len(), 1);
    complete(&mut mesh, corr);
}

#[test]
fn a_scope_that_names_a_declared_tier_waits_for_it() {
    let mut mesh = Mesh::with(expected(&[("region=amer", &["hdb", "rdb"])]));
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let scope = |tier: &str| ("scope", Value::from(kvalue::Dict::of([("tier", Value::sym(tier))])));
    let corr = mesh.get(vec![scope("rdb")]);
    assert_eq!(mesh.portions(corr), [portion("region=amer", ALL.0, ALL.1)]);
    assert_eq!(mesh.runs(corr).len(), 0);
    let unknown = mesh.get(vec![scope("idb")]);
    assert!(mesh.failure(unknown).2.contains("known tiers: hdb"), "{:?}", mesh.failure(unknown));
}

#[test]
fn a_best_answer_goes_without_it_and_says_that_coverage_is_declared() {
    let mut mesh = Mesh::with(expected(&[("region=amer", &["hdb", "rdb"])]));
    let a = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = best(&mut mesh);
    let said = given_up(&mesh);
    assert!(said[0].declared, "{said:?}");
    assert_eq!(
        (said[0].missing[0].labels.to_string().as_str(), said[0].missing[0].range.start()),
        ("region=amer", 10)
    );
    let run = mesh.runs(corr)[0].1.clone();
    mesh.complete(a, &run);
    mesh.answered(&run);
    assert!(mesh.router.is_quiet());
}

#[test]
fn coverage_is_observed_where_one_label_set_of_the_request_is_not_declared() {
    let mut mesh = Mesh::with(expected(&[("region=amer", &["hdb", "rdb"])]));
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    mesh.dap(purview("e", "region=emea", "hdb", 0, 10));
    best(&mut mesh);
    assert!(!given_up(&mesh)[0].declared);
}

/// Where sources are forgotten to make room, what was declared of them is missing again.
#[test]
fn a_declared_tier_whose_last_source_is_forgotten_is_missing_again() {
    let settings = Settings { max_sources: 1, ..expected(&[("region=amer", &["hdb"])]) };
    let mut mesh = Mesh::with(settings);
    let a = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    complete(&mut mesh, corr);
    mesh.down(a);
    mesh.dap(purview("e", "region=emea", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    assert_eq!(mesh.portions(corr)[0], portion("region=amer", ALL.0, ALL.1));
    mesh.pass(LEFT - SECOND / 10);
    assert!(mesh.failure(corr).2.contains("tier hdb, which is declared"));
}

/// Two assemblies of equal labels hold the same data: one of them has all that was declared.
#[test]
fn an_assembly_that_has_all_that_was_declared_serves_before_one_that_has_not() {
    let mut mesh = Mesh::with(expected(&[("region=amer", &["hdb", "rdb"])]));
    for (assembly, name, tier, from) in [("a", "h0", "hdb", 0), ("b", "h1", "hdb", 0), ("b", "r1", "rdb", 10)]
    {
        let mut p = purview(name, "region=amer", tier, from, from + 10);
        p.assembly = assembly.into();
        mesh.dap(p);
    }
    let corr = mesh.get(vec![]);
    assert_eq!(mesh.runs(corr).len(), 2);
    complete(&mut mesh, corr);
}
