//! Filling nulls: with zero, or with the last value before them.

use kvalue::{
    Buf, Fixed, Physical, Type, Value, Vector,
    types::{NULL_INT, NULL_LONG, NULL_SHORT},
};

use crate::take;

/// Nulls of a numeric or temporal column become 0 of its type; other columns stay as they are.
pub fn zero(column: &Value) -> Value {
    let Value::Vector(v) = column else { return column.clone() };
    macro_rules! filled {
        ($t:ty, $zero:expr, $null:expr) => {
            match v.as_buf::<$t>() {
                Some(buf) if buf.iter().any($null) => {
                    Value::from(Vector::new(v.ty(), zeroed(&buf, $zero, $null)))
                }
                _ => column.clone(),
            }
        };
    }
    match v.physical() {
        Physical::I16 => filled!(i16, 0, |x| x == NULL_SHORT),
        Physical::I32 => filled!(i32, 0, |x| x == NULL_INT),
        Physical::I64 => filled!(i64, 0, |x| x == NULL_LONG),
        Physical::F32 => filled!(f32, 0.0, f32::is_nan),
        Physical::F64 => filled!(f64, 0.0, f64::is_nan),
        Physical::U8 | Physical::Guid | Physical::Symbol => column.clone(),
    }
}

fn zeroed<T: Fixed>(buf: &Buf<T>, zero: T, null: impl Fn(T) -> bool) -> Vec<T> {
    buf.iter().map(|x| if null(x) { zero } else { x }).collect()
}

/// Nulls become the last value before them that is none, as q's `fills`; those at the start stay.
/// An empty string counts as null in a column of strings; booleans and bytes have no null.
pub fn forward(column: &Value) -> Value {
    let null = nulls(column);
    if !null.contains(&true) {
        return column.clone();
    }
    let mut last = None;
    let rows: Vec<u32> = null
        .iter()
        .enumerate()
        .map(|(row, &null)| {
            if !null {
                last = Some(row as u32);
            }
            last.unwrap_or(row as u32)
        })
        .collect();
    take::take_rows(column, &rows)
}

/// Which items are null, q's `null` of a column; of a general list, which are empty.
pub fn nulls(column: &Value) -> Vec<bool> {
    let v = match column {
        Value::Vector(v) => v,
        Value::List(l) => {
            let empty = |item: &Value| match item {
                Value::Atom(a) => a.is_null(),
                other => other.count() == 0 || matches!(other, Value::Null),
            };
            return l.items().iter().map(empty).collect();
        }
        other => return vec![false; other.count()],
    };
    macro_rules! of {
        ($t:ty, $null:expr) => {
            v.as_buf::<$t>().map_or_else(Vec::new, |b| b.iter().map($null).collect())
        };
    }
    match v.physical() {
        Physical::U8 if v.ty() == Type::Char => of!(u8, |x| x == kvalue::types::NULL_CHAR),
        Physical::U8 => vec![false; v.len()],
        Physical::I16 => of!(i16, |x| x == NULL_SHORT),
        Physical::I32 => of!(i32, |x| x == NULL_INT),
        Physical::I64 => of!(i64, |x| x == NULL_LONG),
        Physical::F32 => of!(f32, f32::is_nan),
        Physical::F64 => of!(f64, f64::is_nan),
        Physical::Guid => of!([u8; 16], |x| x == [0; 16]),
        Physical::Symbol => {
            v.as_symbols().map_or_else(Vec::new, |s| s.iter().map(<[u8]>::is_empty).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use kvalue::types::{INF_LONG, NULL_FLOAT};

    use super::*;

    fn longs(items: &[i64]) -> Value {
        Value::from(Vector::longs(items.to_vec()))
    }

    #[test]
    fn zero_fills_numbers_and_leaves_the_rest() {
        assert_eq!(zero(&longs(&[1, NULL_LONG, INF_LONG])), longs(&[1, 0, INF_LONG]));
        let floats = Value::from(Vector::floats(vec![NULL_FLOAT, 2.5]));
        assert_eq!(zero(&floats), Value::from(Vector::floats(vec![0.0, 2.5])));
        let times = Value::from(Vector::new(Type::Time, vec![NULL_INT, 5]));
        assert_eq!(zero(&times), Value::from(Vector::new(Type::Time, vec![0, 5])));
        let names = Value::syms(["", "a"]);
        assert_eq!(zero(&names), names);
    }

    #[test]
    fn forward_keeps_nulls_at_the_start() {
        let column = longs(&[NULL_LONG, 1, NULL_LONG, NULL_LONG, 2, NULL_LONG]);
        assert_eq!(forward(&column), longs(&[NULL_LONG, 1, 1, 1, 2, 2]));
        assert_eq!(forward(&Value::syms(["a", "", "b"])), Value::syms(["a", "a", "b"]));
        let strings = Value::list(["x y", "", "z"].map(Value::str).to_vec());
        assert_eq!(forward(&strings), Value::list(["x y", "x y", "z"].map(Value::str).to_vec()));
    }

    #[test]
    fn a_column_without_nulls_is_not_copied() {
        let column = longs(&[1, 2]);
        for filled in [zero(&column), forward(&column)] {
            let (a, b) = (filled.as_vector().unwrap().as_bytes(), column.as_vector().unwrap().as_bytes());
            assert_eq!(a.unwrap().as_ptr(), b.unwrap().as_ptr());
        }
    }
}
