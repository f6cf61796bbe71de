//! Metrics equal those of scikit-learn and numpy (`fixtures/eval/make.py`).

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use curate_eval::{
    LogisticParams,
    metrics::{
        Accuracy, Neighbors, class_embeddings, knn_scores, ranks, ranks_of_scores, recall_at,
    },
};
use ndarray::ArrayView2;
use serde_json::Value;

struct Golden(Value);

impl Golden {
    fn read() -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/eval");
        Self(serde_json::from_slice(&std::fs::read(folder.join("metrics.json")).unwrap()).unwrap())
    }

    fn at(&self, path: &str) -> &Value {
        self.0.pointer(path).unwrap()
    }

    fn floats(&self, path: &str) -> Vec<f64> {
        self.at(path).as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    }

    fn singles(&self, path: &str) -> Vec<f32> {
        self.floats(path).into_iter().map(|x| x as f32).collect()
    }

    fn whole(&self, path: &str) -> Vec<usize> {
        self.floats(path).into_iter().map(|x| x as usize).collect()
    }

    fn number(&self, path: &str) -> usize {
        self.at(path).as_u64().unwrap() as usize
    }

    /// Shares of a few dozen rows: equal but for the last bit of a division.
    fn same_accuracy(&self, path: &str, ranks: &[usize], own: &[usize]) {
        let found = Accuracy::of(ranks, own).unwrap().unwrap();
        let golden: Accuracy = serde_json::from_value(self.at(path).clone()).unwrap();
        assert_eq!(found.worst_class, golden.worst_class, "{path}");
        for (found, golden) in [
            (found.top_1, golden.top_1),
            (found.top_5, golden.top_5),
            (found.mean_per_class, golden.mean_per_class),
            (found.worst, golden.worst),
        ] {
            assert!((found - golden).abs() < 1e-12, "{path}: {found} {golden}");
        }
    }
}

#[test]
fn zero_shot_equals_scikit_learn() {
    let golden = Golden::read();
    let (dim, classes) = (golden.number("/dim"), golden.number("/classes"));
    let prompts = golden.singles("/prompts");
    let names = class_embeddings(&prompts, &golden.whole("/prompt_class"), classes, dim).unwrap();
    let own = golden.whole("/test_class");
    let ranks = ranks(&golden.singles("/test"), &names, &own, dim).unwrap();
    golden.same_accuracy("/zero_shot", &ranks, &own);
}

#[test]
fn retrieval_equals_numpy() {
    let golden = Golden::read();
    let dim = golden.number("/dim");
    let (images, texts) = (golden.singles("/test"), golden.singles("/captions"));
    let own: Vec<usize> = (0..images.len() / dim).collect();
    for (way, queries, candidates) in
        [("image_to_text", &images, &texts), ("text_to_image", &texts, &images)]
    {
        let ranks = ranks(queries, candidates, &own, dim).unwrap();
        let found: Vec<f64> = [1, 5, 10].map(|k| recall_at(&ranks, k).unwrap()).to_vec();
        assert_eq!(found, golden.floats(&format!("/recall/{way}")), "{way}");
    }
}

#[test]
fn the_linear_probe_equals_scikit_learn() {
    let golden = Golden::read();
    let (dim, classes) = (golden.number("/dim"), golden.number("/classes"));
    let (bank, test) = (golden.singles("/bank"), golden.singles("/test"));
    let table = |rows| ArrayView2::from_shape((<[f32]>::len(rows) / dim, dim), rows).unwrap();
    let c = golden.at("/probe/C").as_f64().unwrap();
    let regression = LogisticParams::new().inverse_penalty(c).tolerance(1e-9).check().unwrap();
    let class = golden.whole("/bank_class");
    let fit = regression.fit(table(&bank), &class, classes).unwrap();
    assert!(fit.converged, "after {} steps", fit.steps);
    let far = |found: &mut dyn Iterator<Item = &f64>, path| {
        found.zip(golden.floats(path)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    assert!(far(&mut fit.coefficients.iter(), "/probe/coefficients") < 1e-5);
    assert!(far(&mut fit.bias.iter(), "/probe/bias") < 1e-5);
    let own = golden.whole("/test_class");
    let ranks = ranks_of_scores(&fit.scores(table(&test)).unwrap(), &own, classes).unwrap();
    golden.same_accuracy("/probe/accuracy", &ranks, &own);
}

#[test]
fn neighbors_vote_as_in_scikit_learn() {
    let golden = Golden::read();
    let (dim, classes) = (golden.number("/dim"), golden.number("/classes"));
    let vote = Neighbors { k: golden.number("/knn/k"), temperature: 0.07 };
    let (test, bank) = (golden.singles("/test"), golden.singles("/bank"));
    let class = golden.whole("/bank_class");
    let scores = knn_scores(&test, &bank, &class, classes, dim, vote).unwrap();
    for (found, golden) in scores.iter().zip(golden.floats("/knn/shares")) {
        assert!((f64::from(*found) - golden).abs() < 1e-5, "{found} {golden}");
    }
    let own = golden.whole("/test_class");
    let ranks = ranks_of_scores(&scores, &own, classes).unwrap();
    golden.same_accuracy("/knn/accuracy", &ranks, &own);
}
