//! startTS, endTS, temporality and slice.
//!
//! Instants are read as routing reads them: [`sg::instant`].

use kvalue::{Atom, Type, Value, time::DAY};
use sg::{Failure, TimeRange, tz::Zone};

use super::{items, unexpected};
use crate::query::Slice;

/// `[start, end)` in UTC.
pub(super) fn range(start: Option<Value>, end: Option<Value>, zone: &Zone) -> Result<TimeRange, Failure> {
    let from = instant("startTS", start.as_ref(), zone)?.unwrap_or(TimeRange::MIN);
    let to = instant("endTS", end.as_ref(), zone)?.unwrap_or(TimeRange::MAX);
    TimeRange::new(from, to).ok_or_else(|| {
        Failure::arg(format!(
            "endTS {} is before startTS {}: the range runs from startTS to endTS",
            text(to),
            text(from)
        ))
    })
}

fn text(t: i64) -> String {
    kvalue::time::text(&Atom::Timestamp(t))
}

/// An instant in UTC; `None` where it is open.
fn instant(arg: &str, value: Option<&Value>, zone: &Zone) -> Result<Option<i64>, Failure> {
    let read = value.map(|v| sg::instant::utc(v, zone)).transpose();
    read.map(Option::flatten).map_err(|why| Failure::arg(format!("{arg} {why}")))
}

/// Time of day window of temporality `slice`, and the range it applies to. Without the argument `slice` the
/// window is between the times of day of startTS and endTS, on each day from the one to the other.
pub(super) fn temporality(
    temporality: Option<Value>,
    slice: Option<Value>,
    range: TimeRange,
    zone: &Zone,
) -> Result<(TimeRange, Option<Slice>), Failure> {
    let kind = temporality.as_ref().map(|v| v.as_name().map(|n| n.text().into_owned()));
    match kind {
        None if slice.is_none() => Ok((range, None)),
        Some(Some(kind)) if kind == "snapshot" && slice.is_none() => Ok((range, None)),
        None => Err(Failure::arg("slice is given without temporality: add temporality slice")),
        Some(Some(kind)) if kind == "snapshot" => {
            Err(Failure::arg("slice is given with temporality snapshot: use temporality slice"))
        }
        Some(Some(kind)) if kind == "slice" => {
            let (from, to) = match &slice {
                Some(slice) => window(slice)?,
                None => window_of_range(range, zone)?,
            };
            if from > to {
                return Err(Failure::arg(format!(
                    "slice ends at {} before it starts at {}: a window lies within one day",
                    clock(to),
                    clock(from)
                )));
            }
            Ok((range, Some(Slice { from, to, zone: zone.clone() })))
        }
        _ => Err(unexpected("temporality", "snapshot or slice", &temporality.unwrap_or(Value::Null))),
    }
}

fn clock(ns: i64) -> String {
    kvalue::time::text(&Atom::Timespan(ns))
}

fn window(slice: &Value) -> Result<(i64, i64), Failure> {
    let wrong = || unexpected("slice", "a pair of times of day such as 09:30 and 16:00", slice);
    match items(slice).as_deref() {
        Some([from, to]) => {
            let part = |v: &Value| time_of_day(v).filter(|t| (0..=DAY).contains(t)).ok_or_else(wrong);
            Ok((part(from)?, part(to)?))
        }
        _ => Err(wrong()),
    }
}

/// Nanoseconds since midnight of an atom or a text.
fn time_of_day(value: &Value) -> Option<i64> {
    let span = |atom: &Atom| -> Option<i64> {
        if atom.is_null() {
            return None;
        }
        match *atom {
            Atom::Timespan(ns) => Some(ns),
            Atom::Time(ms) => Some(i64::from(ms) * 1_000_000),
            Atom::Second(s) => Some(i64::from(s) * kvalue::time::SECOND),
            Atom::Minute(m) => Some(i64::from(m) * 60 * kvalue::time::SECOND),
            _ => None,
        }
    };
    match value {
        Value::Atom(a) if a.ty().is_temporal() => span(a),
        other => {
            let text = other.as_name()?;
            kvalue::time::parse(Type::Timespan, &text.text()).as_ref().and_then(span)
        }
    }
}

fn window_of_range(range: TimeRange, zone: &Zone) -> Result<(i64, i64), Failure> {
    if range.start() == TimeRange::MIN || range.end() == TimeRange::MAX {
        return Err(Failure::arg(
            "temporality slice needs a window: give slice as a pair of times of day, or both startTS and endTS",
        ));
    }
    let of_day = |t: i64| zone.from_utc(t).rem_euclid(DAY);
    let (from, to) = (of_day(range.start()), of_day(range.end()));
    // An end at midnight closes the day before it.
    Ok((from, if to == 0 { DAY } else { to }))
}
