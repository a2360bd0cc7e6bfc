//! Running functions: sums, products, least and greatest so far, means so far; differences and ratios to the item
//! before.

use std::sync::Arc;

use kvalue::{
    Attr, Physical, Type,
    types::{INF_INT, INF_LONG, INF_SHORT, NULL_INT, NULL_LONG, NULL_SHORT},
};

use crate::{
    QError, R,
    ctx::Ctx,
    ops::arith::{
        self, Verb,
        lanes::{Lane, Operand, Source},
        shape::{Level, plain},
        types::is_number_like,
    },
    value::{Data, Dict, Table, Value, Vector},
};

type Monad = fn(&mut dyn Ctx, Value) -> R;

/// Applies a uniform function to tables by column; to dictionaries by value.
fn spread(ctx: &mut dyn Ctx, x: Value, this: Monad, f: impl FnOnce(&mut dyn Ctx, Value) -> R) -> R {
    let _level = Level::down()?;
    match plain(x)? {
        Value::Dict(d) => {
            let values = this(ctx, d.values.clone())?;
            Ok(Value::dict(Dict { keys: d.keys.clone(), values, sorted: d.sorted }))
        }
        Value::Table(t) => {
            let columns: R<Vec<Value>> = t.columns.iter().map(|c| this(ctx, c.clone())).collect();
            Ok(Value::table(Table { names: t.names.clone(), columns: columns?, sorted: false }))
        }
        x if x.is_function() || matches!(x, Value::Nil | Value::Hole) => Err(QError::type_()),
        x => f(ctx, x),
    }
}

/// Items so far folded with a verb, in place where nobody else holds the vector.
fn scan<C: Lane>(
    mut v: Arc<Vector>,
    ty: Type,
    lift: impl for<'a> Fn(&Operand<'a>) -> Source<'a, C>,
    mut acc: C,
    step: impl Fn(C, C) -> C,
) -> Value {
    if Arc::get_mut(&mut v).is_none()
        && let Source::Same(items) = lift(&Operand::Vector(&v))
    {
        let mut out = Vec::with_capacity(items.len());
        out.extend(items.iter().map(|x| {
            acc = step(acc, *x);
            acc
        }));
        return Value::vector(ty, C::wrap(out));
    }
    let mut run = |items: &mut [C]| {
        for x in items {
            acc = step(acc, *x);
            *x = acc;
        }
    };
    if C::slice(&v.data).is_some()
        && let Some(own) = Arc::get_mut(&mut v)
        && let Some(items) = C::owned(&mut own.data)
    {
        run(items);
        (own.ty, own.attr) = (ty, Attr::None);
        return Value::Vector(v);
    }
    let mut items = lift(&Operand::Vector(&v)).collect(v.len());
    run(&mut items);
    Value::vector(ty, C::wrap(items))
}

/// The items of a list folded one by one with a verb.
fn scan_list(ctx: &mut dyn Ctx, items: &[Value], verb: Verb, zero: Option<Value>) -> R {
    let atoms = items.iter().all(Value::is_atom);
    let mut acc: Option<Value> = None;
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        ctx.check()?;
        let item = match &zero {
            Some(zero) if atoms => arith::fill(ctx, zero.clone(), item.clone())?,
            _ => item.clone(),
        };
        let next = match (acc, &zero) {
            (Some(acc), _) => arith::dyad(ctx, verb, acc, item)?,
            (None, Some(zero)) => arith::dyad(ctx, verb, zero.clone(), item)?,
            (None, None) => item,
        };
        out.push(next.clone());
        acc = Some(next);
    }
    Ok(Value::from_items(out))
}

fn sum_type(ty: Type) -> R<Type> {
    match ty {
        Type::Boolean | Type::Byte | Type::Short => Ok(Type::Int),
        ty if ty.is_numeric() || ty.is_temporal() => Ok(ty),
        _ => Err(QError::type_()),
    }
}

/// `sums x`: nulls count as zero.
pub fn sums(ctx: &mut dyn Ctx, x: Value) -> R {
    spread(ctx, x, sums, |ctx, x| match x {
        Value::Vector(v) => {
            let ty = sum_type(v.ty)?;
            Ok(match ty.physical() {
                Physical::I32 => {
                    scan(v, ty, |o| o.ints(), 0, |a, x| if x == NULL_INT { a } else { a.wrapping_add(x) })
                }
                Physical::I64 => scan(
                    v,
                    ty,
                    |o| o.longs(None),
                    0,
                    |a, x| if x == NULL_LONG { a } else { a.wrapping_add(x) },
                ),
                Physical::F32 => {
                    scan(v, ty, |o| o.reals(), 0.0, |a, x: f32| if x.is_nan() { a } else { a + x })
                }
                _ => scan(v, ty, |o| o.floats(None), 0.0, |a, x: f64| if x.is_nan() { a } else { a + x }),
            })
        }
        Value::List(l) => scan_list(ctx, &l, Verb::Add, Some(Value::Bool(false))),
        atom => {
            sum_type(atom.as_scalar().ok_or_else(QError::type_)?.0)?;
            Ok(atom)
        }
    })
}

