//! The steps that are cargo's own: format, lints, documentation, tests.

use super::tally::{self, Tally, Verdict};
use crate::error::Error;
use crate::shell::Shell;
use crate::tree;

/// `cargo fmt --check`.
pub(super) fn fmt() -> Result<Verdict, Error> {
    Shell::cargo().args(["fmt", "--all", "--", "--check"]).run()?;
    Ok(Verdict::passed())
}

/// `cargo clippy`, where a warning is an error.
pub(super) fn clippy() -> Result<Verdict, Error> {
    let clippy = Shell::cargo().args(["clippy", "--quiet", "--workspace", "--all-targets"]);
    clippy.args(["--", "-D", "warnings"]).run()?;
    // A workspace of its own: what it calls must not change its name unseen. Its lock file is kept up to date too.
    let fuzz = tree::root().join("fuzz");
    let clippy = Shell::cargo().args(["clippy", "--quiet", "--locked", "--all-targets"]).dir(&fuzz);
    let clippy = clippy.env("CARGO_TARGET_DIR", tree::target().join("fuzz"));
    clippy.args(["--", "-D", "warnings"]).run()?;
    Ok(Verdict::passed())
}

/// `cargo doc`, where a warning (a dead link) is an error.
pub(super) fn doc() -> Result<Verdict, Error> {
    let doc = Shell::cargo().args(["doc", "--quiet", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings").run()?;
    Ok(Verdict::passed())
}

/// `cargo test` over all crates.
pub(super) fn tests() -> Result<Verdict, Error> {
    run_tests(Shell::cargo().args(["test", "--workspace", "--no-fail-fast"]))
}

/// The tests of the simulation that need deliberate defects in the cores, which no other build has.
pub(super) fn mutations() -> Result<Verdict, Error> {
    // Of the whole workspace, as the other tests: only the crates with that feature are compiled again.
    let test = ["test", "--workspace", "--features", "simulation/mutations", "--test", "mutations"];
    run_tests(Shell::cargo().args(test))
}

/// Runs tests and counts them.
pub(super) fn run_tests(test: Shell) -> Result<Verdict, Error> {
    let mut verdict = Verdict::default();
    let status = test.watch(|line| {
        if let Some(tally) = tally::of_test_result(line) {
            verdict.tally += tally;
        } else if line.starts_with("test ") && line.contains(" ... FAILED") {
            verdict.notes.push(line.to_string());
        }
    })?;
    if !status.success() && verdict.tally.failed == 0 {
        // It did not compile, or a test binary died: no line was counted for that.
        verdict.join(Verdict::failed(format!("`{test}` ended with {status}")));
    }
    if status.success() && verdict.tally == Tally::default() {
        verdict.join(Verdict::failed("no test ran"));
    }
    Ok(verdict)
}
