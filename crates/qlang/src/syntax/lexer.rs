//! Characters to tokens. Blanks matter in q: they tell a comment from an iterator and a negative number from a
//! subtraction, so the lexer settles both and notes on each token whether a blank stood before it.

use crate::{
    QError, R,
    syntax::{fault::fault, literal},
    value::{Data, Iterator, Sym, Value},
};

/// What a token is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// a literal: number, vector, string, symbols
    Const(Value),
    /// a name, dotted or not
    Name(Sym),
    /// an operator: `+`, `<>`, `0:`
    Op,
    /// `'`, `/`, `\`, `':`, `/:`, `\:`
    Iter(Iterator),
    /// `:`
    Colon,
    /// `::`
    Colons,
    /// `;`
    Semi,
    /// `(`, `[`, `{`
    Open(u8),
    /// `)`, `]`, `}`
    Close(u8),
    /// end of the text
    End,
}

/// A token and its place.
#[derive(Debug, Clone)]
pub(super) struct Token {
    /// what it is
    pub kind: Kind,
    /// first byte
    pub at: u32,
    /// byte behind the last one
    pub end: u32,
    /// a blank, a newline, a comment or the text's begin stands before it
    pub blank: bool,
}

/// The tokens of a text, an [`Kind::End`] behind the last one. `'limit` beyond 4 GB.
pub(super) fn tokens(text: &str) -> R<Vec<Token>> {
    if u32::try_from(text.len()).is_err() {
        return Err(QError::limit());
    }
    let mut lexer = Lexer { text: text.as_bytes(), at: 0, out: Vec::with_capacity(text.len() / 3 + 2) };
    lexer.run()?;
    Ok(lexer.out)
}

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    out: Vec<Token>,
}

/// True for bytes that names are made of, dots aside.
fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r')
}

/// Length of a blank that is no ASCII, as text from web pages has it: no-break space, zero-width space, byte order
/// mark; 0 where there is none.
fn odd_blank(text: &[u8]) -> usize {
    match text {
        [0xc2, 0xa0, ..] => 2,
        [0xe2, 0x80, 0x8b, ..] | [0xef, 0xbb, 0xbf, ..] => 3,
        _ => 0,
    }
}

