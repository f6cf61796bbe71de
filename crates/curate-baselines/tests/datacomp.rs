//! Every baseline against the subset files that DataComp's own code wrote.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use curate_baselines::{
    Arch, Baseline, BaselineError, Concepts, Inputs, Kept, MorphyRule, Name, ScoreCut, Settings,
    run,
};
use curate_core::NoProgress;
use curate_io::{
    subset::{self, SubsetFormat},
    table::{self, Column},
};
use curate_text::{
    language::{Guess, LanguageId},
    rules::EntityIds,
    wordnet::{Morphy, WordNet},
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/datacomp_mini").join(name)
}

/// The lines of WordNet 3.0 that the fixture's words need.
fn wordnet() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../curate-text/tests/data/wordnet")
}

/// The answers that the C++ fastText gave for the fixture's captions; the model itself is not
/// bundled. Its reader is compared with the C++ answers in `curate-text`.
struct Recorded(BTreeMap<String, String>);

impl Recorded {
    fn load() -> Self {
        let report = fs::read_to_string(fixture("expected/report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let labels = report["caption_lid"].as_object().unwrap();
        let label = |(text, label): (&String, &serde_json::Value)| {
            (text.clone(), label.as_str().unwrap().to_owned())
        };
        Self(labels.iter().map(label).collect())
    }
}

impl LanguageId for Recorded {
    fn identify(&self, text: &str) -> Option<Guess<'_>> {
        let language = self.0.get(text)?;
        Some(Guess { language, probability: None })
    }
}

/// The stand-in for gcld3 with which the fixture was made: ASCII is English.
struct Ascii;

impl LanguageId for Ascii {
    fn identify(&self, text: &str) -> Option<Guess<'_>> {
        Some(Guess { language: if text.is_ascii() { "en" } else { "xx" }, probability: None })
    }
}

fn kept(baseline: &Baseline, inputs: &Inputs<'_>) -> Kept {
    run(baseline, &fixture("metadata"), inputs, &NoProgress).unwrap()
}

/// The subset file's bytes.
fn bytes(kept: &Kept, format: SubsetFormat) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("subset");
    subset::write(&path, format, &kept.ids).unwrap();
    fs::read(path).unwrap()
}

fn assert_same_file(baseline: &Baseline, inputs: &Inputs<'_>, expected: &str) {
    let found = kept(baseline, inputs);
    let counted: usize = found.dropped.values().sum();
    assert_eq!(found.ids.len() + counted, found.rows, "every row has a fate");
    let expected_bytes = fs::read(fixture("expected").join(expected)).unwrap();
    assert!(bytes(&found, SubsetFormat::Npy) == expected_bytes, "{expected} differs: {found:?}");
}

#[test]
fn rules_without_languages_equal_datacomps_files() {
    let none = Inputs::default();
    assert_same_file(&Baseline::NoFilter, &none, "no_filter.npy");
    let threshold = ScoreCut::Threshold(0.25);
    let by_threshold = Baseline::ClipScore { arch: Arch::B32, cut: threshold };
    assert_same_file(&by_threshold, &none, "clip_score_b32_thr025.npy");
    let by_fraction = Baseline::ClipScore { arch: Arch::L14, cut: ScoreCut::Fraction(0.3) };
    assert_same_file(&by_fraction, &none, "clip_score_l14_frac03.npy");
    assert_eq!(kept(&by_fraction, &none).ids.len(), 93, "90 rows and the ties");
}

#[test]
fn rules_with_languages_equal_datacomps_files() {
    let language = Recorded::load();
    let inputs = Inputs { language: &language, ..Inputs::default() };
    assert_same_file(&Baseline::BasicFilter, &inputs, "basic_filter.npy");
    let memmap = fs::read(fixture("expected/basic_filter.memmap")).unwrap();
    assert!(bytes(&kept(&Baseline::BasicFilter, &inputs), SubsetFormat::Memmap) == memmap);
    let ascii = Inputs { language: &Ascii, ..Inputs::default() };
    assert_same_file(&Baseline::Laion2b, &ascii, "laion2b_stub_lid.npy");
}

#[test]
fn rules_on_pictures_equal_datacomps_files() {
    let language = Recorded::load();
    let concepts =
        Concepts::read(&fixture("centroids_l14.npy"), &fixture("imagenet_l14.npy")).unwrap();
    let inputs = Inputs { language: &language, concepts: Some(&concepts), entities: None };
    assert_same_file(&Baseline::ImageBased, &inputs, "image_based.npy");
    let both =
        Baseline::ImageBasedIntersectClipScore { arch: Arch::L14, cut: ScoreCut::Fraction(0.3) };
    assert_same_file(&both, &inputs, "image_based_intersect_l14_frac03.npy");
}

#[test]
fn rules_on_entities_equal_datacomps_file() {
    let entities = EntityIds::read(fixture("imagenet21k_wordnet_ids.txt")).unwrap();
    let language = Recorded::load();
    for morphy in [Morphy::OneStep, Morphy::Repeated] {
        let wordnet = WordNet::read(wordnet()).unwrap().with_morphy(morphy);
        let entities = Some((&wordnet, &entities));
        let inputs = Inputs { language: &language, entities, concepts: None };
        assert_same_file(&Baseline::TextBased, &inputs, "text_based.npy");
    }
}

