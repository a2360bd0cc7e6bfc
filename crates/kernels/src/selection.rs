//! [`Selection`]: which rows of a block are meant, ascending and without repeats.
//!
//! Three forms, because what follows runs at another speed over each: all rows, a few long runs (a time range,
//! the parts of a parted column), or single rows. Every form means the same rows to every kernel.

use std::ops::Range;

/// Rows of a block, ascending, none twice.
#[derive(Debug, Clone)]
pub enum Selection {
    /// the first `n` rows: the whole block
    All(usize),
    /// runs of rows: ascending, not overlapping, none empty
    Ranges(Vec<Range<usize>>),
    /// single rows: ascending
    Rows(Vec<u32>),
}

/// The highest number of rows a block may have: row numbers are 32 bits wide and the last is [`NO_ROW`].
pub const MAX_ROWS: usize = u32::MAX as usize - 1;

/// A row number that means "no row": taking it gives the type's null.
pub const NO_ROW: u32 = u32::MAX;

/// Average rows a run must have for runs to be kept instead of single rows.
const WORTHWHILE_RUN: usize = 4;

impl Selection {
    /// No row at all.
    pub fn none() -> Self {
        Selection::Ranges(Vec::new())
    }

    /// One run of rows.
    pub fn range(range: Range<usize>) -> Self {
        let mut builder = Builder::default();
        builder.push(range);
        builder.finish()
    }

    /// Rows where `mask` is true.
    pub fn from_mask(mask: &[bool]) -> Self {
        let mut builder = Builder::default();
        for (row, _) in mask.iter().enumerate().filter(|(_, m)| **m) {
            builder.push(row..row + 1);
        }
        builder.finish()
    }

    /// Number of rows meant.
    pub fn len(&self) -> usize {
        match self {
            Selection::All(n) => *n,
            Selection::Ranges(r) => r.iter().map(ExactSizeIterator::len).sum(),
            Selection::Rows(r) => r.len(),
        }
    }

    /// True where no row is meant.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One more than the highest row meant; 0 for none.
    pub fn end(&self) -> usize {
        match self {
            Selection::All(n) => *n,
            Selection::Ranges(r) => r.last().map_or(0, |r| r.end),
            Selection::Rows(r) => r.last().map_or(0, |&r| r as usize + 1),
        }
    }

    /// The first row meant.
    pub fn first_row(&self) -> Option<usize> {
        self.runs().next().map(|r| r.start)
    }

    /// The rows in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.runs().flatten()
    }

    /// The rows as runs in order; neighbouring single rows are joined.
    pub fn runs(&self) -> Runs<'_> {
        match self {
            Selection::All(n) => Runs { whole: Some(0..*n), ranges: &[], rows: &[] },
            Selection::Ranges(r) => Runs { whole: None, ranges: r, rows: &[] },
            Selection::Rows(r) => Runs { whole: None, ranges: &[], rows: r },
        }
    }

    /// The rows as numbers, for code that gathers.
    pub fn to_rows(&self) -> Vec<u32> {
        match self {
            Selection::Rows(rows) => rows.clone(),
            _ => {
                let mut rows = Vec::with_capacity(self.len());
                for run in self.runs() {
                    rows.extend(run.start as u32..run.end as u32);
                }
                rows
            }
        }
    }

    /// Rows that are in both.
    #[must_use]
    pub fn intersect(&self, other: &Selection) -> Selection {
        let (mut a, mut b) = (self.runs().peekable(), other.runs().peekable());
        let mut out = Builder::default();
        while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
            out.push(x.start.max(y.start)..x.end.min(y.end));
            if x.end <= y.end {
                a.next()
            } else {
                b.next()
            };
        }
        out.finish()
    }

    /// Rows that are in either.
    #[must_use]
    pub fn union(&self, other: &Selection) -> Selection {
        let (mut a, mut b) = (self.runs().peekable(), other.runs().peekable());
        let mut out = Builder::default();
        loop {
            let next = match (a.peek(), b.peek()) {
                (Some(x), Some(y)) if x.start <= y.start => a.next(),
                (_, Some(_)) => b.next(),
                (_, None) => a.next(),
            };
            match next {
                Some(run) => out.push(run),
                None => return out.finish(),
            }
        }
    }

    /// Rows of a block of `n` that are not in this.
    #[must_use]
    pub fn complement(&self, n: usize) -> Selection {
        let mut out = Builder::default();
        let mut from = 0;
        for run in self.runs() {
            out.push(from..run.start.min(n));
            from = run.end;
        }
        out.push(from..n);
        out.finish()
    }

    /// Rows of this that are not in `other`.
    #[must_use]
    pub fn except(&self, other: &Selection) -> Selection {
        self.intersect(&other.complement(self.end()))
    }

    /// The first `n` rows of this.
    #[must_use]
    pub fn first(&self, n: usize) -> Selection {
        self.window(0, n)
    }

    /// The last `n` rows of this.
    #[must_use]
    pub fn last(&self, n: usize) -> Selection {
        self.window(self.len().saturating_sub(n), n)
    }

    /// At most `n` rows of this after the first `skip`.
    #[must_use]
    pub fn window(&self, skip: usize, n: usize) -> Selection {
        if let Selection::Rows(rows) = self {
            let from = skip.min(rows.len());
            return Selection::Rows(rows[from..from.saturating_add(n).min(rows.len())].to_vec());
        }
        let (mut skip, mut n) = (skip, n);
        let mut out = Builder::default();
        for run in self.runs() {
            let from = run.start + skip.min(run.len());
            skip -= from - run.start;
            let to = from.saturating_add(n).min(run.end);
            n -= to - from;
            out.push(from..to);
        }
        out.finish()
    }
}

