//! Training a student.

use burn::tensor::{Tensor, TensorData, activation};
use curate_core::{ParamsError, Progress, embedding::RowsOf, params::Checker};
use serde::{Deserialize, Serialize};

use crate::{
    ClassNet, Classifier, EvalError, Labeled,
    classifier::cross_entropy,
    distill::SoftLabels,
    metrics::{Accuracy, ranks_of_scores},
};

/// How much a student listens to its teacher. [`DistillParams::check`] makes it usable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DistillParams {
    /// The teacher's share of the loss.
    pub(crate) alpha: f32,
    /// The temperature of both softmaxes.
    pub(crate) temperature: f32,
}

impl Default for DistillParams {
    fn default() -> Self {
        Self { alpha: 0.5, temperature: 4.0 }
    }
}

impl DistillParams {
    /// Half of the loss, at a temperature of 4.
    pub fn new() -> Self {
        Self::default()
    }

    /// The teacher's share of the loss: 0 hears labels alone, 1 the teacher alone.
    pub fn alpha(mut self, alpha: f32) -> Self {
        self.alpha = alpha;
        self
    }

    /// The temperature of both softmaxes: the higher, the more the teacher says of unlikely classes.
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.temperature = temperature;
        self
    }

    /// The distillation, if every parameter is in range.
    ///
    /// # Errors
    /// Every violation.
    pub fn check(self) -> Result<Distill, ParamsError> {
        check(self.alpha, self.temperature)?;
        Ok(Distill(self))
    }
}

/// What every distillation asks of its two numbers.
pub(super) fn check(alpha: f32, temperature: f32) -> Result<(), ParamsError> {
    let mut check = Checker::default();
    check.that((0.0..=1.0).contains(&alpha), "alpha", alpha, "a number from 0 to 1");
    let fits = temperature.is_finite() && temperature > 0.0;
    check.that(fits, "temperature", temperature, "a number above 0");
    check.finish()
}

/// The teacher's share by the share of the data that is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Alpha {
    /// The same for any share.
    Fixed(f32),
    /// From `few`, where nearly nothing is kept, in a line to `all`, where everything is. The paper finds
    /// that alpha should fall with the share, and gives no formula: prefer [`Distill::sweep`] where rows can
    /// be held out.
    ByShare {
        /// Where nearly nothing is kept.
        few: f32,
        /// Where everything is kept.
        all: f32,
    },
}

impl Alpha {
    /// For a share from 0 to 1.
    pub fn at(self, share: f64) -> f32 {
        match self {
            Self::Fixed(alpha) => alpha,
            Self::ByShare { few, all } => {
                let share = share.clamp(0.0, 1.0) as f32;
                few * (1.0 - share) + all * share
            }
        }
    }
}

/// Distillation with valid parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Distill(DistillParams);

impl Distill {
    /// Trains a student on `rows`. `soft` says something of every row of the features.
    ///
    /// # Errors
    /// As [`Classifier::run`], and when the teacher has other rows or classes.
    pub fn run(
        &self,
        student: &Classifier,
        data: &Labeled<'_>,
        rows: &[usize],
        soft: &SoftLabels,
        progress: &dyn Progress,
    ) -> Result<ClassNet, EvalError> {
        EvalError::unless_length("soft", soft.rows(), data.features.rows())?;
        if soft.classes() != data.classes {
            let (teacher, student) = (soft.classes(), data.classes);
            return Err(EvalError::OtherClasses { teacher, student });
        }
        let DistillParams { alpha, temperature } = self.0;
        let loss = |logits: Tensor<2>, batch: &[usize]| {
            let of_batch = || batch.iter().map(|&at| rows[at]);
            let own: Vec<usize> = of_batch().map(|row| data.class[row]).collect();
            let shares: Vec<f32> =
                of_batch().flat_map(|row| soft.shares(row, temperature)).collect();
            let hard = cross_entropy(logits.clone(), &own).mul_scalar(1.0 - alpha);
            Ok(hard + divergence(logits, shares, temperature).mul_scalar(alpha))
        };
        student.run_with(data, rows, loss, progress)
    }

    /// The top-1 accuracy on `held_out` rows of a student for each alpha: what an honest choice of it
    /// looks at.
    ///
    /// # Errors
    /// As [`Self::run`], for an alpha out of range, and when no row is held out.
    pub fn sweep(
        &self,
        alphas: &[f32],
        student: &Classifier,
        data: &Labeled<'_>,
        rows: (&[usize], &[usize]),
        soft: &SoftLabels,
        progress: &dyn Progress,
    ) -> Result<Vec<(f32, f64)>, EvalError> {
        let (kept, held_out) = rows;
        EvalError::unless_row("held_out", held_out, data.class.len())?;
        let own: Vec<usize> = held_out.iter().map(|&row| data.class[row]).collect();
        let test = RowsOf::new(data.features, held_out);
        let mut found = Vec::with_capacity(alphas.len());
        for &alpha in alphas {
            let distill = DistillParams { alpha, ..self.0.clone() }.check()?;
            let net = distill.run(student, data, kept, soft, progress)?;
            let ranks = ranks_of_scores(&net.scores(&test)?, &own, data.classes)?;
            let Some(accuracy) = Accuracy::of(&ranks, &own)? else {
                return Err(EvalError::Length { argument: "held_out", found: 0, expected: 1 });
            };
            found.push((alpha, accuracy.top_1));
        }
        Ok(found)
    }
}

