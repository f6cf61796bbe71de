//! Puts numbers of result files into documents, so that nobody types them.
//!
//! A document marks a place with a line `<!-- begin NAME -->` and one `<!-- end NAME -->`; what is
//! between them is written by the table of that name. The marks may stand in a comment (`//! `),
//! whose prefix the lines between get too.

mod claims;
mod classes;
mod cluster;
mod compute_aware;
mod datacomp_tiny;
mod eval;
mod io;
mod kd_pruning;
mod keys;
mod network;
mod promises;
mod python;
mod select_tiny;
mod summary;
mod tasks;

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use claims::claims;
pub(crate) use claims::missed_claims;

/// The documents with marks.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "demo/filter/README.md",
    "docs/src/baselines.md",
    "docs/src/choosing.md",
    "docs/src/clustering.md",
    "docs/src/compute-aware.md",
    "docs/src/datacomp-tiny.md",
    "docs/src/devices.md",
    "docs/src/distill.md",
    "docs/src/eval.md",
    "docs/src/scaling.md",
    "docs/src/experiment.md",
    "docs/src/keys.md",
    "docs/src/filter.md",
    "docs/src/promises.md",
    "docs/src/python.md",
    "docs/src/runs.md",
    "docs/src/select.md",
    "docs/src/tasks.md",
    "docs/src/transfer.md",
    "crates/curate-scaling/src/lib.rs",
];

/// Makes a table from the result files below the workspace's folder.
type Table = fn(&Path) -> Result<String>;

/// What may stand between marks.
const TABLES: &[(&str, Table)] = &[
    ("cluster-beside", cluster::beside),
    ("cluster-levels", cluster::levels),
    ("cluster-real", cluster::real),
    ("cluster-scale", cluster::scale),
    ("cluster-speed", cluster::speed),
    ("compute-aware-choices", compute_aware::choices),
    ("compute-aware-claims", |root| claims(root, "compute_aware")),
    ("compute-aware-demo-claims", |root| claims(root, "compute_aware_demo")),
    ("compute-aware-regret", compute_aware::regret),
    ("kernels-speed", network::kernels),
    ("conformance-wgpu", network::conformance),
    ("datacomp-tiny-claims", |root| claims(root, "datacomp_tiny")),
    ("datacomp-tiny-strategies", datacomp_tiny::strategies),
    ("demo-filter", network::demo_filter),
    ("eval-demo", eval::demo),
    ("eval-speed", eval::speed),
    ("io-runs", io::runs),
    ("io-speed", io::speed),
    ("dbp-choices", select_tiny::concepts),
    ("dbp-claims", |root| claims(root, "dbp_tiny")),
    ("kd-pruning-claims", |root| claims(root, "kd_pruning")),
    ("kd-pruning-students", kd_pruning::students),
    ("kd-pruning-teachers", kd_pruning::teachers),
    ("kd-pruning-theory", kd_pruning::theory),
    ("dfn-embed", network::embedding),
    ("dfn-precision", network::precision),
    ("dfn-shares", network::shares),
    ("dfn-speed", network::speed),
    ("dfn-training", network::training),
    ("dfn-small-protocol", dfn_small_protocol),
    ("dfn-small-arms", dfn_small_arms),
    ("dfn-small-filters", dfn_small_filters),
    ("scaling-ahead", scaling_ahead),
    ("scaling-claims", |root| claims(root, "scaling")),
    ("scaling-coverage", scaling_coverage),
    ("scaling-five-runs", scaling_five_runs),
    ("scaling-ridge", scaling_ridge),
    ("scaling-trade-off", scaling_trade_off),
    ("scaling-speed", scaling_speed),
    ("memory", promises::memory),
    ("python-speed", python::speed),
    ("recipe-keys", keys::recipe_keys),
    ("select-claims", |root| claims(root, "select_tiny")),
    ("select-families", select_tiny::families),
    ("select-leaderboard", select_tiny::leaderboard),
    ("select-properties", select_tiny::properties),
    ("torture", promises::torture),
    ("transfer-choices", select_tiny::transfer),
    ("transfer-claims", |root| claims(root, "dp4tl_tiny")),
    ("tasks-model", tasks::model),
    ("tasks-overhead", tasks::overhead),
    ("tasks-simulated", tasks::simulated),
    ("tasks-soak", tasks::soak),
    ("speed", summary::speed),
];