impl PartialEq for Selection {
    /// Equal where the same rows are meant, whatever the form.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Selection {}

/// Runs of a [`Selection`] in ascending order.
#[derive(Debug, Clone)]
pub struct Runs<'a> {
    whole: Option<Range<usize>>,
    ranges: &'a [Range<usize>],
    rows: &'a [u32],
}

impl Iterator for Runs<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        if let Some(whole) = self.whole.take() {
            return (!whole.is_empty()).then_some(whole);
        }
        if let Some((first, rest)) = self.ranges.split_first() {
            self.ranges = rest;
            return Some(first.clone());
        }
        let &first = self.rows.first()?;
        let run = self.rows.iter().zip(first..).take_while(|(row, expected)| *row == expected).count();
        self.rows = &self.rows[run..];
        Some(first as usize..first as usize + run)
    }
}

/// Collects ascending runs into the form that suits them.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    runs: Vec<Range<usize>>,
    len: usize,
}

impl Builder {
    /// Adds rows that start at or after the start of the last run added; overlap is merged.
    #[inline]
    pub(crate) fn push(&mut self, run: Range<usize>) {
        if run.start >= run.end {
            return;
        }
        match self.runs.last_mut() {
            Some(last) if run.start <= last.end => {
                let end = last.end.max(run.end);
                self.len += end - last.end;
                last.end = end;
            }
            _ => {
                self.len += run.len();
                self.runs.push(run);
            }
        }
    }

    pub(crate) fn finish(self) -> Selection {
        if self.len < self.runs.len() * WORTHWHILE_RUN && self.runs.last().is_none_or(|r| r.end <= MAX_ROWS) {
            let mut rows = Vec::with_capacity(self.len);
            for run in self.runs {
                rows.extend(run.start as u32..run.end as u32);
            }
            return Selection::Rows(rows);
        }
        Selection::Ranges(self.runs)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn any_selection() -> impl Strategy<Value = Selection> {
        prop_oneof![
            (0usize..40).prop_map(Selection::All),
            prop::collection::vec(any::<bool>(), 0..40).prop_map(|m| Selection::from_mask(&m)),
            prop::collection::btree_set(0u32..40, 0..40)
                .prop_map(|s| Selection::Rows(s.into_iter().collect())),
            (0usize..20, 0usize..20, 0usize..20).prop_map(|(a, b, c)| {
                Selection::range(a..a + b).union(&Selection::range(a + b + c..a + b + c + 3))
            }),
        ]
    }

    fn set(s: &Selection) -> BTreeSet<usize> {
        s.iter().collect()
    }

    proptest! {
        #[test]
        fn set_operations_agree_with_sets_of_rows(a in any_selection(), b in any_selection(), n in 0usize..50) {
            prop_assert_eq!(set(&a).len(), a.len());
            prop_assert_eq!(set(&a.intersect(&b)), &set(&a) & &set(&b));
            prop_assert_eq!(set(&a.union(&b)), &set(&a) | &set(&b));
            prop_assert_eq!(set(&a.except(&b)), &set(&a) - &set(&b));
            prop_assert_eq!(set(&a.complement(n)), &(0..n).collect::<BTreeSet<_>>() - &set(&a));
            prop_assert_eq!(a.end(), set(&a).last().map_or(0, |r| r + 1));
            prop_assert_eq!(a.to_rows().len(), a.len());
        }

        #[test]
        fn windows_take_rows_by_position(a in any_selection(), skip in 0usize..50, n in 0usize..50) {
            let rows: Vec<usize> = a.iter().collect();
            let expected: Vec<usize> = rows.iter().copied().skip(skip).take(n).collect();
            prop_assert_eq!(a.window(skip, n).iter().collect::<Vec<_>>(), expected);
            let last: Vec<usize> = rows[rows.len().saturating_sub(n)..].to_vec();
            prop_assert_eq!(a.last(n).iter().collect::<Vec<_>>(), last);
        }
    }

    #[test]
    fn long_runs_are_kept_as_runs_and_scattered_rows_as_rows() {
        let runs = Selection::from_mask(&[true, true, true, true, true, false, true, true, true, true, true]);
        assert!(matches!(&runs, Selection::Ranges(r) if r.len() == 2), "{runs:?}");
        let rows = Selection::from_mask(&[true, false, true, false, true]);
        assert!(matches!(&rows, Selection::Rows(r) if r == &[0, 2, 4]), "{rows:?}");
    }
}
