//! Identities: of a request, of a running process, of a piece of a request.

/// The unique id of a request (`corr`), made by the GW.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Corr(pub [u8; 16]);

/// The id of one running process: new after each start, so that a restart and a reconnect differ.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(pub [u8; 16]);

/// A portion within one attempt of a request: numbered from 0 in answer order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortionId(pub u32);

impl Corr {
    /// A fresh random id.
    pub fn random() -> Self {
        Corr(rand::random())
    }
}

impl InstanceId {
    /// A fresh random id.
    pub fn random() -> Self {
        InstanceId(rand::random())
    }
}

/// 16 bytes as q prints a guid: ASCII.
pub(crate) fn guid_text(bytes: &[u8; 16]) -> [u8; 36] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (i, b) in bytes.iter().enumerate() {
        at += usize::from(matches!(i, 4 | 6 | 8 | 10));
        text[at] = DIGITS[usize::from(b >> 4)];
        text[at + 1] = DIGITS[usize::from(b & 15)];
        at += 2;
    }
    text
}

/// Writes 16 bytes as q prints a guid.
pub fn write_guid(f: &mut impl std::fmt::Write, bytes: &[u8; 16]) -> std::fmt::Result {
    // Digits and dashes are text.
    f.write_str(std::str::from_utf8(&guid_text(bytes)).unwrap_or_default())
}

/// Parses a guid's text, with or without dashes.
pub fn parse_guid(text: &str) -> Option<[u8; 16]> {
    let hex: Vec<u8> = text.bytes().filter(|b| *b != b'-').collect();
    if hex.len() != 32 || !hex.is_ascii() {
        return None;
    }
    let mut out = [0; 16];
    for (i, pair) in hex.chunks_exact(2).enumerate() {
        out[i] = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

macro_rules! show {
    ($($t:ty),*) => {$(
        impl std::fmt::Display for $t {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write_guid(f, &self.0)
            }
        }
        impl std::fmt::Debug for $t {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write_guid(f, &self.0)
            }
        }
    )*};
}
show!(Corr, InstanceId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guids_print_as_they_parse() {
        let text = "8c680a01-5a49-5aab-5a65-d4bfddb6a661";
        assert_eq!(Corr(parse_guid(text).unwrap()).to_string(), text);
        assert_eq!(parse_guid("8c68"), None);
        assert_eq!(parse_guid(&"é".repeat(16)), None);
    }
}
