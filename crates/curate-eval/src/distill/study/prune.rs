//! Scores to prune by, of a pool's labeled rows.

use std::path::Path;

use curate_core::{Progress, SampleId, embedding::RowsOf};
use curate_io::{
    IoError,
    table::{self, Column},
};

use crate::{
    ClassNet, EvalError,
    compare::{CompareError, arena::Use},
    distill::{
        scores::{el2n, forgetting, margin},
        study::{School, Study},
    },
};

/// Looks at each network while it is trained.
const LOOKS: usize = 10;
/// After which of them scores of an early network are taken.
const EARLY: usize = 2;

/// Scores of rows with a label, the mean over the seeds' networks.
#[derive(Clone, Debug, PartialEq)]
pub struct PruneScores {
    /// The rows' ids.
    pub ids: Vec<SampleId>,
    /// How far probabilities are from the label after a fifth of the training: high for hard rows and wrong
    /// labels.
    pub el2n: Vec<f32>,
    /// The label's probability less the largest other one, at the same time: low for hard rows.
    pub margin: Vec<f32>,
    /// How often a row was right at one look and wrong at the next, of ten looks; ten for one that was never
    /// right.
    pub forgetting: Vec<f32>,
}

impl Study {
    /// Trains a network of the students' kind for each seed on everything that is not held out, and scores
    /// every row that has a label and features; those that are held out too, as rows it has not seen.
    ///
    /// # Errors
    /// When a training fails, or the caller stops it.
    pub fn scores(
        &self,
        school: &School,
        progress: &dyn Progress,
    ) -> Result<PruneScores, CompareError> {
        let seeds = self.compare.params.seeds;
        let mut sum: Option<Looked> = None;
        for seed in 0..seeds {
            let looked = self.looked(school, seed, progress).map_err(|problem| {
                CompareError::Run { run: format!("scores, seed {seed}"), problem }
            })?;
            match &mut sum {
                Some(sum) => sum.add(&looked),
                None => sum = Some(looked),
            }
        }
        let Looked { el2n, margin, forgetting } = sum.expect("there is at least one seed");
        let mean = |sums: Vec<f32>| sums.into_iter().map(|sum| sum / seeds as f32).collect();
        Ok(PruneScores {
            ids: school.ids(&scored(school)),
            el2n: mean(el2n),
            margin: mean(margin),
            forgetting: mean(forgetting),
        })
    }

    fn looked(
        &self,
        school: &School,
        seed: u64,
        progress: &dyn Progress,
    ) -> Result<Looked, EvalError> {
        let (class, rows) = (school.arena.class_or_first(), scored(school));
        let data = school.arena.labeled_with(&class);
        let own: Vec<usize> = rows.iter().map(|&row| class[row]).collect();
        let seen = RowsOf::new(data.features, &rows);
        let (mut looks, mut early) = (Vec::new(), None);
        let watch = |_: usize, net: &ClassNet| {
            let logits = net.scores(&seen)?;
            let margins = margin(&logits, &own, data.classes)?;
            looks.push(margins.iter().map(|margin| *margin > 0.0).collect::<Vec<bool>>());
            if looks.len() == EARLY || early.is_none() {
                early = Some((el2n(&logits, &own, data.classes)?, margins));
            }
            Ok(())
        };
        let classifier = self.compare.classifier(self.params.samples, seed)?;
        let every = (classifier.params.steps / LOOKS).max(1);
        classifier.run_watched(&data, &school.trainable(), every, watch, progress)?;
        let (el2n, margin) = early.expect("every training is looked at");
        let times = |forgotten: Option<u32>| forgotten.map_or(LOOKS as f32, |times| times as f32);
        let forgetting = forgetting(&looks)?.into_iter().map(times).collect();
        Ok(Looked { el2n, margin, forgetting })
    }
}

impl PruneScores {
    /// Writes a Parquet table: `uid`, `el2n`, `margin`, `forgetting`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), IoError> {
        let uids = self.ids.iter().map(SampleId::to_string).collect();
        let columns = vec![
            ("uid", Column::Text(uids)),
            ("el2n", Column::F32(self.el2n.clone())),
            ("margin", Column::F32(self.margin.clone())),
            ("forgetting", Column::F32(self.forgetting.clone())),
        ];
        table::write(path, columns)
    }
}

/// What one network said, or the sum of several.
struct Looked {
    el2n: Vec<f32>,
    margin: Vec<f32>,
    forgetting: Vec<f32>,
}

impl Looked {
    fn add(&mut self, other: &Self) {
        for (sum, part) in [
            (&mut self.el2n, &other.el2n),
            (&mut self.margin, &other.margin),
            (&mut self.forgetting, &other.forgetting),
        ] {
            sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
    }
}

/// Rows with a label and features.
fn scored(school: &School) -> Vec<usize> {
    let arena = &school.arena;
    let fits = |row: &usize| arena.uses[*row] != Use::Unusable && arena.class[*row].is_some();
    (0..arena.ids.len()).filter(fits).collect()
}
