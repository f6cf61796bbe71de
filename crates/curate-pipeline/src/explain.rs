//! Why one sample stayed or went.

use std::{fmt, path::Path};

use curate_core::{NoProgress, Removal, SampleId};
use curate_io::Sample;

use crate::{Error, recipe::POOL, run::Run};

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
    /// The sample's cluster.
    pub cluster: Option<u32>,
    /// The most similar preferred sample of its cluster.
    pub related: Option<Sample>,
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
    for (record, rows) in run.records.iter().zip(&run.rows) {
        let Some(position) = rows.position(row) else { continue };
        let number = |x: f32| (!x.is_nan()).then(|| f64::from(x));
        let related = rows.related.get(position).copied().flatten();
        let related = related.map(|row| run.pool.samples(&[row])).transpose()?;
        steps.push(Step {
            stage: record.name.clone(),
            kind: record.kind.clone(),
            value: number(rows.value[position]),
            threshold: number(rows.threshold[position]),
            cluster: rows.cluster.get(position).copied().flatten(),
            related: related.map(|mut found| found.swap_remove(0)),
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
            cluster: None,
            related: None,
            removal: Some(removal),
        }
    }

    /// What the stage's number is, in words.
    fn says(&self) -> String {
        let number = |x: Option<f64>| x.map_or("none".to_owned(), short);
        match self.kind.as_str() {
            "score" => format!("score {}", number(self.value)),
            "threshold" | "fraction" | "top" => {
                format!("score {}, threshold {}", number(self.value), number(self.threshold))
            }
            "semantic-dedup" => {
                format!(
                    "similarity {} to a preferred sample, limit {}",
                    number(self.value),
                    number(self.threshold)
                )
            }
            // A control's number is compared with nothing.
            "concept-prune" if self.threshold.is_none() => {
                format!("distance {} to its centroid", number(self.value))
            }
            "concept-prune" => {
                format!(
                    "rank {} in its concept, quota {}",
                    number(self.value),
                    number(self.threshold)
                )
            }
            "baseline" if self.value.is_some() => {
                format!("found {}, limit {}", number(self.value), number(self.threshold))
            }
            _ => String::new(),
        }
    }
}

/// A number with up to six digits after the point, without trailing zeros.
fn short(x: f64) -> String {
    let text = format!("{x:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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
            if !step.says().is_empty() {
                writeln!(f, "           {}", step.says())?;
            }
            if let Some(cluster) = step.cluster {
                writeln!(f, "           cluster {cluster}")?;
            }
            if let Some(related) = &step.related {
                writeln!(f, "           nearest {}  {}", related.id, caption(related))?;
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
