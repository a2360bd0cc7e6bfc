//! A page played in a process of its own: what one page does to the process, no other sees.
//!
//! The parent gives a page as a line of JSON on standard input; the child answers each step with a line, and is
//! ended where it says nothing for longer than the limit of a step allows.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    chance::Chance,
    compare::{Match, compare},
    interpreter::Interpreter,
    page::Page,
};

/// What became of a step.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// what counts: the same, or of the same shape where that is enough
    pub matched: bool,
}

/// Plays a page and gives the outcome of each step to `each`.
pub fn play(page: &Page, interpreter: &mut Interpreter, mut each: impl FnMut(Outcome)) {
    for block in &page.blocks {
        let mut chance = Chance::default();
        for step in &block.steps {
            let shown = interpreter.input(&step.input);
            let by_chance = chance.touches(&step.input, shown.drew);
            let found = compare(&step.output, &shown.text, shown.error, by_chance);
            each(Outcome {
                block: block.block,
                input: step.input.clone(),
                page: step.output.clone(),
                ours: shown.text,
                by_shape: found == Match::Shape,
                matched: found != Match::Other,
            });
        }
    }
}

/// Plays a page in a child of this program, started with these arguments; the outcomes of all its steps.
pub fn run(program: &Path, args: &[String], page: &Page, limit: Duration) -> Result<Vec<Outcome>, String> {
    let folder = tempfile::tempdir().map_err(|e| format!("no folder for {}: {e}", page.name))?;
    let mut child = Command::new(program)
        .args(args)
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{} does not start: {e}", program.display()))?;
    let outcomes = converse(&mut child, page, limit);
    // It may have ended already.
    let _ = child.kill();
    let _ = child.wait();
    outcomes
}

fn converse(child: &mut Child, page: &Page, limit: Duration) -> Result<Vec<Outcome>, String> {
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut input), Some(output), Some(errors)) = pipes else { return Err("no pipes".into()) };
    let mut line = serde_json::to_vec(page).map_err(|e| e.to_string())?;
    line.push(b'\n');
    thread::spawn(move || input.write_all(&line));
    let last = thread::spawn(move || {
        let lines = BufReader::new(errors).lines().map_while(Result::ok);
        lines.filter(|l| !l.trim().is_empty()).take(2000).fold(String::new(), |all, l| all + &l + " ")
    });
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Ok(outcome) = serde_json::from_str::<Outcome>(&line) {
                let _ = sender.send(outcome);
            }
        }
    });
    let mut outcomes = Vec::new();
    let total = page.blocks.iter().map(|b| b.steps.len()).sum::<usize>();
    let mut why = String::new();
    while outcomes.len() < total {
        // The child's own limit comes first; this one is for an interpreter that does not stop.
        match receiver.recv_timeout(limit * 2 + Duration::from_secs(5)) {
            Ok(outcome) => outcomes.push(outcome),
            Err(RecvTimeoutError::Timeout) => {
                why = format!("no answer within {} s", limit.as_secs() * 2 + 5);
                let _ = child.kill();
                break;
            }
            Err(RecvTimeoutError::Disconnected) => {
                let _ = child.kill();
                let said: String = last.join().unwrap_or_default().chars().take(400).collect();
                why = format!("the interpreter's process ended: {said}");
                break;
            }
        }
    }
    let steps = page.blocks.iter().flat_map(|b| b.steps.iter().map(move |s| (b.block, s)));
    for (block, step) in steps.skip(outcomes.len()) {
        outcomes.push(Outcome {
            block,
            input: step.input.clone(),
            page: step.output.clone(),
            ours: why.clone(),
            by_shape: false,
            matched: false,
        });
    }
    Ok(outcomes)
}
