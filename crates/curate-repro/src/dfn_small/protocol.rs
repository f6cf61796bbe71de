//! What was fixed before the first run: who plays which role, and what is measured.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Result, ensure};
use curate_core::{EmbeddingSource, NoProgress, ParamsError, SampleId, random};
use curate_eval::{Pairs, Probe, ProbeParams};
use curate_io::{Pool, PoolOptions};
use ndarray::Array2;
use serde_json::{Value, json};

/// Trainings differ by seed, which also draws the noise.
pub(crate) const SEEDS: u64 = 5;
/// Share of the pool's captions that are exchanged among its rows, beside the natural noise and the
/// noise that the pool itself was planted with.
pub(crate) const EXCHANGED: f64 = 0.5;
/// Share of the pool that a filter keeps.
pub(crate) const KEEP: f64 = 0.3;
/// Most steps of the classifier's fit.
pub(crate) const CLASSIFIER_STEPS: usize = 200;
/// Share of concepts that no training sees.
const UNSEEN: f64 = 0.15;

/// Never trained on: one vendor's emoji. The second is the same vendor's from another package.
const HELD_OUT: &str = "emoji-twitter";
const SAME_VENDOR: [&str; 2] = ["emoji-twitter", "em-twemoji"];

/// Sources with curated names, narrow to broad: each step adds to the ones before.
pub(crate) const CLEAN: [(&str, &[&str]); 4] = [
    ("one vendor", &["emoji-google"]),
    ("and tagged icons", &["ic-tabler", "ic-lucide", "ic-ph"]),
    ("and maps and health", &["ic-pinhead", "ic-healthicons", "ic-fa7-solid"]),
    ("and games and colour", &["ic-game-icons", "ic-streamline-color", "em-noto"]),
];

/// What a row's caption is, for the filters' report.
pub(crate) const KINDS: [&str; 5] = ["exchanged", "swapped", "boilerplate", "filename", "foreign"];

/// What every arm is trained with.
pub(crate) fn probe(seed: u64) -> Result<Probe, ParamsError> {
    ProbeParams::new().seed(seed).check()
}

/// The features and roles of all rows.
pub(crate) struct Data {
    images: Array2<f32>,
    texts: Array2<f32>,
    ids: Vec<SampleId>,
    source: Vec<String>,
    kind: Vec<String>,
    subcategory: Vec<String>,
    concept: Vec<String>,
    /// Rows of each step of [`CLEAN`], without those of the steps before.
    pub(crate) clean: Vec<Vec<usize>>,
    /// Rows to filter.
    pub(crate) pool: Vec<usize>,
    /// Rows to measure on: the held-out vendor's emoji without skin tones.
    test: Vec<usize>,
    unseen: BTreeSet<String>,
    dropped: usize,
}

impl Data {
    /// Those of `data/pool` below a folder.
    pub(crate) fn load(root: &Path) -> Result<Self> {
        let path = root.join("data/pool");
        let there = path.exists();
        ensure!(there, "{} is missing; make it with `cargo xtask data build`", path.display());
        let pool = Pool::open(&path, PoolOptions::default(), &NoProgress)?;
        let table = |name: &str| -> Result<Array2<f32>> {
            let embedding = pool.embedding(name)?;
            let mut values = vec![0.0; embedding.rows() * embedding.dim()];
            embedding.read(0..embedding.rows(), &mut values)?;
            Ok(Array2::from_shape_vec((embedding.rows(), embedding.dim()), values)?)
        };
        let column = |name: &str| -> Result<Vec<String>> {
            Ok(pool.labels(name)?.into_iter().map(Option::unwrap_or_default).collect())
        };
        let mut data = Self {
            images: table("img")?,
            texts: table("txt")?,
            ids: pool.ids().to_vec(),
            source: column("source")?,
            kind: column("caption_kind")?,
            subcategory: column("subcategory")?,
            concept: column("concept")?,
            clean: Vec::new(),
            pool: Vec::new(),
            test: Vec::new(),
            unseen: BTreeSet::new(),
            dropped: 0,
        };
        data.assign(&column("label")?);
        Ok(data)
    }

    /// Gives every row its role. A row of any source whose label holds the label of an unseen
    /// concept, word for word, is dropped.
    fn assign(&mut self, labels: &[String]) {
        let base = |row: usize| !has_skin_tone(&self.concept[row]);
        let is_test = |row: &usize| {
            self.source[*row] == HELD_OUT && base(*row) && self.kind[*row] == "original"
        };
        let test: Vec<usize> = (0..labels.len()).filter(is_test).collect();
        let seed = random::derive(0, "unseen concepts");
        let held_out = |concept: &str| {
            let id = concept.bytes().fold(0_u128, |id, b| id.wrapping_mul(257) + u128::from(b));
            random::unit(seed, SampleId::from(id)) < UNSEEN
        };
        let unseen: BTreeSet<String> = test
            .iter()
            .map(|&row| self.concept[row].clone())
            .filter(|concept| held_out(concept))
            .collect();
        let phrases: BTreeSet<String> = test
            .iter()
            .filter(|&&row| unseen.contains(&self.concept[row]))
            .map(|&row| words(&labels[row]).join(" "))
            .filter(|phrase| !phrase.is_empty())
            .collect();
        let longest = phrases.iter().map(|p| p.split(' ').count()).max().unwrap_or(0);
        let shows_unseen = |row: usize| {
            let words = words(&labels[row]);
            (1..=longest).any(|n| words.windows(n).any(|part| phrases.contains(&part.join(" "))))
        };
        let level_of: BTreeMap<&str, usize> = CLEAN
            .iter()
            .enumerate()
            .flat_map(|(level, (_, sources))| sources.iter().map(move |s| (*s, level)))
            .collect();
        let mut clean = vec![Vec::new(); CLEAN.len()];
        let (mut pool, mut dropped) = (Vec::new(), 0);
        for row in 0..labels.len() {
            let source = self.source[row].as_str();
            if SAME_VENDOR.contains(&source) {
                continue;
            }
            if shows_unseen(row) {
                dropped += 1;
            } else if let Some(&level) = level_of.get(source) {
                // The high-quality set is what a person would call clean.
                if self.kind[row] == "original" {
                    clean[level].push(row);
                }
            } else {
                pool.push(row);
            }
        }
        (self.clean, self.pool, self.test) = (clean, pool, test);
        (self.unseen, self.dropped) = (unseen, dropped);
    }

