//! The common type of all items of a general list, if any.

use kvalue::{Type, Value};

/// Type of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Nothing but `::`, or no item at all.
    Unknown,
    /// Atoms of one type.
    Atom(Type),
    /// Char vectors and chars.
    Text,
    /// Lists whose items have one shape.
    List(Box<Shape>),
}

/// A list within a list within … so deep at most.
const MAX_DEPTH: usize = 16;

impl Shape {
    /// Shape of a value; `None` for a value outside the types of these formats.
    pub(crate) fn of(value: &Value, depth: usize) -> Option<Shape> {
        if depth > MAX_DEPTH {
            return None;
        }
        Some(match value {
            Value::Null => Shape::Unknown,
            Value::Atom(a) => Shape::Atom(a.ty()),
            Value::Vector(v) if v.ty() == Type::Char => Shape::Text,
            Value::Vector(v) => Shape::List(Box::new(Shape::Atom(v.ty()))),
            Value::List(l) => {
                let items = l
                    .items()
                    .iter()
                    .try_fold(Shape::Unknown, |known, item| known.with(Shape::of(item, depth + 1)?))?;
                Shape::List(Box::new(items))
            }
            Value::Dict(_) | Value::Table(_) | Value::Opaque(_) => return None,
        })
    }

    /// The shape that holds both; `None` where none does.
    pub(crate) fn with(self, other: Shape) -> Option<Shape> {
        let is_char = |s: &Shape| matches!(s, Shape::Text | Shape::Atom(Type::Char));
        Some(match (self, other) {
            (a, b) if a == b => a,
            (Shape::Unknown, known) | (known, Shape::Unknown) => known,
            (a, b) if is_char(&a) && is_char(&b) => Shape::Text,
            // `()` is an empty text, too.
            (Shape::Text, Shape::List(of)) | (Shape::List(of), Shape::Text) if *of == Shape::Unknown => {
                Shape::Text
            }
            (Shape::List(a), Shape::List(b)) => Shape::List(Box::new(a.with(*b)?)),
            _ => return None,
        })
    }

    /// The shape in words, and q's name of the type.
    pub(crate) fn words(&self) -> String {
        match self {
            Shape::Unknown => "nothing".into(),
            Shape::Atom(ty) => ty.name().into(),
            Shape::Text => "string".into(),
            Shape::List(of) => format!("list of {}", of.words()),
        }
    }
}
