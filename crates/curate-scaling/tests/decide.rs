//! Decisions agree with direct computation.

#![allow(clippy::unwrap_used)]

use curate_scaling::decide::*;
use curate_scaling::fit::RangeAxis;
use curate_scaling::law::{
    AdditiveMixing, Chinchilla, DataConstrained, ExponentialMixing, Power, Qqt,
};
use curate_scaling::weigh::weigh;
use curate_scaling::{
    BootstrapParams, Ensemble, Fit, FitParams, Law, LawKind, Metric, NoProgress, Observation,
    Observations, Point, Resample, SavedFit, ScalingError, Span, curves, example_runs,
};

fn fitted() -> (Observations, Fit<Qqt>, Ensemble) {
    let data = example_runs();
    let params = FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life");
    let fit = params.fit(&data, &NoProgress).unwrap();
    let draws = BootstrapParams::default().draws(300).run(&fit, &data, &NoProgress).unwrap();
    (data, fit, draws)
}

fn tops() -> Vec<Candidate> {
    Candidate::cumulative(&["good", "fair", "poor"])
}

#[test]
fn frequencies_sum_to_one_and_the_switch_separates_the_winners() {
    let (_, fit, draws) = fitted();
    let switches = switch_points(&fit, &draws, &tops(), Span::new(1e7, 1e10), 0.9).unwrap();
    assert_eq!((switches[0].from.as_str(), switches[0].to.as_str()), ("good", "good+fair"));
    let at = switches[0].samples;
    assert!(at.low < at.estimate && at.estimate < at.high);
    for (samples, winner) in [(0.98 * at.estimate, "good"), (1.02 * at.estimate, "good+fair")] {
        let best = best_pool(&fit, &draws, &tops(), samples, 0.9).unwrap();
        assert_eq!(best.best().name, winner);
        assert!((best.ranking().iter().map(|r| r.wins).sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(best.ranking().windows(2).all(|w| w[0].metric.estimate <= w[1].metric.estimate));
        assert!(best.best().wins > 0.2 && best.best().wins < 0.8, "near the switch nobody is sure");
    }
    let sure = best_pool(&fit, &draws, &tops(), 1e7, 0.9).unwrap();
    assert!((sure.best().wins - 1.0).abs() < 1e-9);
    assert_eq!(sure.best().regret, 0.0);
}

#[test]
fn questions_beyond_the_data_are_flagged() {
    let (_, fit, draws) = fitted();
    let inside = best_pool(&fit, &draws, &[Candidate::pool("good")], 4e7, 0.9).unwrap();
    assert!(inside.best().out_of_range.is_empty());
    let beyond = best_pool(&fit, &draws, &[Candidate::pool("good")], 4e8, 0.9).unwrap();
    let axes: Vec<RangeAxis> = beyond.best().out_of_range.iter().map(|o| o.axis).collect();
    assert_eq!(axes, [RangeAxis::Samples, RangeAxis::Epochs]);
}

#[test]
fn a_multiplier_is_the_ratio_of_equal_errors() {
    let (_, fit, draws) = fitted();
    let (good, poor) = (Candidate::pool("good"), Candidate::pool("poor"));
    let found = samples_multiplier(&fit, &draws, &good, &poor, 1e7, 0.9).unwrap();
    let at = |pool: &str, n: f64| fit.predict(pool, &Point::new().samples(n).unique(1e7)).unwrap();
    let same = at("poor", 1e7 * found.multiplier.estimate);
    assert!((same - at("good", 1e7)).abs() < 1e-9);
    assert!(found.multiplier.estimate > 1.0 && found.multiplier.low > 1.0);
    let own = samples_multiplier(&fit, &draws, &good, &good, 1e7, 0.9).unwrap();
    assert!((own.multiplier.low - 1.0).abs() < 1e-9 && (own.multiplier.high - 1.0).abs() < 1e-9);
}

#[test]
fn a_pool_that_never_gets_there_has_an_infinite_multiplier() {
    let (_, fit, draws) = fitted();
    let (good, poor) = (Candidate::pool("good"), Candidate::pool("poor"));
    let wide = poor.clone().pool_size("poor", 1e12);
    let found = samples_multiplier(&fit, &draws, &wide, &good, 1e11, 0.9).unwrap();
    assert_eq!(found.multiplier.estimate, f64::INFINITY);
    assert!(found.never > 0.9);
}

#[test]
fn a_larger_pool_is_never_worse() {
    let (_, fit, _) = fitted();
    let at =
        |unique: f64| Candidate::pool("good").pool_size("good", unique).predict(&fit, 2e8).unwrap();
    assert!(at(1e7) > at(2e7) && at(2e7) > at(1e8));
    assert_eq!(Candidate::union("all", ["good", "fair"]).total_unique(&fit), Some(2e7));
}

#[test]
fn unanswerable_questions_say_what_to_do() {
    let (data, fit, draws) = fitted();
    let ask = |candidates: &[Candidate]| best_pool(&fit, &draws, candidates, 1e8, 0.9);
    let says = |e: ScalingError, part: &str| assert!(e.to_string().contains(part), "{e}");
    says(ask(&[Candidate::pool("gold")]).unwrap_err(), "good, fair, poor");
    says(ask(&[]).unwrap_err(), "at least one pool");
    says(best_pool(&fit, &draws, &tops(), 1e8, 1.5).unwrap_err(), "between 0 and 1");
    says(switch_points(&fit, &draws, &tops(), Span::new(1e9, 1e8), 0.9).unwrap_err(), "range.high");
    let power = FitParams::new(Power).per_pool("A").fit(&data, &NoProgress).unwrap();
    let draws = BootstrapParams::default().draws(10).run(&power, &data, &NoProgress).unwrap();
    says(best_pool(&power, &draws, &tops(), 1e8, 0.9).unwrap_err(), "no rule for unions");
}

#[test]
fn pools_that_are_predicted_equal_have_no_winner() {
    let data = example_runs();
    let blind = FitParams::new(Power).fit(&data, &NoProgress).unwrap();
    let draws = BootstrapParams::default().draws(30).run(&blind, &data, &NoProgress).unwrap();
    let pools = ["good", "fair", "poor"].map(Candidate::pool);
    let answer = best_pool(&blind, &draws, &pools, 3e8, 0.9).unwrap();
    assert!(answer.winner().is_none());
    assert_eq!(answer.tied(), ["good", "fair", "poor"]);
    for ranked in answer.ranking() {
        assert!((ranked.wins - 1.0 / 3.0).abs() < 1e-12, "{ranked:?}");
        assert_eq!(ranked.regret, 0.0);
    }
    let switches = switch_points(&blind, &draws, &pools, Span::new(1e7, 1e10), 0.9).unwrap();
    assert!(switches.is_empty(), "{switches:?}");
    let joined = across_laws(&[answer]);
    assert!(joined.iter().all(|c| c.best_of.is_empty()), "{joined:?}");

    let (_, fit, draws) = fitted();
    let clear = best_pool(&fit, &draws, &tops(), 1e7, 0.9).unwrap();
    assert_eq!(clear.winner().unwrap().name, clear.best().name);
    assert!(clear.tied().is_empty());
}

#[test]
fn a_candidate_counts_once() {
    let (_, fit, draws) = fitted();
    let ask = |candidates: &[Candidate]| best_pool(&fit, &draws, candidates, 1e8, 0.9);
    let union = |name: &str, pools: &[&str]| Candidate::union(name, pools.iter().copied());
    for (candidates, parts) in [
        (vec![union("+", &["", ""])], ["`candidate` is +,", "with names"]),
        (vec![union("x", &["good"; 3])], ["`candidate` is x,", "different pools"]),
        (vec![union("x", &[])], ["`candidate` is x,", "a pool, or"]),
        (vec![Candidate::pool("good"); 2], ["called `good`", "once"]),
        (
            vec![union("a", &["good", "fair"]), union("b", &["fair", "good"])],
            ["`a` and `b` are the same", "once"],
        ),
    ] {
        let message = ask(&candidates).unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "{message} lacks {part}");
        }
    }
    let larger = Candidate::pool("good").pool_size("good", 1e9).named("what if");
    assert!(ask(&[Candidate::pool("good"), larger]).is_ok());
}

