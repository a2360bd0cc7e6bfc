//! Random conditions: as typed values, as JSON, as a flag's text, and as SQL.
//!
//! SQL works on the numbers that times are, brought to nanoseconds: it shares no clock with the kernels. A null equals
//! a null and is below everything, as in q.

use kvalue::{Atom, Type, Value, Vector, atom::Scalar, time::DAY};
use serde_json::json;

use super::{
    Random,
    rows::{COLUMNS, FIRST_DAY, value},
};

/// A literal of a condition.
#[derive(Debug, Clone)]
pub(super) struct Literal {
    typed: Value,
    json: serde_json::Value,
    text: String,
    /// `NULL` for a null
    sql: String,
}

#[derive(Debug, Clone)]
pub(super) enum Condition {
    Test { column: usize, op: &'static str, negated: bool, literals: Vec<Literal>, quote: usize },
    Any(Vec<Condition>),
    All(Vec<Condition>),
    Not(Box<Condition>),
}

/// SQL's value of a column, in nanoseconds where it is a time.
fn expression(column: usize) -> String {
    let (name, ty, _) = COLUMNS[column];
    match ty.and_then(unit) {
        // A month is its first day.
        _ if ty == Some(Type::Month) => format!(
            "(CAST(date_diff('day', DATE '2000-01-01', CAST(DATE '2000-01-01' + to_months(CAST({name} AS INTEGER)) AS DATE)) AS HUGEINT) * {DAY})"
        ),
        Some(unit) => format!("(CAST({name} AS HUGEINT) * {unit})"),
        None => name.to_string(),
    }
}

/// Nanoseconds of a time's unit.
fn unit(ty: Type) -> Option<i64> {
    Some(match ty {
        Type::Timestamp | Type::Timespan => 1,
        Type::Date => DAY,
        Type::Minute => 60_000_000_000,
        Type::Second => 1_000_000_000,
        Type::Time => 1_000_000,
        _ => return None,
    })
}

fn text_of_sql(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn literal(random: &mut Random, column: usize, op: &str) -> Literal {
    let (name, ty, nullable) = COLUMNS[column];
    if nullable && matches!(op, "=" | "<>") && random.one_in(8) {
        let typed = Value::Atom(Atom::null(ty.expect("an atom")));
        return Literal { typed, json: json!(null), text: String::new(), sql: "NULL".into() };
    }
    if let Some(finer) = ty.filter(|_| random.one_in(3)).and_then(|ty| finer(random, ty)) {
        return finer;
    }
    let typed = value(random, name, ty);
    let Value::Atom(atom) = &typed else {
        let text = typed.as_text().map(|t| String::from_utf8_lossy(&t).into_owned()).unwrap_or_default();
        return Literal { json: json!(text), sql: text_of_sql(&text), text, typed };
    };
    match atom {
        Atom::Symbol(s) => {
            let text = s.text().into_owned();
            Literal { json: json!(text), sql: text_of_sql(&text), text, typed }
        }
        Atom::Char(c) => {
            let text = char::from(*c).to_string();
            Literal { json: json!(text), sql: text_of_sql(&text), text, typed }
        }
        Atom::Guid(g) => {
            let text = sg::Corr(*g).to_string();
            Literal { json: json!(text), sql: text_of_sql(&text), text, typed }
        }
        Atom::Boolean(b) => Literal { json: json!(b), text: b.to_string(), sql: b.to_string(), typed },
        Atom::Byte(b) => Literal { json: json!(b), text: format!("{b:02x}"), sql: b.to_string(), typed },
        Atom::Real(x) => {
            let text = x.to_string();
            let shown: f64 = text.parse().expect("a number");
            Literal { json: json!(shown), sql: format!("CAST({text} AS FLOAT)"), text, typed }
        }
        Atom::Float(x) => Literal { json: json!(x), text: x.to_string(), sql: format!("{x:?}"), typed },
        atom if atom.ty().is_temporal() => time(random, atom),
        atom => {
            let Some(Scalar::Integer(Some(n))) = atom.scalar() else { panic!("{atom:?}") };
            Literal { json: json!(n), text: n.to_string(), sql: n.to_string(), typed }
        }
    }
}

/// A time in one of several equal forms.
fn time(random: &mut Random, atom: &Atom) -> Literal {
    let text = kvalue::time::text(atom);
    let iso = |text: &str| match atom.ty() {
        Type::Timestamp | Type::Date => text.replacen('.', "-", 2).replacen('D', "T", 1),
        Type::Month => text.replacen('.', "-", 1),
        _ => text.to_string(),
    };
    let shown = match (random.below(3), atom.ty()) {
        (0, _) => text.clone(),
        (1, Type::Timestamp | Type::Date) => iso(&text).replace(['-', ':'], ""),
        _ => iso(&text),
    };
    Literal {
        typed: Value::Atom(atom.clone()),
        json: json!(shown),
        sql: nanos(atom).to_string(),
        text: shown,
    }
}

/// Nanoseconds of a time, by arithmetic of this test's own.
fn nanos(atom: &Atom) -> i128 {
    let Some(Scalar::Integer(Some(n))) = atom.scalar() else { panic!("{atom:?}") };
    match unit(atom.ty()) {
        Some(unit) => i128::from(n) * i128::from(unit),
        None => {
            // Days before a month of this century, a month at a time.
            let days = |m: i64| match m.rem_euclid(12) {
                1 if (2000 + m.div_euclid(12)) % 4 == 0 => 29,
                1 => 28,
                3 | 5 | 8 | 10 => 30,
                _ => 31,
            };
            (0..n).map(days).sum::<i64>() as i128 * i128::from(DAY)
        }
    }
}

/// A literal that says more than the column's type holds.
fn finer(random: &mut Random, ty: Type) -> Option<Literal> {
    let (hour, odd) = (3_600_000_000_000, random.between(0, 3_599) * 1_000_000_000 + random.between(0, 2));
    let atom = match ty {
        Type::Date | Type::Month => {
            let day = FIRST_DAY + random.between(-40, 40);
            match random.one_in(2) && ty == Type::Month {
                true => Atom::Date(day as i32),
                false => Atom::Timestamp(day * DAY + odd),
            }
        }
        Type::Minute | Type::Second | Type::Time => match random.one_in(5) {
            true => Atom::Timespan(999 * hour),
            false => Atom::Timespan(9 * hour + odd),
        },
        Type::Short | Type::Int => {
            let x = random.between(-200_000, 200_000) as f64 / 4.0;
            return Some(Literal {
                typed: Value::from(x),
                json: json!(x),
                text: x.to_string(),
                sql: format!("{x:?}"),
            });
        }
        _ => return None,
    };
    Some(time(random, &atom))
}

impl Condition {
    pub(super) fn random(random: &mut Random, depth: usize) -> Condition {
        if depth > 0 && random.one_in(5) {
            let some = |random: &mut Random| {
                (0..random.between(1, 3)).map(|_| Condition::random(random, depth - 1)).collect()
            };
            return match random.below(3) {
                0 => Condition::Any(some(random)),
                1 => Condition::All(some(random)),
                _ => Condition::Not(Box::new(Condition::random(random, depth - 1))),
            };
        }
        let column = random.below(COLUMNS.len());
        let ops: &[&'static str] = match COLUMNS[column].1 {
            Some(Type::Boolean | Type::Guid) => &["=", "<>", "in"],
            Some(Type::Symbol) | None => &["=", "<>", "<", ">", "<=", ">=", "in", "within", "like", "like"],
            _ => &["=", "<>", "<", ">", "<=", ">=", "in", "within"],
        };
        let op = *random.pick(ops);
        let literals = match op {
            "like" => {
                let pattern = *random.pick(&["A*", "*b*", "?", "*y", "[ab]*", "*'s", "", "a?*"]);
                vec![Literal {
                    typed: Value::str(pattern),
                    json: json!(pattern),
                    text: pattern.into(),
                    sql: text_of_sql(pattern),
                }]
            }
            "in" => (0..random.between(1, 4)).map(|_| literal(random, column, op)).collect(),
            "within" => vec![literal(random, column, op), literal(random, column, op)],
            _ => vec![literal(random, column, op)],
        };
        let negated = matches!(op, "in" | "like" | "within") && random.one_in(3);
        Condition::Test { column, op, negated, literals, quote: random.below(3) }
    }

    pub(super) fn typed(&self) -> Value {
        let nested = |op: &str, all: &[Condition]| {
            Value::list(
                [Value::sym(op)].into_iter().chain(all.iter().map(Condition::typed)).collect::<Vec<_>>(),
            )
        };
        match self {
            Condition::Any(all) => nested("or", all),
            Condition::All(all) => nested("and", all),
            Condition::Not(one) => nested("not", std::slice::from_ref(one)),
            Condition::Test { column, op, negated, literals, .. } => {
                let operand = match *op {
                    "in" | "within" => listed(literals.iter().map(|l| l.typed.clone()).collect()),
                    _ => literals[0].typed.clone(),
                };
                let test = Value::list([Value::sym(op), Value::sym(COLUMNS[*column].0), operand]);
                if *negated { Value::list([Value::sym("not"), test]) } else { test }
            }
        }
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let nested = |op: &str, all: &[Condition]| {
            json!([json!(op)].into_iter().chain(all.iter().map(Condition::json)).collect::<Vec<_>>())
        };
        match self {
            Condition::Any(all) => nested("or", all),
            Condition::All(all) => nested("and", all),
            Condition::Not(one) => nested("not", std::slice::from_ref(one)),
            Condition::Test { column, op, negated, literals, .. } => {
                let operand = match *op {
                    "in" | "within" => json!(literals.iter().map(|l| l.json.clone()).collect::<Vec<_>>()),
                    _ => literals[0].json.clone(),
                };
                let test = json!([op, COLUMNS[*column].0, operand]);
                if *negated { json!(["not", test]) } else { test }
            }
        }
    }

    /// The text of `--filter`; `None` for what takes more than one flag, and for a number as a byte, whose text is hex.
    pub(super) fn flag(&self) -> Option<String> {
        let Condition::Test { column, op, negated, literals, quote } = self else { return None };
        let item = |l: &Literal| {
            let is_plain = l.text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:".contains(&b));
            match quote {
                0 if is_plain && !l.text.is_empty() => l.text.clone(),
                1 => format!("\"{}\"", l.text.replace('"', "\"\"")),
                _ => format!("'{}'", l.text.replace('\'', "''")),
            }
        };
        let items = literals.iter().map(item).collect::<Vec<_>>().join(", ");
        let value = if *quote == 1 && matches!(*op, "in" | "within") { format!("({items})") } else { items };
        let not = if *negated { "not " } else { "" };
        let op = if *op == "<>" && *quote == 2 { "!=" } else { op };
        Some(format!("{} {not}{op} {value}", COLUMNS[*column].0))
    }

    pub(super) fn sql(&self) -> String {
        let nested = |word: &str, all: &[Condition]| {
            format!("({})", all.iter().map(Condition::sql).collect::<Vec<_>>().join(word))
        };
        match self {
            Condition::Any(all) => nested(" OR ", all),
            Condition::All(all) => nested(" AND ", all),
            Condition::Not(one) => format!("(NOT {})", one.sql()),
            Condition::Test { column, op, negated, literals, .. } => {
                let e = expression(*column);
                let first = &literals[0].sql;
                let test = match *op {
                    "=" => format!("({e} IS NOT DISTINCT FROM {first})"),
                    "<>" => format!("({e} IS DISTINCT FROM {first})"),
                    "<" | "<=" => format!("({e} IS NULL OR {e} {op} {first})"),
                    "in" => {
                        let each = literals.iter().map(|l| format!("{e} IS NOT DISTINCT FROM {}", l.sql));
                        format!("({})", each.collect::<Vec<_>>().join(" OR "))
                    }
                    "within" => format!("COALESCE({e} BETWEEN {first} AND {}, false)", literals[1].sql),
                    "like" => format!("({e} GLOB {first})"),
                    _ => format!("COALESCE({e} {op} {first}, false)"),
                };
                if *negated { format!("(NOT {test})") } else { test }
            }
        }
    }
}

/// Values of one type as a vector, as q sends them; else as a list.
fn listed(values: Vec<Value>) -> Value {
    let atoms: Option<Vec<Atom>> =
        values.iter().map(|v| if let Value::Atom(a) = v { Some(a.clone()) } else { None }).collect();
    let vector = atoms.and_then(|atoms| Vector::from_atoms(atoms[0].ty(), &atoms).ok());
    vector.map_or_else(|| Value::list(values), Value::Vector)
}
