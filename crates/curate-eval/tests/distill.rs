//! What the paper on distillation and pruning (arXiv 2403.07854) claims, on handwritten digits
//! (`fixtures/eval/README.md`): orders, not figures.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use curate_core::{NoProgress, SampleId, embedding::RowsOf, random};
use curate_eval::{
    Classifier, ClassifierParams, Labeled,
    distill::{DistillParams, SoftLabels, scores::el2n},
    metrics::{ranks_of_scores, recall_at},
};
use ndarray::Array2;

const TRAIN: usize = 1200;

/// Digits in a random order, and their labels; of those trained on a share is replaced by random ones.
struct Digits {
    features: Array2<f32>,
    right: Vec<usize>,
    given: Vec<usize>,
}

impl Digits {
    fn read(noise: f64) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/eval");
        let bytes = std::fs::read(folder.join("digits.bin")).unwrap();
        let mut records: Vec<(u64, &[u8])> = bytes
            .chunks_exact(65)
            .enumerate()
            .map(|(row, record)| (random::hash(1, SampleId(row as u128)), record))
            .collect();
        records.sort_unstable();
        let pixel = |(row, at): (usize, usize)| f32::from(records[row].1[at]) / 16.0;
        let features = Array2::from_shape_fn((records.len(), 64), pixel);
        let right: Vec<usize> = records.iter().map(|(_, record)| usize::from(record[64])).collect();
        let unit = |seed, row: usize| random::unit(seed, SampleId(row as u128));
        let label = |row: usize| match row < TRAIN && unit(2, row) < noise {
            true => (10.0 * unit(3, row)) as usize,
            false => right[row],
        };
        let given = (0..records.len()).map(label).collect();
        Self { features, right, given }
    }

    fn data(&self) -> Labeled<'_> {
        Labeled { features: &self.features, class: &self.given, classes: 10 }
    }

    /// What a teacher that saw everything says of every row.
    fn teacher(&self, net: &Classifier) -> Vec<f32> {
        let everything: Vec<usize> = (0..TRAIN).collect();
        let teacher = net.run(&self.data(), &everything, &NoProgress).unwrap();
        teacher.scores(&self.features).unwrap()
    }

    /// The accuracy on right labels of a student of `kept` rows.
    fn student(&self, net: &Classifier, kept: &[usize], soft: &SoftLabels, alpha: f32) -> f64 {
        let distill = DistillParams::new().alpha(alpha).temperature(4.0).check().unwrap();
        let student = distill.run(net, &self.data(), kept, soft, &NoProgress).unwrap();
        let held_out: Vec<usize> = (TRAIN..self.right.len()).collect();
        let scores = student.scores(&RowsOf::new(&self.features, &held_out)).unwrap();
        let ranks = ranks_of_scores(&scores, &self.right[TRAIN..], 10).unwrap();
        recall_at(&ranks, 1).unwrap()
    }
}

fn net() -> Classifier {
    ClassifierParams::mlp(64).batch(128).steps(250).check().unwrap()
}

/// The hardest tenth by EL2N of a network early in its training.
fn hardest(digits: &Digits) -> Vec<usize> {
    let early = ClassifierParams::mlp(64).batch(128).steps(40).seed(7).check().unwrap();
    let scores = el2n(&digits.teacher(&early), &digits.given, 10).unwrap();
    let mut rows: Vec<usize> = (0..TRAIN).collect();
    rows.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    rows.truncate(TRAIN / 10);
    rows
}

#[test]
fn a_small_random_share_gains_by_the_teacher_and_everything_does_not() {
    let (digits, net) = (Digits::read(0.0), net());
    let soft = SoftLabels::of(&digits.teacher(&net), 10, 10).unwrap();
    let accuracy =
        |kept: usize, alpha| digits.student(&net, &(0..kept).collect::<Vec<_>>(), &soft, alpha);
    let (labels, teacher) = (accuracy(TRAIN / 33, 0.0), accuracy(TRAIN / 33, 1.0));
    assert!(teacher > labels + 0.03, "3 %: labels {labels}, teacher {teacher}");
    let (labels, teacher) = (accuracy(TRAIN, 0.0), accuracy(TRAIN, 1.0));
    assert!((teacher - labels).abs() < 0.02, "all: labels {labels}, teacher {teacher}");
}

#[test]
fn under_label_noise_hard_rows_mislead_and_the_teacher_repairs_them() {
    let (digits, net) = (Digits::read(0.3), net());
    let soft = SoftLabels::of(&digits.teacher(&net), 10, 10).unwrap();
    let random: Vec<usize> = (0..TRAIN / 10).collect();
    let hard = hardest(&digits);
    let of = |kept: &[usize], alpha| digits.student(&net, kept, &soft, alpha);
    let [random_labels, random_teacher] = [0.0, 1.0].map(|alpha| of(&random, alpha));
    let [hard_labels, hard_half, hard_teacher] = [0.0, 0.5, 1.0].map(|alpha| of(&hard, alpha));
    assert!(random_teacher > random_labels + 0.1, "{random_labels} {random_teacher}");
    assert!(hard_labels < 0.2, "worse than useless: {hard_labels}");
    assert!(hard_labels < hard_half && hard_half < hard_teacher, "{hard_half}");
    assert!(hard_teacher > 0.7, "{hard_teacher}");
    // Three of ten logits carry nearly all that the teacher knows.
    let few = SoftLabels::of(&digits.teacher(&net), 10, 3).unwrap();
    let short = digits.student(&net, &random, &few, 1.0);
    assert!(short > random_labels + 0.1, "{short} {random_labels}");
}
