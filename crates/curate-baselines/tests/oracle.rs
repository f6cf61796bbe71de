//! Every baseline on random pools against its rule written down row by row, slowly: repeated ids,
//! lost zeros, NaN, ties, odd white space, centroids of any length.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use curate_baselines::{Arch, BaselineName, BaselineParams, Concepts, Inputs};
use curate_core::{NoProgress, SampleId};
use curate_io::{
    npy::f32_table,
    table::{self, Column},
};
use curate_text::{
    language::{Guess, LanguageId},
    rules::EntityIds,
    wordnet::WordNet,
};
use proptest::{collection::vec, prelude::*, sample::select, test_runner::RngSeed};
use zip::{ZipWriter, write::SimpleFileOptions};

/// Numbers of a feature; products of such small whole numbers are exact, and many are equal.
const DIM: usize = 3;

#[derive(Clone, Debug)]
struct Row {
    uid: String,
    caption: Option<String>,
    width: Option<f64>,
    height: Option<f64>,
    b32: f64,
    l14: f64,
    feature: [f32; DIM],
}

/// A pool: rows, of which so many are in a shard, and whether scores are in single precision.
#[derive(Clone, Debug)]
struct Case {
    rows: Vec<Row>,
    shard: usize,
    single: bool,
    fraction: f64,
    threshold: f64,
    centroids: Vec<[f32; DIM]>,
    wanted: Vec<[f32; DIM]>,
}

/// Says that a text is English unless it has a `q`.
struct WithoutQ;

impl LanguageId for WithoutQ {
    fn identify(&self, text: &str) -> Option<Guess<'_>> {
        Some(Guess { language: if text.contains('q') { "fr" } else { "en" }, probability: None })
    }
}

fn wordnet_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../curate-text/tests/data/wordnet")
}

/// The first synset's number of every word that an index has as it is, nouns before verbs.
fn first_synsets() -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    for part in ["index.verb", "index.noun"] {
        let index = fs::read_to_string(wordnet_folder().join(part)).unwrap();
        for line in index.lines().filter(|line| !line.starts_with(' ')) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let senses: usize = fields[2].parse().unwrap();
            found.insert(fields[0].to_owned(), fields[fields.len() - senses].parse().unwrap());
        }
    }
    found
}

/// Nouns, a verb, words of no language, short ones, what fastText reads as the end of a line.
const WORDS: [&str; 12] =
    ["dog", "cat", "axe", "ail", "balkanize", "qzzx", "zzzx", "a", "日本", "</s>", "dog,", "Dog"];

/// White space to Python, to fastText, to both and to neither.
const SPACES: [&str; 12] = [
    " ", "  ", "\t", "\n", "\r", "\u{b}", "\u{1c}", "\u{a0}", "\u{3000}", "\u{200b}", "\u{85}",
    "\0",
];

fn caption() -> impl Strategy<Value = Option<String>> {
    let text = vec((select(&WORDS[..]), select(&SPACES[..])), 0..6)
        .prop_map(|parts| parts.iter().map(|(word, space)| format!("{word}{space}")).collect());
    prop_oneof![9 => text.prop_map(Some), 1 => Just(None)]
}

fn uid() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<u128>().prop_map(|id| format!("{id:032x}")),
        // The same few, with their zeros and without.
        (0_u128..4).prop_map(|id| format!("{id:032x}")),
        (0_u128..4).prop_map(|id| format!("{id:x}")),
        (0_u128..4).prop_map(|id| format!("{:x}", id << 64 | 1)),
        Just("F".repeat(32)),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (0_u8..12).prop_map(|step| 0.22 + f64::from(step) / 100.0),
        1 => Just(f64::NAN),
        1 => Just(0.28),
        1 => Just(-0.0),
        1 => Just(0.0),
    ]
}

fn side() -> impl Strategy<Value = Option<f64>> {
    let sides = vec![0.0, 66.0, 67.0, 199.0, 200.0, 201.0, 600.0, 601.0, 603.0];
    prop_oneof![9 => select(sides).prop_map(Some), 1 => Just(None)]
}

fn feature() -> impl Strategy<Value = [f32; DIM]> {
    [-2_i8..3, -2_i8..3, -2_i8..3].prop_map(|values| values.map(f32::from))
}

