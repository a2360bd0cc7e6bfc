//! Aggregates of one argument over every shape: of a vector a number, of a list item by item, of a table a number a
//! column, of a dictionary those of its values.

use crate::{
    QError, R,
    ctx::Ctx,
    ops::arith::{
        self, Verb,
        lanes::Operand,
        monads::floats_of,
        shape::{Level, plain},
    },
    value::{Data, Dict, Table, Value, Vector, sort_rows, value_order},
};

use super::reduce;

/// A monad of any values.
type Monad = fn(&mut dyn Ctx, Value) -> R;

/// Goes from dictionaries to their values and from tables to their columns; `f` gets what is left.
fn spread(ctx: &mut dyn Ctx, x: Value, this: Monad, f: impl FnOnce(&mut dyn Ctx, Value) -> R) -> R {
    let _level = Level::down()?;
    match plain(x)? {
        Value::Dict(d) => this(ctx, d.values.clone()),
        Value::Table(t) => by_column(&t, |c| this(ctx, c)),
        x if x.is_function() || matches!(x, Value::Nil | Value::Hole) => Err(QError::type_()),
        x => f(ctx, x),
    }
}

/// A dictionary from the names of a table's columns to a result for each.
pub fn by_column(t: &Table, mut f: impl FnMut(Value) -> R) -> R {
    let values: R<Vec<Value>> = t.columns.iter().map(|c| f(c.clone())).collect();
    Ok(Value::dict(Dict {
        keys: Value::syms(t.names.to_vec()),
        values: Value::from_items(values?),
        sorted: false,
    }))
}

/// Applies `f` to the first items of the items, the second ones and so on: a matrix column by column. `'length`
/// where the items differ in length.
pub fn across(ctx: &mut dyn Ctx, items: &[Value], mut f: impl FnMut(&mut dyn Ctx, Value) -> R) -> R {
    let n = items.iter().find(|i| !i.is_atom()).map_or(1, Value::count);
    if items.iter().any(|i| !i.is_atom() && i.count() != n) {
        return Err(QError::length());
    }
    if let Some(Value::Dict(d)) = items.first() {
        let values: Vec<Value> =
            items.iter().map(|i| if let Value::Dict(d) = i { d.values.clone() } else { i.clone() }).collect();
        let values = across(ctx, &values, f)?;
        return Ok(Value::dict(Dict { keys: d.keys.clone(), values, sorted: false }));
    }
    let mut out = Vec::with_capacity(n);
    for j in 0..n {
        if j % 256 == 0 {
            ctx.check()?;
        }
        out.push(f(ctx, column_of(items, j))?);
    }
    Ok(Value::from_items(out))
}

/// Item `j` of every item.
fn column_of(items: &[Value], j: usize) -> Value {
    Value::from_items(items.iter().map(|i| if i.is_atom() { i.clone() } else { i.at(j) }).collect())
}

fn all_atoms(items: &[Value]) -> bool {
    items.iter().all(Value::is_atom)
}

/// A mixed list of atoms as floats.
pub fn floats_of_atoms(items: &[Value]) -> R<Vec<f64>> {
    items.iter().map(|i| i.as_number().ok_or_else(QError::type_)).collect()
}

/// Folds a list with a dyad; `first` prepares the first item.
fn fold(ctx: &mut dyn Ctx, items: &[Value], verb: Verb, first: Value) -> R {
    let mut out = first;
    for item in items.iter() {
        ctx.check()?;
        out = arith::dyad(ctx, verb, out, item.clone())?;
    }
    Ok(out)
}

