//! Exhaustive search on a grid, as the QQT authors fit: for parity, not for use.
//!
//! Shared parameters are tried in an outer loop; for each, every pool takes the best cell of its
//! own parameters. Ties go to the first cell, the last axis turning fastest.

use super::layout::Layout;
use super::params::ValidFitParams;
use super::problem::{Problem, Row, rows};
use crate::error::ScalingError;
use crate::law::Law;
use crate::observation::Observations;
use rayon::prelude::*;

/// The values to try for one parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// The law's parameter.
    pub parameter: String,
    /// Values in natural units.
    pub values: Vec<f64>,
}

impl Axis {
    /// `count` values from `first` to `last`, both included, evenly spaced.
    pub fn linspace(parameter: impl Into<String>, first: f64, last: f64, count: usize) -> Axis {
        let step = (last - first) / (count.max(2) - 1) as f64;
        let at = |i: usize| if i + 1 == count { last } else { first + step * i as f64 };
        Axis { parameter: parameter.into(), values: (0..count).map(at).collect() }
    }
}

/// The best cell.
#[derive(Debug, Clone, PartialEq)]
pub struct GridFit {
    /// All parameters, in the order of [`GridFit::names`].
    pub theta: Vec<f64>,
    /// `name`, or `name[pool]`.
    pub names: Vec<String>,
    /// Cost of each pool's rows at the best cell, in order of first appearance.
    pub pool_costs: Vec<f64>,
}

impl GridFit {
    /// The value of a parameter, `name` or `name[pool]`.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.names.iter().position(|n| n == name).map(|i| self.theta[i])
    }
}

/// Searches every cell of `axes`; parameters without an axis must be fixed.
///
/// # Errors
/// A searched parameter without an axis, an axis of an unknown or fixed parameter, and rows that
/// lack what the law needs.
pub fn grid<L: Law>(
    params: &ValidFitParams<L>,
    data: &Observations,
    axes: &[Axis],
) -> Result<GridFit, ScalingError> {
    let params = &params.0;
    let pools = data.pools();
    let layout = Layout::new(params, &pools);
    crate::check::known_names(params, &layout)?;
    check_axes(&layout, params.law.name(), axes, params.law.params())?;
    if let Some(row) = params.law.needs().iter().find_map(|f| data.first_without(*f)) {
        return Err(refuse(params.law.name(), format!("row {row} lacks what the law needs")));
    }
    let problem = Problem::new(params, &layout, rows(data, &pools, params.space));
    let own = |axis: &&Axis| params.per_pool.contains(&axis.parameter);
    let (inner, outer): (Vec<&Axis>, Vec<&Axis>) = axes.iter().partition(own);
    let start: Vec<f64> = layout.slots.iter().map(|s| s.fixed.unwrap_or(f64::NAN)).collect();
    let best = (0..cells(&outer))
        .into_par_iter()
        .map(|cell| {
            let mut theta = start.clone();
            place(&layout, &outer, cell, None, &mut theta);
            let costs: Vec<f64> = (0..pools.len())
                .map(|pool| {
                    best_of_pool(&problem, params.loss, params.space, &inner, pool, &mut theta)
                })
                .collect();
            (costs.iter().sum::<f64>(), cell, theta, costs)
        })
        .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let Some((_, _, theta, pool_costs)) = best else {
        return Err(refuse(params.law.name(), "an axis has no values".into()));
    };
    let names = layout.slots.iter().map(|s| s.name.clone()).collect();
    Ok(GridFit { theta, names, pool_costs })
}

fn refuse(law: &'static str, problem: String) -> ScalingError {
    let remedy = "give one axis to each parameter that is searched, and fix the others".into();
    ScalingError::NotAnswerable { law, problem, remedy }
}

