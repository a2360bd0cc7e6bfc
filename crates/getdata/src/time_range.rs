//! Which rows of a block lie in a range of instants, and in a time of day window.
//!
//! Rule: a row's instant is its time clamped into its block's range (see `source`). So a bound of the query
//! matters to a block only where it falls inside the block's range, and then it is a plain comparison with the
//! time column; nulls, which compare below everything, go with the block's first instant. Tests: here.

use kernels::{
    Selection,
    compare::{self, Op},
};
use kvalue::{Atom, Type, Value, Vector, time::DAY};
use sg::{Failure, TimeRange};

use crate::{clock, failure, query::Slice};

/// The rows of a block that are in a range.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cut {
    /// none
    None,
    /// all
    All,
    /// rows with a time at or after the first bound and before the second
    Between(Option<Atom>, Option<Atom>),
}

/// Cuts a block that covers `block`, whose time column is of type `ty` (`None`: there is none), to `range`.
pub(crate) fn cut(ty: Option<Type>, block: TimeRange, range: TimeRange) -> Cut {
    if block.intersect(range).is_none() {
        return Cut::None;
    }
    let after_start = (range.start() > block.start()).then_some(range.start());
    let before_end = (range.end() < block.end()).then_some(range.end());
    if after_start.is_none() && before_end.is_none() {
        return Cut::All;
    }
    let base = block.start();
    let bound = |instant: Option<i64>| instant.map(|t| first_at_or_after(ty?, base, t));
    match (bound(after_start), bound(before_end)) {
        // Without time on a known clock every row is at the block's first instant.
        (Some(None), _) => Cut::None,
        (None, Some(None)) => Cut::All,
        (from, to) => Cut::Between(from.flatten(), to.flatten()),
    }
}

/// The lowest value of a time column whose instant is not before `instant`; `base` is midnight for times of
/// day. `None` for a type, or a block, that has no instants.
fn first_at_or_after(ty: Type, base: i64, instant: i64) -> Option<Atom> {
    let of_day = |unit: i64| {
        if base <= TimeRange::MIN {
            return None;
        }
        Some(ceil_div(instant.saturating_sub(base), unit))
    };
    let n = match ty {
        Type::Timestamp => instant,
        Type::Date => ceil_div(instant, DAY),
        Type::Month => {
            let days = instant.div_euclid(DAY);
            let (year, month, _) = kvalue::time::civil_from_days(days);
            let here = (year - 2000) * 12 + i64::from(month) - 1;
            let start = clock::month_start(i32::try_from(here).ok()?).and_then(|d| d.checked_mul(DAY));
            here + i64::from(start.is_none_or(|s| s < instant))
        }
        // The least that shows as this millisecond: as a float a datetime may lie below what it shows.
        Type::Datetime => {
            let millis = ceil_div(instant, 1_000_000) as f64;
            return Some(Atom::Datetime((millis - 0.5) / 86_400_000.0));
        }
        Type::Timespan => of_day(1)?,
        Type::Time => of_day(1_000_000)?,
        Type::Second => of_day(kvalue::time::SECOND)?,
        Type::Minute => of_day(60 * kvalue::time::SECOND)?,
        _ => return None,
    };
    let wide = matches!(ty, Type::Timestamp | Type::Timespan);
    // A bound must not turn into a null or wrap.
    let n = if wide { n } else { n.clamp(i64::from(-i32::MAX), i64::from(i32::MAX)) };
    Some(Atom::from_i64(ty, n))
}

fn ceil_div(a: i64, b: i64) -> i64 {
    a.div_euclid(b) + i64::from(a.rem_euclid(b) != 0)
}

/// The rows of `within` between the bounds. `sorted`: the column is known to ascend.
pub(crate) fn between(
    column: &Value,
    from: Option<&Atom>,
    to: Option<&Atom>,
    sorted: bool,
    within: Selection,
) -> Result<Selection, Failure> {
    if sorted && let Value::Vector(v) = column {
        return Ok(within.intersect(&Selection::range(rows_between(v, from, to))));
    }
    let mut within = within;
    for (op, bound) in [(Op::Ge, from), (Op::Lt, to)] {
        if let Some(bound) = bound {
            within =
                compare::select(column, op, &Value::Atom(bound.clone()), &within).map_err(failure::kernel)?;
        }
    }
    Ok(within)
}

