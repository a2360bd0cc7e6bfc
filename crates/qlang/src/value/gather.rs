//! Rows out of columns, and columns end to end: typed loops, no item is boxed.

use std::{borrow::Cow, sync::Arc};

use kvalue::{
    Attr, Type,
    types::{NULL_FLOAT, NULL_INT, NULL_LONG, NULL_REAL, NULL_SHORT},
};

use super::{
    Scalar, Sym,
    buf::Element,
    core::{Data, Dict, Table, Value, Vector},
};
use crate::map_data;

/// A row number that stands for no row: gathering it gives a null.
pub const NO_ROW: u32 = u32::MAX;

/// The null among the elements of a layout.
pub trait NullOf: Element {
    /// The null of a type of this layout.
    fn null_of(ty: Type) -> Self;
}

macro_rules! null_of {
    ($($t:ty => $ty:ident $e:expr;)*) => {$(
        impl NullOf for $t {
            #[inline]
            fn null_of($ty: Type) -> Self {
                $e
            }
        }
    )*};
}
null_of! {
    bool => _ty false;
    [u8; 16] => _ty [0; 16];
    u8 => ty if ty == Type::Char { b' ' } else { 0 };
    i16 => _ty NULL_SHORT;
    i32 => _ty NULL_INT;
    i64 => _ty NULL_LONG;
    f32 => _ty NULL_REAL;
    f64 => _ty NULL_FLOAT;
    Sym => _ty Sym::NULL;
}

/// A number that is a position in a list.
pub trait Position: Copy {
    /// As an offset; beyond any list where it is negative or null.
    fn offset(self) -> usize;
}

impl Position for i64 {
    #[inline]
    fn offset(self) -> usize {
        usize::try_from(self).unwrap_or(usize::MAX)
    }
}

impl Position for u32 {
    #[inline]
    fn offset(self) -> usize {
        self as usize
    }
}

impl Position for usize {
    #[inline]
    fn offset(self) -> usize {
        self
    }
}

fn pick<T: NullOf, I: Position>(items: &[T], at: &[I], ty: Type) -> Vec<T> {
    // One pass finds whether a position lies beyond the end; where none does, the loop needs no default.
    let n = items.len();
    if at.iter().fold(0, |m, i| m.max(i.offset())) >= n {
        let null = T::null_of(ty);
        return at.iter().map(|&i| items.get(i.offset()).copied().unwrap_or(null)).collect();
    }
    at.iter().map(|&i| items[i.offset()]).collect()
}

impl Vector {
    /// The elements at these positions; nulls for positions outside. No attribute.
    pub fn gather<I: Position>(&self, at: &[I]) -> Vector {
        Vector::new(self.ty, map_data!(&self.data, items => pick(items, at, self.ty).into()))
    }
}

impl Value {
    /// The items (rows, entries) at these places in this order; a null of the column's type for a place beyond the
    /// end. Attributes are dropped. An atom is repeated.
    pub fn gather<I: Position>(&self, rows: &[I]) -> Value {
        match self {
            Value::Vector(v) => Value::Vector(Arc::new(v.gather(rows))),
            Value::List(l) => {
                let missing = l.first().map_or_else(Value::empty_list, Value::null_like);
                let items =
                    rows.iter().map(|&r| l.get(r.offset()).cloned().unwrap_or_else(|| missing.clone()));
                Value::from_items(items.collect())
            }
            Value::Dict(d) => {
                Value::dict(Dict { keys: d.keys.gather(rows), values: d.values.gather(rows), sorted: false })
            }
            Value::Table(t) => {
                let columns = t.columns.iter().map(|c| c.gather(rows)).collect();
                Value::table(Table { names: t.names.clone(), columns, sorted: false })
            }
            Value::Mapped(m) => m.load().map_or(Value::Nil, |t| t.gather(rows)),
            atom => atom.repeat(rows.len()),
        }
    }

