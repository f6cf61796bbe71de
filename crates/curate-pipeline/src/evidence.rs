//! `evidence.parquet`: why each row that did not stay went.

use std::path::Path;

use curate_core::{Removal, fault::Fault};
use curate_io::table::{Column, Writer};

use crate::{
    Error,
    earlier::POOL,
    gone::Gone,
    rows::{RemovedRows, StageRows},
    run::Run,
};

/// Why a row went, as one stage says it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason<'a> {
    /// The stage, or the pool for a row that was quarantined when it was read.
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
    each_removed(run, |met| {
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

/// A row that the pool quarantined or a stage removed.
struct Met<'a> {
    row: usize,
    /// For what it was quarantined when the pool was read.
    fault: Option<Fault>,
    /// Whether it is in the subset: another branch of the recipe kept it.
    stays: bool,
    stages: &'a [(usize, RemovedRows)],
}

impl Met<'_> {
    /// The stages that removed the row, in order: their place, some of their rows, and the row's position
    /// among those.
    fn verdicts(&self) -> impl Iterator<Item = (usize, &StageRows, usize)> {
        let here = self.stages.iter().filter(|(_, stage)| stage.row() == Some(self.row));
        here.map(|(index, stage)| {
            let (rows, position) = stage.here();
            (*index, rows, position)
        })
    }
}

/// Goes through the rows that the pool quarantined or a stage removed, in order. Stages that removed none
/// are not read.
fn each_removed(
    run: &Run,
    mut each: impl FnMut(&Met<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut stages = Vec::new();
    for (stage, record) in run.records.iter().enumerate() {
        if !record.removed.is_empty() {
            stages.push((stage, run.removed_rows(stage)?));
        }
    }
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

/// Writes the evidence of a run, and tells the first reason of each row.
pub(crate) fn write(run: &Run, path: &Path) -> Result<Gone, Error> {
    let mut gone = Gone::new(run.pool.len());
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
        gone.add(removal.row, stage, &removal.rule);
        reasons.push((stage.to_owned(), removal, outside_cause));
        if reasons.len() == AT_ONCE { put(&mut reasons) } else { Ok(()) }
    })?;
    put(&mut reasons)?;
    writer.map_or(Ok(()), Writer::finish)?;
    Ok(gone)
}

/// The stage, its reason, and a cause outside the pool.
type Written = (String, Removal, Option<String>);

fn columns(run: &Run, reasons: Vec<Written>) -> Vec<(&'static str, Column)> {
    let uid = |row: usize| run.pool.ids()[row].to_string();
    let of = || reasons.iter().map(|(_, removal, _)| removal);
    let uids = of().map(|r| uid(r.row)).collect();
    let rows = of().map(|r| r.row as u64).collect();
    let values = of().map(|r| r.value).collect();
    let thresholds = of().map(|r| r.threshold).collect();
    let cause_rows = of().map(|r| r.cause.map(|cause| cause as u64)).collect();
    let clusters = of().map(|r| r.cluster.map(u64::from)).collect();
    let (mut stages, mut rules, mut causes) = (Vec::new(), Vec::new(), Vec::new());
    for (stage, removal, outside) in reasons {
        stages.push(stage);
        rules.push(removal.rule);
        causes.push(removal.cause.map(uid).or(outside));
    }
    vec![
        ("uid", Column::Text(uids)),
        ("row", Column::U64(rows)),
        ("stage", Column::Text(stages)),
        ("rule", Column::Text(rules)),
        ("value", Column::OptF64(values)),
        ("threshold", Column::OptF64(thresholds)),
        ("cause_uid", Column::OptText(causes)),
        ("cause_row", Column::OptU64(cause_rows)),
        ("cluster", Column::OptU64(clusters)),
    ]
}
