//! `evidence.parquet`: why each row that did not stay went.

use std::path::Path;

use curate_core::Removal;
use curate_io::table::{self, Column};

use crate::{Error, earlier::POOL, run::Run};

/// Why a row went, as one stage says it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason<'a> {
    /// The stage, or the pool for a row that was set aside when it was read.
    pub stage: &'a str,
    /// The rule, and what was compared.
    pub removal: Removal,
    /// The row of a reference outside the pool that caused the removal: its id, or its file and
    /// number.
    pub outside_cause: Option<&'a str>,
}

/// Every reason why a row that did not stay went, in row order, with the stage that gave it.
///
/// A row has at least one reason. It has several when a recipe branches and more than one branch
/// removed it. Rows that stay have none, whatever a branch said of them.
pub fn of(run: &Run) -> Vec<Reason<'_>> {
    let quarantined = run.pool.faults().iter().map(|&(row, fault)| Reason {
        stage: POOL,
        removal: Removal::new(row, fault.name()),
        outside_cause: None,
    });
    let mut reasons: Vec<Reason<'_>> = quarantined.collect();
    for (record, rows) in run.records.iter().zip(&run.rows) {
        let reason = |position| {
            Some(Reason {
                stage: &record.name,
                removal: rows.removal(position)?,
                outside_cause: rows.outside_cause(position),
            })
        };
        let gone = (0..rows.rows.len()).filter_map(reason);
        reasons.extend(gone.filter(|reason| !run.kept.contains(reason.removal.row)));
    }
    // Stable: reasons of one row stay in stage order.
    reasons.sort_by_key(|reason| reason.removal.row);
    reasons
}

/// Writes the evidence of a run.
pub(crate) fn write(run: &Run, path: &Path) -> Result<(), Error> {
    let reasons = of(run);
    let uid = |row: usize| run.pool.ids()[row].to_string();
    let cause = |reason: &Reason<'_>| {
        reason.removal.cause.map(uid).or_else(|| reason.outside_cause.map(str::to_owned))
    };
    let stages = reasons.iter().map(|reason| reason.stage.to_owned()).collect();
    let causes = reasons.iter().map(cause).collect();
    let removals: Vec<&Removal> = reasons.iter().map(|reason| &reason.removal).collect();
    let columns = vec![
        ("uid", Column::Text(removals.iter().map(|r| uid(r.row)).collect())),
        ("row", Column::U64(removals.iter().map(|r| r.row as u64).collect())),
        ("stage", Column::Text(stages)),
        ("rule", Column::Text(removals.iter().map(|r| r.rule.clone()).collect())),
        ("value", Column::OptF64(removals.iter().map(|r| r.value).collect())),
        ("threshold", Column::OptF64(removals.iter().map(|r| r.threshold).collect())),
        ("cause_uid", Column::OptText(causes)),
        ("cause_row", Column::OptU64(removals.iter().map(|r| r.cause.map(|c| c as u64)).collect())),
        ("cluster", Column::OptU64(removals.iter().map(|r| r.cluster.map(u64::from)).collect())),
    ];
    Ok(table::write(path, columns)?)
}
