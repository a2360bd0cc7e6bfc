//! agg in its three forms: columns, renamed columns, functions.
//!
//! `["sym","bid"]`; `[["Symbol","sym"]]`; `[["h","max","bid"]]`, with two columns for the dyadic functions:
//! `["vwap","wavg","size","price"]` or `["vwap","wavg",["size","price"]]`.

use kernels::aggregate::Function;
use kvalue::{Sym, Type, Value};
use sg::Failure;

use crate::{
    display,
    q_functions::{Word, word},
    query::{Agg, Aggregate},
};

const FORMS: &str =
    "a list of columns, of pairs (new;column), or of aggregates (new;function;column), all of one form";
/// Most columns of one request.
const MAX_COLUMNS: usize = 4096;

pub(super) fn parse(value: &Value) -> Result<Agg, Failure> {
    let wrong = || Failure::arg(format!("agg must be {FORMS}, got {}", display::value(value)));
    if let Some(names) = value.as_names() {
        let columns: Vec<(Sym, Sym)> = names.into_iter().map(|n| (n.clone(), n)).collect();
        check(columns.iter().map(|c| &c.0))?;
        return Ok(Agg::Columns(columns));
    }
    let Value::List(list) = value else { return Err(wrong()) };
    let entries: Option<Vec<Vec<Value>>> = list.items().iter().map(parts).collect();
    let entries = entries.ok_or_else(wrong)?;
    if entries.iter().all(|e| e.len() == 2) {
        let columns = entries.iter().map(|e| Ok((name(&e[0])?, name(&e[1])?)));
        let columns = columns.collect::<Result<Vec<(Sym, Sym)>, Failure>>()?;
        check(columns.iter().map(|c| &c.0))?;
        return Ok(Agg::Columns(columns));
    }
    if let Some(odd) = entries.iter().find(|e| !(3..=4).contains(&e.len())) {
        return Err(Failure::arg(format!("agg has an entry of {} parts: it must be {FORMS}", odd.len())));
    }
    let functions = entries.iter().map(|e| aggregate(e)).collect::<Result<Vec<_>, _>>()?;
    check(functions.iter().map(|f| &f.name))?;
    Ok(Agg::Functions(functions))
}

fn aggregate(entry: &[Value]) -> Result<Aggregate, Failure> {
    let new = name(&entry[0])?;
    let function = match word(&entry[1]) {
        Some(Word::Name(function)) => function.text().parse::<Function>().map_err(|_| {
            let known = Function::EVERY.map(Function::name).join(" ");
            Failure::arg(format!("`{function}` for `{new}` in agg is no known function: use one of {known}"))
        })?,
        Some(Word::Unknown) => {
            let known = Function::EVERY.map(Function::name).join(" ");
            return Err(Failure::arg(format!(
                "the function for `{new}` in agg is not recognised: send its name as a symbol, one of {known}"
            )));
        }
        None => {
            return Err(Failure::arg(format!(
                "agg has {} where the function for `{new}` is expected",
                display::value(&entry[1])
            )));
        }
    };
    let columns: Vec<Sym> = match &entry[2..] {
        [one] => one.as_names().ok_or_else(|| not_a_name(one))?,
        several => several.iter().map(name).collect::<Result<_, _>>()?,
    };
    if columns.len() != function.rank() {
        return Err(Failure::arg(format!(
            "{function} for `{new}` in agg takes {}, got {}: write (new;{function};{})",
            if function.is_dyadic() { "two columns" } else { "one column" },
            columns.len(),
            if function.is_dyadic() { "left;right" } else { "column" },
        )));
    }
    Ok(Aggregate { name: new, function, columns })
}

fn parts(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::List(l) => Some(l.items().to_vec()),
        Value::Vector(v) if v.ty() == Type::Symbol => Some(v.iter().map(Value::Atom).collect()),
        _ => None,
    }
}

fn name(value: &Value) -> Result<Sym, Failure> {
    value.as_name().filter(|n| !n.is_null()).ok_or_else(|| not_a_name(value))
}

fn not_a_name(value: &Value) -> Failure {
    Failure::arg(format!("agg has {} where a column's name is expected", display::value(value)))
}

/// No name twice, no empty one, not too many.
fn check<'a>(names: impl Iterator<Item = &'a Sym>) -> Result<(), Failure> {
    let mut seen: std::collections::HashSet<&Sym> = std::collections::HashSet::new();
    for name in names {
        if name.is_null() {
            return Err(Failure::arg("agg has an empty column name: leave it out"));
        }
        if seen.len() == MAX_COLUMNS {
            return Err(Failure::arg(format!("agg has more than {MAX_COLUMNS} columns")));
        }
        if !seen.insert(name) {
            return Err(Failure::arg(format!("agg makes the column `{name}` twice: name each once")));
        }
    }
    Ok(())
}
