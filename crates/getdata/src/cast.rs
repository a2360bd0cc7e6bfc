//! Operands of conditions as the column's type wants them.
//!
//! Texts and symbols are read as the column's type whatever the request says: they could not be compared
//! otherwise. A text that says more than the type holds is read as a finer type, so that nothing of it is cut. Numbers
//! stay as they are against numbers, temporal values against temporal ones, since kernels compare them across types as
//! q does; a number against a temporal column is refused, because it is a date for one and a count of days for
//! another. A list given for one value, or the other way round, is an error here, not at the first block.
//! Tests: `cast/tests.rs`.

use kernels::compare::Op;
use kvalue::{Atom, Sym, Type, Value, Vector, atom::Scalar, time};
use sg::Failure;

use crate::{display, schema::ColumnKind};

/// Why an operand does not fit.
pub(crate) struct Context<'a> {
    pub(crate) op: Op,
    pub(crate) column: &'a Sym,
    pub(crate) kind: &'a ColumnKind,
    /// Numbers become symbols and texts where the column holds these.
    pub(crate) cast: bool,
}

impl Context<'_> {
    fn wrong(&self, value: &Value, expected: &str) -> Failure {
        Failure::arg(format!(
            "filter compares the {} column `{}` by {} with {}: expected {expected}",
            self.kind,
            self.column,
            self.op,
            display::value(value)
        ))
    }

    /// The operand, typed.
    pub(crate) fn operand(&self, value: &Value) -> Result<Value, Failure> {
        if self.op == Op::Like {
            return self.pattern(value);
        }
        match self.kind {
            ColumnKind::Basic(ty) => self.typed(*ty, value),
            ColumnKind::Nested(Type::Char) | ColumnKind::Any => self.text(value),
            ColumnKind::Nested(ty) => self.nested(*ty, value),
            ColumnKind::Unreadable(_) => Ok(value.clone()),
        }
    }

    fn pattern(&self, value: &Value) -> Result<Value, Failure> {
        let fits = match self.kind {
            ColumnKind::Basic(ty) => *ty == Type::Symbol,
            ColumnKind::Nested(ty) => *ty == Type::Char,
            ColumnKind::Any | ColumnKind::Unreadable(_) => true,
        };
        if !fits {
            return Err(self.wrong(value, "a column of symbols or strings for like"));
        }
        let pattern = value.as_name().ok_or_else(|| self.wrong(value, "a pattern as a text, such as A*"))?;
        Ok(Value::str(pattern.as_bytes()))
    }

    fn typed(&self, ty: Type, value: &Value) -> Result<Value, Failure> {
        match self.op {
            Op::In => self.list(ty, value),
            Op::Within => match self.list(ty, value)? {
                pair if pair.count() == 2 => Ok(pair),
                _ => Err(self.wrong(value, "a pair of bounds")),
            },
            _ => Ok(Value::Atom(self.atom(ty, &self.single(value)?)?)),
        }
    }

    /// The one value that `=` and the like take.
    fn single(&self, value: &Value) -> Result<Value, Failure> {
        match value {
            Value::Vector(v) if v.ty() == Type::Char => Ok(value.clone()),
            Value::Vector(_) | Value::List(_) => match value.count() {
                1 => Ok(value.index(0)),
                _ => Err(self.wrong(value, "one value (in takes a list of them)")),
            },
            _ => Ok(value.clone()),
        }
    }

    fn list(&self, ty: Type, value: &Value) -> Result<Value, Failure> {
        let atoms: Vec<Atom> = match value {
            // A text is a list of chars for a char column, and one value for any other.
            Value::Vector(v) if v.ty() != Type::Char || ty == Type::Char => {
                v.iter().map(|a| self.atom(ty, &Value::Atom(a))).collect::<Result<_, _>>()?
            }
            Value::List(l) => l.items().iter().map(|i| self.atom(ty, i)).collect::<Result<_, _>>()?,
            one => vec![self.atom(ty, one)?],
        };
        Ok(join(ty, atoms))
    }

    fn atom(&self, ty: Type, value: &Value) -> Result<Atom, Failure> {
        match value {
            Value::Null => return null(ty).ok_or_else(|| self.wrong(value, &wanted(ty))),
            Value::Atom(a) if a.ty() == ty => return Ok(a.clone()),
            // The null of another type, sent for want of the right one.
            Value::Atom(a) if a.is_null() && is_number_like(ty) && is_number_like(a.ty()) => {
                return null(ty).ok_or_else(|| self.wrong(value, &wanted(ty)));
            }
            Value::Atom(a) if ty.is_temporal() && a.ty().is_temporal() => return Ok(a.clone()),
            Value::Atom(Atom::Float(x)) if ty == Type::Real && self.cast => {
                return Ok(real_of(*x).map_or(Atom::Float(*x), Atom::Real));
            }
            Value::Atom(a) if ty.is_numeric() && a.ty().is_numeric() => return Ok(a.clone()),
            Value::Atom(a) if ty == Type::Symbol => {
                if let Some(text) = self.number_as_text(a) {
                    return Ok(Atom::Symbol(Sym::new(text)));
                }
            }
            _ => {}
        }
        // A char is a text of one letter, which may be a NUL: a name cannot hold that.
        if let Some(bytes) = value.as_text() {
            match bytes[..] {
                [c] if ty == Type::Char => return Ok(Atom::Char(c)),
                _ if bytes.contains(&0) => return Err(self.wrong(value, &wanted(ty))),
                _ => {}
            }
        }
        let Some(text) = value.as_name() else { return Err(self.wrong(value, &wanted(ty))) };
        self.whole_text(value, text.as_bytes())?;
        parse(ty, &text).ok_or_else(|| self.wrong(value, &wanted(ty)))
    }

    /// What the option `cast` makes of a whole number where texts are compared.
    fn number_as_text(&self, a: &Atom) -> Option<String> {
        let is_number = self.cast && a.ty().is_numeric() && a.ty() != Type::Boolean;
        match a.scalar() {
            Some(Scalar::Integer(Some(n))) if is_number => Some(n.to_string()),
            _ => None,
        }
    }

    /// Refuses a text that shows bytes for which JSON has no text: it would find nothing.
    fn whole_text(&self, value: &Value, text: &[u8]) -> Result<(), Failure> {
        let is_lossy = self.cast && text.windows(3).any(|w| w == "\u{fffd}".as_bytes());
        match is_lossy {
            true => Err(self.wrong(
                value,
                "a text without U+FFFD, which stands for bytes that are no UTF-8 (like with * in its place finds them)",
            )),
            false => Ok(()),
        }
    }

    /// A list where each row holds one of this type: its items as the rows hold theirs.
    fn nested(&self, ty: Type, value: &Value) -> Result<Value, Failure> {
        match (self.op, value) {
            (Op::Eq | Op::Ne, _) => self.nested_item(ty, value),
            (Op::In, Value::List(l)) => {
                let items = l.items().iter().map(|i| self.nested_item(ty, i)).collect::<Result<Vec<_>, _>>();
                Ok(Value::list(items?))
            }
            (Op::In, Value::Vector(_)) => Ok(Value::list([self.nested_item(ty, value)?])),
            _ => Ok(value.clone()),
        }
    }

    fn nested_item(&self, ty: Type, value: &Value) -> Result<Value, Failure> {
        let items: Vec<Value> = match value {
            Value::List(l) => l.items().to_vec(),
            Value::Vector(v) => v.iter().map(Value::Atom).collect(),
            _ => return Err(self.wrong(value, &format!("a list of {ty}"))),
        };
        let atoms = items.iter().map(|i| self.atom(ty, i)).collect::<Result<Vec<_>, _>>()?;
        let exact: Option<Vec<Atom>> = atoms.iter().map(|a| convert(a, ty)).collect();
        // A value that the type cannot hold is in no such list.
        let vector = exact.and_then(|atoms| Vector::from_atoms(ty, &atoms).ok());
        Ok(vector.map_or_else(
            || Value::list(atoms.into_iter().map(Value::Atom).collect::<Vec<_>>()),
            Value::Vector,
        ))
    }

    /// Strings compare with texts; other operands stay.
    fn text(&self, value: &Value) -> Result<Value, Failure> {
        let is_text = matches!(self.kind, ColumnKind::Nested(Type::Char));
        let string = |v: &Value| -> Result<Value, Failure> {
            let text = match v {
                Value::Null => return Ok(Value::str("")),
                Value::Atom(Atom::Symbol(s)) => Some(s.as_bytes().to_vec()),
                Value::Atom(a) if is_text => {
                    v.as_text().or_else(|| self.number_as_text(a).map(String::into_bytes))
                }
                other => other.as_text(),
            };
            match text {
                Some(text) => self.whole_text(v, &text).map(|()| Value::str(text)),
                None if is_text => Err(self.wrong(v, "a text")),
                None => Ok(v.clone()),
            }
        };
        match self.op {
            Op::In | Op::Within => {
                let texts: Vec<Value> = match value {
                    Value::List(l) => l.items().iter().map(string).collect::<Result<_, _>>()?,
                    Value::Vector(v) if v.ty() != Type::Char => {
                        v.iter().map(|a| string(&Value::Atom(a))).collect::<Result<_, _>>()?
                    }
                    one => vec![string(one)?],
                };
                if self.op == Op::Within && texts.len() != 2 {
                    return Err(self.wrong(value, "a pair of bounds"));
                }
                Ok(Value::list(texts))
            }
            _ => {
                // A list of one text is that text; any other list may be what the column holds.
                let one = match value {
                    Value::List(l) if l.len() == 1 => l.items()[0].clone(),
                    Value::Vector(v) if v.ty() == Type::Symbol && v.len() == 1 => Value::Atom(v.get(0)),
                    other => other.clone(),
                };
                // A column of any values may hold a list of the one item.
                string(&one)
            }
        }
    }
}

