//! The APIs that the coordinator answers itself.

use kvalue::{Atom, Dict, Value};
use qipc::Limits;
use sg::{Corr, Rc};

use crate::mesh::{Mesh, labels, purview};

fn payload(mesh: &Mesh, corr: Corr) -> Value {
    let answer = mesh.answers(corr).pop().expect("answered");
    assert_eq!(answer.rc, Rc::OK, "{}", answer.ai);
    qipc::decode(answer.payload.into_bytes(), &Limits::internal()).unwrap()
}

fn names(value: &Value, table: &str, column: &str) -> Vec<String> {
    let table = value.as_dict().unwrap().get(table).unwrap();
    let names = table.as_table().unwrap().column(column).unwrap().as_names().unwrap();
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn get_meta_needs_no_data_process_and_filters_by_labels() {
    let mut mesh = Mesh::new();
    let corr = mesh.ask(sg::api::GET_META, vec![], vec![]);
    assert_eq!(names(&payload(&mesh, corr), "dap", "dap"), Vec::<String>::new());
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    mesh.dap(purview("e", "region=emea", "hdb", 0, 10));
    let corr = mesh.ask(sg::api::GET_META, vec![], vec![("version", 3i64.into())]);
    let meta = payload(&mesh, corr);
    assert_eq!(names(&meta, "dap", "dap"), ["a", "e"]);
    assert_eq!(names(&meta, "rc", "rc"), ["rc"]);
    let corr = mesh.ask(sg::api::GET_META, vec![labels(vec![("region", Value::sym("emea"))])], vec![]);
    assert_eq!(names(&payload(&mesh, corr), "dap", "dap"), ["e"]);
    let corr = mesh.ask(sg::api::GET_META, vec![], vec![("version", 9i64.into())]);
    assert_eq!(mesh.failure(corr).0, Rc::VERSION.0);
}

#[test]
fn explain_shows_where_a_call_would_run_and_why_others_are_skipped() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    mesh.dap(purview("e", "region=emea", "hdb", 0, 10));
    let inner = Dict::of([
        ("table", Value::sym("trade")),
        ("labels", Dict::of([("region", Value::sym("emea"))]).into()),
    ]);
    let args = vec![("api", Value::sym(sg::api::GET_DATA)), ("args", inner.into())];
    let corr = mesh.ask(".qmesh.explain", args, vec![]);
    let explained = payload(&mesh, corr);
    assert_eq!(names(&explained, "portions", "replica"), ["e"]);
    assert_eq!(names(&explained, "skipped", "dap"), ["a"]);
    assert_eq!(mesh.said(".qm.run").len(), 0, "nothing runs");
}

#[test]
fn explain_says_that_a_replica_is_left_alone_because_it_said_busy_to_everything() {
    let mut mesh = Mesh::new();
    let dap = mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    let corr = mesh.get(vec![]);
    while let Some((_, run)) = mesh.runs(corr).pop()
        && mesh.router.stats().ejected == 0
    {
        mesh.done(dap, &run, sg::Rc::QUEUE, 1);
        mesh.idle(dap, &run);
    }
    let inner = Dict::of([("table", Value::sym("trade"))]);
    let args = vec![("api", Value::sym(sg::api::GET_DATA)), ("args", inner.into())];
    let corr = mesh.ask(".qmesh.explain", args, vec![]);
    let explained = payload(&mesh, corr);
    assert_eq!(names(&explained, "skipped", "dap"), ["a"]);
    let skipped = explained.as_dict().unwrap().get("skipped").unwrap();
    let why = skipped.as_table().unwrap().column("why").unwrap().index(0).as_text().unwrap();
    assert!(String::from_utf8_lossy(&why).contains("said busy to everything"), "{why:?}");
}

#[test]
fn queries_lists_requests_in_flight_and_cancel_ends_one() {
    let mut mesh = Mesh::new();
    mesh.dap(purview("a", "region=amer", "hdb", 0, 10));
    mesh.get(vec![]);
    let waiting = mesh.get(vec![]);
    let corr = mesh.ask(".qmesh.queries", vec![], vec![]);
    let table = payload(&mesh, corr);
    let table = table.as_table().unwrap();
    assert_eq!(table.column("waiting"), Some(&kvalue::Vector::longs(vec![0, 1]).into()));
    let cancel = |mesh: &mut Mesh, corr: Value| {
        let asked = mesh.ask(".qmesh.cancel", vec![("corr", corr)], vec![]);
        payload(mesh, asked)
    };
    assert_eq!(cancel(&mut mesh, Value::Atom(Atom::Guid([9; 16]))), false.into());
    assert_eq!(cancel(&mut mesh, Value::str(waiting.to_string())), true.into());
    assert_eq!(mesh.failure(waiting).0, Rc::CANCELLED.0);
    assert_eq!(mesh.router.stats().queued, 0);
}
