//! DataComp's baselines as stages of a recipe.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use common::{go, kept};
use curate_core::{NoProgress, SampleId, fault::Fault};
use curate_io::{Pool, PoolOptions, subset, table::Reader};
use curate_pipeline::{Error, Recipe, RunOptions, run};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/datacomp_mini").join(name)
}

fn wordnet() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../curate-text/tests/data/wordnet")
}

/// A recipe of one baseline over the fixture.
fn recipe(settings: &str) -> Recipe {
    let text =
        format!("[pool]\npath = {:?}\n[[stage]]\nkind = \"baseline\"\n{settings}", fixture(""));
    Recipe::parse(&text).unwrap()
}

/// The ids that DataComp's code keeps, each once, without those that a recipe judges in another way:
/// the one that the fixture repeats, since DataComp judges each of its rows and a recipe's pool has only
/// the first, and rows of no caption, which a recipe sets aside before any stage.
fn expected(file: &str) -> Vec<SampleId> {
    let path = fixture("expected").join(file);
    let ids: BTreeSet<SampleId> = subset::read(&path).unwrap().into_iter().collect();
    without_faults(ids)
}

fn without_faults(ids: impl IntoIterator<Item = SampleId>) -> Vec<SampleId> {
    let pool = Pool::open(&fixture(""), PoolOptions::default(), &NoProgress).unwrap();
    let of = |fault| pool.faults().iter().filter(|(_, f)| *f == fault).count();
    assert_eq!((of(Fault::DuplicateId), of(Fault::CaptionMissing)), (1, 9));
    let faulty: BTreeSet<SampleId> =
        pool.faults().iter().map(|&(row, _)| pool.ids()[row]).collect();
    ids.into_iter().filter(|id| !faulty.contains(id)).collect()
}

/// The ids that a run kept, without those.
fn kept_once(folder: &Path) -> Vec<SampleId> {
    without_faults(kept(folder))
}

#[test]
fn stages_keep_what_datacomps_code_keeps_and_say_why_the_rest_went() {
    let model = format!("language-model = {:?}\n", fixture("lid/hs.ftz"));
    let entities = format!(
        "{model}wordnet = {:?}\nentity-ids = {:?}\nmorphy = \"repeated\"\n",
        wordnet(),
        fixture("imagenet21k_wordnet_ids.txt")
    );
    let pictures = format!(
        "{model}centroids = {:?}\ntarget-features = {:?}\n",
        fixture("centroids_l14.npy"),
        fixture("imagenet_l14.npy")
    );
    let cases = [
        ("no_filter", String::new(), "no_filter.npy"),
        ("clip_score", "arch = \"b32\"\nthreshold = 0.25\n".into(), "clip_score_b32_thr025.npy"),
        ("clip_score", "arch = \"l14\"\nfraction = 0.3\n".into(), "clip_score_l14_frac03.npy"),
        ("basic_filter", model, "basic_filter.npy"),
        ("text_based", entities, "text_based.npy"),
        ("image_based", pictures.clone(), "image_based.npy"),
        (
            "image_based_intersect_clip_score",
            format!("{pictures}arch = \"l14\"\nfraction = 0.3\n"),
            "image_based_intersect_l14_frac03.npy",
        ),
    ];
    for (rule, settings, file) in cases {
        let out = tempfile::tempdir().unwrap();
        let summary = go(&recipe(&format!("rule = \"{rule}\"\n{settings}")), out.path()).unwrap();
        assert_eq!(kept_once(out.path()), expected(file), "{file}");
        let evidence = out.path().join("evidence.parquet");
        let evidence = Reader::open(&evidence).unwrap();
        let reasons: BTreeSet<Option<u64>> = evidence.u64("row").unwrap().into_iter().collect();
        assert_eq!(reasons.len(), summary.rows - summary.kept, "{rule}: each row has its reason");
        let record = &summary.stages[0];
        assert_eq!(record.rows_in - record.rows_out, record.removed.values().sum::<usize>());
        assert_eq!(record.kind, "baseline");
    }
}