/// The null of a type that has one.
fn null(ty: Type) -> Option<Atom> {
    (!matches!(ty, Type::Boolean | Type::Byte)).then(|| Atom::null(ty))
}

/// True for the types that are a number inside.
fn is_number_like(ty: Type) -> bool {
    ty.is_numeric() || ty.is_temporal()
}

/// Atoms as a vector where all are of one type, of the column's where no digit is lost by that; else as they are.
fn join(ty: Type, atoms: Vec<Atom>) -> Value {
    let common = atoms.first().map_or(ty, Atom::ty);
    if let Ok(vector) = Vector::from_atoms(common, &atoms) {
        return Value::Vector(vector);
    }
    let converted: Option<Vec<Atom>> = atoms.iter().map(|a| convert(a, ty)).collect();
    match converted.and_then(|atoms| Vector::from_atoms(ty, &atoms).ok()) {
        Some(vector) => Value::Vector(vector),
        None => Value::list(atoms.into_iter().map(Value::Atom).collect::<Vec<_>>()),
    }
}

/// The real that shows the same digits as a float, or is the same number: JSON has one type for both.
fn real_of(x: f64) -> Option<f32> {
    let real = x as f32;
    let same = f64::from(real) == x || real.to_string().parse() == Ok(x);
    (real.is_finite() && same).then_some(real)
}

