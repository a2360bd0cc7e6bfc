//! Operands of conditions as the column's type wants them.
//!
//! Texts and symbols are read as the column's type whatever the request says: they could not be compared
//! otherwise. Numbers and temporal values stay as they are, since kernels compare them across types as q does.
//! A list given for one value, or the other way round, is an error here, not at the first block. Tests: here.

use kernels::compare::Op;
use kvalue::{Atom, Sym, Type, Value, Vector, time};
use sg::Failure;

use crate::{schema::ColumnKind, show};

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
            show::value(value)
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
            ColumnKind::Nested(_) | ColumnKind::Unreadable(_) => Ok(value.clone()),
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
        Ok(Value::Vector(join(ty, atoms)))
    }

    fn atom(&self, ty: Type, value: &Value) -> Result<Atom, Failure> {
        let number_like = |ty: Type| !matches!(ty, Type::Guid | Type::Symbol);
        match value {
            Value::Null => return Ok(Atom::null(ty)),
            Value::Atom(a) if a.ty() == ty => return Ok(a.clone()),
            // A char is a text of one letter, unless the column holds numbers that a letter cannot be.
            Value::Atom(a) if number_like(ty) && number_like(a.ty()) && a.ty() != Type::Char => {
                return Ok(a.clone());
            }
            Value::Atom(a) if ty == Type::Symbol && self.cast => {
                if let Some(kvalue::atom::Scalar::Integer(Some(n))) = a.scalar()
                    && a.ty().is_numeric()
                {
                    return Ok(Atom::Symbol(Sym::new(n.to_string())));
                }
            }
            _ => {}
        }
        let parsed = value.as_name().and_then(|text| parse(ty, &text));
        parsed.ok_or_else(|| self.wrong(value, &wanted(ty)))
    }

    /// Strings compare with texts; other operands stay.
    fn text(&self, value: &Value) -> Result<Value, Failure> {
        let string = |v: &Value| match v {
            Value::Null => Value::str(""),
            other => other.as_name().map_or_else(|| other.clone(), |t| Value::str(t.as_bytes())),
        };
        match self.op {
            Op::In | Op::Within => {
                let texts: Vec<Value> = match value {
                    Value::List(l) => l.items().iter().map(string).collect(),
                    Value::Vector(v) if v.ty() != Type::Char => {
                        v.iter().map(|a| string(&Value::Atom(a))).collect()
                    }
                    one => vec![string(one)],
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
                let one = string(&one);
                let is_text = one.as_text().is_some();
                if matches!(self.kind, ColumnKind::Nested(Type::Char)) && !is_text {
                    return Err(self.wrong(value, "a text"));
                }
                Ok(one)
            }
        }
    }
}

/// Atoms as a vector: of the column's type where all are; of longs or floats where numbers differ in type.
fn join(ty: Type, atoms: Vec<Atom>) -> Vector {
    let common = atoms.first().map_or(ty, Atom::ty);
    if let Ok(vector) = Vector::from_atoms(common, &atoms) {
        return vector;
    }
    // Mixed temporal types meet on the column's clock where they can, mixed numbers as floats.
    let convert = |a: &Atom| convert(a, ty).unwrap_or_else(|| a.clone());
    let converted: Vec<Atom> = atoms.iter().map(convert).collect();
    if let Ok(vector) = Vector::from_atoms(ty, &converted) {
        return vector;
    }
    let float = |a: &Atom| match a.scalar() {
        Some(kvalue::atom::Scalar::Integer(Some(n))) => n as f64,
        Some(kvalue::atom::Scalar::Float(x)) => x,
        _ => kvalue::types::NULL_FLOAT,
    };
    Vector::floats(atoms.iter().map(float).collect())
}

