//! `0:`: text as columns and columns as text.
//!
//! | form | what |
//! | --- | --- |
//! | `"," 0: t` | rows of a table, or of columns, as lines |
//! | `` `:f 0: lines `` | lines to a file |
//! | `("IS";",") 0: y` | delimited text as columns; `enlist ","` where the first line names them |
//! | `("IS";4 2) 0: y` | text of fixed widths as columns |
//! | `"S=;" 0: y` | pairs of keys and values |

use std::{borrow::Cow, sync::Arc};

use kvalue::Type;

use super::{bytes, csv, path, store::How, write};
use crate::{
    QError, R,
    ctx::{Ctx, Def},
    ops::text::{tok_column, write_element},
    value::{Data, Sym, Table, Value, Vector},
};

/// Rows of this file's primitives.
pub(super) const ROWS: &[Def] =
    &[Def::operator("0:", zero), Def::operator("1:", bytes::binary), Def::operator("2:", two)];

/// `2:` loads shared objects: code of others in this process, which is not done here.
fn two(_: &mut dyn Ctx, _: Value, _: Value) -> R {
    Err(QError::new("nyi: 2: loads shared objects, which this q does not run"))
}

/// `x 0: y`, by the form of `x`.
pub fn zero(ctx: &mut dyn Ctx, x: Value, y: Value) -> R {
    if let Some(file) = path::of(&x) {
        save(ctx, &file, &y, &How::Default)?;
        return Ok(x);
    }
    match &x {
        Value::Char(delimiter) => prepare(ctx, *delimiter, &y),
        Value::List(l) => match (l.first(), &l[1..]) {
            (Some(target), rest) if path::of(target).is_some() => {
                let file = path::of(target).unwrap_or_default();
                save(ctx, &file, &y, &How::of(rest)?)?;
                Ok(target.clone())
            }
            (Some(letters), [by, rest @ ..]) => {
                let letters = letters.as_text().ok_or_else(QError::type_)?;
                load(ctx, &letters, by, rest, &y)
            }
            _ => Err(QError::length()),
        },
        Value::Vector(v) => match v.as_chars() {
            Some(&[ty, equals, end]) => pairs(ctx, ty, equals, false, end, &y),
            Some(&[ty, equals, b'*', end]) => pairs(ctx, ty, equals, true, end, &y),
            _ => Err(QError::type_()),
        },
        _ => Err(QError::type_()),
    }
}

// ---- columns to text ----

/// Rows as lines; the first one names the columns of a table.
fn prepare(ctx: &mut dyn Ctx, delimiter: u8, y: &Value) -> R {
    let digits = crate::format::precision(ctx.settings());
    let (mut lines, columns) = match y {
        Value::Table(t) => {
            let names = t.names.iter().map(|n| Cow::Borrowed(n.bytes())).collect::<Vec<_>>();
            (vec![names.join(&delimiter)], t.columns.clone())
        }
        Value::Mapped(m) => return prepare(ctx, delimiter, &m.load()?),
        Value::List(l) => (Vec::new(), l.to_vec()),
        Value::Vector(v) => (Vec::new(), (0..v.len()).map(|i| v.at(i)).collect()),
        _ => return Err(QError::type_()),
    };
    let n = columns.iter().filter(|c| c.is_list()).map(Value::count).max().unwrap_or(1);
    if columns.iter().any(|c| c.is_list() && c.count() != n) {
        return Err(QError::length());
    }
    let columns = columns.iter().map(|c| field_writer(c, delimiter, digits)).collect::<R<Vec<_>>>()?;
    for row in 0..n {
        if row % 100_000 == 0 {
            ctx.check()?;
        }
        let mut line = Vec::new();
        for (i, column) in columns.iter().enumerate() {
            if i > 0 {
                line.push(delimiter);
            }
            column(&mut line, row)?;
        }
        lines.push(line);
    }
    Ok(Value::list(lines.into_iter().map(Value::string).collect()))
}

type Writer<'a> = Box<dyn Fn(&mut Vec<u8>, usize) -> R<()> + 'a>;

fn field_writer(column: &Value, delimiter: u8, digits: usize) -> R<Writer<'_>> {
    match column {
        Value::Vector(v) => {
            let v = match v.resolved() {
                Value::Vector(v) => v,
                other => return Ok(Box::new(move |out, i| text_of(out, &other.at(i), delimiter, digits))),
            };
            let is_date = matches!(v.ty, Type::Date | Type::Month | Type::Timestamp | Type::Datetime);
            Ok(Box::new(move |out, i| {
                match &v.data {
                    Data::Sym(s) => csv::quoted(out, s[i].bytes(), delimiter),
                    _ => {
                        let from = out.len();
                        write_element(out, &v, i, digits);
                        if is_date {
                            // The date's dots only: those of a time stand behind a `D` or `T`.
                            let date = out[from..].iter_mut().take_while(|b| !matches!(**b, b'D' | b'T'));
                            date.filter(|b| **b == b'.').for_each(|b| *b = b'-');
                        }
                    }
                }
                Ok(())
            }))
        }
        Value::List(_) => Ok(Box::new(move |out, i| text_of(out, &column.at(i), delimiter, digits))),
        atom => Ok(Box::new(move |out, _| text_of(out, atom, delimiter, digits))),
    }
}

