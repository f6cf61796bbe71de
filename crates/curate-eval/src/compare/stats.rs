//! What a few seeds say.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::metrics::spread;

/// A mean over seeds, and where it may lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// The interval of Student's t at the level asked for; `None` for one value.
    pub interval: Option<[f64; 2]>,
}

impl Mean {
    /// `None` for no value. `level` is the share of such intervals that hold the true mean, if values
    /// spread as a normal distribution does.
    pub fn of(values: &[f64], level: f64) -> Option<Self> {
        let spread = spread(values)?;
        let n = values.len() as f64;
        let freedom = StudentsT::new(0.0, 1.0, n - 1.0).ok();
        let interval = freedom.map(|t| {
            let reach = t.inverse_cdf(f64::midpoint(1.0, level)) * spread.deviation / n.sqrt();
            [spread.mean - reach, spread.mean + reach]
        });
        Some(Self { mean: spread.mean, interval })
    }

    /// Whether it is known to be unlike zero.
    pub fn settled(&self) -> bool {
        self.interval.is_some_and(|[low, high]| low > 0.0 || high < 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.t.interval(0.95, 2, loc=np.mean(x), scale=scipy.stats.sem(x))`, x = [1, 2, 4].
    #[test]
    fn the_interval_is_scipys() {
        let found = Mean::of(&[1.0, 2.0, 4.0], 0.95).unwrap();
        let [low, high] = found.interval.unwrap();
        assert!((found.mean - 7.0 / 3.0).abs() < 1e-12);
        assert!(
            (low - -1.461_249_7).abs() < 1e-6 && (high - 6.127_916_4).abs() < 1e-6,
            "{low} {high}"
        );
        assert!(!found.settled());
    }

    #[test]
    fn one_value_settles_nothing() {
        let one = Mean::of(&[3.0], 0.95).unwrap();
        assert_eq!((one.mean, one.interval, one.settled()), (3.0, None, false));
        assert_eq!(Mean::of(&[], 0.95), None);
        let same = Mean::of(&[0.0, 0.0], 0.95).unwrap();
        assert!(!same.settled(), "no difference is no lead");
        assert!(Mean::of(&[-0.2, -0.21, -0.19], 0.95).unwrap().settled());
    }
}
