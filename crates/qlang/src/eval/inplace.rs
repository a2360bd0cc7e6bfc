//! Amends of values that nobody else holds, where nothing can fail: the rest goes to the primitives of indexing.

use std::sync::Arc;

use kvalue::Attr;

use super::{node::Fast, run::quick};
use crate::value::{Data, Scalar, Value, Vector};

/// `old,v` in place; the old value back where that cannot be done.
pub(crate) fn join(mut old: Value, v: &Value) -> Result<Value, Value> {
    let done = match &mut old {
        Value::Vector(a) => match Arc::get_mut(a) {
            Some(vector) => extend(vector, v),
            None => false,
        },
        Value::List(l) => match Arc::get_mut(l) {
            Some(list) if list.len() > 1 && list.attr == Attr::None => match v {
                Value::List(more) => {
                    list.to_mut().extend(more.iter().cloned());
                    list.settle();
                    true
                }
                Value::Vector(more) => {
                    let n = more.len();
                    list.to_mut().extend((0..n).map(|i| more.at(i)));
                    list.settle();
                    true
                }
                Value::Table(_) | Value::Mapped(_) | Value::Hole => false,
                Value::Dict(d) if d.as_keyed().is_some() => false,
                v => {
                    list.to_mut().push(v.clone());
                    list.settle();
                    true
                }
            },
            _ => false,
        },
        _ => false,
    };
    if done { Ok(old) } else { Err(old) }
}