/// `sum x`. Nulls are skipped in vectors and among atoms; lists are added item by item, where null makes null.
pub fn sum(ctx: &mut dyn Ctx, x: Value) -> R {
    if let Value::Vector(v) = &x
        && !matches!(v.data, Data::Enum(..))
    {
        return reduce::sum(ctx, v);
    }
    spread(ctx, x, sum, |ctx, x| match x {
        Value::Vector(v) => reduce::sum(ctx, &v),
        Value::List(l) if l.is_empty() => Ok(Value::Long(0)),
        Value::List(l) if all_atoms(&l) => {
            let mut out = Value::Bool(false);
            for item in l.iter() {
                let item = arith::fill(ctx, Value::Bool(false), item.clone())?;
                out = arith::add(ctx, out, item)?;
            }
            Ok(out)
        }
        Value::List(l) => {
            let first = arith::add(ctx, Value::Bool(false), l[0].clone())?;
            fold(ctx, &l[1..], Verb::Add, first)
        }
        atom => arith::add(ctx, Value::Bool(false), atom),
    })
}

/// `prd x`
pub fn prd(ctx: &mut dyn Ctx, x: Value) -> R {
    spread(ctx, x, prd, |ctx, x| match x {
        Value::Vector(v) => reduce::product(&v),
        Value::List(l) if l.is_empty() => Ok(Value::Long(1)),
        Value::List(l) if all_atoms(&l) => {
            let mut out = Value::Bool(true);
            for item in l.iter() {
                let item = arith::fill(ctx, Value::Bool(true), item.clone())?;
                out = arith::multiply(ctx, out, item)?;
            }
            Ok(out)
        }
        Value::List(l) => {
            let first = arith::multiply(ctx, Value::Bool(true), l[0].clone())?;
            fold(ctx, &l[1..], Verb::Multiply, first)
        }
        atom => arith::multiply(ctx, Value::Bool(true), atom),
    })
}

fn extreme(ctx: &mut dyn Ctx, x: Value, this: Monad, verb: Verb) -> R {
    let least = verb == Verb::Lesser;
    spread(ctx, x, this, |ctx, x| match x {
        Value::Vector(v) => reduce::extreme(ctx, &v, least),
        Value::List(l) if l.is_empty() => {
            Ok(Value::Long(if least { kvalue::types::INF_LONG } else { -kvalue::types::INF_LONG }))
        }
        Value::List(l) if all_atoms(&l) => {
            let mut seen: Vec<Value> = Vec::new();
            for item in l.iter() {
                if !matches!(arith::is_null(ctx, item.clone())?, Value::Bool(true)) {
                    seen.push(item.clone());
                }
            }
            let rest = if seen.is_empty() { &l[..] } else { &seen[..] };
            fold(ctx, &rest[1..], verb, rest[0].clone())
        }
        Value::List(l) => fold(ctx, &l[1..], verb, l[0].clone()),
        atom => arith::dyad(ctx, verb, atom.clone(), atom),
    })
}

/// `min x`
pub fn min(ctx: &mut dyn Ctx, x: Value) -> R {
    extreme(ctx, x, min, Verb::Lesser)
}

/// `max x`
pub fn max(ctx: &mut dyn Ctx, x: Value) -> R {
    extreme(ctx, x, max, Verb::Greater)
}

/// `avg x`: for general lists the sum divided by the count, so that a null gives null.
pub fn avg(ctx: &mut dyn Ctx, x: Value) -> R {
    spread(ctx, x, avg, |ctx, x| match x {
        Value::Vector(v) => Ok(Value::Float(reduce::mean(ctx, &v)?)),
        Value::List(l) if l.is_empty() => Ok(Value::Float(f64::NAN)),
        Value::List(l) => {
            let n = l.len() as i64;
            let sum = sum(ctx, Value::List(l))?;
            arith::divide(ctx, sum, Value::Long(n))
        }
        atom => arith::divide(ctx, atom, Value::Long(1)),
    })
}