/// True for `0:`, `1:`, `2:` at the begin of the text. A time of one digit for the hour has two for the minute.
fn is_file_operator(text: &[u8]) -> bool {
    let [b'0'..=b'2', b':', rest @ ..] = text else { return false };
    let digits = rest.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
    digits != 2 || !rest[..2].iter().all(u8::is_ascii_digit)
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn run(&mut self) -> R<()> {
        let mut blank = true;
        while self.at < self.text.len() {
            let b = self.peek(0);
            if is_blank(b) {
                self.at += 1;
                blank = true;
            } else if b == b'/' && blank {
                self.comment();
            } else if b >= 0x80 && odd_blank(&self.text[self.at..]) > 0 {
                self.at += odd_blank(&self.text[self.at..]);
                blank = true;
            } else {
                self.token(b, blank)?;
                blank = false;
            }
        }
        let at = self.text.len() as u32;
        self.out.push(Token { kind: Kind::End, at, end: at, blank: true });
        Ok(())
    }

    /// Skips a comment: to the end of the line, or a block of lines between a lone `/` and a lone `\`.
    fn comment(&mut self) {
        let rest = &self.text[self.at..];
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let first = self.at == 0 || self.text[self.at - 1] == b'\n';
        self.at += end;
        if first && rest[1..end].iter().all(|b| is_blank(*b)) {
            while self.at < self.text.len() {
                self.at += 1;
                let rest = &self.text[self.at..];
                let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                let line = &rest[..end];
                self.at += end;
                if line.first() == Some(&b'\\') && line[1..].iter().all(|b| is_blank(*b)) {
                    break;
                }
            }
        }
    }

    /// True where the token before ends a noun and touches this one: `-` behind it subtracts.
    fn behind_noun(&self, blank: bool) -> bool {
        !blank
            && matches!(
                self.out.last().map(|t| &t.kind),
                Some(Kind::Const(_) | Kind::Name(_) | Kind::Close(_))
            )
    }

    fn behind_parenthesis(&self, blank: bool) -> bool {
        !blank && matches!(self.out.last().map(|t| &t.kind), Some(Kind::Close(b')')))
    }

    fn push(&mut self, kind: Kind, length: usize, blank: bool) {
        let at = self.at as u32;
        self.at += length;
        self.out.push(Token { kind, at, end: self.at as u32, blank });
    }

    fn token(&mut self, b: u8, blank: bool) -> R<()> {
        let next = self.peek(1);
        match b {
            b'"' => return self.string(blank),
            b'`' => self.symbols(blank),
            b'0'..=b'9' => {
                let rest = &self.text[self.at..];
                if is_file_operator(rest) || next == b':' && b <= b'2' && self.behind_noun(blank) {
                    self.push(Kind::Op, 2, blank);
                } else {
                    return self.numbers(blank);
                }
            }
            b'-' if !self.behind_noun(blank)
                && (next.is_ascii_digit() || next == b'.' && self.peek(2).is_ascii_digit()) =>
            {
                return self.numbers(blank);
            }
            b'.' if next.is_ascii_digit() => return self.numbers(blank),
            // `(+).x`: behind a parenthesis it is the operator
            b'.' if next.is_ascii_alphabetic() && !self.behind_parenthesis(blank) => self.name(blank),
            b'a'..=b'z' | b'A'..=b'Z' => self.name(blank),
            b'\'' | b'/' | b'\\' => {
                let paired = next == b':';
                let iterator = match (b, paired) {
                    (b'\'', false) => Iterator::Each,
                    (b'\'', true) => Iterator::Prior,
                    (b'/', false) => Iterator::Over,
                    (b'/', true) => Iterator::EachRight,
                    (_, false) => Iterator::Scan,
                    (_, true) => Iterator::EachLeft,
                };
                self.push(Kind::Iter(iterator), 1 + usize::from(paired), blank);
            }
            b':' if next == b':' => self.push(Kind::Colons, 2, blank),
            b':' => self.push(Kind::Colon, 1, blank),
            b';' => self.push(Kind::Semi, 1, blank),
            b'(' | b'[' | b'{' => self.push(Kind::Open(b), 1, blank),
            b')' | b']' | b'}' => self.push(Kind::Close(b), 1, blank),
            b'<' if matches!(next, b'>' | b'=') => self.push(Kind::Op, 2, blank),
            b'>' if next == b'=' => self.push(Kind::Op, 2, blank),
            b'+' | b'-' | b'*' | b'%' | b'&' | b'|' | b'^' | b'=' | b'<' | b'>' | b'$' | b',' | b'#'
            | b'_' | b'~' | b'!' | b'?' | b'@' | b'.' => self.push(Kind::Op, 1, blank),
            _ => return Err(fault("char", self.text, self.at)),
        }
        Ok(())
    }

    fn name(&mut self, blank: bool) {
        let mut end = self.at + 1;
        while let Some(&b) = self.text.get(end) {
            let dot = b == b'.' && self.text.get(end + 1).is_some_and(u8::is_ascii_alphanumeric);
            if !is_word(b) && !dot {
                break;
            }
            end += 1;
        }
        let name = Sym::new(&self.text[self.at..end]);
        self.push(Kind::Name(name), end - self.at, blank);
    }

    fn string(&mut self, blank: bool) -> R<()> {
        let mut out = Vec::new();
        let mut i = self.at + 1;
        loop {
            let Some(&b) = self.text.get(i) else { return Err(fault("\"", self.text, self.at)) };
            i += 1;
            match b {
                b'"' => break,
                b'\\' => {
                    let (byte, length) =
                        escape(&self.text[i..]).ok_or_else(|| fault("\\", self.text, i - 1))?;
                    out.push(byte);
                    i += length;
                }
                b => out.push(b),
            }
        }
        let value = match out.as_slice() {
            [c] => Value::Char(*c),
            _ => Value::string(out),
        };
        self.push(Kind::Const(value), i - self.at, blank);
        Ok(())
    }

    fn symbols(&mut self, blank: bool) {
        let mut out = Vec::new();
        let mut i = self.at;
        while self.text.get(i) == Some(&b'`') {
            let start = i + 1;
            i = start;
            let mut path = false;
            while let Some(&b) = self.text.get(i) {
                path |= b == b':';
                if !(is_word(b) || b == b'.' || b == b':' || b == b'/' && path) {
                    break;
                }
                i += 1;
            }
            out.push(Sym::new(&self.text[start..i]));
        }
        let value = match out.as_slice() {
            [s] => Value::Sym(*s),
            _ => Value::syms(out),
        };
        self.push(Kind::Const(value), i - self.at, blank);
    }

    /// A run of numbers with blanks between: one literal.
    fn numbers(&mut self, blank: bool) -> R<()> {
        let mut words: Vec<&[u8]> = Vec::new();
        let mut end = self.at;
        let mut i = self.at;
        while let Some(length) = number_length(&self.text[i..]) {
            words.push(&self.text[i..i + length]);
            i += length;
            end = i;
            loop {
                i += match self.text.get(i) {
                    Some(b' ' | b'\t') => 1,
                    Some(0x80..) if odd_blank(&self.text[i..]) > 0 => odd_blank(&self.text[i..]),
                    _ => break,
                };
            }
            if i == end {
                break;
            }
            // operators behind a blank, and literals that are vectors by themselves
            let rest = &self.text[i..];
            if is_file_operator(rest) || rest.starts_with(b"0x") || words[0].starts_with(b"0x") {
                break;
            }
        }
        let value = literal::vector(&words).map_err(|bad| {
            let bad = words.get(bad).copied().unwrap_or_default();
            let at = bad.as_ptr() as usize - self.text.as_ptr() as usize;
            fault(String::from_utf8_lossy(bad), self.text, at)
        })?;
        self.push(Kind::Const(value), end - self.at, blank);
        Ok(())
    }
}

