//! Fashion-MNIST with wrong labels, more of them in worse buckets.

use super::study::{BUCKETS, Study};
use crate::fashion::{CLASSES, FashionMnist};
use crate::tiny::right;
use anyhow::Result;
use curate_core::{NoProgress, SampleId, random};
use curate_eval::{ClassifierParams, Labeled};

/// Pictures of a bucket.
const BUCKET: usize = 3000;
/// Elements of the hidden layer.
const HIDDEN: usize = 64;
/// Pictures of a step.
const BATCH: usize = 64;
/// Largest learning rate.
const RATE: f64 = 2e-3;

/// How many labels of each bucket are wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Noise {
    pub(super) name: &'static str,
    share: [f64; BUCKETS],
}

/// From a pool whose worst bucket is nearly useless to one that is nearly as good everywhere.
pub(super) const NOISE: [Noise; 3] = [
    Noise { name: "harsh", share: [0.05, 0.40, 0.70, 0.90] },
    Noise { name: "steep", share: [0.05, 0.20, 0.40, 0.60] },
    Noise { name: "gentle", share: [0.05, 0.10, 0.15, 0.20] },
];

/// What a study of this noise is made of.
pub(super) struct Clothes<'a> {
    data: &'a FashionMnist,
    noise: &'a Noise,
}

pub(super) fn study<'a>(data: &'a FashionMnist, noise: &'a Noise) -> Clothes<'a> {
    Clothes { data, noise }
}

impl Clothes<'_> {
    pub(super) fn train(&self, seeds: u64) -> Result<super::Trained> {
        let name = format!("Fashion-MNIST, {}", self.noise.name);
        let buckets = |seed: u64| buckets(self.data.train.class.len(), seed);
        let train = |rows: &[usize], samples: u64, seed: u64| self.error(rows, samples, seed);
        Study { name, bucket: BUCKET, buckets: &buckets, train: &train }.train(seeds)
    }

    fn error(&self, rows: &[usize], samples: u64, seed: u64) -> Result<f64> {
        let class = self.labels(seed);
        let (train, test) = (&self.data.train, &self.data.test);
        let data = Labeled { features: &train.pixels, class: &class, classes: CLASSES };
        let params = ClassifierParams::mlp(HIDDEN).batch(BATCH).rate(RATE).samples(samples);
        let net = params.seed(seed).check()?.run(&data, rows, &NoProgress)?;
        Ok(1.0 - right(&net, test, CLASSES)?)
    }

    /// The labels of all pictures for a seed: in a bucket, so many are another class's.
    fn labels(&self, seed: u64) -> Vec<usize> {
        let mut class = self.data.train.class.clone();
        let (wrong, other) =
            (random::derive(seed, "wrong label"), random::derive(seed, "other class"));
        for (bucket, rows) in buckets(class.len(), seed).iter().enumerate() {
            for &row in rows {
                let id = SampleId(row as u128);
                if random::unit(wrong, id) < self.noise.share[bucket] {
                    let step = 1 + (random::hash(other, id) % (CLASSES as u64 - 1)) as usize;
                    class[row] = (class[row] + step) % CLASSES;
                }
            }
        }
        class
    }
}

/// The pictures of each bucket: others for another seed.
fn buckets(pictures: usize, seed: u64) -> Vec<Vec<usize>> {
    let draw = random::derive(seed, "bucket");
    let mut rows: Vec<usize> = (0..pictures).collect();
    rows.sort_by_key(|&row| random::hash(draw, SampleId(row as u128)));
    rows.chunks(BUCKET).take(BUCKETS).map(<[usize]>::to_vec).collect()
}
