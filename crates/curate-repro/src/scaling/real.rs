//! Accuracy on published measurements of others.

use super::statistics::{median, root_mean_square, spearman};
use super::tables::{clip, dmsl, gadre, openclip_series, regmix_test, regmix_train};
use super::{in_group, seen};
use crate::{Claim, Kind};
use anyhow::Result;
use curate_core::NoProgress;
use curate_scaling::law::{
    AdditiveMixing, ExponentialMixing, HalfLife, Law, OverTraining, Qqt, ShiftedPower,
};
use curate_scaling::{Fit, FitParams, Loss, Observation, Observations, Space};
use std::path::Path;

pub(super) fn claims(folder: &Path) -> Result<Vec<Claim>> {
    let mut all = clip_claims(&clip(folder)?)?;
    all.push(shifted_power_claim(&openclip_series(folder)?)?);
    for target in ["pile_cc", "github", "arxiv"] {
        all.push(regmix_claim(folder, target)?);
    }
    let over_trained = gadre(folder)?;
    all.extend(gadre_claims(&over_trained)?);
    let red_pajama = in_group(&over_trained, "rpj");
    let size_exponent = 2.0
        * FitParams::new(OverTraining)
            .fit(&gadre_fit_runs(&red_pajama), &NoProgress)?
            .get("eta")?;
    all.push(dmsl_claim(&dmsl(folder)?, size_exponent)?);
    Ok(all)
}

fn errors<L: Law>(fit: &Fit<L>, rows: &[Observation]) -> Result<Vec<f64>> {
    rows.iter().map(|row| Ok(fit.predict(&row.pool, &row.point())? - row.value)).collect()
}

fn clip_claims(data: &Observations) -> Result<Vec<Claim>> {
    let law = Qqt { half_life: HalfLife::Proportional, ..Qqt::default() };
    let mut all = Vec::new();
    for (arch, bar) in [("ViT-B-32", 1.8), ("ViT-B-16", 1.2), ("ViT-L-14", 1.2)] {
        let runs = in_group(data, arch);
        let fit = FitParams::new(law).fit(&runs.filter(|r| seen(r) < 2e10), &NoProgress)?;
        let held = runs.filter(|r| seen(r) > 2e10);
        let points = 100.0 * root_mean_square(&errors(&fit, held.rows())?);
        let name = format!("LAION {arch}: fit 3B and 13B, RMSE at 34B (points)");
        all.push(Claim::at_most(name, Kind::RealData, bar, points));
    }
    Ok(all)
}

fn shifted_power_claim(data: &Observations) -> Result<Claim> {
    let mut rmse = Vec::new();
    for pool in data.pools() {
        let pool_runs = data.filter(|r| r.pool == pool);
        let mut models: Vec<&str> =
            pool_runs.rows().iter().filter_map(|r| r.group.as_deref()).collect();
        models.dedup();
        for model in models {
            let series = in_group(&pool_runs, model);
            let params = FitParams::new(ShiftedPower).space(Space::Log);
            let fit = params.fit(&series.filter(|r| seen(r) < 2e8), &NoProgress)?;
            let held = series.filter(|r| seen(r) > 2e8);
            rmse.push(100.0 * root_mean_square(&errors(&fit, held.rows())?));
        }
    }
    let name = format!(
        "shifted power in log space, with inferred sample counts: fit up to 128M, median RMSE of \
         {} series (points)",
        rmse.len()
    );
    Ok(Claim::at_most(name, Kind::RealDataAfterLook, 2.8, median(rmse)))
}

fn regmix_claim(folder: &Path, target: &str) -> Result<Claim> {
    let (train, test) = (regmix_train(folder, target)?, regmix_test(folder, target)?);
    let fit = FitParams::new(ExponentialMixing { domains: 17 }).fit(&train, &NoProgress)?;
    let at = |row: &Observation| fit.predict("", &row.point());
    let predicted: Vec<f64> = test.rows().iter().map(at).collect::<Result<_, _>>()?;
    let observed: Vec<f64> = test.rows().iter().map(|r| r.value).collect();
    let name = format!("RegMix {target}: exponential law from 1M, Spearman at 1B");
    Ok(Claim::at_least(name, Kind::RealData, 0.98, spearman(&predicted, &observed)))
}

/// The five runs that the authors fit: four sizes at 20 tokens a parameter and the smallest at
/// 320.
fn gadre_fit_runs(data: &Observations) -> Observations {
    let sizes = [10_569_312.0, 78_914_048.0, 153_677_376.0, 411_616_256.0];
    data.filter(|row| {
        let size = row.parameters.unwrap_or(0.0);
        let ratio = (seen(row) / size).round();
        sizes.contains(&size) && (ratio == 20.0 || ratio == 320.0 && size == sizes[0])
    })
}

fn gadre_claims(data: &Observations) -> Result<Vec<Claim>> {
    let mut all = Vec::new();
    for (group, published) in
        [("c4_original", [113.69, 189.5, -0.2425, 1.508]), ("rpj", [166.2, 366.7, -0.2729, 1.837])]
    {
        let fit = FitParams::new(OverTraining)
            .fit(&gadre_fit_runs(&in_group(data, group)), &NoProgress)?;
        let found = OverTraining::as_coded(fit.theta().try_into()?);
        for ((name, ours), theirs) in ["alpha", "beta", "b", "E"].iter().zip(found).zip(published) {
            let name = format!("over-training, {group}: {name} of the five-run fit");
            let tolerance = 1e-3 * f64::abs(theirs);
            all.push(Claim::within(name, Kind::RealData, theirs, ours, tolerance));
        }
    }
    Ok(all)
}

/// The fit of the mixture case: up to 310M parameters, Huber cost of the loss. Two model
/// sizes cannot tell `E`, `A` and `alpha` apart, so `alpha` has the prior of another study of the
/// same source and the same validation set: the over-training fit on RedPajama.
pub(super) fn dmsl_params(domains: usize, size_exponent: f64) -> FitParams<AdditiveMixing> {
    FitParams::new(AdditiveMixing { domains })
        .loss(Loss::Huber { delta: 1e-2 })
        .prior("alpha", size_exponent, 0.1)
        .noise(0.01)
        .starts(8)
}

fn dmsl_claim(data: &Observations, size_exponent: f64) -> Result<Claim> {
    let size = |row: &Observation| row.parameters.unwrap_or(f64::NAN);
    let params = dmsl_params(data.domains().len(), size_exponent);
    let fit = params.fit(&data.filter(|r| size(r) < 4e8), &NoProgress)?;
    let held = data.filter(|r| size(r) > 6e8);
    let mut sum = 0.0;
    for row in held.rows() {
        sum += (fit.predict(&row.pool, &row.point())? / row.value - 1.0).abs();
    }
    let percent = 100.0 * sum / held.rows().len() as f64;
    let name = "additive mixture, prior on alpha from RedPajama: fit up to 310M, mean error on C4 \
                from 680M (%)";
    Ok(Claim::at_most(name, Kind::RealDataAfterLook, 1.5, percent))
}
