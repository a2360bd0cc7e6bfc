//! Aggregates by group against the aggregate of each group's rows; windows against windows cut out.

use crate::{
    R,
    ctx::Ctx,
    host::Closed,
    ops::{
        aggregate::{grouped, moving, pairs, running, whole},
        arith,
    },
    session::Session,
    value::{Value, order::same},
};

fn close(a: &Value, b: &Value) -> bool {
    match (a.as_number(), b.as_number()) {
        (Some(x), Some(y)) => {
            a.number() == b.number() && (same(x, y) || (x - y).abs() <= 1e-9 * x.abs().max(1.0))
        }
        _ => {
            a.number() == b.number()
                && a.count() == b.count()
                && !a.is_atom()
                && (0..a.count()).all(|i| close(&a.at(i), &b.at(i)))
        }
    }
}

fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed >> 8
}

fn columns(seed: &mut u64, n: usize) -> Vec<Value> {
    let mut longs = Vec::new();
    let mut floats = Vec::new();
    let mut ints = Vec::new();
    let mut bools = Vec::new();
    for _ in 0..n {
        let x = next(seed);
        longs.push(if x.is_multiple_of(7) { i64::MIN } else { (x % 1000) as i64 - 500 });
        floats.push(if x.is_multiple_of(5) { f64::NAN } else { (x % 100) as f64 / 8.0 });
        ints.push(Value::Date((x % 100) as i32));
        bools.push(x.is_multiple_of(3));
    }
    vec![Value::longs(longs), Value::floats(floats), Value::from_items(ints), Value::bools(bools)]
}

fn numeric(v: &Value) -> bool {
    v.number() < 10
}

type Monad = fn(&mut dyn Ctx, Value) -> R;
type Dyad = fn(&mut dyn Ctx, Value, Value) -> R;

#[test]
fn groups_give_what_their_rows_give() {
    let mut session = Session::new(Box::new(Closed::default()));
    let ctx = session.ctx();
    let mut seed = std::process::id() as u64 * 7919 + 1;
    let start = seed;
    let (n, groups) = (200usize, 7usize);
    let ids: Vec<u32> = (0..n).map(|_| (next(&mut seed) % groups as u64) as u32).collect();
    let rows = |g: usize| (0..n as u32).filter(|r| ids[*r as usize] as usize == g).collect::<Vec<u32>>();
    let columns = columns(&mut seed, n);
    let ones: [(&str, Monad); 12] = [
        ("sum", whole::sum),
        ("avg", whole::avg),
        ("min", whole::min),
        ("max", whole::max),
        ("all", whole::all),
        ("any", whole::any),
        ("var", whole::var),
        ("svar", whole::svar),
        ("dev", whole::dev),
        ("sdev", whole::sdev),
        ("med", whole::med),
        ("sum", whole::sum),
    ];
    for c in &columns {
        for (name, f) in ones {
            let got = grouped(name, &[c], &ids, groups).unwrap().unwrap();
            for g in 0..groups {
                let wanted = f(ctx, c.gather(&rows(g))).unwrap();
                assert!(close(&got.at(g), &wanted), "seed {start}: {name} {c:?} {g}: {got:?} {wanted:?}");
            }
        }
        for d in &columns {
            if !numeric(c) || !numeric(d) {
                continue;
            }
            let twos: [(&str, Dyad); 4] =
                [("cov", pairs::cov), ("scov", pairs::scov), ("cor", pairs::cor), ("wavg", pairs::wavg)];
            for (name, f) in twos {
                let got = grouped(name, &[c, d], &ids, groups).unwrap().unwrap();
                for g in 0..groups {
                    let wanted = f(ctx, c.gather(&rows(g)), d.gather(&rows(g))).unwrap();
                    assert!(close(&got.at(g), &wanted), "seed {start}: {name} {g}: {got:?} {wanted:?}");
                }
            }
        }
    }
}

/// The least item, null below all.
fn least(ctx: &mut dyn Ctx, x: Value) -> R {
    let mut out = x.at(0);
    for i in 1..x.count() {
        out = arith::lesser(ctx, out, x.at(i))?;
    }
    Ok(out)
}

#[test]
fn windows_give_what_their_items_give() {
    let mut session = Session::new(Box::new(Closed::default()));
    let ctx = session.ctx();
    let mut seed = std::process::id() as u64 * 104_729 + 1;
    let start = seed;
    let moving: [(&str, Dyad, Monad); 4] = [
        ("mavg", moving::mavg, whole::avg),
        ("mdev", moving::mdev, whole::dev),
        ("mmin", moving::mmin, least),
        ("mmax", moving::mmax, whole::max),
    ];
    for c in &columns(&mut seed, 40)[..2] {
        for width in [1i64, 2, 5, 39, 40, 100] {
            for (name, f, of) in moving {
                let got = f(ctx, Value::Long(width), c.clone()).unwrap();
                for i in 0..40usize {
                    let from = (i + 1).saturating_sub(width as usize);
                    let wanted = of(ctx, c.slice(from, i + 1 - from)).unwrap();
                    let got = got.at(i);
                    assert!(
                        close(&got, &wanted),
                        "seed {start}: {width} {name} {c:?} at {i}: {got:?} {wanted:?}"
                    );
                }
            }
        }
        let got = running::sums(ctx, c.clone()).unwrap();
        for i in 0..40usize {
            assert!(close(&got.at(i), &whole::sum(ctx, c.slice(0, i + 1)).unwrap()), "seed {start}");
        }
    }
}
