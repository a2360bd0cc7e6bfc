//! Content negotiation (RFC 9110, 12.5): the format of an answer by `Accept`, its coding by `Accept-Encoding`.
//!
//! The highest q-value wins. Of equal ones, the range that is more specific; then the one that stands first; then
//! the gateway's own order. A range with q=0 forbids. Tests: below, against a reference.

use std::cmp::Reverse;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// What the client wants to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Format {
    /// JSON
    Json,
    /// one QIPC message
    Octets,
    /// KX's structured text: JSON by column
    StructText,
    /// comma-separated values
    Csv,
    /// JSON, one line for each row
    Ndjson,
    /// an Arrow IPC stream
    Arrow,
}

impl Format {
    /// In the gateway's order of preference.
    pub(super) const ALL: [Format; 6] =
        [Format::Json, Format::Octets, Format::StructText, Format::Csv, Format::Ndjson, Format::Arrow];

    /// By `Accept`; JSON where it does not say. `None` where nothing of ours is wanted.
    pub(super) fn of(headers: &HeaderMap) -> Option<Format> {
        let ranges = ranges(headers, &header::ACCEPT);
        if ranges.is_empty() {
            return Some(Format::Json);
        }
        let quality = |format: Format| {
            let (ty, _) = format.media_type().split_once('/').unwrap_or_default();
            let specificity = |range: &str| match range.split_once('/') {
                _ if range == format.media_type() => Some(3),
                Some((t, "*")) if t == ty => Some(2),
                Some(("*", "*")) => Some(1),
                // As some clients write it.
                None if range == "*" => Some(1),
                _ => None,
            };
            best(&ranges, specificity)
        };
        let offers = Format::ALL.into_iter().filter_map(|f| Some((quality(f).filter(|m| m.q > 0)?, f)));
        offers.max_by_key(|(m, f)| (m.q, m.specificity, Reverse(m.place), Reverse(*f))).map(|(_, f)| f)
    }

    /// As the response header's `http` says it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Octets => "octet-stream",
            Format::StructText => "struct-text",
            Format::Csv => "csv",
            Format::Ndjson => "ndjson",
            Format::Arrow => "arrow",
        }
    }

    /// Its media type.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Octets => "application/octet-stream",
            Format::StructText => "application/struct-text",
            Format::Csv => "text/csv",
            Format::Ndjson => "application/x-ndjson",
            Format::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// True where an answer has a place for its header beside the payload.
    pub(super) fn has_header(self) -> bool {
        matches!(self, Format::Json | Format::Octets | Format::StructText)
    }
}

/// How the bytes of an answer are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// as they are
    Identity,
    /// gzip
    Gzip,
    /// Zstandard
    Zstd,
}

/// A coding that was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) coding: Coding,
    /// the client forbids answers without a coding, however short
    pub(super) always: bool,
}

impl Agreed {
    pub(super) const PLAIN: Agreed = Agreed { coding: Coding::Identity, always: false };

    /// By `Accept-Encoding`. `None` where the client forbids every coding that there is.
    pub(super) fn of(headers: &HeaderMap) -> Option<Agreed> {
        let ranges = ranges(headers, &header::ACCEPT_ENCODING);
        let quality = |names: &[&str]| {
            best(&ranges, |range| match range {
                "*" => Some(1),
                _ => names.contains(&range).then_some(2),
            })
        };
        let identity = quality(&["identity"]);
        let always = identity.is_some_and(|m| m.q == 0);
        // What is not named may be sent, and is wanted least.
        let plain = identity.map_or(0, |m| m.q);
        let named = [(Coding::Zstd, quality(&["zstd"])), (Coding::Gzip, quality(&["gzip", "x-gzip"]))];
        let coded = named
            .into_iter()
            .filter_map(|(coding, m)| m.map(|m| (coding, m)))
            // Only a coding that is named is surely understood; `*` serves where plain bytes are forbidden.
            .filter(|(_, m)| m.q > 0 && (always || (m.specificity == 2 && m.q >= plain)))
            .rev()
            .max_by_key(|(_, m)| (m.q, m.specificity));
        match coded {
            Some((coding, _)) => Some(Agreed { coding, always }),
            None if always => None,
            None => Some(Agreed::PLAIN),
        }
    }
}

