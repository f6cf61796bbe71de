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
        "`epsilon` must be from 0 to 2",
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
    assert!(both[0].contains("give either `column` or `cosine`"), "{both:?}");
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