#[test]
fn evidence_has_the_number_that_decided() {
    let out = tempfile::tempdir().unwrap();
    go(&recipe("rule = \"basic_filter\""), out.path()).unwrap();
    let path = out.path().join("evidence.parquet");
    let evidence = Reader::open(&path).unwrap();
    let rules = evidence.text("rule", None).unwrap();
    let (values, limits) = (evidence.f64("value").unwrap(), evidence.f64("threshold").unwrap());
    let mut seen: BTreeMap<String, f64> = BTreeMap::new();
    for ((rule, value), limit) in rules.into_iter().zip(values).zip(limits) {
        let rule = rule.unwrap();
        match rule.as_str() {
            "few-words" => assert!(value < limit && limit == 3.0),
            "small-image" => assert!(value < limit && limit == 200.0 || value.is_nan()),
            "long-image" => assert!(value > limit && limit == 3.0),
            "not-english" | "duplicate-id" | "caption-missing" => assert!(value.is_nan()),
            "few-characters" => assert!(value < limit && limit == 6.0),
            other => panic!("{other}"),
        }
        seen.insert(rule, limit);
    }
    assert!(["few-words", "small-image", "long-image"].iter().all(|rule| seen.contains_key(*rule)));
    let record = fs::read_to_string(out.path().join("stages/01-baseline/stage.json")).unwrap();
    assert!(record.contains("\"language\": \"built-in\""), "{record}");
    let report = fs::read_to_string(out.path().join("report.html")).unwrap();
    assert!(report.contains("languages were named by the built-in identifier"));
}

#[test]
fn pictures_have_their_cluster_and_missing_scores_are_faults() {
    let out = tempfile::tempdir().unwrap();
    let settings = format!(
        "rule = \"image_based_intersect_clip_score\"\narch = \"l14\"\nthreshold = 0.2\n\
         language-model = {:?}\ncentroids = {:?}\ntarget-features = {:?}\n",
        fixture("lid/softmax.bin"),
        fixture("centroids_l14.npy"),
        fixture("imagenet_l14.npy")
    );
    let summary = go(&recipe(&settings), out.path()).unwrap();
    assert!(summary.stages[0].removed["score-missing"] > 0);
    let path = out.path().join("evidence.parquet");
    let evidence = Reader::open(&path).unwrap();
    let clusters = evidence.u64("cluster").unwrap();
    for (rule, cluster) in evidence.text("rule", None).unwrap().into_iter().zip(clusters) {
        assert_eq!(cluster.is_some(), rule.as_deref() == Some("other-cluster"));
    }
}

#[test]
fn a_fraction_after_another_stage_counts_that_stages_rows() {
    let score = "clip_l14_similarity_score";
    let before = format!(
        "[pool]\npath = {:?}\n[[stage]]\nkind = \"score\"\ncolumn = \"{score}\"\n\
         [[stage]]\nkind = \"top\"\ncount = 100\n[[stage]]\nkind = \"baseline\"\n\
         rule = \"clip_score\"\narch = \"l14\"\nfraction = 0.5\n",
        fixture("")
    );
    let out = tempfile::tempdir().unwrap();
    let summary = go(&Recipe::parse(&before).unwrap(), out.path()).unwrap();
    let record = &summary.stages[2];
    // Place 50 from the top, counted from 0, and its ties.
    assert!(record.rows_in == 100 && (51..60).contains(&record.rows_out), "{record:?}");
}

