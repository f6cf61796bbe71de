//! What the small experiments on pictures share: one training, two ways to judge it, and means over seeds.

use anyhow::{Context, Result, ensure};
use curate_core::{NoProgress, SampleId, random};
use curate_eval::{
    ClassNet, ClassifierParams, Labeled as Rows, LogisticParams,
    compare::Mean,
    metrics::{Accuracy, ranks_of_scores},
};
use ndarray::{Array2, Axis};

use crate::fashion::{FashionMnist, Labeled, SIDE, folder};

/// The level of intervals over seeds.
pub(crate) const LEVEL: f64 = 0.95;

/// The pictures of both parts of Fashion-MNIST.
pub(crate) fn fashion() -> Result<FashionMnist> {
    FashionMnist::read(&folder())
}

impl Labeled {
    /// The pictures of these rows, in their order.
    pub(crate) fn take(&self, rows: &[usize]) -> Labeled {
        let class = rows.iter().map(|&row| self.class[row]).collect();
        Labeled { pixels: self.pixels.select(Axis(0), rows), class }
    }

    /// The first so many pictures.
    pub(crate) fn first(&self, count: usize) -> Labeled {
        self.take(&(0..count.min(self.class.len())).collect::<Vec<_>>())
    }

    /// The rows of each class, in an order drawn by the seed.
    pub(crate) fn by_class(&self, classes: usize, seed: u64) -> Vec<Vec<usize>> {
        let mut rows = vec![Vec::new(); classes];
        for row in shuffled(self.class.len(), seed) {
            rows[self.class[row]].push(row);
        }
        rows
    }
}

/// The numbers below `n` in an order drawn by the seed.
pub(crate) fn shuffled(n: usize, seed: u64) -> Vec<usize> {
    let mut keyed: Vec<(u64, usize)> =
        (0..n).map(|i| (random::hash(seed, SampleId(i as u128)), i)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, i)| i).collect()
}

/// Rows scaled to length 1; a row of zeros stays what it is.
pub(crate) fn unit(pixels: &Array2<f32>) -> Array2<f32> {
    let mut rows = pixels.clone();
    for mut row in rows.rows_mut() {
        let length = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        row.mapv_inplace(|x| (f64::from(x) / length.max(f64::MIN_POSITIVE)) as f32);
    }
    rows
}

/// A network that has learned all rows of a set.
pub(crate) fn train(params: &ClassifierParams, set: &Labeled, classes: usize) -> Result<ClassNet> {
    let rows: Vec<usize> = (0..set.class.len()).collect();
    let data = Rows { features: &set.pixels, class: &set.class, classes };
    Ok(params.clone().check()?.run(&data, &rows, &NoProgress)?)
}

/// The share of pictures that a network tells right.
pub(crate) fn right(net: &ClassNet, test: &Labeled, classes: usize) -> Result<f64> {
    top_1(&net.scores(&test.pixels)?, &test.class, classes)
}

/// The share of rows whose own class has the highest score.
pub(crate) fn top_1(scores: &[f32], class: &[usize], classes: usize) -> Result<f64> {
    let ranks = ranks_of_scores(scores, class, classes)?;
    Ok(Accuracy::of(&ranks, class)?.context("no pictures to judge by")?.top_1)
}

/// The share of pictures that a linear model tells right, which learned from the features that a frozen network has of
/// others.
pub(crate) fn probe(
    net: &ClassNet,
    train: &Labeled,
    test: &Labeled,
    classes: usize,
) -> Result<f64> {
    let features = |set: &Labeled| -> Result<Array2<f32>> {
        let numbers = net.features(&set.pixels)?;
        let rows = set.class.len();
        Ok(Array2::from_shape_vec((rows, numbers.len() / rows.max(1)), numbers)?)
    };
    let (known, asked) = (features(train)?, features(test)?);
    let fitted = LogisticParams::new().steps(500).check()?;
    let fitted = fitted.fit(known.view(), &train.class, classes)?;
    top_1(&fitted.scores(asked.view())?, &test.class, classes)
}

/// The mean over seeds, with its interval.
pub(crate) fn mean(values: &[f64]) -> Result<Mean> {
    Mean::of(values, LEVEL).context("no values")
}

/// The mean difference of two rows of seeds, with its interval.
pub(crate) fn difference(values: &[f64], from: &[f64]) -> Result<Mean> {
    ensure!(values.len() == from.len(), "{} seeds beside {}", values.len(), from.len());
    mean(&values.iter().zip(from).map(|(a, b)| a - b).collect::<Vec<_>>())
}

/// The lower end of an interval; the mean where there is none.
pub(crate) fn low(of: &Mean) -> f64 {
    of.interval.map_or(of.mean, |[low, _]| low)
}

/// Handwritten digits of 8 x 8 pixels (`fixtures/eval`, CC BY 4.0), each pixel drawn three times as large, with a rim
/// of two: as large as a picture of Fashion-MNIST.
pub(crate) fn digits() -> Result<Labeled> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/eval/digits.bin");
    let bytes = std::fs::read(path).context(path)?;
    let (records, _) = bytes.as_chunks::<65>();
    let at = |record: usize, pixel: usize| {
        let (y, x) = (pixel / SIDE, pixel % SIDE);
        let inside = |at: usize| at.checked_sub(2).map(|at| at / 3).filter(|at| *at < 8);
        match (inside(y), inside(x)) {
            (Some(y), Some(x)) => f32::from(records[record][8 * y + x]) / 16.0,
            _ => 0.0,
        }
    };
    let pixels = Array2::from_shape_fn((records.len(), SIDE * SIDE), |(row, pixel)| at(row, pixel));
    Ok(Labeled { pixels, class: records.iter().map(|record| usize::from(record[64])).collect() })
}

#[cfg(test)]
pub(crate) mod made {
    use super::*;

    /// Pictures of bars at a height that is their class, with noise: `count` of each class, alternating.
    pub(crate) fn bars(classes: usize, count: usize, seed: u64) -> Labeled {
        let n = classes * count;
        let pixels = Array2::from_shape_fn((n, SIDE * SIDE), |(row, pixel)| {
            let (y, height) = (pixel / SIDE, 2 + row % classes * 24 / classes);
            let noise = random::unit(seed, SampleId((row * SIDE * SIDE + pixel) as u128)) as f32;
            if (height..height + 3).contains(&y) { 0.6 + 0.4 * noise } else { 0.3 * noise }
        });
        Labeled { pixels, class: (0..n).map(|row| row % classes).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_as_large_as_clothes() -> Result<()> {
        let digits = digits()?;
        assert_eq!(digits.pixels.dim(), (1797, SIDE * SIDE));
        assert!(digits.pixels.iter().all(|x| (0.0..=1.0).contains(x)));
        assert!((0..10).all(|class| digits.class.contains(&class)));
        Ok(())
    }

    #[test]
    fn a_network_learns_bars_and_its_features_serve_others() -> Result<()> {
        let (set, test) = (made::bars(4, 30, 1), made::bars(4, 10, 2));
        let params = ClassifierParams::mlp(8).steps(60).batch(32);
        let net = train(&params, &set, 4)?;
        assert!(right(&net, &test, 4)? > 0.9);
        assert!(probe(&net, &set, &test, 4)? > 0.9);
        let found = difference(&[0.5, 0.7], &[0.4, 0.6])?;
        assert!((found.mean - 0.1).abs() < 1e-12 && low(&found) > 0.09);
        Ok(())
    }
}
