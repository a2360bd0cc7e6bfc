//! When two values are the same, and which comes first: `~`, the exact sameness that searching and grouping use with
//! a hash that fits it, and one order for all values.

use std::{
    cell::Cell,
    cmp::Ordering,
    hash::{BuildHasher, Hash, Hasher},
    sync::{Arc, LazyLock},
};

use ahash::RandomState;

use super::{
    Scalar, Sym,
    core::{Data, Dict, Table, Value, Vector},
    sym,
};

/// What the comparison of finite floats tolerates, relative to the larger one.
pub const TOLERANCE: f64 = 1.0 / (1u64 << 43) as f64;

/// Floats that q holds for equal: within the tolerance, null and null.
#[inline]
pub fn close(a: f64, b: f64) -> bool {
    if a == b {
        return true;
    }
    if !(a.is_finite() && b.is_finite()) {
        return a.is_nan() && b.is_nan();
    }
    (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
}

/// Exactly equal floats; null equals null, minus zero equals zero.
#[inline]
pub fn same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

/// The order of floats with null first.
#[inline]
pub fn float_order(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// How deep nested values are followed: far deeper than data is, not as deep as the stack could bear.
const DEPTH: u32 = 1500;

thread_local! {
    static LEVEL: Cell<u32> = const { Cell::new(0) };
}

/// Goes one level deeper into a nested value; `None` where the nesting is deeper than any code may follow.
pub fn deeper<T>(f: impl FnOnce() -> T) -> Option<T> {
    let level = LEVEL.get();
    if level >= DEPTH {
        return None;
    }
    LEVEL.set(level + 1);
    let answer = f();
    LEVEL.set(level);
    Some(answer)
}

/// q's `~`: same types and items all the way down; floats within the tolerance. Attributes do not matter.
pub fn matches(a: &Value, b: &Value) -> bool {
    equal::<true>(a, b)
}

/// As [`matches()`], with floats compared exactly: what searching, grouping and `distinct` go by.
pub fn identical(a: &Value, b: &Value) -> bool {
    equal::<false>(a, b)
}

#[inline]
fn floats<const TOLERANT: bool>(a: f64, b: f64) -> bool {
    if TOLERANT { close(a, b) } else { same(a, b) }
}

fn equal<const T: bool>(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Vector(x), Value::Vector(y)) => Arc::ptr_eq(x, y) || vectors_equal::<T>(x, y),
        (Value::List(x), Value::List(y)) => {
            Arc::ptr_eq(x, y)
                || (x.len() == y.len()
                    && deeper(|| x.iter().zip(y.iter()).all(|(a, b)| equal::<T>(a, b))).unwrap_or(false))
        }
        (Value::Dict(x), Value::Dict(y)) => {
            Arc::ptr_eq(x, y) || (equal::<T>(&x.keys, &y.keys) && equal::<T>(&x.values, &y.values))
        }
        (Value::Table(x), Value::Table(y)) => Arc::ptr_eq(x, y) || tables_equal::<T>(x, y),
        (Value::Mapped(m), other) => m.load().is_ok_and(|t| equal::<T>(&t, other)),
        (other, Value::Mapped(m)) => m.load().is_ok_and(|t| equal::<T>(other, &t)),
        (Value::Enum(x), Value::Enum(y)) => {
            x.domain.name == y.domain.name
                && ((x.index < 0 && y.index < 0) || x.index == y.index || equal::<T>(&x.value(), &y.value()))
        }
        (Value::Nil, Value::Nil) | (Value::Hole, Value::Hole) => true,
        (Value::Lambda(x), Value::Lambda(y)) => {
            Arc::ptr_eq(x, y) || (x.text == y.text && x.context == y.context)
        }
        (Value::Prim(x), Value::Prim(y)) => x.id == y.id,
        (Value::Iterator(x), Value::Iterator(y)) => x == y,
        (Value::Projection(x), Value::Projection(y)) => {
            equal::<T>(&x.function, &y.function) && slices_equal::<T>(&x.args, &y.args)
        }
        (Value::Composition(x), Value::Composition(y)) => slices_equal::<T>(x, y),
        (Value::Derived(x), Value::Derived(y)) => {
            x.iterator == y.iterator && equal::<T>(&x.operand, &y.operand)
        }
        (Value::Host(x), Value::Host(y)) => Arc::ptr_eq(x, y),
        (a, b) => match (a.as_scalar(), b.as_scalar()) {
            (Some((ta, a)), Some((tb, b))) => {
                ta == tb
                    && match (a, b) {
                        (Scalar::F64(a), Scalar::F64(b)) => floats::<T>(a, b),
                        (Scalar::F32(a), Scalar::F32(b)) => floats::<T>(f64::from(a), f64::from(b)),
                        (a, b) => a == b,
                    }
            }
            _ => false,
        },
    }
}

fn slices_equal<const T: bool>(a: &[Value], b: &[Value]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal::<T>(a, b))
}