#[test]
fn several_laws_answer_together_and_alone_where_others_cannot() {
    let data = example_runs();
    let laws = ["power", "qqt", "qqt-data"].map(|name| name.parse::<LawKind>().unwrap());
    let params = laws.map(|law| FitParams::cautious(law, &data));
    let draws = BootstrapParams::default().draws(120);
    let mut found = weigh(&params, &data, draws, &NoProgress).unwrap();
    // The power law, which has no rule for unions, is too bad here to have a say: give it one.
    if !found.members.iter().any(|(fit, _)| fit.law().name() == "power") {
        let fit = params[0].clone().fit(&data, &NoProgress).unwrap();
        let draws = draws.resample(Resample::Posterior).run(&fit, &data, &NoProgress).unwrap();
        found.members.push((fit, draws));
    }
    let saved = SavedFit::of_several(found.members).unwrap();
    assert!(saved.to_json().contains("curate-scaling/2"));
    let saved: SavedFit = SavedFit::from_json(&saved.to_json(), "fit.json").unwrap();
    let blend = saved.blend().unwrap().unwrap();
    let shares: f64 = blend.shares().iter().map(|(_, share)| share).sum();
    assert!((shares - 1.0).abs() < 1e-12);
    let (unions, left_out) = blend.answering(&tops()).unwrap();
    assert_eq!(left_out, ["power"]);
    assert!(unions.shares().len() < blend.shares().len());
    let answer = unions.best_pool(&tops(), 1.5e8, 0.9).unwrap();
    assert_eq!(answer.winner().unwrap().name, "good+fair");
    let one = unions.predict(&tops()[0], 1.5e8, 0.9).unwrap();
    assert_eq!(
        one.metric,
        answer.ranking().iter().find(|r| r.name == "good").unwrap().metric.estimate
    );
    assert!(blend.answering(&[Candidate::pool("gold")]).is_err());
    let other = data.filter(|row| row.pool != "poor");
    let stranger = params[1].clone().fit(&other, &NoProgress).unwrap();
    let drawn = draws.run(&stranger, &other, &NoProgress).unwrap();
    let (fit, first) = (&saved.fit, saved.draws.as_ref().unwrap());
    assert!(Blend::new(vec![(fit, first), (&stranger, &drawn)]).is_err());
}