    /// `n` items from `from` on, cut at the end. Sorted, unique and parted survive.
    pub fn slice(&self, from: usize, n: usize) -> Value {
        let count = self.count();
        let from = from.min(count);
        let to = from.saturating_add(n).min(count);
        if from == 0 && to == count {
            return self.clone();
        }
        match self {
            Value::Vector(v) => {
                let data = map_data!(&v.data, items => items[from..to].to_vec().into());
                let attr = if v.attr == Attr::Grouped { Attr::None } else { v.attr };
                Value::Vector(Arc::new(Vector::new(v.ty, data).with_attr(attr)))
            }
            Value::List(l) => Value::from_items(l[from..to].to_vec()),
            Value::Dict(d) => Value::dict(Dict {
                keys: d.keys.slice(from, n),
                values: d.values.slice(from, n),
                sorted: d.sorted,
            }),
            Value::Table(t) => {
                let columns = t.columns.iter().map(|c| c.slice(from, n)).collect();
                Value::table(Table { names: t.names.clone(), columns, sorted: t.sorted })
            }
            Value::Mapped(m) => m.load().map_or(Value::Nil, |t| t.slice(from, n)),
            atom => atom.clone(),
        }
    }

    /// A list of this item, `n` times.
    pub fn repeat(&self, n: usize) -> Value {
        macro_rules! layouts {
            ($ty:expr, $s:expr, $($l:ident),*) => {
                match $s {
                    $(Scalar::$l(x) => Value::vector($ty, Data::$l(vec![x; n].into())),)*
                }
            };
        }
        if let Some((ty, scalar)) = self.as_scalar() {
            return layouts!(ty, scalar, Bool, Guid, U8, I16, I32, I64, F32, F64, Sym);
        }
        match self {
            Value::Enum(e) => {
                Value::vector(Type::Symbol, Data::Enum(e.domain.clone(), vec![e.index; n].into()))
            }
            other => Value::from_items(vec![other.clone(); n]),
        }
    }

    /// `n` nulls of a column's type; of empty lists for a general list of lists.
    pub fn nulls(&self, n: usize) -> Value {
        match self {
            Value::Vector(v) => v.at(usize::MAX).repeat(n),
            Value::List(l) => {
                Value::list(vec![l.first().map_or_else(Value::empty_list, Value::null_like); n])
            }
            Value::Table(t) => {
                let columns = t.columns.iter().map(|c| c.nulls(n)).collect();
                Value::table(Table { names: t.names.clone(), columns, sorted: false })
            }
            other => other.null_like().repeat(n),
        }
    }

    /// Two lists end to end; columns of two types make a general list, an empty general list takes the other's
    /// type. The first is grown in place where nobody else holds it.
    pub fn append(self, other: &Value) -> Value {
        macro_rules! layouts {
            ($x:expr, $y:expr, $($l:ident),*) => {
                match (&mut $x.data, &$y.data) {
                    $((Data::$l(a), Data::$l(b)) => {
                        a.to_mut().extend_from_slice(b);
                        a.settle();
                        true
                    })*
                    (Data::Enum(d, a), Data::Enum(e, b)) if d.name == e.name => {
                        if e.list.count() > d.list.count() {
                            *d = e.clone();
                        }
                        a.to_mut().extend_from_slice(b);
                        a.settle();
                        true
                    }
                    _ => false,
                }
            };
        }
        if other.is_list() && other.count() == 0 && self.count() > 0 {
            return self;
        }
        match (self, other) {
            (Value::List(l), o) if l.is_empty() && o.is_list() => match o {
                Value::Vector(v) if v.attr != Attr::None => {
                    Value::Vector(Arc::new(Vector::clone(v).with_attr(Attr::None)))
                }
                o => o.clone(),
            },
            (Value::Vector(mut x), Value::Vector(y)) if x.ty == y.ty => {
                let keep = kept(&x, y);
                let own = Arc::make_mut(&mut x);
                if layouts!(own, y, Bool, Guid, U8, I16, I32, I64, F32, F64, Sym) {
                    own.attr = keep;
                    return Value::Vector(x);
                }
                // An enumeration beside plain symbols, or over another domain: plain symbols.
                let mut items = x.resolved().items();
                items.extend(y.resolved().items());
                Value::from_items(items)
            }
            (Value::List(mut x), y) => {
                let own = Arc::make_mut(&mut x);
                own.to_mut().extend(y.items());
                own.settle();
                Value::List(x)
            }
            (Value::Table(mut x), Value::Table(y)) if x.names == y.names => {
                let own = Arc::make_mut(&mut x);
                own.sorted = false;
                for (a, b) in own.columns.iter_mut().zip(&y.columns) {
                    let column = std::mem::replace(a, Value::Nil);
                    *a = column.append(b);
                }
                Value::Table(x)
            }
            (x, y) => {
                let mut items = x.items();
                items.extend(y.items());
                Value::from_items(items)
            }
        }
    }

