//! Random requests, and the arguments that ask for them in q's form or in JSON's.

use kvalue::{Atom, Type, Value, Vector, atom::Scalar, time::DAY};
use proptest::prelude::*;

use crate::data::{COLUMNS, instant, item};

#[derive(Debug, Clone)]
pub(crate) enum Cond {
    Test(usize, &'static str, Vec<Value>),
    And(Vec<Cond>),
    Or(Vec<Cond>),
    Not(Box<Cond>),
}

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) range: Option<(i64, i64)>,
    pub(crate) slice: Option<(i64, i64)>,
    pub(crate) filter: Vec<Cond>,
    pub(crate) group: Vec<usize>,
    pub(crate) agg: Agg,
    pub(crate) fill: Option<&'static str>,
    pub(crate) sort: bool,
    pub(crate) limit: Option<Vec<i64>>,
    /// texts for values, as JSON has it
    pub(crate) as_text: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Agg {
    All,
    Columns(Vec<usize>),
    Functions(Vec<(&'static str, usize, usize)>),
}

/// The virtual column behind the stored ones.
pub(crate) const DATE: usize = COLUMNS.len();

pub(crate) fn name(column: usize) -> &'static str {
    if column == DATE { "date" } else { COLUMNS[column].0 }
}

pub(crate) fn ty(column: usize) -> Option<Type> {
    if column == DATE { Some(Type::Date) } else { COLUMNS[column].1 }
}

pub(crate) fn test() -> impl Strategy<Value = Cond> {
    (0..=DATE).prop_flat_map(|column| {
        let value = if column == 0 { instant().boxed() } else { item(ty(column)).boxed() };
        let ops: Vec<&'static str> = match ty(column) {
            Some(Type::Symbol) => vec!["=", "<>", "<", ">", "<=", ">=", "in", "like"],
            None => vec!["=", "<>", "in", "like"],
            Some(Type::Guid) => vec!["=", "<>", "in"],
            _ => vec!["=", "<>", "<", ">", "<=", ">=", "in", "within"],
        };
        (
            prop::sample::select(ops),
            prop::collection::vec(value, 1..4),
            prop::sample::select(vec!["A*", "*b*", "?", "a??"]),
        )
            .prop_map(move |(op, mut values, pattern)| {
                match op {
                    "in" => {}
                    "like" => values = vec![Value::str(pattern)],
                    "within" => {
                        values.truncate(2);
                        values.resize(2, values[0].clone());
                    }
                    _ => values.truncate(1),
                }
                Cond::Test(column, op, values)
            })
    })
}

pub(crate) fn cond() -> impl Strategy<Value = Cond> {
    test().prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(Cond::And),
            prop::collection::vec(inner.clone(), 1..3).prop_map(Cond::Or),
            inner.prop_map(|c| Cond::Not(Box::new(c))),
        ]
    })
}

pub(crate) const MONADIC: [&str; 10] =
    ["count", "first", "last", "distinct", "min", "max", "sum", "avg", "all", "any"];

/// Aggregates that the column's type has.
pub(crate) fn function() -> impl Strategy<Value = (&'static str, usize, usize)> {
    (0..=DATE, 0..=DATE, prop::sample::select([&MONADIC[..], &["wavg", "wsum", "var", "cov"]].concat()))
        .prop_map(|(a, b, f)| {
            let weight = |c: usize| matches!(ty(c), Some(Type::Short | Type::Int));
            // Squares of wider infinities leave no digits for the reference's plain floats.
            let statistic = |c: usize| matches!(ty(c), Some(Type::Short | Type::Float));
            let ordered = |c: usize| !matches!(ty(c), None | Some(Type::Symbol | Type::Guid | Type::Char));
            let numeric = |c: usize| ty(c).is_some_and(|t| t.is_numeric()) && ty(c) != Some(Type::Real);
            match f {
                "wavg" | "wsum" if !weight(a) || !weight(b) => ("count", a, b),
                "var" | "cov" if !statistic(a) || !statistic(b) => ("count", a, b),
                "min" | "max" | "all" | "any" if !ordered(a) => ("first", a, b),
                "sum" | "avg" if !numeric(a) => ("last", a, b),
                _ => (f, a, b),
            }
        })
}

pub(crate) fn agg() -> impl Strategy<Value = Agg> {
    let columns =
        prop::collection::btree_set(0..=DATE, 1..4).prop_map(|c| Agg::Columns(c.into_iter().collect()));
    let functions = prop::collection::vec(function(), 1..5).prop_map(Agg::Functions);
    prop_oneof![1 => Just(Agg::All), 1 => columns, 3 => functions]
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    let hour = DAY / 24;
    let range = prop::option::of((-5i64..80, 0i64..60).prop_map(move |(a, n)| (a * hour, (a + n) * hour)));
    let slice = prop::option::weighted(
        0.2,
        (0i64..24, 0i64..24).prop_map(move |(a, b)| (a.min(b) * hour, a.max(b) * hour)),
    );
    let group = prop_oneof![
        2 => Just(vec![]),
        3 => prop::collection::btree_set(0..=DATE, 1..3).prop_map(|c| c.into_iter().collect()),
    ];
    let limit = prop_oneof![
        2 => Just(None),
        1 => (-12i64..13).prop_map(|n| Some(vec![n])),
        1 => (0i64..5, 0i64..9).prop_map(|(a, b)| Some(vec![a, b])),
    ];
    let fill = prop::option::weighted(0.3, prop::sample::select(vec!["zero", "forward"]));
    (
        range,
        slice,
        prop::collection::vec(cond(), 0..3),
        group,
        agg(),
        fill,
        any::<bool>(),
        limit,
        any::<bool>(),
    )
        .prop_map(|(range, slice, filter, group, agg, fill, sort, limit, as_text)| Request {
            range,
            slice,
            filter,
            group,
            agg,
            fill,
            sort,
            limit,
            as_text,
        })
}

