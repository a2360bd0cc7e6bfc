//! startTS and endTS: one parser for routing and for execution.
//!
//! An instant is a timestamp, a value of another type that names a day (date, month, datetime), or a text of q's or
//! ISO's form. A text with an offset of its own keeps it; every other instant is local to `inputTZ`. Null is an open
//! end, and so are the infinities. Tests: here.

use kvalue::{Atom, Type, Value, atom::Scalar, time};

use crate::{TimeRange, tz::Zone};

/// Why a value is no instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It names none.
    #[error("must be a timestamp such as 2024.01.02D09:30:00 or 2024-01-02T09:30:00, got {0}")]
    Other(String),
    /// It names one that no timestamp can be.
    #[error(
        "must be from 1707.09.22 to 2292.04.10, which is what timestamps hold, got `{0}`: leave it out for an open end"
    )]
    Beyond(String),
}

/// Nanoseconds since 2000.01.01 UTC; `None` for an open end.
pub fn utc(value: &Value, zone: &Zone) -> Result<Option<i64>, Unreadable> {
    let (atom, text) = match value {
        Value::Null => return Ok(None),
        Value::Atom(atom @ (Atom::Timestamp(_) | Atom::Date(_) | Atom::Month(_) | Atom::Datetime(_))) => {
            (Some(atom), None)
        }
        other => match other.as_name() {
            Some(name) => (None, Some(name.text().into_owned())),
            None => return Err(Unreadable::Other(shown(other))),
        },
    };
    if let Some(Atom::Timestamp(ns)) = atom {
        return Ok(local(*ns, zone));
    }
    // What a date, a month or a datetime shows reads as the timestamp that it is.
    let has_offset = text.as_deref().is_some_and(time::has_offset);
    let text = text.or_else(|| atom.map(time::text)).unwrap_or_default();
    match time::parse(Type::Timestamp, &text) {
        Some(Atom::Timestamp(ns)) if has_offset => Ok(Some(ns)),
        Some(Atom::Timestamp(ns)) => Ok(local(ns, zone)),
        _ if is_beyond(&text) || atom.is_some() => Err(Unreadable::Beyond(text)),
        _ => Err(Unreadable::Other(format!("\"{text}\""))),
    }
}

/// True for a text that names an instant, though none that a timestamp can be.
pub fn is_beyond(text: &str) -> bool {
    time::parse(Type::Timestamp, text).is_none() && time::parse(Type::Datetime, text).is_some()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Atom(a) => match a.scalar() {
            Some(Scalar::Integer(Some(n))) => format!("the {} {n}", a.ty()),
            Some(Scalar::Float(x)) => format!("the {} {x}", a.ty()),
            _ => format!("a {}", a.ty()),
        },
        Value::Vector(_) | Value::List(_) => format!("a {} of {} items", value.type_name(), value.count()),
        other => format!("a {}", other.type_name()),
    }
}

/// A local timestamp as UTC.
fn local(ns: i64, zone: &Zone) -> Option<i64> {
    match Atom::Timestamp(ns).is_null() {
        true => None,
        false => Some(zone.to_utc(ns).max(TimeRange::MIN)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: impl Into<Value>) -> Result<Option<i64>, String> {
        let zone = Zone::named("inputTZ", "Asia/Tokyo").unwrap();
        utc(&value.into(), &zone).map_err(|e| e.to_string())
    }

    const HOUR: i64 = 3_600 * time::SECOND;

    #[test]
    fn every_form_names_the_same_instant() {
        let midnight = Ok(Some(8_766 * time::DAY - 9 * HOUR));
        for text in ["2024-01-01", "2024.01.01", "20240101", "2024-01", "2024.01.01D00:00", "20240101T000000"]
        {
            assert_eq!(read(Value::str(text)), midnight, "{text}");
        }
        assert_eq!(
            read(Value::str("2024-01-01T00:00Z")),
            Ok(Some(8_766 * time::DAY)),
            "its own offset counts"
        );
        assert_eq!(read(Value::str("2023-12-31T15:00+00:00")), midnight);
        for atom in
            [Atom::Date(8_766), Atom::Month(288), Atom::Datetime(8_766.0), Atom::Timestamp(8_766 * time::DAY)]
        {
            assert_eq!(read(Value::Atom(atom.clone())), midnight, "{atom:?}");
        }
    }

    #[test]
    fn open_ends_are_null_and_the_infinities() {
        for ty in [Type::Timestamp, Type::Date, Type::Month, Type::Datetime] {
            assert_eq!(read(Value::Atom(Atom::null(ty))), Ok(None), "{ty}");
            assert_eq!(read(Value::Atom(Atom::infinity(ty).unwrap())), Ok(Some(TimeRange::MAX)), "{ty}");
        }
        for (text, expected) in
            [("", None), ("0Np", None), ("-0Wp", Some(TimeRange::MIN)), ("0Wd", Some(TimeRange::MAX))]
        {
            assert_eq!(read(Value::str(text)), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_says_why() {
        assert!(read(Value::str("2024-01-02T25:00")).unwrap_err().contains("got \"2024-01-02T25:00\""));
        assert!(read(Value::from(20_240_102i64)).unwrap_err().contains("got the long 20240102"));
        assert!(read(Value::Atom(Atom::Minute(570))).unwrap_err().contains("got the minute 570"));
        for beyond in [Value::str("9999-12-31"), Value::Atom(Atom::Date(2_921_939))] {
            assert!(read(beyond).unwrap_err().contains("leave it out for an open end"));
        }
    }
}
