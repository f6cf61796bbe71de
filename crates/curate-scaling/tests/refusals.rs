//! No public function panics on what it is given: it refuses by the argument's name, or answers NaN
//! where its documentation says that nothing is checked.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use curate_scaling::compare::{aicc, compare, decision_accuracy, leave_largest_budget_out};
use curate_scaling::decide::*;
use curate_scaling::law::*;
use curate_scaling::uncertainty::profile;
use curate_scaling::{
    BootstrapParams, Cancelled, Curves, Ensemble, Fit, FitParams, Loss, Metric, NoProgress,
    Observation, Observations, ParamsError, Progress, ReadOptions, SavedFit, ScalingError, Span,
    curves, example_runs,
};
use std::fmt::Debug;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Numbers that nothing positive can be.
const NOT_POSITIVE: [f64; 4] = [f64::NAN, 0.0, -1.0, f64::NEG_INFINITY];
/// Numbers that no level can be.
const NO_LEVEL: [f64; 5] = [f64::NAN, 0.0, 1.0, -0.5, f64::INFINITY];

fn runs() -> (Observations, Fit<Qqt>, Ensemble) {
    let data = example_runs();
    let fit = params().fit(&data, &NoProgress).unwrap();
    let draws = BootstrapParams::default().draws(20).run(&fit, &data, &NoProgress).unwrap();
    (data, fit, draws)
}

fn params() -> FitParams<Qqt> {
    FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life").starts(4)
}

/// The options and arguments that a refusal names.
#[track_caller]
fn named<T: Debug>(result: Result<T, impl Into<ScalingError>>) -> Vec<String> {
    match result.unwrap_err().into() {
        ScalingError::Params(ParamsError { violations }) => {
            violations.into_iter().map(|v| v.field.into_owned()).collect()
        }
        other => panic!("{other}"),
    }
}

#[track_caller]
fn says<T: Debug>(result: Result<T, ScalingError>, part: &str) {
    let message = result.unwrap_err().to_string();
    assert!(message.contains(part), "{message} lacks {part}");
}

fn at(samples: f64) -> Point<'static> {
    Point::new().samples(samples).unique(1e7)
}

#[test]
fn laws_refuse_points_and_vectors_that_do_not_fit() {
    for law in LawKind::all(2) {
        let count = law.params().len();
        let full = at(1e8).parameters(1e8).upstream_loss(3.0).mixture(&[0.5, 0.5]);
        let theta: Vec<f64> = law.params().iter().map(|p| p.lower.max(-0.5).abs()).collect();
        for wrong in [&theta[1..], &[theta.clone(), vec![1.0]].concat()] {
            assert_eq!(named(law.predict(&full, wrong)), ["theta"], "{}", law.name());
            assert!(law.eval(&full, wrong, None).is_nan(), "{}", law.name());
            let member = Member { unique: 1e7, theta: wrong };
            assert!(law.predict_union(1e8, &[member]).is_none_or(f64::is_nan), "{}", law.name());
            assert!(!law.mixture_gradient(&full, wrong, &mut [0.0; 2]), "{}", law.name());
        }
        assert!(law.eval(&full, &theta, Some(&mut vec![0.0; count + 1])).is_nan());
        assert!(!law.mixture_gradient(&full, &theta, &mut [0.0; 3]), "{}", law.name());
        assert_eq!(law.predict_union(1e8, &[]), None);
        let summary = Summary {
            samples: f64::NAN,
            unique: f64::NAN,
            parameters: f64::NAN,
            upstream_loss: f64::NAN,
            metric: f64::NAN,
            lowest: f64::NAN,
            highest: f64::NAN,
        };
        assert!(law.start(&summary, &vec![0.5; count - 1]).iter().all(|x| x.is_nan()));
        let field = law.needs()[0];
        says(law.predict(&Point::new(), &theta), &format!("needs `{field}`"));
        for bad in NOT_POSITIVE.into_iter().skip(1) {
            let point = full.samples(bad).upstream_loss(bad).mixture(&[-1.0, 2.0]);
            assert!(!named(law.predict(&point, &theta)).is_empty(), "{} {bad}", law.name());
        }
    }
    says(LawKind::named("qtt", 3), "`qtt`");
    // Endless training under a half-life without an end still ends.
    assert!(Qqt::default().eval(&at(f64::INFINITY), &[1.0, -0.1, 0.0, f64::INFINITY], None) >= 0.0);
}

