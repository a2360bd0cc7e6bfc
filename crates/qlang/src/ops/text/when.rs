//! Dates and times in text, in the many forms that q reads.

use kvalue::{
    Type,
    time::{DAY, SECOND, days_from_civil},
};

use super::tok::integer;

const UNIX_DAYS: i64 = kvalue::time::EPOCH_DAYS;

/// A month, date, minute, second or time.
pub(super) fn small(ty: Type, text: &[u8], day_first: bool) -> Option<i64> {
    match ty {
        Type::Month => month(text),
        Type::Date => match date(text, day_first) {
            Some(d) => Some(d),
            None if text.iter().all(|b| b.is_ascii_digit() || *b == b'.') => None,
            None => timestamp(text, day_first).map(|ns| ns.div_euclid(DAY)),
        },
        Type::Minute => span(text).map(|ns| ns / (60 * SECOND)),
        Type::Second => span(text).map(|ns| ns / SECOND),
        Type::Time => span(text).map(|ns| ns / 1_000_000),
        _ => None,
    }
}

fn number(text: &[u8]) -> Option<i64> {
    (!text.is_empty() && text.len() < 10 && text.iter().all(u8::is_ascii_digit))
        .then(|| integer(text))
        .flatten()
}

fn month(text: &[u8]) -> Option<i64> {
    let text = text.strip_suffix(b"m").unwrap_or(text);
    let (y, m) = match text.iter().position(|b| matches!(b, b'.' | b'-' | b'/')) {
        Some(4) => (number(&text[..4])?, number(text.get(5..7)?)?),
        None if text.len() == 6 || text.len() == 8 => (number(&text[..4])?, number(&text[4..6])?),
        None if text.len() == 4 => (century(number(&text[..2])?), number(&text[2..])?),
        _ => return None,
    };
    (1..=12).contains(&m).then(|| (y - 2000) * 12 + m - 1)
}

/// Two digits of a year: 1970 to 2069.
fn century(y: i64) -> i64 {
    if y < 70 { y + 2000 } else { y + 1900 }
}

fn month_name(text: &[u8]) -> Option<i64> {
    const NAMES: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let lower = text.to_ascii_lowercase();
    NAMES.iter().position(|n| n.as_bytes() == lower).map(|i| i as i64 + 1)
}

/// Days since 2000.01.01: `yyyy.mm.dd` with `.`, `-` or `/`, `yyyymmdd`, `yymmdd`, `mm/dd/yyyy` or `dd/mm/yyyy`,
/// `dd-MMM-yyyy`, `ddMMMyyyy`.
pub(super) fn date(text: &[u8], day_first: bool) -> Option<i64> {
    if let [y1, y2, y3, y4, b'.' | b'-' | b'/', m1, m2, b'.' | b'-' | b'/', d1, d2] = *text
        && let (Some(y), Some(m), Some(d)) = (number(&[y1, y2, y3, y4]), number(&[m1, m2]), number(&[d1, d2]))
    {
        return days_from_civil(y, m as u32, d as u32);
    }
    let civil = |y: i64, m: i64, d: i64| days_from_civil(y, u32::try_from(m).ok()?, u32::try_from(d).ok()?);
    if text.iter().all(u8::is_ascii_digit) {
        return match text.len() {
            8 => civil(number(&text[..4])?, number(&text[4..6])?, number(&text[6..])?),
            6 => civil(century(number(&text[..2])?), number(&text[2..4])?, number(&text[4..])?),
            _ => None,
        };
    }
    let year = |t: &[u8]| match t.len() {
        4 => number(t),
        2 => number(t).map(century),
        _ => None,
    };
    let parts: Vec<&[u8]> = text.split(|b| matches!(b, b'.' | b'-' | b'/' | b' ')).collect();
    if let [a, b, c] = parts[..] {
        let named = |t: &[u8]| month_name(t).or_else(|| number(t));
        if a.len() == 4 {
            return civil(number(a)?, named(b)?, number(c)?);
        }
        if let Some(m) = month_name(a) {
            return civil(year(c)?, m, number(b)?);
        }
        if let Some(m) = month_name(b) {
            return civil(year(c)?, m, number(a)?);
        }
        return if day_first {
            civil(year(c)?, number(b)?, number(a)?)
        } else {
            civil(year(c)?, number(a)?, number(b)?)
        };
    }
    // ddMMMyyyy
    let letters = text.iter().position(u8::is_ascii_alphabetic)?;
    let name = text.get(letters..letters + 3)?;
    civil(year(&text[letters + 3..])?, month_name(name)?, number(&text[..letters])?)
}

