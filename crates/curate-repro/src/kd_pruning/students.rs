//! Teachers, scores and students.

use crate::fashion::{CLASSES, FashionMnist, SIDE};
use crate::tiny::top_1;
use anyhow::Result;
use curate_core::embedding::RowsOf;
use curate_core::{NoProgress, SampleId, random};
use curate_eval::distill::{DistillParams, SoftLabels, scores};
use curate_eval::{ClassNet, Classifier, ClassifierParams, Labeled};
use ndarray::{Array2, ArrayView2, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What is measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Protocol {
    /// Pictures in the pool.
    pub pool: usize,
    /// Further pictures, on which alpha is chosen.
    pub chosen_on: usize,
    /// Elements of the students' hidden layer.
    pub student: usize,
    /// Those of the teachers'; the first is the students'.
    pub teachers: Vec<usize>,
    /// Shares of wrong labels.
    pub wrong: Vec<f64>,
    /// Shares of the pool that are kept.
    pub shares: Vec<f64>,
    /// Those of them that are only kept at random.
    pub only_random: Vec<f64>,
    /// The teacher's share of the loss.
    pub alphas: Vec<f32>,
    /// The temperature.
    pub temperature: f32,
    /// Steps of a training.
    pub steps: usize,
    /// Samples of a step.
    pub batch: usize,
    /// Networks whose scores are averaged.
    pub scorers: u64,
    /// Trainings of each cell.
    pub seeds: u64,
}

impl Protocol {
    /// That of the book.
    pub fn full() -> Self {
        Self {
            pool: 10_000,
            chosen_on: 2_000,
            student: 64,
            teachers: vec![64, 16, 256],
            wrong: vec![0.0, 0.3],
            shares: vec![0.01, 0.03, 0.1, 0.3, 0.5, 1.0],
            only_random: vec![0.5, 1.0],
            alphas: vec![0.0, 0.25, 0.5, 0.75, 1.0],
            temperature: 4.0,
            steps: 400,
            batch: 128,
            scorers: 3,
            seeds: 5,
        }
    }
}

/// Which rows stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pruning {
    /// Any.
    Random,
    /// Those with the highest EL2N: hard rows, and wrong labels.
    El2n,
    /// Those with the lowest margin.
    Margin,
}

/// Students of one kind; accuracies are shares, one for each seed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cell {
    /// The share of wrong labels.
    pub wrong: f64,
    /// Which rows stay.
    pub pruning: Pruning,
    /// The share that stays.
    pub share: f64,
    /// Elements of the teacher's hidden layer.
    pub teacher: usize,
    /// The teacher's share of the loss.
    pub alpha: f32,
    /// Accuracy where alpha is chosen.
    pub chosen_on: Vec<f64>,
    /// Accuracy on the test.
    pub test: Vec<f64>,
    /// The teacher's own accuracy on the test.
    pub teacher_test: Vec<f64>,
}

/// Pictures of the pool, of the choice of alpha, and of the test.
pub struct Pictures {
    /// The pool's, then those that alpha is chosen on.
    pub pixels: Array2<f32>,
    /// Their right classes.
    pub class: Vec<usize>,
    /// The test's.
    pub test: Array2<f32>,
    /// Their classes.
    pub test_class: Vec<usize>,
    /// Classes there are.
    pub classes: usize,
}

impl Pictures {
    /// A part of Fashion-MNIST at half its sides.
    pub fn of(data: &FashionMnist, protocol: &Protocol) -> Self {
        let n = protocol.pool + protocol.chosen_on;
        Self {
            pixels: halved(data.train.pixels.slice(s![..n, ..])),
            class: data.train.class[..n].to_vec(),
            test: halved(data.test.pixels.view()),
            test_class: data.test.class.clone(),
            classes: CLASSES,
        }
    }
}

/// The mean of each 2 x 2 pixels.
fn halved(pixels: ArrayView2<'_, f32>) -> Array2<f32> {
    let half = SIDE / 2;
    Array2::from_shape_fn((pixels.nrows(), half * half), |(row, at)| {
        let (y, x) = (2 * (at / half), 2 * (at % half));
        let pixel = |dy: usize, dx: usize| pixels[[row, (y + dy) * SIDE + x + dx]];
        0.25 * (pixel(0, 0) + pixel(0, 1) + pixel(1, 0) + pixel(1, 1))
    })
}

