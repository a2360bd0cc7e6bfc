//! How long requests take on the real database, warm, in one process: `cargo run --release --example measure`.
//!
//! With a word as argument, only requests whose name has it. Best and median of many runs, in microseconds: execution to the encoded partial, then merge.

#![allow(dead_code)]

#[path = "../tests/common/real.rs"]
mod real;

use std::time::Instant;

use getdata::{ParseOptions, Query, execute, joined, merge};
use kernels::error::Uninterrupted;
use kvalue::{Atom, Dict, Value, time::DAY};
use sg::TimeRange;

use crate::real::{FIRST_DAY, Part};

const RUNS: usize = 60;

fn agg(entries: &[&[&str]]) -> Value {
    Value::list(entries.iter().map(|e| Value::syms(e.iter())).collect::<Vec<_>>())
}

fn main() -> Result<(), sg::Failure> {
    let source = Part::of("trade", (0, 16));
    let prices = agg(&[&["a", "avg", "price"], &["m", "max", "price"], &["l", "last", "price"]]);
    let sym = Value::list(vec![Value::syms(["=", "sym", "IBM"])]);
    let time = |hour: i64| Value::Atom(Atom::Timestamp(FIRST_DAY * DAY + hour * (DAY / 24)));
    let requests: Vec<(&str, Vec<(&str, Value)>)> = vec![
        ("by sym avg max last price", vec![("groupBy", Value::sym("sym")), ("agg", prices.clone())]),
        ("by ex avg max last price", vec![("groupBy", Value::sym("ex")), ("agg", prices.clone())]),
        ("avg max last price", vec![("agg", prices.clone())]),
        (
            "by sym vwap",
            vec![("groupBy", Value::sym("sym")), ("agg", agg(&[&["v", "wavg", "size", "price"]]))],
        ),
        (
            "by sym dev cor",
            vec![
                ("groupBy", Value::sym("sym")),
                ("agg", agg(&[&["d", "dev", "price"], &["c", "cor", "size", "price"]])),
            ],
        ),
        ("last row by sym", vec![("groupBy", Value::sym("sym"))]),
        ("rows of one sym", vec![("filter", sym)]),
        ("rows of an hour", vec![("startTS", time(15)), ("endTS", time(16))]),
        ("all rows", vec![]),
        ("first 100", vec![("limit", Value::from(100i64))]),
        ("last 100", vec![("limit", Value::from(-100i64))]),
        ("sorted by time, first 100", vec![("sortCols", Value::sym("time")), ("limit", Value::from(100i64))]),
    ];
    println!(
        "{:28} {:>9} {:>9} {:>9} {:>9} {:>12}",
        "request", "run best", "median", "merge", "median", "bytes"
    );
    let only = std::env::args().nth(1).unwrap_or_default();
    for (name, args) in requests.into_iter().filter(|(name, _)| name.contains(&*only)) {
        let args = [vec![("table", Value::sym("trade"))], args].concat();
        let query = Query::parse(&Dict::of(args), &ParseOptions::default())?;
        let bound = query.bind(&source.schema)?;
        let (mut runs, mut merges, mut bytes) = (Vec::new(), Vec::new(), 0);
        for _ in 0..RUNS {
            let start = Instant::now();
            let partial = execute(&bound, &source, TimeRange::ALL, &Uninterrupted)?;
            runs.push(start.elapsed().as_nanos() as f64 / 1e3);
            let partial = joined(&partial);
            let start = Instant::now();
            let merged = merge(&query, vec![partial])?;
            merges.push(start.elapsed().as_nanos() as f64 / 1e3);
            bytes = merged.object().len();
        }
        runs.sort_by(f64::total_cmp);
        merges.sort_by(f64::total_cmp);
        println!(
            "{name:28} {:9.0} {:9.0} {:9.0} {:9.0} {bytes:12}",
            runs[0],
            runs[RUNS / 2],
            merges[0],
            merges[RUNS / 2]
        );
    }
    Ok(())
}
