//! Students of two projections.

use burn::tensor::{Tensor, activation};
use curate_core::{ParamsError, Progress};
use serde::{Deserialize, Serialize};

use crate::{EvalError, Pairs, Probe, Towers, distill::student::check, towers::gather};

/// What a student copies of its teacher (Yang et al. 2024, CLIP-KD, arXiv 2307.12732).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Copied {
    /// The embeddings: the mean squared difference, of which both sum over an embedding's numbers. The teacher's
    /// must be as long as the student's.
    Features,
    /// Which texts are near an image and which images are near a text: the divergence of the softmaxes of a batch's
    /// similarities, the mean over both directions. The teacher's embeddings may have any length.
    #[default]
    Relations,
}

/// How much a student of two projections copies. [`DistillTowersParams::check`] makes it usable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DistillTowersParams {
    /// What is copied.
    pub copied: Copied,
    /// The teacher's share of the loss: 0 hears the pairs alone, 1 the teacher alone.
    pub alpha: f32,
    /// By which similarities are divided before their softmax; for [`Copied::Relations`].
    pub temperature: f32,
}

impl Default for DistillTowersParams {
    fn default() -> Self {
        Self { copied: Copied::default(), alpha: 0.5, temperature: 0.07 }
    }
}

impl DistillTowersParams {
    /// The distillation, if every parameter is in range.
    ///
    /// # Errors
    /// Every violation.
    pub fn check(self) -> Result<DistillTowers, ParamsError> {
        check(self.alpha, self.temperature)?;
        Ok(DistillTowers(self))
    }
}

/// Distillation of two projections with valid parameters.
///
/// ```
/// use curate_core::NoProgress;
/// use curate_eval::{Pairs, ProbeParams, distill::DistillTowersParams};
/// use ndarray::Array2;
///
/// let features = Array2::<f32>::eye(8);
/// let data = Pairs { images: &features, texts: &features };
/// let everything: Vec<(usize, usize)> = (0..8).map(|i| (i, i)).collect();
/// let teacher = ProbeParams::new().batch(8).steps(20).check()?.run(&data, &everything, &NoProgress)?;
/// let dim = teacher.dim();
/// let images = Array2::from_shape_vec((8, dim), teacher.images(&features)?)?;
/// let texts = Array2::from_shape_vec((8, dim), teacher.texts(&features)?)?;
/// let said = Pairs { images: &images, texts: &texts };
///
/// let student = ProbeParams::new().hidden(16).dim(4).batch(4).steps(20).check()?;
/// let distill = DistillTowersParams::default().check()?;
/// let towers = distill.run(&student, &data, &everything[..4], &said, &NoProgress)?;
/// assert_eq!(towers.images(&features)?.len(), 8 * 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DistillTowers(DistillTowersParams);

impl DistillTowers {
    /// Trains a student on `pairs` of `data`. `teacher` has its embeddings, of length 1, of the same rows.
    ///
    /// # Errors
    /// As [`Probe::run`], when the teacher has other rows, and when embeddings are copied that are not as long as the
    /// student's.
    pub fn run(
        &self,
        student: &Probe,
        data: &Pairs<'_>,
        pairs: &[(usize, usize)],
        teacher: &Pairs<'_>,
        progress: &dyn Progress,
    ) -> Result<Towers, EvalError> {
        EvalError::unless_length("teacher.images", teacher.images.rows(), data.images.rows())?;
        EvalError::unless_length("teacher.texts", teacher.texts.rows(), data.texts.rows())?;
        let expected = student.params.dim;
        for (argument, table) in
            [("teacher.images", teacher.images), ("teacher.texts", teacher.texts)]
        {
            let found = table.dim();
            if self.0.copied == Copied::Features && found != expected {
                return Err(EvalError::Width { argument, found, expected });
            }
        }
        let DistillTowersParams { copied, alpha, temperature } = self.0;
        let loss = |model: &crate::model::Model, batch: &[usize], own: (Tensor<2>, Tensor<2>)| {
            let device = own.0.device();
            let rows = |of: fn(&(usize, usize)) -> usize| -> Vec<usize> {
                batch.iter().map(|&at| of(&pairs[at])).collect()
            };
            let images = gather(teacher.images, &rows(|pair| pair.0), &device)?;
            let texts = gather(teacher.texts, &rows(|pair| pair.1), &device)?;
            let (a, b) = own;
            let copies = match copied {
                Copied::Features => difference(a.clone(), images) + difference(b.clone(), texts),
                Copied::Relations => {
                    let near = |a: Tensor<2>, b: Tensor<2>| {
                        a.matmul(b.transpose()).div_scalar(temperature)
                    };
                    divergence(near(a.clone(), b.clone()), near(images, texts))
                }
            };
            Ok(model.loss(a, b).mul_scalar(1.0 - alpha) + copies.mul_scalar(alpha))
        };
        student.run_with(data, pairs, &loss, progress)
    }
}

/// The mean over rows of the squared distance.
fn difference(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
    let n = a.dims()[0];
    (a - b).square().sum().div_scalar(n as f32)
}

