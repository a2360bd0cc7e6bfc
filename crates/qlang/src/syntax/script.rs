//! Lines of a script to statements.

/// A part of a script that is evaluated by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// statements
    Statement {
        /// the text, continuation lines joined by newlines
        text: String,
        /// the line of the script on which the text begins, from 1
        line: u32,
    },
    /// a system command
    System {
        /// what stands behind the backslash
        text: String,
        /// the line of the script, from 1
        line: u32,
    },
    /// a line of another language: `k)…`
    Language {
        /// the letter
        letter: char,
        /// what stands behind the parenthesis
        text: String,
        /// the line of the script, from 1
        line: u32,
    },
    /// a lone `\`: the script ends here
    End,
}

/// Splits a script. A line that begins with a blank goes on with the statement before it, as does a lone `}`. Lines
/// that are comments or empty are left out; they do not end a statement. `/` alone begins a block of comment that
/// ends with a `\` alone. The first line may be `#!…`.
pub fn split(text: &str) -> Vec<Line> {
    let mut out = Vec::new();
    let mut open: Option<(String, u32)> = None;
    let mut comment = false;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (i, raw) in text.split('\n').enumerate() {
        let number = i as u32 + 1;
        let line = raw.strip_suffix('\r').unwrap_or(raw);
        let bare = line.trim_end();
        if comment || line.starts_with('/') || i == 0 && line.starts_with("#!") {
            comment = if comment { bare != "\\" } else { bare == "/" };
            // the line stays, empty: places in the text tell lines of the script
            if let Some((text, _)) = &mut open {
                text.push('\n');
            }
            continue;
        }
        if bare.is_empty()
            || line.starts_with([' ', '\t'])
            || bare == "}"
            || bare.starts_with("};") && open.is_some()
        {
            if let Some((text, _)) = &mut open {
                text.push('\n');
                text.push_str(line);
                continue;
            }
            if bare.is_empty() || bare.trim_start().starts_with('/') {
                continue;
            }
            open = Some((line.to_owned(), number));
            continue;
        }
        close(&mut open, &mut out);
        let mut chars = line.chars();
        match (chars.next(), chars.next()) {
            (Some('\\'), _) if bare == "\\" => {
                out.push(Line::End);
                return out;
            }
            (Some('\\'), _) => out.push(Line::System { text: line[1..].to_owned(), line: number }),
            (Some(letter), Some(')')) if letter.is_ascii_alphabetic() => {
                out.push(Line::Language { letter, text: line[2..].to_owned(), line: number });
            }
            _ => open = Some((line.to_owned(), number)),
        }
    }
    close(&mut open, &mut out);
    out
}

/// A text without the comment at its end and the blanks before it.
pub fn uncommented(text: &str) -> &str {
    let last = text.rfind('\n').map_or(0, |i| i + 1);
    let bytes = text.as_bytes();
    let (mut string, mut i, mut end) = (false, 0, text.len());
    while i < bytes.len() {
        match bytes[i] {
            b'\\' if string => i += 1,
            b'"' => string = !string,
            b'/' if !string && i >= last && (i == last || matches!(bytes[i - 1], b' ' | b'\t')) => {
                end = i;
                break;
            }
            // a comment of an earlier line may hold quotes
            b'/' if !string && (i == 0 || matches!(bytes[i - 1], b' ' | b'\t' | b'\n')) => {
                i = text[i..].find('\n').map_or(bytes.len(), |n| i + n);
            }
            _ => {}
        }
        i += 1;
    }
    text[..end].trim_end()
}

/// Ends the statement that is being gathered; blank lines behind it are no part of it.
fn close(open: &mut Option<(String, u32)>, out: &mut Vec<Line>) {
    if let Some((mut text, line)) = open.take() {
        text.truncate(uncommented(&text).len());
        if !text.is_empty() {
            out.push(Line::Statement { text, line });
        }
    }
}
