//! What a table cannot identify, and what looks wrong in it.

use crate::error::{Check, ScalingError};
use crate::fit::{Fit, FitParams, Layout};
use crate::law::{Field, Law};
use crate::observation::Observations;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// A doubt that does not stop a fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Warning {
    /// The same run appears more than once and counts as often.
    RepeatedRows {
        /// Rows, counted from 1, that repeat an earlier one.
        rows: Vec<usize>,
    },
    /// No run repeats its data, so the law's repetition parameters are guesses.
    NoRepeats {
        /// Parameters that the data say nothing about.
        parameters: Vec<String>,
    },
    /// A pool has runs at one budget only.
    OneBudget {
        /// The pools.
        pools: Vec<String>,
    },
    /// Numbers so small that they may be in thousands, millions or billions.
    SmallUnits {
        /// `samples` or `parameters`.
        field: String,
        /// Largest value in the table.
        largest: f64,
    },
    /// Samples and distinct samples differ so much that their units may differ.
    UnitsDiffer {
        /// Epochs implied.
        epochs: f64,
    },
    /// Directions of the parameters that the data barely determine.
    Ridge {
        /// Parameters that trade off against each other.
        parameters: Vec<String>,
        /// Condition of the scaled Jacobian; `None` when singular.
        condition: Option<f64>,
    },
    /// Parameters ended at an end of their range.
    AtBounds {
        /// The parameters.
        parameters: Vec<String>,
    },
    /// As many parameters as observations: the curve passes through the points and there is no
    /// measure of doubt.
    NoFreedom,
    /// The best search stopped before it had arrived.
    NotConverged {
        /// Its scaled gradient.
        gradient: f64,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::RepeatedRows { rows } => write!(
                f,
                "rows {rows:?} repeat earlier ones exactly and count twice; drop them unless the \
                 runs were made again"
            ),
            Warning::NoRepeats { parameters } => write!(
                f,
                "no run sees its pool more than once, so {} cannot be identified; fix them, or add \
                 a run of several epochs",
                parameters.join(", ")
            ),
            Warning::OneBudget { pools } => write!(
                f,
                "pools {} have one budget only, so their own parameters rest on the others; add a \
                 run at another budget",
                pools.join(", ")
            ),
            Warning::SmallUnits { field, largest } => write!(
                f,
                "the largest value of {field} is {largest}; if the column is in thousands, \
                 millions or billions, write plain counts"
            ),
            Warning::UnitsDiffer { epochs } => write!(
                f,
                "samples over unique gives {epochs:.3e} epochs; check that both columns are plain \
                 counts"
            ),
            Warning::Ridge { parameters, condition } => write!(
                f,
                "{} trade off against each other (condition {}); fix one, add a prior, or rely on \
                 intervals of predictions rather than on their values",
                parameters.join(", "),
                condition.map_or("infinite".into(), |c| format!("{c:.0}"))
            ),
            Warning::AtBounds { parameters } => write!(
                f,
                "{} ended at an end of the allowed range; the data want more than the law allows, \
                 or say nothing about them: fix them or choose a simpler law",
                parameters.join(", ")
            ),
            Warning::NoFreedom => f.write_str(
                "as many parameters as observations: there is no measure of doubt; add runs or fix \
                 parameters",
            ),
            Warning::NotConverged { gradient } => write!(
                f,
                "the search stopped early (scaled gradient {gradient:.1e}); raise max_iterations \
                 or starts"
            ),
        }
    }
}

/// Condition of the scaled Jacobian from which parameters count as barely determined.
pub const RIDGE_CONDITION: f64 = 100.0;

/// Refuses options that name a parameter of a pool which the table does not have.
pub(crate) fn known_names<L: Law>(
    params: &FitParams<L>,
    layout: &Layout,
) -> Result<(), ScalingError> {
    let mut check = Check::default();
    let specs = params.law.params();
    let exists = |name: &str| layout.find(name).is_some() || specs.iter().any(|s| s.name == *name);
    for name in params.fixed.keys().chain(params.priors.keys()) {
        check.require(exists(name), name, "set", format!("one of {}", layout.names()));
    }
    Ok(check.finish()?)
}

/// Refuses tables that cannot identify the law's parameters.
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
    let free = layout.free().len();
    if rows < free || rows == 0 {
        let remedy = "add runs, fix parameters, or share them between pools";
        return refuse(format!("{free} parameters are searched"), remedy);
    }
    for (pool, name) in pools.iter().enumerate() {
        let (own, runs) = (layout.own_free(pool), in_pool(data, name).count());
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

fn in_pool<'a>(
    data: &'a Observations,
    pool: &'a str,
) -> impl Iterator<Item = &'a crate::Observation> {
    data.rows().iter().filter(move |row| row.pool == pool)
}

/// Number of distinct sample counts.
fn budgets<'a>(rows: impl IntoIterator<Item = &'a crate::Observation>) -> usize {
    rows.into_iter().map(|r| r.point().samples.to_bits()).collect::<BTreeSet<_>>().len()
}

/// Everything doubtful about a fit and its data.
pub(crate) fn warnings<L: Law>(fit: &Fit<L>, data: &Observations) -> Vec<Warning> {
    let mut found = Vec::new();
    found.extend(repeated_rows(data));
    found.extend(units(fit, data));
    found.extend(no_repeats(fit, data));
    found.extend(one_budget(fit, data));
    found.extend(ridge(fit));
    let best = &fit.minima[0];
    if !best.at_bounds.is_empty() {
        found.push(Warning::AtBounds { parameters: best.at_bounds.clone() });
    }
    if fit.freedom() == 0 {
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
    let of = |get: fn(&crate::Observation) -> Option<f64>| {
        data.rows().iter().filter_map(get).fold(0.0, f64::max)
    };
    let fields = [("samples", of(|r| r.samples), 1e5), ("parameters", of(|r| r.parameters), 1e4)];
    let small = fields.into_iter().find(|(_, largest, least)| *largest > 0.0 && largest < least);
    small.map(|(field, largest, _)| Warning::SmallUnits { field: field.into(), largest })
}

fn no_repeats<L: Law>(fit: &Fit<L>, data: &Observations) -> Option<Warning> {
    let repetition = ["half_life", "half_life_power", "R_D"];
    let searched = |slot: &&crate::fit::Slot| {
        slot.fixed.is_none() && repetition.iter().any(|r| slot.name.starts_with(r))
    };
    let names: Vec<String> = fit.slots().iter().filter(searched).map(|s| s.name.clone()).collect();
    let repeats = data.rows().iter().any(|r| r.point().samples > 1.001 * r.point().unique);
    (!names.is_empty() && !repeats).then_some(Warning::NoRepeats { parameters: names })
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