/// `KL(softmax(teacher) ‖ softmax(student))`, the mean over the rows and over the columns.
fn divergence(student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
    let n = student.dims()[0];
    let one_way = |dim: usize| {
        let says = activation::log_softmax(teacher.clone(), dim);
        let heard = activation::log_softmax(student.clone(), dim);
        (says.clone().exp() * (says - heard)).sum()
    };
    (one_way(0) + one_way(1)).mul_scalar(0.5 / n as f32)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use curate_core::{NoProgress, SampleId, random};
    use ndarray::Array2;

    use super::*;
    use crate::ProbeParams;

    #[test]
    fn the_divergence_is_that_of_its_definition() {
        let (student, teacher) = ([[0.5, -1.0], [2.0, 0.25]], [[1.0, 0.0], [-0.5, 3.0]]);
        let softmax = |x: [f64; 2]| {
            let all: f64 = x.iter().map(|x| x.exp()).sum();
            x.map(|x| x.exp() / all)
        };
        let turned = |x: [[f64; 2]; 2]| [[x[0][0], x[1][0]], [x[0][1], x[1][1]]];
        let one_way = |s: [[f64; 2]; 2], t: [[f64; 2]; 2]| -> f64 {
            let of = |(s, t): ([f64; 2], [f64; 2])| -> f64 {
                let (q, p) = (softmax(s), softmax(t));
                p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum()
            };
            s.into_iter().zip(t).map(of).sum()
        };
        let expected =
            (one_way(student, teacher) + one_way(turned(student), turned(teacher))) / 4.0;
        let tensor = |x: [[f64; 2]; 2]| {
            Tensor::<2>::from_data(
                TensorData::from(x.map(|row| row.map(|x| x as f32))),
                &Device::flex(),
            )
        };
        let found = divergence(tensor(student), tensor(teacher)).into_scalar::<f32>();
        assert!((f64::from(found) - expected).abs() < 1e-6, "{found} {expected}");
        let alike = divergence(tensor(teacher), tensor(teacher)).into_scalar::<f32>();
        assert!(alike.abs() < 1e-6, "a student like its teacher");
    }

    /// Pairs of ten concepts with noise, of which half are wrong; the teacher saw right ones.
    #[test]
    fn a_teacher_repairs_wrong_pairs() {
        let n = 300;
        let table = |salt: u64| {
            Array2::from_shape_fn((n, 16), |(i, j)| {
                let noise = random::unit(salt, SampleId((i * 16 + j) as u128)) as f32 - 0.5;
                f32::from(u8::from(i % 10 == j)) + 0.5 * noise
            })
        };
        let (images, texts) = (table(1), table(2));
        let data = Pairs { images: &images, texts: &texts };
        let right: Vec<(usize, usize)> = (0..n).map(|i| (i, i)).collect();
        let params = ProbeParams::new().hidden(32).dim(8).batch(50).steps(300);
        let probe = params.clone().check().unwrap();
        let teacher = probe.run(&data, &right, &NoProgress).unwrap();
        let said = |rows: Vec<f32>| Array2::from_shape_vec((n, 8), rows).unwrap();
        let (of_images, of_texts) =
            (said(teacher.images(&images).unwrap()), said(teacher.texts(&texts).unwrap()));
        let teacher = Pairs { images: &of_images, texts: &of_texts };
        let kept: Vec<(usize, usize)> =
            (0..100).map(|i| (i, if i % 2 == 0 { i } else { i + 3 })).collect();
        let student = params.seed(3).check().unwrap();
        let lead = |copied: Copied, alpha: f32| {
            let distill = DistillTowersParams { copied, alpha, ..Default::default() };
            let distill = distill.check().unwrap();
            let towers = distill.run(&student, &data, &kept, &teacher, &NoProgress).unwrap();
            let mean = |shift: usize| {
                let pairs: Vec<(usize, usize)> = (100..200).map(|i| (i, i + shift)).collect();
                towers.cosines(&data, &pairs).unwrap().iter().sum::<f32>() / 100.0
            };
            mean(0) - mean(3)
        };
        let alone = lead(Copied::Relations, 0.0);
        assert_eq!(alone, lead(Copied::Features, 0.0), "the pairs alone");
        for copied in [Copied::Relations, Copied::Features] {
            let taught = lead(copied, 1.0);
            assert!(taught > alone + 0.1, "{copied:?}: {taught}, alone {alone}");
        }
    }

    #[test]
    fn a_teacher_of_other_rows_or_lengths_is_refused() {
        let (rows, short, narrow) =
            (Array2::<f32>::eye(6), Array2::<f32>::zeros((5, 4)), Array2::<f32>::zeros((6, 3)));
        let data = Pairs { images: &rows, texts: &rows };
        let pairs: Vec<(usize, usize)> = (0..6).map(|i| (i, i)).collect();
        let student = ProbeParams::new().hidden(4).dim(4).batch(2).steps(1).check().unwrap();
        let run = |copied: Copied, table: &Array2<f32>| {
            let distill = DistillTowersParams { copied, ..Default::default() }.check().unwrap();
            let teacher = Pairs { images: table, texts: table };
            distill.run(&student, &data, &pairs, &teacher, &NoProgress).map(drop)
        };
        let error = run(Copied::Relations, &short).unwrap_err().to_string();
        assert!(error.starts_with("`teacher.images`: 5 values, but 6"), "{error}");
        assert!(run(Copied::Relations, &narrow).is_ok(), "any length");
        let error = run(Copied::Features, &narrow).unwrap_err();
        assert!(matches!(error, EvalError::Width { found: 3, expected: 4, .. }), "{error}");
        let wrong = DistillTowersParams { alpha: 2.0, temperature: 0.0, ..Default::default() };
        assert_eq!(wrong.check().unwrap_err().violations.len(), 2);
    }
}
