//! Rows that are made up for classes with few samples.

use std::f64::consts::TAU;

use curate_core::{SampleId, random};
use serde::{Deserialize, Serialize};

/// What the probe does about classes with few training rows.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Impute {
    /// Nothing.
    #[default]
    None,
    /// What SELECT's code does, without saying so: a class with fewer rows is filled up with made-up ones. They are
    /// normal around the mean of the class's rows of length 1, with the standard deviation (that of the population)
    /// of each of their numbers, and get length 1 themselves. A class with no row gets rows around a point that is
    /// drawn from the box that holds all rows, with the standard deviations of all of them.
    Gaussian {
        /// Rows that each class has at the end, if it had fewer.
        per_class: usize,
    },
}

impl Impute {
    /// Appends the rows that are made up, class by class, and their classes.
    pub(crate) fn fill(
        self,
        vectors: &mut Vec<f32>,
        labels: &mut Vec<u32>,
        classes: usize,
        dim: usize,
        seed: u64,
    ) {
        let Self::Gaussian { per_class } = self else { return };
        let draws = Seeds::new(seed);
        let all = Bell::of(vectors, dim, |_| true);
        let boxed = bounds(vectors, dim);
        let given = labels.len();
        for class in 0..classes as u32 {
            let own = labels[..given].iter().filter(|&&label| label == class).count();
            let bell = match own {
                0 => all.around(&draws.point(class, &boxed)),
                _ => Bell::of(&vectors[..given * dim], dim, |row| labels[row] == class),
            };
            for made_up in own..per_class {
                let first = ((made_up - own) * dim) as u64;
                let deviates = (first..).take(dim).map(|at| draws.normal(class, at));
                let row: Vec<f64> = bell.deviate(deviates);
                let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
                vectors.extend(row.iter().map(|x| (x / length.max(f64::MIN_POSITIVE)) as f32));
                labels.push(class);
            }
        }
    }
}

/// Seeds of the draws.
struct Seeds {
    radius: u64,
    angle: u64,
    point: u64,
}

impl Seeds {
    fn new(seed: u64) -> Self {
        let of = |purpose| random::derive(seed, purpose);
        Self { radius: of("impute radius"), angle: of("impute angle"), point: of("impute point") }
    }

    fn normal(&self, class: u32, at: u64) -> f64 {
        let id = SampleId::from_halves(u64::from(class), at);
        let radius = (-2.0 * (1.0 - random::unit(self.radius, id)).ln()).sqrt();
        radius * (TAU * random::unit(self.angle, id)).cos()
    }

    fn point(&self, class: u32, boxed: &[(f64, f64)]) -> Vec<f64> {
        let at = |(at, (low, high)): (u64, &(f64, f64))| {
            let drawn = random::unit(self.point, SampleId::from_halves(u64::from(class), at));
            low + (high - low) * drawn
        };
        (0..).zip(boxed).map(at).collect()
    }
}

/// The mean and the standard deviation of each number.
struct Bell {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Bell {
    fn of(vectors: &[f32], dim: usize, counts: impl Fn(usize) -> bool) -> Self {
        let rows = || vectors.chunks_exact(dim).enumerate().filter(|(row, _)| counts(*row));
        let n = rows().count().max(1) as f64;
        let mut mean = vec![0.0; dim];
        for (_, row) in rows() {
            mean.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x) / n);
        }
        let mut variance = vec![0.0; dim];
        for (_, row) in rows() {
            let off = row.iter().zip(&mean).map(|(&x, mean)| (f64::from(x) - mean).powi(2) / n);
            variance.iter_mut().zip(off).for_each(|(sum, square)| *sum += square);
        }
        Self { mean, deviation: variance.into_iter().map(f64::sqrt).collect() }
    }

    fn around(&self, point: &[f64]) -> Self {
        Self { mean: point.to_vec(), deviation: self.deviation.clone() }
    }

    fn deviate(&self, deviates: impl Iterator<Item = f64>) -> Vec<f64> {
        let numbers = self.mean.iter().zip(&self.deviation).zip(deviates);
        numbers.map(|((mean, deviation), deviate)| mean + deviation * deviate).collect()
    }
}

/// The least and the largest of each number.
fn bounds(vectors: &[f32], dim: usize) -> Vec<(f64, f64)> {
    let mut bounds = vec![(f64::INFINITY, f64::NEG_INFINITY); dim];
    for row in vectors.chunks_exact(dim) {
        for ((low, high), &x) in bounds.iter_mut().zip(row) {
            (*low, *high) = (low.min(f64::from(x)), high.max(f64::from(x)));
        }
    }
    bounds
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::Value;

    use super::*;

    fn of<T: DeserializeOwned>(golden: &Value, key: &str) -> T {
        serde_json::from_value(golden[key].clone()).unwrap()
    }

    #[test]
    fn rows_are_made_up_as_in_numpy() {
        let golden = include_str!("../tests/data/imputation.json");
        let golden: Value = serde_json::from_str(golden).unwrap();
        let train: Vec<Vec<f32>> = of(&golden, "train");
        let dim = train[0].len();
        let unit = |row: &Vec<f32>| {
            let length = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            row.iter().map(|&x| (f64::from(x) / length) as f32).collect::<Vec<f32>>()
        };
        let mut vectors: Vec<f32> = train.iter().flat_map(unit).collect();
        let mut labels: Vec<u32> = of(&golden, "labels");
        let impute = Impute::Gaussian { per_class: of(&golden, "per_class") };
        impute.fill(&mut vectors, &mut labels, 5, dim, of(&golden, "seed"));
        assert_eq!(labels, of::<Vec<u32>>(&golden, "owners"));
        let expected: Vec<Vec<f64>> = of(&golden, "filled");
        let filled = vectors.chunks_exact(dim).skip(train.len());
        assert_eq!(filled.len(), expected.len());
        for (found, expected) in filled.zip(&expected) {
            let near = |(a, b): (&f32, &f64)| (f64::from(*a) - b).abs() < 1e-6;
            assert!(found.iter().zip(expected).all(near), "{found:?} {expected:?}");
        }
    }

    #[test]
    fn enough_rows_are_left_alone_and_one_row_is_repeated() {
        let (mut vectors, mut labels) = (vec![1.0, 0.0, 0.0, 1.0, 0.6, 0.8], vec![0, 1, 1]);
        let before = vectors.clone();
        Impute::None.fill(&mut vectors, &mut labels, 2, 2, 0);
        assert_eq!(vectors, before);
        Impute::Gaussian { per_class: 2 }.fill(&mut vectors, &mut labels, 2, 2, 0);
        assert_eq!((&vectors[6..], &labels[..]), (&[1.0, 0.0][..], &[0, 1, 1, 0][..]));
    }
}