    /// The vector's attribute; none for anything else.
    pub fn attr(&self) -> Attr {
        match self {
            Value::Vector(v) => v.attr,
            Value::List(l) => l.attr,
            _ => Attr::None,
        }
    }

    /// The same value without an attribute.
    #[must_use]
    pub fn plain(self) -> Value {
        match self {
            Value::Vector(mut v) if v.attr != Attr::None => {
                match Arc::get_mut(&mut v) {
                    Some(own) => own.attr = Attr::None,
                    None => v = Arc::new(Vector::clone(&v).with_attr(Attr::None)),
                }
                Value::Vector(v)
            }
            other => other,
        }
    }
}

impl Value {
    /// The same list with the items in reverse order.
    pub fn reversed(&self) -> Value {
        match self {
            Value::Vector(v) => {
                let data = map_data!(&v.data, items => items.iter().rev().copied().collect());
                Value::vector(v.ty, data)
            }
            Value::List(l) => Value::list(l.iter().rev().cloned().collect()),
            Value::Dict(d) => {
                Value::dict(Dict { keys: d.keys.reversed(), values: d.values.reversed(), sorted: false })
            }
            Value::Table(t) => {
                let columns = t.columns.iter().map(Value::reversed).collect();
                Value::table(Table { names: t.names.clone(), columns, sorted: false })
            }
            Value::Mapped(m) => m.load().map_or(Value::Nil, |t| t.reversed()),
            atom => atom.clone(),
        }
    }

    /// The integers of an integral atom or vector (boolean, byte, short, int, long) as longs, nulls as the long
    /// null; `None` for all else. An empty general list has none.
    pub fn to_longs(&self) -> Option<Cow<'_, [i64]>> {
        match self {
            Value::Vector(v) => Some(match (&v.data, v.ty) {
                (Data::I64(d), Type::Long) => Cow::Borrowed(&d[..]),
                (Data::I32(d), Type::Int) => {
                    d.iter().map(|&x| if x == NULL_INT { NULL_LONG } else { i64::from(x) }).collect()
                }
                (Data::I16(d), Type::Short) => {
                    d.iter().map(|&x| if x == NULL_SHORT { NULL_LONG } else { i64::from(x) }).collect()
                }
                (Data::U8(d), Type::Byte) => d.iter().map(|&x| i64::from(x)).collect(),
                (Data::Bool(d), _) => d.iter().map(|&x| i64::from(x)).collect(),
                _ => return None,
            }),
            Value::List(l) if l.is_empty() => Some(Cow::Borrowed(&[])),
            other => Some(Cow::Owned(vec![other.as_index()?])),
        }
    }

    /// The number of an integral atom: boolean, byte, short, int, long; no char, no temporal.
    pub fn as_index(&self) -> Option<i64> {
        match self {
            Value::Long(n) => Some(*n),
            Value::Bool(_) | Value::Byte(_) | Value::Short(_) | Value::Int(_) => self.as_int(),
            _ => None,
        }
    }
}

/// The attribute that survives appending: `g` is kept by its index; `s` where the ends are in order.
fn kept(x: &Vector, y: &Vector) -> Attr {
    match x.attr {
        Attr::Grouped => Attr::Grouped,
        Attr::Sorted => {
            let ordered = match (&x.data, &y.data) {
                (Data::I32(a), Data::I32(b)) => a.last() <= b.first() && b.is_sorted(),
                (Data::I64(a), Data::I64(b)) => a.last() <= b.first() && b.is_sorted(),
                _ => false,
            };
            if ordered { Attr::Sorted } else { Attr::None }
        }
        _ => Attr::None,
    }
}
