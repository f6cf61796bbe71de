//! `evidence.parquet`: why each row that did not stay went.

use std::path::Path;

use curate_core::Removal;
use curate_io::table::{self, Column};

use crate::{Error, earlier::POOL, run::Run};

/// Every reason why a row that did not stay went, in row order, with the stage that gave it.
///
/// A row has at least one reason. It has several when a recipe branches and more than one branch
/// removed it. Rows that stay have none, whatever a branch said of them.
pub fn of(run: &Run) -> Vec<(&str, Removal)> {
    let quarantined =
        run.pool.faults().iter().map(|&(row, fault)| (POOL, Removal::new(row, fault.name())));
    let mut reasons: Vec<(&str, Removal)> = quarantined.collect();
    for (record, rows) in run.records.iter().zip(&run.rows) {
        let removals = (0..rows.rows.len()).filter_map(|position| rows.removal(position));
        let gone = removals.filter(|removal| !run.kept.contains(removal.row));
        reasons.extend(gone.map(|removal| (record.name.as_str(), removal)));
    }
    // Stable: reasons of one row stay in stage order.
    reasons.sort_by_key(|(_, removal)| removal.row);
    reasons
}

/// Writes the evidence of a run.
pub(crate) fn write(run: &Run, path: &Path) -> Result<(), Error> {
    let reasons = of(run);
    let uid = |row: usize| run.pool.ids()[row].to_string();
    let columns = vec![
        ("uid", Column::Text(reasons.iter().map(|(_, r)| uid(r.row)).collect())),
        ("row", Column::U64(reasons.iter().map(|(_, r)| r.row as u64).collect())),
        ("stage", Column::Text(reasons.iter().map(|(stage, _)| (*stage).to_owned()).collect())),
        ("rule", Column::Text(reasons.iter().map(|(_, r)| r.rule.clone()).collect())),
        ("value", Column::OptF64(reasons.iter().map(|(_, r)| r.value).collect())),
        ("threshold", Column::OptF64(reasons.iter().map(|(_, r)| r.threshold).collect())),
        ("cause_uid", Column::OptText(reasons.iter().map(|(_, r)| r.cause.map(uid)).collect())),
        (
            "cause_row",
            Column::OptU64(reasons.iter().map(|(_, r)| r.cause.map(|c| c as u64)).collect()),
        ),
        (
            "cluster",
            Column::OptU64(reasons.iter().map(|(_, r)| r.cluster.map(u64::from)).collect()),
        ),
    ];
    Ok(table::write(path, columns)?)
}
