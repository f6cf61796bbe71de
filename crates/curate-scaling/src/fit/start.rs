//! Where searches start.

use super::params::FitParams;
use super::problem::Problem;
use crate::dice::Dice;
use crate::law::{Law, Summary};
use crate::observation::Observations;
use std::collections::HashSet;

/// Candidate starting points looked at for each one searched from.
const CANDIDATES: usize = 8;
/// The hash stream of starting points.
const STREAM: u64 = 1;

/// Starting points in search coordinates: half of them the best of many drawn, half as drawn.
///
/// The best of many alone crowd into one valley, often that of a local minimum that is wide; points
/// as drawn alone waste most searches on plateaus. Half of each finds the known minima of every
/// published case.
pub(crate) fn starting_points<L: Law>(
    problem: &Problem<'_, L>,
    params: &FitParams<L>,
    data: &Observations,
    pools: &[String],
) -> Vec<Vec<f64>> {
    let all = data.summary(None);
    let own: Vec<Summary> = pools.iter().map(|p| data.summary(Some(p))).collect();
    let drawn: Vec<Vec<f64>> = (0..params.starts.saturating_mul(CANDIDATES))
        .map(|draw| {
            let theta = start(problem, params, draw, &all, &own);
            problem.coordinates_of(&theta)
        })
        .collect();
    let mut order: Vec<(f64, usize)> =
        drawn.iter().enumerate().map(|(i, x)| (problem.objective(x), i)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut chosen: Vec<usize> =
        order.iter().take(params.starts.div_ceil(2)).map(|&(_, i)| i).collect();
    let taken: HashSet<usize> = chosen.iter().copied().collect();
    let rest = (0..drawn.len()).filter(|i| !taken.contains(i));
    chosen.extend(rest.take(params.starts - chosen.len()));
    chosen.into_iter().map(|i| drawn[i].clone()).collect()
}

/// One drawn starting point in natural units; draw 0 is the middle of every range. Shared
/// parameters see all runs, a pool's own only the pool's.
fn start<L: Law>(
    problem: &Problem<'_, L>,
    params: &FitParams<L>,
    draw: usize,
    all: &Summary,
    own: &[Summary],
) -> Vec<f64> {
    let dice = Dice::new(params.seed, STREAM, draw as u64);
    let unit = |slot: usize| if draw == 0 { 0.5 } else { dice.uniform(slot) };
    let slots = &problem.layout.slots;
    let mut theta: Vec<f64> = slots.iter().map(|s| s.fixed.unwrap_or(f64::NAN)).collect();
    for (pool, indices) in problem.layout.of_pool.iter().enumerate() {
        let units: Vec<f64> = indices.iter().map(|&slot| unit(slot)).collect();
        let shared = params.law.start(all, &units);
        let mine = params.law.start(&own[pool], &units);
        for (i, &slot) in indices.iter().enumerate() {
            if slots[slot].fixed.is_none() {
                let is_own = slots[slot].name.contains('[');
                theta[slot] = if is_own { mine[i] } else { shared[i] };
            }
        }
    }
    theta
}
