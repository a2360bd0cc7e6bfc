//! What can be asked of any value: type, count, items; and the list that q makes of items.

use std::sync::Arc;

use kvalue::Type;

use super::{
    Scalar,
    core::{Data, Derived, Dict, EnumAtom, Iterator, Table, Value, Vector},
};

impl Value {
    /// q's type number, as `type` gives it.
    pub fn number(&self) -> i8 {
        match self {
            Value::Nil | Value::Hole => 101,
            Value::Enum(_) => -20,
            Value::Vector(v) => v.number(),
            Value::List(_) => 0,
            Value::Dict(_) => 99,
            Value::Table(_) | Value::Mapped(_) => 98,
            Value::Lambda(_) => 100,
            Value::Prim(p) => p.ty,
            Value::Iterator(_) => 103,
            Value::Projection(_) => 104,
            Value::Composition(_) => 105,
            Value::Derived(d) => 106 + d.iterator as i8,
            Value::Host(_) => 112,
            atom => atom.as_scalar().map_or(0, |(ty, _)| -(ty.number() as i8)),
        }
    }

    /// True for atoms, functions and `::`: what is no list, dictionary or table.
    #[inline]
    pub fn is_atom(&self) -> bool {
        !matches!(
            self,
            Value::Vector(_) | Value::List(_) | Value::Dict(_) | Value::Table(_) | Value::Mapped(_)
        )
    }

    /// True for vectors and general lists.
    pub fn is_list(&self) -> bool {
        matches!(self, Value::Vector(_) | Value::List(_))
    }

    /// True for what can be applied: lambdas, primitives, projections, …
    pub fn is_function(&self) -> bool {
        matches!(
            self,
            Value::Lambda(_)
                | Value::Prim(_)
                | Value::Iterator(_)
                | Value::Projection(_)
                | Value::Composition(_)
                | Value::Derived(_)
                | Value::Host(_)
        )
    }

    /// True for a char vector.
    pub fn is_string(&self) -> bool {
        matches!(self, Value::Vector(v) if v.ty == Type::Char)
    }

    /// Number of items, entries or rows; 1 for an atom.
    #[inline]
    pub fn count(&self) -> usize {
        match self {
            Value::Vector(v) => v.len(),
            Value::List(l) => l.len(),
            Value::Dict(d) => d.len(),
            Value::Table(t) => t.len(),
            Value::Mapped(m) => m.len().unwrap_or(0),
            _ => 1,
        }
    }

    /// Item `i` of a list (null of its type beyond the end), value `i` of a dictionary, row `i` of a table; the
    /// value itself for an atom.
    pub fn at(&self, i: usize) -> Value {
        match self {
            Value::Vector(v) => v.at(i),
            Value::List(l) => match l.get(i) {
                Some(item) => item.clone(),
                None => l.first().map_or_else(Value::empty_list, Value::null_like),
            },
            Value::Dict(d) => d.values.at(i),
            Value::Table(t) => t.row(i),
            Value::Mapped(m) => m.load().map_or(Value::Nil, |t| t.at(i)),
            atom => atom.clone(),
        }
    }

    /// The items of a list, the values of a dictionary, the rows of a table; an atom alone.
    pub fn items(&self) -> Vec<Value> {
        match self {
            Value::List(l) => l.to_vec(),
            Value::Dict(d) => d.values.items(),
            v if v.is_atom() => vec![v.clone()],
            v => (0..v.count()).map(|i| v.at(i)).collect(),
        }
    }

    /// What stands for a missing item beside this one: the null of an atom's type, an empty list of a list's type.
    pub fn null_like(&self) -> Value {
        match self {
            Value::Vector(v) => match &v.data {
                Data::Enum(domain, _) => {
                    Value::Vector(Arc::new(Vector::new(v.ty, Data::Enum(domain.clone(), Vec::new().into()))))
                }
                _ => Value::Vector(Arc::new(Vector::empty(v.ty))),
            },
            Value::List(_) => Value::empty_list(),
            Value::Dict(d) => {
                let values = Value::from_items(d.values.items().iter().map(Value::null_like).collect());
                Value::Dict(Arc::new(Dict { keys: d.keys.clone(), values, sorted: false }))
            }
            Value::Table(t) => {
                let columns = t.columns.iter().map(Value::null_like).collect();
                Value::table(Table { names: t.names.clone(), columns, sorted: false })
            }
            Value::Enum(e) => Value::Enum(Arc::new(EnumAtom { domain: e.domain.clone(), index: i64::MIN })),
            atom => atom.as_scalar().map_or(Value::Nil, |(ty, _)| Value::null(ty)),
        }
    }

    /// The list that q makes of these items: a vector where all are atoms of one basic type, a table where all are
    /// dictionaries with the same symbol keys, else a general list.
    pub fn from_items(items: Vec<Value>) -> Value {
        let Some(first) = items.first() else { return Value::empty_list() };
        match first {
            Value::Dict(d) if d.as_keyed().is_none() => {
                table_of(&items, d).unwrap_or_else(|| Value::list(items))
            }
            Value::Enum(e) => {
                let same = |v: &Value| match v {
                    Value::Enum(o) if o.domain.name == e.domain.name => Some(o.index),
                    _ => None,
                };
                match items.iter().map(same).collect::<Option<Vec<i64>>>() {
                    Some(codes) => Value::vector(Type::Symbol, Data::Enum(e.domain.clone(), codes.into())),
                    None => Value::list(items),
                }
            }
            _ => match vector_of(&items) {
                Some(v) => v,
                None => Value::list(items),
            },
        }
    }
}

