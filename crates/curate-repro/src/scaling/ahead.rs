//! How often intervals hold what was measured later: sub-samples of the published tables, fitted
//! without naming a law, and the larger runs that the fits did not see.

use super::noise::Noise;
use super::{clip, datablations, gadre, in_group, openclip_series, seen};
use crate::{Claim, Kind};
use anyhow::Result;
use curate_core::NoProgress;
use curate_scaling::decide::{Blend, Candidate};
use curate_scaling::weigh::weigh;
use curate_scaling::{BootstrapParams, FitParams, Law, LawKind, Observation, Observations};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::Path;

const LEVEL: f64 = 0.9;
/// The hash stream of sub-samples.
const STREAM: u64 = 7;

/// What became of the predictions of one table's sub-samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ahead {
    /// The table.
    pub table: String,
    /// Sub-samples fitted.
    pub fits: usize,
    /// Larger runs predicted.
    pub runs: usize,
    /// Share of them inside the 90 % interval of a new run.
    pub held: f64,
    /// The same with the usual fit of the one law that predicted best; `None` where the runs are too
    /// few for one.
    pub held_by_one_law: Option<f64>,
    /// Median width of the intervals over the metric.
    pub width: f64,
    /// Median error over the metric.
    pub error: f64,
    /// Pairs of pools that were decided with 95 % of the draws or more.
    pub settled: usize,
    /// Share of those decided right; `None` without any.
    pub settled_right: Option<f64>,
}

/// A sub-sample, and the larger runs.
struct Case {
    small: Observations,
    large: Observations,
}

/// What one case adds.
#[derive(Default)]
struct Tally {
    held: Vec<bool>,
    held_by_one_law: Vec<bool>,
    widths: Vec<f64>,
    errors: Vec<f64>,
    settled: Vec<bool>,
}

/// Rows in the order of a draw.
fn shuffled(rows: &[Observation], noise: &Noise) -> Vec<Observation> {
    let mut keyed: Vec<(f64, &Observation)> =
        rows.iter().enumerate().map(|(i, row)| (noise.normal(i), row)).collect();
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
    keyed.into_iter().map(|(_, row)| row.clone()).collect()
}

fn table(like: &Observations, rows: Vec<Observation>) -> Result<Observations> {
    Ok(Observations::new(like.metric(), like.domains().to_vec(), rows)?)
}

/// `count` runs of `small`, of every pool at least one, and all of `large`.
fn case(small: &Observations, large: &Observations, count: usize, noise: &Noise) -> Result<Case> {
    let rows = shuffled(small.rows(), noise);
    let mut chosen: Vec<Observation> = Vec::new();
    for pool in small.pools() {
        chosen.extend(rows.iter().find(|row| row.pool == pool).cloned());
    }
    let rest: Vec<Observation> = rows.iter().filter(|r| !chosen.contains(r)).cloned().collect();
    chosen.extend(rest.into_iter().take(count.saturating_sub(chosen.len())));
    Ok(Case { small: table(small, chosen)?, large: large.clone() })
}

/// Cherti et al.: four to six of the runs at 3 and 13 billion samples, the three at 34 billion.
fn laion(folder: &Path, repeats: usize) -> Result<Vec<Case>> {
    let runs = clip(folder)?;
    let mut all = Vec::new();
    for (i, arch) in ["ViT-B-32", "ViT-B-16", "ViT-L-14"].into_iter().enumerate() {
        let of = in_group(&runs, arch);
        let (small, large) = (of.filter(|r| seen(r) < 2e10), of.filter(|r| seen(r) > 2e10));
        for repeat in 0..repeats {
            let noise = Noise::new(STREAM, (1000 * i + repeat) as u64);
            all.push(case(&small, &large, 4 + repeat % 3, &noise)?);
        }
    }
    Ok(all)
}

