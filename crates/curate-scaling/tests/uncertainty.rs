//! Intervals agree with theory where there is one, and draws do not depend on threads.

#![allow(clippy::unwrap_used)]

use curate_scaling::law::{Power, Qqt};
use curate_scaling::uncertainty::profile;
use curate_scaling::{
    BootstrapParams, Fit, FitParams, Metric, NoProgress, Observation, Observations, Point,
    Resample, example_runs,
};

/// `E + A / n` at ten sizes with a fixed wiggle: a straight line in `1 / n`.
fn line() -> (Observations, Fit<Power>) {
    let row = |i: usize| {
        let samples = 1e6 * (i + 1) as f64;
        let wiggle = 0.01 * ((i * 7 % 5) as f64 - 2.0);
        Observation::new("p", 1.0 + 2e6 / samples + wiggle).samples(samples)
    };
    let data = Observations::new(Metric::Loss, vec![], (0..10).map(row).collect()).unwrap();
    let fit = FitParams::new(Power).fix("c", 1.0).fit(&data, &NoProgress).unwrap();
    (data, fit)
}

/// Ordinary least squares of `y` on `1 / n`: intercept, its standard error, residual deviation.
fn ordinary(data: &Observations) -> (f64, f64, f64) {
    let points: Vec<(f64, f64)> =
        data.rows().iter().map(|r| (1e6 / r.samples.unwrap(), r.value)).collect();
    let count = points.len() as f64;
    let mean_x = points.iter().map(|p| p.0).sum::<f64>() / count;
    let mean_y = points.iter().map(|p| p.1).sum::<f64>() / count;
    let sxx: f64 = points.iter().map(|p| (p.0 - mean_x).powi(2)).sum();
    let sxy: f64 = points.iter().map(|p| (p.0 - mean_x) * (p.1 - mean_y)).sum();
    let slope = sxy / sxx;
    let intercept = mean_y - slope * mean_x;
    let sse: f64 = points.iter().map(|p| (p.1 - intercept - slope * p.0).powi(2)).sum();
    let variance = sse / (count - 2.0);
    (intercept, (variance * (1.0 / count + mean_x * mean_x / sxx)).sqrt(), variance.sqrt())
}

/// Student's t with 8 degrees of freedom, two-sided 90 %, from printed tables.
const T8: f64 = 1.859548;

#[test]
fn covariance_matches_ordinary_least_squares() {
    let (data, fit) = line();
    let (intercept, error, deviation) = ordinary(&data);
    let floor = &fit.parameters(0.9).unwrap()[0];
    assert!((floor.value - intercept).abs() < 1e-8);
    assert!((floor.standard_error.unwrap() / error - 1.0).abs() < 1e-5);
    let interval = floor.interval.unwrap();
    assert!((interval.high - intercept - T8 * error).abs() < 1e-6);
    assert!((fit.noise().unwrap() / deviation - 1.0).abs() < 1e-8);
    // Far out the curve is its floor, and a new run adds the noise.
    let far = |theta: &[f64]| theta[0];
    let curve = fit.curve_interval(0.9, far).unwrap();
    let run = fit.new_run_interval(0.9, far).unwrap();
    assert!((curve.high - interval.high).abs() < 1e-6);
    let expected = T8 * error.hypot(deviation);
    assert!((run.high - run.estimate - expected).abs() < 1e-6);
}

#[test]
fn a_profile_of_a_straight_line_is_a_parabola() {
    let (data, fit) = line();
    let (intercept, error, _) = ordinary(&data);
    let values: Vec<f64> = (-60..=60).map(|i| intercept + 0.1 * f64::from(i) * error).collect();
    let profile = profile(&fit, &data, "E", &values, &NoProgress).unwrap();
    let interval = profile.interval(0.9).unwrap();
    assert!((interval.low - (intercept - T8 * error)).abs() < 0.02 * error);
    assert!((interval.high - (intercept + T8 * error)).abs() < 0.02 * error);
    assert!(profile.better().is_none());
    assert!(profile.interval(1.0).is_err());
}

