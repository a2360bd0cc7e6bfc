//! `ip`, the command, and words out of what it says: cables and networks of pods.

use std::process::Command;

use crate::failure::{Failure, Outcome, expect};

/// What `ip` prints, started as `command` says; a failure where it fails.
pub(crate) fn run(mut command: Command, args: &[&str]) -> Outcome<String> {
    let done = command.args(args).output()?;
    expect(done.status.success(), || {
        format!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&done.stderr))
    })?;
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// The word behind another, as the device behind `dev`.
pub(crate) fn word_after(line: &str, word: &str) -> Outcome<String> {
    let found = line.split_whitespace().skip_while(|w| *w != word).nth(1);
    found.map(str::to_string).ok_or_else(|| Failure(format!("no {word} in `{line}`")))
}
