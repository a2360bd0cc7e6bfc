//! q's total order: nulls lowest, then minus infinity, numbers, infinity; chars and symbols by bytes.
//!
//! [`keys`] maps a column to 64-bit numbers that ascend as its items do, so that sorting and searching compare
//! integers whatever the type. Exact: comparison tolerance does not apply to sorting. Tests: here, `sort.rs`.

use std::cmp::Ordering;

use kvalue::{Atom, Buf, Fixed, Physical, Type, Value, Vector, atom::Scalar};

/// The order of two atoms: within a type q's own, numbers and temporals of different types by their raw
/// numbers, anything else by type number.
pub fn order(a: &Atom, b: &Atom) -> Ordering {
    match (a, b) {
        (Atom::Symbol(x), Atom::Symbol(y)) => x.as_bytes().cmp(y.as_bytes()),
        (Atom::Guid(x), Atom::Guid(y)) => x.cmp(y),
        _ => match (a.scalar(), b.scalar()) {
            (Some(Scalar::Integer(x)), Some(Scalar::Integer(y))) => x.cmp(&y),
            (Some(x), Some(y)) => order_floats(float(x), float(y)),
            _ => a.ty().cmp(&b.ty()),
        },
    }
}

fn float(s: Scalar) -> f64 {
    match s {
        Scalar::Integer(None) => f64::NAN,
        Scalar::Integer(Some(n)) => n as f64,
        Scalar::Float(x) => x,
    }
}

/// NaN (the null) lowest and equal to itself; both zeros equal.
pub fn order_floats(a: f64, b: f64) -> Ordering {
    match a.partial_cmp(&b) {
        Some(ordering) => ordering,
        None => b.is_nan().cmp(&a.is_nan()),
    }
}

/// The order of two values as `asc` of a general list has it: by type number first, lists item by item.
pub fn order_values(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Atom(x), Value::Atom(y)) => x.ty().cmp(&y.ty()).then_with(|| order(x, y)),
        (Value::Vector(x), Value::Vector(y)) => x.ty().cmp(&y.ty()).then_with(|| order_vectors(x, y)),
        (Value::List(x), Value::List(y)) => {
            let items = x.items().iter().zip(y.items()).map(|(x, y)| order_values(x, y));
            items.into_iter().find(|o| o.is_ne()).unwrap_or_else(|| x.len().cmp(&y.len()))
        }
        // An atom is a one-item list here: q makes a char atom of a one-letter string.
        (Value::Atom(x), Value::Vector(y)) => {
            x.ty().cmp(&y.ty()).then_with(|| order_vectors(&Vector::repeat(x, 1), y))
        }
        (Value::Vector(_), Value::Atom(_)) => order_values(b, a).reverse(),
        _ => a.type_number().unsigned_abs().cmp(&b.type_number().unsigned_abs()),
    }
}

