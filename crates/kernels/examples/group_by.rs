//! Times the group-by that the benchmark asks for, on made-up rows of the real table's size: parted and shuffled.
//!
//! `cargo run --release -p kernels --example group_by`

use std::{hint::black_box, sync::Arc, time::Instant};

use kernels::{
    Selection,
    aggregate::{Function, accumulate, finish},
    compare::{Op, select},
    group::{group, order_groups},
};
use kvalue::{Codes, Domain, Symbols, Type, Value, Vector};

const ROWS: usize = 633_690;
const SYMBOLS: usize = 11;
const ROUNDS: usize = 30;

fn symbols(domain: &Arc<Domain>, codes: Vec<i32>) -> Value {
    let codes = Codes::I32(codes.into_iter().collect());
    match Symbols::enumerated(domain.clone(), codes) {
        Ok(symbols) => Value::from(Vector::symbols(symbols)),
        Err(error) => panic!("the codes made here are in the domain: {error}"),
    }
}

fn best(what: &str, mut work: impl FnMut()) {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{what:<40} median {:7.3} ms   best {:7.3} ms", times[ROUNDS / 2], times[0]);
}

fn main() {
    let names: Vec<String> = (0..SYMBOLS).map(|i| format!("S{i}")).collect();
    let domain = Arc::new(Domain::new("sym".into(), &names.iter().collect()));
    let mut state = 42u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let price = Value::from(Vector::floats((0..ROWS).map(|_| 50.0 + random() as f64 / 1e8).collect()));
    let size = Value::from(Vector::new(Type::Int, (0..ROWS).map(|_| random() as i32 % 100).collect()));
    let parted = symbols(&domain, (0..ROWS).map(|i| (i * SYMBOLS / ROWS) as i32).collect());
    let shuffled = symbols(&domain, (0..ROWS).map(|_| (random() % SYMBOLS as u64) as i32).collect());
    let all = Selection::All(ROWS);
    for (name, key) in [("parted", parted), ("shuffled", shuffled)] {
        let key = [key];
        best(&format!("{name}: by sym, avg max last"), || {
            let result = group(&key, &all).and_then(|groups| {
                let order = order_groups(&key, &groups)?;
                for f in [Function::Avg, Function::Max, Function::Last] {
                    let state = accumulate(f, &[&price], &groups, &all)?;
                    black_box(finish(f, &state, &[Some(Type::Float)])?);
                }
                Ok(order)
            });
            black_box(result.is_ok());
        });
        best(&format!("{name}: group alone"), || {
            black_box(group(&key, &all).is_ok());
        });
        if let Ok(groups) = group(&key, &all) {
            for f in [Function::Avg, Function::Max, Function::Last, Function::Var, Function::Distinct] {
                best(&format!("{name}: {f}"), || {
                    black_box(accumulate(f, &[&price], &groups, &all).is_ok());
                });
            }
            best(&format!("{name}: sum of ints"), || {
                black_box(accumulate(Function::Sum, &[&size], &groups, &all).is_ok());
            });
            best(&format!("{name}: wavg, cor"), || {
                black_box(accumulate(Function::Wavg, &[&size, &price], &groups, &all).is_ok());
                black_box(accumulate(Function::Cor, &[&size, &price], &groups, &all).is_ok());
            });
        }
        best(&format!("{name}: sym = one"), || {
            black_box(select(&key[0], Op::Eq, &Value::sym("S3"), &all).is_ok());
        });
    }
    best("price within", || {
        let bounds = Value::from(Vector::floats(vec![55.0, 60.0]));
        black_box(select(&price, Op::Within, &bounds, &all).is_ok());
    });
}