/// `T² KL(shares ‖ softmax(logits / T))`, the mean over the rows.
fn divergence(logits: Tensor<2>, shares: Vec<f32>, temperature: f32) -> Tensor<1> {
    let [n, classes] = logits.dims();
    let entropy: f64 = shares.iter().filter(|p| **p > 0.0).map(|&p| f64::from(p * p.ln())).sum();
    let shares = Tensor::<2>::from_data(TensorData::new(shares, [n, classes]), &logits.device());
    let log = activation::log_softmax(logits.div_scalar(temperature), 1);
    let crossed = (log * shares).sum();
    crossed.mul_scalar(-1.0).add_scalar(entropy as f32).mul_scalar(temperature.powi(2) / n as f32)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use curate_core::{NoProgress, SampleId, random};
    use ndarray::Array2;

    use super::*;
    use crate::ClassifierParams;

    #[test]
    fn the_divergence_is_that_of_its_definition() {
        let (logits, teacher, t) = (
            [[0.5_f32, -1.0, 2.0], [0.0, 0.3, 0.1]],
            [[1.0_f32, 0.0, -2.0], [3.0, 0.0, 0.5]],
            3.0_f32,
        );
        let shares: Vec<f32> = teacher
            .iter()
            .flat_map(|row| SoftLabels::of(row, 3, 3).unwrap().shares(0, t))
            .collect();
        let softmax = |row: &[f32; 3]| {
            let exps = row.map(|x| (f64::from(x) / f64::from(t)).exp());
            let all: f64 = exps.iter().sum();
            exps.map(|x| x / all)
        };
        let by_hand: f64 = logits
            .iter()
            .zip(&teacher)
            .map(|(z, t)| {
                let (q, p) = (softmax(z), softmax(t));
                p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum::<f64>()
            })
            .sum::<f64>()
            * 9.0
            / 2.0;
        let tensor = Tensor::<2>::from_data(TensorData::from(logits), &Device::flex());
        let found = f64::from(divergence(tensor.clone(), shares.clone(), t).into_scalar::<f32>());
        assert!((found - by_hand).abs() < 1e-5, "{found} {by_hand}");
        let own: Vec<f32> =
            logits.iter().flat_map(|row| SoftLabels::of(row, 3, 3).unwrap().shares(0, t)).collect();
        assert!(
            divergence(tensor, own, t).into_scalar::<f32>().abs() < 1e-5,
            "a student like its teacher"
        );
    }

    /// Two clouds, of which a third of the labels are wrong; the teacher saw all, the student a tenth.
    #[test]
    fn a_teacher_repairs_wrong_labels() {
        let n = 600;
        let features = Array2::from_shape_fn((n, 8), |(row, column)| {
            let noise = random::unit(3, SampleId((row * 8 + column) as u128)) as f32 - 0.5;
            2.0 * noise + if row % 2 == column % 2 { 0.35 } else { -0.35 }
        });
        let right: Vec<usize> = (0..n).map(|row| row % 2).collect();
        let wrong = |row: usize| random::unit(5, SampleId(row as u128)) < 0.33;
        let class: Vec<usize> =
            (0..n).map(|row| if wrong(row) { 1 - right[row] } else { right[row] }).collect();
        let data = Labeled { features: &features, class: &class, classes: 2 };
        let net = ClassifierParams::mlp(32).batch(32).steps(300).check().unwrap();
        let everything: Vec<usize> = (0..400).collect();
        let teacher = net.run(&data, &everything, &NoProgress).unwrap();
        let soft = SoftLabels::of(&teacher.scores(&features).unwrap(), 2, 2).unwrap();
        let kept: Vec<usize> = (0..40).collect();
        let truth = Labeled { features: &features, class: &right, classes: 2 };
        let held_out: Vec<usize> = (400..n).collect();
        let accuracy = |alpha: f32| {
            let distill = DistillParams::new().alpha(alpha).check().unwrap();
            let student = distill.run(&net, &data, &kept, &soft, &NoProgress).unwrap();
            let test = RowsOf::new(&features, &held_out);
            let own: Vec<usize> = held_out.iter().map(|&row| truth.class[row]).collect();
            let ranks = ranks_of_scores(&student.scores(&test).unwrap(), &own, 2).unwrap();
            Accuracy::of(&ranks, &own).unwrap().unwrap().top_1
        };
        let (labels, teacher) = (accuracy(0.0), accuracy(1.0));
        assert!(teacher > labels + 0.05, "labels {labels}, teacher {teacher}");

        let distill = DistillParams::new().check().unwrap();
        let found = distill
            .sweep(&[0.0, 1.0], &net, &data, (&kept, &held_out), &soft, &NoProgress)
            .unwrap();
        assert_eq!((found[0].0, found[1].0), (0.0, 1.0));
        let few = SoftLabels::of(&[0.0; 4], 2, 2).unwrap();
        let run = |soft: &SoftLabels| distill.run(&net, &data, &kept, soft, &NoProgress);
        assert!(run(&few).unwrap_err().to_string().starts_with("`soft`: 2 values, but 600"));
        let other = SoftLabels::of(&vec![0.0; 3 * n], 3, 1).unwrap();
        assert!(run(&other).unwrap_err().to_string().contains("tells 3 classes apart"));
    }

    #[test]
    fn alpha_falls_with_the_share_and_ranges_are_checked() {
        let by_share = Alpha::ByShare { few: 1.0, all: 0.2 };
        assert_eq!(
            (by_share.at(0.0), by_share.at(1.0), Alpha::Fixed(0.3).at(0.1)),
            (1.0, 0.2, 0.3)
        );
        assert!(by_share.at(0.1) > by_share.at(0.5));
        let wrong = DistillParams::new().alpha(1.5).temperature(0.0).check().unwrap_err();
        assert_eq!(wrong.violations.len(), 2);
    }
}
