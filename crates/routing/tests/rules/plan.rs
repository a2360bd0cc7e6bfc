//! Which portions a request becomes, and what is refused before any.

use kvalue::{Dict, Value};
use sg::purview::TableKind;

use crate::mesh::{Mesh, labels, purview, table, times};

const FAR: i64 = 1_000_000;

#[test]
fn tiers_are_cut_where_the_newer_begins() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("hdb", "region=amer", "hdb", 0, 120));
    mesh.dap(purview("rdb", "region=amer", "rdb", 100, 200));
    let corr = mesh.get(vec![]);
    let amer = || "region=amer".to_string();
    assert_eq!(mesh.portions(corr), [(amer(), -FAR, 100), (amer(), 100, FAR)]);
    let corr = mesh.get(times(40, 150));
    assert_eq!(mesh.portions(corr), [(amer(), 40, 100), (amer(), 100, 150)]);
    let corr = mesh.get(times(150, 160));
    assert_eq!(mesh.portions(corr), [(amer(), 150, 160)]);
}

#[test]
fn portions_are_ordered_by_label_set_then_time() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("c", "region=emea", "hdb", 0, 10));
    mesh.dap(purview("b", "region=amer", "hdb", 10, 20));
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    let expected = [("region=amer", -FAR, 10), ("region=amer", 10, FAR), ("region=emea", -FAR, FAR)];
    assert_eq!(mesh.portions(corr), expected.map(|(l, s, e)| (l.to_string(), s, e)));
}

#[test]
fn an_empty_range_still_asks_one_source_for_the_schema() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("hdb", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(times(5, 5));
    assert_eq!(mesh.portions(corr), [("region=amer".to_string(), 5, 5)]);
}

#[test]
fn a_table_without_times_is_asked_once_per_label_set() {
    let mut mesh = Mesh::new();
    for (name, tier, start) in [("hdb", "hdb", 0), ("idb", "idb", 100)] {
        let mut p = purview(name, "region=amer", tier, start, start + 100);
        p.tables.push(table("ref", TableKind::Splayed, -FAR, FAR));
        mesh.dap(p);
    }
    let corr = mesh.ask(sg::api::GET_DATA, vec![("table", Value::sym("ref"))], vec![]);
    assert_eq!(mesh.portions(corr).len(), 1);
    assert_eq!(mesh.runs(corr).len(), 1);
}

#[test]
fn calls_without_a_table_reach_each_tier_of_each_label_set() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 100));
    mesh.dap(purview("b", "region=amer", "rdb", 100, 200));
    mesh.dap(purview("c", "region=emea", "hdb", 0, 100));
    let corr = mesh.ask(sg::api::PING, vec![], vec![]);
    assert_eq!(mesh.runs(corr).len(), 3);
    let corr = mesh.ask(sg::api::PING, vec![labels(vec![("region", Value::sym("emea"))])], vec![]);
    assert_eq!(mesh.portions(corr).len(), 1);
}

#[test]
fn labels_select_by_any_of_several_values() {
    let mut mesh = Mesh::new();
    for region in ["amer", "emea", "apac"] {
        mesh.dap(purview(region, &format!("region={region},class=fx"), "hdb", 0, 10));
    }
    let two = labels(vec![("region", Value::syms(["apac", "amer", "apac"]))]);
    let corr = mesh.get(vec![two]);
    let sets: Vec<String> = mesh.portions(corr).into_iter().map(|(l, _, _)| l).collect();
    assert_eq!(sets, ["class=fx,region=amer", "class=fx,region=apac"]);
}

#[test]
fn old_style_labels_are_taken_unless_switched_off() {
    for old_labels in [true, false] {
        let mut mesh = Mesh::with(routing::Settings { old_labels, ..Default::default() });
        mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
        mesh.dap(purview("e", "region=emea", "hdb", 0, 10));
        let corr = mesh.get(vec![("region", Value::sym("emea"))]);
        match old_labels {
            true => assert_eq!(mesh.portions(corr).len(), 1),
            // Taken for nothing it would have answered for all regions.
            false => assert!(mesh.failure(corr).2.starts_with("region is a label and no argument")),
        }
    }
}

