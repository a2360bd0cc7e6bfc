//! What was matched, by page.

use std::fmt::Write;

use crate::child::Outcome;

/// The part of all steps that may be compared by shape without costing anything.
const SHAPES_FREE: f64 = 0.03;

/// The outcome of a page.
#[derive(Debug, Clone)]
pub struct Played {
    /// name of the page
    pub page: String,
    /// outcomes of its steps that have an output
    pub steps: Vec<Outcome>,
}

/// Counts over steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// matched
    pub matched: usize,
    /// with an output to check
    pub checkable: usize,
    /// matched by shape only
    pub shapes: usize,
}

impl Count {
    /// What counts: matched, less what matched by shape only beyond the free part.
    pub fn score(self) -> usize {
        let free = (self.checkable as f64 * SHAPES_FREE) as usize;
        self.matched.saturating_sub(self.shapes.saturating_sub(free))
    }
}

/// Counts of these steps.
pub fn count<'a>(steps: impl IntoIterator<Item = &'a Outcome>) -> Count {
    steps.into_iter().fold(Count::default(), |c, s| Count {
        matched: c.matched + usize::from(s.matched),
        checkable: c.checkable + 1,
        shapes: c.shapes + usize::from(s.by_shape),
    })
}

/// A line for a page, and under it the misses, at most `show`.
pub fn page(played: &Played, show: usize) -> String {
    let Count { matched, checkable, shapes } = count(&played.steps);
    let mut out = format!("{:<44} {matched:>4} of {checkable:>4}", played.page);
    if shapes > 0 {
        let _ = write!(out, ", {shapes} by shape");
    }
    out.push('\n');
    for miss in played.steps.iter().filter(|s| !s.matched).take(show) {
        out.push_str(&difference(miss));
    }
    out
}

/// The difference of a miss: the input, and the first line that differs.
fn difference(miss: &Outcome) -> String {
    let clip = |text: &str| text.chars().take(160).collect::<String>();
    let (page, ours): (Vec<&str>, Vec<&str>) = (miss.page.lines().collect(), miss.ours.lines().collect());
    let same = page.iter().zip(&ours).take_while(|(a, b)| a.trim_end() == b.trim_end()).count();
    let line =
        |lines: &[&str]| lines.get(same).map_or("(no more lines)".to_string(), |l| format!("|{}|", clip(l)));
    format!(
        "    block {} q){}\n      line {}: page {}\n      {:width$} ours {}\n",
        miss.block,
        clip(&miss.input),
        same + 1,
        line(&page),
        "",
        line(&ours),
        width = 6 + (same + 1).to_string().len(),
    )
}

/// Both outputs of every miss, whole.
pub fn misses(played: &Played) -> String {
    let mut out = String::new();
    for miss in played.steps.iter().filter(|s| !s.matched) {
        let _ = write!(
            out,
            "== {} block {}\nq){}\n-- page\n{}\n-- ours\n{}\n",
            played.page,
            miss.block,
            miss.input,
            miss.page,
            miss.ours.trim_end_matches('\n')
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_beyond_three_in_a_hundred_cost() {
        assert_eq!(Count { matched: 100, checkable: 100, shapes: 3 }.score(), 100);
        assert_eq!(Count { matched: 100, checkable: 100, shapes: 5 }.score(), 98);
        assert_eq!(Count { matched: 1, checkable: 100, shapes: 100 }.score(), 0);
    }
}