    pub(crate) fn pairs(&self) -> Pairs<'_> {
        Pairs { images: &self.images, texts: &self.texts }
    }

    /// Features of picture and text of each pair in one row, and the row's length.
    pub(crate) fn side_by_side(&self, pairs: &[(usize, usize)]) -> (Vec<f32>, usize) {
        let row = |&(image, text): &(usize, usize)| {
            self.images.row(image).into_iter().chain(self.texts.row(text)).copied()
        };
        (pairs.iter().flat_map(row).collect(), self.images.ncols() + self.texts.ncols())
    }

    pub(crate) fn source(&self, row: usize) -> &str {
        &self.source[row]
    }

    /// Clean pairs up to a step of [`CLEAN`].
    pub(crate) fn clean_up_to(&self, level: usize) -> Vec<(usize, usize)> {
        self.clean[..=level].iter().flatten().map(|&row| (row, row)).collect()
    }

    /// The pool with its captions: a share of the rows, drawn by seed, gets the caption of another
    /// of them. The second value says what each row's caption is, "right" or one of [`KINDS`].
    pub(crate) fn noisy_pool(&self, seed: u64) -> (Vec<(usize, usize)>, Vec<&'static str>) {
        let draw = random::derive(seed, "exchanged");
        let taken = |row: &usize| random::unit(draw, self.ids[*row]) < EXCHANGED;
        let mut exchanged: Vec<usize> = self.pool.iter().copied().filter(taken).collect();
        let order = random::derive(seed, "order of exchange");
        exchanged.sort_by_key(|&row| random::hash(order, self.ids[row]));
        // Around a ring in random order nobody keeps their own caption.
        let mut caption: BTreeMap<usize, usize> = BTreeMap::new();
        for (i, &row) in exchanged.iter().enumerate() {
            caption.insert(row, exchanged[(i + 1) % exchanged.len()]);
        }
        let pairs: Vec<(usize, usize)> =
            self.pool.iter().map(|&row| (row, *caption.get(&row).unwrap_or(&row))).collect();
        let kind = |&(image, text): &(usize, usize)| {
            if image != text {
                return "exchanged";
            }
            let planted = KINDS.iter().find(|kind| **kind == self.kind[image]);
            planted.copied().unwrap_or("right")
        };
        let kinds = pairs.iter().map(kind).collect();
        (pairs, kinds)
    }

    /// What a model is asked: the test pictures, their captions as candidates, and what is right.
    pub(crate) fn questions(&self) -> Questions {
        let mut concepts: Vec<&str> = self.test.iter().map(|&r| self.concept[r].as_str()).collect();
        concepts.sort_unstable();
        concepts.dedup();
        let mut classes: Vec<&str> =
            self.test.iter().map(|&r| self.subcategory[r].as_str()).collect();
        classes.sort_unstable();
        classes.dedup();
        let place = |all: &[&str], one: &str| all.binary_search(&one).unwrap_or(0);
        Questions {
            rows: self.test.clone(),
            concept: self.test.iter().map(|&r| place(&concepts, &self.concept[r])).collect(),
            concepts: concepts.len(),
            class: self.test.iter().map(|&r| place(&classes, &self.subcategory[r])).collect(),
            classes: classes.len(),
            unseen: self.test.iter().map(|&r| self.unseen.contains(&self.concept[r])).collect(),
        }
    }

    pub(crate) fn rows(&self, rows: &[usize]) -> (Array2<f32>, Array2<f32>) {
        use ndarray::Axis;
        (self.images.select(Axis(0), rows), self.texts.select(Axis(0), rows))
    }
}

/// The held-out vendor's pictures and what is asked of them.
pub(crate) struct Questions {
    pub(crate) rows: Vec<usize>,
    pub(crate) concept: Vec<usize>,
    pub(crate) concepts: usize,
    pub(crate) class: Vec<usize>,
    pub(crate) classes: usize,
    pub(crate) unseen: Vec<bool>,
}

fn has_skin_tone(concept: &str) -> bool {
    ["1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"].iter().any(|tone| concept.contains(tone))
}

fn words(label: &str) -> Vec<String> {
    let words = label.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// The protocol in words and numbers, for the results' file.
pub(crate) fn describe(data: &Data) -> Value {
    let steps: Vec<Value> = CLEAN
        .iter()
        .zip(&data.clean)
        .map(
            |((name, sources), rows)| json!({"step": name, "sources": sources, "rows": rows.len()}),
        )
        .collect();
    let questions = data.questions();
    json!({
        "primary": "zero-shot accuracy over the subcategories of the held-out vendor's emoji",
        "held_out": HELD_OUT,
        "test_rows": questions.rows.len(),
        "subcategories": questions.classes,
        "concepts": questions.concepts,
        "unseen_concepts": data.unseen.len(),
        "rows_dropped_for_unseen_concepts": data.dropped,
        "pool_rows": data.pool.len(),
        "clean": steps,
        "captions_exchanged": EXCHANGED,
        "kept": KEEP,
        "training": ProbeParams::new(),
        "classifier_steps": CLASSIFIER_STEPS,
    })
}