/// Nezhurina et al.: six to ten runs of both pools up to a budget, the runs up to ten times it.
fn open_clip(folder: &Path, repeats: usize) -> Result<Vec<Case>> {
    let runs = openclip_series(folder)?;
    let mut models: Vec<&str> = runs.rows().iter().filter_map(|r| r.group.as_deref()).collect();
    models.sort_unstable();
    models.dedup();
    let mut all = Vec::new();
    for (i, model) in models.into_iter().enumerate() {
        let of = in_group(&runs, model);
        if of.pools().len() < 2 {
            continue;
        }
        for (j, cut) in [7e7, 1.4e8, 3.3e8].into_iter().take(repeats).enumerate() {
            let (small, large) = (
                of.filter(|r| seen(r) < cut),
                of.filter(|r| seen(r) > cut && seen(r) < 10.0 * cut),
            );
            let noise = Noise::new(STREAM, (10_000 + 10 * i + j) as u64);
            all.push(case(&small, &large, 6 + 2 * ((i + j) % 3), &noise)?);
        }
    }
    Ok(all)
}

/// Gadre et al.: eight to sixteen runs of the smaller half of the compute, twelve of the larger.
fn over_trained(folder: &Path, repeats: usize) -> Result<Vec<Case>> {
    let runs = gadre(folder)?;
    let pooled = |row: &Observation| Observation {
        pool: row.group.clone().unwrap_or_default(),
        ..row.clone()
    };
    let runs = table(&runs, runs.rows().iter().map(pooled).collect())?;
    by_compute(&runs, repeats, 20_000, [8, 12, 16])
}

/// Muennighoff et al.: the same of their runs.
fn repeated(folder: &Path, repeats: usize) -> Result<Vec<Case>> {
    by_compute(&datablations(folder)?, repeats, 30_000, [8, 14, 20])
}

fn by_compute(
    runs: &Observations,
    repeats: usize,
    seed: u64,
    sizes: [usize; 3],
) -> Result<Vec<Case>> {
    let budget = |row: &Observation| row.budget().unwrap_or(f64::NAN);
    let mut budgets: Vec<f64> = runs.rows().iter().map(budget).collect();
    budgets.sort_by(f64::total_cmp);
    let middle = budgets[budgets.len() / 2];
    let (small, large) =
        (runs.filter(|r| budget(r) < middle), runs.filter(|r| budget(r) >= middle));
    let one = |repeat: usize| {
        let noise = Noise::new(STREAM, seed + repeat as u64);
        let of = case(&small, &large, sizes[repeat % 3], &noise)?;
        let held = shuffled(large.rows(), &Noise::new(STREAM + 1, seed + repeat as u64));
        Ok(Case { large: table(&large, held.into_iter().take(12).collect())?, ..of })
    };
    (0..repeats).map(one).collect()
}

/// What a user gets who names no law.
pub(crate) fn laws(data: &Observations) -> Vec<FitParams> {
    let named = LawKind::all(data.domains().len()).into_iter();
    let sound = named.filter(|law| !law.name().ends_with("-compat"));
    sound.map(|law| FitParams::cautious(law, data)).collect()
}

fn follow(case: &Case, seed: u64) -> Result<Tally> {
    let draws = BootstrapParams::default().draws(400).seed(seed);
    let found = weigh(&laws(&case.small), &case.small, draws, &NoProgress)?;
    let blend = Blend::new(found.members.iter().map(|(fit, draws)| (fit, draws)).collect())?;
    let usual = found.laws.iter().find_map(|law| {
        let law = LawKind::named(&law.score.law, 0).ok()?;
        let fit = FitParams::usual(law, &case.small).fit(&case.small, &NoProgress).ok()?;
        let draws = draws.run(&fit, &case.small, &NoProgress).ok()?;
        Some((fit, draws))
    });
    let mut tally = Tally::default();
    for run in case.large.rows() {
        let mut candidate = Candidate::pool(&run.pool);
        if let Some(parameters) = run.parameters {
            candidate = candidate.parameters(parameters);
        }
        if let Some(unique) = run.unique {
            candidate = candidate.pool_size(&run.pool, unique);
        }
        let at = blend.predict(&candidate, seen(run), LEVEL)?;
        let inside = |low: f64, high: f64| low <= run.value && run.value <= high;
        tally.held.push(inside(at.new_run.low, at.new_run.high));
        tally.widths.push((at.new_run.high - at.new_run.low) / run.value);
        tally.errors.push((at.metric - run.value).abs() / run.value);
        if let Some((fit, draws)) = &usual
            && let Ok(at) = candidate.predict_interval(fit, draws, seen(run), LEVEL)
        {
            tally.held_by_one_law.push(inside(at.new_run.low, at.new_run.high));
        }
    }
    decide(&blend, case, &mut tally)?;
    Ok(tally)
}