/// A number as another type of number where no digit is lost, nulls as nulls. Temporal types count by clocks of
/// their own: their numbers are not each other's.
fn convert(a: &Atom, ty: Type) -> Option<Atom> {
    if a.ty() == ty {
        return Some(a.clone());
    }
    if !ty.is_numeric() || !a.ty().is_numeric() {
        return None;
    }
    if a.is_null() {
        return null(ty);
    }
    let is_float = matches!(ty, Type::Real | Type::Float | Type::Datetime);
    let made = match a.scalar()? {
        Scalar::Integer(Some(n)) => Atom::from_i64(ty, n),
        Scalar::Float(x) if is_float || x.fract() == 0.0 => Atom::from_f64(ty, x),
        _ => return None,
    };
    // Wide enough for each long, and for each float that is whole and near one.
    let same = match (a.scalar()?, made.scalar()?) {
        (Scalar::Integer(x), Scalar::Integer(y)) => x == y,
        (Scalar::Float(x), Scalar::Float(y)) => x == y,
        (Scalar::Integer(Some(n)), Scalar::Float(x)) | (Scalar::Float(x), Scalar::Integer(Some(n))) => {
            x as i128 == i128::from(n)
        }
        _ => false,
    };
    same.then_some(made)
}

/// A text as a type: q's own form, and JSON's.
pub(crate) fn parse(ty: Type, text: &Sym) -> Option<Atom> {
    if ty == Type::Symbol {
        return Some(Atom::Symbol(text.clone()));
    }
    if ty == Type::Char {
        return match text.as_bytes() {
            [] => Some(Atom::null(ty)),
            [one] => Some(Atom::Char(*one)),
            _ => None,
        };
    }
    let text = text.text();
    let text = text.trim();
    if text == "null" {
        return null(ty);
    }
    if ty == Type::Datetime {
        // A datetime is good for the millisecond that it shows; as a float it has more digits than that.
        return time::parse(Type::Timestamp, text)
            .filter(|a| !is_special(a))
            .or_else(|| time::parse(ty, text));
    }
    if ty.is_temporal() {
        return time::parse_wide(ty, text);
    }
    match ty {
        Type::Guid => match text {
            "" | "0Ng" => Some(Atom::null(ty)),
            _ => sg::ids::parse_guid(text).map(Atom::Guid),
        },
        Type::Boolean => match text {
            "true" | "1" | "1b" => Some(Atom::Boolean(true)),
            "false" | "0" | "0b" => Some(Atom::Boolean(false)),
            _ => None,
        },
        // Two hex digits, as answers show a byte.
        Type::Byte => {
            let hex = text.strip_prefix("0x").unwrap_or(text);
            let is_byte = hex.len() == 2 && hex.bytes().all(|b| b.is_ascii_hexdigit());
            is_byte.then(|| u8::from_str_radix(hex, 16).ok().map(Atom::Byte))?
        }
        _ => number(ty, text),
    }
}

