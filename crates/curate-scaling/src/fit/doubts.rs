//! What is doubtful about a fit and its data.

use super::identify::{budgets, in_pool};
use super::layout::Slot;
use super::result::Fit;
use crate::law::{Field, Law};
use crate::observation::{Observation, Observations};
use crate::warning::Warning;

/// Condition of the scaled Jacobian from which parameters count as barely determined.
const RIDGE_CONDITION: f64 = 100.0;

/// Everything doubtful about a fit and its data.
pub(crate) fn warnings<L: Law>(fit: &Fit<L>, data: &Observations) -> Vec<Warning> {
    let mut found = Vec::new();
    found.extend(repeated_rows(data));
    found.extend(units(fit, data));
    found.extend(no_repeats(fit, data));
    found.extend(only_repeats(fit, data));
    found.extend(one_budget(fit, data));
    found.extend(ridge(fit));
    let best = &fit.minima[0];
    if !best.at_bounds.is_empty() {
        found.push(Warning::AtBounds { parameters: best.at_bounds.clone() });
    }
    if fit.freedom() == 0 && !fit.params.has_priors() {
        found.push(Warning::NoFreedom);
    }
    if !best.converged {
        found.push(Warning::NotConverged { gradient: best.gradient });
    }
    found
}

fn repeated_rows(data: &Observations) -> Option<Warning> {
    let rows = data.rows();
    let repeats = |i: &usize| rows[..*i].contains(&rows[*i]);
    let repeated: Vec<usize> = (0..rows.len()).filter(repeats).map(|i| i + 1).collect();
    (!repeated.is_empty()).then_some(Warning::RepeatedRows { rows: repeated })
}

fn units<L: Law>(fit: &Fit<L>, data: &Observations) -> Option<Warning> {
    if let Some(span) = fit.range.epochs.filter(|s| s.high < 1e-4 || s.low > 1e5) {
        return Some(Warning::UnitsDiffer { epochs: span.high });
    }
    let of = |get: fn(&Observation) -> Option<f64>| {
        data.rows().iter().filter_map(get).fold(0.0, f64::max)
    };
    let fields = [("samples", of(|r| r.samples), 1e5), ("parameters", of(|r| r.parameters), 1e4)];
    let small = fields.into_iter().find(|(_, largest, least)| *largest > 0.0 && largest < least);
    small.map(|(field, largest, _)| Warning::SmallUnits { field: field.into(), largest })
}

/// Parameters that say how soon repeats stop helping, by how their names begin.
const REPETITION: [&str; 3] = ["half_life", "half_life_power", "R_D"];
/// The error that no budget takes off.
const FLOOR: [&str; 2] = ["d", "E"];

/// Names of the parameters that were searched for and are meant.
fn searched<L: Law>(fit: &Fit<L>, meant: impl Fn(&str) -> bool) -> Vec<String> {
    let searched = |slot: &&Slot| slot.fixed.is_none() && meant(&slot.name);
    fit.slots().iter().filter(searched).map(|slot| slot.name.clone()).collect()
}

fn repeats(row: &Observation) -> bool {
    row.point().samples > 1.001 * row.point().unique
}

fn no_repeats<L: Law>(fit: &Fit<L>, data: &Observations) -> Option<Warning> {
    let parameters = searched(fit, |name| REPETITION.iter().any(|r| name.starts_with(r)));
    (!parameters.is_empty() && !data.rows().iter().any(repeats))
        .then_some(Warning::NoRepeats { parameters })
}

/// Errors fall more slowly with the budget because of a floor and because of repeats. Only a pool with two
/// budgets that repeat nothing tells one from the other.
fn only_repeats<L: Law>(fit: &Fit<L>, data: &Observations) -> Option<Warning> {
    let floor = searched(fit, |name| FLOOR.contains(&name.split('[').next().unwrap_or(name)));
    let repetition = searched(fit, |name| REPETITION.iter().any(|r| name.starts_with(r)));
    let both = !floor.is_empty() && !repetition.is_empty() && data.rows().iter().any(repeats);
    let fresh = |row: &&Observation| !repeats(row);
    let alone = |name: &String| budgets(in_pool(data, name).filter(fresh)) < 2;
    let unique = data.rows().iter().map(|row| row.point().unique).fold(0.0, f64::max);
    (both && fit.pool_names().iter().all(alone)).then_some(Warning::OnlyRepeats { unique })
}

fn one_budget<L: Law>(fit: &Fit<L>, data: &Observations) -> Option<Warning> {
    let alone = |name: &&String| budgets(in_pool(data, name)) == 1;
    let names = fit.pool_names();
    let pools: Vec<String> = names.iter().filter(alone).cloned().collect();
    let own = !fit.params.per_pool.is_empty() && fit.law().needs().contains(&Field::Samples);
    (own && !pools.is_empty()).then_some(Warning::OneBudget { pools })
}

fn ridge<L: Law>(fit: &Fit<L>) -> Option<Warning> {
    let condition = fit.curvature.condition;
    let barely = condition.is_none_or(|c| c > RIDGE_CONDITION) && !fit.layout.free().is_empty();
    let parameters = fit.curvature.weakest.clone();
    barely.then_some(Warning::Ridge { parameters, condition })
}
