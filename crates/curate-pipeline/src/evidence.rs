//! `evidence.parquet`: why each row that did not stay went.

use std::path::Path;

use curate_core::{Removal, fault::Fault};
use curate_io::table::{Column, Writer};

use crate::{
    Error,
    earlier::POOL,
    rows::{StageReader, StageRows},
    run::Run,
};

/// Why a row went, as one stage says it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason<'a> {
    /// The stage, or the pool for a row that was set aside when it was read.
    pub stage: &'a str,
    /// The rule, and what was compared.
    pub removal: Removal,
    /// The row of a reference outside the pool that caused the removal: its id, or its file and
    /// number.
    pub outside_cause: Option<String>,
}

/// Hands every reason why a row that did not stay went to `each`, in row order, and those of one row in
/// the order of the stages that gave them.
///
/// A row has at least one reason. It has several when a recipe branches and more than one branch
/// removed it. Rows that stay have none, whatever a branch said of them. A part of each stage's rows is
/// held at a time, whatever the size of the pool.
///
/// # Errors
/// When a stage's rows cannot be read, and those of `each`.
pub fn each(run: &Run, mut each: impl FnMut(Reason<'_>) -> Result<(), Error>) -> Result<(), Error> {
    let stages: Vec<usize> = (0..run.records.len()).collect();
    each_row(run, &stages, |met| {
        if let Some(fault) = met.fault {
            let removal = Removal::new(met.row, fault.name());
            each(Reason { stage: POOL, removal, outside_cause: None })?;
        }
        if met.stays {
            return Ok(());
        }
        for (stage, rows, position) in met.verdicts() {
            if let Some(removal) = rows.removal(position) {
                let outside_cause = rows.outside_cause(position).map(str::to_owned);
                each(Reason { stage: &run.records[stage].name, removal, outside_cause })?;
            }
        }
        Ok(())
    })
}

/// A row of the pool, and what was said of it.
pub(crate) struct Met<'a> {
    pub(crate) row: usize,
    /// For what it was set aside when the pool was read.
    pub(crate) fault: Option<Fault>,
    /// Whether it is in the subset.
    pub(crate) stays: bool,
    stages: &'a [(usize, StageReader)],
}

impl Met<'_> {
    /// The stages that were given the row, in order: their place, some of their rows, and the row's
    /// position among those.
    pub(crate) fn verdicts(&self) -> impl Iterator<Item = (usize, &StageRows, usize)> {
        let here = self.stages.iter().filter(|(_, stage)| stage.row() == Some(self.row));
        here.map(|(index, stage)| {
            let (rows, position) = stage.here();
            (*index, rows, position)
        })
    }
}

/// Goes through the rows that have a fault or that one of these stages was given, in order.
pub(crate) fn each_row(
    run: &Run,
    stages: &[usize],
    mut each: impl FnMut(&Met<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let open = |&stage: &usize| Ok::<_, Error>((stage, run.stage_reader(stage)?));
    let mut stages = stages.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let mut faults = run.pool.faults().iter().copied().peekable();
    let mut kept = run.kept.iter().peekable();
    loop {
        let faulty = faults.peek().map(|&(row, _)| row);
        let Some(row) = stages.iter().filter_map(|(_, s)| s.row()).chain(faulty).min() else {
            return Ok(());
        };
        while kept.next_if(|&other| other < row).is_some() {}
        each(&Met {
            row,
            fault: faults.next_if(|&(other, _)| other == row).map(|(_, fault)| fault),
            stays: kept.peek() == Some(&row),
            stages: &stages,
        })?;
        for (_, stage) in stages.iter_mut().filter(|(_, stage)| stage.row() == Some(row)) {
            stage.advance()?;
        }
    }
}

/// Reasons that are written at once.
const AT_ONCE: usize = 1 << 14;

/// Writes the evidence of a run.
pub(crate) fn write(run: &Run, path: &Path) -> Result<(), Error> {
    let mut reasons = Vec::new();
    let mut writer: Option<Writer<'_>> = None;
    let mut put = |reasons: &mut Vec<Written>| -> Result<(), Error> {
        let columns = columns(run, std::mem::take(reasons));
        match &mut writer {
            Some(writer) => {
                writer.write(columns.into_iter().map(|(_, column)| column).collect())?;
            }
            None => writer = Some(Writer::create(path, columns)?),
        }
        Ok(())
    };
    each(run, |reason| {
        let Reason { stage, removal, outside_cause } = reason;
        reasons.push((stage.to_owned(), removal, outside_cause));
        if reasons.len() == AT_ONCE { put(&mut reasons) } else { Ok(()) }
    })?;
    put(&mut reasons)?;
    writer.map_or(Ok(()), |writer| Ok(writer.finish()?))
}

/// The stage, its reason, and a cause outside the pool.
type Written = (String, Removal, Option<String>);

fn columns(run: &Run, reasons: Vec<Written>) -> Vec<(&'static str, Column)> {
    let uid = |row: usize| run.pool.ids()[row].to_string();
    let cause = |(_, removal, outside): &Written| removal.cause.map(uid).or(outside.clone());
    let causes = reasons.iter().map(cause).collect();
    let stages = reasons.iter().map(|(stage, ..)| stage.clone()).collect();
    let removals: Vec<&Removal> = reasons.iter().map(|(_, removal, _)| removal).collect();
    vec![
        ("uid", Column::Text(removals.iter().map(|r| uid(r.row)).collect())),
        ("row", Column::U64(removals.iter().map(|r| r.row as u64).collect())),
        ("stage", Column::Text(stages)),
        ("rule", Column::Text(removals.iter().map(|r| r.rule.clone()).collect())),
        ("value", Column::OptF64(removals.iter().map(|r| r.value).collect())),
        ("threshold", Column::OptF64(removals.iter().map(|r| r.threshold).collect())),
        ("cause_uid", Column::OptText(causes)),
        ("cause_row", Column::OptU64(removals.iter().map(|r| r.cause.map(|c| c as u64)).collect())),
        ("cluster", Column::OptU64(removals.iter().map(|r| r.cluster.map(u64::from)).collect())),
    ]
}
