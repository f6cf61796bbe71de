//! The front door: train two projections on a selection.

use burn::{module::Module, tensor::Tensor};
use curate_core::Progress;

use crate::{EvalError, Pairs, Probe, Towers, model::Model, towers::gather};

/// The loss of a model, of a batch's places among the pairs, and of their embeddings.
pub(crate) type LossOf<'a> =
    dyn Fn(&Model, &[usize], (Tensor<2>, Tensor<2>)) -> Result<Tensor<1>, EvalError> + 'a;

/// That of the pairs alone.
const CLIP: &LossOf<'static> = &|model, _, (a, b)| Ok(model.loss(a, b));

impl Probe {
    /// Trains two projections on `pairs`, each a row of the images and one of the texts. A pair that is
    /// given several times is seen as often.
    ///
    /// # Errors
    /// Fewer than two pairs, a pair without its rows, features without numbers or that cannot be read, a
    /// loss that is not a number, and a stop that the caller asked for.
    pub fn run(
        &self,
        data: &Pairs<'_>,
        pairs: &[(usize, usize)],
        progress: &dyn Progress,
    ) -> Result<Towers, EvalError> {
        self.run_with(data, pairs, CLIP, progress)
    }

    /// [`Self::run`] that goes on from towers that were trained before; their sizes stay.
    ///
    /// # Errors
    /// As [`Self::run`], and when features have another length than the towers take.
    pub fn run_from(
        &self,
        start: &Towers,
        data: &Pairs<'_>,
        pairs: &[(usize, usize)],
        progress: &dyn Progress,
    ) -> Result<Towers, EvalError> {
        start.take(data)?;
        self.train(start.0.clone().train(), data, pairs, CLIP, progress)
    }

    /// Trains a fresh model by a loss of its own.
    pub(crate) fn run_with(
        &self,
        data: &Pairs<'_>,
        pairs: &[(usize, usize)],
        loss: &LossOf<'_>,
        progress: &dyn Progress,
    ) -> Result<Towers, EvalError> {
        let (images, texts) = (data.images.dim(), data.texts.dim());
        for (argument, width) in [("images", images), ("texts", texts)] {
            if width == 0 {
                return Err(EvalError::Width { argument, found: 0, expected: 1 });
            }
        }
        let model = Model::new(images, texts, &self.params, &self.fit().device());
        self.train(model, data, pairs, loss, progress)
    }

