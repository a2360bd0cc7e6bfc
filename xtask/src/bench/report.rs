//! Medians, ratios and the table of `docs/performance.md`.
//!
//! The page is written by people; a bench owns only what stands between its markers
//! `<!-- bench NAME -->` and `<!-- end NAME -->`.

use std::fmt::Write;
use std::path::Path;

use super::turns::Series;
use crate::error::Error;

/// What a ratio is to reach.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bound {
    /// ours / baseline must not be below this: rates
    AtLeast(f64),
    /// ours / baseline must not be above this: times
    AtMost(f64),
    /// told, with nothing to reach
    None,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(super) struct Row {
    what: String,
    baseline: String,
    metric: String,
    ours: [f64; 3],
    theirs: [f64; 3],
    bound: Bound,
}

impl Row {
    /// `ours` against `theirs` (named `baseline`) in one metric.
    pub(super) fn compare(
        what: &str,
        baseline: &str,
        metric: &str,
        (ours, theirs): (&Series, &Series),
        bound: Bound,
    ) -> Result<Self, Error> {
        Ok(Row {
            what: what.into(),
            baseline: baseline.into(),
            metric: metric.into(),
            ours: ours.quartiles(metric)?,
            theirs: theirs.quartiles(metric)?,
            bound,
        })
    }

    /// The same row with another name of its metric.
    pub(super) fn unit(mut self, unit: &str) -> Self {
        self.metric = unit.into();
        self
    }

    /// The most that `ours` showed in a metric, against a limit that follows from the configuration.
    pub(super) fn limit(
        what: &str,
        limit: &str,
        metric: &str,
        ours: &Series,
        value: f64,
    ) -> Result<Self, Error> {
        let most = ours.most(metric)?;
        Ok(Row {
            what: what.into(),
            baseline: limit.into(),
            metric: metric.into(),
            ours: [most; 3],
            theirs: [value; 3],
            bound: Bound::AtMost(1.0),
        })
    }

    /// A number that came out of one run, against another of the same run.
    pub(super) fn stated(
        what: &str,
        baseline: &str,
        metric: &str,
        ours: f64,
        theirs: f64,
        bound: Bound,
    ) -> Self {
        let (what, baseline, metric) = (what.into(), baseline.into(), metric.into());
        Row { what, baseline, metric, ours: [ours; 3], theirs: [theirs; 3], bound }
    }

    fn ratio(&self) -> f64 {
        self.ours[1] / self.theirs[1]
    }

    fn reached(&self) -> bool {
        match self.bound {
            Bound::AtLeast(bound) => self.ratio() >= bound,
            Bound::AtMost(bound) => self.ratio() <= bound,
            Bound::None => true,
        }
    }
}

/// The rows as a Markdown table: medians (quartiles in brackets), ratio, what is to be reached.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::from("| what | metric | qmesh | baseline | ratio | to reach | reached |\n");
    text.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
    for row in rows {
        let bound = match row.bound {
            Bound::AtLeast(bound) => format!("≥ {bound}"),
            Bound::AtMost(bound) => format!("≤ {bound}"),
            Bound::None => "-".into(),
        };
        let reached = match row.bound {
            Bound::None => "-",
            _ if row.reached() => "yes",
            _ => "**no**",
        };
        let (ours, theirs) = (shown(row.ours), shown(row.theirs));
        let Row { what, baseline, metric, .. } = row;
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {what} | {metric} | {ours} | {theirs} {baseline} | {:.2} | {bound} | {reached} |",
            row.ratio()
        );
    }
    text
}

fn shown([low, median, high]: [f64; 3]) -> String {
    if low == high {
        return number(median);
    }
    format!("{} ({}–{})", number(median), number(low), number(high))
}

/// Three digits that count.
fn number(x: f64) -> String {
    if x == 0.0 {
        return "0".into();
    }
    let digits = 2 - x.abs().max(1e-9).log10().floor() as i32;
    format!("{x:.*}", digits.clamp(0, 9) as usize)
}

/// Put `table` between the markers of bench `name` in `page`.
pub(super) fn write(page: &Path, name: &str, table: &str) -> Result<(), Error> {
    let text = std::fs::read_to_string(page).map_err(Error::file(page))?;
    let new = replace(&text, name, table).ok_or_else(|| {
        let place = page.display();
        Error::Other(format!(
            "{place} lacks `<!-- bench {name} -->` followed by `<!-- end {name} -->`; add both lines"
        ))
    })?;
    std::fs::write(page, new).map_err(Error::file(page))
}

fn replace(text: &str, name: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(&format!("<!-- bench {name} -->"))?;
    let (_, after) = rest.split_once(&format!("<!-- end {name} -->"))?;
    Some(format!("{before}<!-- bench {name} -->\n\n{table}\n<!-- end {name} -->{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: f64, theirs: f64, bound: Bound) -> Row {
        let (what, baseline, metric) = ("decode".into(), "copy".into(), "seconds".into());
        Row { what, baseline, metric, ours: [ours; 3], theirs: [theirs; 3], bound }
    }

    #[test]
    fn a_missed_ratio_is_said() {
        assert!(table(&[row(2.0, 1.0, Bound::AtMost(2.0))]).contains("| 2.00 | ≤ 2 | yes |"));
        assert!(table(&[row(0.4, 1.0, Bound::AtLeast(0.5))]).contains("| 0.40 | ≥ 0.5 | **no** |"));
    }

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let page = "intro\n<!-- bench a -->\nold\n<!-- end a -->\nrest\n";
        let new = replace(page, "a", "| new |\n").unwrap();
        assert_eq!(new, "intro\n<!-- bench a -->\n\n| new |\n\n<!-- end a -->\nrest\n");
        assert_eq!(replace(&new, "a", "| new |\n").unwrap(), new);
        assert!(replace(page, "b", "").is_none());
    }

    #[test]
    fn numbers_show_three_digits() {
        assert_eq!([number(1234.6), number(12.345), number(0.012345)], ["1235", "12.3", "0.0123"]);
    }
}
