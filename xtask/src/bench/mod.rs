//! `cargo xtask bench`: qmesh against baselines that run interleaved with it, in the same run, on the same machine.
//!
//! Absolute numbers of a shared machine say little; the ratio of two sides that take turns says much. Each
//! bench has sides, each side is a program of its own (a [`worker`]); after a warm-up the sides take turns
//! ([`turns`]); of each side the median counts, of the two medians the ratio ([`report`]).
//!
//! | module | what |
//! | --- | --- |
//! | `worker` | a side: a program that measures itself once per line it is sent |
//! | `turns` | taking turns, and what came out |
//! | `report` | medians, ratios, the table of `docs/performance.md` |
//! | `setting` | what sides need: the release build, a running mesh, Python |
//! | `cases` | the benches |
//! | `mesh` | those of several coordinators |
//! | `pods` | memory of pods that are found |
//! | `q` | the q interpreter |
//! | `latency` | how soon a pod's change is known |

mod cases;
#[cfg(target_os = "linux")]
mod latency;
mod mesh;
mod pods;
mod q;
mod report;
mod setting;
mod turns;
mod worker;

use clap::Args;

use crate::error::Error;
use crate::tree;

/// Flags of `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Options {
    /// Run only this bench (repeatable).
    #[arg(long, value_name = "BENCH")]
    only: Vec<String>,
    /// Say which benches there are.
    #[arg(long)]
    list: bool,
    /// Turns each side takes, after the warm-up.
    #[arg(long, default_value_t = 15)]
    turns: usize,
    /// Measure this program instead of a release build of the present sources.
    #[arg(long, value_name = "PATH")]
    qmesh: Option<std::path::PathBuf>,
    /// Print the table only: docs/performance.md stays as it is.
    #[arg(long)]
    dry_run: bool,
}

/// Run the chosen benches and write the table; an error where a bench could not run, none where a ratio is missed
/// (the table says so).
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    if options.list {
        cases::ALL.iter().for_each(|case| println!("{:<17} {}", case.name, case.what));
        return Ok(());
    }
    if let Some(unknown) =
        options.only.iter().find(|name| !cases::ALL.iter().any(|case| case.name == name.as_str()))
    {
        let known: Vec<&str> = cases::ALL.iter().map(|case| case.name).collect();
        return Err(Error::Other(format!("no bench is called `{unknown}`; there are {}", known.join(", "))));
    }
    let chosen =
        |case: &&cases::Case| options.only.is_empty() || options.only.iter().any(|name| name == case.name);
    if let Some(program) = &options.qmesh {
        setting::measure(program)?;
    }
    let page = tree::root().join("docs/performance.md");
    for case in cases::ALL.iter().filter(chosen) {
        println!("=== {}: {}", case.name, case.what);
        let rows = (case.run)(options.turns.max(1))?;
        let table = report::table(&rows);
        println!("{table}");
        if !options.dry_run {
            report::write(&page, case.name, &table)?;
        }
    }
    Ok(())
}
