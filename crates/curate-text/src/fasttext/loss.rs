//! From the hidden vector to the scores of the labels.

use super::args::LossName;
use super::heap::Best;
use super::matrix::Matrix;
use super::source::FormatError;
use super::tree::Tree;

/// fastText looks the sigmoid up in a table between -8 and 8 and rounds down to a step, so its
/// probabilities are those of the table and not of the function.
const MAX_SIGMOID: f32 = 8.0;
const SIGMOID_STEPS: u16 = 512;

pub(super) enum Loss {
    Softmax,
    /// Negative sampling and one-vs-all predict alike: a sigmoid for each label.
    Sigmoid(Vec<f32>),
    Hierarchical(Tree),
}

impl Loss {
    pub(super) fn new(name: LossName, label_counts: &[i64]) -> Result<Self, FormatError> {
        Ok(match name {
            LossName::Softmax => Self::Softmax,
            LossName::NegativeSampling | LossName::OneVsAll => Self::Sigmoid(sigmoid_table()),
            LossName::HierarchicalSoftmax => Self::Hierarchical(Tree::new(label_counts)?),
        })
    }

    /// Gathers the best labels whose probability is at least the threshold.
    pub(super) fn predict(&self, output: &Matrix, hidden: &[f32], threshold: f32, best: &mut Best) {
        match self {
            Self::Softmax => keep(&softmax(output, hidden), threshold, best),
            Self::Sigmoid(table) => keep(&sigmoids(table, output, hidden), threshold, best),
            Self::Hierarchical(tree) => tree.search(output, hidden, threshold, best),
        }
    }
}

/// fastText's logarithm. It adds 0.00001 so as never to meet zero, and probabilities can exceed 1
/// by as much.
pub(super) fn log(value: f32) -> f32 {
    (f64::from(value) + 1e-5).ln() as f32
}

fn keep(probabilities: &[f32], threshold: f32, best: &mut Best) {
    for (label, &probability) in probabilities.iter().enumerate() {
        let score = log(probability);
        if probability >= threshold && !best.is_hopeless(score) {
            best.push((score, label));
        }
    }
}

fn softmax(output: &Matrix, hidden: &[f32]) -> Vec<f32> {
    let mut values: Vec<f32> = (0..output.rows).map(|row| output.dot(row, hidden)).collect();
    let greatest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for value in &mut values {
        *value = f64::from(*value - greatest).exp() as f32;
        sum += *value;
    }
    values.iter_mut().for_each(|value| *value /= sum);
    values
}

fn sigmoids(table: &[f32], output: &Matrix, hidden: &[f32]) -> Vec<f32> {
    (0..output.rows).map(|row| sigmoid(table, output.dot(row, hidden))).collect()
}

fn sigmoid(table: &[f32], x: f32) -> f32 {
    if x < -MAX_SIGMOID {
        return 0.0;
    }
    if x > MAX_SIGMOID {
        return 1.0;
    }
    let step = (x + MAX_SIGMOID) * f32::from(SIGMOID_STEPS) / MAX_SIGMOID / 2.0;
    table[step as usize]
}

fn sigmoid_table() -> Vec<f32> {
    (0..=SIGMOID_STEPS)
        .map(|step| {
            let x = f32::from(step) * 2.0 * MAX_SIGMOID / f32::from(SIGMOID_STEPS) - MAX_SIGMOID;
            (1.0 / (1.0 + f64::from((-x).exp()))) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigmoid_is_looked_up_and_clamped() {
        let table = sigmoid_table();
        assert_eq!(sigmoid(&table, -8.1), 0.0);
        assert_eq!(sigmoid(&table, 8.1), 1.0);
        assert_eq!(sigmoid(&table, 0.0), 0.5);
        // NaN falls on the first step rather than beyond the table.
        assert!(sigmoid(&table, f32::NAN) < 0.001);
        assert_eq!(sigmoid(&table, 0.01), 0.5);
    }
}
