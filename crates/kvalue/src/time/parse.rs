//! Reading temporal texts, exactly: a text is read as a type only where the type holds all it says.
//!
//! | kind | forms |
//! | --- | --- |
//! | date | `2024.01.02`, `2024-01-02`, `2024/01/02`, `20240102`; years of more digits, and before 0, as they print |
//! | month | `2024-01`, `2024.01`, `2024.01m`; read as an instant it is the month's first day |
//! | instant | a date; a date and a time of day with `D`, `T` or a space between; `Z`, `±hh`, `±hhmm`, `±hh:mm` behind |
//! | time of day | `09`, `09:30`, `09:30:00`, `09:30:00.123`, `0930`, `093000`, `093000.123`; hours to 23 |
//! | span | `[-][dD]` and the same, with hours that go on |
//!
//! Digits of a second are nine at most; others may follow where they are zeros. Tests: `tests.rs` beside.

use super::{DAY, SECOND, days_of, is_special};
use crate::{Atom, Type, atom::Scalar};

#[cfg(test)]
mod tests;

const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// Letters of the temporal types, as they stand behind a null or an infinity.
const LETTERS: [char; 8] = ['p', 'm', 'd', 'z', 'n', 'u', 'v', 't'];

/// Parses the text of a temporal type, and q's nulls and infinities (`0Np`, `0Wd`, `-0Wn`, empty). `None` where the
/// text is none of these, where the type cannot hold all of it, and for a type that is not temporal.
pub fn parse(ty: Type, text: &str) -> Option<Atom> {
    parse_wide(ty, text).filter(|a| a.ty() == ty)
}

/// As [`parse`], save that a text that says more than the type holds is read as a finer type: a timestamp for an
/// instant, a timespan for a time of day or a span. So it can be compared with the type, and nothing of it is cut.
pub fn parse_wide(ty: Type, text: &str) -> Option<Atom> {
    let text = text.trim();
    if let Some(atom) = special(ty, text) {
        return Some(atom);
    }
    match ty {
        Type::Timestamp => timestamp(&instant(text)?),
        Type::Datetime => {
            let read = instant(text)?;
            Some(Atom::Datetime(read.days as f64 + read.of_day as f64 / DAY as f64))
        }
        Type::Date => {
            let read = instant(text)?;
            match (read.of_day, i32::try_from(read.days)) {
                (0, Ok(days)) if !is_special(ty, read.days) => Some(Atom::Date(days)),
                _ => timestamp(&read),
            }
        }
        Type::Month => match month(text) {
            Some(months) => {
                i32::try_from(months).ok().filter(|m| !is_special(ty, i64::from(*m))).map(Atom::Month)
            }
            None => {
                let read = instant(text)?;
                let date = i32::try_from(read.days).ok().filter(|_| read.of_day == 0);
                date.map(Atom::Date).or_else(|| timestamp(&read))
            }
        },
        Type::Timespan => timespan(span(text)?),
        Type::Time => of_unit(ty, span(text)?, 1_000_000),
        Type::Second => of_unit(ty, span(text)?, SECOND),
        Type::Minute => of_unit(ty, span(text)?, MINUTE),
        _ => None,
    }
}

/// True where a text that reads as an instant says its own offset from UTC.
pub fn has_offset(text: &str) -> bool {
    let text = text.trim();
    text.find(['D', 'T', 't', ' ']).is_some_and(|at| matches!(offset(&text[at + 1..]), Some((_, Some(_)))))
}

fn of_unit(ty: Type, nanos: i128, unit: i64) -> Option<Atom> {
    let (n, rest) = (nanos / i128::from(unit), nanos % i128::from(unit));
    let whole = i32::try_from(n).ok().map(i64::from).filter(|n| rest == 0 && !is_special(ty, *n));
    whole.map(|n| Atom::from_i64(ty, n)).or_else(|| timespan(nanos))
}

fn timespan(nanos: i128) -> Option<Atom> {
    i64::try_from(nanos).ok().filter(|n| !is_special(Type::Timespan, *n)).map(Atom::Timespan)
}

fn special(ty: Type, text: &str) -> Option<Atom> {
    if !ty.is_temporal() {
        return None;
    }
    if text.is_empty() {
        return Some(Atom::null(ty));
    }
    let (negative, rest) = signed(text);
    match (rest.strip_suffix(LETTERS).unwrap_or(rest), negative) {
        ("0N", false) => Some(Atom::null(ty)),
        ("0W", false) => Atom::infinity(ty),
        ("0W", true) => Some(match Atom::infinity(ty)?.scalar()? {
            Scalar::Integer(n) => Atom::from_i64(ty, -n?),
            Scalar::Float(x) => Atom::from_f64(ty, -x),
        }),
        _ => None,
    }
}

/// Days since 2000.01.01 and nanoseconds of the day.
struct Instant {
    days: i64,
    of_day: i64,
}

fn timestamp(read: &Instant) -> Option<Atom> {
    let nanos = i128::from(read.days) * i128::from(DAY) + i128::from(read.of_day);
    let nanos = i64::try_from(nanos).ok().filter(|n| !is_special(Type::Timestamp, *n))?;
    Some(Atom::Timestamp(nanos))
}

