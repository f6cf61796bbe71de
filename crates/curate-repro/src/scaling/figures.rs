//! The book's plots, and the numbers that its text says of them.

use super::ahead::laws;
use super::seen;
use anyhow::{Context, Result};
use curate_core::NoProgress;
use curate_scaling::decide::{Blend, Candidate, switch_points};
use curate_scaling::law::{HalfLife, Law, Point, Qqt, QqtForm, normalizer_from_unit_samples};
use curate_scaling::uncertainty::{ProfilePoint, profile};
use curate_scaling::weigh::weigh;
use curate_scaling::{
    BootstrapParams, CurvePoint, Curves, Fit, FitParams, Measured, Observations, Span, curves,
};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const LEVEL: f64 = 0.9;
/// The largest budget at which runs were held out.
const HELD_OUT: f64 = 3.4e10;
/// Points of each curve.
const POINTS: usize = 80;
/// The pool whose ridge is drawn.
const RIDGE_POOL: &str = "LAION-2B";
/// Its distinct samples.
const RIDGE_UNIQUE: f64 = 2e9;
/// Floors that are shown, of those that the runs allow.
const RIDGE_CURVES: usize = 4;

const PROPORTIONAL: Qqt =
    Qqt { form: QqtForm::Utility, half_life: HalfLife::Proportional, compat: false };

fn each_pool(runs: &Observations) -> Vec<Candidate> {
    runs.pools().into_iter().map(Candidate::pool).collect()
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())
}

/// All nine runs of an architecture, each pool with its own quality: the filtered pool wins while
/// it is fresh, the larger one later.
pub(super) fn trade_off(runs: &Observations, images: &Path) -> Result<Value> {
    let fit = FitParams::new(Qqt::default()).per_pool("b").fit(runs, &NoProgress)?;
    let draws = BootstrapParams::default().run(&fit, runs, &NoProgress)?;
    let pools = each_pool(runs);
    let range = Span::new(1e9, 3e11);
    let drawn = curves(&fit, &draws, &pools, range, POINTS, LEVEL)?.with_runs(runs, &pools);
    let title = "Quality against quantity: CLIP ViT-B/16 on three LAION pools";
    write(&images.join("scaling-trade-off.svg"), &drawn.to_svg(title))?;
    let quality: Vec<Value> = runs
        .pools()
        .iter()
        .map(|pool| Ok(json!({"pool": pool, "b": fit.get(&format!("b[{pool}]"))?})))
        .collect::<Result<_>>()?;
    Ok(json!({
        "quality": quality,
        "switches": switch_points(&fit, &draws, &pools, range, LEVEL)?,
    }))
}

/// One pool's curve for several floors that the nine runs cannot tell apart.
pub(super) fn ridge(runs: &Observations, images: &Path) -> Result<Value> {
    let fit = FitParams::new(PROPORTIONAL).fit(runs, &NoProgress)?;
    let floors: Vec<f64> = (10..=30).map(|percent| f64::from(percent) / 100.0).collect();
    let valley = profile(&fit, runs, "d", &floors, &NoProgress)?;
    let limit = valley.threshold(LEVEL)?;
    let inside: Vec<_> = valley.points.iter().filter(|point| point.objective <= limit).collect();
    let spread = |i: usize| inside[(2 * i * (inside.len() - 1) + 3) / 6];
    let shown: Vec<&ProfilePoint> = (0..RIDGE_CURVES).map(spread).collect();
    let title = "The ridge: four laws that fit nine runs, LAION-2B, ViT-B/16";
    let drawn = ridge_curves(&fit, runs, &shown);
    write(&images.join("scaling-ridge.svg"), &drawn.to_svg(title))?;
    let rows = runs.rows().len() as f64;
    let row = |point: &&ProfilePoint| {
        json!({
            "d": point.value,
            "a": normalizer_from_unit_samples(point.theta[0]),
            "rmse_points": 100.0 * (point.objective / rows).sqrt(),
            "at_34B": 100.0 * ridge_metric(&point.theta, HELD_OUT),
            "at_340B": 100.0 * ridge_metric(&point.theta, 10.0 * HELD_OUT),
        })
    };
    Ok(shown.iter().map(row).collect())
}

fn ridge_metric(theta: &[f64], samples: f64) -> f64 {
    PROPORTIONAL.eval(&Point::new().samples(samples).unique(RIDGE_UNIQUE), theta, None)
}

/// The curves of several parameter vectors, with the pool's runs. Budgets beyond the held-out runs
/// are drawn as out of range.
fn ridge_curves(fit: &Fit<Qqt>, runs: &Observations, shown: &[&ProfilePoint]) -> Curves {
    let name = |point: &ProfilePoint| format!("floor {:.0} %", 100.0 * point.value);
    let mut points = Vec::new();
    for point in shown {
        for step in 0..POINTS {
            let samples = 2e9 * 250f64.powf(step as f64 / (POINTS - 1) as f64);
            let metric = ridge_metric(&point.theta, samples);
            let (low, high, in_range) = (metric, metric, samples <= HELD_OUT);
            points.push(CurvePoint {
                candidate: name(point),
                samples,
                metric,
                low,
                high,
                in_range,
            });
        }
    }
    let of_pool = runs.filter(|row| row.pool == RIDGE_POOL);
    let measured = of_pool.rows().iter().map(|row| Measured {
        pool: RIDGE_POOL.into(),
        candidate: Some(name(shown[0])),
        samples: seen(row),
        metric: row.value,
    });
    let mut range = fit.range().clone();
    range.samples = range.samples.map(|span| Span { high: HELD_OUT, ..span });
    Curves {
        law: fit.law().name().into(),
        metric: fit.metric(),
        level: LEVEL,
        candidates: shown.iter().map(|point| name(point)).collect(),
        points,
        switches: Vec::new(),
        measured: measured.collect(),
        range,
    }
}

/// Five runs of at most 13 billion samples, and what they say of 34 billion when no law is named.
pub(super) fn five_runs(runs: &Observations, table: &Path, images: &Path) -> Result<Value> {
    let small = runs.filter(|row| seen(row) < 2e10 && !(row.pool == "LAION-2B" && seen(row) > 5e9));
    let mut text = String::from("pool,samples,unique,error\n");
    for row in small.rows() {
        let (samples, unique) = (seen(row), row.unique.unwrap_or(f64::NAN));
        text += &format!("{},{samples},{unique},{:.5}\n", row.pool, row.value);
    }
    write(table, &text)?;
    let draws = BootstrapParams::default();
    let found = weigh(&laws(&small), &small, draws, &NoProgress)?;
    let blend = Blend::new(found.members.iter().map(|(fit, draws)| (fit, draws)).collect())?;
    let pools = each_pool(runs);
    let range = Span::new(2e9, 4e10);
    let drawn = blend.curves(&pools, range, POINTS, LEVEL, &NoProgress)?;
    let drawn = drawn.with_runs(runs, &pools);
    let title = "Five small runs, drawn with the four large ones they did not see: ViT-B/32";
    write(&images.join("scaling-five-runs.svg"), &drawn.to_svg(title))?;
    let answer = blend.best_pool(&pools, HELD_OUT, LEVEL)?;
    let with_truth = answer.ranking().iter().map(|ranked| {
        let held = runs.rows().iter().find(|row| row.pool == ranked.name && seen(row) > 2e10);
        json!({"ranked": ranked, "measured": held.map(|row| row.value)})
    });
    Ok(with_truth.collect())
}