#[test]
fn beyond_the_runs_intervals_grow_by_what_the_law_has_missed() {
    let data = example_runs();
    let fit = FitParams::cautious(LawKind::from(Power), &data).fit(&data, &NoProgress).unwrap();
    let draws = BootstrapParams::default().draws(400).resample(Resample::Posterior);
    let still = draws.run(&fit, &data, &NoProgress).unwrap();
    let text = SavedFit::new(fit.clone(), Some(still.clone())).to_json();
    let drifting = text.replace("\"drift\": 0.0", "\"drift\": 0.02");
    let drifting: SavedFit = SavedFit::from_json(&drifting, "f").unwrap();
    let drifting = drifting.draws.unwrap();
    assert_eq!(drifting.drift(), 0.02);
    let width = |draws: &Ensemble, samples| {
        let at = Candidate::pool("good").predict_interval(&fit, draws, samples, 0.9).unwrap();
        at.curve.high - at.curve.low
    };
    assert_eq!(width(&still, 8e7), width(&drifting, 8e7), "the largest run has 80 million");
    assert!(width(&drifting, 8e8) > width(&still, 8e8) + 0.02);
}

#[test]
fn laws_vote() {
    let (data, fit, draws) = fitted();
    let law = curate_scaling::law::Qqt {
        form: curate_scaling::law::QqtForm::EffectiveData,
        ..Qqt::default()
    };
    let other =
        FitParams::new(law).per_pool("b").per_pool("half_life").fit(&data, &NoProgress).unwrap();
    let other_draws =
        BootstrapParams::default().draws(300).run(&other, &data, &NoProgress).unwrap();
    let a = best_pool(&fit, &draws, &tops(), 3e8, 0.9).unwrap();
    let b = best_pool(&other, &other_draws, &tops(), 3e8, 0.9).unwrap();
    let joined = across_laws(&[a.clone(), b.clone()]);
    assert!((joined.iter().map(|c| c.wins).sum::<f64>() - 1.0).abs() < 1e-9);
    let of = |r: &BestPool, name: &str| r.ranking().iter().find(|x| x.name == name).unwrap().wins;
    let mean = 0.5 * (of(&a, &joined[0].name) + of(&b, &joined[0].name));
    assert!((joined[0].wins - mean).abs() < 1e-12);
}