fn text_of(out: &mut Vec<u8>, item: &Value, delimiter: u8, digits: usize) -> R<()> {
    match item {
        Value::List(l) if l.is_empty() => Ok(()),
        item => match item.as_name() {
            Some(text) => {
                csv::quoted(out, &text, delimiter);
                Ok(())
            }
            None if item.as_scalar().is_some() => match Value::from_items(vec![item.clone()]) {
                Value::Vector(v) => {
                    write_element(out, &v, 0, digits);
                    Ok(())
                }
                _ => Err(QError::type_()),
            },
            None => Err(QError::type_()),
        },
    }
}

/// Lines to a file.
fn save(ctx: &mut dyn Ctx, file: &str, y: &Value, how: &How) -> R<()> {
    let mut out = Vec::new();
    match y {
        Value::List(l) => {
            for line in l.iter() {
                out.extend_from_slice(&line.as_text().ok_or_else(QError::type_)?);
                out.push(b'\n');
            }
        }
        v => {
            out.extend_from_slice(&v.as_text().ok_or_else(QError::type_)?);
            out.push(b'\n');
        }
    }
    let packing = match how {
        How::As(packing) => *packing,
        How::Default => write::default_packing(ctx, file)?,
        How::ByColumn(_) => return Err(QError::type_()),
    };
    ctx.host().write_parts(file, &[&out], packing)
}

// ---- text to columns ----

/// The text that is to be read: whole, or line by line.
enum Source {
    Text(Vec<u8>),
    Lines(Vec<Vec<u8>>),
    /// one row, which gives atoms
    Row(Vec<u8>),
}

fn source(ctx: &mut dyn Ctx, y: &Value) -> R<Source> {
    if let Some(file) = path::of(y) {
        return Ok(Source::Text(ctx.host().files().map(&file)?.to_vec()));
    }
    match y {
        Value::Sym(s) => Ok(Source::Text(ctx.host().files().map(&s.text())?.to_vec())),
        Value::List(l) if l.first().and_then(path::of).is_some() => {
            let file = l.first().and_then(path::of).unwrap_or_default();
            let number = |i: usize| l.get(i).and_then(Value::as_int).and_then(|n| usize::try_from(n).ok());
            let bytes = ctx.host().files().map(&file)?;
            let from = number(1).unwrap_or(0).min(bytes.len());
            let n = number(2).unwrap_or(usize::MAX).min(bytes.len() - from);
            Ok(Source::Text(bytes[from..from + n].to_vec()))
        }
        Value::List(l) => {
            let lines = l.iter().map(|line| line.as_text().ok_or_else(QError::type_));
            Ok(Source::Lines(lines.collect::<R<Vec<_>>>()?))
        }
        y => {
            let text = y.as_text().ok_or_else(QError::type_)?;
            Ok(if text.contains(&b'\n') { Source::Text(text) } else { Source::Row(text) })
        }
    }
}

fn load(ctx: &mut dyn Ctx, letters: &[u8], by: &Value, rest: &[Value], y: &Value) -> R {
    let across = rest.first().is_some_and(|v| v.as_int().is_some_and(|n| n != 0));
    let source = source(ctx, y)?;
    let is_row = matches!(source, Source::Row(_));
    let joined;
    let lines: Vec<&[u8]> = match &source {
        Source::Text(text) | Source::Row(text) if across => csv::records(text),
        Source::Text(text) | Source::Row(text) => bytes::lines(text).collect(),
        Source::Lines(lines) if across => {
            joined = lines.join(&b'\n');
            csv::records(&joined)
        }
        Source::Lines(lines) => lines.iter().map(|l| l.as_slice()).collect(),
    };
    let day_first = ctx.settings().day_first;
    match by {
        Value::Char(delimiter) => {
            let columns = delimited(ctx, letters, *delimiter, &lines, day_first)?;
            Ok(answer(columns, is_row))
        }
        Value::Vector(v) if v.as_chars().is_some_and(|c| c.len() == 1) => {
            let delimiter = v.as_chars().and_then(|c| c.first()).copied().unwrap_or(b',');
            let (head, lines) = match lines.split_first() {
                Some((head, lines)) => (*head, lines),
                None => (&[][..], &[][..]),
            };
            let names = csv::fields(head, delimiter);
            let names: Vec<Sym> = letters
                .iter()
                .enumerate()
                .filter(|(_, letter)| **letter != b' ')
                .map(|(i, _)| Sym::new(names.get(i).map_or(&[][..], |n| n.trim_ascii())))
                .collect();
            let columns = delimited(ctx, letters, delimiter, lines, day_first)?;
            Ok(Value::table(Table::new(names, columns)?))
        }
        widths => {
            let widths = widths
                .items()
                .iter()
                .map(|w| w.as_int().and_then(|w| usize::try_from(w).ok()))
                .collect::<Option<Vec<usize>>>()
                .ok_or_else(QError::type_)?;
            if widths.len() != letters.len() {
                return Err(QError::length());
            }
            let columns = by_width(letters, &widths, &lines, day_first)?;
            Ok(answer(columns, is_row))
        }
    }
}

