//! Scores of embeddings against arrays that the published formulas gave.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::bytes;
use curate_core::{NoProgress, SampleId};
use curate_dfn::filter::align::{NegClipLossParams, Norm, cosines, neg_clip_loss, norm_sim};
use ndarray::Array2;
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_slice(&bytes("negcliploss_normsim_vas.json")).unwrap()
}

fn array(value: &Value) -> Array2<f32> {
    let rows = value.as_array().unwrap();
    let numbers = rows.iter().flat_map(|row| row.as_array().unwrap());
    let flat: Vec<f32> = numbers.map(|x| x.as_f64().unwrap() as f32).collect();
    Array2::from_shape_vec((rows.len(), flat.len() / rows.len()), flat).unwrap()
}

fn list(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

fn ids(n: usize) -> Vec<SampleId> {
    (0..n as u128).map(SampleId).collect()
}

#[test]
fn scores_of_embeddings_are_those_of_the_published_formulas() {
    let golden = golden();
    let (images, texts) = (array(&golden["img"]), array(&golden["txt"]));
    let target: Vec<f32> = array(&golden["target"]).iter().copied().collect();
    let found = cosines(&images.view(), &texts.view(), &NoProgress).unwrap();
    assert!(common::distance(&found, &list(&golden["clipscore"])) < 1e-6);
    for (temperature, name) in [(0.05, "0.05"), (0.07, "0.07")] {
        let params =
            NegClipLossParams { temperature, partitions: 1, ..NegClipLossParams::default() };
        let found =
            neg_clip_loss(&images.view(), &texts.view(), &ids(48), &params, &NoProgress).unwrap();
        assert!(common::distance(&found, &list(&golden["negcliploss_fullbatch"][name])) < 1e-6);
    }
    for (norm, name) in [(Norm::Infinity, "normsim_inf"), (Norm::Two, "normsim_2")] {
        let found = norm_sim(&images.view(), &target, norm, &NoProgress).unwrap();
        assert!(common::distance(&found, &list(&golden[name])) < 1e-6, "{name}");
    }
}

#[test]
fn neg_clip_loss_depends_on_ids_and_not_on_order_and_survives_duplicates_and_nan() {
    let golden = golden();
    let (images, texts) = (array(&golden["img"]), array(&golden["txt"]));
    let params = NegClipLossParams { temperature: 0.07, batch: 13, partitions: 3, seed: 1 };
    let score = |i: &Array2<f32>, t: &Array2<f32>, ids: &[SampleId]| {
        neg_clip_loss(&i.view(), &t.view(), ids, &params, &NoProgress).unwrap()
    };
    let plain = score(&images, &texts, &ids(48));
    let order: Vec<usize> = (0..48).rev().collect();
    let (ri, rt) =
        (images.select(ndarray::Axis(0), &order), texts.select(ndarray::Axis(0), &order));
    let reversed_ids: Vec<SampleId> = order.iter().map(|&i| SampleId(i as u128)).collect();
    let mut reversed = score(&ri, &rt, &reversed_ids);
    reversed.reverse();
    assert!(common::distance(&reversed, &plain) < 1e-6);
    // Equal pairs at a small temperature: exp(1 / 0.01) is no f32.
    let same = Array2::from_shape_fn((6, 4), |(_, c)| if c == 0 { 1.0 } else { 0.0 });
    let cold = NegClipLossParams { temperature: 0.01, ..params };
    let found = neg_clip_loss(&same.view(), &same.view(), &ids(6), &cold, &NoProgress).unwrap();
    assert!(found.iter().all(|s| (s + 0.01 * 6.0_f32.ln()).abs() < 1e-6), "{found:?}");
    let mut spoiled = images.clone();
    spoiled[[5, 3]] = f32::NAN;
    let found = score(&spoiled, &texts, &ids(48));
    assert!(found[5].is_nan() && found.iter().filter(|s| s.is_nan()).count() == 1);
}