fn tables_equal<const T: bool>(a: &Table, b: &Table) -> bool {
    a.names == b.names && a.columns.iter().zip(&b.columns).all(|(a, b)| equal::<T>(a, b))
}

fn vectors_equal<const T: bool>(a: &Vector, b: &Vector) -> bool {
    if a.ty != b.ty || a.len() != b.len() {
        return false;
    }
    match (&a.data, &b.data) {
        (Data::Bool(a), Data::Bool(b)) => a[..] == b[..],
        (Data::Guid(a), Data::Guid(b)) => a[..] == b[..],
        (Data::U8(a), Data::U8(b)) => a[..] == b[..],
        (Data::I16(a), Data::I16(b)) => a[..] == b[..],
        (Data::I32(a), Data::I32(b)) => a[..] == b[..],
        (Data::I64(a), Data::I64(b)) => a[..] == b[..],
        (Data::F32(a), Data::F32(b)) => {
            a.iter().zip(b.iter()).all(|(a, b)| floats::<T>(f64::from(*a), f64::from(*b)))
        }
        (Data::F64(a), Data::F64(b)) => a.iter().zip(b.iter()).all(|(a, b)| floats::<T>(*a, *b)),
        (Data::Sym(a), Data::Sym(b)) => a[..] == b[..],
        (Data::Enum(x, codes), Data::Enum(y, others)) => {
            // over two states of one domain the codes may still stand for other items
            x.name == y.name
                && (codes[..] == others[..]
                    || (0..codes.len()).all(|i| match (a.at(i), b.at(i)) {
                        (Value::Enum(p), Value::Enum(q)) => equal::<T>(&p.value(), &q.value()),
                        _ => false,
                    }))
        }
        _ => false,
    }
}

static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A hash that is equal for [`identical`] values.
pub fn hash(v: &Value) -> u64 {
    let mut state = STATE.build_hasher();
    feed(v, &mut state);
    state.finish()
}

fn float_bits(x: f64) -> u64 {
    if x.is_nan() {
        u64::MAX
    } else if x == 0.0 {
        0
    } else {
        x.to_bits()
    }
}

fn feed(v: &Value, h: &mut impl Hasher) {
    match v {
        Value::Vector(x) => {
            x.ty.number().hash(h);
            match &x.data {
                Data::Bool(d) => d.hash(h),
                Data::Guid(d) => d.hash(h),
                Data::U8(d) => d.hash(h),
                Data::I16(d) => d.hash(h),
                Data::I32(d) => d.hash(h),
                Data::I64(d) => d.hash(h),
                Data::F32(d) => d.iter().for_each(|x| float_bits(f64::from(*x)).hash(h)),
                Data::F64(d) => d.iter().for_each(|x| float_bits(*x).hash(h)),
                Data::Sym(d) => d.hash(h),
                // the codes of one value may differ between copies of a domain: its name and the length must do
                Data::Enum(domain, codes) => (domain.name, codes.len()).hash(h),
            }
        }
        Value::List(x) => {
            x.len().hash(h);
            deeper(|| x.iter().for_each(|item| feed(item, h)));
        }
        Value::Dict(d) => {
            feed(&d.keys, h);
            feed(&d.values, h);
        }
        Value::Table(t) => {
            t.names.hash(h);
            t.columns.iter().for_each(|c| feed(c, h));
        }
        Value::Mapped(m) => {
            if let Ok(t) = m.load() {
                feed(&t, h);
            }
        }
        Value::Enum(e) => e.domain.name.hash(h),
        Value::Lambda(l) => l.text.hash(h),
        Value::Prim(p) => p.id.hash(h),
        Value::Iterator(i) => (*i as u8).hash(h),
        Value::Projection(p) => feed(&p.function, h),
        Value::Composition(c) => c.len().hash(h),
        Value::Derived(d) => feed(&d.operand, h),
        Value::Nil | Value::Hole | Value::Host(_) => {}
        atom => {
            if let Some((ty, s)) = atom.as_scalar() {
                ty.number().hash(h);
                match s {
                    Scalar::F32(x) => float_bits(f64::from(x)).hash(h),
                    Scalar::F64(x) => float_bits(x).hash(h),
                    Scalar::Guid(g) => g.hash(h),
                    Scalar::Sym(s) => s.hash(h),
                    other => other.as_i64().hash(h),
                }
            }
        }
    }
}

