//! Values as q's console shows them: seven significant digits, more only where seven do not tell a number from its
//! neighbours, columns padded, `key| value` dictionaries, `..` where rows or columns are cut.
//!
//! Layout rules are those of the transcripts in KX's documentation (`\c`, `\P 7`); the tests hold some of them.

use std::fmt::Write as _;

use kvalue::{Atom, Dict, Table, Type, Value, Vector, atom::Scalar};

/// How much is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// most lines
    pub(crate) lines: usize,
    /// most characters a line
    pub(crate) width: usize,
}

impl Size {
    /// Everything.
    pub(crate) const ALL: Size = Size { lines: usize::MAX, width: usize::MAX };
}

/// The console text of a value, each line ended.
pub(crate) fn text(value: &Value, size: Size) -> String {
    let lines = match value {
        Value::Table(t) => table(None, t, size),
        Value::Dict(d) => match d.as_keyed_table() {
            Some((keys, values)) => table(Some(keys), values, size),
            None => dict(d, size),
        },
        Value::List(l) => l.items().iter().take(size.lines.saturating_add(1)).map(inline).collect(),
        other => vec![inline(other)],
    };
    clip(lines, size)
}

fn clip(mut lines: Vec<String>, size: Size) -> String {
    if lines.len() > size.lines {
        lines.truncate(size.lines.saturating_sub(1));
        lines.push("..".into());
    }
    let mut out = String::new();
    for line in lines {
        let line = line.trim_end();
        if line.len() > size.width && columns(line) > size.width {
            let mut used = 0;
            let fits = |c: &char| {
                let mut buffer = [0; 4];
                used += columns(c.encode_utf8(&mut buffer));
                used + 2 <= size.width
            };
            out.extend(line.chars().take_while(fits));
            out.push_str("..");
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

fn table(keys: Option<&Table>, values: &Table, size: Size) -> Vec<String> {
    let rows = values.len();
    // Two lines are the head; an extra row shows that further rows exist.
    let shown = rows.min(size.lines.saturating_sub(1));
    let key_block = keys.map(|k| block(k, shown));
    let (value_block, value_width) = block(values, shown);
    (0..shown + 2)
        .map(|i| {
            let right = match i {
                1 => "-".repeat(value_width),
                _ => value_block[i - usize::from(i > 1)].clone(),
            };
            match &key_block {
                None => right,
                Some((_, width)) if i == 1 => {
                    format!("{}| {right}", "-".repeat(*width))
                }
                Some((lines, width)) => {
                    let mut line = String::new();
                    pad(&mut line, &lines[i - usize::from(i > 1)], *width);
                    line + "| " + &right
                }
            }
        })
        .collect()
}

/// Widest text that others are padded to. A longer one runs over: data must not choose how much is printed, nor reach
/// the 65,535 that formatting has as its limit.
const WIDEST: usize = 1000;

/// Columns of a terminal that a text takes.
fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { ::console::measure_text_width(text) }
}

/// The width that texts are padded to.
fn width_of<'a>(texts: impl IntoIterator<Item = &'a str>) -> usize {
    texts.into_iter().map(columns).filter(|width| *width <= WIDEST).max().unwrap_or(0)
}

/// Writes a text, filled up to a width.
fn pad(out: &mut String, text: &str, width: usize) {
    out.push_str(text);
    out.extend(std::iter::repeat_n(' ', width.saturating_sub(columns(text))));
}

/// Head and rows of a table's columns, padded, and their width.
fn block(t: &Table, rows: usize) -> (Vec<String>, usize) {
    let mut lines = vec![String::new(); rows + 1];
    let mut total = 0;
    for (i, (name, column)) in t.iter().enumerate() {
        let name = shown(&String::from_utf8_lossy(name));
        let cells: Vec<String> = (0..rows).map(|r| cell(&column.index(r))).collect();
        let width = width_of(std::iter::once(&name).chain(&cells).map(String::as_str));
        let gap = usize::from(i > 0);
        for (line, cell) in lines.iter_mut().zip(std::iter::once(&name).chain(&cells)) {
            line.extend((0..gap).map(|_| ' '));
            pad(line, cell, width);
        }
        total += gap + width;
    }
    (lines, total)
}

fn dict(d: &Dict, size: Size) -> Vec<String> {
    let shown = d.len().min(size.lines.saturating_add(1));
    let keys: Vec<String> = (0..shown).map(|i| cell(&d.keys().index(i))).collect();
    let width = width_of(keys.iter().map(String::as_str));
    let line = |(i, key): (usize, &String)| {
        let mut line = String::new();
        pad(&mut line, key, width);
        line + "| " + &cell_or_null(&d.values().index(i))
    };
    keys.iter().enumerate().map(line).collect()
}

/// A dictionary's value: unlike a table's cell, a null shows as q writes it.
fn cell_or_null(value: &Value) -> String {
    match value {
        Value::Atom(a) if a.is_null() && !matches!(a.ty(), Type::Symbol | Type::Char) => atom_text(a),
        _ => cell(value),
    }
}

/// A table's cell: atoms bare, nulls blank.
fn cell(value: &Value) -> String {
    match value {
        Value::Atom(a) if a.is_null() => match a.ty() {
            Type::Guid => atom_text(a),
            _ => String::new(),
        },
        Value::Atom(a) => shown(&bare(a)),
        other => inline(other),
    }
}

/// A text as a line can hold it: what would move the cursor or change the terminal is shown as q writes it in strings.
fn shown(text: &str) -> String {
    match text.chars().any(char::is_control) {
        false => text.to_string(),
        true => text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
            escape(&mut out, c);
            out
        }),
    }
}

