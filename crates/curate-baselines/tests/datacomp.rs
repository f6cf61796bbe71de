//! Every baseline against the subset files that DataComp's own code wrote.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use curate_baselines::{
    Arch, Baseline, BaselineError, BaselineName, BaselineParams, Concepts, DropReason, Inputs,
    MetadataShard, MorphyRule, Subset,
};
use curate_core::{Cut, NoProgress};
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

fn of(name: BaselineName) -> BaselineParams {
    BaselineParams::new(name)
}

fn clip_score(arch: Arch) -> BaselineParams {
    of(BaselineName::ClipScore).arch(arch)
}

fn kept(params: &BaselineParams, inputs: &Inputs<'_>) -> Subset {
    let baseline = params.clone().check().unwrap();
    baseline.subset_with(&fixture("metadata"), inputs, &NoProgress).unwrap()
}

/// The subset file's bytes.
fn bytes(kept: &Subset, format: SubsetFormat) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("subset");
    subset::write(&path, format, &kept.ids).unwrap();
    fs::read(path).unwrap()
}

fn assert_same_file(baseline: &BaselineParams, inputs: &Inputs<'_>, expected: &str) {
    let found = kept(baseline, inputs);
    let counted: usize = found.dropped.values().sum();
    assert_eq!(found.ids.len() + counted, found.rows, "every row has a fate");
    let expected_bytes = fs::read(fixture("expected").join(expected)).unwrap();
    assert!(bytes(&found, SubsetFormat::Npy) == expected_bytes, "{expected} differs: {found:?}");
}

#[test]
fn rules_without_languages_equal_datacomps_files() {
    let none = Inputs::default();
    assert_same_file(&of(BaselineName::NoFilter), &none, "no_filter.npy");
    let by_threshold = clip_score(Arch::B32).threshold(0.25);
    assert_same_file(&by_threshold, &none, "clip_score_b32_thr025.npy");
    let by_fraction = clip_score(Arch::L14).fraction(0.3);
    assert_same_file(&by_fraction, &none, "clip_score_l14_frac03.npy");
    assert_eq!(kept(&by_fraction, &none).ids.len(), 93, "90 rows and the ties");
}

#[test]
fn rules_with_languages_equal_datacomps_files() {
    let language = Recorded::load();
    let inputs = Inputs { language: &language, ..Inputs::default() };
    assert_same_file(&of(BaselineName::BasicFilter), &inputs, "basic_filter.npy");
    let memmap = fs::read(fixture("expected/basic_filter.memmap")).unwrap();
    assert!(bytes(&kept(&of(BaselineName::BasicFilter), &inputs), SubsetFormat::Memmap) == memmap);
    let ascii = Inputs { language: &Ascii, ..Inputs::default() };
    assert_same_file(&of(BaselineName::Laion2b), &ascii, "laion2b_stub_lid.npy");
}

#[test]
fn rules_on_pictures_equal_datacomps_files() {
    let language = Recorded::load();
    let concepts =
        Concepts::read(&fixture("centroids_l14.npy"), &fixture("imagenet_l14.npy")).unwrap();
    let inputs = Inputs { language: &language, concepts: Some(&concepts), ..Inputs::default() };
    assert_same_file(&of(BaselineName::ImageBased), &inputs, "image_based.npy");
    let both = of(BaselineName::ImageBasedIntersectClipScore).arch(Arch::L14).fraction(0.3);
    assert_same_file(&both, &inputs, "image_based_intersect_l14_frac03.npy");
}

#[test]
fn rules_on_entities_equal_datacomps_file() {
    let entities = EntityIds::read(fixture("imagenet21k_wordnet_ids.txt")).unwrap();
    let language = Recorded::load();
    for morphy in [Morphy::OneStep, Morphy::Repeated] {
        let wordnet = WordNet::read(wordnet()).unwrap().with_morphy(morphy);
        let (wordnet, entities) = (Some(&wordnet), Some(&entities));
        let inputs = Inputs { language: &language, wordnet, entities, concepts: None };
        assert_same_file(&of(BaselineName::TextBased), &inputs, "text_based.npy");
    }
}

/// From the model's file to the subset's: the models of `fixtures/datacomp_mini/lid` give the
/// language that lid.176 gives for every text of the fixture.
#[test]
fn from_files_alone_every_subset_equals_datacomps() {
    for model in ["softmax.bin", "softmax.ftz", "hs.bin", "hs.ftz"] {
        let language = |name| of(name).language_model(fixture("lid").join(model));
        let text = language(BaselineName::TextBased)
            .wordnet(wordnet())
            .entity_ids(fixture("imagenet21k_wordnet_ids.txt"))
            .morphy(MorphyRule::Repeated);
        let images = language(BaselineName::ImageBased)
            .centroids(fixture("centroids_l14.npy"))
            .target_features(fixture("imagenet_l14.npy"));
        for (params, expected) in [
            (language(BaselineName::BasicFilter), "basic_filter.npy"),
            (text, "text_based.npy"),
            (images, "image_based.npy"),
        ] {
            let loaded = params.clone().check().unwrap().read_inputs().unwrap();
            assert_same_file(&params, &loaded.inputs(), expected);
        }
    }
}