/// Trains everything, on as many threads as there are.
///
/// # Errors
/// A training that fails.
pub fn measure(pictures: &Pictures, protocol: &Protocol) -> Result<Vec<Cell>> {
    let worlds =
        protocol.wrong.iter().flat_map(|&wrong| (0..protocol.seeds).map(move |seed| (wrong, seed)));
    let worlds: Vec<(f64, u64)> = worlds.collect();
    let cells = |&(wrong, seed): &(f64, u64)| World::new(pictures, protocol, wrong, seed)?.cells();
    let done: Vec<Vec<Cell>> =
        worlds.par_iter().with_max_len(1).map(cells).collect::<Result<_>>()?;
    Ok(joined(&done, protocol.seeds as usize))
}

/// The seeds of one cell in one cell.
fn joined(worlds: &[Vec<Cell>], seeds: usize) -> Vec<Cell> {
    let mut all = Vec::new();
    for same in worlds.chunks(seeds) {
        let mut cells = same[0].clone();
        for other in &same[1..] {
            for (cell, more) in cells.iter_mut().zip(other) {
                cell.chosen_on.extend(&more.chosen_on);
                cell.test.extend(&more.test);
                cell.teacher_test.extend(&more.teacher_test);
            }
        }
        all.extend(cells);
    }
    all
}

/// One seed with one share of wrong labels.
struct World<'a> {
    pictures: &'a Pictures,
    protocol: &'a Protocol,
    wrong: f64,
    seed: u64,
    /// What networks are told.
    class: Vec<usize>,
    /// Of each pruning, the pool's rows, those that stay longest first.
    order: Vec<(Pruning, Vec<usize>)>,
}

impl<'a> World<'a> {
    fn new(pictures: &'a Pictures, protocol: &'a Protocol, wrong: f64, seed: u64) -> Result<Self> {
        let class = with_wrong(&pictures.class, pictures.classes, wrong, seed);
        let mut world = Self { pictures, protocol, wrong, seed, class, order: vec![] };
        world.order = world.orders()?;
        Ok(world)
    }

    fn net(&self, hidden: usize, seed: u64) -> Result<Classifier> {
        let Protocol { steps, batch, .. } = *self.protocol;
        Ok(ClassifierParams::mlp(hidden).steps(steps).batch(batch).seed(seed).check()?)
    }

