//! The filters, the selections they make, and what models learn from them.

use std::collections::BTreeMap;

use anyhow::Result;
use curate_core::{Cut, NoProgress, SampleId, random, rank::Direction};
use curate_dfn::filter::classifier::{Classifier, ClassifierParams};
use curate_eval::{
    Towers,
    metrics::{auroc, precision, top_1},
};
use rayon::prelude::*;

use super::protocol::{CLASSIFIER_STEPS, CLEAN, Data, KEEP, KINDS, Questions, probe};

type Pair = (usize, usize);

/// What a model answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) subcategory: f64,
    pub(crate) subcategory_unseen: f64,
    pub(crate) recall_seen: f64,
    pub(crate) recall_unseen: f64,
}

/// A training set and what a model learned from it.
pub(crate) struct Arm {
    pub(crate) name: String,
    pub(crate) rows: usize,
    /// Share of right captions; `None` where the rows are not the pool's.
    pub(crate) precision: Option<f64>,
    pub(crate) outcome: Outcome,
}

/// A filter: how well it tells right captions from each kind of wrong ones, and what its own
/// network would score on the test.
pub(crate) struct Filter {
    pub(crate) name: String,
    pub(crate) auroc: Vec<(String, f64)>,
    pub(crate) own_accuracy: Option<f64>,
}

pub(crate) struct SeedResult {
    pub(crate) arms: Vec<Arm>,
    pub(crate) filters: Vec<Filter>,
}

/// Scores of the pool's pairs, and the network they come from if there is one.
struct Scored {
    name: String,
    scores: Vec<f32>,
    towers: Option<Towers>,
}

pub(crate) fn run(data: &Data, seed: u64) -> Result<SeedResult> {
    let (pool, kinds) = data.noisy_pool(seed);
    let right: Vec<bool> = kinds.iter().map(|kind| *kind == "right").collect();
    let scored = filters(data, &pool, seed)?;
    let questions = data.questions();
    let judged = scored.iter().map(|s| judge(data, s, &kinds, &questions));
    let filters = judged.collect::<Result<Vec<_>>>()?;

    let everything: Vec<usize> = (0..pool.len()).collect();
    let count = (KEEP * pool.len() as f64) as usize;
    let widest = data.clean_up_to(CLEAN.len() - 1);
    let mut sets: Vec<(String, Vec<usize>)> = vec![
        ("no filter".into(), everything.clone()),
        ("random, same size".into(), random_rows(pool.len(), count, seed)),
        ("oracle: all right captions".into(), rows_where(&right)),
        ("oracle, same size".into(), {
            let all = rows_where(&right);
            let chosen = random_rows(all.len(), count.min(all.len()), seed);
            chosen.into_iter().map(|i| all[i]).collect()
        }),
    ];
    for filter in &scored {
        sets.push((filter.name.clone(), best(&filter.scores, &everything, KEEP)));
    }
    for filter in scored.iter().filter(|f| STRATIFIED.contains(&f.name.as_str())) {
        let name = format!("{}, of each source", filter.name);
        sets.push((name, best_of_each_source(data, &filter.scores, &pool)));
    }
    let mut arms: Vec<Arm> = sets
        .into_par_iter()
        .map(|(name, rows)| {
            let pairs: Vec<Pair> = rows.iter().map(|&row| pool[row]).collect();
            let outcome = learn(data, &pairs, seed, &questions)?;
            Ok(Arm { name, rows: rows.len(), precision: precision(&rows, &right)?, outcome })
        })
        .collect::<Result<_>>()?;
    arms.push(Arm {
        name: "the clean set alone".into(),
        rows: widest.len(),
        precision: None,
        outcome: learn(data, &widest, seed, &questions)?,
    });
    Ok(SeedResult { arms, filters })
}

/// Filters that also select the same share of each source.
const STRATIFIED: [&str; 3] = ["DFN", "CLIP of the noisy pool", "noisy pool, then clean set"];

