//! The QQT law: parity with the released code, and the optimum on synthetic points.

use super::grid::{Given, grid, linspace};
use super::tables::{POOL, SyntheticCase, json, parse};
use crate::{Claim, Kind};
use anyhow::Result;
use curate_core::NoProgress;
use curate_scaling::FitParams;
use curate_scaling::law::{Law, Member, Point, Qqt, QqtForm, unit_samples_from_normalizer};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// One fit of the released code, and what the code says with it.
#[derive(Debug, Deserialize)]
struct Released {
    a: f64,
    d: f64,
    b: Vec<f64>,
    half_life: Vec<f64>,
    names: Vec<String>,
    single: BTreeMap<String, BTreeMap<String, f64>>,
    union: BTreeMap<String, Union>,
    switches: Vec<(f64, usize)>,
    switches_floor_added_last: Vec<(f64, usize)>,
}

#[derive(Debug, Deserialize)]
struct Union {
    error_top10_20_30_40: Vec<f64>,
    best_num_buckets: usize,
}

#[derive(Debug, Deserialize)]
struct Reference {
    effective_data: Released,
    effective_utility: Released,
}

impl Released {
    fn theta(&self, pool: usize) -> Vec<f64> {
        let unit_samples = unit_samples_from_normalizer(self.a);
        vec![unit_samples, self.b[pool], self.d, self.half_life[pool]]
    }

    fn unions(&self, law: &Qqt, samples: f64) -> Vec<f64> {
        let thetas: Vec<Vec<f64>> = (0..4).map(|pool| self.theta(pool)).collect();
        let members: Vec<Member<'_>> =
            thetas.iter().map(|theta| Member { unique: POOL, theta }).collect();
        let one = |count: usize| law.predict_union(samples, &members[..count]).unwrap_or(f64::NAN);
        (1..=4).map(one).collect()
    }

    fn best(&self, law: &Qqt, samples: f64) -> usize {
        let errors = self.unions(law, samples);
        (0..4).min_by(|&i, &j| errors[i].total_cmp(&errors[j])).map_or(0, |i| i + 1)
    }

    /// Largest difference to the curves of the released code, single pools and unions.
    fn largest_difference(&self, law: &Qqt) -> f64 {
        let mut largest = 0.0f64;
        for (pool, name) in self.names.iter().enumerate() {
            for (samples, error) in &self.single[name] {
                let at = Point::new().samples(parse(samples)).unique(POOL);
                largest = largest.max((law.eval(&at, &self.theta(pool), None) - error).abs());
            }
        }
        for (samples, union) in &self.union {
            let errors = self.unions(law, parse(samples));
            let pairs = errors.iter().zip(&union.error_top10_20_30_40);
            largest = pairs.fold(largest, |l, (ours, theirs)| l.max((ours - theirs).abs()));
        }
        largest
    }

    fn disagreements(&self, law: &Qqt) -> f64 {
        let differs = |(n, u): &(&String, &Union)| self.best(law, parse(n)) != u.best_num_buckets;
        self.union.iter().filter(differs).count() as f64
    }

    /// How many switches lie on another million samples than `switches`, which were found on a
    /// grid of one million.
    fn moved_switches(&self, law: &Qqt, switches: &[(f64, usize)]) -> f64 {
        let step = 1e6;
        let moved = |w: &[(f64, usize)]| {
            let ((_, before), (at, after)) = (w[0], w[1]);
            self.best(law, at - step) != before || self.best(law, at) != after
        };
        switches.windows(2).filter(|w| moved(w)).count() as f64
    }
}

/// The options of the QQT case: own exponent and half-life, the rest shared.
pub(super) fn shared_params(law: Qqt) -> FitParams<Qqt> {
    FitParams::new(law).per_pool("b").per_pool("half_life")
}

pub(super) fn claims(folder: &Path) -> Result<Vec<Claim>> {
    let reference: Reference = json(folder, "qqt_reference.json")?;
    let compat = Qqt { compat: true, ..Qqt::default() };
    let data_form = Qqt { form: QqtForm::EffectiveData, ..Qqt::default() };
    let mut all = Vec::new();
    for (name, released, law) in [
        ("utility, compat", &reference.effective_utility, compat),
        ("effective data", &reference.effective_data, data_form),
    ] {
        let claim = |what: &str, measured, tolerance| {
            Claim::within(format!("QQT {name}: {what}"), Kind::Exact, 0.0, measured, tolerance)
        };
        let curves = released.largest_difference(&law);
        all.push(claim("largest difference to the released curves", curves, 1e-12));
        all.push(claim("budgets with another best pool", released.disagreements(&law), 0.0));
        let moved = released.moved_switches(&law, &released.switches);
        all.push(claim("switch points on another million", moved, 0.0));
    }
    let utility = &reference.effective_utility;
    let moved = utility.moved_switches(&Qqt::default(), &utility.switches_floor_added_last);
    let name = "QQT utility, floor added last: switch points on another million";
    all.push(Claim::within(name, Kind::Exact, 0.0, moved, 0.0));
    all.extend(synthetic_claims(&json(folder, "qqt_synthetic.json")?)?);
    Ok(all)
}

fn synthetic_claims(case: &SyntheticCase) -> Result<Vec<Claim>> {
    let data = case.table()?;
    let law = Qqt { compat: true, ..Qqt::default() };
    let given = Given { unit_samples: unit_samples_from_normalizer(0.025), d: 0.1 };
    let (exponents, half_lives) = (linspace(-0.005, -0.5, 100), linspace(1.0, 10.0, 100));
    let found = grid(&law, &data, given, &exponents, &half_lives);
    let (mut cells, mut costs) = (0.0f64, 0.0f64);
    for theirs in &case.grid_fit {
        let Some(ours) = found.iter().find(|cell| cell.pool == theirs.name) else { continue };
        cells = cells.max((ours.b - theirs.b).abs()).max((ours.half_life - theirs.tau).abs());
        costs = costs.max((ours.cost / theirs.sse - 1.0).abs());
    }
    let held = shared_params(law).fix("unit_samples", given.unit_samples).fix("d", given.d);
    let given = held.fit(&data, &NoProgress)?;
    let shared = shared_params(law).fit(&data, &NoProgress)?;
    let (a, b) = (&case.least_squares_a_d_given, &case.least_squares_a_d_shared);
    let excess = |objective: f64, sse: f64| objective / sse - 1.0;
    Ok(vec![
        Claim::within("QQT grid: largest parameter difference", Kind::Exact, 0.0, cells, 1e-12),
        Claim::within("QQT grid: largest relative cost difference", Kind::Exact, 0.0, costs, 1e-9),
        Claim::at_most(
            "QQT, a and d given: squared error over scipy's, minus one",
            Kind::Found,
            1e-9,
            excess(given.objective(), a.sse_total),
        ),
        Claim::at_most(
            "QQT, a and d shared: squared error over scipy's, minus one",
            Kind::Found,
            1e-9,
            excess(shared.objective(), b.sse_total),
        ),
    ])
}