fn escape(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if c.is_control() => {
            let _ = write!(out, "\\{:03o}", u32::from(c));
        }
        c => out.push(c),
    }
}

/// A value on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Null => "::".into(),
        Value::Atom(a) => match a.ty() {
            Type::Symbol => format!("`{}", shown(&bare(a))),
            Type::Char => quoted(&a.to_le_bytes()),
            _ => format!("{}{}", atom_text(a), suffix(a)),
        },
        Value::Vector(v) => vector(v),
        Value::List(l) if l.is_empty() => "()".into(),
        Value::List(l) if l.len() == 1 => format!(",{}", inline(&l.items()[0])),
        Value::List(l) => format!("({})", l.items().iter().map(inline).collect::<Vec<_>>().join(";")),
        Value::Dict(d) => format!("{}!{}", inline(d.keys()), inline(d.values())),
        Value::Table(t) => {
            let names = Value::Vector(Vector::symbols(t.names().clone()));
            format!("+{}!{}", inline(&names), inline(&Value::list(t.columns().to_vec())))
        }
        Value::Opaque(o) => format!("function of type {}h", o.type_number()),
    }
}

fn vector(v: &Vector) -> String {
    let prefix = if v.len() == 1 { "," } else { "" };
    if v.ty() == Type::Char {
        return format!("{prefix}{}", quoted(v.as_bytes().map_or(&[][..], |b| b)));
    }
    if v.is_empty() {
        return match v.ty() {
            Type::Byte => "`byte$()".into(),
            Type::Symbol => "`symbol$()".into(),
            ty => format!("`{ty}$()"),
        };
    }
    let joined = |separator: &str| v.iter().map(|a| atom_text(&a)).collect::<Vec<_>>().join(separator);
    match v.ty() {
        Type::Symbol => {
            v.iter().map(|a| format!("`{}", shown(&bare(&a)))).fold(prefix.into(), |a: String, b| a + &b)
        }
        Type::Boolean => format!("{prefix}{}b", v.iter().map(|a| bare(&a)).collect::<String>()),
        Type::Byte => format!("{prefix}0x{}", v.iter().map(|a| bare(&a)).collect::<String>()),
        Type::Float if v.iter().all(|a| whole(&a)) => format!("{prefix}{}f", joined(" ")),
        Type::Float | Type::Long | Type::Guid => format!("{prefix}{}", joined(" ")),
        ty if ty.is_temporal() && ty != Type::Month => format!("{prefix}{}", joined(" ")),
        ty => format!("{prefix}{}{}", joined(" "), ty.letter()),
    }
}

