//! Removes rows that are near to a reference: what is kept already, or an evaluation set.

use std::path::{Path, PathBuf};

use curate_core::{
    embedding::{RowsOf, UnitRows},
    fault::NormPolicy,
    rank::similarity_threshold,
};
use curate_io::Pool;
use curate_report::Section;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{
    clustering::{block_bytes, dim},
    duplicates_section,
    quarantine::quarantine,
    reference::{CHUNK, Reference},
};
use crate::{
    Error,
    error::StageError,
    page::Page,
    record::Outcome,
    rows::StageRows,
    stage::{
        Context, Cost, Done, Method, Numbers, Problems, Reads, Settings, Source, anchored, told,
    },
};

/// The rule under which rows go that are near to the reference.
const RULE: &str = "near-reference";

/// A stage that removes rows whose cosine to a row of a reference is above `1 - epsilon`. Every row is
/// compared with the whole reference; rows that are in it go as well. Give one of `pool`, `rows` and
/// `vectors`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DedupAgainstStage {
    /// The stage's name.
    #[serde(default = "name")]
    pub name: String,
    /// The stage whose rows it takes; the one before if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The embedding in which rows are compared.
    pub embedding: String,
    /// The reference is another pool with an embedding of the same name: a folder or a file, such as
    /// an evaluation set. A relative path starts at the recipe's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PathBuf>,
    /// The reference are rows of this pool: the name of a stage, or a subset file (with a `.` in the
    /// name), such as what is kept already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
    /// The reference are the rows of an npy file. Its rows are named by the file and their number,
    /// counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vectors: Option<PathBuf>,
    /// Rows whose cosine to the reference is above `1 - epsilon` go.
    #[serde(default = "epsilon")]
    pub epsilon: f64,
    /// What to do with vectors whose length is not 1. Those of the reference are scaled.
    #[serde(default)]
    pub norm: NormPolicy,
}

fn name() -> String {
    "against".to_owned()
}

fn epsilon() -> f64 {
    0.05
}

impl Settings for DedupAgainstStage {
    fn name(&self) -> &str {
        &self.name
    }

    fn sources(&self) -> Vec<Source<'_>> {
        Source::from(self.from.as_deref())
    }

    fn reads(&self) -> Reads<'_> {
        let rows = self.rows.as_deref().map(Source::of);
        let subset = rows.and_then(Source::file);
        Reads {
            embeddings: vec![&self.embedding],
            sets: rows.into_iter().collect(),
            files: self
                .pool
                .as_deref()
                .into_iter()
                .chain(self.vectors.as_deref())
                .chain(subset)
                .collect(),
            ..Reads::default()
        }
    }

    fn check(&self, wrong: &mut Problems) {
        if let Err(problem) = self.reference() {
            wrong.must(false, problem);
        }
        wrong.must((0.0..=1.0).contains(&self.epsilon), "`epsilon` must be from 0 to 1");
    }

    fn anchor(&mut self, folder: &Path) {
        let paths = self.pool.iter_mut().chain(&mut self.vectors);
        paths.for_each(|path| *path = anchored(folder, path));
        if let Some(text) = &mut self.rows
            && let Source::File(path) = Source::of(text)
        {
            *text = anchored(folder, path).to_string_lossy().into_owned();
        }
    }

    fn resolve(&self) -> Result<Box<dyn Method>, StageError> {
        let reference =
            self.reference().map_err(|problem| StageError::Problem(problem.to_owned()))?;
        Ok(Box::new(Against {
            embedding: self.embedding.clone(),
            reference,
            epsilon: self.epsilon,
            norm: self.norm,
        }))
    }
}

impl DedupAgainstStage {
    fn reference(&self) -> Result<Reference, &'static str> {
        match (&self.pool, &self.rows, &self.vectors) {
            (Some(path), None, None) => Ok(Reference::Pool(path.clone())),
            (None, Some(set), None) => Ok(Reference::Rows(set.clone())),
            (None, None, Some(path)) => Ok(Reference::Vectors(path.clone())),
            _ => Err("give one of `pool`, `rows` and `vectors`"),
        }
    }
}