pub(crate) fn operand(request: &Request, op: &str, values: &[Value]) -> Value {
    let send = |v: &Value| match v {
        Value::Atom(a) if request.as_text => text(a).map_or_else(|| v.clone(), Value::str),
        other => other.clone(),
    };
    match op {
        "in" | "within" => match values {
            // Atoms of one type arrive as a vector, unless they are texts.
            all if !request.as_text && matches!(all[0], Value::Atom(_)) => {
                let atoms: Vec<Atom> = all
                    .iter()
                    .filter_map(|v| if let Value::Atom(a) = v { Some(a.clone()) } else { None })
                    .collect();
                Value::Vector(Vector::from_atoms(atoms[0].ty(), &atoms).unwrap())
            }
            all => Value::list(all.iter().map(send).collect::<Vec<_>>()),
        },
        _ => send(&values[0]),
    }
}

/// What JSON would carry, where that is a text that reads back as the same atom.
pub(crate) fn text(a: &Atom) -> Option<String> {
    match a {
        Atom::Symbol(s) => Some(s.text().into_owned()),
        Atom::Char(c) => Some(char::from(*c).to_string()),
        Atom::Guid(_) => None,
        Atom::Byte(b) => Some(format!("{b:02x}")),
        _ if a.is_null() || a.ty() == Type::Datetime => None,
        _ if a.ty().is_temporal() => Some(kvalue::time::text(a)),
        _ => match a.scalar()? {
            Scalar::Integer(Some(n)) if a.ty() != Type::Boolean && n.abs() < 1000 => Some(n.to_string()),
            _ => None,
        },
    }
}

pub(crate) fn cond_value(request: &Request, cond: &Cond) -> Value {
    let word = |w: &str| if request.as_text { Value::str(w) } else { Value::sym(w) };
    let nested = |op: &str, all: &[Cond]| {
        let items = [word(op)].into_iter().chain(all.iter().map(|c| cond_value(request, c)));
        Value::list(items.collect::<Vec<_>>())
    };
    match cond {
        Cond::Test(column, op, values) => {
            Value::list(vec![word(op), word(name(*column)), operand(request, op, values)])
        }
        Cond::And(all) => nested("and", all),
        Cond::Or(all) => nested("or", all),
        Cond::Not(one) => nested("not", std::slice::from_ref(one)),
    }
}

pub(crate) fn names(columns: &[usize]) -> Value {
    Value::syms(columns.iter().map(|c| name(*c)))
}

pub(crate) fn sort_column(request: &Request) -> String {
    result_names(request).last().cloned().unwrap_or_default()
}

pub(crate) fn arguments(request: &Request) -> Vec<(&'static str, Value)> {
    let timestamp = |t: i64| Value::Atom(Atom::Timestamp(t));
    let mut args = vec![("table", Value::sym("t"))];
    if let Some((from, to)) = request.range {
        args.push(("startTS", timestamp(from)));
        args.push(("endTS", timestamp(to)));
    }
    if let Some((from, to)) = request.slice {
        args.push(("temporality", Value::sym("slice")));
        args.push(("slice", Value::Vector(Vector::new(Type::Timespan, vec![from, to]))));
    }
    if !request.filter.is_empty() {
        let all = request.filter.iter().map(|c| cond_value(request, c));
        args.push(("filter", Value::list(all.collect::<Vec<_>>())));
    }
    if !request.group.is_empty() {
        args.push(("groupBy", names(&request.group)));
    }
    match &request.agg {
        Agg::All => {}
        Agg::Columns(columns) => args.push(("agg", names(columns))),
        Agg::Functions(functions) => {
            let entries = functions.iter().enumerate().map(|(i, (f, a, b))| {
                let mut entry = vec![format!("a{i}"), f.to_string(), name(*a).into()];
                if ["wavg", "wsum", "cov"].contains(f) {
                    entry.push(name(*b).into());
                }
                Value::syms(entry)
            });
            args.push(("agg", Value::list(entries.collect::<Vec<_>>())));
        }
    }
    if let Some(fill) = request.fill {
        args.push(("fill", Value::sym(fill)));
    }
    if request.sort {
        args.push(("sortCols", Value::sym(sort_column(request))));
    }
    if let Some(limit) = &request.limit {
        let limit = match limit[..] {
            [n] => Value::from(n),
            _ => Value::Vector(Vector::longs(limit.clone())),
        };
        args.push(("limit", limit));
    }
    args
}

/// Names of the result's columns in order.
pub(crate) fn result_names(request: &Request) -> Vec<String> {
    let keys: Vec<String> = request.group.iter().map(|c| name(*c).to_string()).collect();
    let made: Vec<String> = match &request.agg {
        Agg::All => COLUMNS.iter().map(|c| c.0.to_string()).collect(),
        Agg::Columns(columns) => columns.iter().map(|c| name(*c).to_string()).collect(),
        Agg::Functions(f) => (0..f.len()).map(|i| format!("a{i}")).collect(),
    };
    let rest: Vec<String> = made.into_iter().filter(|n| !keys.contains(n)).collect();
    [keys, rest].concat()
}
