//! q's clocks as instants: nanoseconds since 2000.01.01.

use kvalue::time::{DAY, days_from_civil};

/// The first day of a month; `None` beyond the calendar's reach.
pub(crate) fn month_start(month: i32) -> Option<i64> {
    let month = i64::from(month);
    days_from_civil(2000 + month.div_euclid(12), month.rem_euclid(12) as u32 + 1, 1)
}

/// The instant of a datetime, days as a float; `None` for null, infinities and what does not fit.
pub(crate) fn of_days(days: f64) -> Option<i64> {
    let ns = (days * DAY as f64).round();
    (ns.abs() < i64::MAX as f64).then_some(ns as i64)
}
