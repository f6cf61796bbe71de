//! How students are taught and judged.

use curate_core::{ParamsError, params::Checker};
use serde::{Deserialize, Serialize};

use crate::{
    compare::{Compare, CompareParams, Model},
    distill::{Distill, DistillParams},
};

/// Students of a teacher, on selections of a pool. [`StudyParams::check`] makes it usable.
///
/// ```
/// use curate_eval::distill::study::StudyParams;
///
/// let params = StudyParams { alphas: vec![0.5, 1.5], samples: 100, ..StudyParams::default() };
/// let error = params.check().unwrap_err().to_string();
/// assert!(error.contains("`samples` is 100, but must be at least one batch, 512"), "{error}");
/// assert!(error.contains("`alphas` is 1.5, but must be from 0 to 1"), "{error}");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct StudyParams {
    /// The students, how they are trained, and what is held out to test them. Their budget is
    /// [`Self::samples`].
    pub student: CompareParams,
    /// Samples that a student sees, repeats included; cut to whole batches.
    pub samples: u64,
    /// The teacher's share of the loss; several, of which each selection's best is chosen. Students that
    /// hear labels alone are trained in any case.
    pub alphas: Vec<f32>,
    /// The temperature of both softmaxes.
    pub temperature: f32,
    /// Logits of each row that are kept of a teacher, 8 bytes each; the classes left out count as impossible,
    /// which costs accuracy at a temperature above 1.
    pub logits: usize,
    /// Share of the rows beside the test's that are held out to choose alpha.
    pub chosen_on: f64,
    /// The model of a teacher that is trained here.
    pub teacher_model: Model,
    /// Elements of its hidden layers; channels of its first convolution.
    pub teacher_hidden: usize,
    /// Samples that it sees.
    pub teacher_samples: u64,
}

impl Default for StudyParams {
    fn default() -> Self {
        Self {
            student: CompareParams { model: Model::Mlp, ..CompareParams::default() },
            samples: 200_000,
            alphas: vec![0.0, 0.25, 0.5, 0.75, 1.0],
            temperature: 4.0,
            logits: 256,
            chosen_on: 0.1,
            teacher_model: Model::Mlp,
            teacher_hidden: 256,
            teacher_samples: 200_000,
        }
    }
}

impl StudyParams {
    /// The study, if every parameter is in range.
    ///
    /// # Errors
    /// Every violation.
    pub fn check(mut self) -> Result<Study, ParamsError> {
        let mut check = Checker::default();
        let batch = self.student.batch;
        for (field, samples) in
            [("samples", self.samples), ("teacher-samples", self.teacher_samples)]
        {
            let allowed = format!("at least one batch, {batch}");
            check.that(samples >= batch as u64, field, samples, allowed);
        }
        check.that(!self.alphas.is_empty(), "alphas", "empty", "at least one number from 0 to 1");
        for &alpha in self.alphas.iter().filter(|alpha| !(0.0..=1.0).contains(*alpha)) {
            check.that(false, "alphas", alpha, "from 0 to 1");
        }
        let warm = self.temperature;
        check.that(warm.is_finite() && warm > 0.0, "temperature", warm, "a number above 0");
        check.that(self.logits > 0, "logits", self.logits, "at least 1");
        let share = self.chosen_on;
        check.that(share > 0.0 && share < 1.0, "chosen-on", share, "a number between 0 and 1");
        for (field, model) in [("model", self.student.model), ("teacher-model", self.teacher_model)]
        {
            check.that(model.learns_labels(), field, "projections", "a model that learns labels");
        }
        check.finish()?;
        self.alphas.sort_unstable_by(f32::total_cmp);
        self.alphas.dedup();
        let compare =
            CompareParams { budgets: vec![self.samples], ..self.student.clone() }.check()?;
        let teacher = CompareParams {
            budgets: vec![self.teacher_samples],
            model: self.teacher_model,
            hidden: self.teacher_hidden,
            ..self.student.clone()
        };
        let teacher = teacher.check()?;
        Ok(Study { params: self, compare, teacher })
    }
}

/// Students of a teacher, with valid parameters.
#[derive(Clone, Debug)]
pub struct Study {
    pub(crate) params: StudyParams,
    pub(crate) compare: Compare,
    pub(crate) teacher: Compare,
}

impl Study {
    /// Trains on this device instead of the CPU, one run after the other.
    pub fn on(mut self, device: burn::tensor::Device, name: impl Into<String>) -> Self {
        let name = name.into();
        self.compare = self.compare.on(device.clone(), name.clone());
        self.teacher = self.teacher.on(device, name);
        self
    }

    /// What selections of the pool are checked for.
    pub fn compare(&self) -> &Compare {
        &self.compare
    }

    /// True when teacher and students look at the same features: embeddings, or pictures.
    pub fn shares_features(&self) -> bool {
        let looks = |model| model == Model::Cnn;
        looks(self.compare.params.model) == looks(self.teacher.params.model)
    }

    /// Labels alone, then every other alpha, rising.
    pub(crate) fn alphas(&self) -> Vec<f32> {
        let mut alphas = self.params.alphas.clone();
        if alphas.first() != Some(&0.0) {
            alphas.insert(0, 0.0);
        }
        alphas
    }

    pub(crate) fn distill(&self, alpha: f32) -> Result<Distill, ParamsError> {
        DistillParams::new().alpha(alpha).temperature(self.params.temperature).check()
    }
}