/// The front door for rows says what the one for folders says.
#[test]
fn a_verdict_on_every_row_keeps_what_the_subset_keeps() {
    let mut files: Vec<PathBuf> =
        fs::read_dir(fixture("metadata")).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "parquet"));
    files.sort();
    let shards: Vec<MetadataShard> =
        files.iter().map(|file| MetadataShard::open(file).unwrap()).collect();
    for params in [
        clip_score(Arch::L14).fraction(0.3),
        of(BaselineName::RandomSubset).fraction(0.4),
        of(BaselineName::BasicFilter),
    ] {
        let baseline = params.check().unwrap();
        let verdicts = baseline.run(&shards, &NoProgress).unwrap();
        let subset = baseline.subset(&fixture("metadata"), &NoProgress).unwrap();
        let rows = verdicts.rows().len();
        let name = baseline.rule().name();
        assert_eq!((rows, verdicts.kept().len()), (subset.rows, subset.ids.len()), "{name}");
        let removals: Vec<usize> = verdicts.removals().map(|removal| removal.row).collect();
        assert_eq!(verdicts.kept().len() + removals.len(), rows, "{name}");
        assert!(removals.iter().all(|&row| !verdicts.kept().contains(row)), "{name}");
        let again = verdicts.select(Cut::Top(50));
        if name == BaselineName::BasicFilter {
            assert!(matches!(again, Err(BaselineError::NothingToCut { .. })));
        } else {
            let again = again.unwrap();
            assert_eq!(again.len(), 50, "{name}");
            assert!(again.minus(&verdicts.kept()).is_empty(), "{name}: the best are among them");
        }
    }
}

#[test]
fn threads_change_nothing() {
    let language = Recorded::load();
    let inputs = Inputs { language: &language, ..Inputs::default() };
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| kept(&of(BaselineName::BasicFilter), &inputs))
    };
    let one = with(1);
    assert_eq!((&with(2), &with(7)), (&one, &one));
}

#[test]
fn a_random_subset_is_a_matter_of_ids() {
    let draw = |fraction, seed| {
        let params = of(BaselineName::RandomSubset).fraction(fraction).seed(seed);
        kept(&params, &Inputs::default()).ids
    };
    assert_eq!(draw(0.5, 1), draw(0.5, 1));
    assert_ne!(draw(0.5, 1), draw(0.5, 2));
    assert!((100..200).contains(&draw(0.5, 1).len()));
    let (few, more) = (draw(0.3, 1), draw(0.6, 1));
    assert!(few.iter().all(|id| more.contains(id)), "a larger share holds the smaller one");
    assert_eq!((draw(0.0, 1).len(), draw(1.0, 1).len()), (0, 300));
}

#[test]
fn trouble_is_named() {
    let refused = |params: BaselineParams, folder: &Path| {
        params.check().unwrap().subset(folder, &NoProgress).unwrap_err().to_string()
    };
    let metadata = fixture("metadata");
    assert!(refused(of(BaselineName::TextBased), &metadata).contains("`wordnet` is missing"));
    assert!(refused(of(BaselineName::ImageBased), &metadata).contains("`concepts` is missing"));
    let folder = tempfile::tempdir().unwrap();
    assert!(refused(of(BaselineName::NoFilter), folder.path()).contains("NAME.parquet"));
    let shard = folder.path().join("a.parquet");
    let write = |uids: &[&str]| {
        let uids = uids.iter().map(|uid| (*uid).to_owned()).collect();
        table::write(&shard, vec![("uid", Column::Text(uids))]).unwrap();
    };
    write(&["00ff"]);
    let error = refused(clip_score(Arch::B32).threshold(0.3), folder.path());
    assert!(error.contains("a.parquet") && error.contains("clip_b32_similarity_score"), "{error}");
    write(&["00ff", "no id"]);
    let error = refused(of(BaselineName::NoFilter), folder.path());
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
    let baseline = of(BaselineName::BasicFilter).check().unwrap();
    let found = baseline.subset_with(folder.path(), &inputs, &NoProgress).unwrap();
    assert_eq!(found.ids, ["2".parse().unwrap()]);
    let dropped: Vec<(DropReason, usize)> = found.dropped.into_iter().collect();
    assert_eq!(dropped, [(DropReason::FewWords, 1), (DropReason::NoCaption, 1)]);
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
    let baseline: Baseline = of(BaselineName::NoFilter).check().unwrap();
    let stopped = baseline.subset(&fixture("metadata"), &Stop);
    assert!(stopped.unwrap_err().is_cancelled());
}