/// Statistics of numbers as floats; matrices column by column.
fn statistic(ctx: &mut dyn Ctx, x: Value, this: Monad, of: fn(&mut dyn Ctx, &Vector) -> R<f64>) -> R {
    spread(ctx, x, this, |ctx, x| match x {
        Value::Vector(v) => Ok(Value::Float(of(ctx, &v)?)),
        Value::List(l) if all_atoms(&l) => {
            let items = floats_of_atoms(&l)?;
            let v = Vector::new(kvalue::Type::Float, Data::F64(items.into()));
            Ok(Value::Float(of(ctx, &v)?))
        }
        Value::List(l) => across(ctx, &l, |ctx, c| this(ctx, c)),
        atom => {
            let one = atom.repeat(1);
            let Value::Vector(v) = one else { return Err(QError::type_()) };
            Ok(Value::Float(of(ctx, &v)?))
        }
    })
}

fn variance(ctx: &mut dyn Ctx, v: &Vector, sample: bool) -> R<f64> {
    let m = reduce::moments(ctx, &reduce::centred(v)?);
    Ok(m.m2 / reduce::divisor(sample, m.n))
}

/// `var x`
pub fn var(ctx: &mut dyn Ctx, x: Value) -> R {
    statistic(ctx, x, var, |ctx, v| variance(ctx, v, false))
}

/// `svar x`
pub fn svar(ctx: &mut dyn Ctx, x: Value) -> R {
    statistic(ctx, x, svar, |ctx, v| variance(ctx, v, true))
}

/// `dev x`
pub fn dev(ctx: &mut dyn Ctx, x: Value) -> R {
    statistic(ctx, x, dev, |ctx, v| Ok(variance(ctx, v, false)?.sqrt()))
}

/// `sdev x`
pub fn sdev(ctx: &mut dyn Ctx, x: Value) -> R {
    statistic(ctx, x, sdev, |ctx, v| Ok(variance(ctx, v, true)?.sqrt()))
}

/// `med x`: the mean of the middle one or two in ascending order, null lowest; the middle rows of a table, the middle
/// lists of a list.
pub fn med(ctx: &mut dyn Ctx, x: Value) -> R {
    match plain(x)? {
        Value::Vector(v) => {
            if !arith::types::is_number_like(v.ty) {
                return Err(QError::type_());
            }
            let items = Operand::Vector(&v).floats(None).collect(v.len());
            Ok(Value::Float(reduce::median(items)))
        }
        Value::Dict(d) => med(ctx, d.values.clone()),
        x @ (Value::Table(_) | Value::List(_)) if x.count() > 0 => {
            let n = x.count();
            let mut rows: Vec<u32> = (0..n as u32).collect();
            match &x {
                Value::Table(t) => {
                    rows = sort_rows(&t.columns.iter().map(|c| (c, false)).collect::<Vec<_>>(), n);
                }
                x => {
                    let items = x.items();
                    rows.sort_by(|a, b| value_order(&items[*a as usize], &items[*b as usize]));
                }
            }
            avg(ctx, x.gather(&[rows[(n - 1) / 2], rows[n / 2]]))
        }
        Value::Table(_) | Value::List(_) => Ok(Value::Float(f64::NAN)),
        x => avg(ctx, x),
    }
}

fn truth(ctx: &mut dyn Ctx, x: Value) -> R {
    let x = arith::not(ctx, x)?;
    arith::not(ctx, x)
}

/// `all x`
pub fn all(ctx: &mut dyn Ctx, x: Value) -> R {
    every(ctx, x, all, min, true)
}

/// `any x`
pub fn any(ctx: &mut dyn Ctx, x: Value) -> R {
    every(ctx, x, any, max, false)
}

fn every(ctx: &mut dyn Ctx, x: Value, this: Monad, fold: Monad, empty: bool) -> R {
    spread(ctx, x, this, |ctx, x| match x {
        Value::List(l) if l.is_empty() => Ok(Value::Bool(empty)),
        x => {
            let x = truth(ctx, x)?;
            fold(ctx, x)
        }
    })
}

/// An argument's numbers as floats: a vector, an atom, or a mixed list of atoms.
pub fn numbers(x: &Value) -> R<Vec<f64>> {
    match x {
        Value::List(l) => floats_of_atoms(l),
        x => floats_of(x).ok_or_else(QError::type_),
    }
}