/// True where a float prints without a point, so that the list needs its letter.
fn whole(a: &Atom) -> bool {
    !bare(a).contains(['.', 'e', 'n', 'w'])
}

/// What a lone atom needs behind it to be told from a long.
fn suffix(a: &Atom) -> String {
    match a.ty() {
        Type::Boolean => "b".into(),
        Type::Float if whole(a) && !a.is_null() => "f".into(),
        Type::Short | Type::Int | Type::Real | Type::Month if !a.is_null() => a.ty().letter().into(),
        _ => String::new(),
    }
}

/// An atom's text with its null as q writes it.
fn atom_text(a: &Atom) -> String {
    if a.is_null() {
        return match a.ty() {
            Type::Long => "0N".into(),
            Type::Float => "0n".into(),
            Type::Symbol => String::new(),
            Type::Guid => bare(a),
            Type::Char => " ".into(),
            ty => format!("0N{}", ty.letter()),
        };
    }
    match a.ty() {
        Type::Byte => format!("0x{}", bare(a)),
        _ => bare(a),
    }
}

/// An atom's text without prefix, suffix or quotes.
pub(crate) fn bare(a: &Atom) -> String {
    match a {
        Atom::Boolean(b) => u8::from(*b).to_string(),
        Atom::Byte(b) => format!("{b:02x}"),
        Atom::Guid(g) => {
            let mut out = String::new();
            let _ = sg::ids::write_guid(&mut out, g);
            out
        }
        Atom::Char(c) => char::from(*c).to_string(),
        Atom::Symbol(s) => s.text().into_owned(),
        Atom::Short(i16::MAX) | Atom::Int(i32::MAX) | Atom::Long(i64::MAX) => "0W".into(),
        Atom::Short(n) if *n == -i16::MAX => "-0W".into(),
        Atom::Int(n) if *n == -i32::MAX => "-0W".into(),
        Atom::Long(n) if *n == -i64::MAX => "-0W".into(),
        Atom::Real(x) => real(*x),
        Atom::Float(x) => float(*x),
        Atom::Short(_) | Atom::Int(_) | Atom::Long(_) => match a.scalar() {
            Some(Scalar::Integer(Some(n))) => n.to_string(),
            _ => String::new(),
        },
        temporal => kvalue::time::text(temporal),
    }
}

/// A real with the fewest digits that read back as it.
fn real(x: f32) -> String {
    let digits = format!("{x:e}").chars().take_while(|c| *c != 'e').filter(char::is_ascii_digit).count();
    let shortest = x.to_string().parse().unwrap_or(f64::from(x));
    special(shortest).unwrap_or_else(|| general(shortest, digits.clamp(7, 17) as i32))
}

/// A float at seven significant digits, as q's console shows it, and at as many more as it needs to be found again:
/// as a filter's value the text compares equal, by q's tolerance.
fn float(x: f64) -> String {
    const TOLERANCE: f64 = 1.0 / (1u64 << 43) as f64;
    if let Some(text) = special(x) {
        return text;
    }
    let reads_back =
        |text: &String| text.parse().is_ok_and(|y: f64| (x - y).abs() <= TOLERANCE * x.abs().min(y.abs()));
    (7..17).map(|digits| general(x, digits)).find(reads_back).unwrap_or_else(|| general(x, 17))
}

fn special(x: f64) -> Option<String> {
    match x {
        x if x.is_nan() => Some(String::new()),
        x if x.is_infinite() => Some(if x > 0.0 { "0w" } else { "-0w" }.into()),
        0.0 => Some("0".into()),
        _ => None,
    }
}

/// As C's `%.<digits>g` prints it.
fn general(x: f64, digits: i32) -> String {
    let scientific = format!("{x:.*e}", (digits - 1) as usize);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |s: &str| match s.contains('.') {
        true => s.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => s.to_string(),
    };
    if (-4..digits).contains(&exponent) {
        return trim(&format!("{x:.*}", (digits - 1 - exponent).max(0) as usize));
    }
    format!("{}e{}{:02}", trim(mantissa), if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

fn quoted(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for c in String::from_utf8_lossy(bytes).chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c => escape(&mut out, c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
