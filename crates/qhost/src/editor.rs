//! What the terminal's line editor knows of q: when input goes on in the next line, colours, names to complete.

use std::{
    borrow::Cow,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use rustyline::{
    Context, Helper,
    completion::Completer,
    config::{CompletionType, Config},
    error::ReadlineError,
    highlight::{CmdKind, Highlighter},
    hint::Hinter,
    history::FileHistory,
    validate::{ValidationContext, ValidationResult, Validator},
};

/// Names that can be completed, kept up to date by the loop.
pub(crate) type Words = Arc<Mutex<Vec<String>>>;

/// Lines kept in the history.
const HISTORY: usize = 10_000;

/// The editor.
pub(crate) struct Editor {
    inner: rustyline::Editor<Q, FileHistory>,
    file: Option<PathBuf>,
}

impl Editor {
    /// An editor with the history of earlier sessions.
    pub(crate) fn new(words: Words) -> Result<Editor, ReadlineError> {
        let config = Config::builder()
            .max_history_size(HISTORY)?
            .completion_type(CompletionType::List)
            .auto_add_history(false)
            .build();
        let mut inner = rustyline::Editor::with_config(config)?;
        inner.set_helper(Some(Q { words, is_code: true }));
        let file = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".qmesh_q_history"));
        if let Some(file) = &file {
            // The first session has none.
            let _ = inner.load_history(file);
        }
        Ok(Editor { inner, file })
    }

    /// A line of q after a prompt; a line as it is, without one.
    pub(crate) fn read(&mut self, prompt: Option<&str>) -> Result<String, ReadlineError> {
        if let Some(helper) = self.inner.helper_mut() {
            helper.is_code = prompt.is_some();
        }
        let line = self.inner.readline(prompt.unwrap_or_default())?;
        if prompt.is_some() && !line.trim().is_empty() {
            let _ = self.inner.add_history_entry(line.as_str());
            if let Some(file) = &self.file {
                // A history that cannot be kept is no reason to stop.
                let _ = self.inner.append_history(file);
            }
        }
        Ok(line)
    }
}

struct Q {
    words: Words,
    is_code: bool,
}

impl Helper for Q {}

/// Brackets and quotes that are open at the end of a text.
fn open_at_end(text: &str) -> (usize, bool) {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    let mut before = b'\n';
    for &b in text.as_bytes() {
        if in_string {
            match b {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
        } else {
            match b {
                b'"' => in_string = true,
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                // a comment to the end of the line
                b'/' if matches!(before, b' ' | b'\n' | b'\t') => {
                    return match text.rsplit_once('\n') {
                        Some((_, last)) if !last.contains('/') => (depth, in_string),
                        _ => (depth, false),
                    };
                }
                _ => {}
            }
        }
        before = b;
    }
    (depth, in_string)
}

impl Validator for Q {
    fn validate(&self, ctx: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = ctx.input();
        let goes_on = self.is_code && !text.starts_with('\\') && open_at_end(text) != (0, false);
        Ok(if goes_on { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '.' || c == '_'
}

impl Completer for Q {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let start = line[..at].rfind(|c| !is_word(c)).map_or(0, |i| i + 1);
        let begun = &line[start..at];
        if begun.is_empty() {
            return Ok((at, Vec::new()));
        }
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((start, words.iter().filter(|w| w.starts_with(begun)).cloned().collect()))
    }
}

impl Hinter for Q {
    type Hint = String;
}

const STRING: &str = "\x1b[32m";
const SYMBOL: &str = "\x1b[36m";
const NUMBER: &str = "\x1b[33m";
const WORD: &str = "\x1b[35m";
const COMMENT: &str = "\x1b[90m";
const PLAIN: &str = "\x1b[0m";

impl Highlighter for Q {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if !self.is_code || !line.is_ascii() {
            return Cow::Borrowed(line);
        }
        let bytes = line.as_bytes();
        let mut out = String::with_capacity(line.len() * 2);
        let mut at = 0;
        while at < bytes.len() {
            let rest = &line[at..];
            let run = |f: &dyn Fn(char) -> bool| rest.find(|c| !f(c)).unwrap_or(rest.len());
            let starts_word = at == 0 || matches!(bytes[at - 1], b' ' | b'\t' | b'\n');
            let (len, colour) = match bytes[at] {
                b'"' => (string_len(rest), STRING),
                b'`' => (
                    1 + rest[1..].find(|c| !is_word(c) && c != ':' && c != '/').unwrap_or(rest.len() - 1),
                    SYMBOL,
                ),
                b'/' if starts_word => (rest.find('\n').unwrap_or(rest.len()), COMMENT),
                b'0'..=b'9' => (run(&is_word), NUMBER),
                b'a'..=b'z' | b'A'..=b'Z' | b'.' => {
                    let len = run(&is_word).max(1);
                    let is_known = qlang::registry::registry().find(&rest.as_bytes()[..len]).is_some()
                        || matches!(
                            &rest[..len],
                            "select" | "exec" | "update" | "delete" | "from" | "by" | "where"
                        );
                    (len, if is_known { WORD } else { PLAIN })
                }
                _ => (1, PLAIN),
            };
            out.push_str(colour);
            out.push_str(&rest[..len]);
            at += len;
        }
        out.push_str(PLAIN);
        Cow::Owned(out)
    }

    fn highlight_char(&self, _: &str, _: usize, _: CmdKind) -> bool {
        self.is_code
    }
}

fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (i, b) in text.bytes().enumerate().skip(1) {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return i + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_goes_on_while_a_bracket_or_a_string_is_open() {
        for text in ["f:{x+1", "(1;2", "\"abc", "t:([]a:1 2;", "g[\"}\""] {
            assert_ne!(open_at_end(text), (0, false), "{text}");
        }
        for text in ["1+1", "f:{x}", "\"a\\\"b\"", "x / a comment (", "+/[1 2]"] {
            assert_eq!(open_at_end(text), (0, false), "{text}");
        }
    }
}
