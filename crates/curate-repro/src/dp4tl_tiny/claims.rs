//! What the paper says, and what has to be measured for it to hold here. Fixed before the first run.

use anyhow::{Context, Result};

use super::{Arm, PRUNED, Summary};
use crate::{Claim, Kind, OutOfReach};

pub(super) fn claims(arms: &[Summary]) -> Result<Vec<Claim>> {
    let mut all = mapping(arms, Arm::LabelMapping)?;
    all.extend(mapping(arms, Arm::FeatureMapping)?);
    let at_80 = |arm| of(arms, arm, 0.8);
    let harm = at_80(Arm::FeatureMapping)?.accuracy.mean - at_80(Arm::Worst)?.accuracy.mean;
    let name = "the classes with the fewest votes harm: feature mapping's lead at 80 % pruned";
    let harms = Claim::at_least(name, Kind::ScaledDown, 0.01, harm);
    all.push(harms.quoting("the reversed order as a control"));
    let speed = 1.0 / at_80(Arm::FeatureMapping)?.rows;
    let name = "times fewer pictures to train on at 80 % pruned by feature mapping";
    let fewer = Claim::at_least(name, Kind::ScaledDown, 2.0, speed);
    all.push(fewer.quoting("\"2 ~ 5 times speed-up during the pretraining stage\" (abstract)"));
    Ok(all)
}

/// What is claimed of label mapping and of feature mapping.
fn mapping(arms: &[Summary], arm: Arm) -> Result<Vec<Claim>> {
    let mut loss = f64::INFINITY;
    for pruned in PRUNED {
        loss = loss.min(of(arms, arm, pruned)?.difference.mean);
    }
    let (name, kind) = (arm.in_words(), Kind::ScaledDown);
    let lossless =
        format!("{name} loses nothing at 40, 60 and 80 % pruned: worst difference from everything");
    let mut all = vec![Claim::at_least(lossless, kind, -0.01, loss).quoting(
        "\"source data classes can be pruned by up to 40 % ~ 80 % without sacrificing downstream performance\" (abstract)",
    )];
    for over in [Arm::Random, Arm::Moderate, Arm::GradientNorm] {
        let above = format!("{name} is above {}, mean of the three shares", over.in_words());
        let above = Claim::at_least(above, kind, 0.0, lead(arms, arm, over)?);
        all.push(above.quoting(
            "\"existing DP methods are not suitable for the transfer learning paradigm\" (abstract)",
        ));
    }
    Ok(all)
}

fn of(arms: &[Summary], arm: Arm, pruned: f64) -> Result<&Summary> {
    let found = arms.iter().find(|summary| summary.arm == arm && summary.pruned == pruned);
    found.context("a choice was not run")
}

/// By how much one choice is above another, the mean of all shares.
fn lead(arms: &[Summary], arm: Arm, over: Arm) -> Result<f64> {
    let mut sum = 0.0;
    for pruned in PRUNED {
        sum += of(arms, arm, pruned)?.accuracy.mean - of(arms, over, pruned)?.accuracy.mean;
    }
    Ok(sum / PRUNED.len() as f64)
}

pub(super) fn out_of_reach() -> Vec<OutOfReach> {
    let one = |quoted: &str, why: &str| OutOfReach { quoted: quoted.into(), why: why.into() };
    vec![
        one(
            "ImageNet's 1,000 classes pruned for eight targets, ResNet-101 and ViT after a ResNet-18",
            "days of GPUs, and the pictures are not here; clusters of clothes stand for classes",
        ),
        one(
            "the same with adversarial pre-training, and full fine-tuning",
            "the classifier of this workspace has neither; a linear probe judges",
        ),
        one(
            "pruning improves some targets, because harmful classes go",
            "a hint in single seeds is not evidence; the table has the differences with their intervals",
        ),
    ]
}