#[test]
fn each_label_value_that_is_wanted_must_be_one_that_data_has() {
    let mut mesh = Mesh::new();
    for region in ["amer", "emea"] {
        mesh.dap(purview(region, &format!("region={region}"), "hdb", 0, 10));
    }
    for wanted in [vec!["amer", "emaa"], vec!["emaa"], vec!["amer", "emea", ""]] {
        let corr = mesh.get(vec![labels(vec![("region", Value::syms(wanted.clone()))])]);
        let (rc, ac, ai) = mesh.failure(corr);
        assert_eq!((rc, ac), (56, 109), "{wanted:?}: {ai}");
        assert!(ai.contains("no data is labelled region="), "{wanted:?}: {ai}");
    }
    let corr =
        mesh.ask(sg::api::GET_META, vec![labels(vec![("region", Value::syms(["amer", "emaa"]))])], vec![]);
    assert!(mesh.failure(corr).2.contains("region=emaa; known values of region: amer; emea"));
}

#[test]
fn arguments_that_an_api_does_not_take_are_named_with_the_nearest() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    for (api, given, hint) in [
        (sg::api::PING, "lables", "did you mean labels?"),
        (sg::api::PING, "timeout", "it is a header option and goes into opts"),
        (sg::api::GET_META, "StartTS", "did you mean startTS?"),
        (".qmesh.queries", "user", "it takes"),
        (".qmesh.cancel", "cor", "did you mean corr?"),
        (".qmesh.explain", "arg", "did you mean args?"),
    ] {
        let corr = mesh.ask(api, vec![(given, Value::sym("x"))], vec![]);
        let (rc, ac, ai) = mesh.failure(corr);
        assert_eq!((rc, ac), (5, 23), "{api}: {ai}");
        assert!(
            ai.contains(&format!("`{given}` is no argument of {api}")) && ai.contains(hint),
            "{api}: {ai}"
        );
    }
    let twice = vec![("labels", Value::empty_dict()), ("labels", Value::empty_dict())];
    let corr = mesh.ask(sg::api::PING, twice, vec![]);
    assert!(mesh.failure(corr).2.contains("labels is given twice"));
}

#[test]
fn scope_narrows_to_assembly_tier_and_process() {
    let mut mesh = Mesh::new();
    for (name, assembly, tier, start) in
        [("a", "fin", "hdb", 0), ("b", "fin", "rdb", 100), ("c", "sim", "hdb", 0)]
    {
        let mut p = purview(name, "region=amer", tier, start, start + 100);
        p.assembly = assembly.into();
        mesh.dap(p);
    }
    let scoped = |mesh: &mut Mesh, pairs: Vec<(&str, &str)>| {
        let scope = Dict::of(pairs.into_iter().map(|(k, v)| (k, Value::sym(v))));
        mesh.get(vec![("scope", scope.into())])
    };
    let corr = scoped(&mut mesh, vec![("assembly", "fin")]);
    assert_eq!(mesh.portions(corr).len(), 2);
    let corr = scoped(&mut mesh, vec![("assembly", "sim")]);
    assert_eq!(mesh.portions(corr).len(), 1);
    let corr = scoped(&mut mesh, vec![("assembly", "fin"), ("tier", "rdb")]);
    assert_eq!(mesh.portions(corr), [("region=amer".to_string(), -FAR, FAR)]);
    let corr = scoped(&mut mesh, vec![("dap", "a")]);
    assert_eq!(mesh.portions(corr).len(), 1);
    for (pairs, says) in [
        (vec![("assembly", "nope")], "no data of assembly nope is known here; known assemblies: fin; sim"),
        (vec![("tier", "idb")], "scope.tier idb has no data here; known tiers: hdb; rdb"),
        (vec![("dap", "z")], "scope.dap z is not connected; connected: a; b; c"),
    ] {
        let corr = scoped(&mut mesh, pairs);
        assert_eq!(mesh.failure(corr), (56, 109, says.to_string()));
    }
}

#[test]
fn assemblies_of_equal_labels_hold_the_same_data_and_one_serves() {
    let mut mesh = Mesh::new();
    for assembly in ["blue", "green"] {
        let mut p = purview(assembly, "region=amer", "hdb", 0, 10);
        p.assembly = assembly.into();
        mesh.dap(p);
    }
    let corr = mesh.get(vec![]);
    assert_eq!(mesh.portions(corr).len(), 1);
}

