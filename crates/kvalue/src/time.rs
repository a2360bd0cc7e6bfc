//! q's clocks: the epoch is 2000.01.01, in days, months, milliseconds or nanoseconds by type.
//!
//! Parsing takes q's own texts (`2024.11.02D09:30:00.000000001`), ISO 8601 in its extended and basic forms
//! (`2024-11-02T09:30:00Z`, `20241102T093000`) and shortened forms of all; printing is q's text without a type suffix. Nulls print as an empty text here:
//! JSON, CSV and the console each decide what a null looks like. Time zones are not handled here, save that a
//! trailing `Z` or `±hh:mm` of an ISO text is honoured.

mod parse;

use std::fmt::Write as _;

use crate::{
    Atom, Type,
    types::{INF_INT, INF_LONG, NULL_INT, NULL_LONG},
};

pub use parse::{has_offset, parse, parse_wide};

/// Nanoseconds in a day.
pub const DAY: i64 = 86_400_000_000_000;
/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;
/// Days from 1970-01-01 to 2000-01-01.
pub const EPOCH_DAYS: i64 = 10_957;
/// Nanoseconds from 1970-01-01 to 2000-01-01.
pub const EPOCH_NANOS: i64 = EPOCH_DAYS * DAY;

/// Days since 2000.01.01 of a proleptic Gregorian date; `None` where the date does not exist.
pub fn days_from_civil(year: i64, month: u32, day: u32) -> Option<i64> {
    (1..=9999).contains(&year).then(|| days_of(year, month, day))?
}

/// As [`days_from_civil`], of any year that a date can hold: more than q's own calendar has.
fn days_of(year: i64, month: u32, day: u32) -> Option<i64> {
    if !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let shifted = i64::from((month + 9) % 12);
    let of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    Some(era * 146_097 + day_of_era - 719_468 - EPOCH_DAYS)
}

/// Year, month and day of a number of days since 2000.01.01.
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let z = days + EPOCH_DAYS + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = (doy - (153 * mp + 2) / 5 + 1) as u32;
    let month = if mp < 10 { mp + 3 } else { mp - 9 } as u32;
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The present as a q timestamp: nanoseconds since 2000.01.01, UTC.
pub fn now() -> i64 {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_1970.map_or(0, |d| d.as_nanos() as i64) - EPOCH_NANOS
}

/// Appends q's text of a temporal atom: nothing for a null, `0W`/`-0W` with the type's letter for infinities.
/// Other types append nothing.
pub fn write(out: &mut String, atom: &Atom) {
    if atom.is_null() {
        return;
    }
    if let Some(crate::atom::Scalar::Integer(Some(n))) = atom.scalar() {
        let limit =
            if matches!(atom.ty(), Type::Timestamp | Type::Timespan) { INF_LONG } else { i64::from(INF_INT) };
        if n == limit || n == -limit {
            let _ = write!(out, "{}0W{}", if n < 0 { "-" } else { "" }, atom.ty().letter());
            return;
        }
    }
    match *atom {
        Atom::Timestamp(ns) => {
            write_date(out, ns.div_euclid(DAY));
            out.push('D');
            write_clock(out, ns.rem_euclid(DAY), 9);
        }
        Atom::Datetime(days) if days.is_finite() => {
            let ms = (days * 86_400_000.0).round() as i64;
            write_date(out, ms.div_euclid(86_400_000));
            out.push('T');
            write_clock(out, ms.rem_euclid(86_400_000) * 1_000_000, 3);
        }
        Atom::Datetime(days) => out.push_str(if days > 0.0 { "0Wz" } else { "-0Wz" }),
        Atom::Date(d) => write_date(out, i64::from(d)),
        Atom::Month(m) => {
            let m = i64::from(m) + 24_000;
            write_year(out, m.div_euclid(12));
            let _ = write!(out, ".{:02}", m.rem_euclid(12) + 1);
        }
        Atom::Timespan(ns) => {
            if ns < 0 {
                out.push('-');
            }
            let ns = ns.unsigned_abs() as i64;
            let _ = write!(out, "{}D", ns / DAY);
            write_clock(out, ns % DAY, 9);
        }
        // In nanoseconds the largest minutes would not fit.
        Atom::Minute(m) => {
            let (sign, m) = (if m < 0 { "-" } else { "" }, m.unsigned_abs());
            let _ = write!(out, "{sign}{:02}:{:02}", m / 60, m % 60);
        }
        Atom::Second(s) => write_signed(out, i64::from(s) * SECOND, 0),
        Atom::Time(ms) => write_signed(out, i64::from(ms) * 1_000_000, 3),
        _ => {}
    }
}

