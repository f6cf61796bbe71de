//! `curate plan` as a person meets it: from a table of runs to a decision.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod answers;
mod leaving;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use curate::{
    io::table::{self, Column},
    scaling::LawKind,
};
use serde_json::Value;
use tempfile::TempDir;

fn plan(folder: &TempDir, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_curate"));
    command.arg("plan").args(args).current_dir(folder).env("COLUMNS", "100").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn said(folder: &TempDir, args: &[&str]) -> String {
    let output = plan(folder, args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn complaint(folder: &TempDir, args: &[&str]) -> String {
    let output = plan(folder, args);
    assert!(!output.status.success(), "{args:?}: {}", text(&output.stdout));
    assert_eq!(text(&output.stdout), "");
    text(&output.stderr)
}

fn json(folder: &TempDir, args: &[&str]) -> Value {
    serde_json::from_str(&said(folder, &[args, &["--json"]].concat())).unwrap()
}

fn published(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "curate-repro", "data", "scaling", name]
        .iter()
        .collect();
    path.to_str().unwrap().to_owned()
}

/// The book's example.
fn five_runs() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/results/five_runs.csv");
    path.to_str().unwrap().to_owned()
}

/// A folder with `fit.json`: CLIP ViT-B/16 on three LAION pools.
fn fitted() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let runs = published("laion_clip_imagenet.csv");
    said(&folder, &["fit", &runs, "--group", "ViT-B-16", "--law", "qqt-proportional"]);
    folder
}

#[test]
fn runs_and_a_budget_give_a_pool_and_how_sure_that_is() {
    let folder = fitted();
    let answer = json(&folder, &["decide", "fit.json", "--samples", "34B"]);
    let law = &answer["laws"][0];
    let ranking = law["best"]["ranking"].as_array().unwrap();
    assert_eq!(ranking[0]["name"], "LAION-2B");
    assert_eq!(ranking[2]["name"], "LAION-80M");
    let wins: f64 = ranking.iter().map(|r| r["wins"].as_f64().unwrap()).sum();
    assert!((wins - 1.0).abs() < 1e-12);
    assert_eq!(law["multipliers"].as_array().unwrap().len(), 2);
    let next = law["next"].as_array().unwrap();
    let settles: Vec<f64> = next.iter().map(|run| run["settles"].as_f64().unwrap()).collect();
    assert!(settles.windows(2).all(|pair| pair[0] >= pair[1]) && settles[0] > 0.0, "{settles:?}");
    assert!(next.iter().all(|run| run["samples"].as_f64().unwrap() >= 2.44e9), "no run is smaller");

    let shown = said(&folder, &["decide", "fit.json", "--samples", "34B"]);
    assert!(
        shown.starts_with("law qqt-proportional: at 34B samples, train on LAION-2B\n"),
        "{shown}"
    );
    assert!(shown.contains("not settled"), "nine runs leave a doubt:\n{shown}");
}

#[test]
fn long_work_says_how_far_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let runs = published("laion_clip_imagenet.csv");
    let tasks = |args: &[&str]| -> Vec<(String, u64, u64)> {
        let output = plan(&folder, &[args, &["--progress", "json"]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let lines = text(&output.stderr);
        let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let ends = events.filter(|event| event["event"] == "finish");
        let number = |of: &Value| of.as_u64().unwrap();
        ends.map(|e| (e["task"].as_str().unwrap().into(), number(&e["done"]), number(&e["total"])))
            .collect()
    };
    let fit = ["fit", &runs, "--group", "ViT-B-16", "--law", "qqt-proportional"];
    let expected = [("fit qqt-proportional".into(), 16, 16), ("bootstrap".into(), 1000, 1000)];
    assert_eq!(tasks(&fit), expected);
    let compared = tasks(&fit[..4]);
    assert_eq!(compared[0].0, "compare laws");
    assert_eq!(compared[0].1, compared[0].2);
}

#[test]
fn a_prediction_names_what_its_law_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let table = published("regmix_train_1m.csv");
    let column = ["fit", &table, "--column", "loss=loss_pile_cc", "--ignore-unknown"];
    said(&folder, &[&column[..], &["--law", "exponential-mixing", "--draws", "0"]].concat());
    let asked = complaint(&folder, &["predict", "fit.json", "--samples", "1B"]);
    assert!(asked.contains("law exponential-mixing needs `weight_<domain>`"), "{asked}");
}

