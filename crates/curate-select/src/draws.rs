//! Random numbers as hashes of a seed and a position.

use std::f64::consts::TAU;

use curate_core::{SampleId, random};

/// Numbers of one picture or one set, drawn one after the other.
pub(crate) struct Draws {
    seed: u64,
    next: u64,
}

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, next: 0 }
    }

    /// From 0 to 1, without 1.
    pub(crate) fn unit(&mut self) -> f64 {
        let drawn = random::unit(self.seed, SampleId::from_halves(0, self.next));
        self.next += 1;
        drawn
    }

    /// From `low` to `high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Of the standard normal distribution (Box and Muller), from two numbers.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (TAU * self.unit()).cos()
    }

    /// Of Poisson's distribution: the least count whose cumulated probability reaches one number.
    pub(crate) fn poisson(&mut self, mean: f64) -> f64 {
        let drawn = self.unit();
        let (mut count, mut probability) = (0.0, (-mean).exp());
        let mut reached = probability;
        // Beyond the last count that adds anything, rounding keeps the sum below a number near 1.
        while reached < drawn && (count < mean || probability > f64::EPSILON * 1e-3) {
            count += 1.0;
            probability *= mean / count;
            reached += probability;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f64]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        (mean, values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n)
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut draws = Draws::new(3);
        let normal: Vec<f64> = (0..40_000).map(|_| draws.normal()).collect();
        let (mean, variance) = moments(&normal);
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
        for expected in [0.3, 7.0, 500.0] {
            let counts: Vec<f64> = (0..20_000).map(|_| draws.poisson(expected)).collect();
            let (mean, variance) = moments(&counts);
            assert!((mean / expected - 1.0).abs() < 0.03, "{mean} of {expected}");
            assert!((variance / expected - 1.0).abs() < 0.05, "{variance} of {expected}");
        }
        assert_eq!(draws.poisson(0.0), 0.0);
    }
}