    fn data(&self) -> Labeled<'_> {
        let (features, classes) = (&self.pictures.pixels, self.pictures.classes);
        Labeled { features, class: &self.class, classes }
    }

    fn orders(&self) -> Result<Vec<(Pruning, Vec<usize>)>> {
        let pool: Vec<usize> = (0..self.protocol.pool).collect();
        let (mut el2n, mut margin) = (vec![0.0; pool.len()], vec![0.0; pool.len()]);
        let (own, seen) = (&self.class[..pool.len()], RowsOf::new(&self.pictures.pixels, &pool));
        let early = (self.protocol.steps / 5).max(1);
        for scorer in 0..self.protocol.scorers {
            let seed = random::derive(self.seed, &format!("scorer {scorer}"));
            let watch = |step: usize, net: &ClassNet| {
                if step == early {
                    let logits = net.scores(&seen)?;
                    let classes = self.pictures.classes;
                    add(&mut el2n, &scores::el2n(&logits, own, classes)?);
                    add(&mut margin, &scores::margin(&logits, own, classes)?);
                }
                Ok(())
            };
            let net = self.net(self.protocol.student, seed)?;
            net.run_watched(&self.data(), &pool, early, watch, &NoProgress)?;
        }
        let draw = random::derive(self.seed, "kept");
        let by = |key: &dyn Fn(usize) -> f32| {
            let mut rows = pool.clone();
            rows.sort_by(|&a, &b| key(a).total_cmp(&key(b)).then(a.cmp(&b)));
            rows
        };
        let any = |row: usize| random::unit(draw, SampleId(row as u128)) as f32;
        Ok(vec![
            (Pruning::Random, by(&any)),
            (Pruning::El2n, by(&|row| -el2n[row])),
            (Pruning::Margin, by(&|row| margin[row])),
        ])
    }

    fn cells(&self) -> Result<Vec<Cell>> {
        let mut cells = Vec::new();
        let pool: Vec<usize> = (0..self.protocol.pool).collect();
        for (at, &hidden) in self.protocol.teachers.iter().enumerate() {
            // Sizes of teachers are compared with right labels and random rows.
            if at > 0 && self.wrong > 0.0 {
                continue;
            }
            let teacher = self.net(hidden, random::derive(self.seed, "teacher"))?.run(
                &self.data(),
                &pool,
                &NoProgress,
            )?;
            let said = teacher.scores(&self.pictures.pixels)?;
            let classes = self.pictures.classes;
            let soft = SoftLabels::of(&said, classes, classes)?;
            let own = self.right_on_test(&teacher)?;
            for (pruning, order) in &self.order {
                if at > 0 && *pruning != Pruning::Random {
                    continue;
                }
                cells.extend(self.students(*pruning, order, (hidden, own, &soft))?);
            }
        }
        Ok(cells)
    }

    fn students(
        &self,
        pruning: Pruning,
        order: &[usize],
        (teacher, teacher_test, soft): (usize, f64, &SoftLabels),
    ) -> Result<Vec<Cell>> {
        let mut cells = Vec::new();
        for &share in &self.protocol.shares {
            if pruning != Pruning::Random && self.protocol.only_random.contains(&share) {
                continue;
            }
            let kept = ((order.len() as f64 * share).round() as usize).max(2);
            for &alpha in &self.protocol.alphas {
                let distill =
                    DistillParams::new().alpha(alpha).temperature(self.protocol.temperature);
                let student = distill.check()?.run(
                    &self.net(self.protocol.student, random::derive(self.seed, "student"))?,
                    &self.data(),
                    &order[..kept],
                    soft,
                    &NoProgress,
                )?;
                cells.push(Cell {
                    wrong: self.wrong,
                    pruning,
                    share,
                    teacher,
                    alpha,
                    chosen_on: vec![self.right_where_chosen(&student)?],
                    test: vec![self.right_on_test(&student)?],
                    teacher_test: vec![teacher_test],
                });
            }
        }
        Ok(cells)
    }

    fn right_where_chosen(&self, net: &ClassNet) -> Result<f64> {
        let rows: Vec<usize> = (self.protocol.pool..self.class.len()).collect();
        let logits = net.scores(&RowsOf::new(&self.pictures.pixels, &rows))?;
        top_1(&logits, &self.class[self.protocol.pool..], self.pictures.classes)
    }

    fn right_on_test(&self, net: &ClassNet) -> Result<f64> {
        let logits = net.scores(&self.pictures.test)?;
        top_1(&logits, &self.pictures.test_class, self.pictures.classes)
    }
}

fn add(sum: &mut [f32], part: &[f32]) {
    sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
}

/// Labels of which a share is another class, any of them alike.
fn with_wrong(class: &[usize], classes: usize, wrong: f64, seed: u64) -> Vec<usize> {
    let (whether, which) = (random::derive(seed, "wrong"), random::derive(seed, "which"));
    let told = |(row, &own): (usize, &usize)| {
        let id = SampleId(row as u128);
        if random::unit(whether, id) >= wrong {
            return own;
        }
        let step = 1 + (random::unit(which, id) * (classes - 1) as f64) as usize;
        (own + step.min(classes - 1)) % classes
    };
    class.iter().enumerate().map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_labels_are_of_other_classes_and_as_many_as_asked_for() {
        let class: Vec<usize> = (0..2000).map(|row| row % 10).collect();
        let told = with_wrong(&class, 10, 0.3, 1);
        let wrong = told.iter().zip(&class).filter(|(a, b)| a != b).count();
        assert!((550..650).contains(&wrong) && told.iter().all(|class| *class < 10), "{wrong}");
        assert_eq!(with_wrong(&class, 10, 0.0, 1), class);
    }

    #[test]
    fn halved_pictures_are_means() {
        let mut pixels = Array2::zeros((1, SIDE * SIDE));
        pixels[[0, 0]] = 1.0;
        pixels[[0, SIDE + 1]] = 0.5;
        let half = halved(pixels.view());
        assert_eq!((half.dim(), half[[0, 0]], half[[0, 1]]), ((1, 196), 0.375, 0.0));
    }
}
