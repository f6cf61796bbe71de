//! Distillation on pruned data, in a form that takes seconds.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use curate_core::{SampleId, random};
use curate_repro::kd_pruning::{Pictures, Protocol, Pruning, claims, measure, theory};
use ndarray::Array2;

/// Three clouds, a row each in turn.
fn clouds(seed: &str, rows: usize) -> (Array2<f32>, Vec<usize>) {
    let seed = random::derive(7, seed);
    let features = Array2::from_shape_fn((rows, 6), |(row, column)| {
        let noise = random::unit(seed, SampleId((row * 6 + column) as u128)) as f32 - 0.5;
        f32::from(u8::from(row % 3 == column % 3)) + 1.5 * noise
    });
    (features, (0..rows).map(|row| row % 3).collect())
}

#[test]
fn hard_rows_with_wrong_labels_need_the_teacher() {
    let protocol = Protocol {
        pool: 600,
        chosen_on: 90,
        student: 16,
        teachers: vec![16, 4],
        wrong: vec![0.0, 0.3],
        shares: vec![0.2, 1.0],
        only_random: vec![1.0],
        alphas: vec![0.0, 1.0],
        temperature: 2.0,
        steps: 250,
        batch: 32,
        scorers: 1,
        seeds: 2,
    };
    let ((pixels, class), (test, test_class)) = (clouds("pool", 690), clouds("test", 300));
    let pictures = Pictures { pixels, class, test, test_class, classes: 3 };
    let cells = measure(&pictures, &protocol).unwrap();
    // Of each share of wrong labels four kinds of selections, and random ones of the small teacher.
    assert_eq!(cells.len(), 2 * 4 * 2 + 2 * 2);
    assert!(cells.iter().all(|cell| cell.test.len() == 2 && cell.chosen_on.len() == 2));
    let accuracy = |pruning: Pruning, alpha: f32| {
        let cell = cells.iter().find(|cell| {
            cell.pruning == pruning && cell.wrong > 0.0 && cell.share < 0.5 && cell.alpha == alpha
        });
        cell.unwrap().test.iter().sum::<f64>() / 2.0
    };
    let (labels, taught) = (accuracy(Pruning::El2n, 0.0), accuracy(Pruning::El2n, 1.0));
    assert!(taught > labels + 0.2, "{labels} {taught}");
    assert!(accuracy(Pruning::Random, 0.0) > labels, "hard rows mislead");
    let again = measure(&pictures, &protocol).unwrap();
    assert_eq!(cells, again, "the same bytes on any thread");
    // Sizes of the full protocol are not there, so their claims are not met.
    assert!(claims(&cells).iter().any(|claim| !claim.passed));
}

#[test]
fn the_theory_holds_exactly() {
    let claims = theory().unwrap().claims();
    assert_eq!(claims.len(), 2);
    assert!(claims.iter().all(|claim| claim.passed), "{claims:#?}");
}
