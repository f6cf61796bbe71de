//! The published measurements in the data folder, as tables.

use anyhow::{Context, Result};
use curate_scaling::{Metric, Observation, Observations, ReadOptions};
use serde::{Deserialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::path::Path;

/// Samples in each of the authors' pools: a tenth of DataComp medium.
pub(super) const POOL: f64 = 12.8e6;

fn table(folder: &Path, name: &str, options: &ReadOptions) -> Result<Observations> {
    Ok(Observations::read(&folder.join(name), options)?)
}

pub(super) fn json<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<T> {
    let path = folder.join(name);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// A number of samples that is a key of a JSON object.
pub(super) fn parse(samples: &str) -> f64 {
    samples.parse().unwrap_or(f64::NAN)
}

/// Cherti et al. 2023 (arXiv:2212.07143): ImageNet error of CLIP models (`group` is the
/// architecture) trained on LAION-80M, 400M and 2B for 3, 13 and 34 billion samples.
///
/// # Errors
/// A missing or unreadable file.
pub fn clip(folder: &Path) -> Result<Observations> {
    table(folder, "laion_clip_imagenet.csv", &ReadOptions::default())
}

/// Nezhurina et al. 2025 (arXiv:2506.04598): ImageNet error of models (`group`) on two pools at
/// 1.28 million to 3 billion samples, without repetition.
///
/// # Errors
/// A missing or unreadable file.
pub fn openclip_series(folder: &Path) -> Result<Observations> {
    table(folder, "openclip_comparison_imagenet.csv", &ReadOptions::default())
}

/// Muennighoff et al. 2023 (arXiv:2305.16264): the 182 runs of their fit.
///
/// # Errors
/// A missing or unreadable file.
pub fn datablations(folder: &Path) -> Result<Observations> {
    table(folder, "datablations.csv", &ReadOptions::default())
}

/// Gadre et al. 2024 (arXiv:2403.08540): C4 and RedPajama runs (`group`), C4 validation loss.
///
/// # Errors
/// A missing or unreadable file.
pub fn gadre(folder: &Path) -> Result<Observations> {
    let skip = ["error", "name", "tokens_per_parameter"];
    let options = skip.into_iter().fold(ReadOptions::default(), ReadOptions::skip);
    table(folder, "gadre.csv", &options)
}

/// RegMix (Liu et al. 2024, arXiv:2407.01492): 512 mixtures of 17 domains at 1M parameters, loss
/// on `target` (`pile_cc`, `github` or `arxiv`).
///
/// # Errors
/// A missing or unreadable file.
pub fn regmix_train(folder: &Path, target: &str) -> Result<Observations> {
    regmix(folder, "regmix_train_1m.csv", target)
}

/// RegMix: 64 mixtures at 1B parameters, as [`regmix_train`].
///
/// # Errors
/// A missing or unreadable file.
pub fn regmix_test(folder: &Path, target: &str) -> Result<Observations> {
    regmix(folder, "regmix_test_1B.csv", target)
}

fn regmix(folder: &Path, name: &str, target: &str) -> Result<Observations> {
    let options = ReadOptions::default().column("loss", format!("loss_{target}"));
    table(folder, name, &options.ignore_unknown())
}

/// Language-model runs on mixtures of seven SlimPajama domains, 122M to 2.7B parameters, loss on
/// C4 (the runs of Shukor et al. 2025, arXiv:2507.09404, by their name).
///
/// # Errors
/// A missing or unreadable file.
pub fn dmsl(folder: &Path) -> Result<Observations> {
    let mixtures = records(folder, "dmsl_mixtures.csv")?;
    let weights = |record: &BTreeMap<String, f64>| -> Vec<f64> {
        record.iter().filter(|(k, _)| k.starts_with("weight_")).map(|(_, w)| *w).collect()
    };
    let by_id: Vec<Vec<f64>> = mixtures.iter().map(weights).collect();
    let strip = |key: &String| key.strip_prefix("weight_").map(str::to_string);
    let domains = mixtures[0].keys().filter_map(strip).collect();
    let run = |r: BTreeMap<String, f64>| {
        Observation::new(format!("{}", r["mixture"]), r["loss"])
            .samples(r["samples"])
            .parameters(r["parameters"])
            .mixture(by_id[r["mixture"] as usize].clone())
    };
    let rows = records(folder, "dmsl_c4.csv")?.into_iter().map(run).collect();
    Ok(Observations::new(Metric::Loss, domains, rows)?)
}

fn records(folder: &Path, name: &str) -> Result<Vec<BTreeMap<String, f64>>> {
    let path = folder.join(name);
    let read = || csv::Reader::from_path(&path)?.deserialize().collect::<Result<_, csv::Error>>();
    read().with_context(|| path.display().to_string())
}

/// Points of the QQT law on five pools of 12.8 million samples with normal noise of 0.24 points,
/// made for this study: 2, 4, 6, 8 and 10 epochs each.
///
/// # Errors
/// A missing or unreadable file.
pub fn synthetic(folder: &Path) -> Result<Observations> {
    let case: SyntheticCase = json(folder, "qqt_synthetic.json")?;
    case.table()
}

/// The synthetic case and what other procedures found on it.
#[derive(Debug, Deserialize)]
pub(super) struct SyntheticCase {
    observations_error: BTreeMap<String, BTreeMap<String, f64>>,
    pub(super) grid_fit: Vec<GridRow>,
    pub(super) least_squares_a_d_given: Sse,
    pub(super) least_squares_a_d_shared: Sse,
}

#[derive(Debug, Deserialize)]
pub(super) struct GridRow {
    pub(super) name: String,
    pub(super) sse: f64,
    pub(super) b: f64,
    pub(super) tau: f64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Sse {
    pub(super) sse_total: f64,
}

impl SyntheticCase {
    pub(super) fn table(&self) -> Result<Observations> {
        let mut rows = Vec::new();
        for pool in &self.grid_fit {
            for (epochs, error) in &self.observations_error[&pool.name] {
                let samples = parse(epochs) * POOL;
                rows.push(Observation::new(&pool.name, *error).samples(samples).unique(POOL));
            }
        }
        rows.sort_by(|a, b| {
            (&a.pool, a.samples).partial_cmp(&(&b.pool, b.samples)).expect("finite")
        });
        Ok(Observations::new(Metric::Error, vec![], rows)?)
    }
}