fn order_vectors(a: &Vector, b: &Vector) -> Ordering {
    if let (Some(x), Some(y), Physical::U8) = (a.as_bytes(), b.as_bytes(), a.physical()) {
        return x.cmp(y);
    }
    let items = a.iter().zip(b.iter()).map(|(x, y)| order(&x, &y));
    items.into_iter().find(|o| o.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
}

/// A number that ascends as the integer does.
#[inline]
pub(crate) fn integer_key(n: i64) -> u64 {
    (n as u64) ^ (1 << 63)
}

/// A number that ascends as the float does; 0 for every NaN, one for both zeros.
#[inline]
pub(crate) fn float_key(x: f64) -> u64 {
    if x.is_nan() {
        return 0;
    }
    let bits = (x + 0.0).to_bits(); // -0 + 0 is +0
    if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
}

fn mapped<T: Fixed>(buf: Option<Buf<T>>, key: impl Fn(T) -> u64) -> Vec<u64> {
    buf.map_or_else(Vec::new, |b| b.iter().map(key).collect())
}

/// For each item a number that ascends as the items do and is equal where they are equal.
/// Numbers of a fixed-width type compare across vectors of that type; those of symbols, guids and general
/// lists are ranks within this column.
pub fn keys(column: &Value) -> Vec<u64> {
    match column {
        Value::Vector(v) => match v.physical() {
            Physical::U8 => mapped(v.as_buf::<u8>(), u64::from),
            Physical::I16 => mapped(v.as_buf::<i16>(), |n| integer_key(i64::from(n))),
            Physical::I32 => mapped(v.as_buf::<i32>(), |n| integer_key(i64::from(n))),
            Physical::I64 => mapped(v.as_buf::<i64>(), integer_key),
            Physical::F32 => mapped(v.as_buf::<f32>(), |x| float_key(f64::from(x))),
            Physical::F64 => mapped(v.as_buf::<f64>(), float_key),
            Physical::Guid => v.as_buf::<[u8; 16]>().map_or_else(Vec::new, |b| ranks(b.le())),
            Physical::Symbol => symbol_keys(v),
        },
        Value::List(l) => {
            let mut by_value: Vec<usize> = (0..l.len()).collect();
            by_value.sort_by(|&a, &b| order_values(&l.items()[a], &l.items()[b]));
            spread(&by_value, l.len(), |a, b| order_values(&l.items()[a], &l.items()[b]).is_eq())
        }
        Value::Table(t) => {
            let columns: Vec<Vec<u64>> = t.columns().iter().map(keys).collect();
            let compare = |a: usize, b: usize| {
                columns.iter().map(|c| c[a].cmp(&c[b])).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
            };
            let mut by_value: Vec<usize> = (0..t.len()).collect();
            by_value.sort_by(|&a, &b| compare(a, b));
            spread(&by_value, t.len(), |a, b| compare(a, b).is_eq())
        }
        _ => vec![0; column.count()],
    }
}

fn symbol_keys(v: &Vector) -> Vec<u64> {
    let Some(symbols) = v.as_symbols() else { return Vec::new() };
    match symbols.as_enumerated() {
        // Ranks of the names that occur, by code: names are compared once each, not once a row.
        Some((domain, codes)) if domain.len() <= codes.len().saturating_mul(4) => {
            let mut names: Vec<(&[u8], usize)> =
                (0..domain.len()).map(|i| (domain.get(i as i64), i)).collect();
            names.sort_unstable();
            let mut rank_of_code = vec![0u64; domain.len()];
            let mut rank = 0;
            for (i, (name, code)) in names.iter().enumerate() {
                let is_new = i > 0 && names[i - 1].0 != *name || i == 0 && !name.is_empty();
                rank += u64::from(is_new);
                rank_of_code[*code] = rank;
            }
            let rank_of = |c: i64| usize::try_from(c).ok().and_then(|c| rank_of_code.get(c)).copied();
            (0..codes.len()).map(|i| rank_of(codes.get(i)).unwrap_or(0)).collect()
        }
        _ => ranks(&symbols.iter().collect::<Vec<&[u8]>>()),
    }
}

/// Dense ranks of items.
fn ranks<T: Ord>(items: &[T]) -> Vec<u64> {
    let mut by_value: Vec<usize> = (0..items.len()).collect();
    by_value.sort_by(|&a, &b| items[a].cmp(&items[b]));
    spread(&by_value, items.len(), |a, b| items[a] == items[b])
}

/// Dense ranks from an ascending permutation.
fn spread(by_value: &[usize], n: usize, equal: impl Fn(usize, usize) -> bool) -> Vec<u64> {
    let mut out = vec![0; n];
    let mut rank = 0;
    for (at, &row) in by_value.iter().enumerate() {
        if at > 0 && !equal(by_value[at - 1], row) {
            rank += 1;
        }
        out[row] = rank;
    }
    out
}

/// Keys of two columns that compare with each other; `None` where their types differ.
pub(crate) fn common_keys(a: &Value, b: &Value) -> Option<(Vec<u64>, Vec<u64>)> {
    match (a, b) {
        (Value::Vector(x), Value::Vector(y))
            if x.ty() == y.ty() && x.ty().width().is_some() && x.ty() != Type::Guid =>
        {
            Some((keys(a), keys(b)))
        }
        (Value::Vector(x), Value::Vector(y)) if x.ty() != y.ty() => None,
        _ => {
            let both = crate::take::concat(&[a.clone(), b.clone()]).ok()?;
            let mut left = keys(&both);
            let right = left.split_off(a.count().min(left.len()));
            Some((left, right))
        }
    }
}

#[cfg(test)]
mod tests {
    use kvalue::types::{INF_LONG, NULL_FLOAT, NULL_LONG};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn null_is_below_minus_infinity() {
        assert!(order(&Atom::Long(NULL_LONG), &Atom::Long(-INF_LONG)).is_lt());
        assert!(order(&Atom::Float(NULL_FLOAT), &Atom::Float(f64::NEG_INFINITY)).is_lt());
        assert!(order(&Atom::Long(NULL_LONG), &Atom::Float(NULL_FLOAT)).is_eq());
        assert!(order(&Atom::Float(-0.0), &Atom::Float(0.0)).is_eq());
    }

    #[test]
    fn null_symbol_and_its_lack_rank_alike_in_both_forms() {
        let packed = Value::syms(["b", "", "a"]);
        let domain = std::sync::Arc::new(kvalue::Domain::new("s".into(), &["b", "a"].into_iter().collect()));
        let codes = kvalue::Codes::I64([0, NULL_LONG, 1].into_iter().collect());
        let enumerated = Vector::symbols(kvalue::Symbols::enumerated(domain, codes).unwrap());
        assert_eq!(keys(&packed), [2, 0, 1]);
        assert_eq!(keys(&Value::Vector(enumerated)), [2, 0, 1]);
    }

    #[test]
    fn general_lists_order_by_type_then_content() {
        // ref/asc.md: asc (1;1b;"b";2009.01.01;"a";0)
        let items = [
            Atom::Long(1),
            Atom::Boolean(true),
            Atom::Char(b'b'),
            Atom::Date(3288),
            Atom::Char(b'a'),
            Atom::Long(0),
        ];
        let list = Value::list(items.map(Value::Atom).to_vec());
        assert_eq!(keys(&list), [2, 0, 4, 5, 3, 1]);
        let strings = Value::list(["bat", "dog", "cow", "cat"].map(Value::str).to_vec());
        assert_eq!(keys(&strings), [0, 3, 2, 1]);
    }

    proptest! {
        #[test]
        fn keys_ascend_as_the_numbers_do(a in any::<f64>(), b in any::<f64>(), m in any::<i64>(), n in any::<i64>()) {
            prop_assert_eq!(float_key(a).cmp(&float_key(b)), order_floats(a, b));
            prop_assert_eq!(integer_key(m).cmp(&integer_key(n)), m.cmp(&n));
        }
    }
}
