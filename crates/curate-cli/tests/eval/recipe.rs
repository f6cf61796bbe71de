//! A recipe that ends in trainings.

use std::{fs, path::Path};

use serde_json::Value;

use super::{curate, pool_name, refused, said, setting, text};

const STAGES: &str = "[[stage]]\nkind = \"score\"\nname = \"clip\"\ncosine = [\"joint_img\", \"joint_txt\"]\n\n\
                      [[stage]]\nkind = \"fraction\"\nscore = \"clip\"\nfraction = 0.3\n";

/// A recipe of the demonstration's pool that ends in these lines of `[evaluate]`.
fn write(folder: &Path, evaluate: &str) {
    let pool = pool_name();
    let recipe = format!("[pool]\npath = \"{pool}\"\n\n[evaluate]\n{evaluate}\n\n{STAGES}");
    fs::write(folder.join("recipe.toml"), recipe).unwrap();
}

const SMALL: &str = "budgets = [\"1K\", \"2K\"]\nseeds = 2\n\
                     train = [\"--batch\", \"128\", \"--hidden\", \"16\", \"--dim\", \"8\"]";

#[test]
fn a_recipe_ends_in_trainings_on_its_subset_and_on_others() {
    let folder = setting();
    write(folder.path(), &format!("against = [\"odd.npy\", \"half=even.npy\"]\n{SMALL}"));
    let run = ["run", "recipe.toml", "--out", "out"];
    let needs = said(folder.path(), &[&run[..], &["--dry-run"]].concat());
    assert!(needs.ends_with("then:   16 trainings (`[evaluate]`)\n"), "{needs}");

    let first = said(folder.path(), &run);
    assert!(first.contains("16 runs, 0 of them made already"), "{first}");
    let report = fs::read(folder.path().join("out/evaluation/report.json")).unwrap();
    let found: Value = serde_json::from_slice(&report).unwrap();
    let ranked = found["rankings"][0]["selections"].as_array().unwrap();
    let mut names: Vec<&str> = ranked.iter().map(|one| one["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["everything", "half", "odd", "out"], "the run is called by its folder");
    let own = ranked.iter().find(|one| one["name"] == "out").unwrap();
    let manifest = fs::read(folder.path().join("out/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let kept = manifest["kept"].as_u64().unwrap();
    let held = found["left_out"]["out"]["held out for the test"].as_u64().unwrap();
    assert_eq!(own["unique"].as_u64().unwrap() + held, kept, "trained on what the run kept");
    let page = fs::read_to_string(folder.path().join("out/evaluation/report.html")).unwrap();
    for expected in ["Which selection trains the better model?", "1K samples seen", "everything"] {
        assert!(page.contains(expected), "{expected}");
    }

    // The run folder's own recipe asks for the same, and nothing is trained again.
    let again = said(folder.path(), &["run", "out/recipe.toml", "--out", "out"]);
    assert!(again.contains("16 runs, 16 of them made already"), "{again}");
    assert_eq!(fs::read(folder.path().join("out/evaluation/report.json")).unwrap(), report);
}

#[test]
fn what_is_wrong_with_the_trainings_is_told_before_the_run() {
    let folder = setting();
    let run = ["run", "recipe.toml", "--out", "out"];
    for (evaluate, expected) in [
        (
            "train = [\"--lables\", \"source\"]",
            "error: recipe.toml: `[evaluate]`: unexpected argument '--lables' found\n",
        ),
        (
            "budgets = [\"many\"]",
            "error: recipe.toml: `[evaluate]`: invalid value 'many' for '--budgets <COUNTS>': must be a whole \
             count, such as 20000, 20K or 1.5M\n",
        ),
        (
            "budgets = [12]\ntrain = [\"--images\", \"img\", \"--texts\", \"joint_txt\"]",
            "error: recipe.toml: `[evaluate]`: `budgets` is 12, but must be at least one batch, 512\n",
        ),
        ("seeds = 0", "error: recipe.toml: `evaluate.seeds` must be at least 1\n"),
    ] {
        write(folder.path(), evaluate);
        assert_eq!(refused(folder.path(), &run), expected);
    }
    write(folder.path(), "against = [\"nowhere.npy\"]");
    let error = refused(folder.path(), &run);
    let start = "error: recipe.toml: `[evaluate]`: ";
    assert!(error.starts_with(start) && error.contains("nowhere.npy: does not exist"), "{error}");
    for (words, expected) in [
        (["--images", "img", "--texts", "joint_txt", "--labels", "sauce"].as_slice(), "`sauce`"),
        (&["--images", "nothing", "--texts", "joint_txt"], "has no array `nothing`"),
    ] {
        write(folder.path(), &format!("train = {words:?}"));
        let error = refused(folder.path(), &run);
        assert!(error.starts_with(start) && error.contains(expected), "{error}");
    }
    write(folder.path(), "budgets = [2.5]");
    assert_eq!(
        refused(folder.path(), &run),
        "error: recipe.toml: a budget must be a whole count, such as 20000 or \"20K\" in `evaluate.budgets`\n"
    );
    write(folder.path(), "lables = 3");
    assert!(refused(folder.path(), &run).contains("unknown field `lables`"));
    assert!(!folder.path().join("out").exists());

    write(folder.path(), SMALL);
    let output = curate(folder.path(), &["tasks", "plan", "recipe.toml", "--out", "plan"]);
    let error = text(&output.stderr);
    assert!(
        !output.status.success() && error.contains("`[evaluate]` asks for trainings"),
        "{error}"
    );
    assert!(!folder.path().join("plan").exists());
}
