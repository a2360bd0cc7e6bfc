//! Plays each page in its own process: pages cannot affect each other.
//!
//! The parent gives a page as a line of JSON on standard input. Whatever the child prints, on standard output or standard
//! error, is the console's; after each step it prints a mark with what else there is to know. The child is ended where it
//! says nothing for longer than the limit of a step allows.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, PipeReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use crate::{
    chance::{Chance, assigned, words},
    compare::{Match, compare},
    interpreter::{Done, Interpreter},
    page::{Page, Step},
};

/// What ends the output of a step; no console prints it.
const MARK: u8 = 1;

/// What became of a step.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// number of the step's block on the page
    pub block: u32,
    /// the input
    pub input: String,
    /// the page's output
    pub page: String,
    /// our output, or why there is none
    pub ours: String,
    /// the step depends on chance, and the shape is all that is the same
    pub by_shape: bool,
    /// it is no match, for it uses a name that no step of the page has set
    pub unset: bool,
    /// what counts: the same, or of the same shape where that is enough
    pub matched: bool,
}

/// The child: plays the inputs of a page.
pub fn play(page: &Page, interpreter: &mut Interpreter) {
    for step in page.blocks.iter().flat_map(|b| &b.steps) {
        let done = interpreter.input(&step.input);
        let mut out = std::io::stdout().lock();
        let told = serde_json::to_string(&done).unwrap_or_default();
        // Nobody reads it: the parent is gone, and so will this be.
        let _ = writeln!(out, "{}{told}", MARK as char).and_then(|()| out.flush());
    }
}

/// Plays a page in a child of this program, started with these arguments; the outcomes of all its steps.
pub fn run(program: &Path, args: &[String], page: &Page, limit: Duration) -> Result<Vec<Outcome>, String> {
    let no = |e: std::io::Error| format!("{} cannot be played: {e}", page.name);
    let folder = tempfile::tempdir().map_err(no)?;
    let (reader, writer) = std::io::pipe().map_err(no)?;
    let mut child = Command::new(program)
        .args(args)
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(writer.try_clone().map_err(no)?)
        .stderr(writer)
        .spawn()
        .map_err(no)?;
    let outcomes = converse(&mut child, reader, page, limit);
    // It may have ended already.
    let _ = child.kill();
    let _ = child.wait();
    outcomes
}

fn converse(
    child: &mut Child,
    output: PipeReader,
    page: &Page,
    limit: Duration,
) -> Result<Vec<Outcome>, String> {
    let mut input = child.stdin.take().ok_or("the child has no input")?;
    let mut line = serde_json::to_vec(page).map_err(|e| e.to_string())?;
    line.push(b'\n');
    thread::spawn(move || input.write_all(&line));
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        loop {
            let (mut shown, mut told) = (Vec::new(), Vec::new());
            let read = output.read_until(MARK, &mut shown).and_then(|_| output.read_until(b'\n', &mut told));
            let whole = shown.pop() == Some(MARK);
            let sent = sender.send((String::from_utf8_lossy(&shown).into_owned(), told, whole));
            if read.is_err() || sent.is_err() || !whole {
                return;
            }
        }
    });
    let mut outcomes = Vec::new();
    let mut why = String::new();
    let mut known = HashSet::new();
    for block in &page.blocks {
        let mut chance = Chance::default();
        for step in &block.steps {
            if !why.is_empty() {
                outcomes.push(outcome(block.block, step, &why, Match::Other));
                continue;
            }
            // The child's own limit ends first; the parent's limit is for an interpreter that never stops.
            let patience = limit * 2 + Duration::from_secs(5);
            match receiver.recv_timeout(patience) {
                Ok((shown, told, true)) => {
                    let done: Done = serde_json::from_slice(&told).unwrap_or_default();
                    let by_chance = chance.touches(&step.input, done.drew);
                    let found = compare(&step.output, &shown, done.error, by_chance);
                    let mut told = outcome(block.block, step, &shown, found);
                    told.unset = !told.matched && done.error && uses_unset(&step.input, &shown, &known);
                    known.extend(assigned(&step.input));
                    outcomes.push(told);
                }
                Ok((shown, ..)) => why = format!("the interpreter's process ended: {shown}"),
                Err(RecvTimeoutError::Timeout) => why = format!("no answer within {} s", patience.as_secs()),
                Err(RecvTimeoutError::Disconnected) => why = "the interpreter's process ended".into(),
            }
            if !why.is_empty() {
                let _ = child.kill();
                outcomes.push(outcome(block.block, step, &why, Match::Other));
            }
        }
    }
    Ok(outcomes)
}

/// The error is the name of something that the input uses and no input so far has set.
fn uses_unset(input: &str, shown: &str, known: &HashSet<String>) -> bool {
    let error = shown.lines().rev().find_map(|line| line.strip_prefix('\'')).unwrap_or_default();
    words(input).contains(&error) && !known.contains(error)
}

fn outcome(block: u32, step: &Step, ours: &str, found: Match) -> Outcome {
    Outcome {
        block,
        input: step.input.clone(),
        page: step.output.clone(),
        ours: ours.to_string(),
        by_shape: found == Match::Shape,
        unset: false,
        matched: found != Match::Other,
    }
}