#[test]
fn the_next_experiment_settles_more_doubt_than_a_repeat_of_what_is_known() {
    let (_, fit, draws) = fitted();
    let run = |candidate: &Candidate, samples| Experiment { candidate: candidate.clone(), samples };
    let all = tops();
    let options = [run(&all[1], 1.6e8), run(&all[0], 1e7)];
    let ranked = next_experiment(&fit, &draws, &all, 3e8, &options).unwrap();
    assert_eq!(ranked[0].candidate, "good+fair");
    assert!(ranked[0].settles > 0.3 && ranked[0].settles <= 1.0, "{ranked:?}");
    assert!(ranked[1].settles < 0.5 * ranked[0].settles, "{ranked:?}");
}

fn chinchilla() -> Fit<LawKind> {
    let law = LawKind::from(Chinchilla { tied: false });
    let theta = [1.7, 400.0, 0.34, 410.0, 0.28];
    fit_exactly(law, &theta)
}

fn fit_exactly(law: LawKind, theta: &[f64]) -> Fit<LawKind> {
    let mut rows = Vec::new();
    for parameters in [1e7, 1e8, 1e9, 4e9] {
        for samples in [1e8, 1e9, 1e10, 1e11] {
            for unique in [3e8, 1e12] {
                let row = Observation::new("web", 1.0).samples(samples).parameters(parameters);
                let row = row.unique(unique);
                let value = law.predict(&row.point(), theta).unwrap();
                rows.push(Observation { value, ..row });
            }
        }
    }
    let data = Observations::new(Metric::Loss, vec![], rows).unwrap();
    let names: Vec<String> = law.params().iter().map(|p| p.name.to_string()).collect();
    let fixed = names
        .iter()
        .zip(theta)
        .skip(1)
        .fold(FitParams::new(law), |p, (name, value)| p.fix(name, *value));
    fixed.fit(&data, &NoProgress).unwrap()
}

#[test]
fn allocation_matches_the_chinchilla_closed_form() {
    let fit = chinchilla();
    let (a, alpha, b, beta) = (400.0f64, 0.34f64, 410.0f64, 0.28f64);
    for compute in [1e19, 1e21, 1e23] {
        let g = (alpha * a / (beta * b)).powf(1.0 / (alpha + beta));
        let expected = g * (compute / 6.0f64).powf(beta / (alpha + beta));
        let params = AllocationParams::new(compute).check().unwrap();
        let found = params.optimum(&fit, "web").unwrap();
        assert!((found.parameters / expected - 1.0).abs() < 1e-5, "{found:?} {expected}");
        assert!((6.0 * found.parameters * found.samples / compute - 1.0).abs() < 1e-12);
        assert!(!found.at_cap && found.epochs.is_none());
    }
}

