//! Lists against the simplest code that does the same, on random values.

use crate::{
    session::Session,
    value::{Finder, Groups, Sym, Value, order, sort_rows, sorted},
};

/// A small generator: tests are the same every time.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    fn long(&mut self, spread: u64) -> i64 {
        match self.next(20) {
            0 => i64::MIN,
            _ if spread == 0 => self.next(u64::MAX) as i64,
            _ => self.next(spread) as i64 - (spread / 2) as i64,
        }
    }

    fn atom(&mut self) -> Value {
        match self.next(6) {
            0 => Value::Bool(self.next(2) == 0),
            1 => Value::Long(self.next(3) as i64),
            2 => Value::Float([0.0, -0.0, f64::NAN, 1.5][self.next(4) as usize]),
            3 => Value::sym(["a", "b", ""][self.next(3) as usize]),
            4 => Value::Char(b'a' + self.next(3) as u8),
            _ => Value::Date(self.next(3) as i32),
        }
    }

    /// A list of one kind: what vectors are made of, or a general list.
    fn list(&mut self, n: usize) -> Value {
        match self.next(6) {
            0 => Value::longs((0..n).map(|_| self.long(10)).collect()),
            1 => Value::longs((0..n).map(|_| self.long(0)).collect()),
            2 => Value::floats(
                (0..n).map(|_| [0.0, -0.0, f64::NAN, -1e300, 1e-9, 7.0][self.next(6) as usize]).collect(),
            ),
            3 => Value::syms((0..n).map(|_| Sym::new(["x", "", "ab", "a"][self.next(4) as usize])).collect()),
            4 => Value::from_items((0..n).map(|_| Value::Int(self.next(5) as i32 - 2)).collect()),
            _ => Value::list(
                (0..n)
                    .map(|_| if self.next(3) == 0 { Value::longs(vec![self.long(3)]) } else { self.atom() })
                    .collect(),
            ),
        }
    }
}

fn positions(x: &Value, y: &Value) -> i64 {
    let n = x.count();
    (0..n).find(|&i| order::identical(&x.at(i), y)).unwrap_or(n) as i64
}

#[test]
fn items_are_found_and_grouped_as_by_looking_at_each() {
    let mut dice = Dice(88172645463325252);
    for _ in 0..300 {
        let n = dice.next(60) as usize;
        let x = dice.list(n);
        let finder = Finder::new(&x);
        for i in 0..n {
            let item = x.at(i);
            assert_eq!(finder.find_item(&item), positions(&x, &item), "{item:?} in {x:?}");
        }
        let groups = Groups::of_column(&x);
        for i in 0..n {
            let first = positions(&x, &x.at(i)) as u32;
            assert_eq!(groups.firsts[groups.ids[i] as usize], first, "{x:?}");
        }
        assert!(groups.firsts.is_sorted());
    }
}

#[test]
fn equal_values_have_equal_hashes_and_one_order() {
    let mut dice = Dice(2463534242);
    let items: Vec<Value> = (0..120)
        .map(|_| {
            let n = dice.next(4) as usize;
            if dice.next(2) == 0 { dice.atom() } else { dice.list(n) }
        })
        .collect();
    for a in &items {
        for b in &items {
            if order::identical(a, b) {
                assert_eq!(order::hash(a), order::hash(b), "{a:?} {b:?}");
                assert!(order::matches(a, b) && order::compare(a, b).is_eq(), "{a:?} {b:?}");
            }
            assert_eq!(order::compare(a, b), order::compare(b, a).reverse(), "{a:?} {b:?}");
        }
    }
}

