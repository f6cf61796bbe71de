//! Tables that cannot be fitted say why; doubtful ones warn.

#![allow(clippy::unwrap_used)]

use curate_scaling::law::{Chinchilla, ExponentialMixing, Power, Qqt};
use curate_scaling::{
    Fit, FitParams, Law, Metric, NoProgress, Observation, Observations, ScalingError, Warning,
    example_runs,
};

fn table(rows: Vec<Observation>) -> Observations {
    Observations::new(Metric::Error, vec![], rows).unwrap()
}

fn run(pool: &str, samples: f64, value: f64) -> Observation {
    Observation::new(pool, value).samples(samples).unique(1e7)
}

fn refusal<L: Law>(params: FitParams<L>, rows: Vec<Observation>) -> String {
    params.fit(&table(rows), &NoProgress).unwrap_err().to_string()
}

fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{message:?} lacks {part:?}");
    }
}

#[test]
fn fewer_points_than_parameters() {
    let rows = vec![run("a", 1e7, 0.9), run("a", 2e7, 0.8), run("a", 4e7, 0.75)];
    let message = refusal(FitParams::new(Qqt::default()), rows);
    assert_says(&message, &["qqt", "3 observations", "4 parameters", "add runs, fix parameters"]);
    assert_says(&refusal(FitParams::new(Power), vec![]), &["0 observations"]);
}

#[test]
fn a_pool_with_fewer_points_than_parameters_of_its_own() {
    let mut rows: Vec<_> =
        (1..9).map(|i| run("a", 1e7 * f64::from(i), 0.9 - 0.02 * f64::from(i))).collect();
    rows.push(run("b", 2e7, 0.8));
    let params = FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life");
    assert_says(&refusal(params, rows), &["pool b has 1 runs for 2 of its own", "share"]);
}

#[test]
fn one_budget_only() {
    let rows = (0..5).map(|i| run("a", 2e7, 0.8 + 0.001 * f64::from(i))).collect();
    let message = refusal(FitParams::new(Power), rows);
    assert_says(&message, &["same number of samples", "floor from the slope", "other budgets"]);
}

#[test]
fn a_pool_with_one_budget_is_a_warning() {
    let mut rows = example_runs().rows().to_vec();
    rows.retain(|r| r.pool != "poor" || r.samples == Some(4e7));
    let fit = FitParams::new(Qqt::default()).per_pool("b").fit(&table(rows), &NoProgress).unwrap();
    let expected = Warning::OneBudget { pools: vec!["poor".into()] };
    assert!(fit.warnings().contains(&expected), "{:?}", fit.warnings());
}

#[test]
fn what_the_law_needs_must_be_there() {
    let mut rows = example_runs().rows().to_vec();
    rows[3].unique = None;
    let message = refusal(FitParams::new(Qqt::default()), rows.clone());
    assert_says(&message, &["row 4", "`unique`", "add the column"]);
    let message = refusal(FitParams::new(Chinchilla::default()), rows.clone());
    assert_says(&message, &["row 1", "`parameters`"]);
    let message = refusal(FitParams::new(ExponentialMixing { domains: 2 }), rows);
    assert_says(&message, &["row 1", "`weight_<domain>`"]);
}

fn shared() -> FitParams<Qqt> {
    FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life")
}

fn warned(fit: &Fit<Qqt>, of: impl Fn(&Warning) -> bool) -> String {
    let found = fit.warnings().iter().find(|w| of(w));
    found.unwrap_or_else(|| panic!("{:?}", fit.warnings())).to_string()
}

#[test]
fn repeated_rows_are_a_warning_that_names_them() {
    let mut rows = example_runs().rows().to_vec();
    rows.push(rows[2].clone());
    let fit = shared().fit(&table(rows), &NoProgress).unwrap();
    let text = warned(&fit, |w| matches!(w, Warning::RepeatedRows { .. }));
    assert_says(&text, &["[16]", "count twice", "drop them"]);
}

#[test]
fn samples_in_millions_are_a_warning() {
    let in_millions = |row: &Observation| Observation {
        samples: row.samples.map(|n| n / 1e6),
        unique: row.unique.map(|n| n / 1e6),
        ..row.clone()
    };
    let rows = example_runs().rows().iter().map(in_millions).collect();
    let fit = shared().fit(&table(rows), &NoProgress).unwrap();
    let text = warned(&fit, |w| matches!(w, Warning::SmallUnits { .. }));
    assert_says(&text, &["samples is 80", "millions", "plain counts"]);
    let mixed =
        |row: &Observation| Observation { samples: row.samples.map(|n| n / 1e6), ..row.clone() };
    let rows = example_runs().rows().iter().map(mixed).collect();
    let fit = shared().fit(&table(rows), &NoProgress).unwrap();
    warned(&fit, |w| matches!(w, Warning::UnitsDiffer { .. }));
}

