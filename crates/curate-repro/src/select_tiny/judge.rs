//! What a set is worth, and what it is like.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use curate_core::{NoProgress, Rows, SampleId, random};
use curate_eval::ClassifierParams;
use curate_select::{
    ClassProfile, KnnProbeParams, cmmd,
    corrupt::{Corruption, Family, SEVERITIES},
};
use ndarray::{Array2, ArrayView3, s};
use rayon::prelude::*;
use serde::Serialize;

use super::strategies::{Pool, Set, Strategy};
use crate::{
    fashion::{CLASSES, Labeled, SIDE},
    tiny::{probe, right, train, unit},
};

/// Neighbors that vote in the probe of pixels.
const NEIGHBORS: usize = 20;
/// Rows of each side of CMMD.
const CMMD_ROWS: usize = 1000;

/// What every set is judged by.
pub(super) struct Tests {
    clean: Labeled,
    unit: Array2<f32>,
    shifted: Vec<Shifted>,
    transfer: (Labeled, Labeled),
}

/// Test pictures that one corruption made worse.
struct Shifted {
    family: Family,
    severity: usize,
    pictures: Labeled,
}

impl Tests {
    /// Tests of clean pictures, of the first `shifted` of them made worse, and of another task.
    pub(super) fn new(
        clean: Labeled,
        shifted: usize,
        transfer: (Labeled, Labeled),
    ) -> Result<Self> {
        let first = clean.first(shifted);
        let kinds: Vec<(Corruption, usize)> = Corruption::ALL
            .into_iter()
            .filter(|corruption| corruption.fits_gray())
            .flat_map(|corruption| SEVERITIES.map(move |severity| (corruption, severity)))
            .collect();
        let worse = |&(corruption, severity): &(Corruption, usize)| -> Result<Shifted> {
            let pictures = corrupted(&first, corruption, severity)?;
            Ok(Shifted { family: corruption.family(), severity, pictures })
        };
        let shifted = kinds.par_iter().map(worse).collect::<Result<_>>()?;
        Ok(Self { unit: unit(&clean.pixels), clean, shifted, transfer })
    }
}

fn corrupted(given: &Labeled, corruption: Corruption, severity: usize) -> Result<Labeled> {
    let mut worse = given.clone();
    let seed = random::derive(severity as u64, &format!("{corruption:?}"));
    for (row, mut pixels) in worse.pixels.rows_mut().into_iter().enumerate() {
        let picture = given.pixels.row(row);
        let picture = picture.as_slice().context("rows lie together")?;
        let picture = ArrayView3::from_shape((SIDE, SIDE, 1), picture)?;
        let own = random::hash(seed, SampleId(row as u128));
        pixels.assign(&corruption.apply(picture, severity, own)?.flatten());
    }
    Ok(worse)
}

/// One set, trained on once.
#[derive(Debug, Clone, Serialize)]
pub struct Trial {
    /// How the set came about.
    pub strategy: Strategy,
    /// The seed of set and training.
    pub seed: u64,
    /// Pictures in it.
    pub size: usize,
    /// Accuracy on clean pictures.
    pub base: f64,
    /// Mean accuracy over corruptions and severities.
    pub shifted: f64,
    /// The same for each family.
    pub families: BTreeMap<Family, f64>,
    /// The same for each severity.
    pub severities: BTreeMap<usize, f64>,
    /// Accuracy of a linear probe on handwritten digits.
    pub transfer: f64,
    /// Number of even classes that would spread as widely.
    pub effective_classes: f64,
    /// The share of the largest class.
    pub largest_class: f64,
    /// The share of wrong labels.
    pub wrong_labels: f64,
    /// Accuracy of the nearest neighbors by pixels.
    pub neighbors: f64,
    /// Distance to the test pictures.
    pub cmmd: f64,
}

/// Makes a set, trains on it and judges.
pub(super) fn trial(
    pool: &Pool<'_>,
    tests: &Tests,
    params: &ClassifierParams,
    (strategy, size, seed): (Strategy, usize, u64),
) -> Result<Trial> {
    let set = pool.set(strategy, size, random::derive(seed, "set"))?;
    let net = train(&params.clone().seed(seed), &set.pictures, CLASSES)?;
    let mut shifted = Vec::new();
    for test in &tests.shifted {
        shifted.push((test, right(&net, &test.pictures, CLASSES)?));
    }
    let mean = |of: &dyn Fn(&Shifted) -> bool| {
        let found: Vec<f64> =
            shifted.iter().filter(|(t, _)| of(t)).map(|(_, right)| *right).collect();
        found.iter().sum::<f64>() / found.len() as f64
    };
    let families = [Family::Noise, Family::Blur, Family::Weather, Family::Digital];
    let properties = Properties::of(&set, tests)?;
    let (known, asked) = &tests.transfer;
    Ok(Trial {
        strategy,
        seed,
        size: set.pictures.class.len(),
        base: right(&net, &tests.clean, CLASSES)?,
        shifted: mean(&|_| true),
        families: families.map(|family| (family, mean(&|t| t.family == family))).into(),
        severities: SEVERITIES.map(|s| (s, mean(&|t| t.severity == s))).collect(),
        transfer: probe(&net, known, asked, CLASSES)?,
        effective_classes: properties.profile.effective_classes(),
        largest_class: properties.profile.largest_share(0.1).context("an empty set")?,
        wrong_labels: set.wrong,
        neighbors: properties.neighbors,
        cmmd: properties.cmmd,
    })
}

/// What a set is like, without any training.
struct Properties {
    profile: ClassProfile,
    neighbors: f64,
    cmmd: f64,
}

impl Properties {
    fn of(set: &Set, tests: &Tests) -> Result<Self> {
        let labels = |of: &Labeled| of.class.iter().map(|&class| class as u32).collect::<Vec<_>>();
        let own = unit(&set.pictures.pixels);
        let probe = KnnProbeParams::new().neighbors([NEIGHBORS]).check()?;
        let asked = 2 * CMMD_ROWS.min(tests.unit.nrows() / 2);
        let reference = tests.unit.slice(s![..asked, ..]);
        let truth = labels(&tests.clean.first(asked));
        let found = probe.run(
            &Rows::new(&own)?,
            &labels(&set.pictures),
            &Rows::new(&reference)?,
            &truth,
            &NoProgress,
        )?;
        // Sets may be sorted by class: rows at equal steps instead of the first ones.
        let step = own.nrows().div_ceil(CMMD_ROWS).max(1);
        let some = own.slice(s![..;step, ..]);
        let reference = reference.slice(s![..asked / 2, ..]);
        Ok(Self {
            profile: ClassProfile::of_labels(&labels(&set.pictures), CLASSES)?,
            neighbors: found.accuracy(NEIGHBORS).context("no test pictures")?,
            cmmd: cmmd(&some, &reference, &NoProgress)?,
        })
    }
}
