//! Counting: what passed, failed and was skipped, read from what the programs print.

use std::fmt;
use std::ops::AddAssign;

/// Tests or checks, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// The outcome of a step: counts, and sentences for the summary.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(super) tally: Tally,
    pub(super) notes: Vec<String>,
}

impl Verdict {
    /// One thing was shown and it holds.
    pub(crate) fn passed() -> Self {
        Verdict { tally: Tally { passed: 1, ..Tally::default() }, notes: Vec::new() }
    }

    /// One thing does not hold, and why.
    pub(crate) fn failed(why: impl Into<String>) -> Self {
        Verdict { tally: Tally { failed: 1, ..Tally::default() }, notes: vec![why.into()] }
    }

    /// One thing was not looked at, and why.
    pub(crate) fn skipped(why: impl Into<String>) -> Self {
        Verdict {
            tally: Tally { skipped: 1, ..Tally::default() },
            notes: vec![format!("skipped: {}", why.into())],
        }
    }

    /// A sentence for the summary.
    pub(crate) fn note(&mut self, sentence: impl Into<String>) {
        self.notes.push(sentence.into());
    }

    /// Both outcomes together.
    pub(super) fn join(&mut self, other: Verdict) {
        self.tally += other.tally;
        self.notes.extend(other.notes);
    }

    /// One word for the table.
    pub(super) fn word(&self) -> &'static str {
        match self.tally {
            Tally { failed: 1.., .. } => "FAILED",
            Tally { passed: 0, .. } => "skipped",
            _ => "passed",
        }
    }
}

/// The counts of a `test result:` line of cargo's test runner.
pub(super) fn of_test_result(line: &str) -> Option<Tally> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let count = |word: &str| {
        let part = counts.split(';').map(str::trim).find(|part| part.ends_with(word))?;
        part.split(' ').next()?.parse::<u64>().ok()
    };
    Some(Tally { passed: count("passed")?, failed: count("failed")?, skipped: count("ignored")? })
}

/// The count of one line of a client's script: `ok name`, `FAIL name: why` or `skip name: why`.
pub(super) fn of_check(line: &str) -> Option<Tally> {
    let (word, _) = line.split_once(' ')?;
    let mut tally = Tally::default();
    match word {
        "ok" => tally.passed = 1,
        "FAIL" => tally.failed = 1,
        "skip" => tally.skipped = 1,
        _ => return None,
    }
    Some(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_the_test_runner() {
        let line = "test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 3 filtered out; finished in 0.01s";
        assert_eq!(of_test_result(line), Some(Tally { passed: 12, failed: 1, skipped: 2 }));
        assert_eq!(of_test_result("test foo ... ok"), None);
    }

    #[test]
    fn checks_are_counted_by_their_first_word() {
        assert_eq!(of_check("ok ping"), Some(Tally { passed: 1, ..Tally::default() }));
        assert_eq!(of_check("FAIL ping: no answer"), Some(Tally { failed: 1, ..Tally::default() }));
        assert_eq!(of_check("okay then"), None);
    }

    #[test]
    fn a_verdict_is_failed_by_one_failure_and_skipped_where_nothing_ran() {
        let mut verdict = Verdict::passed();
        assert_eq!(verdict.word(), "passed");
        verdict.join(Verdict::skipped("no network"));
        assert_eq!(verdict.word(), "passed");
        verdict.join(Verdict::failed("wrong sum"));
        assert_eq!(verdict.word(), "FAILED");
        assert_eq!(verdict.tally.to_string(), "1 passed, 1 failed, 1 skipped");
        assert_eq!(Verdict::skipped("no network").word(), "skipped");
    }
}