impl Coding {
    /// Its name in `Content-Encoding`.
    pub(super) fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Coding::Identity => "identity",
            Coding::Gzip => "gzip",
            Coding::Zstd => "zstd",
        })
    }
}

/// One range of a header: its name in lower case, its weight in thousandths.
struct Range {
    name: String,
    q: u16,
}

/// A range that speaks of an offer.
#[derive(Clone, Copy)]
struct Match {
    q: u16,
    specificity: u8,
    place: usize,
}

/// The most specific range for an offer; the first of equal ones.
fn best(ranges: &[Range], specificity: impl Fn(&str) -> Option<u8>) -> Option<Match> {
    let of = |(place, r): (usize, &Range)| Some(Match { q: r.q, specificity: specificity(&r.name)?, place });
    ranges.iter().enumerate().filter_map(of).max_by_key(|m| (m.specificity, Reverse(m.place)))
}

fn ranges(headers: &HeaderMap, name: &HeaderName) -> Vec<Range> {
    /// Ranges that are read of all lines together.
    const MOST: usize = 256;
    let lines = headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
    let all: Vec<Range> =
        lines.flat_map(|line| split(&line, ',').filter_map(|r| range(&r)).collect::<Vec<_>>()).collect();
    all.into_iter().take(MOST).collect()
}

fn range(text: &str) -> Option<Range> {
    let mut parts = split(text, ';');
    let name = parts.next()?.trim().to_ascii_lowercase();
    let weight = parts.find_map(|p| {
        let (key, value) = p.split_once('=')?;
        key.trim().eq_ignore_ascii_case("q").then(|| weight(value.trim()))
    });
    (!name.is_empty()).then(|| Range { name, q: weight.unwrap_or(1000) })
}

/// A weight in thousandths; text that is no number from 0 to 1 counts as 1.
fn weight(text: &str) -> u16 {
    match text.parse::<f64>() {
        Ok(q) if (0.0..=1.0).contains(&q) => (q * 1000.0).round() as u16,
        _ => 1000,
    }
}

