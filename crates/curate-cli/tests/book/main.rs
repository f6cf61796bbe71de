//! The commands of the book, chapter by chapter: each is run, in a folder with the demonstration, or the
//! chapter says in a comment why it is not.
//!
//! A block of commands is indented by four columns, or fenced as `console` with a `$` before each. Comments
//! before a block say what is done with it:
//!
//! - `<!-- saved as NAME -->`: the block is written to that file, which later commands use;
//! - `<!-- not run: REASON -->`: it is not run.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod blocks;
mod world;

use std::{fs, path::Path};

use blocks::{Block, blocks};
use world::World;

/// Runs a chapter's commands in order.
fn run(chapter: &str, world: &World) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(chapter);
    let text = fs::read_to_string(&path).unwrap();
    let mut ran = 0;
    for block in blocks(&text) {
        match block {
            Block::File { name, text } => fs::write(world.path(name), text).unwrap(),
            Block::Commands(commands) => {
                for command in commands {
                    world.carry_out(chapter, &command);
                    ran += 1;
                }
            }
        }
    }
    assert!(ran > 0, "{chapter} has no command that is run");
}

macro_rules! chapters {
    ($($name:ident: $chapter:literal,)*) => {$(
        #[test]
        fn $name() {
            run($chapter, &World::new());
        }
    )*

    /// Every chapter with commands is one of those.
    #[test]
    fn every_chapter_with_commands_is_run() {
        // `tests/eval.rs` and `tests/distill.rs` run those on comparisons and distillation, with smaller
        // budgets.
        let known = [$($chapter,)* "docs/src/eval.md", "docs/src/distill.md"];
        let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src");
        for entry in fs::read_dir(book).unwrap() {
            let entry = entry.unwrap();
            let chapter = format!("docs/src/{}", entry.file_name().display());
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let has = blocks(&text).iter().any(|block| matches!(block, Block::Commands(_)));
            assert!(!has || known.contains(&&*chapter), "{chapter} has commands that are not run");
        }
    }};
}

chapters! {
    readme: "README.md",
    first_run: "docs/src/first-run.md",
    ten_minutes: "docs/src/ten-minutes.md",
    pools: "docs/src/pools.md",
    baselines: "docs/src/baselines.md",
    runs: "docs/src/runs.md",
    reading_the_report: "docs/src/report.md",
    filter: "docs/src/filter.md",
    scaling: "docs/src/scaling.md",
    select: "docs/src/select.md",
    tasks: "docs/src/tasks.md",
    transfer: "docs/src/transfer.md",
    troubleshooting: "docs/src/troubleshooting.md",
}

/// The ids of the ten minutes: those of keys, in the run, in the new shards and in the report alike.
#[test]
fn the_ids_of_the_ten_minutes_are_the_same_from_shards_to_shards() {
    let world = World::new();
    run("docs/src/ten-minutes.md", &world);
    let kept = curate::io::subset::read(&world.path("run/subset.npy")).unwrap();
    let written = world.keys_of("curated");
    assert!(!kept.is_empty() && kept.len() < world::SAMPLES, "{}", kept.len());
    let mut of_keys: Vec<String> =
        written.iter().map(|key| key.split('-').next().unwrap().to_owned()).collect();
    let mut ids: Vec<String> = kept.iter().map(ToString::to_string).collect();
    ids.sort();
    of_keys.sort();
    assert_eq!(ids, of_keys, "each kept sample is in the new shards once");
    // The ids are those of the keys that img2dataset gave.
    let keys = world.keys_of("shards");
    let of_shards: Vec<String> =
        keys.iter().map(|key| curate::io::ids::id_of_key(key).to_string()).collect();
    assert!(ids.iter().all(|id| of_shards.contains(id)));
    let report = fs::read_to_string(world.path("run/report.html")).unwrap();
    assert!(report.contains("image is cut off"), "the broken picture is named");
}