#[test]
fn other_layouts_have_the_same_rules() {
    let pool = tempfile::tempdir().unwrap();
    let rows = [
        (300, 300, "a black cat on the roof"),
        (100, 300, "a black cat on the roof"),
        (300, 300, "un chat noir sur le toit"),
        (300, 1000, "a black cat on the roof"),
        (300, 300, "cat"),
    ];
    let line = |(i, (w, h, text)): (usize, &(u32, u32, &str))| {
        format!(
            "{{\"uid\": \"{i:x}\", \"text\": {text:?}, \"original_width\": {w}, \"original_height\": {h}, \
             \"clip_b32_similarity_score\": 0.{i}}}\n"
        )
    };
    let lines: String = rows.iter().enumerate().map(line).collect();
    fs::write(pool.path().join("a.jsonl"), lines).unwrap();
    let recipe = |stage: &str| {
        let text =
            format!("[pool]\npath = {:?}\n[[stage]]\nkind = \"baseline\"\n{stage}", pool.path());
        Recipe::parse(&text).unwrap()
    };
    let out = tempfile::tempdir().unwrap();
    let summary = go(&recipe("rule = \"basic_filter\""), out.path()).unwrap();
    assert_eq!(kept(out.path()), [SampleId(0)]);
    let removed = &summary.stages[0].removed;
    let expected = [("few-words", 1), ("long-image", 1), ("not-english", 1), ("small-image", 1)];
    assert_eq!(*removed, expected.map(|(rule, n)| (rule.to_owned(), n)).into());
    let out = tempfile::tempdir().unwrap();
    go(&recipe("rule = \"clip_score\"\narch = \"b32\"\nfraction = 0.4"), out.path()).unwrap();
    assert_eq!(kept(out.path()), [2, 3, 4].map(SampleId));
}

#[test]
fn settings_that_do_not_fit_are_named_before_anything_is_read() {
    let problems = |stage: &str| {
        let text = format!("[pool]\npath = \"p\"\n[[stage]]\nkind = \"baseline\"\n{stage}");
        Recipe::parse(&text).unwrap_err().join("\n")
    };
    let label = "stage 1 (`baseline` named `baseline`): ";
    assert!(
        problems("rule = \"clip_score\"")
            .contains(&format!("{label}clip_score: `arch` is left out"))
    );
    assert!(
        problems("rule = \"no_filter\"\nfraction = 0.3")
            .contains("no_filter: `fraction` is 0.3, but must be left out")
    );
    let both = "rule = \"clip_score\"\narch = \"b32\"\nfraction = 0.3\nthreshold = 0.2";
    assert!(
        problems(both)
            .contains("`threshold` is 0.2, but must be left out where `fraction` is given")
    );
    assert!(
        problems("rule = \"clip_score\"\narch = \"b32\"\nfraction = 1.0")
            .contains("no_filter keeps all")
    );
    assert!(
        problems("rule = \"clip\"").contains("unknown variant `clip`, expected one of `no_filter`")
    );
    assert!(problems("ruel = \"no_filter\"").contains("unknown field `ruel`"));

    let out = tempfile::tempdir().unwrap();
    let missing = recipe("rule = \"basic_filter\"\nlanguage-model = \"/nowhere/lid.bin\"");
    let error = go(&missing, out.path()).unwrap_err().to_string();
    assert!(error.contains("/nowhere/lid.bin: does not exist"), "{error}");
    let wrong =
        recipe(&format!("rule = \"basic_filter\"\nlanguage-model = {:?}", fixture("README.md")));
    let error = go(&wrong, out.path()).unwrap_err().to_string();
    assert!(error.contains("stage `baseline`: ") && error.contains("README.md"), "{error}");
}

#[test]
fn a_changed_model_is_another_stage_and_relative_paths_start_at_the_recipe() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("lid.ftz");
    fs::copy(fixture("lid/hs.ftz"), &model).unwrap();
    let text = format!(
        "[pool]\npath = {:?}\n[[stage]]\nkind = \"baseline\"\nrule = \"basic_filter\"\n\
         language-model = \"lid.ftz\"\n",
        fixture("")
    );
    let path = folder.path().join("recipe.toml");
    fs::write(&path, text).unwrap();
    let (recipe, out) = (Recipe::read(&path).unwrap(), folder.path().join("out"));
    go(&recipe, &out).unwrap();
    assert_eq!(go(&recipe, &out).unwrap().reused, ["baseline"]);
    fs::copy(fixture("lid/softmax.bin"), &model).unwrap();
    assert!(matches!(go(&recipe, &out).unwrap_err(), Error::Conflict { .. }));
    let overwrite = RunOptions { overwrite: true };
    run(&recipe, &out, overwrite, &NoProgress).unwrap();
    assert_eq!(kept_once(&out), expected("basic_filter.npy"));
}
