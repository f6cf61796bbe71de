//! Measures every claim again and draws the book's plots:
//! `cargo run --release -p curate-scaling --example repro -- DATA RESULTS.json FIVE_RUNS.csv IMAGES`.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for the command line")]

use curate_scaling::decide::{Candidate, best_pool, switch_points};
use curate_scaling::fit::Span;
use curate_scaling::law::{HalfLife, Law, Point, Qqt};
use curate_scaling::uncertainty::profile;
use curate_scaling::{
    BootstrapParams, CurvePoint, Curves, FitParams, Measured, Observation, Observations, curves,
    repro,
};
use serde_json::{Value, json};
use std::error::Error;
use std::fs;
use std::path::Path;

const LEVEL: f64 = 0.9;
/// The largest budget at which runs were held out.
const HELD_OUT: f64 = 3.4e10;
const POINTS: usize = 80;

type Answer<T> = Result<T, Box<dyn Error>>;

fn main() -> Answer<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [data, results, five_runs, images] = &args[..] else {
        return Err(
            "give the data folder, the results, the five runs and the images' folder".into()
        );
    };
    let (data, images) = (Path::new(data), Path::new(images));
    let runs = repro::clip(data)?;
    let report = json!({
        "command": "cargo xtask repro scaling",
        "trade_off": trade_off(&in_group(&runs, "ViT-B-16"), images)?,
        "ridge": ridge(&in_group(&runs, "ViT-B-16"), images)?,
        "five_runs": five(&in_group(&runs, "ViT-B-32"), Path::new(five_runs), images)?,
        "claims": repro::claims(data)?,
    });
    fs::write(results, serde_json::to_string_pretty(&report)? + "\n")?;
    println!("wrote {results}");
    Ok(())
}

fn in_group(runs: &Observations, group: &str) -> Observations {
    runs.filter(|row| row.group.as_deref() == Some(group))
}

fn seen(row: &Observation) -> f64 {
    row.samples.unwrap_or(f64::NAN)
}

fn each_pool(runs: &Observations) -> Vec<Candidate> {
    runs.pools().into_iter().map(Candidate::pool).collect()
}

/// All nine runs of an architecture, each pool with its own quality: the filtered pool wins while
/// it is fresh, the larger one later.
fn trade_off(runs: &Observations, images: &Path) -> Answer<Value> {
    let fit = FitParams::new(Qqt::default()).per_pool("b").fit(runs)?;
    let draws = BootstrapParams::default().run(&fit, runs)?;
    let pools = each_pool(runs);
    let range = (1e9, 3e11);
    let drawn = curves(&fit, &draws, &pools, range, POINTS, LEVEL, Some(runs))?;
    let title = "Quality against quantity: CLIP ViT-B/16 on three LAION pools";
    fs::write(images.join("scaling-trade-off.svg"), drawn.to_svg(title))?;
    let quality: Vec<Value> = runs
        .pools()
        .iter()
        .map(|pool| Ok(json!({"pool": pool, "b": fit.get(&format!("b[{pool}]"))?})))
        .collect::<Answer<_>>()?;
    Ok(json!({
        "quality": quality,
        "switches": switch_points(&fit, &draws, &pools, range, LEVEL)?,
    }))
}

/// One pool's curve for several floors that the nine runs cannot tell apart.
fn ridge(runs: &Observations, images: &Path) -> Answer<Value> {
    let law = Qqt { half_life: HalfLife::Proportional, ..Qqt::default() };
    let fit = FitParams::new(law).fit(runs)?;
    let floors: Vec<f64> = (10..=30).map(|percent| f64::from(percent) / 100.0).collect();
    let valley = profile(&fit, runs, "d", &floors)?;
    let limit = valley.threshold(LEVEL);
    let inside: Vec<_> = valley.points.iter().filter(|point| point.objective <= limit).collect();
    let shown: Vec<_> = (0..4).map(|i| inside[(2 * i * (inside.len() - 1) + 3) / 6]).collect();
    let (pool, unique) = ("LAION-2B", 2e9);
    let at = |theta: &[f64], samples: f64| law.predict(&Point::new(samples, unique), theta);
    let name = |floor: f64| format!("floor {:.0} %", 100.0 * floor);
    let mut points = Vec::new();
    for point in &shown {
        for step in 0..POINTS {
            let samples = 2e9 * 250f64.powf(step as f64 / (POINTS - 1) as f64);
            let metric = at(&point.theta, samples);
            let (low, high, in_range) = (metric, metric, samples <= HELD_OUT);
            let candidate = name(point.value);
            points.push(CurvePoint { candidate, samples, metric, low, high, in_range });
        }
    }
    let of_pool = runs.filter(|row| row.pool == pool);
    let measured = of_pool.rows().iter().map(|row| Measured {
        pool: pool.into(),
        candidate: Some(name(shown[0].value)),
        samples: seen(row),
        metric: row.value,
    });
    let mut range = fit.range.clone();
    range.samples = range.samples.map(|span| Span { high: HELD_OUT, ..span });
    let drawn = Curves {
        law: law.name().into(),
        metric: fit.metric,
        level: LEVEL,
        candidates: shown.iter().map(|point| name(point.value)).collect(),
        points,
        switches: Vec::new(),
        measured: measured.collect(),
        range,
    };
    let title = "The ridge: four laws that fit nine runs, LAION-2B, ViT-B/16";
    fs::write(images.join("scaling-ridge.svg"), drawn.to_svg(title))?;
    let row = |point: &&curate_scaling::uncertainty::ProfilePoint| {
        let rows = runs.rows().len() as f64;
        json!({
            "d": point.value,
            "a": 1e5 / point.theta[0],
            "rmse_points": 100.0 * (point.objective / rows).sqrt(),
            "at_34B": 100.0 * at(&point.theta, HELD_OUT),
            "at_340B": 100.0 * at(&point.theta, 10.0 * HELD_OUT),
        })
    };
    Ok(shown.iter().map(row).collect())
}

/// Five runs of at most 13 billion samples, and what they say of 34 billion.
fn five(runs: &Observations, table: &Path, images: &Path) -> Answer<Value> {
    let small = runs.filter(|row| seen(row) < 2e10 && !(row.pool == "LAION-2B" && seen(row) > 5e9));
    let mut text = String::from("pool,samples,unique,error\n");
    for row in small.rows() {
        let (samples, unique) = (seen(row), row.unique.unwrap_or(f64::NAN));
        text += &format!("{},{samples},{unique},{:.5}\n", row.pool, row.value);
    }
    fs::write(table, text)?;
    let law = Qqt { half_life: HalfLife::Proportional, ..Qqt::default() };
    let fit = FitParams::new(law).fit(&small)?;
    let draws = BootstrapParams::default().run(&fit, &small)?;
    let pools = each_pool(runs);
    let drawn = curves(&fit, &draws, &pools, (2e9, 4e10), POINTS, LEVEL, Some(runs))?;
    let title = "Five small runs, drawn with the four large ones they did not see: ViT-B/32";
    fs::write(images.join("scaling-five-runs.svg"), drawn.to_svg(title))?;
    let answer = best_pool(&fit, &draws, &pools, HELD_OUT, LEVEL)?;
    let with_truth = answer.ranking.iter().map(|ranked| {
        let held = runs.rows().iter().find(|row| row.pool == ranked.name && seen(row) > 2e10);
        json!({"ranked": ranked, "measured": held.map(|row| row.value)})
    });
    Ok(with_truth.collect())
}
