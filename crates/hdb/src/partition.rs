//! Partition values and the directory names they stand for.
//!
//! Rule: the kind follows from the form of the name (`2015.01.07`, `2015.01`, `2015`, other digits); values
//! sort as numbers, never as names. Tests: below.

use kvalue::{Atom, Type, time};

/// What partitions are made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartitionKind {
    /// `2015.01.07`; days since 2000.01.01
    Date,
    /// `2015.01`; months since 2000.01
    Month,
    /// `2015`; the year
    Year,
    /// `451353`; what it means is the user's: hours, a hash, a timestamp
    Int,
}

/// Nanoseconds of a day.
const DAY: i64 = 86_400_000_000_000;

impl PartitionKind {
    /// Name of the virtual column.
    pub fn column(self) -> &'static str {
        match self {
            PartitionKind::Date => "date",
            PartitionKind::Month => "month",
            PartitionKind::Year => "year",
            PartitionKind::Int => "int",
        }
    }

    /// Type of the virtual column. Int partitions are read as 64-bit (real ones exceed 32 bits).
    pub fn ty(self) -> Type {
        match self {
            PartitionKind::Date => Type::Date,
            PartitionKind::Month => Type::Month,
            PartitionKind::Year => Type::Int,
            PartitionKind::Int => Type::Long,
        }
    }

    /// The virtual column's value.
    pub fn atom(self, value: i64) -> Atom {
        Atom::from_i64(self.ty(), value)
    }

    /// First instant and the instant after the last, nanoseconds since 2000.01.01; `None` for int partitions,
    /// whose meaning is not on disk, and for values outside the range of timestamps.
    pub fn span(self, value: i64) -> Option<(i64, i64)> {
        let month_start = |m: i64| {
            time::days_from_civil(2000 + m.div_euclid(12), m.rem_euclid(12) as u32 + 1, 1)?.checked_mul(DAY)
        };
        match self {
            PartitionKind::Date => Some((value.checked_mul(DAY)?, value.checked_add(1)?.checked_mul(DAY)?)),
            PartitionKind::Month => Some((month_start(value)?, month_start(value + 1)?)),
            PartitionKind::Year => {
                let months = value.checked_sub(2000)?.checked_mul(12)?;
                Some((month_start(months)?, month_start(months.checked_add(12)?)?))
            }
            PartitionKind::Int => None,
        }
    }

    /// The partition that holds an instant (nanoseconds since 2000.01.01); `None` for int partitions.
    pub fn holding(self, instant: i64) -> Option<i64> {
        let days = instant.div_euclid(DAY);
        let (year, month, _) = time::civil_from_days(days);
        Some(match self {
            PartitionKind::Date => days,
            PartitionKind::Month => (year - 2000) * 12 + i64::from(month) - 1,
            PartitionKind::Year => year,
            PartitionKind::Int => return None,
        })
    }

    /// The directory name of a value.
    pub fn dir_name(self, value: i64) -> String {
        match self {
            PartitionKind::Date => {
                let (y, m, d) = time::civil_from_days(value);
                format!("{y:04}.{m:02}.{d:02}")
            }
            PartitionKind::Month => {
                format!("{:04}.{:02}", 2000 + value.div_euclid(12), value.rem_euclid(12) + 1)
            }
            PartitionKind::Year => format!("{value:04}"),
            PartitionKind::Int => value.to_string(),
        }
    }
}

/// Kind and value of a directory name; `None` where it is no partition. Four digits count as a year: whether
/// they are one is decided with all names in sight.
pub(crate) fn parse(name: &str) -> Option<(PartitionKind, i64)> {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let number = |s: &str| digits(s).then(|| s.parse::<i64>().ok()).flatten();
    let parts: Vec<&str> = name.split('.').collect();
    match parts[..] {
        [y, m, d] if (y.len(), m.len(), d.len()) == (4, 2, 2) => {
            let days = time::days_from_civil(number(y)?, number(m)? as u32, number(d)? as u32)?;
            Some((PartitionKind::Date, days))
        }
        [y, m] if (y.len(), m.len()) == (4, 2) => {
            let (y, m) = (number(y)?, number(m)?);
            (1..=12).contains(&m).then_some((PartitionKind::Month, (y - 2000) * 12 + m - 1))
        }
        [n] if n.len() == 4 => number(n).map(|n| (PartitionKind::Year, n)),
        [n] => number(n).map(|n| (PartitionKind::Int, n)),
        _ => None,
    }
}

/// A value with its kind: where a table is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartitionValue {
    /// What partitions of the database are made by.
    pub kind: PartitionKind,
    /// Days, months, the year, or the number.
    pub value: i64,
}

impl PartitionValue {
    /// A date, as days since 2000.01.01.
    pub fn date(days: i64) -> Self {
        PartitionValue { kind: PartitionKind::Date, value: days }
    }

    /// Its directory name.
    pub fn dir_name(self) -> String {
        self.kind.dir_name(self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_give_kind_and_value_and_back() {
        for (name, kind, value) in [
            ("2015.01.07", PartitionKind::Date, 5485),
            ("1999.12.31", PartitionKind::Date, -1),
            ("2015.01", PartitionKind::Month, 180),
            ("1999.12", PartitionKind::Month, -1),
            ("2015", PartitionKind::Year, 2015),
            ("451353600000000000", PartitionKind::Int, 451353600000000000),
            ("7", PartitionKind::Int, 7),
        ] {
            assert_eq!(parse(name), Some((kind, value)), "{name}");
            assert_eq!(kind.dir_name(value), name);
        }
        for name in ["2015.13.01", "2015.02.30", "2015.1.7", "sym", "", "2015.", "-5", "99999999999999999999"]
        {
            assert_eq!(parse(name), None, "{name}");
        }
    }

    #[test]
    fn an_instant_lies_in_the_span_of_its_partition() {
        let instant = 5485 * DAY + 5;
        for kind in [PartitionKind::Date, PartitionKind::Month, PartitionKind::Year] {
            let (from, to) = kind.span(kind.holding(instant).unwrap()).unwrap();
            assert!((from..to).contains(&instant), "{kind:?}");
            assert_eq!(kind.holding(from), kind.holding(to - 1));
            assert_ne!(kind.holding(from), kind.holding(to));
        }
        assert_eq!(PartitionKind::Date.span(5485), Some((5485 * DAY, 5486 * DAY)));
        assert_eq!(PartitionKind::Int.span(1), None);
    }
}
