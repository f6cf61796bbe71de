//! Sums over epochs whose cost is bounded, however many epochs there are.
//!
//! The first [`EXACT`] epochs are added one by one. Beyond them the terms are smooth in the epoch,
//! and the Euler-Maclaurin formula gives their sum from an integral and a few values at its ends, to
//! the precision of a loop and in a few hundred evaluations.

use std::f64::consts::LN_2;

/// Epochs that are added one by one.
const EXACT: f64 = 256.0;
/// What the rest of a discounted sum may be worth, relative to its terms: below rounding.
const NOTHING: f64 = 1e-18;
/// The logarithm of [`NOTHING`], and a little more for sums whose terms grow before they decay.
const LOG_NOTHING: f64 = 46.0;
/// Nodes and weights of the 10-point Gauss-Legendre rule on `[-1, 1]`, one half of them.
const GAUSS: [(f64, f64); 5] = [
    (0.148_874_338_981_631_22, 0.295_524_224_714_752_87),
    (0.433_395_394_129_247_2, 0.269_266_719_309_996_35),
    (0.679_409_568_299_024_4, 0.219_086_362_515_982_04),
    (0.865_063_366_688_984_5, 0.149_451_349_150_580_6),
    (0.973_906_528_517_171_7, 0.066_671_344_308_688_14),
];

/// A sum over epochs and its derivative by the half-life.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decayed {
    pub(super) sum: f64,
    pub(super) by_half_life: f64,
}

/// `sum_{j >= 1} 2^(-j / tau) ln(n_{j+1} / n_j)`: the repeats' log ratio, discounted.
pub(super) fn discounted_log_ratio(samples: f64, unique: f64, tau: f64) -> Decayed {
    discounted(samples / unique, tau, |j, end| (end / j).ln(), |j| (1.0 / j).ln_1p())
}

/// `sum_j (samples in epoch j) 2^(-j / tau)`.
pub(super) fn effective_samples(samples: f64, unique: f64, tau: f64) -> Decayed {
    let first = samples.min(unique);
    let repeats = discounted(samples / unique, tau, |j, end| end - j, |_| 1.0);
    Decayed { sum: first + unique * repeats.sum, by_half_life: unique * repeats.by_half_life }
}

/// `sum_j 2^(-j / tau) gain(j, end of epoch j)` over the epochs after the first, of which the last
/// may be a part; `whole(j)` is the gain of a whole epoch, smooth in `j`.
fn discounted(
    total: f64,
    tau: f64,
    gain: impl Fn(f64, f64) -> f64,
    whole: impl Fn(f64) -> f64,
) -> Decayed {
    let (rate, last) = (-LN_2 / tau, total.floor());
    let keep = rate.exp();
    let (mut discount, mut sum, mut moment) = (1.0, 0.0, 0.0);
    let mut j = 1.0;
    // A budget without end has no last epoch, and a half-life without one would never stop.
    while j <= last && j < EXACT && last.is_finite() && discount * j > NOTHING {
        discount *= keep;
        let term = discount * gain(j, if j < last { j + 1.0 } else { total });
        sum += term;
        moment += j * term;
        j += 1.0;
    }
    if j == EXACT && j <= last && last.is_finite() {
        let fades = j.max((LOG_NOTHING - rate.abs().min(1.0).ln()) / rate.abs());
        let term = |x: f64| {
            let term = (rate * x).exp() * whole(x);
            [term, x * term]
        };
        let [more, more_moment] = smooth_sum(j, last.min(fades.ceil()), 1.0 / rate.abs(), term);
        let part = (rate * last).exp() * gain(last, total);
        sum += more + part;
        moment += more_moment + last * part;
    }
    Decayed { sum, by_half_life: moment * LN_2 / (tau * tau) }
}

/// The repeats of a union whose members are discounted at different rates: the effective samples grow
/// by the members' mean worth, and each epoch's growth has the exponent of the members weighted by
/// that worth.
pub(super) struct MixedRepeats {
    /// Each member's worth in the first epoch, its half-life and its exponent.
    pub(super) members: Vec<[f64; 3]>,
    /// Samples of the union.
    pub(super) union: f64,
}