/// Splits where the separator is not inside quotes.
fn split(text: &str, by: char) -> impl Iterator<Item = String> {
    let (mut parts, mut quoted, mut escaped) = (vec![String::new()], false, false);
    for c in text.chars() {
        if c == by && !quoted {
            parts.push(String::new());
            continue;
        }
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.into_iter()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(name: HeaderName, lines: &[String]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name.clone(), HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    fn accept(value: &str) -> Option<Format> {
        Format::of(&headers(header::ACCEPT, &[value.into()]))
    }

    fn coding(value: &str) -> Option<Coding> {
        Agreed::of(&headers(header::ACCEPT_ENCODING, &[value.into()])).map(|a| a.coding)
    }

    #[test]
    fn formats_by_accept() {
        for (value, format) in [
            ("application/octet-stream", Some(Format::Octets)),
            ("application/json, application/octet-stream", Some(Format::Json)),
            ("application/json;q=0.5, application/octet-stream", Some(Format::Octets)),
            ("text/html, application/octet-stream;q=0.9, */*;q=0.1", Some(Format::Octets)),
            ("*/*", Some(Format::Json)),
            ("*/*, application/json;q=0", Some(Format::Octets)),
            ("text/*", Some(Format::Csv)),
            ("application/*;q=0.1, text/csv;q=0.2", Some(Format::Csv)),
            ("application/struct-text", Some(Format::StructText)),
            ("APPLICATION/X-NDJSON ; charset=utf-8 ; Q=1.0", Some(Format::Ndjson)),
            ("application/vnd.apache.arrow.stream", Some(Format::Arrow)),
            ("application/json;x=\"a,b;q=0\"", Some(Format::Json)),
            ("", Some(Format::Json)),
            ("text/html", None),
            ("application/json;q=0", None),
            ("application/json;q=0.000, text/html", None),
            ("application/xml, image/*", None),
        ] {
            assert_eq!(accept(value), format, "{value}");
        }
        assert_eq!(Format::of(&HeaderMap::new()), Some(Format::Json));
    }

    #[test]
    fn codings_by_accept_encoding() {
        for (value, expected) in [
            ("", Some(Coding::Identity)),
            ("gzip", Some(Coding::Gzip)),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip;q=1, zstd;q=0.5", Some(Coding::Gzip)),
            ("gzip;q=0", Some(Coding::Identity)),
            ("gzip;q=0.5, identity", Some(Coding::Identity)),
            ("br", Some(Coding::Identity)),
            ("*", Some(Coding::Identity)),
            ("identity;q=0, *", Some(Coding::Zstd)),
            ("identity;q=0, zstd;q=0, *;q=0.1", Some(Coding::Gzip)),
            ("identity;q=0", None),
            ("*;q=0", None),
            ("*;q=0, gzip", Some(Coding::Gzip)),
            ("identity;q=0, br", None),
        ] {
            assert_eq!(coding(value), expected, "{value}");
        }
    }

    /// The rule of the RFC, offer by offer, over ranges that were never text.
    fn reference(ranges: &[(String, u32)]) -> Option<Format> {
        let mut found: Option<(Format, u32, u32, usize)> = None;
        for format in Format::ALL {
            let own = format.media_type().to_string();
            let family = format!("{}/*", own.split('/').next().unwrap());
            let said =
                [(own, 3), (family, 2), ("*/*".to_string(), 1)].into_iter().find_map(|(name, rank)| {
                    ranges.iter().position(|(n, _)| *n == name).map(|at| (ranges[at].1, rank, at))
                });
            let Some((q, rank, at)) = said.filter(|(q, _, _)| *q > 0) else { continue };
            let better = match found {
                None => true,
                Some((_, best_q, best_rank, best_at)) => {
                    q > best_q
                        || (q == best_q && rank > best_rank)
                        || (q == best_q && rank == best_rank && at < best_at)
                }
            };
            if better {
                found = Some((format, q, rank, at));
            }
        }
        found.map(|f| f.0)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn accept_agrees_with_a_reference(
            ranges in prop::collection::vec((0usize..10, 0u32..=1000, 0u8..4, any::<bool>()), 1..7),
            cut in 0usize..7,
        ) {
            let names = [
                "application/json", "application/octet-stream", "application/struct-text", "text/csv",
                "application/x-ndjson", "application/vnd.apache.arrow.stream", "*/*", "application/*", "text/*",
                "image/png",
            ];
            // Few weights, so that ties are common.
            let coarse = |q: u32, way: u8| match way { 0 => 1000, 1 => (q % 3) * 500, _ => q };
            let plain: Vec<(String, u32)> =
                ranges.iter().map(|(n, q, way, _)| (names[*n].to_string(), coarse(*q, *way))).collect();
            let text: Vec<String> = ranges.iter().map(|(n, q, way, loud)| {
                let name = if *loud { names[*n].to_uppercase() } else { names[*n].into() };
                match (*way, coarse(*q, *way)) {
                    (0, _) => name,
                    (1, q) => format!("{name}; Q={}.{}", q / 1000, q % 1000 / 100),
                    (2, q) => format!("{name};charset=\"a,b\";q={}.{:03}", q / 1000, q % 1000),
                    (_, q) => format!("  {name} ;q= {}.{:03} ", q / 1000, q % 1000),
                }
            }).collect();
            let cut = cut.min(text.len());
            let mut lines = vec![text[..cut].join(","), text[cut..].join(" , ")];
            lines.retain(|l| !l.is_empty());
            let map = headers(header::ACCEPT, &lines);
            prop_assert_eq!(Format::of(&map), reference(&plain), "{:?}", lines);
        }

        #[test]
        fn no_header_can_break_the_choice(accept in "[ -~]{0,60}", encoding in "[ -~]{0,60}") {
            let mut map = headers(header::ACCEPT, &[accept]);
            map.extend(headers(header::ACCEPT_ENCODING, std::slice::from_ref(&encoding)));
            let _ = Format::of(&map);
            if let Some(agreed) = Agreed::of(&map) {
                let named = |n: &str| encoding.to_lowercase().contains(n);
                match agreed.coding {
                    Coding::Identity => prop_assert!(!agreed.always),
                    Coding::Gzip => prop_assert!(named("gzip") || named("*")),
                    Coding::Zstd => prop_assert!(named("zstd") || named("*")),
                }
            }
        }
    }
}