#[test]
fn little_data_moves_the_optimum_to_fewer_samples_and_caps_bind() {
    let theta = [1.7, 400.0, 0.34, 410.0, 0.28, 15.0, 5.0];
    let fit = fit_exactly(LawKind::from(DataConstrained::default()), &theta);
    let ask = |params: AllocationParams| params.check().unwrap().optimum(&fit, "web").unwrap();
    let (plenty, scarce) =
        (ask(AllocationParams::new(1e22)), ask(AllocationParams::new(1e22).unique(2e9)));
    assert!(scarce.metric > plenty.metric && scarce.epochs.unwrap() > 1.0, "{scarce:?} {plenty:?}");
    let by_grid = |samples: f64| {
        let parameters = 1e22 / 6.0 / samples;
        let at = Point::new().samples(samples).unique(2e9).parameters(parameters);
        fit.predict("web", &at).unwrap()
    };
    assert!((0..2000).all(|i| by_grid(1e8 * 1.006f64.powi(i)) >= scarce.metric - 1e-9));
    let capped = ask(AllocationParams::new(1e22).unique(2e9).max_epochs(4.0));
    assert!(capped.at_cap && (capped.epochs.unwrap() - 4.0).abs() < 1e-3, "{capped:?}");
    assert_eq!(
        AllocationParams::new(-1.0)
            .unique(0.0)
            .max_epochs(0.0)
            .check()
            .unwrap_err()
            .violations
            .len(),
        3
    );
    let (_, qqt, _) = fitted();
    let error = AllocationParams::new(1e20).check().unwrap().optimum(&qqt, "good");
    assert!(error.unwrap_err().to_string().contains("model size"));
}

fn mixed(law: LawKind, theta: &[f64]) -> Fit<LawKind> {
    let mut rows = Vec::new();
    for i in 0..=8 {
        for j in 0..=(8 - i) {
            let share = |k: i32| (f64::from(k) + 0.1) / 8.3;
            let mixture = vec![share(i), share(j), share(8 - i - j)];
            let row = Observation::new("m", 1.0).samples(1e9).parameters(1e8).mixture(mixture);
            let row = row.samples(1e9 * f64::from(1 + (i + j) % 3));
            let value = law.predict(&row.point(), theta).unwrap();
            rows.push(Observation { value, ..row });
        }
    }
    let domains = ["books", "code", "web"].map(String::from).to_vec();
    let data = Observations::new(Metric::Loss, domains, rows).unwrap();
    let names: Vec<String> = law.params().iter().map(|p| p.name.to_string()).collect();
    let fixed = names
        .iter()
        .zip(theta)
        .skip(1)
        .fold(FitParams::new(law), |p, (name, value)| p.fix(name, *value));
    fixed.fit(&data, &NoProgress).unwrap()
}

