//! The front door: train on a selection.

use burn::{
    module::Module,
    optim::{AdamWConfig, GradientsParams},
    tensor::Device,
};
use curate_core::{Progress, SampleId, random};

use crate::{EvalError, Pairs, Probe, ProbeParams, Towers, model::Model, towers::gather};

impl Probe {
    /// Trains two projections on `pairs`, each a row of the images and one of the texts.
    ///
    /// # Errors
    /// Fewer than two pairs, a pair without its rows, features without numbers, a loss that is not a number,
    /// and a stop that the caller asked for.
    pub fn run(
        &self,
        data: &Pairs<'_>,
        pairs: &[(usize, usize)],
        progress: &dyn Progress,
    ) -> Result<Towers, EvalError> {
        for (argument, width) in [("images", data.images.ncols()), ("texts", data.texts.ncols())] {
            if width == 0 {
                return Err(EvalError::Width { argument, found: 0, expected: 1 });
            }
        }
        let device = Device::flex().autodiff();
        let model = Model::new(data.images.ncols(), data.texts.ncols(), &self.0, &device);
        self.train(model, data, pairs, progress)
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
        self.train(start.0.clone().train(), data, pairs, progress)
    }

    fn train(
        &self,
        model: Model,
        data: &Pairs<'_>,
        pairs: &[(usize, usize)],
        progress: &dyn Progress,
    ) -> Result<Towers, EvalError> {
        if pairs.len() < 2 {
            return Err(EvalError::TooFew(pairs.len()));
        }
        data.check(pairs)?;
        let batches = Batches::new(pairs, &self.0);
        progress.start("train", (self.0.steps * batches.size) as u64, "pairs");
        let trained = self.steps(model, data, batches, progress);
        progress.finish();
        Ok(Towers(trained?.valid()))
    }

    fn steps(
        &self,
        mut model: Model,
        data: &Pairs<'_>,
        mut batches: Batches<'_>,
        progress: &dyn Progress,
    ) -> Result<Model, EvalError> {
        let params = &self.0;
        let device = Device::flex().autodiff();
        let mut optimizer = AdamWConfig::new().with_weight_decay(params.weight_decay).init();
        for step in 0..params.steps {
            progress.check()?;
            let batch = batches.next_batch();
            let images = gather(data.images, batch.iter().map(|pair| pair.0), &device);
            let texts = gather(data.texts, batch.iter().map(|pair| pair.1), &device);
            let loss = model.loss(images, texts);
            let value = loss.clone().into_scalar::<f32>();
            if !value.is_finite() {
                batch.truncate(8);
                return Err(EvalError::Diverged { step, loss: value, pairs: batch.clone() });
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(rate(params, step), model, gradients);
            progress.metric("loss", f64::from(value));
            progress.advance(batch.len() as u64);
        }
        Ok(model)
    }
}

/// Rises over the first tenth of the steps, then falls to zero as a cosine.
fn rate(params: &ProbeParams, step: usize) -> f64 {
    let warm = (params.steps / 10).max(1);
    if step < warm {
        return params.rate * (step + 1) as f64 / warm as f64;
    }
    let done = (step - warm) as f64 / (params.steps - warm).max(1) as f64;
    params.rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
}

/// Epochs one after the other, each in its own order, cut into batches.
struct Batches<'a> {
    pairs: &'a [(usize, usize)],
    seed: u64,
    size: usize,
    epoch: u64,
    order: std::vec::IntoIter<usize>,
    batch: Vec<(usize, usize)>,
}

impl<'a> Batches<'a> {
    fn new(pairs: &'a [(usize, usize)], params: &ProbeParams) -> Self {
        Self {
            pairs,
            seed: random::derive(params.seed, "batches"),
            size: params.batch.min(pairs.len()),
            epoch: 0,
            order: Vec::new().into_iter(),
            batch: Vec::new(),
        }
    }

