//! Why one sample stayed or went.

use std::{fmt, path::Path};

use curate_core::{NoProgress, Removal, SampleId, fault::Fault};
use curate_io::Sample;

use crate::{
    Error,
    earlier::POOL,
    gone::fate,
    rows::StageRows,
    run::Run,
    stage::{Preferred, told},
};

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
    /// The most similar preferred sample of its cluster; `None` for the first of a cluster.
    pub related: Option<Related>,
    /// The most similar row of a reference outside the pool: its id, or its file and number.
    pub reference: Option<String>,
    /// Why the stage removed it; `None` when it stayed.
    pub removal: Option<Removal>,
}

/// The sample that another was compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Related {
    /// The most similar preferred sample.
    pub nearest: Other,
    /// Why that one is preferred: "is farther from the centroid of the cluster".
    pub why: Option<String>,
    /// The sample for which that one went, the one for which this went, and so on to one that the
    /// stage kept, each with the similarity to the one before it. Empty where the nearest stayed.
    pub chain: Vec<(f64, Other)>,
}

/// Another sample, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Other {
    /// The sample.
    pub sample: Sample,
    /// Which stage removed it and by which rule, in words; `None` for one of the subset.
    pub removed: Option<String>,
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
    for index in 0..run.records.len() {
        steps.extend(step(&run, index, row)?);
    }
    let sample = run.pool.samples(&[row])?.swap_remove(0);
    Ok(Explanation { sample, row, kept: run.kept.contains(row), steps })
}

/// What one stage said of a row; `None` when it was not given the row.
fn step(run: &Run, index: usize, row: usize) -> Result<Option<Step>, Error> {
    let record = &run.records[index];
    let rows = run.stage_rows(index)?;
    let Some(position) = rows.position(row) else { return Ok(None) };
    let method = run.recipe.stages[index].resolve()?;
    let number = |x: f64| (!x.is_nan()).then_some(x);
    let (value, threshold) =
        (number(rows.value.get(position)), number(rows.threshold.get(position)));
    let fault = rows.rule(position).and_then(Fault::named);
    let cluster = rows.cluster.get(position).copied().flatten();
    let related = related(run, &rows, position, method.preferred())?;
    let compares = method.preferred().is_some() && cluster.is_some();
    Ok(Some(Step {
        stage: record.name.clone(),
        kind: record.kind.clone(),
        meaning: match fault {
            // The number of a row that could not be judged is not the stage's.
            Some(_) => value.map(|_| format!("length {} of its vector", told(value))),
            None if compares && related.is_none() => Some(FIRST.to_owned()),
            None => method.explain(value, threshold),
        },
        value,
        threshold,
        cluster,
        related,
        reference: rows.reference.get(position).cloned().flatten(),
        removal: rows.removal(position),
    }))
}

/// What is said of a row that a stage compares with no other.
const FIRST: &str = "the first of its cluster in the order of preference: compared with no other";

/// The row that a stage compared a row with, and those for which that one went in turn.
fn related(
    run: &Run,
    rows: &StageRows,
    position: usize,
    preferred: Option<Preferred<'_>>,
) -> Result<Option<Related>, Error> {
    let Some(first) = rows.related.get(position).copied().flatten() else { return Ok(None) };
    let next = |row: usize| {
        let position = rows.position(row)?;
        Some((rows.cause(position)?, rows.value.get(position)))
    };
    // Causes come earlier in the order of preference, so the chain ends.
    let chain: Vec<(usize, f64)> =
        std::iter::successors(next(first), |&(row, _)| next(row)).collect();
    let all: Vec<usize> = std::iter::once(first).chain(chain.iter().map(|&(row, _)| row)).collect();
    let mut fates = fates(run, &all)?.into_iter();
    let mut other = |row: usize| -> Result<Other, Error> {
        let sample = run.pool.samples(&[row])?.swap_remove(0);
        Ok(Other { sample, removed: fates.next().flatten() })
    };
    let nearest = other(first)?;
    let chain = chain.into_iter().map(|(row, similarity)| Ok((similarity, other(row)?)));
    Ok(Some(Related {
        nearest,
        why: preferred
            .map(|preferred| why(run, preferred, rows.row(position), first))
            .transpose()?,
        chain: chain.collect::<Result<_, Error>>()?,
    }))
}

/// Why each of these rows is not in the subset; `None` for one that is.
fn fates(run: &Run, wanted: &[usize]) -> Result<Vec<Option<String>>, Error> {
    let of_pool = |&row: &usize| run.pool_fault(row).map(|fault| fate(POOL, fault.name()));
    let mut found: Vec<Option<String>> = wanted.iter().map(of_pool).collect();
    for (index, record) in run.records.iter().enumerate() {
        let rows = run.stage_rows(index)?;
        for (row, found) in wanted.iter().zip(&mut found) {
            let rule = rows.position(*row).and_then(|position| rows.rule(position));
            if let (None, Some(rule)) = (&found, rule) {
                *found = Some(fate(&record.name, rule));
            }
        }
    }
    let stays = |row: &usize| run.kept.contains(*row);
    Ok(wanted.iter().zip(found).map(|(row, fate)| fate.filter(|_| !stays(row))).collect())
}

/// Why the second of two rows is preferred to the first.
fn why(run: &Run, preferred: Preferred<'_>, row: usize, other: usize) -> Result<String, Error> {
    let score = match preferred {
        Preferred::What(what) => return Ok(what.to_owned()),
        Preferred::Score(score) => score,
    };
    let stage = run.records.iter().position(|record| record.name == score);
    let rows = stage.map(|stage| run.stage_rows(stage)).transpose()?;
    let of = |row| {
        let rows = rows.as_ref()?;
        Some(rows.value.get(rows.position(row)?)).filter(|value| !value.is_nan())
    };
    Ok(format!("has the better {score}: {}, this one's is {}", told(of(other)), told(of(row))))
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
                write!(f, "{related}")?;
            }
            if let Some(reference) = &step.reference {
                writeln!(f, "           nearest {reference} of the reference")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Related {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "           nearest {}", self.nearest)?;
        if let Some(why) = &self.why {
            writeln!(f, "             preferred, since it {why}")?;
        }
        for (similarity, other) in &self.chain {
            writeln!(
                f,
                "             it went for {other}, similarity {}",
                told(Some(*similarity))
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fate = self.removed.as_deref().unwrap_or("kept");
        write!(f, "{}  {}, {fate}", self.sample.id, caption(&self.sample))
    }
}

/// A caption on one line, without control characters.
fn caption(sample: &Sample) -> String {
    let Some(caption) = &sample.caption else { return "(none)".to_owned() };
    let line: String = caption.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let cut: String = line.chars().take(120).collect();
    if cut.len() < line.len() { format!("\"{cut}…\"") } else { format!("\"{line}\"") }
}