/// Whether pools that were told apart for sure came out so, at every budget where two were run.
fn decide(blend: &Blend<'_, LawKind>, case: &Case, tally: &mut Tally) -> Result<()> {
    let rows = case.large.rows();
    for (i, a) in rows.iter().enumerate() {
        for b in &rows[..i] {
            let near = (seen(a) / seen(b)).ln().abs() < 0.1 && a.parameters == b.parameters;
            if a.pool == b.pool || !near || a.value == b.value {
                continue;
            }
            let pools = [Candidate::pool(&a.pool), Candidate::pool(&b.pool)];
            let pools = match a.parameters {
                Some(parameters) => pools.map(|pool| pool.parameters(parameters)),
                None => pools,
            };
            let best = blend.best_pool(&pools, seen(a), LEVEL)?;
            if best.best().wins >= 0.95 {
                tally.settled.push((best.best().name == a.pool) == (a.value < b.value));
            }
        }
    }
    Ok(())
}

fn share(of: &[bool]) -> f64 {
    of.iter().filter(|held| **held).count() as f64 / of.len() as f64
}

fn sum_up(name: &str, cases: &[Case]) -> Result<Ahead> {
    let tallies: Vec<Tally> = cases
        .par_iter()
        .enumerate()
        .map(|(i, case)| follow(case, i as u64))
        .collect::<Result<_>>()?;
    let join = |of: fn(&Tally) -> &Vec<bool>| -> Vec<bool> {
        tallies.iter().flat_map(|tally| of(tally).clone()).collect()
    };
    let (held, one) = (join(|t| &t.held), join(|t| &t.held_by_one_law));
    let settled = join(|t| &t.settled);
    let middle = |of: fn(&Tally) -> &Vec<f64>| {
        super::statistics::median(tallies.iter().flat_map(|tally| of(tally).clone()))
    };
    Ok(Ahead {
        table: name.into(),
        fits: cases.len(),
        runs: held.len(),
        held: share(&held),
        held_by_one_law: (!one.is_empty()).then(|| share(&one)),
        width: middle(|t| &t.widths),
        error: middle(|t| &t.errors),
        settled: settled.len(),
        settled_right: (!settled.is_empty()).then(|| share(&settled)),
    })
}

/// The bars were fixed before the first run: 80 % of each table's larger runs, 85 % of a table's on
/// average.
pub(super) fn claims(tables: &[Ahead]) -> Vec<Claim> {
    let name = |of: &str| format!("90 % intervals hold larger runs, {of} (share)");
    let one = |table: &Ahead| Claim::at_least(name(&table.table), Kind::RealData, 0.80, table.held);
    let mean = tables.iter().map(|table| table.held).sum::<f64>() / tables.len() as f64;
    let mean = Claim::at_least(name("mean of the tables"), Kind::RealData, 0.85, mean);
    tables.iter().map(one).chain([mean]).collect()
}

/// How often 90 % intervals hold what was measured later, for each published table: `repeats`
/// sub-samples of each (of each architecture, for Cherti et al.; at most three budgets of each
/// model, for Nezhurina et al.).
///
/// # Errors
/// Missing or unreadable files in the folder.
pub fn ahead(folder: &Path, repeats: usize) -> Result<Vec<Ahead>> {
    Ok(vec![
        sum_up("LAION CLIP, 4 to 6 runs up to 13B: 34B", &laion(folder, repeats)?)?,
        sum_up(
            "DataComp and Re-LAION, 6 to 10 runs: up to 10 times the largest",
            &open_clip(folder, repeats)?,
        )?,
        sum_up(
            "over-training, 8 to 16 runs: the larger half of the compute",
            &over_trained(folder, repeats)?,
        )?,
        sum_up(
            "repeated C4, 8 to 20 runs: the larger half of the compute",
            &repeated(folder, repeats)?,
        )?,
    ])
}
