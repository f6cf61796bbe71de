//! A linear model or a small network on frozen features, for pools with labels.

use burn::{
    module::Module,
    tensor::{Device, Tensor, TensorData, activation},
};
use curate_core::{EmbeddingSource, ParamsError, Progress, params::Checker};
use serde::{Deserialize, Serialize};

use crate::{
    EvalError, Order, Repeats,
    class_net::ClassNet,
    fit::{Fit, steps_of},
    net::{Net, Shape, is_picture},
    order::times_seen,
    towers::gather,
};

/// How to train a classifier; every selection to compare gets the same.
///
/// ```
/// use curate_eval::ClassifierParams;
///
/// assert!(ClassifierParams::linear().steps(60).check().is_ok());
/// assert_eq!(ClassifierParams::mlp(0).batch(0).check().unwrap_err().violations.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClassifierParams {
    /// Elements of the hidden layer, or channels of the first convolution; none for a linear model.
    pub(crate) hidden: Option<usize>,
    /// Whether features are the pixels of square pictures, for convolutions.
    pub(crate) pictures: bool,
    /// Samples of a step.
    pub(crate) batch: usize,
    /// Steps: with the batch, the samples seen.
    pub(crate) steps: usize,
    /// Largest learning rate.
    pub(crate) rate: f64,
    /// Decoupled weight decay.
    pub(crate) weight_decay: f32,
    /// Seed of the weights and the batches.
    pub(crate) seed: u64,
    /// In which order samples are seen.
    pub(crate) order: Order,
}

impl Default for ClassifierParams {
    fn default() -> Self {
        Self {
            hidden: None,
            pictures: false,
            batch: 128,
            steps: 400,
            rate: 5e-3,
            weight_decay: 0.01,
            seed: 0,
            order: Order::Epochs,
        }
    }
}

impl ClassifierParams {
    /// A linear model: 400 steps of 128 samples.
    pub fn linear() -> Self {
        Self::default()
    }

    /// A network with one hidden layer of so many elements.
    pub fn mlp(hidden: usize) -> Self {
        Self { hidden: Some(hidden), ..Self::default() }
    }

    /// A network of three convolutions, each of which halves the sides of a picture and doubles the channels;
    /// then a mean over the picture, and a linear layer. Features are the red, green and blue pixels of
    /// square pictures, one color after the other, `3 x side x side`.
    pub fn cnn(channels: usize) -> Self {
        Self { hidden: Some(channels), pictures: true, ..Self::default() }
    }

    /// Samples of a step.
    pub fn batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    /// Steps: with the batch, the samples seen.
    pub fn steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// As many whole steps as see at most so many samples; call it after [`Self::batch`].
    pub fn samples(mut self, samples: u64) -> Self {
        self.steps = steps_of(samples, self.batch);
        self
    }

    /// Largest learning rate, reached after a tenth of the steps; then it falls as a cosine.
    pub fn rate(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// Decoupled weight decay.
    pub fn weight_decay(mut self, weight_decay: f32) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// Seed of the weights and the batches.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// In which order samples are seen.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// The classifier, if every parameter is in range.
    ///
    /// # Errors
    /// Every violation.
    pub fn check(self) -> Result<Classifier, ParamsError> {
        let mut check = Checker::default();
        let hidden = self.hidden.unwrap_or(1);
        check.that(hidden > 0, "hidden", hidden, "at least 1");
        check.that(self.batch > 0, "batch", self.batch, "at least 1");
        check.that(self.steps > 0, "steps", self.steps, "at least 1");
        let (rate, decay) = (self.rate, self.weight_decay);
        check.that(rate.is_finite() && rate > 0.0, "rate", rate, "a number above 0");
        let fits = decay.is_finite() && decay >= 0.0;
        check.that(fits, "weight_decay", decay, "a number from 0 on");
        check.that(self.order != Order::Shards(0), "order", "shards of 0", "shards of at least 1");
        check.finish()?;
        Ok(Classifier { params: self, device: Device::flex() })
    }
}

/// A classifier with valid parameters.
#[derive(Clone, Debug)]
pub struct Classifier {
    pub(crate) params: ClassifierParams,
    device: Device,
}

/// Features and the class of each row.
#[derive(Clone, Copy)]
pub struct Labeled<'a> {
    /// Features, `n x d`.
    pub features: &'a dyn EmbeddingSource,
    /// The class of each of the `n` rows.
    pub class: &'a [usize],
    /// Classes there are.
    pub classes: usize,
}

