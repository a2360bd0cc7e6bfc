//! q's basic types: numbers, letters, widths, nulls, infinities and attributes.
//!
//! Source of the numbers: KX "Datatypes" page and `qipc-spec.md` §5.1. A type here is always the positive
//! (vector) number; an atom's wire type is its negation.

/// A basic q type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Type {
    /// `1b`
    Boolean = 1,
    /// 16 bytes in printed order
    Guid = 2,
    /// `0x00`
    Byte = 4,
    /// `0h`
    Short = 5,
    /// `0i`
    Int = 6,
    /// `0j`
    Long = 7,
    /// `0e`
    Real = 8,
    /// `0f`
    Float = 9,
    /// `" "`, a byte
    Char = 10,
    /// `` ` ``
    Symbol = 11,
    /// nanoseconds since 2000.01.01
    Timestamp = 12,
    /// months since 2000.01
    Month = 13,
    /// days since 2000.01.01
    Date = 14,
    /// days since 2000.01.01 as a float (deprecated by KX)
    Datetime = 15,
    /// nanoseconds
    Timespan = 16,
    /// minutes
    Minute = 17,
    /// seconds
    Second = 18,
    /// milliseconds
    Time = 19,
}

/// How the elements of a [`Type`] lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Physical {
    /// one byte: boolean, byte, char
    U8,
    /// short
    I16,
    /// int, month, date, minute, second, time
    I32,
    /// long, timestamp, timespan
    I64,
    /// real
    F32,
    /// float, datetime
    F64,
    /// guid
    Guid,
    /// symbol: no fixed width
    Symbol,
}

impl Type {
    /// All basic types in ascending order of their number.
    pub const ALL: [Type; 18] = [
        Type::Boolean,
        Type::Guid,
        Type::Byte,
        Type::Short,
        Type::Int,
        Type::Long,
        Type::Real,
        Type::Float,
        Type::Char,
        Type::Symbol,
        Type::Timestamp,
        Type::Month,
        Type::Date,
        Type::Datetime,
        Type::Timespan,
        Type::Minute,
        Type::Second,
        Type::Time,
    ];

    /// The type of this number, `None` where q has none (3, and all above 19).
    pub fn from_number(n: u8) -> Option<Type> {
        Type::ALL.into_iter().find(|t| t.number() == n)
    }

    /// q's (positive) type number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The type of this letter, as in `"j"$`.
    pub fn from_letter(c: char) -> Option<Type> {
        Type::ALL.into_iter().find(|t| t.letter() == c)
    }

    /// q's letter, as `meta` prints it.
    pub const fn letter(self) -> char {
        match self {
            Type::Boolean => 'b',
            Type::Guid => 'g',
            Type::Byte => 'x',
            Type::Short => 'h',
            Type::Int => 'i',
            Type::Long => 'j',
            Type::Real => 'e',
            Type::Float => 'f',
            Type::Char => 'c',
            Type::Symbol => 's',
            Type::Timestamp => 'p',
            Type::Month => 'm',
            Type::Date => 'd',
            Type::Datetime => 'z',
            Type::Timespan => 'n',
            Type::Minute => 'u',
            Type::Second => 'v',
            Type::Time => 't',
        }
    }

    /// q's name, as `key` of an empty list of this type gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Type::Boolean => "boolean",
            Type::Guid => "guid",
            Type::Byte => "byte",
            Type::Short => "short",
            Type::Int => "int",
            Type::Long => "long",
            Type::Real => "real",
            Type::Float => "float",
            Type::Char => "char",
            Type::Symbol => "symbol",
            Type::Timestamp => "timestamp",
            Type::Month => "month",
            Type::Date => "date",
            Type::Datetime => "datetime",
            Type::Timespan => "timespan",
            Type::Minute => "minute",
            Type::Second => "second",
            Type::Time => "time",
        }
    }

    /// Memory layout of the elements.
    pub const fn physical(self) -> Physical {
        match self {
            Type::Boolean | Type::Byte | Type::Char => Physical::U8,
            Type::Guid => Physical::Guid,
            Type::Short => Physical::I16,
            Type::Int | Type::Month | Type::Date | Type::Minute | Type::Second | Type::Time => Physical::I32,
            Type::Long | Type::Timestamp | Type::Timespan => Physical::I64,
            Type::Real => Physical::F32,
            Type::Float | Type::Datetime => Physical::F64,
            Type::Symbol => Physical::Symbol,
        }
    }

    /// Bytes an element takes; `None` for symbols.
    pub const fn width(self) -> Option<usize> {
        match self.physical() {
            Physical::U8 => Some(1),
            Physical::I16 => Some(2),
            Physical::I32 | Physical::F32 => Some(4),
            Physical::I64 | Physical::F64 => Some(8),
            Physical::Guid => Some(16),
            Physical::Symbol => None,
        }
    }

    /// True for the types that count time: timestamp … time.
    pub const fn is_temporal(self) -> bool {
        matches!(
            self,
            Type::Timestamp
                | Type::Month
                | Type::Date
                | Type::Datetime
                | Type::Timespan
                | Type::Minute
                | Type::Second
                | Type::Time
        )
    }

    /// True for the types arithmetic is for: boolean, byte, short … float.
    pub const fn is_numeric(self) -> bool {
        matches!(
            self,
            Type::Boolean | Type::Byte | Type::Short | Type::Int | Type::Long | Type::Real | Type::Float
        )
    }
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A list's attribute, the second byte of its wire and disk header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Attr {
    /// none
    #[default]
    None = 0,
    /// `` `s# `` ascending
    Sorted = 1,
    /// `` `u# `` no item twice
    Unique = 2,
    /// `` `p# `` equal items are neighbours
    Parted = 3,
    /// `` `g# `` indexed
    Grouped = 4,
}

impl Attr {
    /// The attribute of this byte.
    pub const fn from_number(n: u8) -> Option<Attr> {
        Some(match n {
            0 => Attr::None,
            1 => Attr::Sorted,
            2 => Attr::Unique,
            3 => Attr::Parted,
            4 => Attr::Grouped,
            _ => return None,
        })
    }

    /// The byte on wire and disk.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// q's letter (`s u p g`), empty for none.
    pub const fn letter(self) -> &'static str {
        match self {
            Attr::None => "",
            Attr::Sorted => "s",
            Attr::Unique => "u",
            Attr::Parted => "p",
            Attr::Grouped => "g",
        }
    }
}

/// `0Nh`
pub const NULL_SHORT: i16 = i16::MIN;
/// `0Ni`, and the null of every type of four bytes but real
pub const NULL_INT: i32 = i32::MIN;
/// `0Nj`, and the null of timestamp and timespan
pub const NULL_LONG: i64 = i64::MIN;
/// `0Wh`
pub const INF_SHORT: i16 = i16::MAX;
/// `0Wi`
pub const INF_INT: i32 = i32::MAX;
/// `0Wj`; minus infinity is its negation
pub const INF_LONG: i64 = i64::MAX;
/// `0n` as q writes it on x86: a quiet NaN with the sign set
pub const NULL_FLOAT: f64 = f64::from_bits(0xfff8_0000_0000_0000);
/// `0Ne` as q writes it on x86
pub const NULL_REAL: f32 = f32::from_bits(0xffc0_0000);
/// the null of char
pub const NULL_CHAR: u8 = b' ';
