//! `--filter`: one condition in words, read by a grammar so that nothing is taken for a value by accident.
//!
//! ```text
//! condition = column operator value
//! column    = name | quoted
//! operator  = "=" | "<>" | "!=" | "<" | ">" | "<=" | ">=" | ["not"] ("in" | "like" | "within")
//! value     = item                                 one item; in takes any number, within two
//!           | item "," item ...                    with or without parentheses around them
//! item      = quoted | "`"name... | bare
//! quoted    = '...' | "..."                        the quote itself twice inside: 'it''s'
//! bare      = text without spaces, quotes, parentheses and signs of comparison, or a date and a time
//! ```
//!
//! What people bring from SQL and other languages gets a hint and no answer: `==`, `and`, `between`, `is null`, `%`.
//! Values go as texts; the gateway reads them as the column's type. Tests: here.

use kvalue::{Type, Value};

use super::flags::{FlagError, wrong};

const EXPECTED: &str = "expected COLUMN OPERATOR VALUE with = <> < > <= >= in like within, such as price > 100 or sym in AAPL,IBM";
const ONE_EACH: &str = "one condition a flag: repeat --filter for conditions that must all hold; for any of several \
                        values use in, for more give the API's arguments as JSON";

/// One condition of the `filter` argument.
pub(super) fn filter(text: &str) -> Result<Value, FlagError> {
    read(text).map_err(|why| wrong("--filter", text, why))
}

fn read(text: &str) -> Result<Value, String> {
    let text = text.trim();
    let (column, rest) = column(text)?;
    let (op, negated, rest) = operator(&column, rest)?;
    let value = match op {
        "in" | "within" => list(op, rest)?,
        _ => Value::str(single(op, rest)?),
    };
    let condition = Value::list([Value::str(op), Value::sym(&column), value]);
    Ok(if negated { Value::list([Value::str("not"), condition]) } else { condition })
}

fn column(text: &str) -> Result<(String, &str), String> {
    if text.starts_with('(') {
        return Err(format!("a condition stands without parentheses around it; {EXPECTED}"));
    }
    if text.starts_with(['\'', '"']) {
        return quoted(text);
    }
    let end =
        text.find(|c: char| c.is_whitespace() || "=<>!~()'\"`,;[]{}&|".contains(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    match name.to_ascii_lowercase().as_str() {
        "" => Err(EXPECTED.into()),
        "not" if rest.trim_start().starts_with(|c: char| c.is_alphanumeric() || c == '(') => {
            Err("not stands before in, like or within (sym not in AAPL,IBM); the others have <> <= and so on"
                .into())
        }
        _ => Ok((name.into(), rest.trim_start())),
    }
}

fn operator<'a>(column: &str, text: &'a str) -> Result<(&'static str, bool, &'a str), String> {
    let end = text.find(|c| !"=<>!~".contains(c)).unwrap_or(text.len());
    let (sign, rest) = text.split_at(end);
    let op = match sign {
        "" => return word(column, text),
        "=" => "=",
        "<>" | "!=" => "<>",
        "<" => "<",
        ">" => ">",
        "<=" => "<=",
        ">=" => ">=",
        "==" | "===" => return Err(format!("one = compares: write {column} = {}", rest.trim())),
        "=<" => return Err("the sign is <=".into()),
        "=>" => return Err("the sign is >=".into()),
        "~" | "=~" | "!~" => return Err("patterns are compared with like and not like".into()),
        other => return Err(format!("{other} is no operator; {EXPECTED}")),
    };
    Ok((op, false, rest.trim_start()))
}

fn word<'a>(column: &str, text: &'a str) -> Result<(&'static str, bool, &'a str), String> {
    let (first, rest) = next_word(text);
    let op = |word: &str| ["in", "like", "within"].into_iter().find(|op| *op == word);
    match first.as_str() {
        "not" => {
            let (second, rest) = next_word(rest);
            match op(&second) {
                Some(op) => Ok((op, true, rest)),
                None => Err("not stands before in, like or within".into()),
            }
        }
        "between" => Err(format!("write {column} within LOW,HIGH (both bounds are included)")),
        "is" => {
            Err(format!("rows without a value are those with {column} = ''; the others are {column} <> ''"))
        }
        "ilike" | "matches" | "contains" | "startswith" => {
            Err(format!("patterns are compared with like, and case counts: {column} like A*"))
        }
        other => op(other).map(|op| (op, false, rest)).ok_or_else(|| EXPECTED.into()),
    }
}

/// A word of letters in lower case, and what follows it.
fn next_word(text: &str) -> (String, &str) {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    (text[..end].to_ascii_lowercase(), text[end..].trim_start())
}