impl Labeled<'_> {
    fn check(&self, rows: &[usize]) -> Result<(), EvalError> {
        EvalError::unless_length("class", self.class.len(), self.features.rows())?;
        EvalError::unless_row("class", self.class, self.classes)?;
        EvalError::unless_row("rows", rows, self.class.len())?;
        if self.features.dim() == 0 {
            return Err(EvalError::Width { argument: "features", found: 0, expected: 1 });
        }
        let first = rows.first().map(|&row| self.class[row]);
        if rows.iter().all(|&row| Some(self.class[row]) == first) {
            return Err(EvalError::OneClass { rows: rows.len() });
        }
        Ok(())
    }
}

impl Classifier {
    /// Trains on this device instead of the CPU.
    pub fn on(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// Minimizes the cross-entropy of `rows` and their classes. A row that is given several times is seen
    /// as often.
    ///
    /// # Errors
    /// Rows of fewer than two classes, a row or class that does not exist, features without numbers or that
    /// cannot be read, a loss that is not a number, and a stop that the caller asked for.
    ///
    /// ```
    /// use curate_core::NoProgress;
    /// use curate_eval::{ClassifierParams, Labeled, metrics::Accuracy, metrics::ranks_of_scores};
    /// use ndarray::Array2;
    ///
    /// let features = Array2::<f32>::eye(8);
    /// let class: Vec<usize> = (0..8).map(|row| row % 2).collect();
    /// let data = Labeled { features: &features, class: &class, classes: 2 };
    /// let rows: Vec<usize> = (0..8).collect();
    /// let net = ClassifierParams::mlp(16).steps(100).check()?.run(&data, &rows, &NoProgress)?;
    /// let ranks = ranks_of_scores(&net.scores(&features)?, &class, 2)?;
    /// assert_eq!(Accuracy::of(&ranks, &class)?.map(|a| a.top_1), Some(1.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run(
        &self,
        data: &Labeled<'_>,
        rows: &[usize],
        progress: &dyn Progress,
    ) -> Result<ClassNet, EvalError> {
        let loss = |logits: Tensor<2>, batch: &[usize]| {
            let own: Vec<usize> = batch.iter().map(|&at| data.class[rows[at]]).collect();
            Ok(cross_entropy(logits, &own))
        };
        self.run_with(data, rows, loss, progress)
    }

    /// [`Self::run`] that hands the network to `watch` after every `every` steps, with the number of steps:
    /// for scores that follow a training, as [forgetting](crate::distill::scores::forgetting) does.
    ///
    /// # Errors
    /// As [`Self::run`], when `every` is 0, and those of `watch`.
    pub fn run_watched(
        &self,
        data: &Labeled<'_>,
        rows: &[usize],
        every: usize,
        mut watch: impl FnMut(usize, &ClassNet) -> Result<(), EvalError>,
        progress: &dyn Progress,
    ) -> Result<ClassNet, EvalError> {
        if every == 0 {
            return Err(EvalError::Length { argument: "every", found: 0, expected: 1 });
        }
        let loss = |net: &Net, batch: &[usize]| {
            let sources: Vec<usize> = batch.iter().map(|&at| rows[at]).collect();
            let own: Vec<usize> = sources.iter().map(|&row| data.class[row]).collect();
            let features = gather(data.features, &sources, &self.fit().device())?;
            Ok(cross_entropy(net.forward(features), &own))
        };
        let look = |step: usize, net: &Net| match step.is_multiple_of(every) {
            true => watch(step, &ClassNet { net: net.valid(), inputs: data.features.dim() }),
            false => Ok(()),
        };
        let net = self.start(data, rows)?;
        let net = self.fit().run_watched(net, rows.len(), loss, look, progress)?;
        Ok(ClassNet { net, inputs: data.features.dim() })
    }