/// Rewrites every document.
pub(crate) fn all(root: &Path) -> Result<()> {
    for document in DOCUMENTS {
        let path = root.join(document);
        let text = fs::read_to_string(&path).with_context(|| document.to_owned())?;
        let spliced = splice(&text, root).with_context(|| document.to_owned())?;
        if spliced != text {
            fs::write(&path, spliced).with_context(|| document.to_owned())?;
            eprintln!("  wrote {document}");
        }
    }
    Ok(())
}

fn splice(text: &str, root: &Path) -> Result<String> {
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        out += line;
        out.push('\n');
        let Some((prefix, rest)) = line.split_once("<!-- begin ") else { continue };
        let name = rest.strip_suffix(" -->").context("a begin mark must end its line with -->")?;
        let table = TABLES.iter().find(|(known, _)| *known == name);
        let (_, make) = table.with_context(|| format!("no table is called `{name}`"))?;
        for row in make(root)?.lines() {
            out += format!("{prefix}{row}").trim_end();
            out.push('\n');
        }
        let end = format!("{prefix}<!-- end {name} -->");
        if !lines.by_ref().any(|line| line == end) {
            bail!("the mark `{name}` has no end");
        }
        out += &end;
        out.push('\n');
    }
    Ok(out)
}

fn read(root: &Path, name: &str) -> Result<Value> {
    let text = fs::read_to_string(root.join(name)).with_context(|| name.to_owned())?;
    serde_json::from_str(&text).with_context(|| name.to_owned())
}

fn scaling(root: &Path) -> Result<Value> {
    read(root, "docs/results/scaling.json")
}

/// A number in the file, with so many decimals.
fn fixed(value: &Value, digits: usize) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |number| format!("{number:.digits$}"))
}

/// Five significant digits, in scientific notation where that is shorter.
fn significant(value: &Value) -> String {
    let Some(number) = value.as_f64() else { return "-".to_owned() };
    if number == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e6).contains(&number.abs()) {
        return format!("{number:.2e}");
    }
    let digits = (4.0 - number.abs().log10().floor()).max(0.0) as usize;
    let text = format!("{number:.digits$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

fn billions(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |number| format!("{:.1} billion", number / 1e9))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().context("the result file lacks a list; run its command again")
}

/// Coverage claims come in pairs, of the covariance and of the bootstrap.
fn scaling_coverage(root: &Path) -> Result<String> {
    let report = scaling(root)?;
    let found = |kind: &str| -> Result<Vec<(String, String)>> {
        let start = format!("coverage of 90 % {kind} intervals: ");
        let claims = list(&report["claims"])?.iter();
        let of = claims.filter_map(|claim| {
            let quantity = text(&claim["name"]).strip_prefix(&start)?;
            Some((quantity.to_owned(), fixed(&claim["measured"], 3)))
        });
        Ok(of.collect())
    };
    let mut out = String::from("| quantity | covariance | bootstrap |\n|---|---|---|\n");
    for ((quantity, by_covariance), (_, by_bootstrap)) in
        found("covariance")?.into_iter().zip(found("bootstrap")?)
    {
        let quantity = match quantity.contains("error") {
            true => quantity,
            false => format!("`{quantity}`"),
        };
        out += &format!("| {quantity} | {by_covariance} | {by_bootstrap} |\n");
    }
    Ok(out)
}

/// Intervals of the laws together, beside those of the one law that predicted best.
fn scaling_ahead(root: &Path) -> Result<String> {
    let report = scaling(root)?;
    let head = "| table, runs fitted | fits | larger runs | inside | inside, one law | width | error \
                | settled, right |\n|---|---|---|---|---|---|---|---|\n";
    let mut out = String::from(head);
    let percent = |share: &Value| match share.as_f64() {
        Some(share) => format!("{:.1} %", 100.0 * share),
        None => "-".to_owned(),
    };
    for row in list(&report["ahead"])? {
        out += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {}, {} |\n",
            text(&row["table"]),
            row["fits"],
            row["runs"],
            percent(&row["held"]),
            percent(&row["held_by_one_law"]),
            percent(&row["width"]),
            percent(&row["error"]),
            row["settled"],
            percent(&row["settled_right"]),
        );
    }
    Ok(out)
}

