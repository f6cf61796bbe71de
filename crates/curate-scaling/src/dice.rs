//! Draws that are a hash, so that nothing depends on the number of threads.

/// A random number that is a function of where it is used: no shared stream, so results do not
/// depend on the order or the number of threads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dice {
    key: u64,
}

fn scramble(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Dice {
    /// The draws of one purpose (`stream`) and one repetition (`draw`) under a seed.
    pub(crate) fn new(seed: u64, stream: u64, draw: u64) -> Self {
        Dice { key: scramble(scramble(scramble(seed) ^ stream) ^ draw) }
    }

    /// The `i`-th uniform value in `[0, 1)`.
    pub(crate) fn uniform(self, i: usize) -> f64 {
        (scramble(self.key ^ i as u64) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The `i`-th index below `count`.
    pub(crate) fn index(self, i: usize, count: usize) -> usize {
        ((self.uniform(i) * count as f64) as usize).min(count - 1)
    }

    /// The `i`-th standard normal value.
    pub(crate) fn normal(self, i: usize) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform(2 * i)).ln()).sqrt();
        radius * (2.0 * std::f64::consts::PI * self.uniform(2 * i + 1)).cos()
    }

    /// The root mean square of `freedom` standard normal values (64 at most: more hardly vary), from
    /// the values 0 to 63.
    pub(crate) fn spread_of_mean_square(self, freedom: f64) -> f64 {
        let count = (freedom.round() as usize).clamp(1, 64);
        let sum: f64 = (0..count).map(|i| self.normal(i).powi(2)).sum();
        (sum / count as f64).sqrt().max(0.05)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_draws_have_mean_zero_and_variance_one() {
        let dice = Dice::new(7, 0, 0);
        let values: Vec<f64> = (0..20_000).map(|i| dice.normal(i)).collect();
        let mean = values.iter().sum::<f64>() / 20_000.0;
        let variance = values.iter().map(|v| v * v).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance.sqrt() - 1.0).abs() < 0.02);
    }
}
