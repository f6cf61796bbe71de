//! Scores and ids of every type against what DataComp's rule keeps of them, by pandas and numpy.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{fs, path::Path};

use curate_baselines::{Arch, BaselineName, BaselineParams, MetadataShard};
use curate_core::{NoProgress, SampleId};

#[derive(serde::Deserialize)]
struct Case {
    folder: String,
    fraction: Option<f64>,
    threshold: Option<f64>,
    kept: Vec<String>,
}

impl Case {
    fn params(&self) -> BaselineParams {
        let params = BaselineParams::new(BaselineName::ClipScore).arch(Arch::L14);
        match (self.fraction, self.threshold) {
            (Some(fraction), _) => params.fraction(fraction),
            (_, threshold) => params.threshold(threshold.unwrap()),
        }
    }
}

#[test]
fn scores_and_ids_of_every_type_keep_the_rows_that_datacomps_rule_keeps() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/scores");
    let cases = fs::read_to_string(data.join("expected.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&cases).unwrap();
    assert!(cases.len() > 90);
    for case in &cases {
        let Case { folder, fraction, threshold, .. } = case;
        let asked = format!("{folder}: fraction {fraction:?}, threshold {threshold:?}");
        let expected: Vec<SampleId> = case.kept.iter().map(|id| id.parse().unwrap()).collect();
        let baseline = case.params().check().unwrap();
        let found = baseline.subset(&data.join(folder), &NoProgress).unwrap();
        assert_eq!(found.ids, expected, "{asked}");
        assert_eq!(found.rows, found.ids.len() + found.dropped.values().sum::<usize>(), "{asked}");
        // Row by row, by the other door.
        let tables: Vec<MetadataShard> = fs::read_dir(data.join(folder).join("metadata"))
            .unwrap()
            .map(|file| MetadataShard::open(&file.unwrap().path()).unwrap())
            .collect();
        let verdicts = baseline.run(&tables, &NoProgress).unwrap();
        assert_eq!(verdicts.kept().len(), expected.len(), "{asked}");
    }
}