impl MixedRepeats {
    /// `sum_j exponent_j ln(effective samples after epoch j / before it)` over the epochs after the
    /// first.
    pub(super) fn log_growth(&self, samples: f64) -> f64 {
        let total = samples / self.union;
        let last = total.floor();
        let (mut seen, mut sum, mut j) = (samples.min(self.union), 0.0, 1.0);
        while j <= last && j < EXACT && last.is_finite() {
            let part = if j < last { 1.0 } else { total - j };
            let (worth, exponent) = self.at(j);
            if worth * j <= NOTHING {
                return sum;
            }
            let grown = seen + part * self.union * worth;
            sum += exponent * (grown / seen).ln();
            seen = grown;
            j += 1.0;
        }
        if j < EXACT || j > last || !last.is_finite() {
            return sum;
        }
        let slowest = self.members.iter().fold(0.0, |tau: f64, m| tau.max(m[1]));
        let fades = (LOG_NOTHING + slowest.max(1.0).ln()) * slowest / LN_2;
        let scale = self.members.iter().fold(f64::INFINITY, |tau, m| tau.min(m[1]));
        let growth = |x: f64, part: f64| {
            let (worth, exponent) = self.at(x);
            exponent * (part * self.union * worth / (seen + self.gained(j, x))).ln_1p()
        };
        let to = last.min(fades.max(j).ceil());
        let whole = smooth_sum(j, to, scale.max(fades / 1e3) / LN_2, |x| [growth(x, 1.0)])[0];
        sum + whole + if to == last { growth(last, total - last) } else { 0.0 }
    }

    /// The members' worth in epoch `j`, and the exponent of its growth.
    fn at(&self, j: f64) -> (f64, f64) {
        let worth = |m: &[f64; 3]| m[0] * (-LN_2 * j / m[1]).exp();
        let total: f64 = self.members.iter().map(worth).sum();
        let weighted: f64 = self.members.iter().map(|m| worth(m) * m[2]).sum();
        // Where nothing is left to grow by, the exponent does not matter.
        (total, if total > 0.0 { weighted / total } else { 0.0 })
    }

    /// Effective samples gained in the epochs from `from` to just before `to`.
    fn gained(&self, from: f64, to: f64) -> f64 {
        let of = |m: &[f64; 3]| {
            let rate = -LN_2 / m[1];
            let share =
                if rate == 0.0 { to - from } else { (rate * (to - from)).exp_m1() / rate.exp_m1() };
            m[0] * (rate * from).exp() * share
        };
        self.union * self.members.iter().map(of).sum::<f64>()
    }
}

/// `sum_{j = from}^{to - 1} term(j)` of terms that change slowly from one `j` to the next, and within
/// `scale` by no more than a factor of a few.
pub(super) fn smooth_sum<const N: usize>(
    from: f64,
    to: f64,
    scale: f64,
    term: impl Fn(f64) -> [f64; N],
) -> [f64; N] {
    let mut sum = [0.0; N];
    if to <= from {
        return sum;
    }
    let mut low = from;
    while low < to {
        // Terms fall like powers of the epoch and, on `scale`, exponentially.
        let high = to.min(low + (0.5 * low).min(scale).max(1.0));
        let (middle, half) = (0.5 * (low + high), 0.5 * (high - low));
        for (node, weight) in GAUSS {
            for sign in [-1.0, 1.0] {
                let values = term(middle + sign * node * half);
                sum.iter_mut().zip(values).for_each(|(s, v)| *s += weight * half * v);
            }
        }
        low = high;
    }
    for (i, end) in [(1.0, from), (-1.0, to)] {
        let correction = end_correction(end, &term);
        sum.iter_mut().zip(correction).for_each(|(s, c)| *s += i * c);
    }
    sum
}