    /// The network before the first step.
    fn start(&self, data: &Labeled<'_>, rows: &[usize]) -> Result<Net, EvalError> {
        data.check(rows)?;
        let (inputs, classes) = (data.features.dim(), data.classes);
        let ClassifierParams { hidden, pictures, seed, .. } = self.params;
        if pictures && !is_picture(inputs) {
            return Err(EvalError::NoPicture(inputs));
        }
        let shape = Shape { inputs, classes, hidden, pictures };
        Ok(Net::new(shape, seed, &self.fit().device()))
    }

    /// [`Self::run`] with another loss of the logits of positions in `rows`.
    pub(crate) fn run_with(
        &self,
        data: &Labeled<'_>,
        rows: &[usize],
        loss: impl Fn(Tensor<2>, &[usize]) -> Result<Tensor<1>, EvalError>,
        progress: &dyn Progress,
    ) -> Result<ClassNet, EvalError> {
        let net = self.start(data, rows)?;
        let fit = self.fit();
        let device = fit.device();
        let of_batch = |net: &Net, batch: &[usize]| {
            let sources: Vec<usize> = batch.iter().map(|&at| rows[at]).collect();
            loss(net.forward(gather(data.features, &sources, &device)?), batch)
        };
        let net = fit.run(net, rows.len(), of_batch, progress)?;
        Ok(ClassNet { net, inputs: data.features.dim() })
    }

    /// How often [`Self::run`] sees each of `n` rows.
    pub fn times_seen(&self, n: usize) -> Vec<u64> {
        let ClassifierParams { batch, steps, order, seed, .. } = self.params;
        times_seen(n, batch, order, seed, steps)
    }

    /// What [`Self::run`] sees of `n` rows.
    pub fn repeats(&self, n: usize) -> Repeats {
        Repeats::of(&self.times_seen(n))
    }

    fn fit(&self) -> Fit<'_> {
        let ClassifierParams { batch, steps, rate, weight_decay, seed, order, .. } = self.params;
        Fit { batch, steps, rate, weight_decay, seed, order, unit: "samples", device: &self.device }
    }
}

/// The mean cross-entropy of logits and classes.
pub(crate) fn cross_entropy(logits: Tensor<2>, class: &[usize]) -> Tensor<1> {
    let [n, classes] = logits.dims();
    let mut own = vec![0.0_f32; n * classes];
    class.iter().enumerate().for_each(|(row, &class)| own[row * classes + class] = 1.0);
    let own = Tensor::<2>::from_data(TensorData::new(own, [n, classes]), &logits.device());
    (activation::log_softmax(logits, 1) * own).sum().mul_scalar(-1.0 / n as f32)
}

#[cfg(test)]
mod tests {
    use curate_core::NoProgress;
    use ndarray::Array2;

    use super::*;

    #[test]
    fn the_loss_is_the_cross_entropy_of_the_definition() {
        let logits = [[0.5_f32, -1.0, 2.0], [0.0, 0.3, 0.1]];
        let own = [2, 0];
        let tensor = Tensor::<2>::from_data(TensorData::from(logits), &Device::flex());
        let found = cross_entropy(tensor, &own).into_scalar::<f32>();
        let expected: f64 = logits
            .iter()
            .zip(own)
            .map(|(row, own)| {
                let all: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
                all.ln() - f64::from(row[own])
            })
            .sum::<f64>()
            / 2.0;
        assert!((f64::from(found) - expected).abs() < 1e-6, "{found} {expected}");
    }

    /// What no linear model can tell apart.
    #[test]
    fn a_hidden_layer_learns_what_a_linear_model_cannot() {
        let corners = [[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]];
        let features = Array2::from_shape_fn((4, 2), |(i, j)| corners[i][j]);
        let class = [0, 0, 1, 1];
        let data = Labeled { features: &features, class: &class, classes: 2 };
        let right = |params: ClassifierParams| {
            let net = params.check().unwrap().run(&data, &[0, 1, 2, 3], &NoProgress).unwrap();
            let scores = net.scores(&features).unwrap();
            scores.chunks(2).zip(class).filter(|(s, c)| s[*c] > s[1 - *c]).count()
        };
        assert_eq!(right(ClassifierParams::mlp(16).rate(0.05)), 4);
        assert!(right(ClassifierParams::linear()) < 4);
    }

