//! Half-open stretches of time: `[start, end)` in nanoseconds since 2000.01.01.
//!
//! A [`TimeRange`] cannot be built backwards. The whole time line runs from q's `-0Wp` to `0Wp`; rows at
//! `-0Wp` itself are never served (as in the gateway qmesh stands in for), so the infinities serve as bounds.

use kvalue::types::INF_LONG;

/// A half-open, never backwards stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimeRange {
    start: i64,
    end: i64,
}

impl TimeRange {
    /// q's `-0Wp`
    pub const MIN: i64 = -INF_LONG;
    /// q's `0Wp`
    pub const MAX: i64 = INF_LONG;
    /// The whole time line.
    pub const ALL: TimeRange = TimeRange { start: Self::MIN, end: Self::MAX };

    /// `[start, end)`; `None` where `end` is before `start`.
    pub fn new(start: i64, end: i64) -> Option<Self> {
        (start <= end).then_some(TimeRange { start: start.max(Self::MIN), end })
    }

    /// Inclusive start.
    pub fn start(self) -> i64 {
        self.start
    }

    /// Exclusive end; [`Self::MAX`] stands for no end.
    pub fn end(self) -> i64 {
        self.end
    }

    /// True where no instant is inside.
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// True where `t` is inside.
    pub fn contains(self, t: i64) -> bool {
        self.start <= t && (t < self.end || self.end == Self::MAX)
    }

    /// The instants in both; `None` where there is none.
    pub fn intersect(self, other: TimeRange) -> Option<TimeRange> {
        let both = TimeRange { start: self.start.max(other.start), end: self.end.min(other.end) };
        (!both.is_empty()).then_some(both)
    }

    /// The parts of `self` outside `other`, in order.
    pub fn without(self, other: TimeRange) -> impl Iterator<Item = TimeRange> {
        let before = TimeRange { start: self.start, end: self.end.min(other.start) };
        let after = TimeRange { start: self.start.max(other.end), end: self.end };
        [before, after].into_iter().filter(|r| !r.is_empty())
    }
}

impl std::fmt::Display for TimeRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |t| kvalue::time::text(&kvalue::Atom::Timestamp(t));
        write!(f, "[{}, {})", text(self.start), text(self.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cannot_be_built_backwards() {
        assert_eq!(TimeRange::new(2, 1), None);
        assert!(TimeRange::new(1, 1).unwrap().is_empty());
    }

    #[test]
    fn intersection_and_difference_partition_the_range() {
        let r = |a, b| TimeRange::new(a, b).unwrap();
        assert_eq!(r(0, 10).intersect(r(5, 20)), Some(r(5, 10)));
        assert_eq!(r(0, 10).intersect(r(10, 20)), None);
        assert_eq!(r(0, 10).without(r(3, 5)).collect::<Vec<_>>(), [r(0, 3), r(5, 10)]);
        assert_eq!(r(0, 10).without(r(0, 10)).count(), 0);
    }
}