fn check_axes(
    layout: &Layout,
    law: &'static str,
    axes: &[Axis],
    specs: Vec<crate::law::ParamSpec>,
) -> Result<(), ScalingError> {
    for slot in &layout.slots {
        let name = &specs[slot.parameter].name;
        let given = axes.iter().filter(|a| a.parameter == *name).count();
        if given != usize::from(slot.fixed.is_none()) {
            return Err(refuse(law, format!("`{}` has {given} axes", slot.name)));
        }
    }
    let unknown = axes.iter().find(|a| specs.iter().all(|s| s.name != a.parameter));
    unknown.map_or(Ok(()), |a| Err(refuse(law, format!("there is no `{}`", a.parameter))))
}

fn cells(axes: &[&Axis]) -> usize {
    axes.iter().map(|a| a.values.len()).product()
}

/// Writes a cell's values into `theta`, for all pools or for one.
fn place(layout: &Layout, axes: &[&Axis], mut cell: usize, pool: Option<usize>, theta: &mut [f64]) {
    for axis in axes.iter().rev() {
        let value = axis.values[cell % axis.values.len()];
        cell /= axis.values.len();
        for (i, slot) in layout.slots.iter().enumerate() {
            let named = crate::fit::params::base_name(&slot.name) == axis.parameter;
            if named && pool.is_none_or(|p| layout.of_pool[p].contains(&i)) {
                theta[i] = value;
            }
        }
    }
}

/// Puts the best cell of the pool's own parameters into `theta` and returns its cost.
fn best_of_pool<L: Law>(
    problem: &Problem<'_, L>,
    loss: super::Loss,
    space: super::Space,
    axes: &[&Axis],
    pool: usize,
    theta: &mut [f64],
) -> f64 {
    let mine: Vec<&Row<'_>> = problem.rows.iter().filter(|r| r.pool == pool).collect();
    let specs = problem.law.params();
    let position = |axis: &&Axis| specs.iter().position(|s| s.name == axis.parameter).unwrap_or(0);
    let positions: Vec<usize> = axes.iter().map(position).collect();
    let mut local = problem.layout.local(theta, pool);
    let mut best = (f64::INFINITY, 0);
    for cell in 0..cells(axes) {
        let mut rest = cell;
        for (axis, &position) in axes.iter().zip(&positions).rev() {
            local[position] = axis.values[rest % axis.values.len()];
            rest /= axis.values.len();
        }
        let one = |row: &&Row<'_>| {
            let predicted = space.forward(problem.law.predict(&row.point, &local));
            row.weight * loss.cost((predicted - row.target) * row.scale).0
        };
        let cost: f64 = mine.iter().map(one).sum();
        if cost < best.0 {
            best = (cost, cell);
        }
    }
    place(problem.layout, axes, best.1, Some(pool), theta);
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::Power;
    use crate::{FitParams, Metric, Observation};

    fn data() -> Observations {
        let at = |n: f64| Observation::new("p", 0.25 + 5.0 * n.powf(-0.5)).samples(n);
        Observations::new(Metric::Error, vec![], [1e3, 1e4, 1e6].map(at).to_vec()).unwrap()
    }

    #[test]
    fn the_cell_that_holds_the_truth_wins() {
        let params = FitParams::new(Power).fix("E", 0.25).check().unwrap();
        let axes = [Axis::linspace("A", 1.0, 9.0, 9), Axis::linspace("c", 0.1, 0.9, 9)];
        let best = grid(&params, &data(), &axes).unwrap();
        assert_eq!((best.get("A"), best.get("c")), (Some(5.0), Some(0.5)));
        assert!(best.pool_costs[0] < 1e-30);
    }

    #[test]
    fn axes_must_match_the_searched_parameters() {
        let params = FitParams::new(Power).fix("E", 0.25).check().unwrap();
        for axes in [vec![], vec![Axis::linspace("E", 0.0, 1.0, 2)]] {
            let message = grid(&params, &data(), &axes).unwrap_err().to_string();
            assert!(message.contains("axes") && message.contains("fix the others"), "{message}");
        }
    }
}