fn scaling_five_runs(root: &Path) -> Result<String> {
    let report = scaling(root)?;
    let head =
        "| pool | predicted error | 90 % interval | wins | measured |\n|---|---|---|---|---|\n";
    let mut out = String::from(head);
    for row in list(&report["five_runs"])? {
        let (ranked, metric) = (&row["ranked"], &row["ranked"]["metric"]);
        out += &format!(
            "| {} | {} | {} to {} | {} | {} |\n",
            text(&ranked["name"]),
            fixed(&metric["estimate"], 3),
            fixed(&metric["low"], 3),
            fixed(&metric["high"], 3),
            fixed(&ranked["wins"], 2),
            fixed(&row["measured"], 3),
        );
    }
    Ok(out)
}

fn scaling_ridge(root: &Path) -> Result<String> {
    let report = scaling(root)?;
    let head = "| floor `d` | `a` | RMSE on the nine runs (points) | error at 34 billion (%) | at 340 billion (%) |\n|---|---|---|---|---|\n";
    let mut out = String::from(head);
    for row in list(&report["ridge"])? {
        out += &format!(
            "| {} | {} | {} | {} | {} |\n",
            fixed(&row["d"], 2),
            significant(&row["a"]),
            fixed(&row["rmse_points"], 2),
            fixed(&row["at_34B"], 1),
            fixed(&row["at_340B"], 1),
        );
    }
    Ok(out)
}

fn scaling_trade_off(root: &Path) -> Result<String> {
    let report = scaling(root)?;
    let mut out = String::new();
    let qualities = list(&report["trade_off"]["quality"])?;
    let shown = qualities.iter().map(|q| format!("{} {}", text(&q["pool"]), fixed(&q["b"], 4)));
    out += &format!("Fitted quality `b`: {}.\n", shown.collect::<Vec<_>>().join(", "));
    for switch in list(&report["trade_off"]["switches"])? {
        let samples = &switch["samples"];
        out += &format!(
            "From {} to {} at {} samples seen (90 % interval {} to {}).\n",
            text(&switch["from"]),
            text(&switch["to"]),
            billions(&samples["estimate"]),
            billions(&samples["low"]),
            billions(&samples["high"]),
        );
    }
    Ok(out)
}

fn scaling_speed(root: &Path) -> Result<String> {
    let report = read(root, "benches/scaling/results.json")?;
    let rows = [
        ("QQT, given half-life, 4 starts: scipy least squares over ours", "qqt_given_vs_scipy"),
        ("QQT, shared half-life, 4 starts: scipy over ours", "qqt_shared_vs_scipy"),
        ("the authors' grid as vectorised NumPy over our fit", "qqt_given_vs_numpy_grid"),
        ("the grid itself: NumPy over our exact mode", "qqt_grid_vs_numpy_grid"),
        ("4,000 bootstrap draws: scipy over ours", "qqt_bootstrap_vs_scipy"),
        ("additive mixing on DMSL: scipy over ours", "dmsl_vs_scipy"),
    ];
    let mut out = String::from("| times as fast | ratio |\n|---|---|\n");
    for (name, key) in rows {
        out += &format!("| {name} | {} |\n", significant(&report["ratios"][key]));
    }
    let seconds = significant(&report["ours"]["qqt_bootstrap_4000"]);
    let threads = significant(&report["ours"]["threads"]);
    out += &format!("\n4,000 draws took {seconds} s on {threads} threads.\n");
    Ok(out)
}

fn dfn_small(root: &Path) -> Result<Value> {
    read(root, "docs/results/dfn_small.json")
}

/// A share's mean and spread in per cent.
fn shares(spread: &Value) -> String {
    match (spread["mean"].as_f64(), spread["sd"].as_f64()) {
        (Some(mean), Some(sd)) => format!("{:.1} ± {:.1}", 100.0 * mean, 100.0 * sd),
        _ => "-".to_owned(),
    }
}

