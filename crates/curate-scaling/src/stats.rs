//! Small statistics: quantiles and Student's t.

/// Quantile of sorted values by linear interpolation; NaN for none.
pub(crate) fn quantile_sorted(sorted: &[f64], level: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = level.clamp(0.0, 1.0) * last as f64;
    let below = position.floor();
    let (low, high) = (sorted[below as usize], sorted[(below as usize + 1).min(last)]);
    if low == high { low } else { low + (high - low) * (position - below) }
}

/// Sorts and takes the two quantiles that enclose `level`, for example 0.9.
pub(crate) fn central(mut values: Vec<f64>, level: f64) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let tail = 0.5 * (1.0 - level);
    (quantile_sorted(&values, tail), quantile_sorted(&values, 1.0 - tail))
}

/// Median of the values that are known; NaN for none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut known: Vec<f64> = values.into_iter().filter(|x| !x.is_nan()).collect();
    known.sort_by(f64::total_cmp);
    quantile_sorted(&known, 0.5)
}

/// Root of the mean square.
pub(crate) fn root_mean_square(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for x in values {
        sum += x * x;
        count += 1.0;
    }
    (sum / count).sqrt()
}

/// `ln Gamma(x)` for `x > 0` (Lanczos, g = 7).
fn ln_gamma(x: f64) -> f64 {
    const C: [f64; 8] = [
        676.5203681218851,
        -1259.1392167224028,
        771.3234287776531,
        -176.6150291621406,
        12.507343278686905,
        -0.13857109526572012,
        9.984369578019572e-6,
        1.5056327351493116e-7,
    ];
    let x = x - 1.0;
    let series = C.iter().zip(1..).fold(0.9999999999998099, |sum, (c, i)| sum + c / (x + i as f64));
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + series.ln()
}

/// Regularized incomplete beta function `I_x(a, b)` (continued fraction).
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p();
    let away = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let (mut c, mut d) = (1.0, 1.0 / away(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for m in 1..300 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = fraction;
        for term in [even, odd] {
            d = 1.0 / away(1.0 + term * d);
            c = away(1.0 + term / c);
            fraction *= c * d;
        }
        if (fraction / before - 1.0).abs() < 1e-15 {
            break;
        }
    }
    front.exp() * fraction / a
}

/// Probability that a Student variable with `freedom` degrees exceeds `t` in size.
fn student_outside(t: f64, freedom: f64) -> f64 {
    incomplete_beta(freedom / (freedom + t * t), 0.5 * freedom, 0.5)
}

/// The level at which percentiles of draws with a normal spread make an interval of `level` when
/// the spread itself rests on `freedom` degrees: Hesterberg's expanded percentiles (2015,
/// doi:10.1080/00031305.2015.1089789).
pub(crate) fn expanded_level(level: f64, freedom: usize) -> f64 {
    const MANY: f64 = 1e6;
    1.0 - student_outside(student_two_sided(level, freedom.max(1) as f64), MANY)
}

/// The `t` that a Student variable with `freedom` degrees exceeds in size with probability
/// `1 - level`.
pub(crate) fn student_two_sided(level: f64, freedom: f64) -> f64 {
    let outside = |t: f64| student_outside(t, freedom);
    let (mut low, mut high) = (0.0, 1.0);
    while outside(high) > 1.0 - level && high < 1e8 {
        high *= 2.0;
    }
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if outside(middle) > 1.0 - level { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn student_matches_printed_tables() {
        for (level, freedom, t) in [
            (0.9, 1.0, 6.313752),
            (0.95, 5.0, 2.570582),
            (0.9, 13.0, 1.770933),
            (0.95, 1e6, 1.959966),
        ] {
            assert!((student_two_sided(level, freedom) - t).abs() < 2e-6, "{level} {freedom}");
        }
    }

    #[test]
    fn expanded_levels_make_up_for_few_degrees_of_freedom() {
        // t(13) = 1.770933 at 90 %; a normal variable is within that in 92.343 % of cases.
        assert!((expanded_level(0.9, 13) - 0.92343).abs() < 1e-5);
        assert!((expanded_level(0.9, 1_000_000) - 0.9).abs() < 1e-6);
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile_sorted(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(median([f64::NAN, 3.0, 1.0]), 2.0);
        assert!(median([]).is_nan());
        assert_eq!(quantile_sorted(&[1.0, f64::INFINITY], 1.0), f64::INFINITY);
    }
}