/// Comparison with one reference.
struct Against {
    embedding: String,
    reference: Reference,
    epsilon: f64,
    norm: NormPolicy,
}

/// What a comparison tells.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct AgainstTold {
    /// Rows of the reference that were compared with.
    reference_rows: usize,
    /// Rows of the reference whose vectors could not be used.
    reference_faults: usize,
    threshold: f64,
}

impl Method for Against {
    fn execute(&self, context: &Context<'_>) -> Result<Outcome, StageError> {
        let embedding = context.pool.embedding(&self.embedding)?;
        let mut rows = StageRows::new(context.input);
        let good = quarantine(&embedding, &self.embedding, self.norm, &mut rows, context)?;
        let opened = self.reference.open(&self.embedding, &embedding, context)?;
        let chosen: Vec<usize> = good.iter().map(|&position| rows.row(position)).collect();
        let source = RowsOf::new(&embedding, &chosen);
        let nearest = opened.nearest(&UnitRows(&source), context.progress)?;
        let threshold = similarity_threshold(self.epsilon);
        opened.name_causes(&good, &nearest, &mut rows);
        for (&position, &(_, similarity)) in good.iter().zip(&nearest) {
            rows.value.set(position, similarity);
            rows.threshold.set(position, threshold);
            if similarity > threshold {
                rows.remove(position, RULE);
            }
        }
        Ok(Outcome::new(rows).telling(&AgainstTold {
            reference_rows: opened.rows(),
            reference_faults: opened.faults(),
            threshold: f64::from(threshold),
        }))
    }

    fn in_words(&self) -> String {
        format!(
            "remove rows whose cosine in {} to a row of {} is above {}",
            self.embedding,
            self.reference.in_words(),
            similarity_threshold(self.epsilon)
        )
    }

    fn cost(&self, rows: usize, pool: &Pool) -> Result<Cost, Error> {
        let dim = dim(pool, &self.embedding)?;
        let reference = self.reference.most_rows(&self.embedding, pool, dim)?;
        let chunks = reference.div_ceil(CHUNK).max(1) as u64;
        Ok(Cost {
            reads: 4 * dim * (rows as u64 * (chunks + 1) + 2 * reference as u64),
            memory: block_bytes(rows, dim) + 2 * 4 * dim * reference.min(CHUNK) as u64,
            operations: 2.0 * rows as f64 * reference as f64 * dim as f64,
        })
    }

    fn explain(&self, value: Option<f64>, threshold: Option<f64>) -> Option<String> {
        let (value, threshold) = (told(value), told(threshold));
        Some(format!("similarity {value} to the reference, limit {threshold}"))
    }

    fn numbers(&self) -> Option<Numbers> {
        Some(Numbers::Similarities)
    }

    fn report(&self, page: &Page<'_>, done: &Done<'_>) -> Result<Vec<Section>, Error> {
        let threshold = done.record.told::<AgainstTold>()?.map(|told| told.threshold);
        Ok(vec![duplicates_section::near_reference(page, done, threshold)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reference_is_asked_for_and_its_files_are_read() {
        let stage = |text: &str| -> DedupAgainstStage {
            toml::from_str(&format!("embedding = \"img\"\n{text}")).unwrap()
        };
        for text in ["", "pool = \"eval\"\nrows = \"kept\""] {
            let mut wrong = Problems::default();
            stage(text).check(&mut wrong);
            assert_eq!(wrong.0, ["give one of `pool`, `rows` and `vectors`"], "{text}");
        }
        let mut subset = stage("rows = \"kept.npy\"");
        subset.anchor(Path::new("/recipes"));
        assert_eq!(subset.reads().files, [Path::new("/recipes/kept.npy")]);
        assert_eq!(stage("rows = \"best\"").reads().sets, [Source::Named("best")]);
        let words = stage("pool = \"data/eval\"").resolve().unwrap().in_words();
        assert_eq!(words, "remove rows whose cosine in img to a row of eval is above 0.95");
    }
}
