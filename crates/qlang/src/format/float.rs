//! Floats as text, by the rules of C's `%.7g`.

/// Appends a float with this many significant digits: `0.1`, `1e+10`, `0w`; nothing for a null. A whole number
/// gets no point and no type letter.
pub fn float(out: &mut Vec<u8>, x: f64, digits: usize) {
    if x.is_nan() {
        return;
    }
    if x.is_infinite() {
        out.extend_from_slice(if x > 0.0 { b"0w" } else { b"-0w" });
        return;
    }
    let digits = digits.clamp(1, 17);
    if x == 0.0 {
        out.extend_from_slice(if x.is_sign_negative() { b"-0" } else { b"0" });
        return;
    }
    if x.fract() == 0.0 && digits <= 15 && x.abs() < 10f64.powi(digits as i32) {
        integer(out, x as i64);
        return;
    }
    if !quick(out, x, digits) {
        exact(out, x, digits);
    }
}

const POWERS: [f64; 14] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13];

/// Writes a float of few digits and common size by one multiplication. False, with nothing written, where rounding
/// is too close to call or the float is another's work.
fn quick(out: &mut Vec<u8>, x: f64, digits: usize) -> bool {
    let size = x.abs();
    if digits > 9 || !(1e-4..POWERS[digits]).contains(&size) {
        return false;
    }
    let exponent = match size {
        s if s >= 1.0 => POWERS.iter().rposition(|p| s >= *p).unwrap_or(0) as i32,
        s if s >= 1e-1 => -1,
        s if s >= 1e-2 => -2,
        s if s >= 1e-3 => -3,
        _ => -4,
    };
    let decimals = (digits as i32 - 1 - exponent) as usize;
    let scaled = size * POWERS[decimals];
    let whole = scaled.floor();
    let rest = scaled - whole;
    if (rest - 0.5).abs() < 1e-5 {
        return false;
    }
    let number = whole as u64 + u64::from(rest > 0.5);
    if number >= POWERS[digits] as u64 || number < POWERS[digits - 1] as u64 {
        return false;
    }
    if x < 0.0 {
        out.push(b'-');
    }
    let unit = POWERS[decimals] as u64;
    unsigned(out, number / unit, 1);
    let fraction = number % unit;
    if fraction != 0 {
        out.push(b'.');
        unsigned(out, fraction, decimals);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
    true
}

fn exact(out: &mut Vec<u8>, x: f64, digits: usize) {
    let text = format!("{x:.*e}", digits - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    if negative {
        out.push(b'-');
    }
    let all: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let kept = all.iter().rposition(|&d| d != b'0').map_or(1, |i| i + 1);
    let kept = &all[..kept];
    if exponent < -4 || exponent >= digits as i32 {
        out.push(kept[0]);
        if kept.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&kept[1..]);
        }
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        if exponent.abs() < 10 {
            out.push(b'0');
        }
        integer(out, i64::from(exponent.abs()));
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', (-exponent - 1) as usize));
        out.extend_from_slice(kept);
    } else {
        let whole = exponent as usize + 1;
        if kept.len() <= whole {
            out.extend_from_slice(kept);
            out.extend(std::iter::repeat_n(b'0', whole - kept.len()));
        } else {
            out.extend_from_slice(&kept[..whole]);
            out.push(b'.');
            out.extend_from_slice(&kept[whole..]);
        }
    }
}

/// Appends a whole number.
pub fn integer(out: &mut Vec<u8>, n: i64) {
    if n < 0 {
        out.push(b'-');
    }
    unsigned(out, n.unsigned_abs(), 1);
}

/// Appends a whole number with at least `width` digits.
pub fn unsigned(out: &mut Vec<u8>, mut n: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    while n > 0 {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
    }
    let at = at.min(digits.len() - width.min(digits.len()));
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::{exact, quick};

    #[test]
    fn the_quick_way_writes_what_the_exact_one_does() {
        let mut n = 88_172_645_463_325_252_u64;
        let mut taken = 0;
        for i in 0..20_000 {
            n ^= n << 13;
            n ^= n >> 7;
            n ^= n << 17;
            let size = 10f64.powi((n % 12) as i32 - 4);
            // Some with few decimals, where rounding is often a tie.
            let x = match i % 3 {
                0 => (n >> 12) as f64 / (1u64 << 52) as f64 * size,
                1 => (n >> 40) as f64 / 1000.0,
                _ => -((n >> 44) as f64) / 256.0,
            };
            for digits in [1, 3, 7, 9] {
                let (mut a, mut b) = (Vec::new(), Vec::new());
                if quick(&mut a, x, digits) {
                    exact(&mut b, x, digits);
                    assert_eq!(String::from_utf8_lossy(&a), String::from_utf8_lossy(&b), "{x:?} {digits}");
                    taken += 1;
                }
            }
        }
        assert!(taken > 20_000, "{taken}");
    }
}
