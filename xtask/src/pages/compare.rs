//! Whether a program printed what the page shows. What no two runs have alike is left out of the comparison: times of
//! today, correlators, ports.

use std::sync::LazyLock;

use regex_lite::Regex;

/// Patterns of what differs from run to run, with the word that stands for each.
static VOLATILE: LazyLock<[(Regex, &str); 4]> = LazyLock::new(|| {
    let pattern = |text: &str| Regex::new(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    [
        (pattern("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "CORR"),
        // Data of the bundled database is of 2015: a later time is the clock's.
        (pattern(r"20[2-9]\d[.-]\d\d[.-]\d\d[DT]\d\d:\d\d:\d\d(\.\d+)?Z?"), "NOW"),
        (pattern(r":?127\.0\.0\.1:\d+"), "ADDRESS"),
        (pattern(r"\d+(\.\d+)? ms\b"), "MS"),
    ]
});
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    let text = r"-?\d+(\.\d+)?";
    Regex::new(text).unwrap_or_else(|e| panic!("{text}: {e}"))
});
static GAP: LazyLock<Regex> = LazyLock::new(|| {
    let text = r" +|-{3,}";
    Regex::new(text).unwrap_or_else(|e| panic!("{text}: {e}"))
});

/// What differs, or nothing. `like`: numbers, and widths that follow from them, may differ.
pub(super) fn difference(shown: &str, printed: &str, like: bool) -> Option<String> {
    let (want, have) = (settle(shown, like), settle(printed, like));
    if want == have || json_equal(&want, &have) {
        return None;
    }
    let mut lines = want.lines().zip(have.lines()).enumerate();
    let place = lines.find(|(_, (a, b))| a != b).map(|(at, (a, b))| (at + 1, a.to_string(), b.to_string()));
    Some(match place {
        Some((at, page, run)) => format!("line {at}: the page shows `{page}`, the run gave `{run}`"),
        None => {
            let count = |text: &str| text.lines().count();
            format!("the page shows {} lines, the run gave {}:\n{printed}", count(&want), count(&have))
        }
    })
}

fn settle(text: &str, like: bool) -> String {
    let mut text = text.to_string();
    for (pattern, word) in VOLATILE.iter() {
        text = pattern.replace_all(&text, *word).into_owned();
    }
    if like {
        text = NUMBER.replace_all(&text, "N").into_owned();
        text = GAP.replace_all(&text, " ").into_owned();
    }
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// JSON may be broken over lines on a page.
fn json_equal(a: &str, b: &str) -> bool {
    let read = |text: &str| {
        let items = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
        items.collect::<Result<Vec<_>, _>>().ok().filter(|items| !items.is_empty())
    };
    read(a).is_some_and(|a| Some(a) == read(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_run_repeats_does_not_count() {
        let page =
            "at 2026.11.21D12:10:25.999812692 corr 577b3a34-2095-a4d6-8e1c-253ec4a95fec :127.0.0.1:33781";
        let run = "at 2027.01.02D00:00:00.000000001 corr 00000000-2095-a4d6-8e1c-253ec4a95fec :127.0.0.1:1";
        assert_eq!(difference(page, run, false), None);
        assert!(difference("2015.01.07D00:00:00", "2015.01.07D00:00:01", false).is_some());
    }

    #[test]
    fn a_wrong_word_or_number_is_told_with_its_line() {
        let told = difference("a\nb 1\n", "a\nb 2\n", false).unwrap();
        assert!(told.contains("line 2") && told.contains("`b 1`") && told.contains("`b 2`"), "{told}");
        assert_eq!(difference("b 1   c\n-----", "b 22 c\n----", true), None);
        assert!(difference("b 1\n", "c 1\n", true).is_some());
        assert!(difference("a\n", "a\nb\n", false).is_some());
    }

    #[test]
    fn json_may_be_broken_over_lines() {
        assert_eq!(difference("{\"a\":1,\n \"b\":[2]}", "{\"a\":1,\"b\":[2]}", false), None);
        assert!(difference("{\"a\":1}", "{\"a\":2}", false).is_some());
    }
}
