//! Time zones: `inputTZ` and `outputTZ` by their tz database names.
//!
//! Local times are q timestamps read in a zone. A local time that occurs twice (clocks set back) is taken as
//! the earlier instant; one that never occurs (clocks set forward) as the instant that many minutes after the
//! gap began, both as jiff's "compatible" strategy and RFC 5545 have it. Nulls and infinities stay.

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};
use kvalue::{
    Type,
    time::{EPOCH_NANOS, is_special},
};

use crate::codes::Failure;

/// A named time zone.
#[derive(Debug, Clone)]
pub struct Zone {
    zone: TimeZone,
    utc: bool,
}

impl Zone {
    /// UTC: nothing is converted.
    pub fn utc() -> Self {
        Zone { zone: TimeZone::UTC, utc: true }
    }

    /// The zone of this tz database name; `arg` is the argument's name for the error.
    pub fn named(arg: &str, name: &str) -> Result<Self, Failure> {
        if matches!(name, "" | "UTC" | "Etc/UTC" | "GMT") {
            return Ok(Zone::utc());
        }
        let zone = TimeZone::get(name).map_err(|_| {
            Failure::arg(format!(
                "{arg} `{name}` is no known time zone: use a tz database name such as Europe/London"
            ))
        })?;
        Ok(Zone { zone, utc: false })
    }

    /// True where conversion changes nothing.
    pub fn is_utc(&self) -> bool {
        self.utc
    }

    /// A local q timestamp in this zone as UTC. Beyond the calendar's reach it is returned as it is.
    pub fn to_utc(&self, local: i64) -> i64 {
        if self.utc || is_special(Type::Timestamp, local) {
            return local;
        }
        let Some(civil) = civil(local) else { return local };
        match self.zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => shifted(local, -i64::from(offset.seconds())),
            AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => {
                shifted(local, -i64::from(before.seconds()))
            }
        }
    }

    /// A UTC q timestamp as local time in this zone.
    pub fn from_utc(&self, utc: i64) -> i64 {
        if self.utc || is_special(Type::Timestamp, utc) {
            return utc;
        }
        match Timestamp::from_nanosecond(i128::from(utc) + i128::from(EPOCH_NANOS)) {
            Ok(t) => shifted(utc, i64::from(self.zone.to_offset(t).seconds())),
            Err(_) => utc,
        }
    }
}

fn shifted(ns: i64, seconds: i64) -> i64 {
    ns.saturating_add(seconds * kvalue::time::SECOND)
}

fn civil(local: i64) -> Option<DateTime> {
    let as_if_utc = Timestamp::from_nanosecond(i128::from(local) + i128::from(EPOCH_NANOS)).ok()?;
    Some(TimeZone::UTC.to_datetime(as_if_utc))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvalue::Atom;

    fn ts(text: &str) -> i64 {
        match kvalue::time::parse(Type::Timestamp, text) {
            Some(Atom::Timestamp(t)) => t,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn converts_both_ways_across_summer_time() {
        let ny = Zone::named("inputTZ", "America/New_York").unwrap();
        assert_eq!(ny.to_utc(ts("2015.01.07D09:30")), ts("2015.01.07D14:30"));
        assert_eq!(ny.to_utc(ts("2015.07.07D09:30")), ts("2015.07.07D13:30"));
        assert_eq!(ny.from_utc(ts("2015.07.07D13:30")), ts("2015.07.07D09:30"));
    }

    #[test]
    fn a_doubled_hour_is_its_first_and_a_missing_one_moves_on() {
        let london = Zone::named("inputTZ", "Europe/London").unwrap();
        assert_eq!(london.to_utc(ts("2024.10.27D01:30")), ts("2024.10.27D00:30"));
        assert_eq!(london.to_utc(ts("2024.03.31D01:30")), ts("2024.03.31D01:30"));
    }

    #[test]
    fn specials_stay_and_unknown_zones_are_named() {
        let tokyo = Zone::named("outputTZ", "Asia/Tokyo").unwrap();
        assert_eq!(tokyo.to_utc(i64::MAX), i64::MAX);
        assert_eq!(tokyo.from_utc(i64::MIN), i64::MIN);
        let err = Zone::named("outputTZ", "Mars/Olympus").unwrap_err();
        assert!(err.ai.contains("outputTZ `Mars/Olympus`"), "{}", err.ai);
    }
}