#[test]
fn the_mixture_optimum_beats_every_mixture_on_a_grid_and_keeps_its_caps() {
    let theta = [1.0, 400.0, 0.34, 410.0, 0.28, 1.0, 2.0, 1.5, 0.4, 0.6, 0.8];
    let fit = mixed(AdditiveMixing { domains: 3 }.into(), &theta);
    let params = MixtureParams::new(1e10).parameters(1e8).epoch_caps(vec![1e9, 5e8, 1e12], 4.0);
    let found = params.check().unwrap().optimum(&[&fit]).unwrap();
    assert!((found.weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    assert_eq!(found.at_cap, [false, true, false]);
    assert!((found.weights[1] - 0.2).abs() < 1e-6 && (found.epochs[1] - 4.0).abs() < 1e-4);
    let value = |mixture: &[f64]| {
        let at = Point::new().samples(1e10).parameters(1e8).mixture(mixture);
        fit.predict("m", &at).unwrap()
    };
    assert!((value(&found.weights) - found.metric).abs() < 1e-12);
    for i in 1..100 {
        for j in 1..(100 - i) {
            let w = [f64::from(i) / 100.0, f64::from(j) / 100.0, f64::from(100 - i - j) / 100.0];
            assert!(value(&w) >= found.unconstrained_metric - 1e-9);
            if w[0] <= 0.4 && w[1] <= 0.2 {
                assert!(value(&w) >= found.metric - 1e-9, "{w:?}");
            }
        }
    }
}

#[test]
fn two_exponential_targets_share_the_simplex() {
    let first = mixed(ExponentialMixing { domains: 3 }.into(), &[1.0, -2.0, 1.0, 1.0]);
    let second = mixed(ExponentialMixing { domains: 3 }.into(), &[1.0, 1.0, -2.0, 1.0]);
    let found = MixtureParams::new(1e9).check().unwrap().optimum(&[&first, &second]).unwrap();
    for (weight, want) in found.weights.iter().zip([0.5, 0.5, 0.0]) {
        assert!((weight - want).abs() < 1e-4, "{found:?}");
    }
    let tight = MixtureParams::new(1e9).epoch_caps(vec![1e7; 3], 4.0).check().unwrap();
    let message = tight.optimum(&[&first]).unwrap_err().to_string();
    assert!(message.contains("allow more epochs"), "{message}");
}

#[test]
fn a_saved_fit_reads_back_to_the_same_bytes() {
    let data = example_runs();
    let law = LawKind::from(Qqt::default());
    let fit = FitParams::new(law).per_pool("b").fit(&data, &NoProgress).unwrap();
    let draws = BootstrapParams::default().draws(20).run(&fit, &data, &NoProgress).unwrap();
    let saved = SavedFit::new(fit, Some(draws));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fit.json");
    saved.save(&path).unwrap();
    let read: SavedFit = SavedFit::load(&path).unwrap();
    assert_eq!(read, saved);
    assert_eq!(read.to_json(), saved.to_json());
    read.check_data(&data).unwrap();
    assert!(read.check_data(&data.filter(|r| r.pool == "good")).is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no partial file is left");
    // Files from before laws could drift.
    let older = saved.to_json().replace(",\n    \"drift\": 0.0", "");
    assert_eq!(SavedFit::<LawKind>::from_json(&older, "fit.json").unwrap(), saved);
    assert_ne!(older, saved.to_json());
    let newer = saved.to_json().replace("curate-scaling/1", "curate-scaling/9");
    let message = SavedFit::<LawKind>::from_json(&newer, "fit.json").unwrap_err().to_string();
    assert!(message.contains("curate-scaling/9") && message.contains("fit again"), "{message}");
}

#[test]
fn curves_are_written_as_csv_json_and_svg() {
    let (data, fit, draws) = fitted();
    let mut candidates = tops();
    candidates[2] = candidates[2].clone().named("all, <30 %>");
    let found = curves(&fit, &draws, &candidates, Span::new(1e7, 1e9), 25, 0.9).unwrap();
    let found = found.with_runs(&data, &candidates);
    assert_eq!((found.points.len(), found.measured.len()), (75, 15));
    assert!(found.points.iter().all(|p| p.low <= p.metric && p.metric <= p.high + 1e-12));
    let csv = found.to_csv();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<(String, f64, f64, f64, f64, bool)> =
        reader.deserialize().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows.len(), 75);
    assert_eq!(rows[74].0, "all, <30 %>");
    assert_eq!(rows[74].2, found.points[74].metric);
    let read: curate_scaling::Curves = serde_json::from_str(&found.to_json()).unwrap();
    assert_eq!(read, found);

    let svg = found.to_svg("Pools & budgets");
    for part in ["Pools &amp; budgets", "all, &lt;30 %&gt;", "samples seen", "error (%)", "beyond"]
    {
        assert!(svg.contains(part), "{part}");
    }
    let count = |part: &str| svg.matches(part).count();
    assert_eq!(count("<polygon"), 3);
    assert_eq!(count("<circle"), 5, "one for each run of the one candidate that is a pool alone");
    assert_eq!(count("<text"), count("</text>"));
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
}
