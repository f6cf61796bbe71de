//! Which concepts a run lost most of.

use std::{fmt, path::Path};

use curate_core::NoProgress;
use serde::Serialize;

use crate::{Error, concept::words, run::Run};

/// What a stage that prunes concepts kept of each.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConceptTable {
    /// The stage.
    pub stage: String,
    /// Its concepts.
    pub concepts: Vec<ConceptRow>,
}

/// What became of a concept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConceptRow {
    /// The number of its cluster.
    pub concept: usize,
    /// The commonest words of its captions that those of other concepts do not have.
    pub words: Vec<String>,
    /// Its rows.
    pub rows: usize,
    /// Those that the stage kept.
    pub kept: usize,
    /// Those that it removed.
    pub lost: usize,
    /// The share of its rows that it removed.
    pub share_lost: f64,
    /// Spread times distance to its neighbors (arXiv 2401.04578, section 3); `None` where a control
    /// decided.
    pub complexity: Option<f64>,
}

/// By what concepts are sorted, the largest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConceptOrder {
    /// Rows that were removed.
    #[default]
    Lost,
    /// The share of rows that were removed.
    ShareLost,
    /// Rows.
    Rows,
    /// Complexity.
    Complexity,
}

/// The concepts of a stage of a finished run; of the last that has any, where none is named.
///
/// # Errors
/// When there is no finished run in the folder, or no such stage with concepts.
pub fn concepts(
    folder: &Path,
    stage: Option<&str>,
    order: ConceptOrder,
) -> Result<ConceptTable, Error> {
    let run = Run::open(folder, &NoProgress)?;
    let named = |index: &usize| stage.is_none_or(|name| run.records[*index].name == name);
    for index in (0..run.records.len()).filter(named).rev() {
        let record = &run.records[index];
        let method = run.recipe.stages[index].resolve()?;
        let Some(found) = method.concepts(record)? else { continue };
        let words = words(&run.pool, &run.stage_rows(index)?, found.len())?;
        let all = found.iter().zip(words).enumerate().filter(|(_, (concept, _))| concept.size > 0);
        let row = |(number, (concept, words)): (usize, (&crate::concept::Concept, Vec<String>))| {
            ConceptRow {
                concept: number,
                words,
                rows: concept.size,
                kept: concept.quota,
                lost: concept.lost(),
                share_lost: concept.share_lost(),
                complexity: concept.complexity,
            }
        };
        let mut concepts: Vec<ConceptRow> = all.map(row).collect();
        let key = |row: &ConceptRow| match order {
            ConceptOrder::Lost => row.lost as f64,
            ConceptOrder::ShareLost => row.share_lost,
            ConceptOrder::Rows => row.rows as f64,
            ConceptOrder::Complexity => row.complexity.unwrap_or(0.0),
        };
        concepts.sort_by(|a, b| key(b).total_cmp(&key(a)).then(a.concept.cmp(&b.concept)));
        return Ok(ConceptTable { stage: record.name.clone(), concepts });
    }
    let problem = match stage {
        Some(name) => format!("has no stage `{name}` that prunes concepts"),
        None => "has no stage that prunes concepts".to_owned(),
    };
    Err(Error::Run { folder: folder.to_owned(), problem })
}

impl fmt::Display for ConceptTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "stage {}: rows of each concept", self.stage)?;
        writeln!(f, "concept     rows     kept     lost  share lost  complexity  words")?;
        for row in &self.concepts {
            let complexity = row.complexity.map_or("-".to_owned(), |c| format!("{c:.4}"));
            writeln!(
                f,
                "{:>7} {:>8} {:>8} {:>8} {:>9.1} % {complexity:>11}  {}",
                row.concept,
                row.rows,
                row.kept,
                row.lost,
                100.0 * row.share_lost,
                row.words.join(", ")
            )?;
        }
        Ok(())
    }
}