#[test]
fn a_prediction_without_what_its_law_needs_names_it() {
    let (data, fit, draws) = runs();
    let chinchilla = FitParams::new(Chinchilla::default());
    let rows =
        data.rows().iter().enumerate().map(|(i, r)| r.clone().parameters(1e7 + 1e6 * i as f64));
    let sized = Observations::new(Metric::Error, vec![], rows.collect()).unwrap();
    let large = chinchilla.fit(&sized, &NoProgress).unwrap();
    says(large.predict("good", &at(1e8)), "needs `parameters`");
    says(large.predict_interval("good", &at(1e8), 0.9), "needs `parameters`");
    says(fit.predict("good", &Point::new().samples(1e8)), "needs `unique`");
    says(draws.predict_interval(&fit, "good", &Point::new(), 0.9), "needs `samples`");
    says(fit.predict("gold", &at(1e8)), "good, fair, poor");
    for bad in NOT_POSITIVE.into_iter().skip(1).chain([f64::INFINITY]) {
        assert_eq!(named(fit.predict("good", &at(bad))), ["samples"]);
    }
}

#[test]
fn fits_refuse_levels_vectors_and_tables_of_others() {
    let (data, fit, draws) = runs();
    let other = data.filter(|row| row.pool != "poor");
    let few = [0.1];
    assert_eq!(named(fit.pool_theta(&few, "good")), ["theta"]);
    says(fit.get("c"), "unit_samples");
    says(fit.residuals(&other), "digest");
    says(fit.r_squared(&other), "digest");
    says(aicc(&fit, &other), "digest");
    says(profile(&fit, &other, "d", &few, &NoProgress), "digest");
    assert_eq!(named(profile(&fit, &data, "d", &[f64::NAN], &NoProgress)), ["fix(d)"]);
    assert!(profile(&fit, &data, "d", &[], &NoProgress).unwrap().points.is_empty());
    let valley = profile(&fit, &data, "d", &few, &NoProgress).unwrap();
    for level in NO_LEVEL {
        assert_eq!(named(fit.parameters(level)), ["level"]);
        assert_eq!(named(fit.curve_interval(level, |theta| theta[0])), ["level"]);
        assert_eq!(named(fit.new_run_interval(level, |theta| theta[0])), ["level"]);
        assert_eq!(named(fit.predict_interval("good", &at(1e8), level)), ["level"]);
        assert_eq!(named(draws.predict_interval(&fit, "good", &at(1e8), level)), ["level"]);
        assert_eq!(named(draws.interval(&fit, level, |theta| theta[0])), ["level"]);
        assert_eq!(named(draws.new_run_interval(&fit, level, |theta| theta[0])), ["level"]);
        assert_eq!(named(draws.parameter_intervals(&fit, level)), ["level"]);
        assert_eq!(named(valley.threshold(level)), ["level"]);
        assert_eq!(named(valley.interval(level)), ["level"]);
    }
}

#[test]
fn draws_of_another_fit_are_refused() {
    let (data, fit, _) = runs();
    let shared = FitParams::new(Qqt::default()).fit(&data, &NoProgress).unwrap();
    let foreign = BootstrapParams::default().draws(10).run(&shared, &data, &NoProgress).unwrap();
    let pools = [Candidate::pool("good")];
    let run = Experiment { candidate: pools[0].clone(), samples: 1e7 };
    let range = Span::new(1e7, 1e9);
    assert_eq!(named(foreign.interval(&fit, 0.9, |theta| theta[7])), ["draws"]);
    assert_eq!(named(best_pool(&fit, &foreign, &pools, 1e8, 0.9)), ["draws"]);
    assert_eq!(named(switch_points(&fit, &foreign, &pools, range, 0.9)), ["draws"]);
    assert_eq!(
        named(samples_multiplier(&fit, &foreign, &pools[0], &pools[0], 1e8, 0.9)),
        ["draws"]
    );
    assert_eq!(named(next_experiment(&fit, &foreign, &pools, 1e8, &[run])), ["draws"]);
    assert_eq!(named(curves(&fit, &foreign, &pools, range, 5, 0.9)), ["draws"]);
}