fn number(ty: Type, text: &str) -> Option<Atom> {
    let (negative, bare) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let special = bare.strip_suffix(ty.letter()).unwrap_or(bare);
    match special {
        "" | "0N" | "0n" if !negative => return Some(Atom::null(ty)),
        _ if is_infinity(ty, bare, special) => {
            let infinity = Atom::infinity(ty)?;
            return Some(match (negative, infinity.scalar()?) {
                (false, _) => infinity,
                (true, Scalar::Integer(n)) => Atom::from_i64(ty, -n?),
                (true, Scalar::Float(x)) => Atom::from_f64(ty, -x),
            });
        }
        _ => {}
    }
    let digits = text.strip_suffix(ty.letter()).unwrap_or(text);
    let whole = match ty {
        Type::Short => digits.parse().ok().map(Atom::Short),
        Type::Int => digits.parse().ok().map(Atom::Int),
        Type::Long => digits.parse().ok().map(Atom::Long),
        Type::Real => finite(digits).and_then(real_of).map(Atom::Real),
        _ => None,
    };
    // A number beyond the type, or with a fraction, is still fair to compare with (`size > "1.5"`). The least number
    // of a layout is its null: as a text it is a number all the same.
    whole.filter(|a| !a.is_null()).or_else(|| finite(digits).map(Atom::Float))
}

/// `bare` is the text, `special` the same without the type's letter. CSV shows `inf` for floats.
fn is_infinity(ty: Type, bare: &str, special: &str) -> bool {
    matches!(special, "0W" | "0w") || matches!(ty, Type::Real | Type::Float) && bare == "inf"
}

fn is_special(a: &Atom) -> bool {
    matches!(a.scalar(), Some(Scalar::Integer(n)) if n.is_none_or(|n| time::is_special(a.ty(), n)))
}

/// Rust reads `infinity` and `nan` as floats; q's texts for them are others.
fn finite(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|x| x.is_finite())
}

fn wanted(ty: Type) -> String {
    let example = match ty {
        Type::Symbol => return "a symbol or a text".into(),
        Type::Char => return "one character".into(),
        Type::Boolean => return "true or false (a boolean is never null)".into(),
        Type::Byte => {
            return "two hex digits as answers show a byte (0f), or a number (a byte is never null)".into();
        }
        Type::Guid => return "a guid such as 8c680a01-5a49-5aab-5a65-d4bfddb6a661".into(),
        Type::Timestamp | Type::Datetime => "2024-01-02T09:30:00",
        Type::Date => "2024-01-02",
        Type::Month => "2024-01",
        Type::Timespan => "0D09:30:00.000000000",
        Type::Minute => "09:30",
        Type::Second => "09:30:00",
        Type::Time => "09:30:00.000",
        ty => return format!("a number, or a text that reads as {ty}"),
    };
    format!("a {ty} or a text that reads as one, such as \"{example}\"")
}

#[cfg(test)]
mod tests;
