//! Clocks of temporal types: the common clock of two types, and conversion of numbers between clocks.
//!
//! Two kinds of instant meet on the finer, two kinds of time of day on the finer, an instant meets a time of day as
//! its time of day. Moving to a coarser clock rounds down; nulls and infinities stay what they are.

use kvalue::{
    Type,
    time::{self, DAY, SECOND},
    types::{INF_INT, INF_LONG, NULL_INT, NULL_LONG},
};

const MINUTE: i64 = 60 * SECOND;
const MILLI: i64 = 1_000_000;

/// The type both are brought to before they are compared; `None` where they cannot be.
pub fn common(a: Type, b: Type) -> Option<Type> {
    use Type::*;
    if a == b {
        return Some(a);
    }
    let (a, b) = if a < b { (a, b) } else { (b, a) };
    match (a, b) {
        (Timestamp, Month | Date | Datetime) => Some(Timestamp),
        (Timestamp | Datetime, day @ (Timespan | Minute | Second | Time)) => Some(day),
        (Month, Date) => Some(Date),
        (Date, Datetime) => Some(Datetime),
        (Timespan, Minute | Second | Time) => Some(Timespan),
        (Minute, Second) => Some(Second),
        (Minute | Second, Time) => Some(Time),
        _ => None,
    }
}

/// Nanoseconds in one unit of a type; `None` for month and datetime.
pub fn unit(ty: Type) -> Option<i64> {
    match ty {
        Type::Timestamp | Type::Timespan => Some(1),
        Type::Date => Some(DAY),
        Type::Minute => Some(MINUTE),
        Type::Second => Some(SECOND),
        Type::Time => Some(MILLI),
        _ => None,
    }
}

/// True for the types that count from the epoch, not from midnight.
pub fn is_instant(ty: Type) -> bool {
    matches!(ty, Type::Timestamp | Type::Month | Type::Date | Type::Datetime)
}

/// The null and the infinity of an integral temporal type, as longs.
pub fn specials(ty: Type) -> (i64, i64) {
    match ty.width() {
        Some(8) => (NULL_LONG, INF_LONG),
        _ => (i64::from(NULL_INT), i64::from(INF_INT)),
    }
}

/// A temporal number on another clock; `from` and `to` are integral. What does not fit becomes the infinity of
/// its sign.
pub fn convert(n: i64, from: Type, to: Type) -> i64 {
    if from == to {
        return n;
    }
    let (null, infinity) = specials(from);
    let (to_null, to_infinity) = specials(to);
    if n == null || n == NULL_LONG {
        return to_null;
    }
    if n >= infinity || n <= -infinity {
        return if n > 0 { to_infinity } else { -to_infinity };
    }
    let drops_day = is_instant(from) && !is_instant(to);
    // The common case: one multiplication or division in 64 bits.
    if let (Some(a), Some(b), false) = (unit(from), unit(to), drops_day) {
        let out = if a >= b && a % b == 0 {
            n.checked_mul(a / b)
        } else {
            n.checked_mul(a).map(|nanos| nanos.div_euclid(b))
        };
        if let Some(out) = out
            && out.unsigned_abs() <= to_infinity.unsigned_abs()
        {
            return out;
        }
        return if n > 0 { to_infinity } else { -to_infinity };
    }
    let nanos = match from {
        Type::Month => i128::from(days_of_month(n)) * i128::from(DAY),
        _ => i128::from(n) * i128::from(unit(from).unwrap_or(1)),
    };
    let nanos = if drops_day { nanos.rem_euclid(i128::from(DAY)) } else { nanos };
    let out = match to {
        Type::Month => i128::from(month_of_days(nanos.div_euclid(i128::from(DAY)) as i64)),
        _ => nanos.div_euclid(i128::from(unit(to).unwrap_or(1))),
    };
    out.clamp(i128::from(-to_infinity), i128::from(to_infinity)) as i64
}

/// A temporal number as a datetime: days since 2000.01.01 as a float.
pub fn to_datetime(n: i64, from: Type) -> f64 {
    let (null, infinity) = specials(from);
    if n == null || n == NULL_LONG {
        return f64::NAN;
    }
    if n >= infinity || n <= -infinity {
        return if n > 0 { f64::INFINITY } else { f64::NEG_INFINITY };
    }
    match from {
        Type::Month => days_of_month(n) as f64,
        _ => n as f64 * (unit(from).unwrap_or(1) as f64 / DAY as f64),
    }
}

/// A datetime on an integral clock, rounded to the millisecond a datetime is good for.
pub fn from_datetime(x: f64, to: Type) -> i64 {
    let (null, infinity) = specials(to);
    if x.is_nan() {
        return null;
    }
    // ±9.2e18 ns are ±106,751 days: beyond that only the infinities are left.
    if x.abs() >= 106_751.0 {
        return if x > 0.0 { infinity } else { -infinity };
    }
    let millis = (x * 86_400_000.0).round() as i64;
    convert(millis * MILLI, Type::Timestamp, to)
}

/// Days since 2000.01.01 of a month's first day.
pub fn days_of_month(month: i64) -> i64 {
    let (year, month) = (2000 + month.div_euclid(12), month.rem_euclid(12) as u32 + 1);
    // Beyond the calendar's years only the order matters.
    time::days_from_civil(year, month, 1)
        .unwrap_or_else(|| (((year - 2000) as f64) * 365.2425) as i64 + (i64::from(month) - 1) * 30)
}

/// The month that a day lies in.
pub fn month_of_days(days: i64) -> i64 {
    let (year, month, _) = time::civil_from_days(days);
    (year - 2000) * 12 + i64::from(month) - 1
}
