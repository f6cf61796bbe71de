//! Muennighoff et al. 2023 (arXiv:2305.16264): the published optimum, a better one, and a refit.

use super::tables::datablations;
use crate::{Claim, Kind};
use anyhow::Result;
use curate_core::NoProgress;
use curate_scaling::law::{DataConstrained, Decay};
use curate_scaling::{FitParams, Loss, Space};
use std::path::Path;

const LAW: DataConstrained = DataConstrained { tied: true, decay: Decay::Exponential };
/// The authors' cost: the sum of Huber costs of the log loss.
const COST: Loss = Loss::Huber { delta: 1e-3 };

fn params() -> FitParams<DataConstrained> {
    FitParams::new(LAW).loss(COST).space(Space::Log)
}

/// The Chinchilla part as published with the paper's notebook: logarithms of `A`, `B`, `E`, and
/// the tied exponent.
fn published() -> FitParams<DataConstrained> {
    let (a, b, e) = (6.255414f64, 7.3049974f64, 0.6254804f64);
    params().fix("A", a.exp()).fix("B", b.exp()).fix("E", e.exp()).fix("alpha", 0.3526596)
}

pub(super) fn claims(folder: &Path) -> Result<Vec<Claim>> {
    let data = datablations(folder)?;
    let there = published().fix("R_D", 15.387756).fix("R_N", 5.309743).fit(&data, &NoProgress)?;
    let best = published().starts(48).fit(&data, &NoProgress)?;
    let free = params().starts(48).fit(&data, &NoProgress)?;
    let name = |what: &str| format!("data-constrained: {what}");
    Ok(vec![
        Claim::within(
            name("objective at the published parameters"),
            Kind::Exact,
            0.0158259,
            there.objective(),
            1e-7,
        ),
        Claim::within(
            name("R2 at the published parameters"),
            Kind::Exact,
            0.7722,
            there.r_squared(&data)?,
            1e-4,
        ),
        Claim::at_most(
            name("objective with the Chinchilla part held"),
            Kind::Found,
            0.0158047,
            best.objective(),
        ),
        Claim::at_most(
            name("objective with everything free, exponents tied"),
            Kind::Found,
            0.006965,
            free.objective(),
        ),
    ])
}