#[test]
fn radix_sorts_are_stable_and_agree_with_comparing() {
    let mut dice = Dice(123456789);
    for size in [0usize, 1, 5, 1500, 5000] {
        for spread in [3, 200, 70_000, 1 << 30, 1 << 40, 0] {
            let x: Vec<i64> = (0..size).map(|_| dice.long(spread)).collect();
            let v = Value::longs(x.clone());
            for down in [false, true] {
                let mut want: Vec<u32> = (0..size as u32).collect();
                want.sort_by(|a, b| {
                    let o = x[*a as usize].cmp(&x[*b as usize]);
                    if down { o.reverse() } else { o }
                });
                assert_eq!(sort_rows(&[(&v, down)], size), want, "{size} of {spread}");
                let Value::Vector(v) = &v else { panic!("longs are a vector") };
                let ordered = sorted(v, down).map(|s| Value::Vector(s.into())).unwrap_or(Value::Nil);
                assert!(order::identical(&ordered, &Value::Vector(v.clone()).gather(&want)));
            }
            // two columns, the first with many equals
            let few = Value::longs((0..size).map(|_| dice.long(4)).collect());
            let rows = sort_rows(&[(&few, true), (&v, false)], size);
            let mut want: Vec<u32> = (0..size as u32).collect();
            want.sort_by(|a, b| {
                order::compare(&few.at(*b as usize), &few.at(*a as usize))
                    .then(x[*a as usize].cmp(&x[*b as usize]))
            });
            assert_eq!(rows, want);
        }
    }
}

#[test]
fn many_different_keys_are_classed_as_few_are() {
    let mut dice = Dice(777);
    let pool: Vec<i64> = (0..200_000).map(|_| dice.long(0)).collect();
    let x: Vec<i64> = (0..400_000).map(|_| pool[dice.next(pool.len() as u64) as usize]).collect();
    let mut seen = std::collections::HashMap::new();
    let (mut ids, mut firsts) = (Vec::new(), Vec::new());
    for (i, k) in x.iter().enumerate() {
        ids.push(*seen.entry(*k).or_insert_with(|| {
            firsts.push(i as u32);
            firsts.len() as u32 - 1
        }));
    }
    let v = Value::longs(x);
    let groups = Groups::of_column(&v);
    assert!(groups.ids == ids && groups.firsts == firsts);
    assert_eq!(crate::value::firsts(&v), firsts);
}

#[test]
fn bin_finds_what_halving_finds() {
    let mut dice = Dice(4242);
    for n in [0, 1, 2, 7, 100] {
        let mut x: Vec<i64> = (0..n).map(|_| dice.long(40)).collect();
        x.sort_unstable();
        let mut y: Vec<i64> = (0..50).map(|_| dice.long(50)).collect();
        for _ in 0..2 {
            let mut session = Session::new(Box::new(crate::host::Closed::default()));
            for (name, list) in [("x", &x), ("y", &y)] {
                assert!(session.set(name, Value::longs(list.clone())).is_ok());
            }
            let last: Vec<i64> = y.iter().map(|k| x.partition_point(|a| a <= k) as i64 - 1).collect();
            let first: Vec<i64> = y.iter().map(|k| x.partition_point(|a| a < k) as i64).collect();
            assert!(order::matches(&session.run("x bin y").unwrap_or(Value::Nil), &Value::longs(last)));
            assert!(order::matches(&session.run("x binr y").unwrap_or(Value::Nil), &Value::longs(first)));
            y.sort_unstable();
        }
    }
}

/// What the console shows for each input.
fn shown(inputs: &[&str]) -> Vec<String> {
    let mut session = Session::new(Box::new(crate::host::Closed::default()));
    let show = |s: &mut Session, text: &str| match s.console(text) {
        Ok(out) => out.trim_end().to_string(),
        Err(e) => format!("'{}", e.text()),
    };
    inputs.iter().map(|text| show(&mut session, text)).collect()
}

fn check(cases: &[(&str, &str)]) {
    let inputs: Vec<&str> = cases.iter().map(|c| c.0).collect();
    for ((text, want), got) in cases.iter().zip(shown(&inputs)) {
        assert_eq!(got, *want, "{text}");
    }
}