/// The rows of an ascending column between the bounds.
pub(crate) fn rows_between(v: &Vector, from: Option<&Atom>, to: Option<&Atom>) -> std::ops::Range<usize> {
    let start = from.map_or(0, |a| first_row_at(v, a));
    let end = to.map_or(v.len(), |a| first_row_at(v, a));
    start..end.max(start)
}

/// A bound as the number that a time column of whole numbers stores for it.
pub(crate) fn number(bound: &Atom) -> Option<i64> {
    match *bound {
        Atom::Timestamp(t) | Atom::Timespan(t) => Some(t),
        Atom::Time(t) | Atom::Second(t) | Atom::Minute(t) | Atom::Date(t) | Atom::Month(t) => {
            Some(i64::from(t))
        }
        _ => None,
    }
}

/// The first row of an ascending column that is not before a bound.
pub(crate) fn first_row_at(v: &Vector, bound: &Atom) -> usize {
    // The nulls of whole numbers are the lowest of them, as q orders them: plain numbers order as atoms do.
    if let Some(n) = number(bound)
        && v.ty() == bound.ty()
    {
        match (v.as_le::<i64>(), v.as_le::<i32>()) {
            (Some(times), _) => return times.partition_point(|x| x.get() < n),
            (_, Some(times)) => return times.partition_point(|x| i64::from(x.get()) < n),
            _ => {}
        }
    }
    let (mut low, mut high) = (0, v.len());
    while low < high {
        let mid = low + (high - low) / 2;
        if compare::order(&v.get(mid), bound).is_lt() {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    low
}

/// The rows of `within` whose local time of day is in the window. Rows without a time are in none.
pub(crate) fn in_slice(
    column: &Value,
    base: i64,
    slice: &Slice,
    within: &Selection,
) -> Result<Selection, Failure> {
    let Value::Vector(v) = column else { return Ok(Selection::none()) };
    let mut mask = vec![false; v.len()];
    let mut local = LocalClock { slice, valid: 0..0, offset: 0 };
    let mut set = |row: usize, instant: Option<i64>| {
        mask[row] = instant.is_some_and(|t| local.contains(t));
    };
    match v.ty() {
        Type::Timestamp => {
            let buf = v.as_buf::<i64>().unwrap_or_else(|| kvalue::Buf::from_vec(Vec::new()));
            within.iter().for_each(|row| {
                let t = buf.get(row);
                set(row, (!kvalue::time::is_special(Type::Timestamp, t)).then_some(t));
            });
        }
        _ => within.iter().for_each(|row| set(row, instant_of(&v.get(row), base))),
    }
    Ok(Selection::from_mask(&mask))
}

/// The instant of a time column's value; `None` for nulls, infinities and what has no instant.
fn instant_of(atom: &Atom, base: i64) -> Option<i64> {
    let n = match atom.scalar()? {
        kvalue::atom::Scalar::Float(x) => return clock::of_days(x).filter(|_| atom.ty() == Type::Datetime),
        kvalue::atom::Scalar::Integer(n) => n?,
    };
    if kvalue::time::is_special(atom.ty(), n) {
        return None;
    }
    let of_day = |unit: i64| {
        let base = if base <= TimeRange::MIN { 0 } else { base };
        base.checked_add(n.checked_mul(unit)?)
    };
    match atom.ty() {
        Type::Timestamp => Some(n),
        Type::Date => n.checked_mul(DAY),
        Type::Month => clock::month_start(i32::try_from(n).ok()?)?.checked_mul(DAY),
        Type::Timespan => of_day(1),
        Type::Time => of_day(1_000_000),
        Type::Second => of_day(kvalue::time::SECOND),
        Type::Minute => of_day(60 * kvalue::time::SECOND),
        _ => None,
    }
}

/// Local time of day, looked up once per stretch of constant offset.
struct LocalClock<'a> {
    slice: &'a Slice,
    /// Instants for which `offset` holds.
    valid: std::ops::Range<i64>,
    offset: i64,
}

/// Offsets are looked up for stretches of this length.
const STRETCH: i64 = 15 * 60 * kvalue::time::SECOND;

impl LocalClock<'_> {
    fn contains(&mut self, t: i64) -> bool {
        let of_day = self.local(t).rem_euclid(DAY);
        self.slice.from <= of_day && of_day < self.slice.to
    }

    fn local(&mut self, t: i64) -> i64 {
        let zone = &self.slice.zone;
        if zone.is_utc() {
            return t;
        }
        if !self.valid.contains(&t) {
            let start = t - t.rem_euclid(STRETCH);
            let offset_at = |t: i64| zone.from_utc(t) - t;
            if offset_at(start) != offset_at(start + STRETCH - 1) {
                // Clocks change within the stretch: ask for this instant alone.
                return zone.from_utc(t);
            }
            (self.valid, self.offset) = (start..start + STRETCH, offset_at(start));
        }
        t + self.offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(a: i64, b: i64) -> TimeRange {
        TimeRange::new(a, b).unwrap()
    }

    #[test]
    fn bounds_matter_only_inside_the_block() {
        let day = range(DAY, 2 * DAY);
        let ts = Some(Type::Timestamp);
        assert_eq!(cut(ts, day, TimeRange::ALL), Cut::All);
        assert_eq!(cut(ts, day, range(DAY, 2 * DAY)), Cut::All);
        assert_eq!(cut(ts, day, range(0, DAY)), Cut::None);
        let from = Some(Atom::Timestamp(DAY + 5));
        assert_eq!(cut(ts, day, range(DAY + 5, 9 * DAY)), Cut::Between(from.clone(), None));
        assert_eq!(cut(ts, day, range(0, DAY + 5)), Cut::Between(None, from));
    }

    #[test]
    fn without_a_clock_rows_are_at_the_first_instant() {
        let day = range(DAY, 2 * DAY);
        assert_eq!(cut(None, day, range(0, DAY + 1)), Cut::All);
        assert_eq!(cut(None, day, range(DAY + 1, 9 * DAY)), Cut::None);
        // Times of day in a block that does not say its day.
        assert_eq!(cut(Some(Type::Time), TimeRange::ALL, range(0, 9 * DAY)), Cut::None);
        assert_eq!(cut(Some(Type::Time), TimeRange::ALL, range(TimeRange::MIN, 9 * DAY)), Cut::All);
    }

    #[test]
    fn bounds_are_in_the_units_of_the_column_and_round_up() {
        let day = range(DAY, 2 * DAY);
        let second = kvalue::time::SECOND;
        let cut_from = |ty, at| match cut(Some(ty), day, range(at, 9 * DAY)) {
            Cut::Between(from, None) => from,
            other => panic!("{other:?}"),
        };
        assert_eq!(cut_from(Type::Timespan, DAY + 7), Some(Atom::Timespan(7)));
        assert_eq!(cut_from(Type::Time, DAY + 1), Some(Atom::Time(1)));
        assert_eq!(cut_from(Type::Second, DAY + 5 * second), Some(Atom::Second(5)));
        assert_eq!(cut_from(Type::Minute, DAY + 61 * second), Some(Atom::Minute(2)));
        assert_eq!(cut_from(Type::Date, DAY + 1), Some(Atom::Date(2)));
        assert_eq!(cut_from(Type::Month, DAY + 1), Some(Atom::Month(1)));
    }

    #[test]
    fn a_sorted_column_is_cut_as_a_scan_would() {
        let null = kvalue::types::NULL_LONG;
        let column = Value::Vector(Vector::timestamps(vec![null, 1, 3, 3, 5, i64::MAX]));
        for from in [None, Some(0), Some(3), Some(4), Some(9)] {
            for to in [None, Some(1), Some(3), Some(6)] {
                let (from, to) = (from.map(Atom::Timestamp), to.map(Atom::Timestamp));
                let all = || Selection::All(6);
                let scan = between(&column, from.as_ref(), to.as_ref(), false, all()).unwrap();
                let halving = between(&column, from.as_ref(), to.as_ref(), true, all()).unwrap();
                assert_eq!(scan, halving, "{from:?} {to:?}");
            }
        }
    }

    #[test]
    fn slices_go_by_local_time_of_day() {
        let hour = 3_600 * kvalue::time::SECOND;
        let zone = sg::tz::Zone::named("inputTZ", "America/New_York").unwrap();
        let slice = Slice { from: 9 * hour, to: 10 * hour, zone };
        // 2015.01.07 (winter, UTC-5) and 2015.07.07 (summer, UTC-4), 13:30 and 14:30 UTC
        let (winter, summer) = (5485 * DAY, 5666 * DAY);
        let column = Value::Vector(Vector::timestamps(vec![
            winter + 13 * hour,
            winter + 14 * hour,
            summer + 13 * hour,
            summer + 14 * hour,
            i64::MIN,
        ]));
        let found = in_slice(&column, 0, &slice, &Selection::All(5)).unwrap();
        assert_eq!(found.to_rows(), [1, 2]);
    }
}