fn qqt() -> (Observations, Fit<Qqt>) {
    let data = example_runs();
    let params = FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life");
    let fit = params.fit(&data, &NoProgress).unwrap();
    (data, fit)
}

#[test]
fn fits_and_draws_are_the_same_bytes_for_any_number_of_threads() {
    let text = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (data, fit) = qqt();
            let one = |kind| {
                BootstrapParams::default()
                    .draws(64)
                    .resample(kind)
                    .seed(3)
                    .run(&fit, &data, &NoProgress)
                    .unwrap()
            };
            let draws = (one(Resample::Residual), one(Resample::Case));
            serde_json::to_string(&(fit, draws)).unwrap()
        })
    };
    let single = text(1);
    assert_eq!(single, text(2));
    assert_eq!(single, text(5));
}

#[test]
fn a_draw_does_not_depend_on_how_many_there_are() {
    let (data, fit) = qqt();
    let draws = |count| {
        BootstrapParams::default()
            .draws(count)
            .run(&fit, &data, &NoProgress)
            .unwrap()
            .thetas()
            .to_vec()
    };
    assert_eq!(draws(8)[..], draws(40)[..8]);
    let other = BootstrapParams::default()
        .draws(8)
        .seed(1)
        .run(&fit, &data, &NoProgress)
        .unwrap()
        .thetas()
        .to_vec();
    assert_ne!(draws(8), other);
}

#[test]
fn bootstrap_and_covariance_agree_on_a_straight_line() {
    let (data, fit) = line();
    let (_, error, _) = ordinary(&data);
    let draws = BootstrapParams::default().draws(3000).run(&fit, &data, &NoProgress).unwrap();
    let spread = |values: Vec<f64>| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares = values.iter().map(|v| (v - mean) * (v - mean));
        (squares.sum::<f64>() / values.len() as f64).sqrt()
    };
    let residual = spread(draws.thetas().iter().map(|t| t[0]).collect());
    assert!((residual / error - 1.0).abs() < 0.06, "{residual} {error}");
}

#[test]
fn a_new_run_is_less_sure_than_the_curve() {
    let (data, fit) = qqt();
    let draws = BootstrapParams::default().draws(400).run(&fit, &data, &NoProgress).unwrap();
    let at = Point::new().samples(4e7).unique(1e7);
    let by_covariance = fit.predict_interval("fair", &at, 0.9).unwrap();
    let by_draws = draws.predict_interval(&fit, "fair", &at, 0.9).unwrap();
    for found in [&by_covariance, &by_draws] {
        let width = |i: curate_scaling::Interval| i.high - i.low;
        assert!(width(found.new_run) > 1.2 * width(found.curve), "{found:?}");
        assert_eq!(found.metric, fit.predict("fair", &at).unwrap());
        assert_eq!((found.curve.estimate, found.new_run.estimate), (found.metric, found.metric));
        assert!(!found.is_extrapolation());
    }
    let (a, b) = (by_covariance.curve, by_draws.curve);
    assert!(((b.high - b.low) / (a.high - a.low) - 1.0).abs() < 0.2, "{a:?} {b:?}");
}

#[test]
fn draws_and_levels_are_checked() {
    let (data, fit) = qqt();
    let bad = BootstrapParams::default().draws(1).max_iterations(0).check().unwrap_err();
    assert_eq!(bad.violations.len(), 2);
    assert!(fit.parameters(1.0).is_err());
    let other = data.filter(|row| row.pool != "poor");
    let message =
        BootstrapParams::default().run(&fit, &other, &NoProgress).unwrap_err().to_string();
    assert!(message.contains("digest") && message.contains("refit"), "{message}");
    let message = profile(&fit, &data, "a", &[1.0], &NoProgress).unwrap_err().to_string();
    assert!(message.contains("unit_samples"), "{message}");
}
