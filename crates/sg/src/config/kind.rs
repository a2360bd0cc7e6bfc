//! What the value of a variable must look like, and the readers of each form.

/// Longest time a variable may say: 100 years. Instants that far away can still be added to and compared.
pub(super) const MOST_MILLIS: u64 = 36_500 * 24 * 3600 * 1000;

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// any text
    Text,
    /// TCP port, 0 for any free one
    Port,
    /// milliseconds
    Millis,
    /// bytes, optionally with K, M or G
    Bytes,
    /// whole number from 0
    Count,
    /// `true`/`false`/`1`/`0`
    Flag,
    /// comma list
    List,
    /// path of a file or folder
    Path,
    /// `host:port` that is dialled
    Address,
    /// comma list of `host:port` that are dialled
    Addresses,
    /// host or address of this machine
    Host,
    /// one of these words
    OneOf(&'static [&'static str]),
}

impl Kind {
    /// What the documentation and errors call it.
    pub fn expected(self) -> String {
        match self {
            Kind::Text => "text".into(),
            Kind::Port => "a TCP port from 0 to 65535".into(),
            Kind::Millis => "milliseconds, a whole number from 0".into(),
            Kind::Bytes => "bytes, a whole number, optionally with K, M or G".into(),
            Kind::Count => "a whole number from 0".into(),
            Kind::Flag => "true or false".into(),
            Kind::List => "a comma list".into(),
            Kind::Path => "a path".into(),
            Kind::Address => "host:port, an IPv6 address as [address]:port".into(),
            Kind::Addresses => "host:port or a comma list of them, an IPv6 address as [address]:port".into(),
            Kind::Host => "an IP address or host name of this machine".into(),
            Kind::OneOf([all @ .., last]) if !all.is_empty() => format!("{} or {last}", all.join(", ")),
            Kind::OneOf(words) => words.join(", "),
        }
    }

    /// True where the text, which is not empty, is of this kind.
    pub fn admits(self, text: &str) -> bool {
        match self {
            Kind::Text | Kind::List | Kind::Path => !text.contains('\0'),
            Kind::Port => port(text).is_some(),
            Kind::Millis => millis(text).is_some(),
            Kind::Bytes => bytes(text).is_some(),
            Kind::Count => whole(text).is_some(),
            Kind::Flag => flag(text).is_some(),
            Kind::Address => address(text),
            Kind::Addresses => items(text).count() > 0 && items(text).all(address),
            Kind::Host => host(bare(text)),
            Kind::OneOf(words) => words.contains(&text),
        }
    }
}

/// The items of a comma list.
fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// An address without the brackets that IPv6 may have.
fn bare(text: &str) -> &str {
    text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text)
}

/// Digits only: Rust's own parser takes a sign.
pub(super) fn whole(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

pub(super) fn port(text: &str) -> Option<u16> {
    whole(text).and_then(|n| u16::try_from(n).ok())
}

pub(super) fn millis(text: &str) -> Option<u64> {
    whole(text).filter(|n| *n <= MOST_MILLIS)
}

pub(super) fn bytes(text: &str) -> Option<u64> {
    let upper = text.to_ascii_uppercase();
    let digits = upper.trim_end_matches("IB").trim_end_matches('B');
    let (digits, unit) = match digits.as_bytes().last()? {
        b'K' => (&digits[..digits.len() - 1], 1 << 10),
        b'M' => (&digits[..digits.len() - 1], 1 << 20),
        b'G' => (&digits[..digits.len() - 1], 1 << 30),
        _ => (digits, 1u64),
    };
    whole(digits.trim())?.checked_mul(unit)
}

pub(super) fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// `host:port` that can be dialled: the name may resolve later, its shape may not be wrong.
fn address(text: &str) -> bool {
    let Some((name, number)) = text.rsplit_once(':') else { return false };
    let name = match (name.strip_prefix('['), name.contains(':')) {
        (Some(_), _) => bare(name),
        // Where an IPv6 address ends and its port begins only brackets say.
        (None, true) => return false,
        (None, false) => name,
    };
    port(number).is_some_and(|port| port > 0) && host(name)
}

/// An IP address, or a name that DNS could know. Underscores are in the names of compose services.
fn host(name: &str) -> bool {
    if name.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut labels = name.split('.');
    let fits = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || !c.is_ascii())
    };
    // A name whose last part is a number is an IPv4 address that is none.
    let number = labels.clone().next_back().is_none_or(|l| l.bytes().all(|b| b.is_ascii_digit()));
    name.len() <= 253 && labels.all(fits) && !number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for right in
            ["rc:1", "10.0.0.1:5050", "[::1]:5050", "a.b-c.svc.:65535", "kx_db_rc:5050", "nohost.invalid:1"]
        {
            assert!(Kind::Address.admits(right), "{right}");
        }
        for wrong in [
            "nohost",
            "a:b:c",
            "rc:99999",
            "rc:",
            ":5050",
            "rc:0",
            "::1:5050",
            "10.0.0.300:5050",
            "http://rc:80",
            "r c:1",
            "rc:+1",
            "a..b:1",
            "-a:1",
            "[rc]x:1",
            "rc:5050/",
            "",
        ] {
            assert!(!Kind::Address.admits(wrong), "{wrong}");
        }
        assert!(
            Kind::Addresses.admits("a:1, b:2,")
                && !Kind::Addresses.admits("a:1,b")
                && !Kind::Addresses.admits(",")
        );
        assert!(Kind::Host.admits("127.0.0.1") && Kind::Host.admits("[::]") && !Kind::Host.admits("a:1"));
    }

    #[test]
    fn numbers_have_no_sign_and_times_an_end() {
        assert!(!Kind::Count.admits("+1") && !Kind::Port.admits("-1") && !Kind::Millis.admits("1.5"));
        assert!(Kind::Millis.admits(&MOST_MILLIS.to_string()) && !Kind::Millis.admits(&u64::MAX.to_string()));
        assert!(!Kind::Bytes.admits("K") && !Kind::Bytes.admits("") && Kind::Bytes.admits("3 KiB"));
    }

    /// Addresses made right, and each made wrong in one place.
    #[test]
    fn an_address_that_is_wrong_in_one_place_is_refused() {
        let mut seed = 7u64;
        let mut roll = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        for case in 0..1000 {
            let host = match roll(4) {
                0 => format!("{}.{}.{}.{}", roll(256), roll(256), roll(256), roll(256)),
                1 => format!("[fd00::{:x}:{:x}]", roll(65536), roll(65536)),
                _ => {
                    let label = |n: usize| ["rc", "kx-db-rc", "a_b", "x9", "svc", "a"][n];
                    (0..=roll(3)).map(|_| label(roll(6))).collect::<Vec<_>>().join(".")
                }
            };
            let port = 1 + roll(65535);
            let right = format!("{host}:{port}");
            assert!(Kind::Address.admits(&right), "case {case}: {right}");
            let wrong = match roll(9) {
                0 => host.clone(),
                1 => format!("{host}:"),
                2 => format!("{host}:{}", 65536 + roll(100_000)),
                3 => format!("{host}:0"),
                4 => format!("{host}:{port}x"),
                5 => format!(":{port}"),
                6 => format!("tcps://{right}"),
                7 => format!("{host}:b:{port}"),
                _ => format!("{host} :{port}"),
            };
            assert!(!Kind::Address.admits(&wrong), "case {case}: {wrong}");
            assert!(Kind::Addresses.admits(&format!("{right}, {right}")));
            assert!(!Kind::Addresses.admits(&format!("{right},{wrong}")), "case {case}: {wrong}");
        }
    }
}