/// Length of the number at the begin of the text; `None` where there is none.
fn number_length(text: &[u8]) -> Option<usize> {
    let digit = |i: usize| text.get(i).is_some_and(u8::is_ascii_digit);
    let mut i = usize::from(text.first() == Some(&b'-'));
    if !(digit(i) || text.get(i) == Some(&b'.') && digit(i + 1)) {
        return None;
    }
    let hex = text[i..].starts_with(b"0x");
    while let Some(&b) = text.get(i) {
        let exponent = !hex
            && matches!(b, b'+' | b'-')
            && i > 0
            && matches!(text[i - 1], b'e' | b'E')
            && digit(i + 1)
            && text[..i - 1].iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-'));
        if !(b.is_ascii_alphanumeric() || b == b'.' || b == b':' && digit(i + 1) || exponent) {
            break;
        }
        i += 1;
    }
    Some(i)
}

/// The byte behind a backslash and how many characters stand for it.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    Some(match *text.first()? {
        b'n' => (b'\n', 1),
        b'r' => (b'\r', 1),
        b't' => (b'\t', 1),
        b @ (b'"' | b'\\' | b'/') => (b, 1),
        _ => {
            let octal = text.get(..3)?;
            let mut n = 0u32;
            for b in octal {
                n = n * 8 + u32::from(b.checked_sub(b'0').filter(|d| *d < 8)?);
            }
            (u8::try_from(n).ok()?, 3)
        }
    })
}

/// True for a literal that a parse tree must quote: symbols.
pub(super) fn is_symbolic(value: &Value) -> bool {
    match value {
        Value::Sym(_) => true,
        Value::Vector(v) => matches!(v.data, Data::Sym(_)),
        _ => false,
    }
}
