//! `(types;widths) 1: bytes`: records of fixed width as columns.

use kvalue::Type;

use super::path;
use crate::{
    QError, R,
    ctx::Ctx,
    value::{Scalar, Sym, Value},
};

/// Reads records from bytes, a string, a file or a part of one. Letters before widths: little-endian; widths before
/// letters: big-endian.
pub(super) fn read(ctx: &mut dyn Ctx, form: &[Value], y: Value) -> R {
    let [a, b] = form else { return Err(QError::length()) };
    let (letters, widths, is_little) = match (a.as_text(), b.as_text()) {
        (Some(letters), None) => (letters, b, true),
        (None, Some(letters)) => (letters, a, false),
        _ => return Err(QError::type_()),
    };
    let widths = widths
        .items()
        .iter()
        .map(|w| w.as_int().and_then(|w| usize::try_from(w).ok()))
        .collect::<Option<Vec<usize>>>()
        .ok_or_else(QError::type_)?;
    if letters.len() != widths.len() || widths.is_empty() {
        return Err(QError::length());
    }
    let bytes = source(ctx, &y)?;
    let row = widths.iter().sum::<usize>();
    if row == 0 {
        return Err(QError::length());
    }
    let rows = bytes.len() / row;
    let mut columns = Vec::new();
    let mut at = 0;
    for (&letter, &width) in letters.iter().zip(&widths) {
        if letter != b' ' {
            let field = |i: usize| &bytes[i * row + at..i * row + at + width];
            columns.push(column(letter, width, rows, &field, is_little)?);
        }
        at += width;
    }
    Ok(Value::list(columns))
}

fn source(ctx: &mut dyn Ctx, y: &Value) -> R<Vec<u8>> {
    let parts = match y {
        Value::List(l) => l.to_vec(),
        v => vec![v.clone()],
    };
    if let Some(file) = parts.first().and_then(path::of) {
        let bytes = ctx.host().files().map(&file)?;
        let number = |i: usize| parts.get(i).and_then(Value::as_int).and_then(|n| usize::try_from(n).ok());
        let from = number(1).unwrap_or(0).min(bytes.len());
        let n = number(2).unwrap_or(usize::MAX).min(bytes.len() - from);
        return Ok(bytes[from..from + n].to_vec());
    }
    match y {
        Value::Vector(v) => match &v.data {
            crate::value::Data::U8(b) => Ok(b.to_vec()),
            _ => Err(QError::type_()),
        },
        Value::Byte(b) | Value::Char(b) => Ok(vec![*b]),
        _ => Err(QError::type_()),
    }
}

fn column<'a>(
    letter: u8,
    width: usize,
    rows: usize,
    field: &dyn Fn(usize) -> &'a [u8],
    is_little: bool,
) -> R {
    match letter {
        b'*' => return Ok(Value::list((0..rows).map(|i| Value::string(field(i))).collect())),
        b's' | b'S' => {
            let trimmed = |f: &'a [u8]| f.split(|b| *b == 0).next().unwrap_or_default().trim_ascii_end();
            return Ok(Value::syms((0..rows).map(|i| Sym::new(trimmed(field(i)))).collect()));
        }
        _ => {}
    }
    let letter = letter.to_ascii_lowercase();
    let ty =
        Type::ALL.into_iter().find(|t| t.letter() as u32 == u32::from(letter)).ok_or_else(QError::type_)?;
    if ty.width() != Some(width) {
        return Err(QError::length());
    }
    let items = (0..rows).map(|i| {
        let mut bytes = field(i).to_vec();
        if !is_little && ty != Type::Guid {
            bytes.reverse();
        }
        Value::atom(ty, scalar(ty, &bytes))
    });
    Ok(match rows {
        0 => Value::Vector(std::sync::Arc::new(crate::value::Vector::empty(ty))),
        _ => Value::from_items(items.collect()),
    })
}

/// One element from little-endian bytes of the element's width.
fn scalar(ty: Type, bytes: &[u8]) -> Scalar {
    macro_rules! of {
        ($layout:ident, $t:ty) => {
            bytes.try_into().map(|b| Scalar::$layout(<$t>::from_le_bytes(b))).ok()
        };
    }
    use kvalue::Physical;
    let scalar = match ty.physical() {
        Physical::U8 if ty == Type::Boolean => bytes.first().map(|b| Scalar::Bool(*b != 0)),
        Physical::U8 => bytes.first().map(|b| Scalar::U8(*b)),
        Physical::I16 => of!(I16, i16),
        Physical::I32 => of!(I32, i32),
        Physical::I64 => of!(I64, i64),
        Physical::F32 => of!(F32, f32),
        Physical::F64 => of!(F64, f64),
        Physical::Guid => bytes.try_into().map(Scalar::Guid).ok(),
        Physical::Symbol => None,
    };
    scalar.unwrap_or_else(|| Scalar::null(ty))
}