fn filters(data: &Data, pool: &[Pair], seed: u64) -> Result<Vec<Scored>> {
    let all = data.pairs();
    let widest = data.clean_up_to(CLEAN.len() - 1);
    // A network's seed is its own, so that no filter shares weights with the models it feeds.
    let probe = probe(random::derive(seed, "filter"))?;
    let network = |name: &str, set: &[Pair], start: Option<&Towers>| -> Result<Scored> {
        let towers = match start {
            Some(start) => probe.run_from(start, &all, set, &NoProgress)?,
            None => probe.run(&all, set, &NoProgress)?,
        };
        let scores = towers.cosines(&all, pool)?;
        Ok(Scored { name: name.into(), scores, towers: Some(towers) })
    };
    let mut sets: Vec<(String, Vec<Pair>)> = vec![("DFN".into(), widest.clone())];
    for share in [0.25, 0.5, 0.75] {
        let name = format!("DFN, {:.0} % poisoned", 100.0 * share);
        sets.push((name, poisoned(&widest, pool, share, seed)));
    }
    for (level, (name, _)) in CLEAN.iter().enumerate().take(CLEAN.len() - 1) {
        sets.push((format!("DFN, clean set: {name}"), data.clean_up_to(level)));
    }
    sets.push(("CLIP of the noisy pool".into(), pool.to_vec()));
    let mut scored: Vec<Scored> =
        sets.par_iter().map(|(name, set)| network(name, set, None)).collect::<Result<_>>()?;
    let noisy = scored.last().and_then(|s| s.towers.clone());
    scored.push(network("noisy pool, then clean set", &widest, noisy.as_ref())?);
    let dfn = scored[0].towers.clone();
    scored.push(network("DFN, then one vendor", &data.clean_up_to(0), dfn.as_ref())?);
    let scores = classifier_scores(data, &widest, pool)?;
    scored.push(Scored { name: "classifier".into(), scores, towers: None });
    Ok(scored)
}

/// Logistic regression on the features of picture and text side by side, clean set against pool: the
/// binary filter of the paper's table 1.
fn classifier_scores(data: &Data, clean: &[Pair], pool: &[Pair]) -> Result<Vec<f32>> {
    let (clean, dim) = data.side_by_side(clean);
    let (pool, _) = data.side_by_side(pool);
    let params = ClassifierParams { steps: CLASSIFIER_STEPS, ..ClassifierParams::default() };
    Ok(Classifier::fit(&clean, &pool, dim, &params)?.scores(&pool)?)
}

/// The clean set with a share of its pairs replaced by unfiltered pairs of the pool.
fn poisoned(clean: &[Pair], pool: &[Pair], share: f64, seed: u64) -> Vec<Pair> {
    let (which, draw) = (random::derive(seed, "poisoned"), random::derive(seed, "poison"));
    let replace = |(i, &pair): (usize, &Pair)| {
        let id = SampleId::from(i as u128);
        if random::unit(which, id) >= share {
            return pair;
        }
        pool[(random::unit(draw, id) * pool.len() as f64) as usize]
    };
    clean.iter().enumerate().map(replace).collect()
}

fn judge(data: &Data, filter: &Scored, kinds: &[&str], questions: &Questions) -> Result<Filter> {
    let against = |wrong: &dyn Fn(&str) -> bool| -> Result<f64> {
        let rows = (0..kinds.len()).filter(|&i| kinds[i] == "right" || wrong(kinds[i]));
        let (scores, right): (Vec<f32>, Vec<bool>) =
            rows.map(|i| (filter.scores[i], kinds[i] == "right")).unzip();
        Ok(auroc(&scores, &right)?.unwrap_or(f64::NAN))
    };
    let mut found = vec![("all".to_owned(), against(&|_| true)?)];
    for kind in KINDS {
        found.push((kind.to_owned(), against(&|k| k == kind)?));
    }
    let own = filter.towers.as_ref().map(|towers| answer(data, towers, questions)).transpose()?;
    let own_accuracy = own.map(|outcome| outcome.subcategory);
    Ok(Filter { name: filter.name.clone(), auroc: found, own_accuracy })
}

