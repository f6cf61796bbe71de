//! Distillation on pruned data (Ben-Baruch et al. 2024, arXiv 2403.07854), on a part of
//! Fashion-MNIST: does a teacher that saw everything help a student of a part, how much should the
//! student listen, and does it matter which part?
//!
//! What is measured, and the bar of every claim, stood here before the first full run.
//!
//! - Pool: the first 10,000 training pictures, each brought to 14 x 14 pixels by averaging. Alpha is
//!   chosen on the next 2,000, with labels as wrong as the pool's; students are tested on the 10,000
//!   test pictures, with right labels.
//! - Wrong labels: none, or 30 % of them, drawn anew for each seed among the other nine classes.
//! - Students: one hidden layer of 64, 400 steps of 128 samples whatever they are given, five seeds.
//!   The teacher of a seed is the same network trained the same way on all 10,000 pictures; for the
//!   claims on its size also layers of 16 and of 256.
//! - Prunings: random; the highest EL2N; the lowest margin. Scores are the mean of three networks
//!   after a fifth of their steps.
//! - Kept: 1, 3, 10, 30, 50 and 100 % (50 % only at random). Alpha: 0, 0.25, 0.5, 0.75 and 1, at a
//!   temperature of 4; the best is that of the highest mean accuracy over seeds where it is chosen.

mod claims;
mod students;
mod theory;

pub use claims::claims;
pub use students::{Cell, Pictures, Protocol, Pruning, measure};
pub use theory::{Theory, theory};

use crate::{OutOfReach, fashion, fashion::FashionMnist};
use anyhow::Result;
use serde_json::json;
use std::path::{Path, PathBuf};

/// The experiment's name.
const ID: &str = "kd-pruning";

/// Trains everything and writes `docs/results/kd_pruning.json` below `root`. Returns it.
///
/// # Errors
/// Missing pictures, a training that fails, and a file that cannot be written.
pub fn write_results(root: &Path) -> Result<PathBuf> {
    let data = FashionMnist::read(&fashion::folder())?;
    let protocol = Protocol::full();
    let pictures = Pictures::of(&data, &protocol);
    let cells = measure(&pictures, &protocol)?;
    let theory = theory()?;
    let claims = [claims(&cells), theory.claims()].concat();
    let report = json!({
        "protocol": protocol,
        "cells": cells,
        "theory": theory,
        "claims": claims,
        "out_of_reach": out_of_reach(),
    });
    crate::write(root, ID, &report)
}

fn out_of_reach() -> Vec<OutOfReach> {
    let other = |quoted: &str, why: &str| OutOfReach { quoted: quoted.into(), why: why.into() };
    vec![
        other(
            "CIFAR-10, CIFAR-100, SVHN and ImageNet with ResNets",
            "they take days of a GPU; the claims are looked for with small networks on Fashion-MNIST",
        ),
        other(
            "forgetting, GraNd and DeepCore's other scores",
            "two scores of hard rows stand for them here; `curate distill --write-scores` also has \
             forgetting",
        ),
    ]
}