fn dfn_small_protocol(root: &Path) -> Result<String> {
    let report = dfn_small(root)?;
    let protocol = &report["protocol"];
    let clean = list(&protocol["clean"])?.iter();
    let clean = clean.map(|step| format!("{} ({})", step["rows"], text(&step["step"])));
    Ok(format!(
        "{} rows to filter; clean sets of {} rows, each with the ones before; {} test pictures of {} \
         concepts ({} unseen) in {} subcategories; {} rows dropped because they show an unseen \
         concept; {} seeds.\n",
        protocol["pool_rows"],
        clean.collect::<Vec<_>>().join(", "),
        protocol["test_rows"],
        protocol["concepts"],
        protocol["unseen_concepts"],
        protocol["subcategories"],
        protocol["rows_dropped_for_unseen_concepts"],
        report["seeds"],
    ))
}

fn dfn_small_arms(root: &Path) -> Result<String> {
    let report = dfn_small(root)?;
    let mut out = String::from(
        "| trained on | rows | right captions | **subcategory** | against no filter | subcategory, unseen | recall, seen | recall, unseen |\n|---|---|---|---|---|---|---|---|\n",
    );
    for arm in list(&report["arms"])? {
        let columns = [
            "precision",
            "subcategory",
            "against_no_filter",
            "subcategory_unseen",
            "recall_seen",
            "recall_unseen",
        ];
        let cells = columns.map(|key| shares(&arm[key])).join(" | ");
        out += &format!("| {} | {} | {cells} |\n", text(&arm["arm"]), arm["rows"]);
    }
    Ok(out)
}

fn dfn_small_filters(root: &Path) -> Result<String> {
    let report = dfn_small(root)?;
    let filters = list(&report["filters"])?;
    let kinds = list(&filters[0]["kinds"])?;
    let names: Vec<&str> = kinds.iter().map(|kind| text(&kind["kind"])).collect();
    let mut out = format!("| filter | {} | its own accuracy |\n", names.join(" | "));
    out += &format!("|---|{}---|\n", "---|".repeat(names.len()));
    for filter in filters {
        let cells: Vec<String> =
            list(&filter["kinds"])?.iter().map(|kind| shares(&kind["auroc"])).collect();
        let own = shares(&filter["own_subcategory"]);
        out += &format!("| {} | {} | {own} |\n", text(&filter["filter"]), cells.join(" | "));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_show_the_numbers_of_the_result_files() {
        let root = crate::root();
        for document in DOCUMENTS {
            let text = fs::read_to_string(root.join(document)).expect("the document exists");
            let spliced = splice(&text, &root).expect("the marks are right");
            assert!(spliced == text, "{document}: run `cargo xtask splice`");
        }
    }

    #[test]
    fn no_page_of_the_book_has_marks_that_nobody_fills() {
        let pages =
            fs::read_dir(crate::root().join("docs/src")).expect("the book exists").flatten();
        for page in pages.filter(|page| page.file_type().is_ok_and(|kind| kind.is_file())) {
            let text = fs::read_to_string(page.path()).expect("a page is text");
            let name = format!("docs/src/{}", page.file_name().to_string_lossy());
            let is_listed = DOCUMENTS.contains(&&*name);
            assert_eq!(is_listed, text.contains("<!-- begin "), "{name} in DOCUMENTS");
        }
    }

    #[test]
    fn marks_are_checked_and_prefixes_kept() {
        let root = crate::root();
        let spliced = splice(
            "//! <!-- begin scaling-ridge -->\n//! old\n//! <!-- end scaling-ridge -->\n",
            &root,
        )
        .expect("the marks are right");
        assert!(spliced.lines().all(|line| line.starts_with("//!")) && !spliced.contains("old"));
        assert!(splice("<!-- begin nothing -->\n", &root).is_err());
        assert!(splice("<!-- begin scaling-ridge -->\n", &root).is_err());
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(significant(&serde_json::json!(0.0158047)), "0.015805");
        assert_eq!(significant(&serde_json::json!(4.6e-15)), "4.60e-15");
        assert_eq!(significant(&serde_json::json!(288.779)), "288.78");
        assert_eq!(significant(&serde_json::json!(1.5)), "1.5");
        assert_eq!(significant(&serde_json::json!(50_000)), "50000");
    }
}
