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