/// From the model's file to the subset's: the models of `fixtures/datacomp_mini/lid` give the
/// language that lid.176 gives for every text of the fixture.
#[test]
fn from_files_alone_every_subset_equals_datacomps() {
    for model in ["softmax.bin", "softmax.ftz", "hs.bin", "hs.ftz"] {
        let settings = |name| Settings {
            language_model: Some(fixture("lid").join(model)),
            ..Settings::new(name)
        };
        let text = Settings {
            wordnet: Some(wordnet()),
            entity_ids: Some(fixture("imagenet21k_wordnet_ids.txt")),
            morphy: MorphyRule::Repeated,
            ..settings(Name::TextBased)
        };
        let pictures = Settings {
            centroids: Some(fixture("centroids_l14.npy")),
            target_features: Some(fixture("imagenet_l14.npy")),
            ..settings(Name::ImageBased)
        };
        for (settings, expected) in [
            (settings(Name::BasicFilter), "basic_filter.npy"),
            (text, "text_based.npy"),
            (pictures, "image_based.npy"),
        ] {
            let (baseline, loaded) = (settings.baseline().unwrap(), settings.read().unwrap());
            assert_same_file(&baseline, &loaded.inputs(), expected);
        }
    }
}

#[test]
fn threads_change_nothing() {
    let language = Recorded::load();
    let inputs = Inputs { language: &language, ..Inputs::default() };
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| kept(&Baseline::BasicFilter, &inputs))
    };
    let one = with(1);
    assert_eq!((&with(2), &with(7)), (&one, &one));
}

#[test]
fn a_random_subset_is_a_matter_of_ids() {
    let draw =
        |fraction, seed| kept(&Baseline::RandomSubset { fraction, seed }, &Inputs::default()).ids;
    assert_eq!(draw(0.5, 1), draw(0.5, 1));
    assert_ne!(draw(0.5, 1), draw(0.5, 2));
    assert!((100..200).contains(&draw(0.5, 1).len()));
    let (few, more) = (draw(0.3, 1), draw(0.6, 1));
    assert!(few.iter().all(|id| more.contains(id)), "a larger share holds the smaller one");
    assert_eq!((draw(0.0, 1).len(), draw(1.0, 1).len()), (0, 300));
}

#[test]
fn trouble_is_named() {
    let none = Inputs::default();
    let refused = |baseline: &Baseline, folder: &Path| {
        run(baseline, folder, &none, &NoProgress).unwrap_err().to_string()
    };
    let of = |cut| Baseline::ClipScore { arch: Arch::B32, cut };
    let metadata = fixture("metadata");
    assert!(refused(&of(ScoreCut::Fraction(1.0)), &metadata).contains("use no_filter"));
    assert!(refused(&of(ScoreCut::Threshold(f64::NAN)), &metadata).contains("no number"));
    assert!(refused(&Baseline::TextBased, &metadata).contains("WordNet"));
    assert!(refused(&Baseline::ImageBased, &metadata).contains("centroids"));
    let folder = tempfile::tempdir().unwrap();
    assert!(refused(&Baseline::NoFilter, folder.path()).contains("NAME.parquet"));
    let shard = folder.path().join("a.parquet");
    let write = |uids: &[&str]| {
        let uids = uids.iter().map(|uid| (*uid).to_owned()).collect();
        table::write(&shard, vec![("uid", Column::Text(uids))]).unwrap();
    };
    write(&["00ff"]);
    let error = refused(&of(ScoreCut::Threshold(0.3)), folder.path());
    assert!(error.contains("a.parquet") && error.contains("clip_b32_similarity_score"), "{error}");
    write(&["00ff", "no id"]);
    let error = refused(&Baseline::NoFilter, folder.path());
    assert!(error.contains("row 1: uid `no id`"), "{error}");
    let wrong = Concepts::read(&fixture("centroids_l14.npy"), &fixture("expected/no_filter.npy"));
    assert!(wrong.is_err());
}

#[test]
fn a_missing_caption_is_dropped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let columns = vec![
        ("uid", Column::Text(vec!["1".into(), "2".into(), "2".into()])),
        ("text", Column::OptText(vec![None, Some("a black cat".into()), Some("x".into())])),
        ("original_width", Column::U64(vec![300, 300, 300])),
        ("original_height", Column::U64(vec![300, 300, 300])),
    ];
    table::write(&folder.path().join("a.parquet"), columns).unwrap();
    let inputs = Inputs { language: &Ascii, ..Inputs::default() };
    let found = run(&Baseline::BasicFilter, folder.path(), &inputs, &NoProgress).unwrap();
    assert_eq!(found.ids, ["2".parse().unwrap()]);
    let dropped: Vec<(&str, usize)> = found.dropped.into_iter().collect();
    assert_eq!(dropped, [("few words", 1), ("no caption", 1)]);
}

#[test]
fn a_stop_is_no_failure_of_a_file() {
    struct Stop;
    impl curate_core::Progress for Stop {
        fn start(&self, _: &str, _: u64, _: &str) {}
        fn advance(&self, _: u64) {}
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    let stopped = run(&Baseline::NoFilter, &fixture("metadata"), &Inputs::default(), &Stop);
    assert!(stopped.unwrap_err().is_cancelled());
    let _: fn(&BaselineError) -> bool = BaselineError::is_cancelled;
}
