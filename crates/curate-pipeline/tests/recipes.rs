//! Recipes: what is wrong with them is said, all at once.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use curate_pipeline::Recipe;

fn problems(text: &str) -> Vec<String> {
    Recipe::parse(text).unwrap_err()
}

const POOL: &str = "[pool]\npath = \"p\"\n";

#[test]
fn unknown_keys_are_named_with_the_known_ones() {
    let score = "[[stage]]\nkind = \"score\"\ncolumn = \"c\"\n";
    let found = problems(&format!("sed = 1\n{POOL}{score}"));
    assert!(found[0].contains("unknown field `sed`, expected one of `name`, `seed`"), "{found:?}");
    let found = problems(&format!("[pool]\npath = \"p\"\nformt = 1\n{score}"));
    assert!(
        found[0].contains("unknown field `formt`, expected one of `path`, `format`"),
        "{found:?}"
    );
    let found = problems(&format!("{POOL}{score}[[stage]]\nkind = \"fraction\"\nfracton = 0.3\n"));
    assert!(
        found[0].starts_with("stage 2 (`fraction`): unknown field `fracton`, expected one of"),
        "{found:?}"
    );
    let nested =
        "[[stage]]\nkind = \"semantic-dedup\"\nembedding = \"e\"\nk-means = { iteration = 3 }\n";
    let found = problems(&format!("{POOL}{nested}"));
    assert!(
        found[0].contains("stage 1 (`semantic-dedup`): unknown field `iteration`"),
        "{found:?}"
    );
}

#[test]
fn all_wrong_keys_of_all_stages_come_together() {
    let stages = "sed = 1\n[pool]\npath = \"p\"\nformt = 1\n\
        [[stage]]\nkind = \"score\"\ncolunm = \"c\"\nnaem = \"x\"\n\
        [[stage]]\nkind = \"top\"\nscroe = \"s\"\ncount = \"3\"\n\
        [[stage]]\nkind = \"fraction\"\nfraction = 30\n\
        [[stage]]\nkind = \"tpo\"\n";
    let found = problems(stages);
    let expected = [
        "unknown field `sed`",
        "unknown field `formt`",
        "stage 1 (`score`): unknown field `colunm`",
        "stage 1 (`score`): unknown field `naem`",
        "stage 2 (`top`): unknown field `scroe`",
        "stage 2 (`top`): invalid type: string \"3\", expected usize in `count`",
        "stage 3 (`fraction` named `fraction`): `fraction` must be above 0 and at most 1",
        "stage 4 (`tpo`): unknown variant `tpo`, expected one of `score`, ",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}, but expected {expected}");
    }
    let none = problems("sed = 1\n[pool]\npath = \"p\"\n");
    assert!(none[0].starts_with("unknown field `sed`") && none[1].starts_with("has no stage"));
}

#[test]
fn several_problems_come_together() {
    let stages = r#"
        [[stage]]
        kind = "fraction"
        fraction = 1.5
        [[stage]]
        kind = "semantic-dedup"
        embedding = "e"
        epsilon = -1
        count = 3
        from = "nobody"
        [[stage]]
        kind = "concept-prune"
        name = "dedup"
        embedding = "e"
        temperature = 0
    "#;
    let found = problems(&format!("{POOL}{stages}")).join("\n");
    for expected in [
        "stage 1 (`fraction` named `fraction`): no earlier score stage is named `score`; put a `score` stage",
        "`fraction` must be above 0 and at most 1",
        "stage 2 (`semantic-dedup` named `dedup`): no earlier stage is named `nobody`; there are `fraction`, `pool`",
        "give one of `epsilon`, `fraction` and `count`",
        "`epsilon` must be from 0 to 1",
        "stage 3 (`concept-prune` named `dedup`): `name` is taken",
        "give either `fraction` or `count`",
        "`temperature` must be above 0",
    ] {
        assert!(found.contains(expected), "{expected} is not in\n{found}");
    }
}

#[test]
fn what_is_missing_or_of_another_type_is_said() {
    assert!(problems(POOL)[0].contains("has no stage: add at least one `[[stage]]`"));
    assert!(problems(&format!("stage = []\n{POOL}"))[0].contains("has no stage"));
    assert!(
        problems(&format!("{POOL}[stage]\nkind = \"score\""))[0]
            .contains("write each stage under `[[stage]]`")
    );
    let kinds = "stage 1: `kind` is missing; it is one of score, threshold";
    assert!(problems(&format!("{POOL}[[stage]]\nname = \"x\""))[0].starts_with(kinds));
    assert!(
        problems("[[stage]]\nkind = \"score\"\ncolumn = \"c\"")[0].contains("missing field `pool`")
    );
    let wrong = problems(&format!("{POOL}[[stage]]\nkind = \"top\"\ncount = \"many\""));
    assert!(wrong[0].contains("stage 1 (`top`): invalid type: string \"many\""), "{wrong:?}");
    assert!(problems("[pool\n")[0].contains("TOML parse error at line 1"));
    let both = problems(&format!("{POOL}[[stage]]\nkind = \"score\""));
    assert!(both[0].contains("give one of `column`, `cosine` and `network`"), "{both:?}");
    let greedy =
        "[[stage]]\nkind = \"semantic-dedup\"\nembedding = \"e\"\nmode = \"greedy\"\ncount = 3";
    assert!(
        problems(&format!("{POOL}{greedy}"))[0].contains("`mode = \"greedy\"` needs an `epsilon`")
    );
}

