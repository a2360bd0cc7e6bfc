//! Taking turns: every side works once per round, the order reversed from round to round, so that a slow minute of
//! the machine meets all sides and none is always first.

use std::collections::BTreeMap;

use super::worker::Worker;
use crate::error::Error;

/// What one piece of work took: a number per metric.
pub(super) type Sample = BTreeMap<String, f64>;

/// What a side's turns gave: per metric, a number per round.
#[derive(Debug, Default, Clone)]
pub(super) struct Series(BTreeMap<String, Vec<f64>>);

impl Series {
    fn push(&mut self, sample: Sample) {
        sample.into_iter().for_each(|(metric, value)| self.0.entry(metric).or_default().push(value));
    }

    /// The largest number of a metric.
    pub(super) fn most(&self, metric: &str) -> Result<f64, Error> {
        self.quartiles(metric)?;
        Ok(self.0.get(metric).into_iter().flatten().copied().fold(f64::MIN, f64::max))
    }

    /// The median of a metric, and the first and third quartile. An error where the side did not report it.
    pub(super) fn quartiles(&self, metric: &str) -> Result<[f64; 3], Error> {
        let mut values = self.0.get(metric).cloned().unwrap_or_default();
        if values.is_empty() {
            let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            let known = known.join(", ");
            return Err(Error::Other(format!("no side reported `{metric}`; there are {known}")));
        }
        values.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let place = part * (values.len() - 1) as f64;
            let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
            low + (high - low) * place.fract()
        };
        Ok([at(0.25), at(0.5), at(0.75)])
    }
}

/// Let the sides take `turns` turns each after `warmup` that do not count; the series in the order of the sides.
pub(super) fn take(sides: &mut [Worker], warmup: usize, turns: usize) -> Result<Vec<Series>, Error> {
    let mut series = vec![Series::default(); sides.len()];
    for round in 0..warmup + turns {
        let mut order: Vec<usize> = (0..sides.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for side in order {
            let sample = sides[side].sample()?;
            if round >= warmup {
                series[side].push(sample);
            }
        }
    }
    Ok(series)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::Shell;

    fn side(name: &str, value: &str) -> Worker {
        let script = format!("echo ready; while read line; do echo '{{\"x\": {value}}}'; done");
        Worker::start(name, &Shell::new("sh").args(["-c", &script])).unwrap()
    }

    #[test]
    fn warm_up_does_not_count() {
        let mut sides = [side("a", "1"), side("b", "2")];
        let series = take(&mut sides, 2, 3).unwrap();
        assert_eq!(series[0].0["x"], [1.0; 3]);
        assert_eq!(series[1].0["x"], [2.0; 3]);
    }

    #[test]
    fn quartiles_are_interpolated() {
        let mut series = Series::default();
        [4.0, 1.0, 3.0, 2.0].into_iter().for_each(|x| series.push(Sample::from([("x".to_string(), x)])));
        assert_eq!(series.quartiles("x").unwrap(), [1.75, 2.5, 3.25]);
        assert_eq!(series.most("x").unwrap(), 4.0);
        assert!(series.most("y").is_err());
        assert!(series.quartiles("y").unwrap_err().to_string().contains('x'));
    }
}
