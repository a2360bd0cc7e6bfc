//! Fields of delimited text, with quotes.

use std::borrow::Cow;

/// The fields of a line, one after the other.
pub(super) struct Fields<'a> {
    rest: Option<&'a [u8]>,
    delimiter: u8,
}

impl<'a> Fields<'a> {
    /// The fields of this line.
    pub(super) fn new(line: &'a [u8], delimiter: u8) -> Self {
        Fields { rest: Some(line), delimiter }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Cow<'a, [u8]>;

    fn next(&mut self) -> Option<Cow<'a, [u8]>> {
        let rest = self.rest?;
        let end = end_of_field(rest, self.delimiter);
        let field = &rest[..end];
        self.rest = rest.get(end + 1..);
        Some(unquoted(field))
    }
}

/// All fields of a line.
pub(super) fn fields(line: &[u8], delimiter: u8) -> Vec<Cow<'_, [u8]>> {
    Fields::new(line, delimiter).collect()
}

/// Where the first field ends: at the delimiter behind its closing quote, if it is quoted.
fn end_of_field(text: &[u8], delimiter: u8) -> usize {
    let from = match text.first() {
        Some(b'"') => closing_quote(text),
        _ => 0,
    };
    memchr::memchr(delimiter, &text[from..]).map_or(text.len(), |at| from + at)
}

/// Position behind the quote that closes the one at 0; the end where none does. Doubled quotes do not close.
fn closing_quote(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = text.get(at..).and_then(|t| memchr::memchr(b'"', t)) {
        at += found + 1;
        match text.get(at) {
            Some(b'"') => at += 1,
            _ => return at,
        }
    }
    text.len()
}

/// A field without its quotes, doubled ones inside single.
pub(super) fn unquoted(field: &[u8]) -> Cow<'_, [u8]> {
    let Some(inner) = field.strip_prefix(b"\"") else { return Cow::Borrowed(field) };
    let inner = inner.strip_suffix(b"\"").unwrap_or(inner);
    if !inner.contains(&b'"') {
        return Cow::Borrowed(inner);
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().peekable();
    while let Some(b) = bytes.next() {
        out.push(*b);
        if *b == b'"' && bytes.peek() == Some(&&b'"') {
            bytes.next();
        }
    }
    Cow::Owned(out)
}

/// Records of a text, which end at newlines outside quotes.
pub(super) fn records(text: &[u8]) -> Vec<&[u8]> {
    let mut records = split_quoted(text, b'\n');
    if records.last().is_some_and(|last| last.is_empty()) {
        records.pop();
    }
    records.iter_mut().for_each(|r| *r = r.strip_suffix(b"\r").unwrap_or(r));
    records
}

/// Parts of a text between separators outside quotes.
pub(super) fn split_quoted(text: &[u8], separator: u8) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let (mut from, mut inside) = (0, false);
    for (i, b) in text.iter().enumerate() {
        if *b == b'"' {
            inside = !inside;
        } else if *b == separator && !inside {
            parts.push(&text[from..i]);
            from = i + 1;
        }
    }
    parts.push(&text[from..]);
    parts
}

/// Writes a field, in quotes where the delimiter or a newline is in it.
pub(super) fn quoted(out: &mut Vec<u8>, text: &[u8], delimiter: u8) {
    if !text.iter().any(|b| *b == delimiter || *b == b'\n') {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for b in text {
        out.push(*b);
        if *b == b'"' {
            out.push(b'"');
        }
    }
    out.push(b'"');
}