/// The examples at the end of a command's help, its subcommands' included, in the order of the help.
fn examples(world: &World, command: &[&str]) -> Vec<String> {
    let words: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
    let help = world.curate(&[&words[..], &["--help".to_owned()]].concat());
    let help = String::from_utf8(help.stdout).unwrap();
    let below = help.split("Commands:\n").nth(1).map(|rest| rest.split("\n\n").next().unwrap());
    let Some(below) = below else {
        let (_, last) = help.rsplit_once("\nExample").unwrap_or_else(|| {
            panic!("the help of {command:?} does not end with an example:\n{help}");
        });
        let lines = last.lines().skip(1).map(|line| line.trim().to_owned());
        return lines.filter(|line| !line.is_empty()).collect();
    };
    // A name stands at the third column; what continues a description stands further right.
    let names = below.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.map(|line| line.split_whitespace().next().unwrap()).filter(|n| *n != "help");
    names.flat_map(|name| examples(world, &[command, &[name]].concat())).collect()
}

#[test]
fn every_commands_help_ends_with_an_example_that_works() {
    let world = World::new();
    std::os::unix::fs::symlink("fixtures/datacomp_mini/metadata", world.path("metadata")).unwrap();
    let test = |set: &str, axis: &str, accuracy: f64| {
        format!(r#"{{"set": "{set}", "axis": "{axis}", "task": "t", "accuracy": {accuracy}}}"#)
    };
    let results = [("ImageNet", 0.8), ("OpenImages", 0.6)].map(|(set, accuracy)| {
        test(set, "base", accuracy) + "\n" + &test(set, "shifted", accuracy)
    });
    fs::write(world.path("results.jsonl"), results.join("\n")).unwrap();
    let examples = examples(&world, &[]);
    assert!(examples.len() >= 24, "{examples:?}");
    for example in examples {
        world.carry_out("help", &example);
    }
}

#[cfg(feature = "train")]
#[test]
fn a_loop_of_small_runs_ends_in_a_recipe_and_goes_on_with_the_run_that_it_proposes() {
    let world = World::new();
    world.carry_out("", "curate plan run loop.toml --out loop");
    let table = fs::read_to_string(world.path("loop/runs.csv")).unwrap();
    // Three buckets, three budgets, two seeds.
    assert_eq!(table.lines().count(), 1 + 3 * 3 * 2, "{table}");
    let ids = |bucket: &str| {
        curate::io::subset::read(&world.path(format!("loop/buckets/{bucket}.npy"))).unwrap()
    };
    let counts = ["0-20", "20-50", "50-100"].map(|bucket| ids(bucket).len());
    assert_eq!(counts, [1009, 1513, 2523], "every row is in one bucket");
    let decision: serde_json::Value =
        serde_json::from_slice(&fs::read(world.path("loop/decision.json")).unwrap()).unwrap();
    let winner = decision["laws"][0]["best"]["winner"].as_str();
    let recipe = fs::read_to_string(world.path("loop/recipe.toml")).ok();
    assert_eq!(winner.is_some(), recipe.is_some(), "{decision}");
    if let (Some(winner), Some(recipe)) = (winner, recipe) {
        let share = match winner.rsplit('+').next().unwrap() {
            "0-20" => "0.2",
            "20-50" => "0.5",
            _ => "1.0",
        };
        assert!(recipe.contains(&format!("fraction = {share}")), "{winner}: {recipe}");
        world.carry_out("", "curate run loop/recipe.toml --dry-run");
    }
    let page = fs::read_to_string(world.path("loop/report.html")).unwrap();
    for expected in ["The answer: ", "best 20 %", "runs on 50-100 %", "the budget that counts"] {
        assert!(page.contains(expected), "{expected}");
    }
    // The same again makes nothing anew; with the run that was proposed there are two more rows.
    let first = world.path("loop/runs/runs/0-20/1000-0.json");
    let written = fs::metadata(&first).unwrap().modified().unwrap();
    world.carry_out("", "curate plan run loop.toml --out loop --continue");
    assert_eq!(fs::metadata(&first).unwrap().modified().unwrap(), written);
    let more = fs::read_to_string(world.path("loop/runs.csv")).unwrap();
    assert_eq!(more.lines().count(), table.lines().count() + 2);
    assert!(more.starts_with(&table), "{more}");
    // With no room for a larger run before the one that counts, none is made, or one on a bucket.
    let near = fs::read_to_string(world.path("loop.toml")).unwrap().replace("16K", "6K");
    fs::write(world.path("near.toml"), near).unwrap();
    let words = ["plan", "run", "near.toml", "--out", "loop", "--continue"].map(str::to_owned);
    let output = world.curate(&words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || said.contains("no run on a bucket is proposed"), "{said}");
}

#[cfg(feature = "train")]
#[test]
fn a_loop_with_wrong_words_is_refused_by_file_and_key_before_anything_is_made() {
    let world = World::new();
    let text = fs::read_to_string(world.path("loop.toml")).unwrap();
    let cases = [
        ("\"--images\"", "\"--pictures\"", "wrong.toml: `train`: unexpected argument '--pictures'"),
        ("cosine =", "cosin =", "wrong.toml: `score`: unknown field `cosin`"),
        ("demo/pool", "demo/none", "demo/none: does not exist"),
    ];
    for (right, wrong, expected) in cases {
        fs::write(world.path("wrong.toml"), text.replacen(right, wrong, 1)).unwrap();
        let error = refused(&world, "plan run wrong.toml --out wrong");
        assert!(error.contains(expected) && !error.contains("Usage:"), "{error}");
        assert!(!world.path("wrong/buckets").exists());
    }
}

/// The program in the folder, which must refuse.
fn refused(world: &World, words: &str) -> String {
    let output = world.curate(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    assert!(!output.status.success(), "{words}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn embeddings_of_another_pool_and_two_of_one_name_are_refused_by_name() {
    let world = World::new();
    let recipe = world.recipe();
    let run = format!("run {recipe} --out run");
    let of_demo = "--pool demo/pool/metadata --embeddings made-emb";
    let error = refused(&world, &format!("{run} {of_demo}"));
    assert!(error.contains("made-emb: has no embeddings of shard 1549c0d1"), "{error}");
    // The same shard names with other samples in them.
    fs::create_dir(world.path("others")).unwrap();
    fs::copy(world.path("shards/00000.tar"), world.path("others/00001.tar")).unwrap();
    let error = refused(&world, &format!("{run} --pool others"));
    assert!(error.contains("made-emb/00001.npz: is of another shard 00001"), "{error}");
    fs::copy(world.path("made-emb/00001.npz"), world.path("shards/00001.npz")).unwrap();
    let error = refused(&world, &run);
    assert!(error.contains("has an array `dfn_img`, and so has"), "{error}");
    fs::remove_file(world.path("shards/00001.npz")).unwrap();
    fs::remove_file(world.path("made-emb/00000.npz")).unwrap();
    let error = refused(&world, &run);
    assert!(error.contains("made-emb/00000.npz: is missing"), "{error}");
}

#[test]
fn embeddings_in_a_folder_of_their_own_give_the_run_of_those_beside_the_shards() {
    let world = World::new();
    let recipe = world.recipe();
    let run = |more: &str| world.carry_out("", &format!("curate run {recipe} {more}"));
    run("--out apart");
    let text = fs::read_to_string(world.path(&recipe)).unwrap();
    fs::write(world.path("beside.toml"), text.replace("embeddings = \"made-emb\"\n", "")).unwrap();
    for shard in ["00000.npz", "00001.npz"] {
        fs::copy(world.path("made-emb").join(shard), world.path("shards").join(shard)).unwrap();
    }
    world.carry_out("", "curate run beside.toml --out beside");
    let subset = |run: &str| fs::read(world.path(run).join("subset.npy")).unwrap();
    assert_eq!(subset("apart"), subset("beside"));
    // Where the folder says what was wrong, that is the reason, and not the NaN that it wrote.
    let reasons = |run: &str| fs::read_to_string(world.path(run).join("report.html")).unwrap();
    assert!(reasons("apart").contains("image is cut off: 1 row<"), "not the reason");
    assert!(reasons("beside").contains("embedding holds a NaN: 1 row<"));
}
