//! Nothing is chosen in silence: what is misspelt, or given twice, is refused by name, wherever it stands.

use kvalue::{Dict, Value};
use proptest::prelude::*;
use qipc::{Limits, Raw};
use sg::{
    args::{self, RoutingArgs},
    opts::{KNOWN, Opts},
};

/// A slip of the fingers: a letter left out, doubled, exchanged with the next, or in the other case.
fn slip(name: &str, at: usize, kind: usize) -> String {
    let mut letters: Vec<char> = name.chars().collect();
    let at = at % letters.len();
    match kind {
        0 if letters.len() > 3 => _ = letters.remove(at),
        1 => letters.insert(at, letters[at]),
        2 if at + 1 < letters.len() => letters.swap(at, at + 1),
        _ => {
            let c = letters[at];
            letters[at] = if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        }
    }
    letters.into_iter().collect()
}

fn opts(pairs: &[(&str, Value)]) -> Result<Opts, String> {
    let dict: Value = Dict::of(pairs.iter().cloned()).into();
    Opts::parse(&Raw::of(&dict).0, &Limits::client()).map_err(|e| e.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_slip_is_refused_and_what_was_meant_is_named(which in 0usize..100, at in 0usize..20, kind in 0usize..4) {
        let option = KNOWN[which % KNOWN.len()];
        let name = slip(option, at, kind);
        let read = opts(&[("appId", Value::from(1i64)), (&name, Value::Null)]);
        if KNOWN.contains(&&*name) {
            prop_assert!(read.is_ok(), "{}", name);
        } else {
            let why = read.expect_err(&name);
            prop_assert!(why.contains(&format!("`{name}` is no option, `{option}` is")), "{}", why);
        }
        let argument = args::NAMES[which % args::NAMES.len()];
        let name = slip(argument, at, kind);
        let given = Raw::of(&Dict::of([(&*name, Value::sym("x"))]).into());
        let read = args::only(sg::api::PING, &given, &args::NAMES, &|_| false);
        if args::NAMES.contains(&&*name) {
            prop_assert!(read.is_ok(), "{}", name);
        } else {
            let why = read.expect_err(&name).ai;
            prop_assert!(why.contains(&format!("did you mean {argument}?")), "{}", why);
        }
    }

    #[test]
    fn what_is_given_twice_is_refused(first in 0usize..6, second in 0usize..6, place in 0usize..4) {
        let names = ["assembly", "tier", "dap"];
        let (a, b) = (names[first % 3], names[second % 3]);
        let dict = |x: &str, y: &str| Value::from(Dict::of([(x, Value::sym("v")), (y, Value::sym("w"))]));
        let read = |pairs: Vec<(&str, Value)>| {
            RoutingArgs::parse(&args::encode(pairs), &|name| name == names[0]).map(|_| ()).map_err(|f| f.ai)
        };
        let (got, same) = match place {
            0 => (read(vec![("scope", dict(a, b))]), a == b),
            1 => (read(vec![("labels", dict(a, b))]), a == b),
            // The old style beside the new.
            2 => (read(vec![(names[0], Value::sym("v")), ("labels", dict(a, "region"))]), a == names[0]),
            _ => {
                let (x, y) = (args::NAMES[first], args::NAMES[second]);
                (read(vec![(x, Value::Null), (y, Value::Null)]), x == y)
            }
        };
        prop_assert_eq!(got.is_err(), same, "{} {} {}: {:?}", place, first, second, got);
        if let Err(why) = got {
            prop_assert!(why.contains("is given twice"), "{}", why);
        }
        let (x, y) = (format!("app{first}"), format!("app{second}"));
        let given = opts(&[(&x, Value::from(1i64)), (&y, Value::from(2i64))]);
        prop_assert_eq!(given.is_err(), first == second);
    }
}