/// A date, a month, or a date and a time of day.
fn instant(text: &str) -> Option<Instant> {
    let Some(at) = text.find(['D', 'T', 't', ' ']) else {
        return Some(Instant { days: date(text).or_else(|| first_day(text))?, of_day: 0 });
    };
    let days = date(&text[..at])?;
    let (clock, offset) = offset(text[at + 1..].trim())?;
    let of_day = match (clock, offset) {
        // q writes a whole day so: `2024.01.02D`.
        ("", None) => 0,
        _ => of_day(clock)?,
    };
    let of_day = of_day - offset.unwrap_or(0);
    Some(Instant { days: days + of_day.div_euclid(DAY), of_day: of_day.rem_euclid(DAY) })
}

fn date(text: &str) -> Option<i64> {
    if text.len() == 8 && is_digits(text) {
        return days_of(digits(&text[..4])?, digits(&text[4..6])? as u32, digits(&text[6..])? as u32);
    }
    let (negative, rest) = signed(text);
    let mut parts = rest.split(['.', '-', '/']);
    let (y, m, d) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || y.len() < 4 || m.len() > 2 || d.len() > 2 {
        return None;
    }
    let year = digits(y)?;
    days_of(if negative { -year } else { year }, digits(m)? as u32, digits(d)? as u32)
}

/// Months since 2000.01.
fn month(text: &str) -> Option<i64> {
    let (negative, rest) = signed(text.strip_suffix('m').unwrap_or(text));
    let (y, m) = rest.split_once(['.', '-'])?;
    let (year, month) = (digits(y)?, digits(m)?);
    let is_month = y.len() >= 4 && m.len() <= 2 && (1..=12).contains(&month);
    is_month.then(|| ((if negative { -year } else { year }) - 2000) * 12 + month - 1)
}

fn first_day(text: &str) -> Option<i64> {
    let month = month(text)?;
    days_of(2000 + month.div_euclid(12), month.rem_euclid(12) as u32 + 1, 1)
}

/// A time of day and the offset behind it: `Z`, `±hh`, `±hhmm` or `±hh:mm`, as nanoseconds to subtract.
fn offset(clock: &str) -> Option<(&str, Option<i64>)> {
    if let Some(utc) = clock.strip_suffix(['Z', 'z']) {
        return Some((utc, Some(0)));
    }
    let Some(at) = clock.rfind(['+', '-']) else { return Some((clock, None)) };
    let zone = &clock[at + 1..];
    let (h, m) = match (zone.len(), zone.split_once(':')) {
        (2, None) => (zone, "00"),
        (4, None) => (zone.get(..2)?, zone.get(2..)?),
        (5, Some((h, m))) if h.len() == 2 => (h, m),
        _ => return None,
    };
    let (h, m) = (digits(h)?, digits(m)?);
    let nanos = (h < 24 && m < 60).then_some(h * HOUR + m * MINUTE)?;
    Some((&clock[..at], Some(if clock.as_bytes()[at] == b'-' { -nanos } else { nanos })))
}

/// A time of day within its day.
fn of_day(text: &str) -> Option<i64> {
    clock(text).filter(|ns| *ns < i128::from(DAY)).map(|ns| ns as i64)
}

/// A span: a sign, days before a `D`, and a clock.
fn span(text: &str) -> Option<i128> {
    let (negative, text) = signed(text);
    let (days, of_day) = match text.split_once('D') {
        Some((days, "")) => (digits(days)?, 0),
        Some((days, of_day)) => (digits(days)?, clock(of_day)?),
        None => (0, clock(text)?),
    };
    // Nine digits of days, and of hours, are far within this.
    let total = i128::from(days) * i128::from(DAY) + of_day;
    Some(if negative { -total } else { total })
}

/// `hh[:mm[:ss[.fraction]]]`, or `hhmm[ss[.fraction]]`, in nanoseconds; hours go on beyond 24 in the first form.
fn clock(text: &str) -> Option<i128> {
    let (whole, fraction) = match text.split_once(['.', ',']) {
        Some((whole, digits)) => (whole, Some(digits)),
        None => (text, None),
    };
    let (h, m, s) = match whole.contains(':') {
        true => {
            let mut parts = whole.split(':');
            let read = (parts.next()?, parts.next(), parts.next());
            parts.next().is_none().then_some(read)?
        }
        false => match whole.len() {
            1 | 2 => (whole, None, None),
            4 => (whole.get(..2)?, whole.get(2..), None),
            6 => (whole.get(..2)?, whole.get(2..4), whole.get(4..)),
            _ => return None,
        },
    };
    if fraction.is_some() && s.is_none() {
        return None;
    }
    let sixty = |part: Option<&str>| match part {
        None => Some(0),
        Some(text) => digits(text).filter(|n| *n < 60 && text.len() <= 2),
    };
    let of_hour = sixty(m)? * MINUTE + sixty(s)? * SECOND + fraction.map_or(Some(0), nanos)?;
    Some(i128::from(digits(h)?) * i128::from(HOUR) + i128::from(of_hour))
}

/// Digits behind a second's point as nanoseconds.
fn nanos(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    is_digits(text).then_some(())?;
    let (kept, rest) = text.split_at(text.len().min(9));
    rest.bytes().all(|b| b == b'0').then_some(())?;
    Some(digits(kept)? * 10i64.pow(9 - kept.len() as u32))
}

fn signed(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

fn digits(text: &str) -> Option<i64> {
    if text.is_empty() || text.len() > 9 || !is_digits(text) {
        return None;
    }
    text.parse().ok()
}
