//! One request in three forms gives one answer: as typed QIPC values, as the JSON of a REST client, and as the flags of
//! `qmesh query`. 2,000 random requests a run; the seed is printed and may be given by `QMESH_DIFFERENTIAL_SEED`.
//!
//! With `QMESH_DIFFERENTIAL_DIR` the rows, each request as SQL, and its answer are written there for
//! `tests/differential/check.py`, which asks DuckDB the same.

mod condition;
mod request;
mod rows;

use std::{collections::hash_map::RandomState, fmt::Write as _, hash::BuildHasher, path::Path};

use clap::Parser;
use getdata::Query;
use kernels::error::Uninterrupted;
use kvalue::{Atom, Value, atom::Scalar};
use qipc::Raw;
use serde_json::json;

use super::QueryArgs;
use request::Request;
use rows::Rows;

const REQUESTS: usize = 2_000;

/// A sequence of numbers from a seed.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to before `n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// From `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    query: QueryArgs,
}

/// The arguments that `qmesh query` sends for flags.
fn of_flags(flags: &[String]) -> Value {
    let parsed = Flags::try_parse_from(["query".to_string()].iter().chain(flags))
        .unwrap_or_else(|e| panic!("{flags:?}: {e}"));
    let call = super::request(&parsed.query).unwrap_or_else(|e| panic!("{flags:?}: {e}"));
    call.index(1)
}

fn answer(rows: &Rows, args: &Value, cast: bool) -> Result<Value, String> {
    let query = Query::read(&Raw::of(args), cast, |_| false).map_err(|f| f.ai)?;
    let bound = query.bind(rows.schema()).map_err(|f| f.ai)?;
    getdata::execute_whole(&bound, rows.source(), &Uninterrupted).and_then(|m| m.value()).map_err(|f| f.ai)
}

/// Rows of an answer as JSON, times as the numbers they are.
fn cells(answer: &Value) -> Vec<Vec<serde_json::Value>> {
    let table = answer.as_table().expect("a table");
    let cell = |value: Value| match &value {
        Value::Atom(Atom::Boolean(b)) => json!(b),
        Value::Atom(Atom::Symbol(s)) => json!(s.text()),
        Value::Atom(Atom::Guid(_) | Atom::Char(_)) | Value::Vector(_) => {
            let mut text = Vec::new();
            gateway::tool::write_json(&value, &mut text).expect("JSON");
            serde_json::from_slice(&text).expect("JSON")
        }
        // As the decimal that a real shows: that is what DuckDB has read.
        Value::Atom(Atom::Real(x)) => json!(x.to_string().parse::<f64>().ok()),
        Value::Atom(a) => match a.scalar() {
            Some(Scalar::Integer(n)) => json!(n),
            Some(Scalar::Float(x)) => json!(x.is_finite().then_some(x)),
            None => json!(null),
        },
        other => panic!("{other:?}"),
    };
    let columns = || table.columns().iter();
    (0..table.len()).map(|row| columns().map(|c| cell(c.index(row))).collect()).collect()
}

fn seed() -> u64 {
    match std::env::var("QMESH_DIFFERENTIAL_SEED") {
        Ok(text) => text.parse().expect("QMESH_DIFFERENTIAL_SEED is a number"),
        Err(_) => RandomState::new().hash_one(0),
    }
}

#[test]
fn three_forms_of_a_request_give_one_answer() {
    let seed = seed();
    println!("seed {seed}");
    let mut random = Random(seed);
    let rows = Rows::random(&mut random);
    let (mut as_flags, mut with_rows) = (0, 0);
    let mut lines = String::new();
    for n in 0..REQUESTS {
        let request = Request::random(&mut random);
        let context = |form: &str| format!("seed {seed}, request {n}, as {form}: {request:?}");
        let typed =
            answer(&rows, &request.typed(), false).unwrap_or_else(|e| panic!("{}: {e}", context("typed")));
        let body = request.json().to_string();
        let args = gateway::tool::args_from_json(&body, Some(&sg::api::builtin()[0]))
            .unwrap_or_else(|e| panic!("{}: {e}", context("JSON")));
        let json = answer(&rows, &args, true).unwrap_or_else(|e| panic!("{}: {e}", context("JSON")));
        assert_eq!(json, typed, "{}", context("JSON"));
        if let Some(flags) = request.flags() {
            let flagged = answer(&rows, &of_flags(&flags), true)
                .unwrap_or_else(|e| panic!("{}: {e}", context("flags")));
            assert_eq!(flagged, typed, "{} {flags:?}", context("flags"));
            as_flags += 1;
        }
        with_rows += usize::from(typed.count() > 0);
        let line = json!({"n": n, "request": body, "sql": request.sql(), "ordered": request.is_ordered(),
            "rows": cells(&typed)});
        let _ = writeln!(lines, "{line}");
    }
    // A generator that asks for nothing would compare nothing.
    assert!(
        as_flags > REQUESTS / 3 && with_rows > REQUESTS / 2,
        "{as_flags} as flags, {with_rows} with rows"
    );
    if let Ok(dir) = std::env::var("QMESH_DIFFERENTIAL_DIR") {
        let write =
            |name: &str, text: &str| std::fs::write(Path::new(&dir).join(name), text).expect("it is written");
        write("requests.json", &lines);
        write("rows.json", &rows.to_json());
        write("seed.txt", &seed.to_string());
    }
}
