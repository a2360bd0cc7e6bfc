//! JSON to values.

use crate::{
    QError, R,
    value::{Dict, Sym, Value},
};

/// The value of JSON text: numbers as floats, objects as dictionaries with symbol keys, arrays as the list q makes
/// of their items. An error names the offending character.
pub fn read(text: &[u8]) -> R {
    let mut r = Reader { text, at: 0 };
    r.blanks();
    if r.at == text.len() {
        return Ok(Value::empty_list());
    }
    let v = r.value(0)?;
    r.blanks();
    match r.text.get(r.at) {
        None => Ok(v),
        Some(_) => Err(r.wrong()),
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn wrong(&self) -> QError {
        match self.text.get(self.at) {
            Some(b) => QError::new(format!("{} at {}", *b as char, self.at)),
            None => QError::new("incomplete JSON"),
        }
    }

    fn blanks(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn take(&mut self, word: &[u8]) -> R<()> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.wrong())
    }

    fn value(&mut self, depth: usize) -> R {
        if depth > 400 {
            return Err(QError::stack());
        }
        self.blanks();
        match self.text.get(self.at) {
            Some(b'{') => self.object(depth),
            Some(b'[') => {
                self.at += 1;
                let mut items = Vec::new();
                self.blanks();
                if self.text.get(self.at) == Some(&b']') {
                    self.at += 1;
                    return Ok(Value::empty_list());
                }
                loop {
                    items.push(self.value(depth + 1)?);
                    self.blanks();
                    match self.text.get(self.at) {
                        Some(b',') => self.at += 1,
                        Some(b']') => break,
                        _ => return Err(self.wrong()),
                    }
                }
                self.at += 1;
                Ok(Value::from_items(items))
            }
            Some(b'"') => Ok(Value::string(self.string()?)),
            Some(b't') => self.take(b"true").map(|()| Value::Bool(true)),
            Some(b'f') => self.take(b"false").map(|()| Value::Bool(false)),
            Some(b'n') => self.take(b"null").map(|()| Value::Float(kvalue::types::NULL_FLOAT)),
            Some(b'i') => self.take(b"inf").map(|()| Value::Float(f64::INFINITY)),
            Some(b'-' | b'0'..=b'9') => {
                let start = self.at;
                if self.text[start..].starts_with(b"-inf") {
                    self.at += 4;
                    return Ok(Value::Float(f64::NEG_INFINITY));
                }
                let is_part = |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                while self.text.get(self.at).is_some_and(is_part) {
                    self.at += 1;
                }
                match super::super::tok::float(&self.text[start..self.at]) {
                    Some(x) => Ok(Value::Float(x)),
                    None => {
                        self.at = start;
                        Err(self.wrong())
                    }
                }
            }
            _ => Err(self.wrong()),
        }
    }

    fn object(&mut self, depth: usize) -> R {
        self.at += 1;
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        self.blanks();
        if self.text.get(self.at) == Some(&b'}') {
            self.at += 1;
            return Ok(Value::dict(Dict {
                keys: Value::syms(keys),
                values: Value::empty_list(),
                sorted: false,
            }));
        }
        loop {
            self.blanks();
            if self.text.get(self.at) != Some(&b'"') {
                return Err(self.wrong());
            }
            keys.push(Sym::new(self.string()?));
            self.blanks();
            self.take(b":")?;
            values.push(self.value(depth + 1)?);
            self.blanks();
            match self.text.get(self.at) {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.wrong()),
            }
        }
        self.at += 1;
        Ok(Value::dict(Dict { keys: Value::syms(keys), values: Value::from_items(values), sorted: false }))
    }

    fn string(&mut self) -> R<Vec<u8>> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let Some(&b) = self.text.get(self.at) else { return Err(self.wrong()) };
            self.at += 1;
            match b {
                b'"' => return Ok(out),
                b'\\' => {
                    let Some(&e) = self.text.get(self.at) else { return Err(self.wrong()) };
                    self.at += 1;
                    match e {
                        b'n' => out.push(b'\n'),
                        b'r' => out.push(b'\r'),
                        b't' => out.push(b'\t'),
                        b'b' => out.push(8),
                        b'f' => out.push(12),
                        b'u' => {
                            let c = self.unicode()?;
                            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                        }
                        other => out.push(other),
                    }
                }
                b => out.push(b),
            }
        }
    }

    fn four(&mut self) -> R<u32> {
        let digits = self.text.get(self.at..self.at + 4).and_then(|d| std::str::from_utf8(d).ok());
        let code = digits.and_then(|d| u32::from_str_radix(d, 16).ok()).ok_or_else(|| self.wrong())?;
        self.at += 4;
        Ok(code)
    }

    fn unicode(&mut self) -> R<char> {
        let first = self.four()?;
        if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with(b"\\u") {
            self.at += 2;
            let second = self.four()?;
            let code = 0x10000 + ((first - 0xd800) << 10) + (second.wrapping_sub(0xdc00) & 0x3ff);
            return Ok(char::from_u32(code).unwrap_or('\u{fffd}'));
        }
        Ok(char::from_u32(first).unwrap_or('\u{fffd}'))
    }
}