/// One order for all values: by type number whatever the sign, then by value with nulls first; lists item by item,
/// the shorter first. Characters and symbols go by their bytes.
pub fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Vector(x), Value::Vector(y)) if x.ty == y.ty => vector_order(x, y),
        (Value::Dict(x), Value::Dict(y)) => dict_order(x, y),
        (Value::Table(x), Value::Table(y)) => {
            x.names.iter().map(|s| s.bytes()).cmp(y.names.iter().map(|s| s.bytes())).then_with(|| {
                x.columns
                    .iter()
                    .zip(&y.columns)
                    .map(|(a, b)| compare(a, b))
                    .find(|o| o.is_ne())
                    .unwrap_or(Ordering::Equal)
            })
        }
        (Value::Mapped(m), other) => m.load().map_or(Ordering::Equal, |t| compare(&t, other)),
        (other, Value::Mapped(m)) => m.load().map_or(Ordering::Equal, |t| compare(other, &t)),
        (Value::Enum(x), y) => compare(&x.value(), y),
        (x, Value::Enum(y)) => compare(x, &y.value()),
        (Value::Lambda(x), Value::Lambda(y)) => x.text.cmp(&y.text),
        (Value::Prim(x), Value::Prim(y)) => x.id.cmp(&y.id),
        _ => match (a.as_scalar(), b.as_scalar()) {
            (Some((ta, x)), Some((tb, y))) if ta == tb => scalar_order(x, y),
            _ => mixed_order(a, b),
        },
    }
}

fn dict_order(a: &Dict, b: &Dict) -> Ordering {
    compare(&a.values, &b.values).then_with(|| compare(&a.keys, &b.keys))
}

fn mixed_order(a: &Value, b: &Value) -> Ordering {
    let number = |v: &Value| i32::from(v.number()).abs();
    let both_lists = matches!(a, Value::List(_)) && matches!(b, Value::List(_));
    let by_type = number(a).cmp(&number(b));
    if by_type.is_ne() && !both_lists {
        return by_type;
    }
    if !(a.is_list() || b.is_list()) {
        return Ordering::Equal;
    }
    for i in 0..a.count().min(b.count()) {
        let order = deeper(|| compare(&a.at(i), &b.at(i))).unwrap_or(Ordering::Equal);
        if order.is_ne() {
            return order;
        }
    }
    a.count().cmp(&b.count()).then_with(|| a.is_list().cmp(&b.is_list()))
}

/// The order of two scalars of one type.
pub fn scalar_order(a: Scalar, b: Scalar) -> Ordering {
    match (a, b) {
        (Scalar::Bool(a), Scalar::Bool(b)) => a.cmp(&b),
        (Scalar::Guid(a), Scalar::Guid(b)) => a.cmp(&b),
        (Scalar::U8(a), Scalar::U8(b)) => a.cmp(&b),
        (Scalar::I16(a), Scalar::I16(b)) => a.cmp(&b),
        (Scalar::I32(a), Scalar::I32(b)) => a.cmp(&b),
        (Scalar::I64(a), Scalar::I64(b)) => a.cmp(&b),
        (Scalar::F32(a), Scalar::F32(b)) => float_order(f64::from(a), f64::from(b)),
        (Scalar::F64(a), Scalar::F64(b)) => float_order(a, b),
        (Scalar::Sym(a), Scalar::Sym(b)) => sym::order(a, b),
        _ => Ordering::Equal,
    }
}

fn float_slices<'a>(
    mut a: impl ExactSizeIterator<Item = f64> + 'a,
    mut b: impl ExactSizeIterator<Item = f64> + 'a,
) -> Ordering {
    let lengths = a.len().cmp(&b.len());
    while let (Some(x), Some(y)) = (a.next(), b.next()) {
        let order = float_order(x, y);
        if order.is_ne() {
            return order;
        }
    }
    lengths
}

fn vector_order(a: &Arc<Vector>, b: &Arc<Vector>) -> Ordering {
    match (&a.data, &b.data) {
        (Data::Bool(a), Data::Bool(b)) => a[..].cmp(&b[..]),
        (Data::Guid(a), Data::Guid(b)) => a[..].cmp(&b[..]),
        (Data::U8(a), Data::U8(b)) => a[..].cmp(&b[..]),
        (Data::I16(a), Data::I16(b)) => a[..].cmp(&b[..]),
        (Data::I32(a), Data::I32(b)) => a[..].cmp(&b[..]),
        (Data::I64(a), Data::I64(b)) => a[..].cmp(&b[..]),
        (Data::F32(a), Data::F32(b)) => {
            float_slices(a.iter().map(|x| f64::from(*x)), b.iter().map(|x| f64::from(*x)))
        }
        (Data::F64(a), Data::F64(b)) => float_slices(a.iter().copied(), b.iter().copied()),
        (Data::Sym(a), Data::Sym(b)) => {
            let names = |s: &[Sym]| sym::names(s);
            names(a).cmp(&names(b))
        }
        _ => {
            let (x, y) = (a.resolved(), b.resolved());
            match (&x, &y) {
                (Value::Vector(x), Value::Vector(y))
                    if x.ty == y.ty
                        && !matches!(x.data, Data::Enum(..))
                        && !matches!(y.data, Data::Enum(..)) =>
                {
                    vector_order(x, y)
                }
                _ => mixed_order(&x, &y),
            }
        }
    }
}