/// `f / 2 - f' / 12 + f''' / 720` at `x`: what an integral from there lacks of the sum. The
/// derivatives are differences, since the corrections are small.
fn end_correction<const N: usize>(x: f64, f: impl Fn(f64) -> [f64; N]) -> [f64; N] {
    let [here, a, b, c, d] = [f(x), f(x - 1.0), f(x - 0.5), f(x + 0.5), f(x + 1.0)];
    std::array::from_fn(|i| {
        let slope = (8.0 * (c[i] - b[i]) - (d[i] - a[i])) / 6.0;
        let third = 4.0 * (d[i] - 2.0 * c[i] + 2.0 * b[i] - a[i]);
        0.5 * here[i] - slope / 12.0 + third / 720.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sums as they are defined, one epoch after the other.
    fn by_loop(total: f64, tau: f64, gain: impl Fn(f64, f64) -> f64) -> Decayed {
        let (mut sum, mut moment) = (0.0, 0.0);
        let last = total.floor();
        for j in (1..=last as u64).map(|j| j as f64) {
            let end = if j < last { j + 1.0 } else { total };
            let term = (-LN_2 * j / tau).exp() * gain(j, end);
            sum += term;
            moment += j * term;
        }
        Decayed { sum, by_half_life: moment * LN_2 / (tau * tau) }
    }

    fn assert_near(got: f64, want: f64, of: &str) {
        assert!((got - want).abs() <= 1e-11 * want.abs(), "{of}: {got} instead of {want}");
    }

    #[test]
    fn the_sums_are_those_of_the_loop() {
        for total in [0.4, 1.0, 1.7, 17.3, 255.5, 256.0, 256.5, 257.0, 300.25, 1e4, 123_456.7] {
            for tau in [0.3, 2.0, 30.0, 100.0, 1e3, 2e4, 1e6, 1e9] {
                let of = format!("{total} epochs, half-life {tau}");
                let unique = 1e3;
                let got = discounted_log_ratio(total * unique, unique, tau);
                let want = by_loop(total, tau, |j, end| (end / j).ln());
                assert_near(got.sum, want.sum, &of);
                assert_near(got.by_half_life, want.by_half_life, &of);
                let got = effective_samples(total * unique, unique, tau);
                let want = by_loop(total, tau, |j, end| end - j);
                assert_near(got.sum, unique * (want.sum + total.min(1.0)), &of);
                assert_near(got.by_half_life, unique * want.by_half_life, &of);
            }
        }
    }

    #[test]
    fn without_end_or_half_life_the_sums_stop() {
        for total in [1e9, 1e15, 1e300, f64::INFINITY, f64::NAN] {
            for tau in [1e-3, 1.0, 1e9, f64::INFINITY] {
                let _ = discounted_log_ratio(total, 1.0, tau);
                let _ = effective_samples(total, 1.0, tau);
            }
        }
        // Without a half-life nothing is discounted: the logarithms telescope.
        let endless = discounted_log_ratio(1e12, 1.0, f64::INFINITY).sum;
        assert_near(endless, 1e12f64.ln(), "no half-life");
    }

    #[test]
    fn unions_grow_as_the_loop_over_epochs_has_it() {
        let members = vec![[0.3, 40.0, -0.2], [0.7, 900.0, -0.1]];
        for total in [0.5_f64, 12.25, 300.5, 4_000.75, 200_000.5] {
            let mixed = MixedRepeats { members: members.clone(), union: 7.0 };
            let samples: f64 = total * 7.0;
            let (mut seen, mut want) = (samples.min(7.0), 0.0);
            let last = total.floor();
            for j in (1..=last as u64).map(|j| j as f64) {
                let part = if j < last { 1.0 } else { total - last };
                let (worth, exponent) = mixed.at(j);
                want += exponent * (part * 7.0 * worth / seen).ln_1p();
                seen += part * 7.0 * worth;
            }
            let got = mixed.log_growth(samples);
            assert!((got - want).abs() <= 1e-10 * want.abs(), "{total}: {got} instead of {want}");
        }
        let fades = MixedRepeats { members, union: 7.0 };
        assert_eq!(fades.log_growth(7e15), fades.log_growth(7e17));
    }

    #[test]
    fn a_sum_takes_few_evaluations() {
        let asked = std::cell::Cell::new(0);
        let term = |x: f64| {
            asked.set(asked.get() + 1);
            [(-1e-9 * x).exp() / x]
        };
        smooth_sum(256.0, 5e10, 1e9, term);
        assert!(asked.get() < 2_000, "{}", asked.get());
    }
}
