//! [`Landmarks`]: sampled values of an ascending run of rows, so that a search reads few rows.
//!
//! Rule: one value per fixed number of rows is kept, for a bounded number of runs; the caller reads the rows between
//! two landmarks. Tests: below.

use std::{ops::Range, sync::Arc};

use ahash::HashMap;
use kvalue::{Physical, Vector};

/// Values of a run of rows that ascends, the first and each so many rows after it. A clone shares them.
#[derive(Debug, Clone)]
pub struct Landmarks(Arc<[i64]>);

impl Landmarks {
    /// Rows from one to the next.
    pub const EVERY: usize = 1 << 11;

    /// Those of these values; `None` where they do not ascend or are no whole numbers.
    pub(crate) fn of(values: &Vector) -> Option<Self> {
        match values.physical() {
            Physical::I64 => ascending(values.as_le::<i64>()?.iter().map(|x| x.get())),
            Physical::I32 => ascending(values.as_le::<i32>()?.iter().map(|x| i64::from(x.get()))),
            _ => None,
        }
    }

    /// Those of `rows`, which they are of, among which are all with values of at least `from` and below `to`; one at
    /// least where there are any.
    pub fn around(&self, rows: &Range<usize>, from: Option<i64>, to: Option<i64>) -> Range<usize> {
        let before = |bound: i64| self.0.partition_point(|x| *x < bound);
        let start = from.map_or(0, |from| before(from).saturating_sub(1) * Self::EVERY);
        let end = to.map_or(rows.len(), |to| before(to) * Self::EVERY);
        let end = end.max(start + 1).min(rows.len());
        rows.start + start..rows.start + end
    }
}

fn ascending(values: impl Iterator<Item = i64> + Clone) -> Option<Landmarks> {
    let ascend = values.clone().is_sorted();
    ascend.then(|| Landmarks(values.step_by(Landmarks::EVERY).collect()))
}

/// Most runs remembered of a column.
const MAX_RUNS: usize = 1 << 16;
/// Most landmarks of all of them: 8 MiB.
const MAX_LANDMARKS: usize = 1 << 20;

/// The runs of a column that somebody has asked about; `None` for one that does not ascend.
#[derive(Debug, Default)]
pub(crate) struct KnownRuns {
    pub(crate) runs: HashMap<Range<usize>, Option<Landmarks>>,
    landmarks: usize,
}

impl KnownRuns {
    pub(crate) fn insert(&mut self, rows: Range<usize>, found: Option<Landmarks>) {
        if self.runs.len() >= MAX_RUNS || self.landmarks >= MAX_LANDMARKS {
            *self = KnownRuns::default();
        }
        self.landmarks += found.as_ref().map_or(0, |found| found.0.len());
        self.runs.insert(rows, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_between_two_bounds_are_around_their_landmarks() {
        let n = 3 * Landmarks::EVERY + 100;
        // Each value twice, and the null of whole numbers first.
        let values: Vec<i64> = (0..n as i64).map(|row| if row == 0 { i64::MIN } else { row / 2 }).collect();
        let landmarks = Landmarks::of(&Vector::timestamps(values.clone())).unwrap();
        let rows = 1000..1000 + n;
        let far = i64::MAX;
        let bounds: Vec<i64> =
            (-1..n as i64 / 2 + 2).step_by(101).chain([0, 1, 1024, 1025, 2048, far]).collect();
        for from in bounds.iter().copied().map(Some).chain([None]) {
            for to in
                bounds.iter().copied().filter(|to| from.is_none_or(|f| f <= *to)).map(Some).chain([None])
            {
                let around = landmarks.around(&rows, from, to);
                assert!(!around.is_empty() && around.start >= rows.start && around.end <= rows.end);
                let is_wanted = |v: i64| from.is_none_or(|f| v >= f) && to.is_none_or(|t| v < t);
                let outside = rows.clone().filter(|row| !around.contains(row));
                let lost = outside.into_iter().find(|row| is_wanted(values[row - rows.start]));
                assert_eq!(lost, None, "{from:?} {to:?} {around:?}");
                if let (Some(from), Some(to)) = (from, to) {
                    let wanted = usize::try_from((to - from.max(0)).min(n as i64).max(0)).unwrap() * 2;
                    assert!(around.len() <= wanted + 2 * Landmarks::EVERY, "{from} {to} {around:?}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_ascend_has_none() {
        assert!(Landmarks::of(&Vector::longs(vec![1, 2, 1])).is_none());
        assert!(Landmarks::of(&Vector::floats(vec![1.0, 2.0])).is_none());
        assert_eq!(Landmarks::of(&Vector::longs(vec![])).unwrap().around(&(7..7), Some(1), Some(2)), 7..7);
    }

    #[test]
    fn no_more_runs_than_the_limit_are_remembered() {
        let mut known = KnownRuns::default();
        for row in 0..=MAX_RUNS {
            known.insert(row..row + 1, None);
        }
        assert_eq!(known.runs.len(), 1);
        let many = Landmarks(vec![0; MAX_LANDMARKS].into());
        known.insert(0..2, Some(many.clone()));
        known.insert(0..3, Some(many));
        assert_eq!((known.runs.len(), known.landmarks), (1, MAX_LANDMARKS));
    }
}