#[test]
fn decisions_refuse_budgets_ranges_and_candidates() {
    let (_, fit, draws) = runs();
    let pools = [Candidate::pool("good")];
    for bad in NOT_POSITIVE.into_iter().chain([f64::INFINITY]) {
        assert_eq!(named(best_pool(&fit, &draws, &pools, bad, 0.9)), ["samples"]);
        assert_eq!(named(pools[0].predict(&fit, bad)), ["samples"]);
        assert_eq!(named(pools[0].out_of_range(&fit, bad)), ["samples"]);
        assert_eq!(named(pools[0].predict_interval(&fit, &draws, bad, 0.9)), ["samples"]);
        let found = samples_multiplier(&fit, &draws, &pools[0], &pools[0], bad, 0.9);
        assert_eq!(named(found), ["samples"]);
        let run = Experiment { candidate: pools[0].clone(), samples: bad };
        let found = next_experiment(&fit, &draws, &pools, 1e8, &[run]);
        assert_eq!(named(found), ["experiment.samples"]);
        let refused = named(curves(&fit, &draws, &pools, Span::new(bad, 1e9), 5, 0.9));
        assert_eq!(refused[0], "range.low");
        let refused = named(switch_points(&fit, &draws, &pools, Span::new(1e7, bad), 0.9));
        assert_eq!(refused, ["range.high"]);
        assert_eq!(named(pools[0].clone().parameters(bad).check(&fit)), ["parameters"]);
    }
    for count in [0, 1, usize::MAX] {
        let found = curves(&fit, &draws, &pools, Span::new(1e7, 1e9), count, 0.9);
        assert_eq!(named(found), ["count"]);
    }
    assert_eq!(named(next_experiment(&fit, &draws, &pools, 1e8, &[])), ["experiments"]);
    assert_eq!(named(pools[0].clone().pool_size("good", 0.0).check(&fit)), ["pool_size(good)"]);
    assert_eq!(named(pools[0].clone().pool_size("bad", 1.0).check(&fit)), ["pool_size.pool"]);
    let twice = Candidate::union("twice", ["good", "good"]);
    assert_eq!(named(twice.check(&fit)), ["candidate"]);
    let none = Candidate::union("none", [""; 0]);
    assert_eq!(named(none.check(&fit)), ["candidate"]);
    assert!(Candidate::cumulative(&[""; 0]).is_empty() && across_laws(&[]).is_empty());
}

#[test]
fn options_report_every_violation() {
    let wrong = BootstrapParams::default().draws(usize::MAX).max_iterations(0);
    assert_eq!(named(wrong.check()), ["draws", "max_iterations"]);
    let wrong = params().starts(usize::MAX).loss(Loss::Huber { delta: f64::NAN });
    assert_eq!(named(wrong.check()), ["loss.delta", "starts"]);
    assert_eq!(named(params().prior("d", 0.1, 0.1).check()), ["noise"]);
    let wrong = AllocationParams::new(f64::NAN).unique(-1.0).max_epochs(0.0);
    assert_eq!(named(wrong.check()), ["compute", "unique", "max_epochs"]);
    let wrong = MixtureParams::new(f64::INFINITY).parameters(0.0).floor(f64::NAN);
    let wrong = wrong.epoch_caps(vec![1.0, f64::NAN], 0.0);
    let fields = ["samples", "parameters", "max_epochs", "unique[1]", "floor"];
    assert_eq!(named(wrong.check()), fields);
    let (_, fit, draws) = runs();
    let split = AllocationParams::new(1e20).check().unwrap();
    says(split.optimum(&fit, "good"), "model size");
    says(split.intervals(&fit, &draws, "good", 0.9), "model size");
    let mixture = MixtureParams::new(1e9).check().unwrap();
    says(mixture.optimum(&[&fit]), "no mixture");
    says(mixture.optimum::<Qqt>(&[]), "no fit");
}

