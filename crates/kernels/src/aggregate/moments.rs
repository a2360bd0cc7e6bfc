//! Variances and covariances: counts, means and sums of squared deviations a group.
//!
//! Each group's items are taken relative to its first one, the *origin*, which travels with the state in the
//! column's own kind of number. So timestamps in nanoseconds lose nothing to the width of a float, equal items
//! have a variance of exactly zero, and states merge by exact differences of origins.

use kvalue::{Value, Vector, types::NULL_LONG};

use super::{
    items::{floats, longs},
    sums::{Moments, PairMoments},
};
use crate::{Selection, group::Groups};

/// A column's items in the order of the selection.
enum Items {
    Whole(Vec<i64>),
    Float(Vec<f64>),
}

impl Items {
    fn of(v: &Vector, sel: &Selection) -> Items {
        longs(v, sel).map_or_else(|| Items::Float(floats(v, sel)), Items::Whole)
    }

    fn is_null(&self, at: usize) -> bool {
        match self {
            Items::Whole(items) => items[at] == NULL_LONG,
            Items::Float(items) => items[at].is_nan(),
        }
    }

    /// The origin of each group as a column, and the items relative to it; NaN where `null` says so.
    fn centred(&self, ids: &[u32], groups: usize, null: &[bool]) -> (Value, Vec<f64>) {
        match self {
            Items::Whole(items) => {
                let (origins, relative) = centre(items, ids, groups, null, 0, difference);
                (Value::from(Vector::longs(origins)), relative)
            }
            Items::Float(items) => {
                let (origins, relative) = centre(items, ids, groups, null, 0.0, |a, b| a - b);
                (Value::from(Vector::floats(origins)), relative)
            }
        }
    }
}

/// The difference of two longs as a float, exact to the float's width also where a long would overflow.
pub(super) fn difference(a: i64, b: i64) -> f64 {
    (i128::from(a) - i128::from(b)) as f64
}

fn centre<T: Copy>(
    items: &[T],
    ids: &[u32],
    groups: usize,
    null: &[bool],
    zero: T,
    minus: impl Fn(T, T) -> f64,
) -> (Vec<T>, Vec<f64>) {
    let mut origins: Vec<Option<T>> = vec![None; groups];
    let relative = items
        .iter()
        .zip(ids)
        .zip(null)
        .map(
            |((&x, &g), &null)| {
                if null { f64::NAN } else { minus(x, *origins[g as usize].get_or_insert(x)) }
            },
        )
        .collect();
    (origins.into_iter().map(|o| o.unwrap_or(zero)).collect(), relative)
}

pub(super) fn of_one(v: &Vector, groups: &Groups, sel: &Selection) -> Vec<Value> {
    let ids = groups.ids(sel);
    let items = Items::of(v, sel);
    let null: Vec<bool> = (0..ids.len()).map(|i| items.is_null(i)).collect();
    let (origins, d) = items.centred(&ids, groups.len(), &null);
    let mut all = vec![Moments::default(); groups.len()];
    for ((&d, &g), _) in d.iter().zip(&ids[..]).zip(&null).filter(|(_, null)| !**null) {
        let m = &mut all[g as usize];
        m.n += 1;
        m.mean += d;
    }
    all.iter_mut().filter(|m| m.n > 0).for_each(|m| m.mean /= m.n as f64);
    // What is left of the sum of deviations corrects the mean's rounding.
    let mut rest = vec![0.0; groups.len()];
    for ((&d, &g), _) in d.iter().zip(&ids[..]).zip(&null).filter(|(_, null)| !**null) {
        let m = &mut all[g as usize];
        let deviation = d - m.mean;
        m.m2 += deviation * deviation;
        rest[g as usize] += deviation;
    }
    for (m, rest) in all.iter_mut().zip(rest).filter(|(m, _)| m.n > 0) {
        m.m2 -= rest * (rest / m.n as f64);
        m.mean += rest / m.n as f64;
    }
    let mut columns = columns_of_one(&all);
    columns.insert(1, origins);
    columns
}

/// State columns without the origin.
pub(super) fn columns_of_one(all: &[Moments]) -> Vec<Value> {
    vec![
        Value::from(Vector::longs(all.iter().map(|m| m.n).collect())),
        Value::from(Vector::floats(all.iter().map(|m| m.mean).collect())),
        Value::from(Vector::floats(all.iter().map(|m| m.m2).collect())),
    ]
}

pub(super) fn of_two(x: &Vector, y: &Vector, groups: &Groups, sel: &Selection) -> Vec<Value> {
    let ids = groups.ids(sel);
    let (x, y) = (Items::of(x, sel), Items::of(y, sel));
    let null: Vec<bool> = (0..ids.len()).map(|i| x.is_null(i) || y.is_null(i)).collect();
    let (x_origins, dx) = x.centred(&ids, groups.len(), &null);
    let (y_origins, dy) = y.centred(&ids, groups.len(), &null);
    let rows = || (0..ids.len()).filter(|&i| !null[i]).map(|i| (ids[i] as usize, [dx[i], dy[i]]));
    let mut all = vec![PairMoments::default(); groups.len()];
    for (g, d) in rows() {
        let m = &mut all[g];
        m.n += 1;
        m.mean[0] += d[0];
        m.mean[1] += d[1];
    }
    for m in all.iter_mut().filter(|m| m.n > 0) {
        m.mean = m.mean.map(|sum| sum / m.n as f64);
    }
    let mut rest = vec![[0.0; 2]; groups.len()];
    for (g, d) in rows() {
        let m = &mut all[g];
        let deviation = [d[0] - m.mean[0], d[1] - m.mean[1]];
        for i in 0..2 {
            m.m2[i] += deviation[i] * deviation[i];
            rest[g][i] += deviation[i];
        }
        m.m11 += deviation[0] * deviation[1];
    }
    for (m, rest) in all.iter_mut().zip(rest).filter(|(m, _)| m.n > 0) {
        let n = m.n as f64;
        m.m11 -= rest[0] * (rest[1] / n);
        for ((m2, mean), rest) in m.m2.iter_mut().zip(&mut m.mean).zip(rest) {
            *m2 -= rest * (rest / n);
            *mean += rest / n;
        }
    }
    columns_of_two(&all, x_origins, y_origins)
}

pub(super) fn columns_of_two(all: &[PairMoments], x_origins: Value, y_origins: Value) -> Vec<Value> {
    let floats = |f: &dyn Fn(&PairMoments) -> f64| Value::from(Vector::floats(all.iter().map(f).collect()));
    vec![
        Value::from(Vector::longs(all.iter().map(|m| m.n).collect())),
        x_origins,
        floats(&|m| m.mean[0]),
        y_origins,
        floats(&|m| m.mean[1]),
        floats(&|m| m.m2[0]),
        floats(&|m| m.m2[1]),
        floats(&|m| m.m11),
    ]
}