/// `prds x`: nulls count as one.
pub fn prds(ctx: &mut dyn Ctx, x: Value) -> R {
    spread(ctx, x, prds, |ctx, x| match x {
        Value::Vector(v) => {
            let ty = sum_type(v.ty)?;
            Ok(match ty.physical() {
                Physical::I32 => {
                    scan(v, ty, |o| o.ints(), 1, |a, x| if x == NULL_INT { a } else { a.wrapping_mul(x) })
                }
                Physical::I64 => scan(
                    v,
                    ty,
                    |o| o.longs(None),
                    1,
                    |a, x| if x == NULL_LONG { a } else { a.wrapping_mul(x) },
                ),
                Physical::F32 => {
                    scan(v, ty, |o| o.reals(), 1.0, |a, x: f32| if x.is_nan() { a } else { a * x })
                }
                _ => scan(v, ty, |o| o.floats(None), 1.0, |a, x: f64| if x.is_nan() { a } else { a * x }),
            })
        }
        Value::List(l) => scan_list(ctx, &l, Verb::Multiply, Some(Value::Bool(true))),
        atom => {
            sum_type(atom.as_scalar().ok_or_else(QError::type_)?.0)?;
            Ok(atom)
        }
    })
}

/// The least (or greatest) so far; infinity before the first item that is not null.
fn bounds(ctx: &mut dyn Ctx, x: Value, this: Monad, least: bool) -> R {
    spread(ctx, x, this, |ctx, x| match x {
        Value::Vector(v) => {
            if !is_number_like(v.ty) {
                return Err(QError::type_());
            }
            let ty = v.ty;
            macro_rules! whole {
                ($t:ty, $null:expr, $inf:expr) => {
                    match least {
                        true => scan::<$t>(v, ty, same, $inf, |a, x| if x == $null { a } else { a.min(x) }),
                        false => scan::<$t>(v, ty, same, -$inf, |a, x| a.max(x)),
                    }
                };
            }
            macro_rules! real {
                ($t:ty) => {
                    match least {
                        true => scan::<$t>(v, ty, same, <$t>::INFINITY, |a, x| if x < a { x } else { a }),
                        false => scan::<$t>(v, ty, same, -<$t>::INFINITY, |a, x| if x > a { x } else { a }),
                    }
                };
            }
            Ok(match ty.physical() {
                Physical::U8 if ty == Type::Boolean => match least {
                    true => scan::<bool>(v, ty, same, true, |a, x| a & x),
                    false => scan::<bool>(v, ty, same, false, |a, x| a | x),
                },
                Physical::U8 => match least {
                    true => scan::<u8>(v, ty, same, u8::MAX, Ord::min),
                    false => scan::<u8>(v, ty, same, 0, Ord::max),
                },
                Physical::I16 => whole!(i16, NULL_SHORT, INF_SHORT),
                Physical::I32 => whole!(i32, NULL_INT, INF_INT),
                Physical::I64 => whole!(i64, NULL_LONG, INF_LONG),
                Physical::F32 => real!(f32),
                _ => real!(f64),
            })
        }
        Value::List(l) => scan_list(ctx, &l, if least { Verb::Lesser } else { Verb::Greater }, None),
        atom => {
            let (ty, _) = atom.as_scalar().ok_or_else(QError::type_)?;
            if is_number_like(ty) { Ok(atom) } else { Err(QError::type_()) }
        }
    })
}

fn same<'a, C: Lane>(o: &Operand<'a>) -> Source<'a, C> {
    o.same().unwrap_or(Source::One(C::default()))
}

/// `mins x`
pub fn mins(ctx: &mut dyn Ctx, x: Value) -> R {
    bounds(ctx, x, mins, true)
}

/// `maxs x`
pub fn maxs(ctx: &mut dyn Ctx, x: Value) -> R {
    bounds(ctx, x, maxs, false)
}

/// `avgs x`: nulls are skipped.
pub fn avgs(ctx: &mut dyn Ctx, x: Value) -> R {
    spread(ctx, x, avgs, |ctx, x| match x {
        Value::Vector(v) => {
            if !is_number_like(v.ty) {
                return Err(QError::type_());
            }
            let mut items = Operand::Vector(&v).floats(None).collect(v.len());
            let (mut sum, mut n) = (0.0, 0.0);
            for x in &mut items {
                if !x.is_nan() {
                    sum += *x;
                    n += 1.0;
                }
                *x = sum / n;
            }
            Ok(Value::floats(items))
        }
        Value::List(l) => {
            let n = Value::longs((1..=l.len() as i64).collect());
            let sums = sums(ctx, Value::List(l))?;
            arith::divide(ctx, sums, n)
        }
        atom => arith::divide(ctx, atom, Value::Long(1)),
    })
}