#[test]
fn what_cannot_be_routed_says_why() {
    let mut mesh = Mesh::new();
    let corr = mesh.get(vec![]);
    assert_eq!(mesh.failure(corr), (58, 20, "No resources connected".into()));
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    mesh.dap(purview("e", "region=emea", "hdb", 0, 10));
    let corr = mesh.ask(sg::api::GET_DATA, vec![("table", Value::sym("quote"))], vec![]);
    assert_eq!(mesh.failure(corr), (56, 27, "Table not found, table=quote; tables: trade".into()));
    let corr = mesh.ask(sg::api::GET_DATA, vec![("table", Value::sym("Trad"))], vec![]);
    assert!(mesh.failure(corr).2.contains("did you mean trade?"), "{:?}", mesh.failure(corr));
    let corr = mesh.get(vec![labels(vec![("region", Value::sym("mars"))])]);
    let says = "no data is labelled region=mars; known label sets: region=amer; region=emea";
    assert_eq!(mesh.failure(corr), (56, 109, says.into()));
    let corr = mesh.ask(".custom.nope", vec![], vec![]);
    let (rc, ac, ai) = mesh.failure(corr);
    assert_eq!((rc, ac), (12, 108));
    assert!(
        ai.starts_with("API .custom.nope is not registered by any data process; known: .kxi.getData"),
        "{ai}"
    );
    let corr = mesh.get(times(9, 3));
    let (rc, ac, ai) = mesh.failure(corr);
    assert_eq!((rc, ac), (5, 23));
    assert!(
        ai.starts_with("bad args purview dimensions: startTS 2000.01.01D00:00:00.000000009 is after"),
        "{ai}"
    );
    let corr = mesh.ask(sg::api::PING, vec![], vec![("aggFn", Value::sym("my.agg"))]);
    let (rc, ac, ai) = mesh.failure(corr);
    assert_eq!((rc, ac), (12, 108));
    assert!(ai.contains("no aggregator has the aggregation function my.agg"), "{ai}");
}

#[test]
fn a_table_that_is_elsewhere_is_said_to_be_there() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let mut p = purview("e", "region=emea", "hdb", 0, 10);
    p.tables = vec![table("quote", TableKind::Partitioned, 0, 10)];
    mesh.dap(p);
    let args = vec![("table", Value::sym("quote")), labels(vec![("region", Value::sym("amer"))])];
    let corr = mesh.ask(sg::api::GET_DATA, args, vec![]);
    let says = "Table not found, table=quote where labels and scope point; it is in: region=emea";
    assert_eq!(mesh.failure(corr), (56, 27, says.into()));
}

#[test]
fn get_data_is_divided_among_idle_replicas_of_one_source() {
    for divide in [true, false] {
        let mut mesh = Mesh::with(routing::Settings { divide, ..Default::default() });
        for name in ["a", "b", "c"] {
            let mut p = purview(name, "region=amer", "hdb", 0, 100);
            p.tables[0].cuts = vec![10, 20, 30, 40, 50, 60, 70, 80, 90];
            mesh.dap(p);
        }
        let corr = mesh.get(times(5, 65));
        let amer = || "region=amer".to_string();
        match divide {
            true => assert_eq!(mesh.portions(corr), [(amer(), 5, 20), (amer(), 20, 40), (amer(), 40, 65)]),
            false => assert_eq!(mesh.portions(corr), [(amer(), 5, 65)]),
        }
        let corr = mesh.get(times(5, 65));
        assert_eq!(mesh.portions(corr).len(), 1, "nobody is idle now, or nothing is divided");
    }
}

#[test]
fn an_api_runs_where_it_is_registered() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 100));
    mesh.dap(crate::mesh::with_unsafe(purview("b", "region=amer", "rdb", 100, 200)));
    let corr = mesh.ask(crate::mesh::UNSAFE, vec![("table", Value::sym("trade"))], vec![]);
    assert_eq!(mesh.portions(corr), [("region=amer".to_string(), 100, FAR)]);
}
