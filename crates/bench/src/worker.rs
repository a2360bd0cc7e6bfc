//! The worker's half of the bench protocol: `ready`, then one JSON line of numbers for each line that comes in.

use std::io::{BufRead, Write};
use std::time::Instant;

use crate::error::Error;

/// What one turn gave: numbers by metric.
pub(crate) type Sample = Vec<(&'static str, f64)>;

/// Answers turns until the input ends.
pub(crate) fn serve(mut turn: impl FnMut() -> Result<Sample, Error>) -> Result<(), Error> {
    say("ready")?;
    for line in std::io::stdin().lock().lines() {
        line.map_err(Error::io("reading the next turn"))?;
        let numbers: serde_json::Map<String, serde_json::Value> =
            turn()?.into_iter().map(|(metric, value)| (metric.to_string(), value.into())).collect();
        say(&serde_json::Value::Object(numbers).to_string())?;
    }
    Ok(())
}

/// Prints a line at once.
pub(crate) fn say(line: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(Error::io("printing to whoever measures"))
}

/// Milliseconds that `work` takes: the median of `times` runs. What it gives is dropped outside of the time.
pub(crate) fn milliseconds<T>(
    times: usize,
    mut work: impl FnMut() -> Result<T, Error>,
) -> Result<f64, Error> {
    let mut taken = Vec::with_capacity(times);
    for _ in 0..times.max(1) {
        let start = Instant::now();
        let result = work()?;
        taken.push(start.elapsed().as_secs_f64() * 1e3);
        drop(result);
    }
    Ok(quantile(&mut taken, 0.5))
}

/// The value below which a `part` of them lie; nothing of nothing is 0.
pub(crate) fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (part * values.len().saturating_sub(1) as f64).round() as usize;
    values.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_there() {
        let mut values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|p| quantile(&mut values, p)), [0.0, 50.0, 99.0, 100.0]);
        assert_eq!(quantile(&mut [], 0.5), 0.0);
    }

    #[test]
    fn what_fails_is_not_timed() {
        let error = milliseconds(3, || -> Result<(), Error> { Err(Error::Other("no".into())) }).unwrap_err();
        assert_eq!(error.to_string(), "no");
    }
}