fn row() -> impl Strategy<Value = Row> {
    (uid(), caption(), side(), side(), score(), score(), feature()).prop_map(
        |(uid, caption, width, height, b32, l14, feature)| Row {
            uid,
            caption,
            width,
            height,
            b32,
            l14,
            feature,
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let pool = (vec(row(), 1..60), 1_usize..30, any::<bool>());
    let cuts = (0.0_f64..1.0, score().prop_map(|score| if score.is_nan() { 0.25 } else { score }));
    let clusters = (vec(feature(), 2..6), vec(feature(), 1..4));
    (pool, cuts, clusters).prop_map(|(pool, cuts, clusters)| {
        let (mut rows, shard, single) = pool;
        if single {
            for row in &mut rows {
                row.b32 = f64::from(row.b32 as f32);
                row.l14 = f64::from(row.l14 as f32);
            }
        }
        let (fraction, threshold) = cuts;
        let (centroids, wanted) = clusters;
        Case { rows, shard, single, fraction, threshold, centroids, wanted }
    })
}

impl Case {
    fn write(&self, folder: &Path) {
        for (number, rows) in self.rows.chunks(self.shard).enumerate() {
            let of = |number: fn(&Row) -> f64| match self.single {
                true => Column::F32(rows.iter().map(|row| number(row) as f32).collect()),
                false => Column::OptF64(rows.iter().map(|row| Some(number(row))).collect()),
            };
            let side =
                |side: fn(&Row) -> Option<f64>| Column::OptF64(rows.iter().map(side).collect());
            let columns = vec![
                ("uid", Column::Text(rows.iter().map(|row| row.uid.clone()).collect())),
                ("text", Column::OptText(rows.iter().map(|row| row.caption.clone()).collect())),
                ("original_width", side(|row| row.width)),
                ("original_height", side(|row| row.height)),
                ("clip_b32_similarity_score", of(|row| row.b32)),
                ("clip_l14_similarity_score", of(|row| row.l14)),
            ];
            table::write(&folder.join(format!("{number:03}.parquet")), columns).unwrap();
            let features: Vec<[f32; DIM]> = rows.iter().map(|row| row.feature).collect();
            let file = fs::File::create(folder.join(format!("{number:03}.npz"))).unwrap();
            let mut npz = ZipWriter::new(file);
            npz.start_file("l14_img.npy", SimpleFileOptions::default()).unwrap();
            npz.write_all(&array(&features)).unwrap();
            npz.finish().unwrap();
        }
    }

    /// What a baseline keeps of the pool, sorted.
    fn kept(&self, folder: &Path, baseline: BaselineParams, entities: &EntityIds) -> Vec<SampleId> {
        let (centroids, wanted) = (folder.join("centroids.npy"), folder.join("wanted.npy"));
        fs::write(&centroids, array(&self.centroids)).unwrap();
        fs::write(&wanted, array(&self.wanted)).unwrap();
        let concepts = Concepts::read(&centroids, &wanted).unwrap();
        let wordnet = WordNet::read(wordnet_folder()).unwrap();
        let inputs = Inputs {
            language: &WithoutQ,
            wordnet: Some(&wordnet),
            entities: Some(entities),
            concepts: Some(&concepts),
        };
        let baseline = baseline.check().unwrap();
        baseline.subset_with(folder, &inputs, &NoProgress).unwrap().ids
    }

    /// A threshold as numpy compares it with the scores.
    fn own(&self, threshold: f64) -> f64 {
        if self.single { f64::from(threshold as f32) } else { threshold }
    }

    /// `-numpy.sort(-scores)[int(N f)]`; NaN, with which every comparison fails, sorts last.
    fn threshold_of_fraction(&self) -> f64 {
        let mut sorted: Vec<f64> =
            self.rows.iter().map(|row| row.l14).filter(|s| !s.is_nan()).collect();
        sorted.sort_by(|a, b| b.partial_cmp(a).unwrap());
        let place = (self.rows.len() as f64 * self.fraction) as usize;
        sorted.get(place).copied().unwrap_or(f64::NAN)
    }
}

fn array(rows: &[[f32; DIM]]) -> Vec<u8> {
    f32_table(rows.as_flattened(), rows.len(), DIM).unwrap()
}

/// `str.split()` of Python.
fn python_words(text: &str) -> Vec<&str> {
    let space = |c: char| {
        matches!(c, '\t'..='\r' | '\u{1c}'..='\u{20}' | '\u{85}' | '\u{a0}' | '\u{1680}')
            || matches!(c, '\u{2000}'..='\u{200a}' | '\u{2028}' | '\u{2029}' | '\u{202f}')
            || matches!(c, '\u{205f}' | '\u{3000}')
    };
    text.split(space).filter(|word| !word.is_empty()).collect()
}

/// How many tokens fastText reads: words between its own white space, and one for every newline.
fn fasttext_tokens(text: &str) -> usize {
    let space = |c: char| matches!(c, ' ' | '\t' | '\u{b}' | '\u{c}' | '\r' | '\0' | '\n');
    let words = text.split(space).filter(|word| !word.is_empty()).count();
    words + text.matches('\n').count()
}

fn english(text: &str) -> bool {
    !text.contains('q')
}

fn basic(row: &Row, text: &str) -> bool {
    let (Some(width), Some(height)) = (row.width, row.height) else { return false };
    let (short, long) = (width.min(height), width.max(height));
    python_words(text).len() > 2
        && text.chars().count() > 5
        && english(text)
        && short >= 200.0
        && long / short <= 3.0
}

fn caption_filter(text: &str) -> bool {
    english(text) && fasttext_tokens(text) > 1 && text.chars().count() > 5
}

/// `numpy.argmax`: the first of the largest.
fn cluster(feature: &[f32; DIM], centroids: &[[f32; DIM]]) -> usize {
    let dot = |c: &[f32; DIM]| c.iter().zip(feature).map(|(a, b)| a * b).sum::<f32>();
    let mut best = 0;
    for (number, centroid) in centroids.iter().enumerate() {
        if dot(centroid) > dot(&centroids[best]) {
            best = number;
        }
    }
    best
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        rng_seed: RngSeed::Fixed(11),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_baseline_keeps_what_its_rule_keeps(case in case()) {
        let folder = tempfile::tempdir().unwrap();
        case.write(folder.path());
        let synsets = first_synsets();
        let list = folder.path().join("ids.txt");
        let entities = [synsets["dog"], synsets["balkanize"]];
        fs::write(&list, entities.map(|id| format!("n{id:08}\n")).concat()).unwrap();
        let entities = EntityIds::read(&list).unwrap();

        let by_fraction = case.threshold_of_fraction();
        let wanted: Vec<usize> = case.wanted.iter().map(|f| cluster(f, &case.centroids)).collect();
        let picture = |row: &Row, text: &str| {
            caption_filter(text) && wanted.contains(&cluster(&row.feature, &case.centroids))
        };
        let entity = |text: &str| {
            python_words(text).iter().any(|word| {
                synsets.get(&word.to_lowercase()).is_some_and(|&id| entities.contains(id))
            })
        };
        let (threshold, laion) = (case.own(case.threshold), case.own(0.28));
        type Rule<'a> = Box<dyn Fn(&Row) -> bool + 'a>;
        let captioned = |row: &Row, rule: &dyn Fn(&str) -> bool| row.caption.as_deref().is_some_and(rule);
        let of = BaselineParams::new;
        let rules: Vec<(BaselineParams, Rule<'_>)> = vec![
            (of(BaselineName::NoFilter), Box::new(|_| true)),
            (
                of(BaselineName::BasicFilter),
                Box::new(|row| captioned(row, &|text| basic(row, text))),
            ),
            (
                of(BaselineName::Laion2b),
                Box::new(|row| row.b32 >= laion && captioned(row, &english)),
            ),
            (
                of(BaselineName::TextBased),
                Box::new(|row| captioned(row, &|text| english(text) && entity(text))),
            ),
            (
                of(BaselineName::ImageBased),
                Box::new(|row| captioned(row, &|text| picture(row, text))),
            ),
            (
                of(BaselineName::ClipScore).arch(Arch::B32).threshold(case.threshold),
                Box::new(|row| row.b32 >= threshold),
            ),
            (
                of(BaselineName::ClipScore).arch(Arch::L14).fraction(case.fraction),
                Box::new(|row| row.l14 >= by_fraction),
            ),
            (
                of(BaselineName::ImageBasedIntersectClipScore).arch(Arch::L14).fraction(case.fraction),
                Box::new(|row| row.l14 >= by_fraction && captioned(row, &|text| picture(row, text))),
            ),
        ];
        for (baseline, rule) in rules {
            let rows = case.rows.iter().filter(|row| rule(row));
            let mut expected: Vec<SampleId> =
                rows.map(|row| SampleId(u128::from_str_radix(&row.uid, 16).unwrap())).collect();
            expected.sort_unstable();
            let found = case.kept(folder.path(), baseline.clone(), &entities);
            prop_assert_eq!(found, expected, "{:?}", baseline);
        }
    }
}