/// After a change to the recipe's types: `cargo xtask schema`.
#[test]
fn the_committed_schema_is_that_of_the_types() {
    let committed = include_str!("../../../docs/recipe.schema.json");
    assert!(
        committed == Recipe::schema(),
        "docs/recipe.schema.json is stale: run `cargo xtask schema`"
    );
}

#[test]
fn a_value_of_another_type_is_named_by_its_key() {
    let stage = |settings: &str| problems(&format!("{POOL}[[stage]]\n{settings}")).join("\n");
    let cases = [
        ("kind = \"top\"\ncount = -3", "in `count`"),
        ("kind = \"fraction\"\nfraction = \"half\"", "in `fraction`"),
        ("kind = \"score\"\ncosine = [\"img\"]", "in `cosine`"),
        ("kind = \"threshold\"\nat-least = true", "in `at-least`"),
        (
            "kind = \"combine\"\nop = \"xor\"\nof = [\"pool\"]",
            "`union`, `intersect`, `minus` in `op`",
        ),
        (
            "kind = \"semantic-dedup\"\nembedding = \"e\"\nnorm = \"l2\"",
            "`require-unit` or `any` in `norm`",
        ),
        (
            "kind = \"concept-prune\"\nembedding = \"e\"\nk-means = { iterations = 0.5 }",
            "in `k-means.iterations`",
        ),
        ("kind = \"sort\"", "unknown variant `sort`, expected one of `score`, `threshold`"),
    ];
    for (settings, expected) in cases {
        let found = stage(settings);
        assert!(found.starts_with("stage 1 (`") && found.contains(expected), "{found}");
    }
    let score = "[[stage]]\nkind = \"score\"\ncolumn = \"c\"";
    let whole = |text: &str| problems(&format!("{text}\n{score}")).join("\n");
    assert!(whole("seed = -1\n[pool]\npath = \"p\"").contains("in `seed`"));
    assert!(whole("[pool]\npath = 3").contains("in `pool.path`"));
    let output = whole(&format!("{POOL}[output]\nformats = [\"csv\"]"));
    assert!(output.contains("unknown variant `csv`") && output.contains("formats"), "{output}");
    let output = whole(&format!("{POOL}[output]\nformat = \"npy\""));
    assert!(output.contains("unknown field `format`, expected one of `formats`"), "{output}");
}

#[test]
fn values_out_of_range_are_refused_with_the_range() {
    let dedup = "kind = \"semantic-dedup\"\nembedding = \"e\"\n";
    let prune = "kind = \"concept-prune\"\nembedding = \"e\"\nfraction = 0.5\n";
    let score = "[[stage]]\nkind = \"score\"\ncolumn = \"c\"\n";
    let cases = [
        (
            "kind = \"fraction\"\nfraction = 0.0".to_owned(),
            "`fraction` must be above 0 and at most 1",
        ),
        (
            "kind = \"fraction\"\nfraction = nan".to_owned(),
            "`fraction` must be above 0 and at most 1",
        ),
        ("kind = \"top\"\ncount = 0".to_owned(), "`count` must be at least 1"),
        ("kind = \"threshold\"\nat-least = nan".to_owned(), "the threshold must be a number"),
        ("kind = \"threshold\"".to_owned(), "give either `at-least` or `at-most`"),
        (
            "kind = \"combine\"\nop = \"union\"\nof = []".to_owned(),
            "`of` must name at least one set",
        ),
        ("kind = \"top\"\ncount = 1\nname = \"../x\"".to_owned(), "`name` must be 1 to 64 letters"),
        ("kind = \"top\"\ncount = 1\nname = \"pool\"".to_owned(), "`name` is taken"),
        (format!("{dedup}epsilon = 1.1"), "`epsilon` must be from 0 to 1"),
        (format!("{dedup}epsilon = nan"), "`epsilon` must be from 0 to 1"),
        (format!("{dedup}clusters = 0"), "`clusters` must be at least 1"),
        (
            format!("{dedup}k-means = {{ iterations = 0 }}"),
            "`k-means.iterations` must be at least 1",
        ),
        (format!("{dedup}k-means = {{ tolerance = 1 }}"), "`k-means.tolerance` must be from 0"),
        (format!("{prune}balance = 1.5"), "`balance` must be from 0 to 1"),
        (format!("{prune}temperature = inf"), "`temperature` must be above 0"),
        (format!("{prune}neighbours = 0"), "`neighbours` must be at least 1"),
    ];
    for (stage, expected) in cases {
        let found = problems(&format!("{POOL}{score}[[stage]]\n{stage}")).join("\n");
        assert!(found.starts_with("stage 2 (`") && found.contains(expected), "{stage}: {found}");
    }
    let empty = problems(&format!("{POOL}[output]\nformats = []\n{score}"));
    assert!(empty[0].starts_with("`output.formats` is empty: name npy"), "{empty:?}");
}