/// q's text of a temporal atom; see [`write()`].
pub fn text(atom: &Atom) -> String {
    let mut out = String::new();
    write(&mut out, atom);
    out
}

fn write_date(out: &mut String, days: i64) {
    let (y, m, d) = civil_from_days(days);
    write_year(out, y);
    let _ = write!(out, ".{m:02}.{d:02}");
}

/// Four digits at least, behind the sign.
fn write_year(out: &mut String, y: i64) {
    let _ = write!(out, "{}{:04}", if y < 0 { "-" } else { "" }, y.unsigned_abs());
}

fn write_signed(out: &mut String, ns: i64, decimals: i32) {
    if ns < 0 {
        out.push('-');
    }
    write_clock(out, ns.abs(), decimals);
}

/// `hh:mm:ss[.fraction]`; 0 `decimals` leave the fraction out.
fn write_clock(out: &mut String, ns: i64, decimals: i32) {
    let seconds = ns / SECOND;
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if decimals > 0 {
        let fraction = ns % SECOND / 10i64.pow(9 - decimals as u32);
        let _ = write!(out, ".{fraction:0width$}", width = decimals as usize);
    }
}

/// True where a raw temporal number is null or infinite for its width, so that arithmetic must leave it alone.
pub fn is_special(ty: Type, n: i64) -> bool {
    match ty {
        Type::Timestamp | Type::Timespan => n == NULL_LONG || n.unsigned_abs() == INF_LONG as u64,
        _ => n == i64::from(NULL_INT) || n.unsigned_abs() == INF_INT as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_conversions_agree_both_ways() {
        assert_eq!(days_from_civil(2000, 1, 1), Some(0));
        assert_eq!(days_from_civil(1970, 1, 1), Some(-EPOCH_DAYS));
        assert_eq!(days_from_civil(2024, 2, 30), None);
        for days in (-300_000..300_000).step_by(37) {
            let (y, m, d) = civil_from_days(days);
            assert_eq!(days_from_civil(y, m, d), Some(days));
        }
    }

    #[test]
    fn q_and_iso_texts_name_the_same_instant() {
        let t = Atom::Timestamp(757_503_000_123_456_789);
        for text in [
            "2024.01.02D09:30:00.123456789",
            "2024-01-02T09:30:00.123456789",
            "2024-01-02 09:30:00.123456789Z",
            "2024-01-02T11:30:00.123456789+02:00",
        ] {
            assert_eq!(parse(Type::Timestamp, text), Some(t.clone()), "{text}");
        }
        assert_eq!(text(&t), "2024.01.02D09:30:00.123456789");
        assert_eq!(parse(Type::Timestamp, "2026.03.02D"), parse(Type::Timestamp, "2026-03-02"));
    }

    #[test]
    fn specials_of_each_type_are_understood() {
        assert_eq!(parse(Type::Timestamp, "-0Wp"), Some(Atom::Timestamp(-i64::MAX)));
        assert_eq!(parse(Type::Timestamp, "0Wp"), Some(Atom::Timestamp(i64::MAX)));
        assert_eq!(parse(Type::Date, "0Nd"), Some(Atom::null(Type::Date)));
        assert_eq!(text(&Atom::Timestamp(-i64::MAX)), "-0Wp");
        assert_eq!(text(&Atom::null(Type::Time)), "");
    }

    #[test]
    fn every_temporal_type_prints_what_it_parses() {
        for (ty, t) in [
            (Type::Date, "2024.01.02"),
            (Type::Month, "2024.01"),
            (Type::Timespan, "-1D00:00:00.000000001"),
            (Type::Minute, "09:30"),
            (Type::Second, "-00:00:01"),
            (Type::Time, "09:30:00.123"),
            (Type::Datetime, "2024.01.02T12:00:00.000"),
        ] {
            let atom = parse(ty, t).unwrap_or_else(|| panic!("{ty} {t}"));
            assert_eq!(text(&atom), t, "{ty}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for t in [
            "x",
            "2024.13.01",
            "2024.01.02D25x",
            "24:61",
            "2024-01-02T00:00:00+1",
            "2024-01-02T00:00:00+aéb",
            "2024-01-02T00:00:00.12345678é",
        ] {
            assert_eq!(parse(Type::Timestamp, t), None, "{t}");
        }
    }
}
