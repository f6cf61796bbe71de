//! The demonstration pool's images and captions, in buckets by the similarity of the two.

use super::study::{TIMES, Trained, name, pools};
use super::{Run, SEEDS};
use anyhow::{Context, Result, ensure};
use curate_core::embedding::RowsOf;
use curate_core::{EmbeddingSource, NoProgress, SampleId, random};
use curate_eval::compare::{
    Arena, Compare, CompareParams, Contest, Entry, Existing, Report, Score, Source, Tests,
    UnknownIds,
};
use curate_io::{Pool, PoolOptions};
use std::path::Path;

/// Pairs of a bucket.
const BUCKET: usize = 5000;
/// Buckets.
const BUCKETS: usize = super::study::BUCKETS;

/// Trains every pool at every budget on the pairs of a pool; `folder` keeps the runs, so that a study
/// that was interrupted goes on.
pub(super) fn train(pool: &Path, folder: &Path) -> Result<Trained> {
    ensure!(pool.exists(), "{} is missing; make it with `cargo xtask data build`", pool.display());
    let pool = Pool::open(pool, PoolOptions::default(), &NoProgress)?;
    let budgets = TIMES.map(|times| (times * BUCKET as f64) as u64);
    let compare = CompareParams {
        budgets: budgets.to_vec(),
        seeds: SEEDS,
        batch: 250,
        hidden: 64,
        dim: 32,
        // Probes are asked too, but not looked at: they need not take longer than the training.
        bank: 200,
        ..CompareParams::default()
    };
    let compare = compare.check()?;
    let source = Source { labels: Some(pool.labels("subcategory")?), pool: &pool };
    let arena = Arena::open(&compare, source, Tests::default(), None, &NoProgress)?;
    let entries = entries(&pool, &arena, &compare)?;
    let contest = Contest::open(&compare, &arena, &entries, folder, Existing::Keep)?;
    let report = contest.run(Score::ZeroShot, 0.95, &NoProgress)?;
    runs(&report)
}

/// The buckets alone, then their unions.
fn entries(pool: &Pool, arena: &Arena, compare: &Compare) -> Result<Vec<Entry>> {
    let ids = by_similarity(pool, arena, compare)?;
    let buckets: Vec<&[SampleId]> = ids.chunks(BUCKET).collect();
    let of = |pool: &Vec<usize>| {
        let ids: Vec<SampleId> = pool.iter().flat_map(|&bucket| buckets[bucket]).copied().collect();
        // Names become folders, which take no `+`.
        let folder = name(pool).replace('+', "-");
        Ok(arena.entry(compare, &folder, &ids, UnknownIds::Refuse)?)
    };
    pools().iter().map(of).collect()
}

/// As many pairs as the buckets hold, drawn by their ids from those to train on, the most similar first.
fn by_similarity(pool: &Pool, arena: &Arena, compare: &Compare) -> Result<Vec<SampleId>> {
    let all = arena.entry(compare, "everything", pool.ids(), UnknownIds::Refuse)?;
    let mut rows = all.rows().to_vec();
    let draw = random::derive(0, "pairs of the study");
    rows.sort_by_key(|&row| random::hash(draw, pool.ids()[row]));
    rows.truncate(BUCKET * BUCKETS);
    ensure!(rows.len() == BUCKET * BUCKETS, "{} pairs are too few", rows.len());
    let read = |name: &str| -> Result<Vec<f32>> {
        let embedding = pool.embedding(name)?;
        let mut values = vec![0.0; rows.len() * embedding.dim()];
        RowsOf::new(&embedding, &rows).read(0..rows.len(), &mut values)?;
        Ok(values)
    };
    let (images, texts) = (read("joint_img")?, read("joint_txt")?);
    let dim = images.len() / rows.len();
    let cosine = |at: usize| {
        let (a, b) = (&images[at * dim..][..dim], &texts[at * dim..][..dim]);
        let dot =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    let mut scored: Vec<(f64, SampleId)> =
        rows.iter().enumerate().map(|(at, &row)| (cosine(at), pool.ids()[row])).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    Ok(scored.into_iter().map(|(_, id)| id).collect())
}

fn runs(report: &Report) -> Result<Trained> {
    let runs = report.runs.iter().map(|run| {
        let score = Score::ZeroShot.of(run).context("zero-shot accuracy")?;
        let times = run.budget as f64 / BUCKET as f64;
        let pool = run.selection.replace('-', "+");
        Ok(Run { pool, times, seed: run.seed, error: 1.0 - score })
    });
    Ok(Trained {
        study: "demonstration pool".into(),
        bucket: BUCKET,
        runs: runs.collect::<Result<_>>()?,
    })
}