/// Columns as a list; of one row given as a string, their only items.
fn answer(columns: Vec<Value>, is_row: bool) -> Value {
    if is_row { Value::from_items(columns.iter().map(|c| c.at(0)).collect()) } else { Value::list(columns) }
}

fn delimited(
    ctx: &mut dyn Ctx,
    letters: &[u8],
    delimiter: u8,
    lines: &[&[u8]],
    day_first: bool,
) -> R<Vec<Value>> {
    let mut columns: Vec<Vec<Cow<'_, [u8]>>> =
        letters.iter().map(|l| Vec::with_capacity(if *l == b' ' { 0 } else { lines.len() })).collect();
    for (i, line) in lines.iter().enumerate() {
        if i % 100_000 == 0 {
            ctx.check()?;
        }
        let mut fields = csv::Fields::new(line, delimiter);
        for (letter, column) in letters.iter().zip(&mut columns) {
            let field = fields.next().unwrap_or_default();
            if *letter != b' ' {
                column.push(field);
            }
        }
    }
    typed(letters, &columns, day_first)
}

fn typed(letters: &[u8], columns: &[Vec<Cow<'_, [u8]>>], day_first: bool) -> R<Vec<Value>> {
    let used = letters.iter().zip(columns).filter(|(letter, _)| **letter != b' ');
    used.map(|(letter, column)| {
        let texts: Vec<&[u8]> = column.iter().map(|c| &**c).collect();
        tok_column(*letter, &texts, day_first)
    })
    .collect()
}

fn by_width(letters: &[u8], widths: &[usize], lines: &[&[u8]], day_first: bool) -> R<Vec<Value>> {
    let mut columns: Vec<Vec<Cow<'_, [u8]>>> = letters.iter().map(|_| Vec::new()).collect();
    for line in lines {
        let mut at = 0usize;
        for (column, width) in columns.iter_mut().zip(widths) {
            let end = at.saturating_add(*width);
            let field = line.get(at.min(line.len())..end.min(line.len())).unwrap_or_default();
            column.push(Cow::Borrowed(field));
            at = end;
        }
    }
    for (letter, column) in letters.iter().zip(&mut columns) {
        if *letter != b'*' && *letter != b'C' {
            column.iter_mut().for_each(|f| {
                if let Cow::Borrowed(text) = f {
                    *f = Cow::Borrowed(text.trim_ascii());
                }
            });
        }
    }
    typed(letters, &columns, day_first)
}

/// `"S=;" 0: text`: keys of the type, and the texts of the values.
fn pairs(ctx: &mut dyn Ctx, ty: u8, equals: u8, quotes: bool, end: u8, y: &Value) -> R {
    let text = match source(ctx, y)? {
        Source::Text(text) | Source::Row(text) => text,
        Source::Lines(lines) => lines.join(&end),
    };
    let records: Vec<&[u8]> = match quotes {
        true => csv::split_quoted(&text, end),
        false => text.split(|b| *b == end).collect(),
    };
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    for record in records.into_iter().filter(|r| !r.is_empty()) {
        let at = record.iter().position(|b| *b == equals).unwrap_or(record.len());
        let value = record.get(at + 1..).unwrap_or_default();
        keys.push(&record[..at]);
        values.push(if quotes { Value::string(csv::unquoted(value)) } else { Value::string(value) });
    }
    let keys = match keys.is_empty() {
        true => Value::Vector(Arc::new(Vector::empty(
            crate::ops::text::tok::letter_type(ty).unwrap_or(Type::Symbol),
        ))),
        false => tok_column(ty, &keys, ctx.settings().day_first)?,
    };
    Ok(Value::list(vec![keys, Value::list(values)]))
}