/// Argument and, in front of it, the item before the first one: `f x`, `f[x0;x]`.
fn arguments(mut args: Vec<Value>) -> R<(Option<Value>, Value)> {
    let x = args.pop().ok_or_else(QError::rank)?;
    Ok((args.pop(), x))
}

/// `deltas x`: differences to the item before; the first is taken from 0, or from what `deltas[x0;x]` gives.
pub fn deltas(ctx: &mut dyn Ctx, args: Vec<Value>) -> R {
    let (before, x) = arguments(args)?;
    prior(ctx, before, x, Verb::Subtract)
}

/// `ratios x`: ratios to the item before; the first is taken as it is.
pub fn ratios(ctx: &mut dyn Ctx, args: Vec<Value>) -> R {
    let (before, x) = arguments(args)?;
    prior(ctx, before, x, Verb::Divide)
}

fn prior(ctx: &mut dyn Ctx, before: Option<Value>, x: Value, verb: Verb) -> R {
    let _level = Level::down()?;
    match plain(x)? {
        Value::Dict(d) => {
            let values = prior(ctx, before, d.values.clone(), verb)?;
            Ok(Value::dict(Dict { keys: d.keys.clone(), values, sorted: d.sorted }))
        }
        Value::Table(t) => {
            let columns: R<Vec<Value>> =
                t.columns.iter().map(|c| prior(ctx, before.clone(), c.clone(), verb)).collect();
            Ok(Value::table(Table { names: t.names.clone(), columns: columns?, sorted: false }))
        }
        Value::Vector(v) if before.is_none() => {
            if verb == Verb::Subtract
                && let Some(out) = differences(&v)
            {
                return Ok(out);
            }
            let n = v.len();
            let x = Value::Vector(v);
            if n == 0 {
                return arith::dyad(ctx, verb, x.clone(), x);
            }
            // The first item is taken as a number of the others' type.
            let rest = arith::dyad(ctx, verb, x.slice(1, n - 1), x.slice(0, n - 1))?;
            let first = match verb {
                Verb::Divide => arith::divide(ctx, x.at(0), Value::Long(1))?,
                _ => match (rest.number(), x.at(0).as_scalar()) {
                    (6, Some((_, s))) => s.as_i64().map_or(x.at(0), Value::null_or_int),
                    (9, Some((_, s))) => s.as_f64().map_or(x.at(0), Value::Float),
                    (16, Some((_, s))) => s.as_i64().map_or(x.at(0), Value::Timespan),
                    _ => x.at(0),
                },
            };
            Ok(first.repeat(1).append(&rest))
        }
        x if x.is_list() => {
            let mut last = before;
            let mut out = Vec::with_capacity(x.count());
            for i in 0..x.count() {
                if i % 1024 == 0 {
                    ctx.check()?;
                }
                let item = x.at(i);
                out.push(match last.take() {
                    Some(last) => arith::dyad(ctx, verb, item.clone(), last)?,
                    None => item.clone(),
                });
                last = Some(item);
            }
            Ok(Value::from_items(out))
        }
        atom => match before {
            Some(before) => arith::dyad(ctx, verb, atom, before),
            None => Ok(atom),
        },
    }
}

/// The commonest differences in one pass.
fn differences(v: &Vector) -> Option<Value> {
    fn pass<T: Copy>(items: &[T], zero: T, minus: impl Fn(T, T) -> T) -> Vec<T> {
        let mut out = Vec::with_capacity(items.len());
        out.extend(items.first().map(|x| minus(*x, zero)));
        out.extend(items.iter().zip(items.iter().skip(1)).map(|(a, b)| minus(*b, *a)));
        out
    }
    use arith::numbers::{int, long};
    Some(match (&v.data, v.ty) {
        (Data::I64(b), ty) => {
            let ty = if ty == Type::Timestamp { Type::Timespan } else { ty };
            Value::vector(ty, Data::I64(pass(b, 0, long::sub).into()))
        }
        (Data::I32(b), ty) => {
            let ty = if matches!(ty, Type::Date | Type::Month) { Type::Int } else { ty };
            Value::vector(ty, Data::I32(pass(b, 0, int::sub).into()))
        }
        (Data::F64(b), _) => Value::floats(pass(b, 0.0, |a, b| a - b)),
        _ => return None,
    })
}

impl Value {
    /// An int atom of a number, null kept.
    fn null_or_int(n: i64) -> Value {
        Value::Int(if n == NULL_LONG { NULL_INT } else { n as i32 })
    }
}
