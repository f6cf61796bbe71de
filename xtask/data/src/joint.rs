//! A space for pictures and captions in which the cosine says whether they belong together.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use faer::Mat;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use crate::captions::Kind;
use crate::digest;
use crate::features::Features;
use crate::linear::{Canonical, Centred, Projection, canonical, covariance, mean, principal};
use crate::row::Row;

/// Sources whose captions are curated: one artist or team, names and tags checked by people.
const CURATED: [&str; 8] = [
    "emoji-google",
    "ic-tabler",
    "ic-lucide",
    "ic-ph",
    "ic-pinhead",
    "ic-streamline-color",
    "ic-game-icons",
    "ic-fa7-solid",
];

/// Dimensions of the joint space and of the reduced image features.
pub(crate) const WIDTH: usize = 128;
const RIDGES: [f64; 6] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0];
/// Exponents of the correlations that weight the axes.
const POWERS: [i32; 4] = [0, 1, 2, 3];
/// Rows of the pool that the principal components are fitted on.
const PRINCIPAL_ROWS: usize = 20_000;

/// How well the cosine tells right from wrong captions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Quality {
    /// Rows that the maps were fitted on.
    pub(crate) fitted_rows: usize,
    /// Rows that the ridge and the power were chosen on.
    pub(crate) tuning_rows: usize,
    pub(crate) ridge: f64,
    pub(crate) power: i32,
    pub(crate) first_correlations: Vec<f64>,
    /// Curated pairs of concepts that neither fit nor choice saw, against exchanged captions.
    pub(crate) auroc_held_out_concepts: f64,
    pub(crate) held_out_rows: usize,
    /// Original against planted wrong captions, over all rows not used in the fit.
    pub(crate) auroc_planted: f64,
    /// The same where the concept, too, is new to the fit.
    pub(crate) auroc_planted_new_concepts: f64,
    /// Share of the planted wrong captions among the 30 % of the pool with the lowest cosine.
    pub(crate) planted_in_bottom_30_percent: f64,
}

/// The fitted maps.
#[derive(Debug)]
pub(crate) struct Joint {
    pub(crate) reduce: Projection,
    pub(crate) image: Projection,
    pub(crate) text: Projection,
    pub(crate) quality: Quality,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Fit,
    Tune,
    Test,
}

/// Whole concepts go to one part, so that no part knows another's pictures.
fn part(row: &Row) -> Part {
    match digest::unit("split", &row.concept) {
        x if x < 0.70 => Part::Fit,
        x if x < 0.85 => Part::Tune,
        _ => Part::Test,
    }
}

fn is_curated(row: &Row) -> bool {
    CURATED.contains(&row.source.as_str()) && row.caption_kind == Kind::Original && row.std > 0.0
}

/// Fits everything and measures it.
pub(crate) fn fit(rows: &[Row], images: &Features, texts: &Features) -> Result<Joint> {
    let curated = |wanted: Part| -> Vec<usize> {
        (0..rows.len()).filter(|&i| is_curated(&rows[i]) && part(&rows[i]) == wanted).collect()
    };
    let (fit, tune, test) = (curated(Part::Fit), curated(Part::Tune), curated(Part::Test));
    ensure!(
        fit.len() > 2 * WIDTH && tune.len() > 1 && test.len() > 1,
        "{} curated pairs are too few to fit on: build a larger pool",
        fit.len(),
    );
    let fitting = Fitting::new(images, texts, &fit);
    let (ridge, power, image, text, correlations) = fitting.choose(&tune, rows)?;
    let scores = cosines(&image.apply(images), &text.apply(texts));
    let unused = |i: &usize| !is_curated(&rows[*i]) || part(&rows[*i]) != Part::Fit;
    let new = |i: &usize| part(&rows[*i]) != Part::Fit;
    let quality = Quality {
        fitted_rows: fit.len(),
        tuning_rows: tune.len(),
        ridge,
        power,
        first_correlations: correlations.iter().take(5).map(|c| rounded(*c)).collect(),
        auroc_held_out_concepts: rounded(exchanged_auroc(
            &image, &text, images, texts, rows, &test,
        )),
        held_out_rows: test.len(),
        auroc_planted: rounded(planted_auroc(rows, &scores, unused)),
        auroc_planted_new_concepts: rounded(planted_auroc(rows, &scores, new)),
        planted_in_bottom_30_percent: rounded(bottom_share(rows, &scores)),
    };
    Ok(Joint { reduce: reduction(rows, images)?, image, text, quality })
}

fn rounded(x: f64) -> f64 {
    (x * 1e4).round() / 1e4
}

/// The covariances that all candidates share.
struct Fitting<'a> {
    images: &'a Features,
    texts: &'a Features,
    image_mean: Vec<f64>,
    text_mean: Vec<f64>,
    within_images: Mat<f64>,
    within_texts: Mat<f64>,
    between: Mat<f64>,
}

type Chosen = (f64, i32, Projection, Projection, Vec<f64>);

impl<'a> Fitting<'a> {
    fn new(images: &'a Features, texts: &'a Features, rows: &[usize]) -> Self {
        let (image_mean, text_mean) = (mean(images, rows), mean(texts, rows));
        let image = Centred { features: images, mean: &image_mean };
        let text = Centred { features: texts, mean: &text_mean };
        let within_images = covariance(image, image, rows);
        let within_texts = covariance(text, text, rows);
        let between = covariance(image, text, rows);
        Self { images, texts, image_mean, text_mean, within_images, within_texts, between }
    }

