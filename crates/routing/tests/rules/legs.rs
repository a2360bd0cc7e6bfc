//! `.qmesh.explain` of a request by its corr: its way, leg by leg.

use kvalue::{Atom, Table, Value};
use qipc::Limits;
use routing::{MILLI, Settings};
use sg::{Corr, Rc, msg::Cancel};

use crate::{
    mesh::{Mesh, labels, purview},
    net::{Net, amer},
};

const EXPLAIN: &str = ".qmesh.explain";

fn explained(mesh: &mut Mesh, corr: Corr) -> Value {
    mesh.explained(corr)
}

fn legs(value: &Value) -> Table {
    value.as_dict().unwrap().get("legs").unwrap().as_table().unwrap().clone()
}

/// Leg, process, bytes and milliseconds of each row.
fn rows(table: &Table) -> Vec<(String, String, i64, f64)> {
    let text = |v: Value| v.as_name().unwrap().text().into_owned();
    let of = |column: &str, row: usize| table.column(column).unwrap().index(row);
    let row = |i: usize| {
        let Value::Atom(Atom::Float(ms)) = of("ms", i) else { panic!("ms is no float") };
        let bytes = of("bytes", i).as_i64().unwrap_or(-1);
        (text(of("leg", i)), text(of("process", i)), bytes, (ms * 1e3).round() / 1e3)
    };
    (0..table.len()).map(row).collect()
}

fn named(rows: &[(String, String, i64, f64)], leg: &str) -> Vec<(String, i64, f64)> {
    let of = rows.iter().filter(|(l, ..)| l == leg);
    of.map(|(_, process, bytes, ms)| (process.clone(), *bytes, *ms)).collect()
}

#[test]
fn each_leg_of_a_request_has_its_bytes_and_time() {
    let mut mesh = Mesh::new();
    let a = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    // The second waits for the first; both go to one replica.
    let first = mesh.get(vec![]);
    let corr = mesh.get(vec![labels(vec![("region", Value::sym("amer"))])]);
    let run = mesh.runs(first)[0].1.clone();
    mesh.pass(2 * MILLI);
    mesh.complete(a, &run);
    mesh.answered(&run);
    let run = mesh.runs(corr)[0].1.clone();
    mesh.pass(4 * MILLI);
    mesh.complete(a, &run);
    // In flight: what is known so far.
    let value = explained(&mut mesh, corr);
    let so_far = rows(&legs(&value));
    assert_eq!(value.as_dict().unwrap().get("ai").unwrap().as_text().unwrap(), &b"in flight"[..]);
    assert_eq!(named(&so_far, "dap"), [("a".into(), 70, 3.0)], "as the data process said");
    mesh.pass(MILLI);
    mesh.answered(&run);
    let table = legs(&explained(&mut mesh, corr));
    let rows = rows(&table);
    let order: Vec<&str> = rows.iter().map(|r| r.0.as_str()).collect();
    assert_eq!(order, ["gw-rc", "rc-dap", "dap", "dap-agg", "agg-gw"]);
    let asked = (run.opts.0.len() + run.args.0.len()) as i64;
    assert_eq!(named(&rows, "gw-rc"), [("gw".into(), asked, 2.0)], "9 ms at the gateway, 7 here");
    assert_eq!(named(&rows, "rc-dap"), [("a".into(), asked, 2.0)], "it waited for the first");
    assert_eq!(named(&rows, "dap-agg"), [("agg-0".into(), 70, 1.0)], "4 ms, of which it ran for 3");
    assert_eq!(named(&rows, "agg-gw"), [("agg-0".into(), 50, 1.0)]);
    assert_eq!(table.column("labels").unwrap().index(1).as_dict().unwrap().len(), 1);
}

#[test]
fn a_request_that_failed_is_explained_too_and_strangers_see_none() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    let gw = mesh.gw;
    mesh.say(gw, Cancel { corr, attempt: 0 });
    let value = explained(&mut mesh, corr);
    assert_eq!(value.as_dict().unwrap().get("rc").unwrap().as_i64(), Some(Rc::CANCELLED.0.into()));
    mesh.user = "bob".into();
    let asked = mesh.ask(EXPLAIN, vec![("corr", Value::Atom(Atom::Guid(corr.0)))], vec![]);
    assert!(mesh.failure(asked).2.contains("not yours"));
}

#[test]
fn only_the_last_requests_are_remembered() {
    let mut mesh = Mesh::with(Settings { settle: 0, max_explained: 2, ..Settings::default() });
    let a = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corrs: Vec<Corr> = (0..3)
        .map(|_| {
            let corr = mesh.get(vec![]);
            let run = mesh.runs(corr)[0].1.clone();
            mesh.complete(a, &run);
            mesh.answered(&run);
            corr
        })
        .collect();
    explained(&mut mesh, corrs[2]);
    explained(&mut mesh, corrs[1]);
    let asked = mesh.ask(EXPLAIN, vec![("corr", Value::Atom(Atom::Guid(corrs[0].0)))], vec![]);
    assert!(mesh.failure(asked).2.contains("no request of this corr"));
}

/// Whichever coordinator is asked; and of replicas of others as of its own.
#[test]
fn any_coordinator_explains_a_request_of_any() {
    let mut net = Net::new(3);
    let dap = net.dap(1, amer("a"));
    let corr = net.get(0);
    let run = net.rcs[1].runs(corr)[0].1.clone();
    net.complete(1, dap, 0, &run);
    let args = vec![("corr", Value::Atom(Atom::Guid(corr.0)))];
    let asked = net.rcs[2].ask(EXPLAIN, args, vec![]);
    net.pump();
    let answer = net.rcs[2].answers(asked).remove(0);
    assert_eq!(answer.rc, Rc::OK, "{}", answer.ai);
    let value = qipc::decode(answer.payload.into_bytes(), &Limits::client()).unwrap();
    let rows = rows(&legs(&value));
    assert_eq!(named(&rows, "dap"), [("a".into(), 70, 3.0)]);
    let args = vec![("corr", Value::Atom(Atom::Guid([7; 16])))];
    let asked = net.rcs[2].ask(EXPLAIN, args, vec![]);
    net.pump();
    assert!(net.rcs[2].failure(asked).2.contains("no request of this corr"));
}