    fn train(
        &self,
        model: Model,
        data: &Pairs<'_>,
        pairs: &[(usize, usize)],
        loss: &LossOf<'_>,
        progress: &dyn Progress,
    ) -> Result<Towers, EvalError> {
        if pairs.len() < 2 {
            return Err(EvalError::TooFew(pairs.len()));
        }
        data.check(pairs)?;
        let fit = self.fit();
        let device = fit.device();
        let of_batch = |model: &Model, batch: &[usize]| {
            let rows = |of: fn(&(usize, usize)) -> usize| -> Vec<usize> {
                batch.iter().map(|&at| of(&pairs[at])).collect()
            };
            let images = gather(data.images, &rows(|pair| pair.0), &device)?;
            let texts = gather(data.texts, &rows(|pair| pair.1), &device)?;
            loss(model, batch, model.embed(images, texts))
        };
        Ok(Towers(fit.run(model, pairs.len(), of_batch, progress)?))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use curate_core::{NoProgress, SampleId, random};
    use ndarray::Array2;

    use super::*;
    use crate::ProbeParams;

    /// Noisy pairs of ten concepts.
    fn concepts(n: usize) -> (Array2<f32>, Array2<f32>) {
        let noise = |i: usize, j: usize, salt: u64| {
            (random::unit(salt, SampleId::from((i * 64 + j) as u128)) - 0.5) as f32
        };
        let part = |salt| {
            Array2::from_shape_fn((n, 16), |(i, j)| {
                f32::from(u8::from(i % 10 == j)) + 0.3 * noise(i, j, salt)
            })
        };
        (part(1), part(2))
    }

    #[test]
    fn training_tells_right_from_wrong_pairs_and_repeats_itself() {
        let (images, texts) = concepts(200);
        let data = Pairs { images: &images, texts: &texts };
        let pairs: Vec<(usize, usize)> = (0..100).map(|i| (i, i)).collect();
        let params = ProbeParams::new().hidden(32).dim(16).batch(50).steps(60);
        let probe = params.clone().check().expect("in range");
        let train = |probe: &Probe| probe.run(&data, &pairs, &NoProgress).expect("good data");
        let towers = train(&probe);
        let right: Vec<(usize, usize)> = (100..200).map(|i| (i, i)).collect();
        let wrong: Vec<(usize, usize)> = (100..199).map(|i| (i, i + 1)).collect();
        let cosines = |towers: &Towers, pairs: &[(usize, usize)]| {
            towers.cosines(&data, pairs).expect("rows that are there")
        };
        let mean = |pairs: &[(usize, usize)]| {
            cosines(&towers, pairs).iter().sum::<f32>() / pairs.len() as f32
        };
        assert!(mean(&right) > mean(&wrong) + 0.3, "{} {}", mean(&right), mean(&wrong));
        assert_eq!(cosines(&train(&probe), &right), cosines(&towers, &right));
        let other = train(&params.seed(1).check().expect("in range"));
        assert_ne!(cosines(&other, &right), cosines(&towers, &right));
        let more = probe.run_from(&towers, &data, &pairs, &NoProgress).expect("good data");
        assert_ne!(cosines(&more, &right), cosines(&towers, &right));
    }

    #[test]
    fn progress_counts_every_pair_and_may_stop_the_training() {
        #[derive(Default)]
        struct Count(AtomicU64, AtomicU64, AtomicU64);
        impl Progress for Count {
            fn start(&self, _: &str, total: u64, _: &str) {
                self.0.store(total, Ordering::Relaxed);
            }
            fn advance(&self, by: u64) {
                self.1.fetch_add(by, Ordering::Relaxed);
            }
            fn finish(&self) {
                self.2.fetch_add(1, Ordering::Relaxed);
            }
            fn is_cancelled(&self) -> bool {
                self.1.load(Ordering::Relaxed) >= 30
            }
        }
        let (images, texts) = concepts(20);
        let data = Pairs { images: &images, texts: &texts };
        let pairs: Vec<(usize, usize)> = (0..20).map(|i| (i, i)).collect();
        let params = ProbeParams::new().hidden(4).dim(2).batch(10);
        let count = Count::default();
        let short = params.clone().steps(3).check().expect("in range");
        short.run(&data, &pairs, &count).expect("good data");
        let Count(total, done, finished) = count;
        assert_eq!([total, done, finished].map(AtomicU64::into_inner), [30, 30, 1]);
        let count = Count::default();
        let long = params.steps(9).check().expect("in range");
        assert!(long.run(&data, &pairs, &count).expect_err("stopped").is_cancelled());
        assert_eq!((count.1.into_inner(), count.2.into_inner()), (30, 1), "stopped and ended");
    }

    #[test]
    fn bad_input_is_refused() {
        let (images, texts) = concepts(4);
        let data = Pairs { images: &images, texts: &texts };
        let probe = ProbeParams::new().hidden(4).dim(2).steps(2).check().expect("in range");
        let of = |pairs: &[(usize, usize)]| probe.run(&data, pairs, &NoProgress);
        assert!(matches!(of(&[(0, 0)]), Err(EvalError::TooFew(1))));
        let error = of(&[(0, 0), (4, 1)]).expect_err("row 4 does not exist").to_string();
        assert!(error.contains("pair 1 is (4, 1)") && error.contains("4 images"), "{error}");
        let mut broken = images.clone();
        broken[[2, 3]] = f32::NAN;
        let broken = Pairs { images: &broken, texts: &texts };
        let error = probe.run(&broken, &[(0, 0), (2, 2)], &NoProgress).err();
        assert!(matches!(error, Some(EvalError::Diverged { step: 0, .. })), "{error:?}");

        let towers = of(&[(0, 0), (1, 1)]).expect("good data");
        let narrow = Array2::<f32>::zeros((4, 3));
        let said = |found: Result<Vec<f32>, EvalError>| found.expect_err("too narrow").to_string();
        let width = |argument| format!("`{argument}`: features of 3 numbers, but 16 are needed");
        assert_eq!(said(towers.images(&narrow)), width("images"));
        assert_eq!(said(towers.texts(&narrow)), width("texts"));
        assert!(matches!(towers.cosines(&data, &[(0, 9)]), Err(EvalError::OutOfRange { .. })));
        let other = Pairs { images: &images, texts: &narrow };
        let more = probe.run_from(&towers, &other, &[(0, 0), (1, 1)], &NoProgress);
        assert_eq!(more.expect_err("too narrow").to_string(), width("texts"));
        let none = Array2::<f32>::zeros((4, 0));
        let none = Pairs { images: &none, texts: &texts };
        let error = probe.run(&none, &[(0, 0), (1, 1)], &NoProgress).err();
        let argument = "images";
        assert!(
            matches!(error, Some(EvalError::Width { argument: a, found: 0, expected: 1 }) if a == argument)
        );
    }
}