#[test]
fn what_if_changes_and_epoch_limits_change_the_answer() {
    let folder = fitted();
    let best = |more: &[&str]| {
        let args = [&["decide", "fit.json", "--samples", "34B"], more].concat();
        json(&folder, &args)["laws"][0]["best"]["ranking"][0]["name"].clone()
    };
    assert_eq!(best(&["--candidates", "LAION-80M,LAION-400M"]), "LAION-400M");
    assert_eq!(best(&["--unique", "LAION-2B=100M"]), "LAION-400M");
    let limited = json(&folder, &["decide", "fit.json", "--samples", "34B", "--max-epochs", "100"]);
    assert_eq!(limited["over_epochs"], serde_json::json!(["LAION-80M"]));
    let none = complaint(&folder, &["decide", "fit.json", "--samples", "34B", "--max-epochs", "1"]);
    assert!(none.contains("--max-epochs") && none.contains("unions"), "{none}");
}

#[test]
fn predictions_flag_what_no_run_has_seen() {
    let folder = fitted();
    let answer = json(&folder, &["predict", "fit.json", "--samples", "34B,1T"]);
    let predictions = answer["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), 6);
    for p in predictions {
        let far = p["samples"] == 1e12;
        assert_eq!(p["out_of_range"].as_array().unwrap().is_empty(), !far);
        let width = |key: &str| p[key]["high"].as_f64().unwrap() - p[key]["low"].as_f64().unwrap();
        assert!(width("new_run") > width("interval"), "a run adds its own noise: {p}");
    }
    assert!(
        said(&folder, &["predict", "fit.json", "--samples", "1T"]).contains("is outside the runs'")
    );
}

#[test]
fn curves_are_pictures_tables_or_json() {
    let folder = fitted();
    let runs = published("laion_clip_imagenet.csv");
    said(&folder, &["plot", "fit.json", "--out", "c.svg", "--runs", &runs, "--title", "A <title>"]);
    let picture = fs::read_to_string(folder.path().join("c.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("A &lt;title&gt;"));
    said(&folder, &["plot", "fit.json", "--out", "c.csv", "--points", "5", "--range", "1B..1T"]);
    let table = fs::read_to_string(folder.path().join("c.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 3 * 5);
    let refused = complaint(&folder, &["plot", "fit.json", "--out", "c.png"]);
    assert!(refused.contains("c.png") && refused.contains(".svg, .csv or .json"), "{refused}");
}

#[test]
fn a_law_is_chosen_by_what_it_would_have_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let runs = published("laion_clip_imagenet.csv");
    let answer = json(&folder, &["fit", &runs, "--group", "ViT-B-16"]);
    let tried = answer["tried"].as_array().unwrap();
    let errors: Vec<f64> = tried.iter().filter_map(|s| s["holdout"]["rmse"].as_f64()).collect();
    assert!(errors.len() >= 4 && errors.windows(2).all(|pair| pair[0] <= pair[1]), "{errors:?}");
    let first = LawKind::named(tried[0]["law"].as_str().unwrap(), 0).unwrap();
    let fitted: LawKind = serde_json::from_value(answer["fit"]["params"]["law"].clone()).unwrap();
    assert_eq!(fitted, first);
    let shares: Vec<f64> = tried.iter().filter_map(|s| s["share"].as_f64()).collect();
    assert_eq!(shares.len(), tried.len());
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{shares:?}");
    let left_out = answer["left_out"].as_array().unwrap();
    let why = |law: &str| {
        let found = left_out.iter().find(|out| out["law"] == law);
        found.unwrap_or_else(|| panic!("{law}: {left_out:?}"))["why"].as_str().unwrap().to_owned()
    };
    assert!(why("qqt-compat").contains("its paper contradicts"));
    assert!(why("chinchilla").contains("no `parameters`"));
    assert_eq!(tried.len() + left_out.len(), 21, "a line for every law");
}

#[test]
fn several_fits_have_an_equal_say() {
    let folder = fitted();
    let runs = published("laion_clip_imagenet.csv");
    said(
        &folder,
        &["fit", &runs, "--group", "ViT-B-16", "--law", "qqt-data-proportional", "-o", "2.json"],
    );
    let answer = json(&folder, &["decide", "fit.json", "2.json", "--samples", "34B"]);
    let wins: Vec<f64> = answer["consensus"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["wins"].as_f64().unwrap())
        .collect();
    assert!((wins.iter().sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn compute_is_split_between_model_and_data_under_an_epoch_cap() {
    let folder = tempfile::tempdir().unwrap();
    said(
        &folder,
        &["fit", &published("datablations.csv"), "--law", "data-constrained", "--draws", "50"],
    );
    let split = |more: &[&str]| {
        let args = [&["decide", "fit.json", "--compute", "1e21"], more].concat();
        json(&folder, &args)["pools"][0]["best"].clone()
    };
    let free = split(&["--unique", "100B"]);
    let product = free["parameters"].as_f64().unwrap() * free["samples"].as_f64().unwrap();
    assert!((6.0 * product / 1e21 - 1.0).abs() < 1e-9, "C = 6 N D");
    let capped = split(&["--unique", "10B", "--max-epochs", "2"]);
    assert_eq!(capped["at_cap"], true);
    assert!((capped["samples"].as_f64().unwrap() / 20e9 - 1.0).abs() < 1e-3);
}

#[test]
fn mixtures_stay_within_their_domains_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let table = published("regmix_train_1m.csv");
    let column = ["fit", &table, "--column", "loss=loss_pile_cc", "--ignore-unknown"];
    said(&folder, &[&column[..], &["--law", "exponential-mixing", "--draws", "0"]].concat());
    let open = json(&folder, &["decide", "fit.json", "--samples", "1B"])["optimum"].clone();
    let domains: Vec<&str> =
        open["domains"].as_array().unwrap().iter().map(|d| d.as_str().unwrap()).collect();
    let at = domains.iter().position(|d| *d == "pile_cc").unwrap();
    assert!(open["weights"][at].as_f64().unwrap() > 0.99, "the loss is Pile-CC's own");
    let args = ["decide", "fit.json", "--samples", "1B", "--unique", "100M", "--max-epochs", "4"];
    let capped = json(&folder, &args)["optimum"].clone();
    assert!((capped["weights"][at].as_f64().unwrap() - 0.4).abs() < 1e-6);
    assert_eq!(capped["at_cap"][at], true);
    let one = ["decide", "fit.json", "--samples", "1B", "--unique", "pile_cc=100M"];
    let missing = complaint(&folder, &one);
    assert!(missing.contains("`arxiv` has no size") && missing.contains("--unique"), "{missing}");
}

#[test]
fn a_parquet_table_gives_the_fit_of_its_csv() {
    let folder = tempfile::tempdir().unwrap();
    let (pools, samples) = (["a", "b"], [1e6, 4e6, 1.6e7, 6.4e7]);
    let mut csv = String::from("pool,samples,unique,error\n");
    let (mut pool, mut seen, mut unique, mut error) = (vec![], vec![], vec![], vec![]);
    for (p, name) in pools.into_iter().enumerate() {
        for (i, n) in samples.into_iter().enumerate() {
            let value = 0.9 - 0.1 * i as f64 - 0.03 * p as f64 + 0.01 * ((i * i + p) % 3) as f64;
            csv += &format!("{name},{n},8000000,{value}\n");
            pool.push(name.to_owned());
            seen.push(n as u64);
            unique.push(8_000_000);
            error.push(Some(value));
        }
    }
    fs::write(folder.path().join("runs.csv"), csv).unwrap();
    let columns = vec![
        ("pool", Column::Text(pool)),
        ("samples", Column::U64(seen)),
        ("unique", Column::U64(unique)),
        ("error", Column::OptF64(error)),
    ];
    table::write(&folder.path().join("runs.parquet"), columns).unwrap();
    let bytes = |runs: &str, out: &str| {
        said(&folder, &["fit", runs, "--law", "power", "--own", "none", "-o", out]);
        fs::read(folder.path().join(out)).unwrap()
    };
    assert_eq!(bytes("runs.csv", "1.json"), bytes("runs.parquet", "2.json"));
}

#[test]
fn the_same_file_comes_out_for_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let runs = published("laion_clip_imagenet.csv");
    let bytes = |threads: &str| {
        said(&folder, &["fit", &runs, "--group", "ViT-B-32", "--threads", threads]);
        fs::read(folder.path().join("fit.json")).unwrap()
    };
    assert_eq!(bytes("1"), bytes("3"));
}

#[test]
fn errors_name_what_is_wrong_and_what_to_do() {
    let folder = fitted();
    let with = |table: &str, more: &[&str]| {
        fs::write(folder.path().join("runs.csv"), table).unwrap();
        let more = [&["fit", "runs.csv", "--law", "qqt"], more].concat();
        complaint(&folder, &more)
    };
    let head = "pool,samples,unique,error\n";
    insta::assert_snapshot!(with(&format!("{head}a,1e6,1e6,0.5\n"), &[]), @"error: qqt cannot be fitted to 1 observations: 4 parameters are searched; add runs, fix parameters, or share them between pools");
    insta::assert_snapshot!(with(&format!("{head}a,1e6,1e6,-0.5\n"), &[]), @"error: runs.csv:2, field `error`: -0.5 is not above zero; no law reaches zero or less; check the sign, and that the column holds an error or a loss rather than an accuracy or a log-likelihood");
    insta::assert_snapshot!(with("pool,sampels,error\na,1e6,0.5\n", &[]), @"error: runs.csv:2, field `sampels`: no law knows this column; rename it, or skip unknown columns; known are pool, samples, unique, parameters, compute, upstream_loss, sigma, weight, group, weight_<domain>, error, loss, accuracy, metric, value");
    let missing = complaint(&folder, &["fit", "none.csv"]);
    assert!(
        missing.starts_with("error: none.csv: cannot be read or written; check that"),
        "{missing}"
    );
    assert!(missing.contains("because: No such file"), "{missing}");
    insta::assert_snapshot!(complaint(&folder, &["fit", &published("laion_clip_imagenet.csv"), "--law", "qtt"]), @"error: there is no law `qtt`; use one of: power, shifted-power, chinchilla, data-constrained, data-constrained-geometric, chinchilla-tied, data-constrained-tied, data-constrained-geometric-tied, qqt, qqt-compat, qqt-data, qqt-proportional, qqt-proportional-compat, qqt-data-proportional, qqt-power, qqt-power-compat, qqt-data-power, over-training, exponential-mixing, additive-mixing, loss-to-error");
    insta::assert_snapshot!(complaint(&folder, &["decide", "fit.json", "--samples", "1B", "--candidates", "LAION-5B"]), @"error: there is no pool `LAION-5B`; use one of: LAION-80M, LAION-400M, LAION-2B");
    insta::assert_snapshot!(complaint(&folder, &["decide", "runs.csv", "--samples", "1B"]), @"error: runs.csv: expected value at line 1 column 1; fit again with this version to get a readable file");
    fs::write(folder.path().join("group.csv"), "pool,group,error\na,x,0.5\n").unwrap();
    insta::assert_snapshot!(complaint(&folder, &["fit", "group.csv", "--group", "y"]), @"error: group.csv: no row has the group `y`; its groups are: x");
    let no_draws = [
        "fit",
        &published("laion_clip_imagenet.csv"),
        "--group",
        "ViT-B-16",
        "--law",
        "power",
        "--draws",
        "0",
    ];
    said(&folder, &no_draws);
    insta::assert_snapshot!(complaint(&folder, &["decide", "fit.json", "--samples", "1B"]), @"error: fit.json: holds no draws, from which intervals and win frequencies come; fit again with --draws above 0 and more runs than parameters");
    assert!(
        said(&folder, &["predict", "fit.json", "--samples", "5B"]).contains(" - "),
        "no interval without draws"
    );
}

#[test]
fn doubtful_tables_are_fitted_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let said_of = |table: &str| {
        fs::write(folder.path().join("runs.csv"), table).unwrap();
        said(&folder, &["fit", "runs.csv", "--law", "power", "--own", "none"])
    };
    let millions = "samples,error\n1,0.9\n2,0.8\n4,0.72\n8,0.66\n";
    assert!(said_of(millions).contains("write plain counts"));
    let twice = "samples,error\n1e6,0.9\n2e6,0.8\n4e6,0.72\n4e6,0.72\n8e6,0.66\n";
    assert!(said_of(twice).contains("rows [4] repeat"));
}

#[test]
fn help_says_what_each_option_does() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["fit", "predict", "decide", "plot"] {
        insta::assert_snapshot!(command, said(&folder, &[command, "--help"]));
    }
}

#[test]
fn the_books_five_runs_can_be_planned_with() {
    let folder = tempfile::tempdir().unwrap();
    said(&folder, &["fit", &five_runs(), "--law", "qqt-proportional", "--own", "none"]);
    let answer = json(&folder, &["decide", "fit.json", "--samples", "34B"]);
    assert_eq!(answer["laws"][0]["best"]["ranking"][0]["name"], "LAION-2B");
}