#[test]
fn take_drop_and_cut_shape_lists() {
    check(&[
        ("5#`a`b", "`a`b`a`b`a"),
        ("-5#1 2 3", "2 3 1 2 3"),
        ("3#0#0", "0N 0N 0N"),
        ("2 3#til 6", "0 1 2\n3 4 5"),
        ("count each 4 0N#til 9", "2 2 2 3"),
        ("count each 0N 4#til 9", "4 4 1"),
        ("1 0 2#til 4", "'domain"),
        ("2 4 4 9_til 10", "2 3\n`long$()\n4 5 6 7 8\n,9"),
        ("3 1_til 10", "'domain"),
        ("(til 5)_2", "0 1 3 4"),
        ("`a _ ([]a:1 2)", "'type"),
        ("(`a`b!1 2)_`a", "b| 2"),
        ("1 2 sublist 2 3 5 7", "3 5"),
        ("-2 rotate til 5", "3 4 0 1 2"),
        ("`s#3 2 1", "'s-fail"),
        ("`u#1 1", "'u-fail"),
        ("`p#2 2 1 1", "`p#2 2 1 1"),
    ]);
}

#[test]
fn joins_collapse_and_upsert() {
    check(&[
        ("1 2,3", "1 2 3"),
        ("type 1 2,3f", "0h"),
        ("(0#0),1.5", ",1.5"),
        ("(`a`b!1 2),`b`c!3 4", "a| 1\nb| 3\nc| 4"),
        ("([]a:1 2),([]b:1 2)", "'mismatch"),
        ("count ([]a:1 2),(enlist`a)!enlist 3", "3"),
        ("exec v from ([k:`a`b]v:1 2),([k:`b`c]v:5 6)", "1 5 6"),
        ("raze(1 2;3;4 5)", "1 2 3 4 5"),
        ("1 2 3 3 6 union 2 4 6 8", "1 2 3 6 4 8"),
    ]);
}

#[test]
fn amends_change_what_they_name_and_check_types() {
    check(&[
        ("v:1 2 3", ""),
        ("v[0 2]:10 30", ""),
        ("v", "10 2 30"),
        ("v[1]:2.5", "'type"),
        ("v[3]:1", "'length"),
        ("@[`v;0 0;+;5]", "`v"),
        ("v", "20 2 30"),
        ("m:(1 2 3;4 5 6)", ""),
        ("m[;1]:0", ""),
        ("m", "1 0 3\n4 0 6"),
        (".[m;(0;0 2);neg]", "-1 0 -3\n4  0 6"),
        ("d:`a`b!1 2", ""),
        ("d[`b`c`c]:7 8 9", ""),
        ("d", "a| 1\nb| 7\nc| 9"),
        ("t:([]a:1 2;b:`x`y)", ""),
        ("t[1;`a]:5", ""),
        ("t[`b]:`p`q", ""),
        ("t[0]:`a`b!(9;`z)", ""),
        ("t", "a b\n---\n9 z\n5 q"),
        ("k:([s:`a`b]v:1 2)", ""),
        ("k[`c;`v]:3", ""),
        ("exec v from k", "1 2 3"),
        ("w:(1;`a;\"c\")", ""),
        ("w[1 2]:2 3", ""),
        ("w", "1 2 3"),
    ]);
}

#[test]
fn searching_follows_the_depth_of_the_list() {
    check(&[
        ("(1 2;3 4)?3 4", "1"),
        ("(1 2;3 4)?(3 4;1 2)", "1 0"),
        ("1 2 in (9;(1 2;3 4))", "00b"),
        ("1 2 in (1 2;9)", "1b"),
        ("3 in (1 2;3)", "0b"),
        ("(1 2;3 4) in ((1 2;3 4);9)", "1b"),
        ("1 2. in 2", "01b"),
        ("1 2. in 2#2", "'type"),
        ("1 2 3?`a", "'type"),
        ("([]a:1 2;b:`x`y)?(2;`y)", "1"),
        ("(`s#0 10 20!`a`b`c)5 15 25 -1", "`a`b`c`"),
        ("0 1 1 2 binr 0 1 2", "0 1 3"),
        ("iasc `b`a`c!2 3 1", "`c`b`a"),
    ]);
}
