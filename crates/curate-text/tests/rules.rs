//! DataComp's rules on the texts of the fixture, asked in Python (recipe: `rules_golden.py`).

use curate_text::fasttext::count_tokens;
use curate_text::language::{BuiltIn, FastTextLanguage, Guess, LanguageId};
use curate_text::rules::{self, EntityIds, EntityIdsError};
use curate_text::wordnet::WordNet;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

fn crate_path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn json(path: &str) -> Value {
    let bytes = std::fs::read(crate_path(path)).expect("the test data holds the file");
    serde_json::from_slice(&bytes).expect("the test data is JSON")
}

/// The languages that lid.176.ftz gave, since the model itself is not ours to hand on.
struct Recorded(HashMap<String, bool>);

impl LanguageId for Recorded {
    fn identify(&self, text: &str) -> Option<Guess<'_>> {
        let language = if self.0[text] { "en" } else { "other" };
        Some(Guess { language, probability: None })
    }
}

#[test]
fn rules_equal_datacomps() {
    let golden = json("tests/data/rules_golden.json");
    let rows = golden.as_array().unwrap();
    let recorded = rows
        .iter()
        .map(|row| (row["text"].as_str().unwrap().to_owned(), row["english"].as_bool().unwrap()));
    let lid = Recorded(recorded.collect());
    let wordnet = WordNet::read(crate_path("tests/data/wordnet")).unwrap();
    let fixture = crate_path("../../fixtures/datacomp_mini");
    let ids = EntityIds::read(fixture.join("imagenet21k_wordnet_ids.txt")).unwrap();
    assert_eq!(ids.len(), 14);
    for row in rows {
        let text = row["text"].as_str().unwrap();
        let count = |name: &str| row[name].as_u64().unwrap() as usize;
        let flag = |name: &str| row[name].as_bool().unwrap();
        assert_eq!(rules::split(text).count(), count("split"), "{text:?}");
        assert_eq!(count_tokens(text), count("tokens"), "{text:?}");
        assert_eq!(text.chars().count(), count("chars"), "{text:?}");
        assert_eq!(rules::basic_caption(text, &lid).is_ok(), flag("basic"), "{text:?}");
        assert_eq!(rules::caption_filter(text, &lid).is_ok(), flag("caption_filter"), "{text:?}");
        assert_eq!(ids.first_in(text, &wordnet).is_some(), flag("entity"), "{text:?}");
        let kept = rules::text_based(text, &lid, &wordnet, &ids).is_ok();
        assert_eq!(kept, flag("text_based"), "{text:?}");
    }
}

#[test]
fn counts_equal_the_fixtures_report() {
    let report = json("../../fixtures/datacomp_mini/expected/report.json");
    let counts = report["caption_counts"].as_object().unwrap();
    assert_eq!(counts.len(), 32);
    for (text, expected) in counts {
        assert_eq!(count_tokens(text), expected["fasttext_tokens"].as_u64().unwrap() as usize);
        assert_eq!(rules::split(text).count(), expected["split"].as_u64().unwrap() as usize);
        assert_eq!(text.chars().count(), expected["chars"].as_u64().unwrap() as usize);
    }
}

/// Small models that learned lid.176's answers (recipe: `fixtures/datacomp_mini/lid/train.py`):
/// the answers that C++ fastText gave with them are those of the probe.
#[test]
fn languages_of_the_probe_come_out_of_every_kind_of_model() {
    let probe = json("../../fixtures/datacomp_mini/expected/lid_probe.json");
    for model in ["softmax.bin", "softmax.ftz", "hs.bin", "hs.ftz"] {
        let path = crate_path("../../fixtures/datacomp_mini/lid").join(model);
        let language = FastTextLanguage::read(path).unwrap();
        for row in probe.as_array().unwrap() {
            let text = row["text"].as_str().unwrap();
            let found = language.identify(text).map(|guess| format!("__label__{}", guess.language));
            assert_eq!(found.as_deref(), row["label"].as_str(), "{model}: {text:?}");
        }
    }
}

/// The table in the docs of `curate_text::language`.
#[test]
fn the_built_ins_difference_is_as_documented() {
    let probe = json("../../fixtures/datacomp_mini/expected/lid_probe.json");
    let mut table = HashMap::new();
    for row in probe.as_array().unwrap() {
        let ours = rules::english(row["text"].as_str().unwrap(), &BuiltIn).is_ok();
        *table.entry((row["label"] == "__label__en", ours)).or_insert(0) += 1;
    }
    assert_eq!(table[&(true, true)], 29);
    assert_eq!(table[&(true, false)], 17);
    assert_eq!(table[&(false, true)], 2);
    assert_eq!(table[&(false, false)], 22);
}

#[test]
fn lists_of_entities_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ids.txt");
    std::fs::write(&path, "n01440764\r\n\n n02084071 \n").unwrap();
    let ids = EntityIds::read(&path).unwrap();
    assert!(ids.len() == 2 && ids.contains(1_440_764) && ids.contains(2_084_071));
    for bad in ["n0144x764", "01440764", "n", "n99999999999"] {
        std::fs::write(&path, format!("n01440764\n{bad}\n")).unwrap();
        let error = EntityIds::read(&path).unwrap_err();
        assert!(matches!(error, EntityIdsError::Line { line: 2, .. }), "{bad}");
    }
    assert!(EntityIds::read(folder.path().join("none")).unwrap_err().to_string().contains("none"));
}