    /// The ridge and the power with the best AUROC on the tuning rows.
    fn choose(&self, tune: &[usize], rows: &[Row]) -> Result<Chosen> {
        let (images, texts) = (self.images.take(tune.to_vec()), self.texts.take(tune.to_vec()));
        let tuning: Vec<Row> = tune.iter().map(|&i| rows[i].clone()).collect();
        let all: Vec<usize> = (0..tune.len()).collect();
        let mut best: Option<(f64, Chosen)> = None;
        for ridge in RIDGES {
            let found =
                canonical(&self.within_images, &self.within_texts, &self.between, ridge, WIDTH)?;
            for power in POWERS {
                let (image, text) = self.projections(&found, power);
                let auroc = exchanged_auroc(&image, &text, &images, &texts, &tuning, &all);
                if best.as_ref().is_none_or(|(top, _)| auroc > *top) {
                    best = Some((auroc, (ridge, power, image, text, found.correlations.clone())));
                }
            }
        }
        best.map(|(_, chosen)| chosen).context("no candidate")
    }

    fn projections(&self, found: &Canonical, power: i32) -> (Projection, Projection) {
        let weighted = |map: &Mat<f64>| {
            Mat::from_fn(map.nrows(), map.ncols(), |i, j| {
                map[(i, j)] * found.correlations[j].powi(power)
            })
        };
        let image = Projection { mean: self.image_mean.clone(), map: weighted(&found.left) };
        let text = Projection { mean: self.text_mean.clone(), map: weighted(&found.right) };
        (image, text)
    }
}

fn reduction(rows: &[Row], images: &Features) -> Result<Projection> {
    let mut sample: Vec<usize> = (0..rows.len()).collect();
    sample.sort_by_cached_key(|&i| digest::number("principal", &rows[i].uid));
    sample.truncate(PRINCIPAL_ROWS);
    let mean = mean(images, &sample);
    let centred = Centred { features: images, mean: &mean };
    let map = principal(&covariance(centred, centred, &sample), WIDTH)?;
    Ok(Projection { mean, map })
}

fn cosine(a: &Features, i: usize, b: &Features, j: usize) -> f64 {
    a.row(i).iter().zip(b.row(j)).map(|(x, y)| x.to_f64() * y.to_f64()).sum()
}

fn cosines(a: &Features, b: &Features) -> Vec<f64> {
    (0..a.data.len() / a.width).map(|i| cosine(a, i, b, i)).collect()
}

/// True captions against those of the next row in a hashed order.
fn exchanged_auroc(
    image: &Projection,
    text: &Projection,
    images: &Features,
    texts: &Features,
    rows: &[Row],
    among: &[usize],
) -> f64 {
    let mut order = among.to_vec();
    order.sort_by_cached_key(|&i| digest::number("exchange", &rows[i].uid));
    let image = image.apply(&images.take(order.clone()));
    let text = text.apply(&texts.take(order.clone()));
    let count = order.len();
    let right = (0..count).map(|i| cosine(&image, i, &text, i)).collect();
    let wrong = (0..count).map(|i| cosine(&image, i, &text, (i + 1) % count)).collect();
    auroc(right, wrong)
}

fn planted_auroc(rows: &[Row], scores: &[f64], among: impl Fn(&usize) -> bool) -> f64 {
    let of = |kind: Kind| {
        let chosen = (0..rows.len()).filter(|&i| rows[i].caption_kind == kind).filter(&among);
        chosen.map(|i| scores[i]).collect()
    };
    auroc(of(Kind::Original), of(Kind::Swapped))
}

fn bottom_share(rows: &[Row], scores: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]).then(a.cmp(&b)));
    let swapped = |rows_of: &[usize]| {
        rows_of.iter().filter(|&&i| rows[i].caption_kind == Kind::Swapped).count() as f64
    };
    swapped(&order[..rows.len() * 3 / 10]) / swapped(&order)
}

/// The chance that a right score lies above a wrong one; ties count half.
fn auroc(right: Vec<f64>, wrong: Vec<f64>) -> f64 {
    let pairs = right.len() as f64 * wrong.len() as f64;
    let mut sorted = wrong;
    sorted.sort_by(f64::total_cmp);
    let wins = right.iter().map(|score| {
        let below = sorted.partition_point(|w| w < score);
        let not_above = sorted.partition_point(|w| w <= score);
        (below + not_above) as f64 / 2.0
    });
    wins.sum::<f64>() / pairs
}

/// Writes the maps, so that other features can be brought into the same spaces.
pub(crate) fn save(joint: &Joint, path: &Path) -> Result<()> {
    let parts = [("img", &joint.reduce), ("joint_img", &joint.image), ("joint_txt", &joint.text)];
    let mut tensors = Vec::new();
    for (name, projection) in parts {
        let map = &projection.map;
        let bytes = |values: &mut dyn Iterator<Item = f64>| -> Vec<u8> {
            values.flat_map(|x| (x as f32).to_le_bytes()).collect()
        };
        let mut entries = (0..map.nrows()).flat_map(|i| (0..map.ncols()).map(move |j| map[(i, j)]));
        tensors.push((format!("{name}.map"), vec![map.nrows(), map.ncols()], bytes(&mut entries)));
        let mut mean = projection.mean.iter().copied();
        tensors.push((format!("{name}.mean"), vec![projection.mean.len()], bytes(&mut mean)));
    }
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>>>()?;
    let bytes = safetensors::serialize(views, None)?;
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auroc_counts_ties_as_half() {
        assert!((auroc(vec![3.0, 2.0], vec![1.0, 0.0]) - 1.0).abs() < 1e-12);
        assert!((auroc(vec![1.0], vec![1.0]) - 0.5).abs() < 1e-12);
        assert!((auroc(vec![1.0, 0.0], vec![0.5, 0.0]) - 0.625).abs() < 1e-12);
    }
}
