//! Why one sample stayed or went.

use std::{fmt, path::Path};

use curate_core::{NoProgress, Removal, SampleId, fault::Fault};
use curate_io::Sample;

use crate::{Error, earlier::POOL, run::Run, stage::told};

/// What each stage said of a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The sample.
    pub sample: Sample,
    /// Its row in the pool.
    pub row: usize,
    /// Whether it is in the final selection.
    pub kept: bool,
    /// The stages that saw it, in order.
    pub steps: Vec<Step>,
}

/// What one stage said of a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The stage's name.
    pub stage: String,
    /// The stage's kind.
    pub kind: String,
    /// The stage's number for the sample: score, similarity, rank in its concept.
    pub value: Option<f64>,
    /// What the number was compared with.
    pub threshold: Option<f64>,
    /// What the two numbers are, in words; `None` for a stage without numbers.
    pub meaning: Option<String>,
    /// The sample's cluster.
    pub cluster: Option<u32>,
    /// The most similar preferred sample of its cluster.
    pub related: Option<Sample>,
    /// The most similar row of a reference outside the pool: its id, or its file and number.
    pub reference: Option<String>,
    /// Why the stage removed it; `None` when it stayed.
    pub removal: Option<Removal>,
}

/// Explains what happened to a sample in a finished run. `id` is its id, or its key in a WebDataset
/// shard.
///
/// # Errors
/// When there is no finished run in the folder, or no such sample in its pool.
pub fn explain(folder: &Path, id: &str) -> Result<Explanation, Error> {
    let run = Run::open(folder, &NoProgress)?;
    let by_id = id.parse::<SampleId>().ok().and_then(|id| run.pool.row_of(id));
    let by_key = || run.pool.row_of(curate_io::ids::id_of_key(id));
    let Some(row) = by_id.or_else(by_key) else {
        let problem = format!(
            "no sample of the pool has the id or key `{id}`; ids are 32 hexadecimal digits"
        );
        return Err(Error::Run { folder: folder.to_owned(), problem });
    };
    let mut steps: Vec<Step> = Vec::new();
    if let Some(fault) = run.pool_fault(row) {
        steps.push(Step::quarantined(Removal::new(row, fault.name())));
    }
    for (index, (stage, record)) in run.recipe.stages.iter().zip(&run.records).enumerate() {
        let rows = run.stage_rows(index)?;
        let Some(position) = rows.position(row) else { continue };
        let number = |x: f64| (!x.is_nan()).then_some(x);
        let related = rows.related.get(position).copied().flatten();
        let related = related.map(|row| run.pool.samples(&[row])).transpose()?;
        let (value, threshold) =
            (number(rows.value.get(position)), number(rows.threshold.get(position)));
        let fault = rows.rule(position).and_then(Fault::named);
        steps.push(Step {
            stage: record.name.clone(),
            kind: record.kind.clone(),
            meaning: match fault {
                // The number of a row that could not be judged is not the stage's.
                Some(_) => value.map(|_| format!("length {} of its vector", told(value))),
                None => stage.resolve()?.explain(value, threshold),
            },
            value,
            threshold,
            cluster: rows.cluster.get(position).copied().flatten(),
            related: related.map(|mut found| found.swap_remove(0)),
            reference: rows.reference.get(position).cloned().flatten(),
            removal: rows.removal(position),
        });
    }
    let sample = run.pool.samples(&[row])?.swap_remove(0);
    Ok(Explanation { sample, row, kept: run.kept.contains(row), steps })
}

impl Step {
    fn quarantined(removal: Removal) -> Self {
        Self {
            stage: POOL.to_owned(),
            kind: "quarantine".to_owned(),
            value: None,
            threshold: None,
            meaning: None,
            cluster: None,
            related: None,
            reference: None,
            removal: Some(removal),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.kept { "kept" } else { "removed" };
        writeln!(f, "{}  {verdict}", self.sample.id)?;
        writeln!(f, "  caption  {}", caption(&self.sample))?;
        let key = self.sample.key.as_deref().map(|key| format!(", key {key}")).unwrap_or_default();
        writeln!(f, "  place    row {} of the pool, shard {}{key}", self.row, self.sample.shard)?;
        for step in &self.steps {
            let outcome = match &step.removal {
                Some(removal) => format!("removed: {}", removal.rule),
                None => "stays".to_owned(),
            };
            writeln!(f, "  {:<8} {outcome}", step.stage)?;
            if let Some(meaning) = &step.meaning {
                writeln!(f, "           {meaning}")?;
            }
            if let Some(cluster) = step.cluster {
                writeln!(f, "           cluster {cluster}")?;
            }
            if let Some(related) = &step.related {
                writeln!(f, "           nearest {}  {}", related.id, caption(related))?;
            }
            if let Some(reference) = &step.reference {
                writeln!(f, "           nearest {reference} of the reference")?;
            }
        }
        Ok(())
    }
}

/// A caption on one line, without control characters.
fn caption(sample: &Sample) -> String {
    let Some(caption) = &sample.caption else { return "(none)".to_owned() };
    let line: String = caption.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let cut: String = line.chars().take(120).collect();
    if cut.len() < line.len() { format!("\"{cut}…\"") } else { format!("\"{line}\"") }
}