/// Nanoseconds since 2000.01.01: a date, a date and a time of day, or the seconds since 1970 with a fraction.
pub(super) fn timestamp(text: &[u8], day_first: bool) -> Option<i64> {
    if text.len() > 10
        && matches!(text[10], b'D' | b'T' | b' ')
        && !text[..10].iter().any(|b| b.is_ascii_alphabetic() || *b == b' ')
        && let Some(days) = date(&text[..10], day_first)
    {
        return with_clock(days, &text[11..]);
    }
    let whole = text.iter().position(|b| *b == b'.').unwrap_or(text.len());
    if (9..=11).contains(&whole) && text[..whole].iter().all(u8::is_ascii_digit) {
        let seconds = integer(&text[..whole])? - UNIX_DAYS * 86_400;
        let fraction = match text.get(whole + 1..) {
            Some(f) => nanos(f)?,
            None => 0,
        };
        return seconds.checked_mul(SECOND)?.checked_add(fraction);
    }
    if let Some(days) = date(text, day_first) {
        return days.checked_mul(DAY);
    }
    // The date ends at a letter, a blank, or the dash behind eight digits.
    let cut = (6..text.len()).find(|&i| {
        matches!(text[i], b'D' | b'T' | b't' | b' ')
            || i == 8 && matches!(text[i], b'-') && text[..8].iter().all(u8::is_ascii_digit)
    })?;
    with_clock(date(&text[..cut], day_first)?, &text[cut + 1..])
}

/// A day and the time of day behind it, which may end in `Z`.
fn with_clock(days: i64, clock: &[u8]) -> Option<i64> {
    let clock = clock.strip_suffix(b"Z").or_else(|| clock.strip_suffix(b"z")).unwrap_or(clock).trim_ascii();
    let of_day = if clock.is_empty() { 0 } else { span(clock)? };
    days.checked_mul(DAY)?.checked_add(of_day)
}

fn nanos(text: &[u8]) -> Option<i64> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut n = 0;
    for i in 0..9 {
        n = n * 10 + i64::from(text.get(i).map_or(0, |d| d - b'0'));
    }
    Some(n)
}

/// Nanoseconds of `[-][dD]hh[:mm[:ss[.f]]]` or of digits `[hh]mmss[f]`.
pub(super) fn span(text: &[u8]) -> Option<i64> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (days, clock) = match text.iter().position(|b| matches!(b, b'D' | b'T' | b' ')) {
        Some(i) => match number(&text[..i]) {
            Some(d) => (d, &text[i + 1..]),
            // A date before the time of day is passed over.
            None => {
                date(&text[..i], false)?;
                (0, &text[i + 1..])
            }
        },
        None => (0, text),
    };
    let clock = clock.strip_suffix(b"Z").unwrap_or(clock);
    let of_day = if clock.is_empty() { 0 } else { clock_nanos(clock)? };
    let total = days.checked_mul(DAY)?.checked_add(of_day)?;
    Some(if negative { -total } else { total })
}

fn clock_nanos(text: &[u8]) -> Option<i64> {
    let total = |h: i64, m: i64, s: i64, f: i64| {
        let whole = (m < 60 && s < 60).then_some(h * 3_600 + m * 60 + s)?;
        whole.checked_mul(SECOND)?.checked_add(f)
    };
    if !text.contains(&b':') {
        // Digits alone: two each for hours, minutes and seconds, then the fraction.
        let (digits, point) = match text.iter().position(|b| *b == b'.') {
            Some(i) => (&text[..i], Some(&text[i + 1..])),
            None => (text, None),
        };
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) || digits.len() > 15 {
            return None;
        }
        if digits.len() <= 2 {
            return total(number(digits)?, 0, 0, 0);
        }
        let two = |i: usize| {
            digits.get(i..(i + 2).min(digits.len())).filter(|t| !t.is_empty()).map_or(Some(0), number)
        };
        let fraction = match (digits.get(6..), point) {
            (_, Some(f)) => nanos(f)?,
            (Some(f), None) => nanos(f)?,
            (None, None) => 0,
        };
        // An odd number of digits below six lacks the first one.
        return if digits.len() < 6 && digits.len() % 2 == 1 {
            total(number(&digits[..1])?, two(1)?, two(3)?, fraction)
        } else {
            total(two(0)?, two(2)?, two(4)?, fraction)
        };
    }
    let mut parts = text.split(|b| *b == b':');
    let hours = number(parts.next()?)?;
    let minutes = number(parts.next()?)?;
    let (seconds, fraction) = match parts.next() {
        None => (0, 0),
        Some(s) => match s.iter().position(|b| *b == b'.') {
            Some(i) => (number(&s[..i])?, nanos(&s[i + 1..])?),
            None => (number(s)?, 0),
        },
    };
    // hh:mm:ss:nnn is read as well.
    let fraction = match parts.next() {
        Some(f) if fraction == 0 => nanos(f)?,
        Some(_) => return None,
        None => fraction,
    };
    if parts.next().is_some() || hours > 2_000_000 {
        return None;
    }
    total(hours, minutes, seconds, fraction)
}
