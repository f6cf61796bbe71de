//! What students answered, and what alpha to take.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    compare::{Entry, Mean, Task, folder::Kept},
    distill::study::TeacherRecord,
};

/// What one student answered: the content of its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Student {
    /// The selection's name.
    pub selection: String,
    /// The teacher's share of the loss.
    pub alpha: f32,
    /// The seed of weights and order, and of random selections.
    pub seed: u64,
    /// Samples that were seen.
    pub samples: u64,
    /// Different samples to train on.
    pub unique: usize,
    /// Different samples that were seen.
    pub distinct: usize,
    /// How often the most frequent sample was seen.
    pub most: u64,
    /// The share of the rows to choose alpha on that it gets right.
    pub chosen_on: f64,
    /// Its answers to the test.
    pub test: Task,
    /// Identifies everything that the training depended on.
    pub inputs: String,
}

impl Kept for Student {
    fn inputs(&self) -> &str {
        &self.inputs
    }
}

/// A selection and the one that is drawn at random, if it is.
pub(crate) struct Pupil {
    pub(crate) entry: Entry,
    /// Whether each seed draws its own rows.
    pub(crate) is_drawn: bool,
}

/// Every selection with every alpha. Accuracies are shares of the test's rows, means over seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StudyReport {
    /// Share of intervals that hold the true mean.
    pub level: f64,
    /// Rows that students were tested on.
    pub test_rows: usize,
    /// Rows on which alpha was chosen.
    pub chosen_on_rows: usize,
    /// Labeled rows that could be trained on.
    pub trainable: usize,
    /// The teacher, where it was trained here.
    pub teacher: Option<TeacherRecord>,
    /// Ids of each selection that were not trained on, by reason.
    pub left_out: BTreeMap<String, BTreeMap<String, usize>>,
    /// The selections as they were given, then the random ones.
    pub selections: Vec<Studied>,
    /// All runs.
    pub runs: Vec<Student>,
}

/// Students of one selection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Studied {
    /// Its name.
    pub name: String,
    /// Different samples to train on.
    pub unique: usize,
    /// The random selection of as many rows; `None` for a random one, and for everything.
    pub control: Option<String>,
    /// By rising alpha; the first is 0, labels alone.
    pub alphas: Vec<OfAlpha>,
    /// The alpha that does best on the rows held out for it, of equal ones the smallest.
    pub chosen: Chosen,
}

/// Students of one selection with one alpha.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfAlpha {
    /// The teacher's share of the loss.
    pub alpha: f32,
    /// Accuracy on the rows held out to choose alpha, the mean.
    pub chosen_on: f64,
    /// Accuracy on the test's rows.
    pub test: Mean,
    /// What it is better by than with labels alone, seed by seed; `None` for labels alone.
    pub gain: Option<Mean>,
}

/// The alpha of a selection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chosen {
    /// The teacher's share of the loss.
    pub alpha: f32,
    /// Accuracy on the test's rows.
    pub test: Mean,
    /// What it is better by than with labels alone; `None` where labels alone are best.
    pub gain: Option<Mean>,
    /// What the selection is better by than the random one of as many rows, each with its own alpha.
    pub over_random: Option<Mean>,
    /// The same with labels alone.
    pub over_random_by_labels: Option<Mean>,
}

impl StudyReport {
    /// `runs` are sorted by selection, alpha and seed. Alpha is chosen among `alphas`.
    pub(crate) fn of(runs: Vec<Student>, pupils: &[Pupil], alphas: &[f32], level: f64) -> Self {
        let found: Vec<Found<'_>> = runs
            .chunk_by(|a, b| a.selection == b.selection)
            .map(|runs| Found::of(runs, alphas))
            .collect();
        let studied = pupils.iter().zip(&found).map(|(pupil, own)| {
            let name = control_name(pupil.entry.unique);
            let control = found.iter().find(|other| other.name() == name);
            own.studied(control.filter(|_| !pupil.is_drawn), level)
        });
        let selections = studied.collect();
        let left_out = pupils.iter().map(|pupil| &pupil.entry).filter(|e| !e.left_out.is_empty());
        let left_out = left_out.map(|entry| (entry.name.clone(), entry.left_out.clone())).collect();
        let (test_rows, chosen_on_rows, trainable, teacher) = (0, 0, 0, None);
        Self { level, test_rows, chosen_on_rows, trainable, teacher, left_out, selections, runs }
    }

    pub(crate) fn about(
        self,
        teacher: Option<TeacherRecord>,
        test_rows: usize,
        chosen_on_rows: usize,
        trainable: usize,
    ) -> Self {
        Self { teacher, test_rows, chosen_on_rows, trainable, ..self }
    }
}

/// The runs of one selection.
struct Found<'a> {
    /// Those of each alpha, rising.
    alphas: Vec<&'a [Student]>,
    /// Which alpha is chosen.
    chosen: usize,
}

impl<'a> Found<'a> {
    fn of(runs: &'a [Student], candidates: &[f32]) -> Self {
        let alphas: Vec<&[Student]> = runs.chunk_by(|a, b| a.alpha == b.alpha).collect();
        let mut chosen = None;
        for (at, runs) in alphas.iter().enumerate() {
            let score = mean(runs.iter().map(|run| run.chosen_on));
            let is_candidate = candidates.contains(&runs[0].alpha);
            if is_candidate && chosen.is_none_or(|(_, best)| score > best) {
                chosen = Some((at, score));
            }
        }
        Self { alphas, chosen: chosen.map_or(0, |(at, _)| at) }
    }

    fn name(&self) -> &'a str {
        &self.alphas[0][0].selection
    }

    fn studied(&self, control: Option<&Found<'_>>, level: f64) -> Studied {
        let alphas: Vec<OfAlpha> = self
            .alphas
            .iter()
            .map(|runs| OfAlpha {
                alpha: runs[0].alpha,
                chosen_on: mean(runs.iter().map(|run| run.chosen_on)),
                test: over_seeds(&scores(runs), level),
                gain: (runs[0].alpha != 0.0).then(|| better_by(runs, self.alphas[0], level)),
            })
            .collect();
        let best = &alphas[self.chosen];
        let over = |at: usize, of: &Found<'_>, there: usize| {
            better_by(self.alphas[at], of.alphas[there], level)
        };
        let chosen = Chosen {
            alpha: best.alpha,
            test: best.test,
            gain: best.gain,
            over_random: control.map(|of| over(self.chosen, of, of.chosen)),
            over_random_by_labels: control.map(|of| over(0, of, 0)),
        };
        let control = control.map(|of| of.name().to_owned());
        let unique = self.alphas[0][0].unique;
        Studied { name: self.name().to_owned(), unique, control, alphas, chosen }
    }
}

/// What the random selection of so many rows is called.
pub(crate) fn control_name(size: usize) -> String {
    format!("random-{size}")
}

fn scores(runs: &[Student]) -> Vec<f64> {
    runs.iter().map(|run| run.test.score).collect()
}

fn better_by(these: &[Student], those: &[Student], level: f64) -> Mean {
    let differences: Vec<f64> =
        scores(these).iter().zip(scores(those)).map(|(a, b)| a - b).collect();
    over_seeds(&differences, level)
}

/// There is at least one seed.
fn over_seeds(values: &[f64], level: f64) -> Mean {
    Mean::of(values, level).unwrap_or(Mean { mean: f64::NAN, interval: None })
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}
