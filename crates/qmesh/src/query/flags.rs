//! The small texts of the `query` flags: `--agg`, `--filter`, `--label`, and the arguments they make.
//!
//! | flag | means |
//! | --- | --- |
//! | `--agg price` | the column `price` |
//! | `--agg p=price` | the column `price`, called `p` |
//! | `--agg 'avg(price)'` | its average, called `avg_price` |
//! | `--agg 'vwap=wavg(size,price)'` | a function of two columns, called `vwap` |
//! | `--filter 'price > 100'` | rows where the condition holds; repeat for several |
//! | `--filter 'sym in AAPL,IBM'` | `in` and `within` take a comma list |

use kvalue::{Dict, Value};

/// A flag's text that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{flag} `{text}`: {expected}")]
pub(super) struct FlagError {
    flag: &'static str,
    text: String,
    expected: &'static str,
}

fn wrong(flag: &'static str, text: &str, expected: &'static str) -> FlagError {
    FlagError { flag, text: text.into(), expected }
}

/// Splits at commas that are not inside parentheses or quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut quoted, mut start) = (Vec::new(), 0i32, false, 0);
    for (i, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            ',' if depth == 0 && !quoted => {
                parts.push(text[start..i].trim());
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts.retain(|p| !p.is_empty());
    parts
}

/// The `agg` argument of a list of columns and functions.
pub(super) fn agg(text: &str) -> Result<Value, FlagError> {
    const EXPECTED: &str = "expected column, name=column, function(column) or name=function(column,column)";
    let mut items = Vec::new();
    for part in split(text) {
        let (name, body) = match part.split_once('=') {
            Some((name, body)) => (Some(name.trim()), body.trim()),
            None => (None, part),
        };
        let item = match body.split_once('(') {
            None => vec![name.unwrap_or(body).to_string(), body.to_string()],
            Some((function, rest)) => {
                let columns = rest.strip_suffix(')').ok_or_else(|| wrong("--agg", part, EXPECTED))?;
                let columns: Vec<&str> = columns.split(',').map(str::trim).collect();
                if columns.iter().any(|c| c.is_empty()) || columns.len() > 2 {
                    return Err(wrong("--agg", part, EXPECTED));
                }
                let made_up = || format!("{}_{}", function.trim(), columns.join("_"));
                let name = name.map_or_else(made_up, String::from);
                [name, function.trim().to_string()]
                    .into_iter()
                    .chain(columns.into_iter().map(String::from))
                    .collect()
            }
        };
        if item.iter().any(String::is_empty) {
            return Err(wrong("--agg", part, EXPECTED));
        }
        items.push(Value::syms(item));
    }
    if items.is_empty() {
        return Err(wrong("--agg", text, EXPECTED));
    }
    Ok(Value::list(items))
}

/// One condition of the `filter` argument; the gateway casts the value to the column's type.
pub(super) fn filter(text: &str) -> Result<Value, FlagError> {
    const EXPECTED: &str = "expected COLUMN OP VALUE with = <> < > <= >= in like or within";
    const SIGNS: [&str; 6] = ["<>", "<=", ">=", "=", "<", ">"];
    const WORDS: [&str; 3] = ["in", "like", "within"];
    let text = text.trim();
    let mut words = text.splitn(3, char::is_whitespace);
    let found = match (words.next(), words.next(), words.next()) {
        (Some(column), Some(op), Some(value)) if WORDS.contains(&op) || SIGNS.contains(&op) => {
            Some((column, op, value))
        }
        _ => text.find(['<', '>', '=']).and_then(|at| {
            let op = SIGNS.into_iter().find(|s| text[at..].starts_with(s))?;
            Some((&text[..at], op, &text[at + op.len()..]))
        }),
    };
    let (column, op, value) = found.ok_or_else(|| wrong("--filter", text, EXPECTED))?;
    let (column, value) = (column.trim(), value.trim());
    if column.is_empty() || value.is_empty() {
        return Err(wrong("--filter", text, EXPECTED));
    }
    let unquoted = |v: &str| v.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(v).to_string();
    let value = match op {
        "in" | "within" => {
            Value::list(split(value).into_iter().map(|v| Value::str(unquoted(v))).collect::<Vec<_>>())
        }
        _ => Value::str(unquoted(value)),
    };
    Ok(Value::list([Value::str(op), Value::sym(column), value]))
}

/// The `labels` argument: key=value, a key given twice wants either value.
pub(super) fn labels(flags: &[String]) -> Result<Value, FlagError> {
    let mut wanted: Vec<(&str, Vec<&str>)> = Vec::new();
    for text in flags {
        let parts = text.split_once('=').map(|(k, v)| (k.trim(), v.trim()));
        match parts {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                match wanted.iter_mut().find(|(k, _)| *k == key) {
                    Some((_, values)) => values.push(value),
                    None => wanted.push((key, vec![value])),
                }
            }
            _ => return Err(wrong("--label", text, "expected key=value")),
        }
    }
    Ok(Dict::of(wanted.into_iter().map(|(k, v)| (k, Value::syms(v)))).into())
}

/// A comma list of names.
pub(super) fn names(text: &str) -> Value {
    Value::syms(split(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aggregations_of_every_form() {
        assert_eq!(
            agg("price, p=price, avg(price), vwap=wavg(size,price)").unwrap(),
            Value::list([
                Value::syms(["price", "price"]),
                Value::syms(["p", "price"]),
                Value::syms(["avg_price", "avg", "price"]),
                Value::syms(["vwap", "wavg", "size", "price"]),
            ])
        );
        for bad in ["", "avg(price", "x=", "f(a,b,c)", "f()"] {
            assert!(agg(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn filters_of_every_form() {
        let is = |text: &str, op: &str, column: &str, value: Value| {
            assert_eq!(
                filter(text).unwrap(),
                Value::list([Value::str(op), Value::sym(column), value]),
                "{text}"
            );
        };
        is("price > 100", ">", "price", Value::str("100"));
        is("price>=100", ">=", "price", Value::str("100"));
        is("sym in AAPL, IBM", "in", "sym", Value::list([Value::str("AAPL"), Value::str("IBM")]));
        is("name like \"a b*\"", "like", "name", Value::str("a b*"));
        for bad in ["price", "price >", "> 3", ""] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_label_given_twice_wants_either() {
        let flags = ["region=amer".to_string(), "region=emea".to_string()];
        let Value::Dict(d) = labels(&flags).unwrap() else { panic!("no dictionary") };
        assert_eq!(d.get("region"), Some(Value::syms(["amer", "emea"])));
        assert!(labels(&["region".into()]).is_err());
    }
}
