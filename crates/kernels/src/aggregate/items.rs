//! A column's selected items as one kind of number, for the statistics that need only that.

use kvalue::{Buf, Fixed, Vector, types::NULL_LONG};

use super::drive::{Number, Whole, with_numbers};
use crate::Selection;

/// The selected items as floats in the order of the selection; null is NaN.
pub(super) fn floats(v: &Vector, sel: &Selection) -> Vec<f64> {
    fn of_whole<T: Whole>(buf: &Buf<T>, sel: &Selection) -> Vec<f64> {
        mapped(buf, sel, |x| if x.is_null() { f64::NAN } else { x.wide() as f64 })
    }
    fn of_float<T: Number + Into<f64>>(buf: &Buf<T>, sel: &Selection) -> Vec<f64> {
        mapped(buf, sel, T::into)
    }
    with_numbers!(v, |b| whole of_whole(&b, sel), float of_float(&b, sel), else vec![f64::NAN; sel.len()])
}

/// The selected items as longs in the order of the selection, `None` for a column of floats.
pub(super) fn longs(v: &Vector, sel: &Selection) -> Option<Vec<i64>> {
    fn of_whole<T: Whole>(buf: &Buf<T>, sel: &Selection) -> Vec<i64> {
        mapped(buf, sel, |x| if x.is_null() { NULL_LONG } else { x.wide() })
    }
    with_numbers!(v, |b| whole Some(of_whole(&b, sel)), float { let _ = b; None }, else None)
}

/// Run by run, so that the inner loop is over a slice.
fn mapped<T: Fixed, U>(buf: &Buf<T>, sel: &Selection, f: impl Fn(T) -> U) -> Vec<U> {
    let le = buf.le();
    let mut out = Vec::with_capacity(sel.len());
    match sel {
        Selection::Rows(rows) => out.extend(rows.iter().map(|&r| f(T::from_le(le[r as usize])))),
        _ => sel.runs().for_each(|run| out.extend(le[run].iter().map(|&x| f(T::from_le(x))))),
    }
    out
}
