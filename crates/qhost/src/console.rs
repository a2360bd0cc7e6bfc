//! The console: lines of a terminal with editing, history, completion and colours, or lines of standard input.
//!
//! A thread of its own reads, because reading blocks and the loop of the process must not: the loop asks for a line
//! and polls the pipe that says one is there.

use std::{
    io::{BufRead as _, IsTerminal as _},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
};

use rustyline::error::ReadlineError;

use crate::editor::{Editor, Words};

/// The console of a process.
pub(crate) struct Console {
    requests: Sender<Option<String>>,
    lines: Mutex<Receiver<Option<Vec<u8>>>>,
    wake: OwnedFd,
    pub(crate) words: Words,
    pub(crate) is_terminal: bool,
}

impl Console {
    /// Starts the reading thread.
    pub(crate) fn start() -> std::io::Result<Arc<Console>> {
        let (requests, asked) = channel::<Option<String>>();
        let (answers, lines) = channel();
        let (wake, bell) = rustix::pipe::pipe()?;
        let is_terminal = std::io::stdin().is_terminal();
        let words = Words::default();
        let for_editor = words.clone();
        std::thread::Builder::new().name("console".into()).spawn(move || {
            let mut editor = if is_terminal { Editor::new(for_editor).ok() } else { None };
            while let Ok(prompt) = asked.recv() {
                let line = match &mut editor {
                    Some(editor) => from_terminal(editor, prompt.as_deref()),
                    None => from_stdin(),
                };
                if answers.send(line).is_err() || rustix::io::write(&bell, &[1]).is_err() {
                    return;
                }
            }
        })?;
        Ok(Arc::new(Console { requests, lines: Mutex::new(lines), wake, words, is_terminal }))
    }

    /// Asks for a line of input; [`Console::answer`] gives it once [`Console::bell`] can be read.
    pub(crate) fn ask(&self, prompt: &str) {
        let _ = self.requests.send(Some(prompt.to_owned()));
    }

    /// Readable when a line is there.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// The line that was asked for; `None` at the end of input.
    pub(crate) fn answer(&self) -> Option<Vec<u8>> {
        let mut byte = [0];
        let _ = rustix::io::read(&self.wake, &mut byte);
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).recv().ok().flatten()
    }

    /// Waits for a line, as `read0 0` does.
    pub(crate) fn line(&self) -> Option<Vec<u8>> {
        let _ = self.requests.send(None);
        self.answer()
    }
}

fn from_stdin() -> Option<Vec<u8>> {
    let mut line = Vec::new();
    match std::io::stdin().lock().read_until(b'\n', &mut line) {
        Ok(n) if n > 0 => {
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            Some(line)
        }
        _ => None,
    }
}

fn from_terminal(editor: &mut Editor, prompt: Option<&str>) -> Option<Vec<u8>> {
    match editor.read(prompt) {
        Ok(line) => Some(line.into_bytes()),
        // Ctrl-C takes back what was typed.
        Err(ReadlineError::Interrupted) => Some(Vec::new()),
        Err(_) => None,
    }
}
