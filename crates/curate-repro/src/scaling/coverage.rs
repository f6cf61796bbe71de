//! How often 90 % intervals hold the truth, on synthetic QQT points of known truth.

use super::noise::Noise;
use super::qqt::shared_params;
use super::tables::POOL;
use crate::{Claim, Kind};
use anyhow::Result;
use curate_core::NoProgress;
use curate_scaling::law::{Law, Member, Point, Qqt, unit_samples_from_normalizer};
use curate_scaling::{BootstrapParams, Fit, Interval, Metric, Observation, Observations};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Exponents and half-lives of the four pools: the released utility fit.
const POOLS: [(&str, f64, f64); 4] = [
    ("top 10 %", -0.16, 6.727_272_727_272_727_5),
    ("10-20 %", -0.125, 8.545_454_545_454_547),
    ("20-30 %", -0.10, 5.272_727_272_727_272_5),
    ("30-40 %", -0.085, 2.272_727_272_727_272_5),
];
const FLOOR: f64 = 0.1;
const NOISE: f64 = 0.0024;
const LEVEL: f64 = 0.9;
/// The hash stream of the noise.
const STREAM: u64 = 5;

/// How often a quantity's intervals held its true value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// What the interval is of.
    pub quantity: String,
    /// Its true value.
    pub truth: f64,
    /// Share of tables whose covariance interval (Student's t) held it.
    pub covariance: f64,
    /// Share of tables whose residual-bootstrap interval held it; `None` when not made.
    pub bootstrap: Option<f64>,
}

/// A quantity of a fit under a parameter vector.
type Getter<'a> = Box<dyn Fn(&Fit<Qqt>, &[f64]) -> f64 + Sync + 'a>;

/// One quantity: its name, its truth, and how to get it from a parameter vector.
struct Quantity<'a> {
    name: String,
    truth: f64,
    of: Getter<'a>,
    /// Parameters have intervals in their own coordinates.
    slot: Option<String>,
}

fn theta(pool: usize) -> Vec<f64> {
    let (_, b, tau) = POOLS[pool];
    vec![unit_samples_from_normalizer(0.025), b, FLOOR, tau]
}

fn table(replicate: usize) -> Result<Observations> {
    let noise = Noise::new(STREAM, replicate as u64);
    let mut rows = Vec::new();
    for (pool, (name, _, _)) in POOLS.iter().enumerate() {
        for step in 1..=5 {
            let samples = 2.0 * f64::from(step) * POOL;
            let truth = metric(samples, &[theta(pool)]);
            let value = truth + NOISE * noise.normal(rows.len());
            rows.push(Observation::new(*name, value).samples(samples).unique(POOL));
        }
    }
    Ok(Observations::new(Metric::Error, vec![], rows)?)
}

fn parameter<'a>(name: String, truth: f64) -> Quantity<'a> {
    let slot = name.clone();
    Quantity {
        slot: Some(name.clone()),
        name,
        truth,
        of: Box::new(move |fit, theta| {
            let at = fit.slots().iter().position(|s| s.name == slot);
            at.map_or(f64::NAN, |i| theta[i])
        }),
    }
}

/// The metric of a union of pools of one size, or of one of them, after `samples`.
fn metric(samples: f64, thetas: &[Vec<f64>]) -> f64 {
    if let [theta] = thetas {
        let at = Point::new().samples(samples).unique(POOL);
        return Qqt::default().eval(&at, theta, None);
    }
    let members: Vec<Member<'_>> =
        thetas.iter().map(|theta| Member { unique: POOL, theta }).collect();
    Qqt::default().predict_union(samples, &members).unwrap_or(f64::NAN)
}

/// The metric of the best `count` pools at `samples`.
fn union<'a>(count: usize, samples: f64) -> Quantity<'a> {
    let thetas: Vec<Vec<f64>> = (0..count).map(theta).collect();
    let of = move |fit: &Fit<Qqt>, theta: &[f64]| {
        let own = POOLS[..count].iter().map(|pool| fit.pool_theta(theta, pool.0));
        own.collect::<Result<Vec<_>, _>>().map_or(f64::NAN, |thetas| metric(samples, &thetas))
    };
    Quantity {
        name: format!("error of the top {} % at {} million", 10 * count, samples / 1e6),
        truth: metric(samples, &thetas),
        of: Box::new(of),
        slot: None,
    }
}

fn quantities<'a>() -> Vec<Quantity<'a>> {
    let mut all = vec![
        parameter("unit_samples".into(), unit_samples_from_normalizer(0.025)),
        parameter("d".into(), FLOOR),
    ];
    for (name, b, tau) in POOLS {
        all.push(parameter(format!("b[{name}]"), b));
        all.push(parameter(format!("half_life[{name}]"), tau));
    }
    for samples in [64e6, 128e6, 256e6, 640e6] {
        all.push(union(1, samples));
        all.push(union(2, samples));
    }
    all
}

/// Whether each quantity's intervals held its truth in one table: by covariance, by bootstrap.
fn one_table(replicate: usize, draws: usize) -> Result<Vec<(bool, bool)>> {
    let data = table(replicate)?;
    let fit = shared_params(Qqt::default()).starts(4).fit(&data, &NoProgress)?;
    let ensemble = match draws {
        0 => None,
        _ => {
            let params = BootstrapParams::default().draws(draws).seed(replicate as u64);
            Some(params.run(&fit, &data, &NoProgress)?)
        }
    };
    let parameters = fit.parameters(LEVEL)?;
    let holds = |interval: Option<Interval>, truth: f64| {
        interval.is_some_and(|i| i.low <= truth && truth <= i.high)
    };
    let one = |q: &Quantity<'_>| {
        let quick = match &q.slot {
            Some(slot) => parameters.iter().find(|p| p.name == *slot).and_then(|p| p.interval),
            None => fit.curve_interval(LEVEL, |theta| (q.of)(&fit, theta)).ok(),
        };
        let slow = match &ensemble {
            Some(draws) => Some(draws.interval(&fit, LEVEL, |theta| (q.of)(&fit, theta))?),
            None => None,
        };
        Ok((holds(quick, q.truth), holds(slow, q.truth)))
    };
    quantities().iter().map(one).collect()
}

/// The share of `tables` synthetic tables in which 90 % intervals hold the truth, with
/// `draws` bootstrap draws each (none for the covariance alone).
///
/// # Errors
/// Never, unless the law is broken.
pub fn coverage(tables: usize, draws: usize) -> Result<Vec<Coverage>> {
    let held: Vec<Vec<(bool, bool)>> = (0..tables)
        .into_par_iter()
        .map(|replicate| one_table(replicate, draws))
        .collect::<Result<_, _>>()?;
    let share = |count: usize| count as f64 / tables as f64;
    let one = |(i, q): (usize, Quantity<'_>)| Coverage {
        covariance: share(held.iter().filter(|h| h[i].0).count()),
        bootstrap: (draws > 0).then(|| share(held.iter().filter(|h| h[i].1).count())),
        truth: q.truth,
        quantity: q.name,
    };
    Ok(quantities().into_iter().enumerate().map(one).collect())
}

pub(super) fn claims() -> Result<Vec<Claim>> {
    let mut all = Vec::new();
    for row in coverage(600, 200)? {
        let mut claim = |how: &str, measured: f64| {
            let name = format!("coverage of 90 % {how} intervals: {}", row.quantity);
            all.push(Claim::within(name, Kind::Coverage, 0.90, measured, 0.05));
        };
        claim("covariance", row.covariance);
        claim("bootstrap", row.bootstrap.unwrap_or(f64::NAN));
    }
    Ok(all)
}