#[test]
fn mixtures_refuse_other_domains_and_a_missing_model_size() {
    let law = AdditiveMixing { domains: 2 };
    let theta = [1.0, 400.0, 0.34, 410.0, 0.28, 1.0, 2.0, 0.4, 0.6];
    let mut rows = Vec::new();
    for code in [0.1, 0.3, 0.5, 0.7, 0.9] {
        for (samples, parameters) in [(1e9, 1e7), (3e9, 4e7), (1e10, 1e8)] {
            let row = Observation::new("m", 1.0).samples(samples).parameters(parameters);
            let row = row.mixture(vec![code, 1.0 - code]);
            rows.push(Observation { value: law.predict(&row.point(), &theta).unwrap(), ..row });
        }
    }
    let names = || vec!["code".into(), "web".into()];
    let data = Observations::new(Metric::Loss, names(), rows).unwrap();
    let params = FitParams::new(law).fix("A", 400.0).fix("B", 410.0).starts(4);
    let fit = params.fit(&data, &NoProgress).unwrap();
    let ask = |params: MixtureParams| params.check().unwrap().optimum(&[&fit]);
    says(ask(MixtureParams::new(1e9)), "needs `parameters`");
    let sized = MixtureParams::new(1e9).parameters(1e8);
    says(ask(sized.clone().epoch_caps(vec![1e9], 4.0)), "other domains");
    says(ask(sized.clone().epoch_caps(vec![1e7, 1e7], 4.0)), "allow more epochs");
    assert!((ask(sized).unwrap().weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    let three = Point::new().samples(1e9).parameters(1e8).mixture(&[0.2, 0.3, 0.5]);
    assert_eq!(named(fit.predict("m", &three)), ["mixture"]);
    says(Candidate::pool("m").check(&fit), "candidate `m`");
    let weights = vec![0.5, 0.5];
    assert!(Candidate::pool("m").mixture(weights).predict(&fit, 1e9).unwrap() > 1.0);
}

#[test]
fn tables_and_files_that_make_no_sense_are_refused() {
    let options = ReadOptions::default();
    for text in ["", "error\n", "\u{0}", "error\n\n\n1e999\n", "error\n\"", "a,b\n1\n"] {
        let _ = Observations::from_csv(text.as_bytes(), "t", &options).map(|t| t.digest());
        let _ = Observations::from_json_lines(text.as_bytes(), "t", &options).map(|t| t.digest());
    }
    says(Observations::read(Path::new(""), &options), "cannot be read");
    says(SavedFit::<LawKind>::load(Path::new("/")), "cannot be read");
    let (data, fit, draws) = runs();
    let saved = SavedFit::new(fit, Some(draws));
    says(saved.save(Path::new("/")), "cannot be read or written");
    says(SavedFit::<Qqt>::from_json("{}", "f"), "format");
    let text = saved.to_json();
    for (from, to) in
        [("\"minima\": [", "\"minima\": [], \"was\": ["), ("\"parameter\": 1", "\"parameter\": 9")]
    {
        assert!(text.contains(from), "{from}");
        let broken = text.replace(from, to);
        says(SavedFit::<Qqt>::from_json(&broken, "f"), "its layout");
        assert!(serde_json::from_str::<SavedFit<Qqt>>(&broken).is_err());
    }
    let empty = data.filter(|_| false);
    says(params().fit(&empty, &NoProgress), "0 observations");
    assert!(compare(&[params()], &empty, &NoProgress).unwrap().is_empty());
    says(leave_largest_budget_out(&params(), &empty, &NoProgress), "no run has a budget");
    assert_eq!(decision_accuracy(&[f64::NAN], &[1.0, 2.0, f64::NAN]), None);
}

#[test]
fn pictures_are_drawn_of_any_curves() {
    let (_, fit, draws) = runs();
    let pools = [Candidate::pool("good")];
    let drawn = curves(&fit, &draws, &pools, Span::new(1e7, 1e9), 3, 0.9).unwrap();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -1e300, 1e300] {
        let mut broken: Curves = drawn.clone();
        broken.points[1].samples = bad;
        broken.points[2].metric = bad;
        assert!(broken.to_svg("x").ends_with("</svg>\n"));
        broken.points.truncate(1);
        assert!(broken.to_svg("x").ends_with("</svg>\n") && broken.to_csv().lines().count() == 2);
        broken.points.clear();
        broken.level = bad;
        assert!(broken.to_svg("x").ends_with("</svg>\n") && broken.to_json().ends_with("}\n"));
    }
}

/// Stops the work after some units of it, and counts the tasks that are open.
#[derive(Default)]
struct Stopping {
    after: usize,
    done: AtomicUsize,
    open: AtomicUsize,
}

impl Progress for Stopping {
    fn start(&self, _task: &str, total: u64, _unit: &str) {
        assert!(total > 0);
        self.open.fetch_add(1, Ordering::Relaxed);
    }
    fn advance(&self, by: u64) {
        self.done.fetch_add(by as usize, Ordering::Relaxed);
    }
    fn finish(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
    fn is_cancelled(&self) -> bool {
        self.done.load(Ordering::Relaxed) >= self.after
    }
}

#[test]
fn long_work_stops_when_asked_and_closes_its_task() {
    let (data, fit, _) = runs();
    let stopped = |work: &dyn Fn(&dyn Progress) -> Result<(), ScalingError>| {
        let progress = Stopping { after: 1, ..Stopping::default() };
        let error = work(&progress).unwrap_err();
        assert!(matches!(error, ScalingError::Cancelled(Cancelled)), "{error}");
        assert_eq!(progress.open.load(Ordering::Relaxed), 0);
    };
    stopped(&|progress| params().fit(&data, progress).map(drop));
    let draws = BootstrapParams::default().draws(200);
    stopped(&|progress| draws.run(&fit, &data, progress).map(drop));
    stopped(&|progress| profile(&fit, &data, "d", &[0.1, 0.2], progress).map(drop));
    stopped(&|progress| Ok(compare(&[params(), params()], &data, progress).map(drop)?));
}

#[test]
fn progress_ends_at_its_total() {
    let (data, fit, _) = runs();
    #[derive(Default)]
    struct Counting {
        total: AtomicUsize,
        done: AtomicUsize,
    }
    impl Progress for Counting {
        fn start(&self, _task: &str, total: u64, _unit: &str) {
            self.total.fetch_add(total as usize, Ordering::Relaxed);
        }
        fn advance(&self, by: u64) {
            self.done.fetch_add(by as usize, Ordering::Relaxed);
        }
    }
    let counted = |work: &dyn Fn(&dyn Progress)| {
        let progress = Counting::default();
        work(&progress);
        let (total, done) = (progress.total.into_inner(), progress.done.into_inner());
        assert_eq!(total, done);
        total
    };
    let huber = params().loss(Loss::Huber { delta: 1e-3 });
    assert_eq!(counted(&|p| drop(params().fit(&data, p).unwrap())), 4);
    assert!(counted(&|p| drop(huber.clone().fit(&data, p).unwrap())) > 4);
    let draws = BootstrapParams::default().draws(30);
    assert_eq!(counted(&|p| drop(draws.run(&fit, &data, p).unwrap())), 30);
    let values = [0.1, 0.15, 0.2];
    assert_eq!(counted(&|p| drop(profile(&fit, &data, "d", &values, p).unwrap())), 3 + 2 * 2);
    assert_eq!(counted(&|p| drop(compare(&[params()], &data, p).unwrap())), 1);
}

/// Every number, list and object of a saved fit, damaged in turn: an error, or a fit that answers.
#[test]
fn no_damage_to_a_saved_fit_panics() {
    let (_, fit, draws) = runs();
    let text = SavedFit::new(fit, Some(draws)).to_json();
    let whole: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut places = Vec::new();
    collect(&whole, String::new(), &mut places);
    let shown = |place: &str| place.matches('/').count() < 4 || place.contains("/2");
    let mut refused = 0;
    for place in places.iter().filter(|place| shown(place)) {
        for damage in ["null", "[]", "{}", "-1e308", "1e308", "\"x\"", "7"] {
            let mut value = whole.clone();
            *value.pointer_mut(place).unwrap() = serde_json::from_str(damage).unwrap();
            match SavedFit::<Qqt>::from_json(&value.to_string(), "f") {
                Ok(read) => ask(&read),
                Err(_) => refused += 1,
            }
        }
        let mut value = whole.clone();
        if let Some(serde_json::Value::Array(list)) = value.pointer_mut(place) {
            list.pop();
            if let Ok(read) = SavedFit::<Qqt>::from_json(&value.to_string(), "f") {
                ask(&read);
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

fn collect(value: &serde_json::Value, place: String, places: &mut Vec<String>) {
    places.push(place.clone());
    match value {
        serde_json::Value::Array(all) => {
            let each = all.iter().enumerate();
            each.for_each(|(i, item)| collect(item, format!("{place}/{i}"), places));
        }
        serde_json::Value::Object(all) => {
            all.iter().for_each(|(key, item)| collect(item, format!("{place}/{key}"), places));
        }
        _ => {}
    }
}

/// Everything that a saved fit can be asked; errors are fine.
fn ask(saved: &SavedFit<Qqt>) {
    let pools = Candidate::cumulative(&["good", "fair"]);
    let Ok(Some(blend)) = saved.blend() else { return };
    let runs = [Experiment { candidate: pools[0].clone(), samples: 2e7 }];
    let _ = blend.best_pool(&pools, 1e8, 0.9);
    let _ = blend.switch_points(&pools, Span::new(1e7, 1e9), 0.9);
    let _ = blend.next_experiment(&pools, 1e8, &runs);
    let _ = blend.samples_multiplier(&pools[0], &pools[1], 1e8, 0.9);
    let _ = blend.curves(&pools, Span::new(1e7, 1e9), 3, 0.9, &NoProgress).map(|c| c.to_svg("t"));
    let _ = saved.fit.predict_interval("good", &Point::new().samples(1e8).unique(1e7), 0.9);
    let _ = saved.fit.parameters(0.9);
}
