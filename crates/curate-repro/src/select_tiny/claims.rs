//! What the paper says, and what has to be measured for it to hold here. Fixed before the first run.

use anyhow::{Context, Result};
use curate_select::spearman;

use super::{
    strategies::Strategy,
    summary::{Correlation, PROPERTIES, Summary},
};
use crate::{Claim, Kind, OutOfReach, tiny::low};

/// Rank correlations of the properties with the three accuracies, and of base and transfer accuracy.
pub(super) fn correlations(strategies: &[Summary]) -> Result<(Vec<Correlation>, Option<f64>)> {
    let each = |of: &dyn Fn(&Summary) -> f64| strategies.iter().map(of).collect::<Vec<f64>>();
    let utilities = [each(&|s| s.base.mean), each(&|s| s.shifted.mean), each(&|s| s.transfer.mean)];
    let mut rows = Vec::new();
    for (at, (name, _)) in PROPERTIES.iter().enumerate() {
        let property = each(&|summary| summary.properties[at]);
        let mut row = [None; 3];
        for (found, utility) in row.iter_mut().zip(&utilities) {
            *found = spearman(&property, utility)?;
        }
        rows.push((*name, row));
    }
    Ok((rows, spearman(&utilities[0], &utilities[2])?))
}

/// A property ranks the strategies where it does so for all three accuracies: its weakest correlation.
fn weakest(row: &[Option<f64>; 3]) -> f64 {
    row.iter().map(|found| found.map_or(0.0, f64::abs)).fold(1.0, f64::min)
}

pub(super) fn claims(
    strategies: &[Summary],
    correlations: &[Correlation],
    base_and_transfer: Option<f64>,
) -> Result<Vec<Claim>> {
    let of = |strategy| {
        let found = strategies.iter().find(|summary| summary.strategy == strategy);
        found.context("a strategy was not run")
    };
    let others = || strategies.iter().filter(|summary| summary.strategy != Strategy::Expert);
    let settled = others().map(|s| low(&s.base_difference)).fold(f64::NEG_INFINITY, f64::max);
    let lead = others().map(|s| s.shifted_difference.mean.max(s.transfer_difference.mean));
    let lead = lead.fold(f64::NEG_INFINITY, f64::max);
    let behind = |strategy| Ok::<f64, anyhow::Error>(-of(strategy)?.base_difference.mean);
    let worst = strategies.last().map(|summary| summary.strategy);
    let strongest = correlations.iter().map(|(_, row)| weakest(row)).fold(0.0, f64::max);
    let kind = Kind::ScaledDown;
    Ok(vec![
        Claim::at_most(
            "no strategy beats expert labels on base accuracy: largest lower end of a 95 % interval of the difference",
            kind, 0.0, settled,
        )
        .quoting("\"the curation strategy used to assemble the original ImageNet-1K dataset remains the gold standard\" (abstract)"),
        Claim::at_least("the long tail loses on base accuracy", kind, 0.03, behind(Strategy::LongTail)?)
            .quoting("class-mean accuracy on ImageNet .422 (OI1000, 64 effective classes) against .780"),
        Claim::at_least("looked-up labels lose on base accuracy", kind, 0.02, behind(Strategy::Lookup)?)
            .quoting("the same, .596 (LA1000 i2i) against .780"),
        Claim::at_least(
            "generated pictures are the worst on base accuracy (1: yes)",
            kind, 1.0, f64::from(u8::from(worst == Some(Strategy::Generated))),
        )
        .quoting("the same, .252 and .238 (SD1000), the two lowest of six"),
        Claim::at_least("some other strategy keeps up on shifted pictures or in transfer: its lead", kind, -0.005, lead)
            .quoting("generated and looked-up sets \"are highly competitive for certain tasks\" (abstract)"),
        Claim::at_most(
            "base accuracy does not rank transfer: rank correlation",
            kind, 0.9, base_and_transfer.unwrap_or(0.0),
        )
        .quoting("0.54 over the six sets of the tables in the repository"),
        Claim::at_most(
            "no property ranks the strategies by all of base, shifted and transfer accuracy: weakest rank correlation of the best",
            kind, 0.9, strongest,
        )
        .quoting("its tables: the most imbalanced set transfers best and loses 36 points on base accuracy"),
    ])
}

pub(super) fn out_of_reach() -> Vec<OutOfReach> {
    let one = |quoted: &str, why: &str| OutOfReach { quoted: quoted.into(), why: why.into() };
    vec![
        one(
            "OI1000, the most imbalanced set, transfers best (.485 against .453)",
            "it holds other pictures than ImageNet; a long tail of the same pictures cannot show it",
        ),
        one(
            "ResNet-50 from pixels for 50 to 600 epochs on 1.2 million pictures, eleven transfer sets, OOD sets of photographs",
            "weeks of GPUs, and the sets are not here; the corruptions stand for shifted tests, handwritten digits for transfer",
        ),
        one(
            "CLIP score, CLIP-IQA and Inception Score of the six sets",
            "they need the pictures and networks trained on photographs",
        ),
        one(
            "properties to 1e-9 from the class counts",
            "the tables of counts are not at hand, only digests of them; these are held against each other by tests",
        ),
    ]
}
