//! Forms by hand, and what prints against what reads, over all that a type can hold.

use proptest::prelude::*;

use super::*;
use crate::time::{is_special, text};

fn stamp(text: &str) -> Option<Atom> {
    parse(Type::Timestamp, text)
}

#[test]
fn basic_and_extended_forms_name_the_same_instant() {
    let t = stamp("2024-01-02T09:00:03");
    assert!(t.is_some());
    for text in [
        "20240102T090003",
        "2024.01.02D090003",
        "20240102T090003Z",
        "20240102T110003+0200",
        "20240102 09:00:03",
    ] {
        assert_eq!(stamp(text), t, "{text}");
    }
    assert_eq!(stamp("20240102T0930"), stamp("2024-01-02T09:30"));
    assert_eq!(stamp("20240102T09"), stamp("2024-01-02T09:00"));
    assert_eq!(stamp("20240102T090003.5"), stamp("2024-01-02T09:00:03,500"));
    assert_eq!(stamp("2024-01"), stamp("2024-01-01"), "a month is its first day");
    assert_eq!(parse(Type::Minute, "0930"), Some(Atom::Minute(570)));
    assert_eq!(parse(Type::Time, "093003.250"), parse(Type::Time, "09:30:03.25"));
}

#[test]
fn what_no_clock_shows_is_refused() {
    for text in [
        "2024-01-02T24:00",
        "2024-01-02T25:00",
        "2024-01-02T09:60",
        "2024-01-02T09:30:60",
        "20240102T2400",
        "20240102T0960",
        "20240102T900",
        "20240102T09000",
        "2024-01-02T09:30.5",
        "2024-01-02T00:00+24:00",
        "2024-01-02T00:00+02:60",
        "2024-01-02T00:00+1:000",
        "2024-01-02T+02:00",
        "2024-01-02TZ",
        "2024-01-02T00:00:00.1234567891",
        "2024-02-30",
        "2024-13",
        "9999-12-31",
        "240102",
        "2024-1-2-3",
    ] {
        assert_eq!(stamp(text), None, "{text}");
    }
    assert_eq!(stamp("2024-01-02T00:00:00.1234567890"), stamp("2024-01-02T00:00:00.123456789"));
    assert_eq!(parse(Type::Minute, "930"), None, "neither 9:30 nor 930 hours");
}

#[test]
fn what_a_type_cannot_hold_is_read_as_a_finer_one() {
    let noon = stamp("2024-01-02T12:00");
    assert_eq!(parse(Type::Date, "2024-01-02T12:00"), None);
    assert_eq!(parse_wide(Type::Date, "2024-01-02T12:00"), noon);
    assert_eq!(parse_wide(Type::Month, "2024-01-02T12:00"), noon);
    assert_eq!(parse_wide(Type::Month, "2024-01-02"), parse(Type::Date, "2024-01-02"));
    assert_eq!(parse_wide(Type::Date, "2024-01-02T00:00"), parse(Type::Date, "2024-01-02"));
    assert_eq!(parse_wide(Type::Date, "9999-12-31"), Some(Atom::Date(2_921_939)));
    let long = Some(Atom::Timespan(999 * HOUR));
    assert_eq!((parse(Type::Time, "999:00:00"), parse_wide(Type::Time, "999:00:00")), (None, long));
    assert_eq!(parse_wide(Type::Minute, "09:30:01"), Some(Atom::Timespan(9 * HOUR + 30 * MINUTE + SECOND)));
    assert_eq!(parse_wide(Type::Time, "00:00:00.0001"), Some(Atom::Timespan(100_000)));
}

#[test]
fn offsets_are_found() {
    for text in ["2024-01-02T00:00Z", "2024-01-02 00:00+02:00", "20240102T0000-05"] {
        assert!(has_offset(text), "{text}");
    }
    for text in ["2024-01-02", "2024-01-02T00:00", "2024.01.02D", "-0Wp", ""] {
        assert!(!has_offset(text), "{text}");
    }
}

fn whole() -> impl Strategy<Value = Atom> {
    let types =
        [Type::Timestamp, Type::Timespan, Type::Date, Type::Month, Type::Time, Type::Second, Type::Minute];
    let n = prop_oneof![
        any::<i64>(),
        any::<i32>().prop_map(i64::from),
        -5_000i64..5_000,
        -90_000_000i64..90_000_000
    ];
    (prop::sample::select(types.to_vec()), n, 0i64..3).prop_map(|(ty, n, edge)| {
        let limit =
            if matches!(ty, Type::Timestamp | Type::Timespan) { i64::MAX } else { i64::from(i32::MAX) };
        // The first and last that are neither null nor infinite are tried often.
        let n = match edge {
            0 if n % 7 == 0 => limit - 1,
            0 if n % 7 == 1 => 1 - limit,
            _ => n.clamp(1 - limit, limit - 1),
        };
        Atom::from_i64(ty, n)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_prints_reads_back(atom in whole()) {
        prop_assert_eq!(parse(atom.ty(), &text(&atom)), Some(atom.clone()), "{:?} prints {}", atom, text(&atom));
        let iso = text(&atom).replacen('.', "-", if atom.ty() == Type::Month { 1 } else { 2 });
        if matches!(atom.ty(), Type::Timestamp | Type::Date | Type::Month) {
            prop_assert_eq!(parse(atom.ty(), &iso.replacen('D', "T", 1)), Some(atom));
        }
    }

    /// Each digit of a clock counts, whatever form it is written in, and none that no clock shows is taken.
    #[test]
    fn clocks_of_all_forms_agree(h in 0i64..30, m in 0i64..70, s in 0i64..70, basic: bool, zone in 0i64..30, of_zone in 0i64..70) {
        let clock = match basic {
            true => format!("{h:02}{m:02}{s:02}"),
            false => format!("{h:02}:{m:02}:{s:02}"),
        };
        let right = h < 24 && m < 60 && s < 60;
        let nanos = h * HOUR + m * MINUTE + s * SECOND;
        let expected = right.then_some(Atom::Timestamp(nanos));
        for day in ["20000101T", "2000-01-01T", "2000.01.01D", "2000-01-01 "] {
            prop_assert_eq!(stamp(&format!("{day}{clock}")), expected.clone(), "{}{}", day, clock);
        }
        let zoned = format!("2000-01-01T{clock}+{zone:02}:{of_zone:02}");
        let expected = (right && zone < 24 && of_zone < 60).then(|| Atom::Timestamp(nanos - zone * HOUR - of_zone * MINUTE));
        prop_assert_eq!(stamp(&zoned), expected, "{}", zoned);
        prop_assert!(!is_special(Type::Timestamp, nanos));
    }
}
