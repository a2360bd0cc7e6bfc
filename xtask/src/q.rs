//! What judges the q interpreter: `cargo xtask transcripts`, `cargo xtask corpus`.
//!
//! Both are programs of their own (the crate `qcheck`), for the chores must build while the interpreter does not.

use std::path::PathBuf;

use crate::error::Error;
use crate::shell::Shell;
use crate::test::Verdict;
use crate::tree;

/// Transcripts that are played where none are named.
const TRANSCRIPTS: &str = "tests/data/q-transcripts/dev.jsonl";

/// Flags of `cargo xtask transcripts`.
#[derive(clap::Args)]
pub(crate) struct Transcripts {
    /// A file of blocks, one JSON object a line.
    file: Option<PathBuf>,
    /// Play these pages only (repeatable; a part of the name is enough).
    #[arg(long)]
    page: Vec<String>,
    /// Show so many misses of each page.
    #[arg(long, default_value_t = 100_000)]
    show: usize,
    /// Print every miss whole.
    #[arg(long)]
    misses: bool,
    /// Keep this run's score as the one to reach.
    #[arg(long)]
    keep: bool,
    /// Build with optimisation.
    #[arg(long)]
    release: bool,
}

/// Flags of `cargo xtask corpus`.
#[derive(clap::Args)]
pub(crate) struct Corpus {
    /// The checkout.
    dir: PathBuf,
    /// Build with optimisation.
    #[arg(long)]
    release: bool,
}

/// A program of `qcheck`, built by itself: the chore is for one who works on the interpreter.
fn program(name: &str, release: bool) -> Shell {
    let shell = Shell::cargo().args(["run", "--quiet", "--package", "qcheck", "--bin", name]);
    let shell = if release { shell.arg("--release") } else { shell };
    shell.arg("--")
}

/// What was wrong is on the screen.
fn reported(error: Error) -> Error {
    match error {
        Error::Failed { .. } => Error::Reported,
        other => other,
    }
}

/// A path as it is from anywhere: programs run in the root of the repository.
fn absolute(path: &PathBuf) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(Error::file(path))
}

/// Play transcripts.
pub(crate) fn transcripts(options: &Transcripts) -> Result<(), Error> {
    let file = match &options.file {
        Some(file) => absolute(file)?,
        None => tree::root().join(TRANSCRIPTS),
    };
    let mut shell = program("transcripts", options.release).arg(file);
    for page in &options.page {
        shell = shell.args(["--page", page]);
    }
    shell = shell.args(["--show", &options.show.to_string()]);
    for (flag, given) in [("--misses", options.misses), ("--keep", options.keep)] {
        if given {
            shell = shell.arg(flag);
        }
    }
    shell.run().map_err(reported)
}

/// Load the q files of a checkout.
pub(crate) fn corpus(options: &Corpus) -> Result<(), Error> {
    program("corpus", options.release).arg(absolute(&options.dir)?).run().map_err(reported)
}

/// The transcripts as a step of the test command: each output that matches has passed; the step fails where fewer
/// match than the score that is kept.
pub(crate) fn check() -> Result<Verdict, Error> {
    let shell = Shell::program("transcripts")?.arg(tree::root().join(TRANSCRIPTS)).args(["--show", "0"]);
    let mut last = String::new();
    let status = shell.watch(|line| last = line.to_string())?;
    if !status.success() {
        return Ok(Verdict::failed(last));
    }
    let mut verdict = Verdict::passed();
    verdict.note(last);
    Ok(verdict)
}