fn rows_where(right: &[bool]) -> Vec<usize> {
    (0..right.len()).filter(|&i| right[i]).collect()
}

pub(crate) fn random_rows(n: usize, count: usize, seed: u64) -> Vec<usize> {
    let seed = random::derive(seed, "random rows");
    let scores: Vec<f32> =
        (0..n).map(|i| random::unit(seed, SampleId::from(i as u128)) as f32).collect();
    keep(&scores, count)
}

/// The best rows, in their order.
fn keep(scores: &[f32], count: usize) -> Vec<usize> {
    let ids: Vec<SampleId> = (0..scores.len()).map(|i| SampleId::from(i as u128)).collect();
    let cut = Cut::Top(count).apply(scores, &ids, Direction::HigherIsBetter);
    cut.expect("one id for each score").kept.rows().to_vec()
}

/// The best share of `rows` by score.
pub(crate) fn best(scores: &[f32], rows: &[usize], share: f64) -> Vec<usize> {
    let of_rows: Vec<f32> = rows.iter().map(|&row| scores[row]).collect();
    let count = (share * rows.len() as f64) as usize;
    keep(&of_rows, count).into_iter().map(|i| rows[i]).collect()
}

fn best_of_each_source(data: &Data, scores: &[f32], pool: &[Pair]) -> Vec<usize> {
    let mut by_source: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, &(image, _)) in pool.iter().enumerate() {
        by_source.entry(data.source(image)).or_default().push(i);
    }
    by_source.values().flat_map(|rows| best(scores, rows, KEEP)).collect()
}

fn learn(data: &Data, pairs: &[Pair], seed: u64, questions: &Questions) -> Result<Outcome> {
    let probe = probe(random::derive(seed, "model"))?;
    answer(data, &probe.run(&data.pairs(), pairs, &NoProgress)?, questions)
}

/// Asks the held-out vendor's pictures for their concept among all concepts' captions, and for
/// their subcategory among the subcategories' mean captions.
pub(crate) fn answer(data: &Data, towers: &Towers, questions: &Questions) -> Result<Outcome> {
    let (images, texts) = data.rows(&questions.rows);
    let images = towers.images(&images)?;
    let texts = towers.texts(&texts)?;
    let dim = towers.dim();
    let concepts = means(&texts, &questions.concept, questions.concepts, dim);
    let classes = means(&texts, &questions.class, questions.classes, dim);
    let of = |which: Option<bool>, candidates: &[f32], own: &[usize]| -> Result<f64> {
        let rows: Vec<usize> = (0..own.len())
            .filter(|&i| which.is_none_or(|unseen| questions.unseen[i] == unseen))
            .collect();
        let queries: Vec<f32> =
            rows.iter().flat_map(|&i| &images[i * dim..][..dim]).copied().collect();
        let own: Vec<usize> = rows.iter().map(|&i| own[i]).collect();
        Ok(top_1(&queries, candidates, &own, dim)?.unwrap_or(f64::NAN))
    };
    Ok(Outcome {
        subcategory: of(None, &classes, &questions.class)?,
        subcategory_unseen: of(Some(true), &classes, &questions.class)?,
        recall_seen: of(Some(false), &concepts, &questions.concept)?,
        recall_unseen: of(Some(true), &concepts, &questions.concept)?,
    })
}

/// Mean embedding of each group, scaled to length one.
fn means(embeddings: &[f32], group: &[usize], groups: usize, dim: usize) -> Vec<f32> {
    let mut sums = vec![0.0; groups * dim];
    for (row, &g) in embeddings.chunks_exact(dim).zip(group) {
        sums[g * dim..][..dim].iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    sums.chunks_exact_mut(dim).for_each(curate_core::embedding::normalize);
    sums
}