/// A number as another type where no digit is lost, nulls as nulls.
fn convert(a: &Atom, ty: Type) -> Option<Atom> {
    use kvalue::atom::Scalar;
    if a.ty() == ty {
        return Some(a.clone());
    }
    if a.is_null() {
        return Some(Atom::null(ty));
    }
    let is_float = matches!(ty, Type::Real | Type::Float | Type::Datetime);
    let made = match a.scalar()? {
        Scalar::Integer(Some(n)) => Atom::from_i64(ty, n),
        Scalar::Float(x) if is_float || x.fract() == 0.0 => Atom::from_f64(ty, x),
        _ => return None,
    };
    let same = match (a.scalar()?, made.scalar()?) {
        (Scalar::Integer(x), Scalar::Integer(y)) => x == y,
        (Scalar::Float(x), Scalar::Float(y)) => x == y,
        (Scalar::Integer(Some(n)), Scalar::Float(x)) | (Scalar::Float(x), Scalar::Integer(Some(n))) => {
            n as f64 == x
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
    if ty.is_temporal() {
        return time::parse(ty, text);
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
        Type::Byte => match text.strip_prefix("0x") {
            Some(hex) => u8::from_str_radix(hex, 16).ok().map(Atom::Byte),
            None => text.parse().ok().map(Atom::Byte),
        },
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
        "0W" | "0w" => {
            let infinity = Atom::infinity(ty)?;
            return Some(match (negative, infinity.scalar()?) {
                (false, _) => infinity,
                (true, kvalue::atom::Scalar::Integer(n)) => Atom::from_i64(ty, -n?),
                (true, kvalue::atom::Scalar::Float(x)) => Atom::from_f64(ty, -x),
            });
        }
        _ => {}
    }
    let digits = text.strip_suffix(ty.letter()).unwrap_or(text);
    match ty {
        Type::Short => digits.parse().ok().map(Atom::Short),
        Type::Int => digits.parse().ok().map(Atom::Int),
        Type::Long => digits.parse().ok().map(Atom::Long),
        Type::Real => finite(digits).map(|x| Atom::Real(x as f32)),
        Type::Float => finite(digits).map(Atom::Float),
        _ => None,
    }
    // A fraction against a whole column is a fair comparison (`size > "1.5"`).
    .or_else(|| (ty != Type::Real && ty.is_numeric()).then(|| finite(digits).map(Atom::Float))?)
}

/// Rust reads `inf` and `nan` as floats; q's texts for them are others.
fn finite(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|x| x.is_finite())
}

fn wanted(ty: Type) -> String {
    match ty {
        Type::Symbol => "a symbol or a text".into(),
        Type::Char => "one character".into(),
        Type::Boolean => "true or false".into(),
        Type::Guid => "a guid such as 8c680a01-5a49-5aab-5a65-d4bfddb6a661".into(),
        ty if ty.is_temporal() => format!("a {ty} or a text that reads as one"),
        ty => format!("a number, or a text that reads as {ty}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast(op: Op, ty: Type, value: Value) -> Result<Value, String> {
        let kind = ColumnKind::Basic(ty);
        Context { op, column: &"c".into(), kind: &kind, cast: false }.operand(&value).map_err(|f| f.ai)
    }

    #[test]
    fn texts_become_the_columns_type() {
        for (ty, text, atom) in [
            (Type::Symbol, "A", Atom::Symbol("A".into())),
            (Type::Long, "12", Atom::Long(12)),
            (Type::Long, "12j", Atom::Long(12)),
            (Type::Long, "1.5", Atom::Float(1.5)),
            (Type::Int, "0Wi", Atom::Int(i32::MAX)),
            (Type::Float, "-0w", Atom::Float(f64::NEG_INFINITY)),
            (Type::Float, "1e3", Atom::Float(1000.0)),
            (Type::Short, "", Atom::null(Type::Short)),
            (Type::Boolean, "true", Atom::Boolean(true)),
            (Type::Byte, "0xff", Atom::Byte(255)),
            (Type::Char, "x", Atom::Char(b'x')),
            (Type::Date, "2015-01-07", Atom::Date(5485)),
            (Type::Minute, "09:30", Atom::Minute(570)),
        ] {
            assert_eq!(cast(Op::Eq, ty, Value::str(text)), Ok(Value::Atom(atom)), "{ty} {text}");
        }
    }

    #[test]
    fn lists_become_vectors_and_numbers_of_several_types_one() {
        let texts = Value::list([Value::str("a"), Value::str("b")]);
        assert_eq!(cast(Op::In, Type::Symbol, texts), Ok(Value::syms(["a", "b"])));
        assert_eq!(cast(Op::In, Type::Symbol, Value::str("ab")), Ok(Value::syms(["ab"])));
        let chars = cast(Op::In, Type::Char, Value::str("ab"));
        assert_eq!(chars, Ok(Value::str("ab")));
        let mixed = Value::list([Value::from(1i64), Value::from(2.5)]);
        assert_eq!(cast(Op::In, Type::Long, mixed), Ok(Value::Vector(Vector::floats(vec![1.0, 2.5]))));
        let whole = Value::list([Value::from(1i64), Value::from(2.0)]);
        assert_eq!(cast(Op::In, Type::Int, whole), Ok(Value::Vector(Vector::new(Type::Int, vec![1, 2]))));
        let with_null = Value::list([Value::from(1i64), Value::Null]);
        let expected = Vector::longs(vec![1, kvalue::types::NULL_LONG]);
        assert_eq!(cast(Op::In, Type::Long, with_null), Ok(Value::Vector(expected)));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let err = cast(Op::Eq, Type::Long, Value::str("abc")).unwrap_err();
        assert_eq!(
            err,
            "filter compares the long column `c` by = with \"abc\": expected a number, or a text that reads as long"
        );
        assert!(cast(Op::Eq, Type::Symbol, Value::from(1i64)).unwrap_err().contains("a symbol or a text"));
        assert!(
            cast(Op::Eq, Type::Long, Value::from(Vector::longs(vec![1, 2])))
                .unwrap_err()
                .contains("in takes")
        );
        assert!(cast(Op::Within, Type::Long, Value::from(1i64)).unwrap_err().contains("a pair"));
        assert!(cast(Op::Like, Type::Long, Value::str("1*")).unwrap_err().contains("symbols or strings"));
        assert!(cast(Op::Eq, Type::Guid, Value::str("x")).is_err());
        assert!(cast(Op::Eq, Type::Float, Value::str("inf")).is_err());
    }

    #[test]
    fn the_cast_option_makes_symbols_of_numbers() {
        let kind = ColumnKind::Basic(Type::Symbol);
        let context = Context { op: Op::Eq, column: &"c".into(), kind: &kind, cast: true };
        assert_eq!(context.operand(&Value::from(5i64)).unwrap(), Value::sym("5"));
    }
}
