//! Random getData requests against DuckDB over the same rows.
//!
//! A test of `qmesh` (`query::differential`) makes the requests, checks that their forms agree, and writes them with
//! their answers; one process of Python asks DuckDB the same.

use super::tally::{self, Verdict};
use super::{rust, toolbox};
use crate::error::Error;
use crate::shell::Shell;
use crate::tree;

const TEST: &str = "three_forms_of_a_request_give_one_answer";

pub(super) fn run() -> Result<Verdict, Error> {
    let dir = tree::root().join("tests/differential");
    let python = toolbox::python(&dir.join("requirements-duckdb.txt"))?;
    let work = tree::target().join("xtask").join(format!("differential-{}", std::process::id()));
    std::fs::create_dir_all(&work).map_err(Error::file(&work))?;
    // Of the whole workspace, as the other tests: nothing is compiled again.
    let test = Shell::cargo().args(["test", "--workspace", "--lib", "--", TEST, "--nocapture"]);
    let mut verdict = rust::run_tests(test.env("QMESH_DIFFERENTIAL_DIR", &work))?;
    let check = Shell::new(python).arg(dir.join("check.py")).arg(&work).env("PYTHONDONTWRITEBYTECODE", "1");
    let status = check.watch(|line| {
        let Some(tally) = tally::of_check(line) else { return };
        verdict.tally += tally;
        if tally.passed == 0 {
            verdict.notes.push(line.to_string());
        }
    })?;
    if !status.success() && verdict.tally.failed == 0 {
        verdict.join(Verdict::failed(format!("the comparison with DuckDB ended with {status}")));
    }
    std::fs::remove_dir_all(&work).map_err(Error::file(&work))?;
    Ok(verdict)
}