#[test]
fn no_repeats_say_nothing_about_the_half_life() {
    let once = |row: &Observation| Observation { unique: Some(1e9), ..row.clone() };
    let rows = example_runs().rows().iter().map(once).collect();
    let fit = FitParams::new(Qqt::default()).per_pool("b").fit(&table(rows), &NoProgress).unwrap();
    let text = warned(&fit, |w| matches!(w, Warning::NoRepeats { .. }));
    assert_says(&text, &["half_life", "several epochs"]);
    assert_eq!(fit.curvature().condition, None, "a direction without any information");
}

#[test]
fn without_two_budgets_that_repeat_nothing_a_floor_looks_like_repeats() {
    let with_unique = |unique: f64| {
        let set = |row: &Observation| Observation { unique: Some(unique), ..row.clone() };
        table(example_runs().rows().iter().map(set).collect())
    };
    let fit = |data: &Observations| {
        FitParams::new(Qqt::default()).per_pool("b").fit(data, &NoProgress).unwrap()
    };
    let repeated = fit(&with_unique(1e6));
    let text = warned(&repeated, |w| matches!(w, Warning::OnlyRepeats { .. }));
    assert_says(&text, &["a floor of the error", "add runs below 1000000 samples"]);
    // Two budgets of one pool that repeat nothing are enough.
    let largest = example_runs().rows().iter().filter_map(|row| row.samples).fold(0.0, f64::max);
    let some = fit(&with_unique(0.9 * largest));
    let told =
        |fit: &Fit<Qqt>| fit.warnings().iter().any(|w| matches!(w, Warning::OnlyRepeats { .. }));
    assert!(!told(&some));
    // Pools of one budget each that repeat nothing are another doubt.
    let alone = |(i, row): (usize, &Observation)| Observation {
        pool: i.to_string(),
        unique: Some(1e12),
        ..row.clone()
    };
    let rows = example_runs().rows().iter().enumerate().map(alone).collect();
    assert!(!told(&FitParams::new(Qqt::default()).fit(&table(rows), &NoProgress).unwrap()));
}

#[test]
fn the_ridge_between_unit_samples_and_d_is_named() {
    let fit = shared().fit(&example_runs(), &NoProgress).unwrap();
    let text = warned(&fit, |w| matches!(w, Warning::Ridge { .. }));
    assert_says(&text, &["unit_samples", "d", "intervals of predictions"]);
}

#[test]
fn as_many_points_as_parameters_give_a_curve_without_doubt() {
    let rows = [1e6, 1e7, 1e8].map(|n: f64| run("a", n, 0.2 + 10.0 * n.powf(-0.3)));
    let fit = FitParams::new(Power).fit(&table(rows.to_vec()), &NoProgress).unwrap();
    assert!(fit.warnings().contains(&Warning::NoFreedom));
    assert_eq!(fit.noise(), None);
    assert!(fit.parameters(0.9).unwrap().iter().all(|p| p.interval.is_none()));
    let data = table(rows.to_vec());
    let error =
        curate_scaling::BootstrapParams::default().run(&fit, &data, &NoProgress).unwrap_err();
    assert_says(&error.to_string(), &["residuals say nothing", "add runs"]);
}

#[test]
fn options_that_name_nothing_are_refused() {
    let error = shared().fix("b[gold]", -0.1).fit(&example_runs(), &NoProgress).unwrap_err();
    assert!(matches!(error, ScalingError::Params(_)));
    assert_says(&error.to_string(), &["b[gold]", "b[good]"]);
}

#[test]
fn increasing_errors_end_at_a_bound_and_say_so() {
    let rows = (1..8).map(|i| run("a", 1e7 * f64::from(i), 0.5 + 0.02 * f64::from(i))).collect();
    let fit = FitParams::new(Power).fit(&table(rows), &NoProgress).unwrap();
    let warned = |w: &Warning| matches!(w, Warning::AtBounds { .. } | Warning::Ridge { .. });
    assert!(fit.warnings().iter().any(warned), "{:?} {:?}", fit.warnings(), fit.minima());
}
