//! The small texts of the `query` flags: `--agg`, `--label`, lists of columns, and the arguments they make.
//!
//! | flag | means |
//! | --- | --- |
//! | `--agg price` | the column `price` |
//! | `--agg p=price` | the column `price`, called `p` |
//! | `--agg 'avg(price)'` | its average, called `avg_price` |
//! | `--agg 'vwap=wavg(size,price)'` | a function of two columns, called `vwap` |
//!
//! `--filter` has a grammar of its own: `filter.rs`.

use kvalue::{Dict, Value};

/// A flag's text that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{flag} `{text}`: {expected}")]
pub(super) struct FlagError {
    flag: &'static str,
    text: String,
    expected: String,
}

pub(super) fn wrong(flag: &'static str, text: &str, expected: impl Into<String>) -> FlagError {
    FlagError { flag, text: text.into(), expected: expected.into() }
}

/// True for a text that can be meant as a name: no spaces, quotes, parentheses or signs of comparison.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || "'\"`()=<>!,;".contains(c))
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
        if !item.iter().all(|name| is_name(name)) {
            return Err(wrong("--agg", part, EXPECTED));
        }
        items.push(Value::syms(item));
    }
    if items.is_empty() {
        return Err(wrong("--agg", text, EXPECTED));
    }
    Ok(Value::list(items))
}

/// The `labels` argument: key=value, a key given twice wants either value.
pub(super) fn labels(flags: &[String]) -> Result<Value, FlagError> {
    let mut wanted: Vec<(&str, Vec<&str>)> = Vec::new();
    for text in flags {
        let parts = text.split_once('=').map(|(k, v)| (k.trim(), v.trim()));
        match parts {
            Some((_, value)) if value.contains(',') => {
                return Err(wrong(
                    "--label",
                    text,
                    "one value a flag: repeat --label for each that is wanted",
                ));
            }
            Some((key, value)) if is_name(key) && is_name(value) => {
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
pub(super) fn names(flag: &'static str, text: &str) -> Result<Value, FlagError> {
    let names = split(text);
    match names.is_empty() || names.iter().any(|name| !is_name(name)) {
        true => Err(wrong(flag, text, "expected names of columns with commas between them, such as sym,ex")),
        false => Ok(Value::syms(names)),
    }
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
        for bad in
            ["", "avg(price", "x=", "f(a,b,c)", "f()", "avg(price) as p", "max(a)-min(b)", "a b", "p==price"]
        {
            assert!(agg(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lists_of_columns_are_names() {
        assert_eq!(names("--sort", "sym, ex").unwrap(), Value::syms(["sym", "ex"]));
        for bad in ["", "price desc", "sym ex", "'sym'", "max(price)"] {
            assert!(names("--sort", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_label_given_twice_wants_either() {
        let flags = ["region=amer".to_string(), "region=emea".to_string()];
        let Value::Dict(d) = labels(&flags).unwrap() else { panic!("no dictionary") };
        assert_eq!(d.get("region"), Some(Value::syms(["amer", "emea"])));
        for bad in ["region", "region=amer,emea", "region==amer", "region='amer'", "region = a b"] {
            assert!(labels(&[bad.into()]).is_err(), "{bad}");
        }
    }
}