    fn next_batch(&mut self) -> &mut Vec<(usize, usize)> {
        self.batch.clear();
        while self.batch.len() < self.size {
            let Some(next) = self.order.next() else {
                self.order = shuffled(self.pairs.len(), self.seed, self.epoch).into_iter();
                self.epoch += 1;
                continue;
            };
            self.batch.push(self.pairs[next]);
        }
        &mut self.batch
    }
}

fn shuffled(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let seed = random::derive(seed, &epoch.to_string());
    let mut keyed: Vec<(u64, usize)> =
        (0..n).map(|i| (random::hash(seed, SampleId::from(i as u128)), i)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, i)| i).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use curate_core::NoProgress;
    use ndarray::Array2;

    use super::*;

    #[test]
    fn the_rate_rises_then_falls_to_zero() {
        let params = ProbeParams::new().steps(100).rate(1.0);
        assert!((rate(&params, 0) - 0.1).abs() < 1e-12);
        assert!((rate(&params, 9) - 1.0).abs() < 1e-12);
        assert!((rate(&params, 55) - 0.5).abs() < 1e-12);
        assert!(rate(&params, 99) < 1e-3);
    }

    #[test]
    fn every_epoch_sees_every_pair_once() {
        let pairs: Vec<(usize, usize)> = (0..10).map(|i| (i, i)).collect();
        let params = ProbeParams::new().batch(4);
        let mut batches = Batches::new(&pairs, &params);
        let seen: Vec<(usize, usize)> = (0..5).flat_map(|_| batches.next_batch().clone()).collect();
        for epoch in seen.chunks(10) {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, pairs);
        }
        assert_ne!(seen[..10], seen[10..], "each epoch has its own order");
        let few = &pairs[..3];
        assert_eq!(Batches::new(few, &params).next_batch().len(), 3);
    }

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
        let data = Pairs { images: images.view(), texts: texts.view() };
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
        let data = Pairs { images: images.view(), texts: texts.view() };
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
        let data = Pairs { images: images.view(), texts: texts.view() };
        let probe = ProbeParams::new().hidden(4).dim(2).steps(2).check().expect("in range");
        let of = |pairs: &[(usize, usize)]| probe.run(&data, pairs, &NoProgress);
        assert_eq!(of(&[(0, 0)]).err(), Some(EvalError::TooFew(1)));
        let error = of(&[(0, 0), (4, 1)]).expect_err("row 4 does not exist").to_string();
        assert!(error.contains("pair 1 is (4, 1)") && error.contains("4 images"), "{error}");
        let mut broken = images.clone();
        broken[[2, 3]] = f32::NAN;
        let broken = Pairs { images: broken.view(), texts: texts.view() };
        let error = probe.run(&broken, &[(0, 0), (2, 2)], &NoProgress).err();
        assert!(matches!(error, Some(EvalError::Diverged { step: 0, .. })), "{error:?}");

        let towers = of(&[(0, 0), (1, 1)]).expect("good data");
        let narrow = Array2::<f32>::zeros((4, 3));
        let width = |argument| EvalError::Width { argument, found: 3, expected: 16 };
        assert_eq!(towers.images(narrow.view()).err(), Some(width("images")));
        assert_eq!(towers.texts(narrow.view()).err(), Some(width("texts")));
        assert!(matches!(towers.cosines(&data, &[(0, 9)]), Err(EvalError::OutOfRange { .. })));
        let other = Pairs { images: images.view(), texts: narrow.view() };
        let more = probe.run_from(&towers, &other, &[(0, 0), (1, 1)], &NoProgress);
        assert_eq!(more.err(), Some(width("texts")));
        let none = Array2::<f32>::zeros((4, 0));
        let none = Pairs { images: none.view(), texts: texts.view() };
        let error = probe.run(&none, &[(0, 0), (1, 1)], &NoProgress).err();
        assert_eq!(error, Some(EvalError::Width { argument: "images", found: 0, expected: 1 }));
    }
}
