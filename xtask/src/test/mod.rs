//! The test command: every step that proves the tree, each timed, one table at the end.
//!
//! A step that fails does not stop the others. Nothing is skipped silently: a step that cannot run says why
//! and is counted. The last line is for machines and tired people: `N passed, N failed, N skipped`.

mod clients;
mod differential;
mod fuzz;
mod rust;
mod tally;
pub(crate) mod toolbox;
mod words;

use std::time::{Duration, Instant};

use clap::Args;

use crate::error::Error;
use crate::generate;
use crate::pages;
use crate::q;
use crate::shell::Shell;
use tally::Tally;
pub(crate) use tally::Verdict;

/// Flags of `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Options {
    /// Run only this step (repeatable).
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Run all but this step (repeatable).
    #[arg(long, value_name = "STEP", conflicts_with = "only")]
    except: Vec<String>,
    /// Say which steps there are and what they do.
    #[arg(long)]
    list: bool,
    /// Clients to run in the step `clients` (repeatable; all where none is named).
    #[arg(long, value_name = "CLIENT")]
    client: Vec<String>,
    /// Seconds each fuzz target runs.
    #[arg(long, default_value_t = 20)]
    fuzz_seconds: u32,
}

struct Step {
    name: &'static str,
    what: &'static str,
    run: fn(&Options) -> Result<Verdict, Error>,
}

const STEPS: [Step; 12] = [
    Step { name: "fmt", what: "the sources are formatted", run: |_| rust::fmt() },
    Step { name: "words", what: "comments name the nouns, and no file is long", run: |_| words::check() },
    Step { name: "clippy", what: "no lint has anything to say", run: |_| rust::clippy() },
    Step { name: "doc", what: "the documentation builds without a warning", run: |_| rust::doc() },
    Step {
        name: "unit",
        what: "unit, property, golden and simulation tests of all crates",
        run: |_| rust::tests(),
    },
    Step {
        name: "mutations",
        what: "the simulation catches a deliberate defect of every rule",
        run: |_| rust::mutations(),
    },
    Step {
        name: "transcripts",
        what: "the q interpreter answers as the console of KX's documentation, as often as the kept score says",
        run: |_| q::check(),
    },
    Step { name: "generated", what: "files made from code are up to date", run: |_| generate::check() },
    Step {
        name: "clients",
        what: "clients that others wrote, against a running mesh",
        run: |o| clients::run(&o.client),
    },
    Step {
        name: "pages",
        what: "the README and the pages of docs/ hold: commands, programs, answers",
        run: |_| pages::check(),
    },
    Step {
        name: "differential",
        what: "random requests in three forms, and by DuckDB over the same rows",
        run: |_| differential::run(),
    },
    Step { name: "fuzz", what: "each fuzz target for a bounded time", run: |o| fuzz::run(o.fuzz_seconds) },
];

/// Run the chosen steps; an error where one of them failed.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    if options.list {
        STEPS.iter().for_each(|step| println!("{:<12} {}", step.name, step.what));
        return Ok(());
    }
    for name in options.only.iter().chain(&options.except) {
        if !STEPS.iter().any(|step| step.name == name) {
            let known: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
            return Err(Error::Other(format!("no step is called `{name}`; there are {}", known.join(", "))));
        }
    }
    let chosen = |step: &&Step| {
        let named = |list: &[String]| list.iter().any(|name| name == step.name);
        if options.only.is_empty() { !named(&options.except) } else { named(&options.only) }
    };
    let rows: Vec<Row> = STEPS.iter().filter(chosen).map(|step| run_step(step, options)).collect();
    summarise(&rows)
}

/// Run a program that prints a line for each check, `ok name` or `FAIL name: why`; its counts.
pub(crate) fn of_checks(program: &Shell, name: &str) -> Result<Verdict, Error> {
    let mut verdict = Verdict::default();
    let status = program.watch(|line| {
        let Some(tally) = tally::of_check(line) else { return };
        verdict.tally += tally;
        if tally.passed == 0 {
            verdict.notes.push(format!("{name}: {line}"));
        }
    })?;
    if !status.success() && verdict.tally.failed == 0 {
        verdict.join(Verdict::failed(format!("{name}: it ended with {status}")));
    }
    if status.success() && verdict.tally.passed == 0 {
        verdict.join(Verdict::failed(format!("{name}: it checked nothing")));
    }
    Ok(verdict)
}

struct Row {
    step: &'static str,
    verdict: Verdict,
    took: Duration,
}

fn run_step(step: &Step, options: &Options) -> Row {
    println!("\n=== {}: {}", step.name, step.what);
    let start = Instant::now();
    let verdict = (step.run)(options).unwrap_or_else(|error| Verdict::failed(error.to_string()));
    let row = Row { step: step.name, verdict, took: start.elapsed() };
    println!("=== {}: {} in {:.1} s", row.step, row.verdict.word(), row.took.as_secs_f64());
    row
}

fn summarise(rows: &[Row]) -> Result<(), Error> {
    println!(
        "\n{:<12} {:<8} {:>8} {:>7} {:>7} {:>9}",
        "step", "result", "passed", "failed", "skipped", "seconds"
    );
    let mut total = Tally::default();
    for Row { step, verdict, took } in rows {
        let Tally { passed, failed, skipped } = verdict.tally;
        let word = verdict.word();
        println!("{step:<12} {word:<8} {passed:>8} {failed:>7} {skipped:>7} {:>9.1}", took.as_secs_f64());
        total += verdict.tally;
    }
    for Row { step, verdict, .. } in rows {
        verdict.notes.iter().for_each(|note| println!("{step}: {note}"));
    }
    println!("{total}");
    if total.failed > 0 { Err(Error::Reported) } else { Ok(()) }
}
