//! What a table cannot identify.

use super::layout::{Layout, Slot};
use super::params::{FitParams, base_name};
use crate::error::ScalingError;
use crate::law::{Field, Law};
use crate::observation::{Observation, Observations};
use curate_core::params::Checker;
use std::collections::BTreeSet;

/// Refuses options that name a parameter of a pool which the table does not have.
pub(crate) fn known_names<L: Law>(
    params: &FitParams<L>,
    layout: &Layout,
) -> Result<(), ScalingError> {
    let mut check = Checker::default();
    let specs = params.law.params();
    let exists = |name: &str| layout.find(name).is_some() || specs.iter().any(|s| s.name == *name);
    for name in params.fixed.keys().chain(params.priors.keys()) {
        check.that(exists(name), name.clone(), "set", format!("one of {}", layout.names()));
    }
    Ok(check.finish()?)
}

/// Refuses tables that cannot identify the law's parameters. One with a prior needs no runs.
pub(crate) fn identifiable<L: Law>(
    params: &FitParams<L>,
    layout: &Layout,
    pools: &[String],
    data: &Observations,
) -> Result<(), ScalingError> {
    let law = params.law.name();
    let rows = data.rows().len();
    let refuse = |problem: String, remedy: &str| {
        Err(ScalingError::NotIdentified { law, rows, problem, remedy: remedy.into() })
    };
    for &field in params.law.needs() {
        if let Some(row) = data.first_without(field) {
            let remedy = "add the column, or choose a law that does not need it";
            return refuse(format!("row {row} has no `{field}`"), remedy);
        }
    }
    let alone = |slot: &Slot| {
        !params.priors.contains_key(&slot.name)
            && !params.priors.contains_key(base_name(&slot.name))
    };
    let free = layout.free().into_iter().filter(|&slot| alone(&layout.slots[slot])).count();
    if rows < free || rows == 0 {
        let remedy = "add runs, fix parameters, or share them between pools";
        return refuse(format!("{free} parameters are searched"), remedy);
    }
    for (pool, name) in pools.iter().enumerate() {
        let own = layout.own_free(pool).filter(|slot| alone(slot)).count();
        let runs = in_pool(data, name).count();
        if runs < own {
            let remedy = "add runs of this pool, or share a parameter between pools";
            return refuse(format!("pool {name} has {runs} runs for {own} of its own"), remedy);
        }
    }
    if params.law.needs().contains(&Field::Samples) && free > 1 && budgets(data.rows()) == 1 {
        let remedy = "add runs at other budgets, since one budget cannot tell the floor from the \
                      slope";
        return refuse("every run sees the same number of samples".into(), remedy);
    }
    Ok(())
}

pub(super) fn in_pool<'a>(
    data: &'a Observations,
    pool: &'a str,
) -> impl Iterator<Item = &'a Observation> {
    data.rows().iter().filter(move |row| row.pool == pool)
}

/// Number of distinct sample counts.
pub(super) fn budgets<'a>(rows: impl IntoIterator<Item = &'a Observation>) -> usize {
    rows.into_iter().map(|r| r.point().samples.to_bits()).collect::<BTreeSet<_>>().len()
}