/// A string with the digits of a number behind it, in place; the string back where that cannot be done.
pub(crate) fn digits(mut old: Value, n: i64) -> Result<Value, Value> {
    if n == i64::MIN || n.unsigned_abs() == i64::MAX as u64 {
        return Err(old);
    }
    if let Value::Vector(a) = &mut old
        && let Some(vector) = Arc::get_mut(a)
        && vector.ty == kvalue::Type::Char
        && vector.attr == Attr::None
        && let Data::U8(bytes) = &mut vector.data
    {
        let mut text = [0u8; 20];
        let mut at = text.len();
        let mut left = n.unsigned_abs();
        loop {
            at -= 1;
            text[at] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        if n < 0 {
            at -= 1;
            text[at] = b'-';
        }
        bytes.to_mut().extend_from_slice(&text[at..]);
        bytes.settle();
        return Ok(old);
    }
    Err(old)
}

/// Appends elements of the same type.
fn extend(vector: &mut Vector, v: &Value) -> bool {
    if !matches!(vector.attr, Attr::None | Attr::Grouped) || matches!(vector.data, Data::Enum(..)) {
        return false;
    }
    macro_rules! push {
        ($items:ident, $x:expr) => {{
            $items.to_mut().push($x);
            $items.settle();
            true
        }};
    }
    match v {
        Value::Vector(more) if more.ty == vector.ty => {
            macro_rules! all {
                ($($layout:ident),*) => {
                    match (&mut vector.data, &more.data) {
                        $((Data::$layout(a), Data::$layout(b)) => {
                            a.to_mut().extend_from_slice(b);
                            a.settle();
                            true
                        })*
                        _ => false,
                    }
                };
            }
            all!(Bool, Guid, U8, I16, I32, I64, F32, F64, Sym)
        }
        v => match v.as_scalar() {
            Some((ty, x)) if ty == vector.ty => match (&mut vector.data, x) {
                (Data::Bool(a), Scalar::Bool(x)) => push!(a, x),
                (Data::Guid(a), Scalar::Guid(x)) => push!(a, x),
                (Data::U8(a), Scalar::U8(x)) => push!(a, x),
                (Data::I16(a), Scalar::I16(x)) => push!(a, x),
                (Data::I32(a), Scalar::I32(x)) => push!(a, x),
                (Data::I64(a), Scalar::I64(x)) => push!(a, x),
                (Data::F32(a), Scalar::F32(x)) => push!(a, x),
                (Data::F64(a), Scalar::F64(x)) => push!(a, x),
                (Data::Sym(a), Scalar::Sym(x)) => push!(a, x),
                _ => false,
            },
            _ => false,
        },
    }
}

/// `old[index]:v` or `old[index]f:v` in place; the old value back where that cannot be done.
pub(crate) fn amend(
    mut old: Value,
    index: &[Value],
    with: Option<&Value>,
    v: &Value,
) -> Result<Value, Value> {
    if change(&mut old, index, with, v) { Ok(old) } else { Err(old) }
}

fn change(old: &mut Value, index: &[Value], with: Option<&Value>, v: &Value) -> bool {
    let Some((first, rest)) = index.split_first() else { return false };
    match old {
        Value::Vector(a) => {
            let (Value::Long(i), [], Some(vector)) = (first, rest, Arc::get_mut(a)) else { return false };
            match usize::try_from(*i) {
                Ok(i) if i < vector.len() && vector.attr == Attr::None => set(vector, i, with, v),
                _ => false,
            }
        }
        Value::List(l) => {
            let (Value::Long(i), Some(list)) = (first, Arc::get_mut(l)) else { return false };
            let Some(i) = usize::try_from(*i).ok().filter(|i| *i < list.len()) else { return false };
            if list.attr != Attr::None {
                return false;
            }
            if !rest.is_empty() {
                return change(&mut list.to_mut()[i], rest, with, v);
            }
            place(list.to_mut(), i, with, v)
        }
        Value::Dict(d) => {
            let Some(dict) = Arc::get_mut(d) else { return false };
            let (Value::Sym(s), Value::Vector(keys)) = (first, &dict.keys) else { return false };
            let Data::Sym(names) = &keys.data else { return false };
            let Some(i) = names.iter().position(|n| n == s) else { return false };
            let at = Value::Long(i as i64);
            if rest.is_empty() {
                return change(&mut dict.values, &[at], with, v);
            }
            let mut path = vec![at];
            path.extend_from_slice(rest);
            change(&mut dict.values, &path, with, v)
        }
        _ => false,
    }
}

/// Sets item `i` of a general list, where the list stays a general one.
fn place(items: &mut [Value], i: usize, with: Option<&Value>, v: &Value) -> bool {
    if let Some(f) = with {
        let join_here = matches!(f, Value::Prim(p) if p.word == ",");
        if !join_here {
            return false;
        }
        let old = std::mem::replace(&mut items[i], Value::Nil);
        return match join(old, v) {
            Ok(new) => {
                items[i] = new;
                true
            }
            Err(old) => {
                items[i] = old;
                false
            }
        };
    }
    let stays = !v.is_atom() || items.iter().enumerate().any(|(j, o)| j != i && o.number() != v.number());
    if stays {
        items[i] = v.clone();
    }
    stays
}

/// Sets element `i`, which is there.
fn set(vector: &mut Vector, i: usize, with: Option<&Value>, v: &Value) -> bool {
    let fresh;
    let v = match with {
        None => v,
        Some(Value::Prim(p)) => {
            let op = match p.word {
                "+" => Fast::Add,
                "-" => Fast::Sub,
                "*" => Fast::Mul,
                "&" => Fast::And,
                "|" => Fast::Or,
                _ => return false,
            };
            match quick(op, &vector.at(i), v) {
                Some(new) => {
                    fresh = new;
                    &fresh
                }
                None => return false,
            }
        }
        Some(_) => return false,
    };
    let Some((ty, x)) = v.as_scalar() else { return false };
    if ty != vector.ty {
        return false;
    }
    match (&mut vector.data, x) {
        (Data::Bool(a), Scalar::Bool(x)) => a.to_mut()[i] = x,
        (Data::U8(a), Scalar::U8(x)) => a.to_mut()[i] = x,
        (Data::I16(a), Scalar::I16(x)) => a.to_mut()[i] = x,
        (Data::I32(a), Scalar::I32(x)) => a.to_mut()[i] = x,
        (Data::I64(a), Scalar::I64(x)) => a.to_mut()[i] = x,
        (Data::F32(a), Scalar::F32(x)) => a.to_mut()[i] = x,
        (Data::F64(a), Scalar::F64(x)) => a.to_mut()[i] = x,
        (Data::Sym(a), Scalar::Sym(x)) => a.to_mut()[i] = x,
        (Data::Guid(a), Scalar::Guid(x)) => a.to_mut()[i] = x,
        _ => return false,
    }
    true
}
