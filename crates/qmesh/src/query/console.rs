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
        if line.chars().count() > size.width {
            out.extend(line.chars().take(size.width.saturating_sub(2)));
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
    // Two lines are the head; one row more than fits shows that there are more.
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
                Some((lines, width)) => format!("{:width$}| {right}", lines[i - usize::from(i > 1)]),
            }
        })
        .collect()
}

/// Head and rows of a table's columns, padded, and their width.
fn block(t: &Table, rows: usize) -> (Vec<String>, usize) {
    let mut lines = vec![String::new(); rows + 1];
    let mut total = 0;
    for (i, (name, column)) in t.iter().enumerate() {
        let name = String::from_utf8_lossy(name).into_owned();
        let cells: Vec<String> = (0..rows).map(|r| cell(&column.index(r))).collect();
        let width = cells.iter().map(|c| c.chars().count()).max().unwrap_or(0).max(name.chars().count());
        let gap = usize::from(i > 0);
        for (line, cell) in lines.iter_mut().zip(std::iter::once(&name).chain(&cells)) {
            let _ = write!(line, "{:gap$}{cell:width$}", "");
        }
        total += gap + width;
    }
    (lines, total)
}

fn dict(d: &Dict, size: Size) -> Vec<String> {
    let shown = d.len().min(size.lines.saturating_add(1));
    let keys: Vec<String> = (0..shown).map(|i| cell(&d.keys().index(i))).collect();
    let width = keys.iter().map(|k| k.chars().count()).max().unwrap_or(0);
    keys.iter()
        .enumerate()
        .map(|(i, key)| format!("{key:width$}| {}", cell_or_null(&d.values().index(i))))
        .collect()
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
        Value::Atom(a) => bare(a),
        other => inline(other),
    }
}

/// A value on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Null => "::".into(),
        Value::Atom(a) => match a.ty() {
            Type::Symbol => format!("`{}", bare(a)),
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
        Type::Symbol => v.iter().map(|a| format!("`{}", bare(&a))).fold(prefix.into(), |a: String, b| a + &b),
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
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn longs(v: &[i64]) -> Value {
        Vector::longs(v.to_vec()).into()
    }

    fn show(value: &Value) -> String {
        text(value, Size::ALL)
    }

    #[test]
    fn tables_look_like_the_documentation() {
        let t = Table::of([("a", longs(&[110, 79, 103])), ("b", longs(&[104, 105, 94]))]).unwrap();
        assert_eq!(show(&t.into()), "a   b\n-------\n110 104\n79  105\n103 94\n");
    }

    #[test]
    fn keyed_tables_look_like_the_documentation() {
        let keys = Table::of([("sym", Value::syms(["ibm", "goog", "msoft"]))]).unwrap();
        let values =
            Table::of([("qty", longs(&[1005, 2005, 3005])), ("p", longs(&[1555, 380, 3105]))]).unwrap();
        let keyed = Dict::new(keys.into(), values.into()).unwrap();
        assert_eq!(
            show(&keyed.into()),
            "sym  | qty  p\n-----| ---------\nibm  | 1005 1555\ngoog | 2005 380\nmsoft| 3005 3105\n"
        );
    }

    #[test]
    fn dictionaries_and_lists_look_like_the_documentation() {
        let d = Dict::new(Value::syms(["a", "b", "c"]), longs(&[105, 205, 305])).unwrap();
        assert_eq!(show(&d.into()), "a| 105\nb| 205\nc| 305\n");
        assert_eq!(show(&longs(&[10, 43, i64::MIN])), "10 43 0N\n");
        assert_eq!(show(&longs(&[1])), ",1\n");
        assert_eq!(show(&Vector::floats(vec![1.0, 2.0]).into()), "1 2f\n");
        assert_eq!(show(&Value::from(1.0)), "1f\n");
        assert_eq!(show(&Vector::booleans(vec![true, false]).into()), "10b\n");
        assert_eq!(show(&Value::syms(["a", "b"])), "`a`b\n");
        assert_eq!(show(&Value::str("hello")), "\"hello\"\n");
        assert_eq!(show(&Value::list([Value::from(10i64), longs(&[20, 30])])), "10\n20 30\n");
    }

    #[test]
    fn floats_have_seven_significant_digits_or_as_many_as_they_need() {
        for (x, text) in [
            (1.0 / 3.0, "0.3333333333333"),
            (0.1 + 0.2, "0.3"),
            (1e7, "1e+07"),
            (1234567.0, "1234567"),
            (12345678.0, "12345678"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-2.5, "-2.5"),
            (99999.99, "99999.99"),
            (f64::INFINITY, "0w"),
        ] {
            assert_eq!(float(x), text);
        }
        assert_eq!(
            (real(0.1), real(1.0 / 3.0), real(-1e10)),
            ("0.1".into(), "0.33333334".into(), "-1e+10".into())
        );
    }

    #[test]
    fn more_than_fits_ends_in_dots() {
        let t = Table::of([("a", longs(&(0..100).collect::<Vec<_>>()))]).unwrap().into();
        let shown = text(&t, Size { lines: 5, width: 80 });
        assert_eq!(shown, "a\n-\n0\n1\n..\n");
        let wide = text(&Value::str("x".repeat(100)), Size { lines: 5, width: 10 });
        assert_eq!(wide, "\"xxxxxxx..\n");
    }
}