fn vector_of(items: &[Value]) -> Option<Value> {
    let (ty, first) = items.first()?.as_scalar()?;
    macro_rules! collect {
        ($layout:ident) => {{
            let mut out = Vec::with_capacity(items.len());
            for item in items {
                match item.as_scalar() {
                    Some((t, Scalar::$layout(x))) if t == ty => out.push(x),
                    _ => return None,
                }
            }
            Data::$layout(out.into())
        }};
    }
    let data = match first {
        Scalar::Bool(_) => collect!(Bool),
        Scalar::Guid(_) => collect!(Guid),
        Scalar::U8(_) => collect!(U8),
        Scalar::I16(_) => collect!(I16),
        Scalar::I32(_) => collect!(I32),
        Scalar::I64(_) => collect!(I64),
        Scalar::F32(_) => collect!(F32),
        Scalar::F64(_) => collect!(F64),
        Scalar::Sym(_) => collect!(Sym),
    };
    Some(Value::vector(ty, data))
}

/// A table of dictionaries that have the symbol keys of the first one, in the same order.
fn table_of(items: &[Value], first: &Dict) -> Option<Value> {
    let Value::Vector(keys) = &first.keys else { return None };
    let Data::Sym(names) = &keys.data else { return None };
    if names.is_empty() {
        return None;
    }
    for item in items {
        let Value::Dict(d) = item else { return None };
        let Value::Vector(k) = &d.keys else { return None };
        let Data::Sym(k) = &k.data else { return None };
        if k[..] != names[..] {
            return None;
        }
    }
    let column = |i: usize| {
        Value::from_items(
            items.iter().map(|d| if let Value::Dict(d) = d { d.values.at(i) } else { Value::Nil }).collect(),
        )
    };
    let columns = (0..names.len()).map(column).collect();
    Some(Value::table(Table { names: names.to_vec().into(), columns, sorted: false }))
}

impl Vector {
    /// Element `i` as an atom; the null of the type beyond the end.
    pub fn at(&self, i: usize) -> Value {
        let scalar = match &self.data {
            Data::Bool(d) => d.get(i).map(|x| Scalar::Bool(*x)),
            Data::Guid(d) => d.get(i).map(|x| Scalar::Guid(*x)),
            Data::U8(d) => d.get(i).map(|x| Scalar::U8(*x)),
            Data::I16(d) => d.get(i).map(|x| Scalar::I16(*x)),
            Data::I32(d) => d.get(i).map(|x| Scalar::I32(*x)),
            Data::I64(d) => d.get(i).map(|x| Scalar::I64(*x)),
            Data::F32(d) => d.get(i).map(|x| Scalar::F32(*x)),
            Data::F64(d) => d.get(i).map(|x| Scalar::F64(*x)),
            Data::Sym(d) => d.get(i).map(|x| Scalar::Sym(*x)),
            Data::Enum(domain, codes) => {
                let index = codes.get(i).copied().unwrap_or(i64::MIN);
                return Value::Enum(Arc::new(EnumAtom { domain: domain.clone(), index }));
            }
        };
        Value::atom(self.ty, scalar.unwrap_or_else(|| Scalar::null(self.ty)))
    }

    /// An enumeration's elements themselves: the items of its domain; any other vector as it is.
    pub fn resolved(self: &Arc<Vector>) -> Value {
        let Data::Enum(domain, codes) = &self.data else { return Value::Vector(self.clone()) };
        match &domain.list {
            Value::Nil => Value::vector(Type::Long, Data::I64(codes.clone())),
            Value::Vector(list) => match &list.data {
                Data::Sym(names) => Value::syms(
                    codes
                        .iter()
                        .map(|&c| {
                            usize::try_from(c)
                                .ok()
                                .and_then(|c| names.get(c))
                                .copied()
                                .unwrap_or(super::Sym::NULL)
                        })
                        .collect(),
                ),
                _ => Value::from_items(
                    codes.iter().map(|&c| list.at(usize::try_from(c).unwrap_or(usize::MAX))).collect(),
                ),
            },
            list => Value::from_items(
                codes.iter().map(|&c| list.at(usize::try_from(c).unwrap_or(usize::MAX))).collect(),
            ),
        }
    }
}

impl Iterator {
    /// What q writes.
    pub fn text(self) -> &'static str {
        match self {
            Iterator::Each => "'",
            Iterator::Over => "/",
            Iterator::Scan => "\\",
            Iterator::Prior => "':",
            Iterator::EachRight => "/:",
            Iterator::EachLeft => "\\:",
        }
    }
}

impl Derived {
    /// A value with an iterator behind it.
    pub fn value(operand: Value, iterator: Iterator) -> Value {
        Value::Derived(Arc::new(Derived { operand, iterator }))
    }
}

impl std::fmt::Debug for super::core::Lambda {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::fmt::Debug for dyn super::core::HostFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