/// The one value of an operator that takes one.
fn single(op: &str, text: &str) -> Result<String, String> {
    // So q's console shows a string of one letter.
    let text = text.strip_prefix(',').filter(|rest| rest.starts_with('"')).unwrap_or(text);
    if text.starts_with('(') {
        return Err(format!("{op} takes one value without parentheses; in takes a list"));
    }
    let (mut items, rest) = items(op, text)?;
    ended(rest)?;
    match (items.pop(), items.is_empty()) {
        (Some(one), true) if op == "like" && one.contains('%') && !one.contains(['*', '?', '[']) => {
            Err("a pattern has * for any text and ? for one character; a % itself is [%]".into())
        }
        (Some(one), true) => Ok(one),
        _ => Err(format!("{op} takes one value: use in for a list, or quotes for a value with a comma")),
    }
}

fn list(op: &str, text: &str) -> Result<Value, String> {
    let (inside, close) = match text.strip_prefix('(') {
        Some(inside) => (inside.trim_start(), true),
        None => (text, false),
    };
    let (items, rest) = items(op, inside)?;
    let rest = match (close, rest.strip_prefix(')')) {
        (true, Some(rest)) => rest,
        (true, None) => return Err("its parenthesis is not closed".into()),
        (false, _) => rest,
    };
    ended(rest.trim_start())?;
    if op == "within" && items.len() != 2 {
        return Err(format!("within takes two bounds with a comma between them, not {}", items.len()));
    }
    Ok(Value::list(items.into_iter().map(Value::str).collect::<Vec<_>>()))
}

/// Items with commas between them, and what follows the last.
fn items<'a>(op: &str, text: &'a str) -> Result<(Vec<String>, &'a str), String> {
    let (mut items, mut rest) = (Vec::new(), text);
    loop {
        rest = item(op, rest, &mut items)?.trim_start();
        match rest.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None => return Ok((items, rest)),
        }
    }
}

fn item<'a>(op: &str, text: &'a str, items: &mut Vec<String>) -> Result<&'a str, String> {
    match text.chars().next() {
        None | Some(',' | ')') => Err(match items.is_empty() {
            true => format!("{op} has no value; a null is ''"),
            false => "a value is missing at a comma; a null is ''".into(),
        }),
        Some('\'' | '"') => {
            let (value, rest) = quoted(text)?;
            items.push(value);
            Ok(rest)
        }
        // q's own form of one or several symbols.
        Some('`') => {
            let end = text.find(|c: char| c.is_whitespace() || ",()'\"=<>".contains(c)).unwrap_or(text.len());
            items.extend(text[1..end].split('`').map(String::from));
            Ok(&text[end..])
        }
        Some(_) => {
            let end = text.find([',', ')']).unwrap_or(text.len());
            items.push(bare(op, text[..end].trim())?);
            Ok(&text[end..])
        }
    }
}

/// A value without quotes: one word, or a date and a time.
fn bare(op: &str, text: &str) -> Result<String, String> {
    let is_instant = || kvalue::time::parse(Type::Timestamp, text).is_some();
    if text.contains(char::is_whitespace) && !is_instant() {
        let joins =
            |w: &str| matches!(w.to_ascii_lowercase().as_str(), "and" | "or" | "&&" | "||" | "&" | "|");
        return Err(match text.split_whitespace().any(joins) {
            true => format!("{ONE_EACH}; a value with spaces goes into quotes"),
            false => {
                format!("`{text}` has spaces: put quotes around a value ('{text}'), commas between several")
            }
        });
    }
    // Brackets are a pattern's own.
    let odd = if op == "like" { "()'\"`=<>!|;{}" } else { "()'\"`=<>!|;{}[]" };
    match text.find(|c| odd.contains(c)).and_then(|at| text[at..].chars().next()) {
        Some(c) => Err(format!("`{text}` has a {c}: put quotes around a value that is meant so; {ONE_EACH}")),
        None => Ok(text.into()),
    }
}

/// A quoted text and what follows it. The quote itself stands twice inside.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut chars = text.char_indices();
    let Some((_, quote)) = chars.next() else { return Err(EXPECTED.into()) };
    let mut value = String::new();
    while let Some((at, c)) = chars.next() {
        if c != quote {
            value.push(c);
            continue;
        }
        let rest = &text[at + c.len_utf8()..];
        if !rest.starts_with(quote) {
            return Ok((value, rest.trim_start()));
        }
        value.push(quote);
        chars.next();
    }
    Err("its quote is not closed".into())
}

/// Refuses what follows a condition.
fn ended(rest: &str) -> Result<(), String> {
    let (next, _) = next_word(rest);
    match (rest, next.as_str()) {
        ("", _) => Ok(()),
        (_, "and" | "or") => Err(ONE_EACH.into()),
        (rest, _) if rest.starts_with(['&', '|']) => Err(ONE_EACH.into()),
        (rest, _) => {
            Err(format!("`{rest}` follows the value: quotes go around a whole value, commas between several"))
        }
    }
}

#[cfg(test)]
mod tests;
