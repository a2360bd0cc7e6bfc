//! `simulate`: runs seeds and says how many broke a rule; started by `cargo xtask simulate`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

/// Run simulated worlds.
#[derive(Parser)]
struct Options {
    /// first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// how many
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// print every event of every world, one world after the other
    #[arg(long)]
    trace: bool,
    /// most violations shown in full
    #[arg(long, default_value_t = 3)]
    show: usize,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let seeds = options.from..options.from.saturating_add(options.seeds);
    let violations = match options.trace {
        true => seeds.flat_map(|seed| simulation::run(seed, true).violations).collect(),
        false => {
            let style = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {msg}, {eta} left");
            let bar =
                ProgressBar::new(options.seeds).with_style(style.unwrap_or(ProgressStyle::default_bar()));
            bar.set_message("0 violations");
            let bad = std::sync::atomic::AtomicUsize::new(0);
            let outcome = simulation::many(
                seeds,
                || {},
                |one| {
                    let new = one.violations.len();
                    let all = bad.fetch_add(new, std::sync::atomic::Ordering::Relaxed) + new;
                    bar.set_message(format!("{all} violations"));
                    bar.inc(1);
                },
            );
            bar.finish_and_clear();
            println!("{:?}", outcome.tally);
            outcome.violations
        }
    };
    for violation in violations.iter().take(options.show) {
        println!("{violation}\n");
    }
    for violation in violations.iter().skip(options.show) {
        println!("seed {}: {}", violation.seed, violation.what);
    }
    println!("{} seeds, {} violations", options.seeds, violations.len());
    if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
