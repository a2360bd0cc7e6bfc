//! Each fuzz target for a bounded time: a smoke run on every change, not a campaign.
//!
//! The pinned stable compiler is told to accept the sanitizer flags (`RUSTC_BOOTSTRAP`), so that no second
//! toolchain has to be there. What a run learns is kept in the cache, where the next run starts from it.

use super::tally::Verdict;
use super::toolbox;
use crate::error::Error;
use crate::shell::Shell;
use crate::tree;

/// Memory a target may use before it counts as a finding, MiB.
const MEMORY: u32 = 4096;

/// Run each target for `seconds`.
pub(super) fn run(seconds: u32) -> Result<Verdict, Error> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(Verdict::skipped("the fuzz targets are run on Linux on x86-64 only"));
    }
    let root = tree::root();
    let tool = toolbox::cargo_fuzz()?;
    let fuzz = |command: &str| {
        let shell = Shell::new(&tool).args(["fuzz", command]).env("RUSTC_BOOTSTRAP", "1");
        // Set by the cargo that runs this chore; the fuzz workspace is another one.
        shell.env("CARGO_TARGET_DIR", tree::target().join("fuzz")).dir(&root)
    };
    let targets = fuzz("list").output()?;
    let mut verdict = Verdict::default();
    for target in targets.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let corpus = tree::cache().join("corpus").join(target);
        std::fs::create_dir_all(&corpus).map_err(Error::file(&corpus))?;
        println!("--- {target}, {seconds} s");
        let run = fuzz("run").arg(target).arg(&corpus).arg("--").arg(format!("-max_total_time={seconds}"));
        let run = run.arg(format!("-rss_limit_mb={MEMORY}")).arg("-print_final_stats=1").arg("-verbosity=0");
        verdict.join(match run.run() {
            Ok(()) => Verdict::passed(),
            Err(error) => Verdict::failed(format!("target {target}: {error}")),
        });
    }
    if verdict.tally == Default::default() {
        verdict.join(Verdict::failed("there is no fuzz target"));
    }
    Ok(verdict)
}