    /// Bars that lie or stand, wherever: no pixel alone says it.
    #[test]
    fn convolutions_learn_pictures() {
        let side = 8;
        let features = Array2::from_shape_fn((64, 3 * side * side), |(row, number)| {
            let (y, x) = (number / side % side, number % side);
            let (bright, lies) = (row / 2 % side, row % 2 == 0);
            f32::from(u8::from(if lies { y == bright } else { x == bright }))
        });
        let class: Vec<usize> = (0..64).map(|row| row % 2).collect();
        let data = Labeled { features: &features, class: &class, classes: 2 };
        let rows: Vec<usize> = (0..64).collect();
        let cnn = ClassifierParams::cnn(8).batch(32).steps(60).rate(0.02).check().unwrap();
        let net = cnn.run(&data, &rows, &NoProgress).unwrap();
        let scores = net.scores(&features).unwrap();
        let right = scores.chunks(2).zip(&class).filter(|(s, c)| s[**c] > s[1 - **c]).count();
        assert!(right >= 60, "{right} of 64");
        let again = cnn.run(&data, &rows, &NoProgress).unwrap();
        assert_eq!(again.scores(&features).unwrap(), scores, "the same bytes for a seed");
        let flat = Array2::<f32>::zeros((64, 7));
        let flat = Labeled { features: &flat, ..data };
        let error = cnn.run(&flat, &rows, &NoProgress).unwrap_err().to_string();
        assert!(error.contains("7 numbers are no square picture"), "{error}");
    }

    #[test]
    fn a_training_can_be_watched() {
        let features = Array2::<f32>::eye(4);
        let class = [0, 1, 0, 1];
        let data = Labeled { features: &features, class: &class, classes: 2 };
        let classifier = ClassifierParams::linear().batch(4).steps(7).check().unwrap();
        let (rows, mut looks) = ([0, 1, 2, 3], Vec::new());
        let watch = |step: usize, net: &ClassNet| {
            looks.push((step, net.scores(&features)?));
            Ok(())
        };
        let watched = classifier.run_watched(&data, &rows, 3, watch, &NoProgress).unwrap();
        let steps: Vec<usize> = looks.iter().map(|look| look.0).collect();
        assert_eq!(steps, [3, 6]);
        assert_ne!(looks[0].1, looks[1].1);
        let plain = classifier.run(&data, &rows, &NoProgress).unwrap();
        assert_eq!(watched.scores(&features).unwrap(), plain.scores(&features).unwrap());
        let never = classifier.run_watched(&data, &rows, 0, |_, _| Ok(()), &NoProgress);
        assert!(never.unwrap_err().to_string().starts_with("`every`"));
    }

    #[test]
    fn bad_input_is_refused() {
        let features = Array2::<f32>::eye(3);
        let classifier = ClassifierParams::linear().steps(1).check().unwrap();
        let said = |class: &[usize], rows: &[usize]| {
            let data = Labeled { features: &features, class, classes: 2 };
            classifier.run(&data, rows, &NoProgress).unwrap_err().to_string()
        };
        assert!(said(&[0, 1], &[0]).starts_with("`class`: 2 values, but 3"));
        assert!(said(&[0, 1, 2], &[0]).starts_with("`class`: row 2"));
        assert!(said(&[0, 1, 1], &[3]).starts_with("`rows`: row 3"));
        assert!(said(&[0, 1, 1], &[1, 2]).contains("all 2 rows are of one class"));
        assert!(said(&[0, 1, 1], &[]).contains("all 0 rows are of one class"));
        let wrong = ClassifierParams::linear().steps(0).rate(f64::NAN).weight_decay(-1.0);
        let wrong = wrong.order(Order::Shards(0)).check().unwrap_err();
        assert_eq!(wrong.violations.len(), 4);
    }
}
