//! Tables of a network's inference beside its peers.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::{classes, fixed, list, read, significant, text};

pub(super) fn kernels(root: &Path) -> Result<String> {
    let report = read(root, "benches/kernels/results.json")?;
    let mut out = String::from(
        "| one thread | ours, GFLOP/s | NumPy's OpenBLAS | ours over NumPy's, mean of 5 shapes | \
         ours over the peak | bar |\n|---|---|---|---|---|---|\n",
    );
    for (name, set) in [("AVX-512", "avx512"), ("AVX2", "avx2")] {
        let share = format!("{set}_over_sgemm");
        let peak = format!("{set}_over_peak");
        out += &format!(
            "| {name}, 192 x 768 by 768 x 3072 | {} | {} | {} | {} | {} |\n",
            fixed(&report["ours"][set]["multiply_c_fc"], 0),
            fixed(&report["numpy"][set]["c_fc"], 0),
            fixed(&report["ratios"][&share], 2),
            fixed(&report["ratios"][&peak], 2),
            significant(&report["bars"][&share]),
        );
    }
    Ok(out)
}

pub(super) fn speed(root: &Path) -> Result<String> {
    let rows = [
        ("image tower of ViT-B/32, batch 32: PyTorch", "tower", "torch"),
        ("the same: ONNX Runtime", "tower", "onnxruntime"),
        ("captions to tokens, 1 thread: Hugging Face tokenizers", "tokens_1_thread", "tokenizers"),
        ("the same, 2 threads", "tokens_2_threads", "tokenizers"),
        ("JPEG to 224 pixels, 1 thread: Pillow", "jpeg", "pillow"),
        ("PNG to 224 pixels, 1 thread: Pillow", "png", "pillow"),
    ];
    let mut out = String::from(
        "| processor | | theirs, s | ours, s | theirs over ours | bar |\n|---|---|---|---|---|---|\n",
    );
    let mut below = String::new();
    for (class, report) in classes::records(root, "benches/dfn/records/inference")? {
        for (what, part, side) in rows {
            let ratio = format!("{part}_{side}_over_ours");
            let bar = report["bars"].get(&ratio).map_or("-".to_owned(), significant);
            let seconds = &report[part]["seconds"];
            out += &format!(
                "| {class} | {what} | {} | {} | {} | {bar} |\n",
                fixed(&seconds[side], 3),
                fixed(&seconds["ours"], 3),
                fixed(&report["ratios"][&ratio], 2),
            );
        }
        let tower = &report["tower"];
        below += &format!(
            "\n{class}: the tower's batch is {} GFLOP: {} GFLOP/s, where NumPy's matrix product reached {} in the \
             same run ({}, {} threads).\n",
            fixed(&tower["case"]["gflop"], 0),
            fixed(&tower["gflops"]["ours"], 0),
            fixed(&tower["sgemm_gflops"], 0),
            report["machine"]["cpu"].as_str().unwrap_or("an unnamed processor"),
            report["threads"],
        );
    }
    Ok(out + &below)
}

/// A pool embedded from end to end.
pub(super) fn embedding(root: &Path) -> Result<String> {
    let mut out = String::from(
        "| processor | open_clip, PyTorch and webdataset, images a second | ours | ours over theirs | bar |\n\
         |---|---|---|---|---|\n",
    );
    let records = classes::records(root, "benches/dfn/records/embed")?;
    for (class, report) in &records {
        let rate = &report["embed"]["images_per_second"];
        out += &format!(
            "| {class} | {} | {} | {} | {} |\n",
            fixed(&rate["open_clip"], 1),
            fixed(&rate["ours"], 1),
            fixed(&report["ratios"]["embed_open_clip_over_ours"], 2),
            significant(&report["bars"]["embed_open_clip_over_ours"]),
        );
    }
    for (class, report) in &records {
        let (embed, case) = (&report["embed"], &report["embed"]["case"]);
        out += &format!(
            "\n{class}: {} pairs, {}; JPEGs of at most {} pixels a side; {} workers of theirs, {} threads of ours ({}). \
             Embeddings differ by {} at most.\n",
            case["images"],
            text(&case["model"]),
            case["side"],
            case["workers"],
            report["threads"],
            text(&report["machine"]["cpu"]),
            significant(&embed["largest_difference"]),
        );
    }
    Ok(out)
}

/// The tower in less precision, and what that changes in scores.
pub(super) fn precision(root: &Path) -> Result<String> {
    let records = classes::records(root, "benches/dfn/records/precision")?;
    let mut out = String::from(
        "| processor | ours in | s | PyTorch's f32 over ours | bar | its bf16 | bar | ONNX Runtime's int8 | our f32 | \
         least cosine with PyTorch's f32 |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let mut below = String::new();
    for ((class, report), mode) in
        records.iter().flat_map(|record| MODES.map(|mode| (record, mode)))
    {
        let Some(part) = report.get(mode) else { continue };
        let cell = |side: &str| {
            let ratio = format!("{mode}_{side}_over_ours");
            (
                report["ratios"].get(&ratio).map_or("-".to_owned(), |ratio| fixed(ratio, 2)),
                report["bars"].get(&ratio).map_or("-".to_owned(), significant),
            )
        };
        let (torch, half) = (cell("torch"), cell("torch_bf16"));
        out += &format!(
            "| {class} | {mode} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            fixed(&part["seconds"]["ours"], 3),
            torch.0,
            torch.1,
            half.0,
            half.1,
            cell("onnxruntime_int8").0,
            cell("ours_f32").0,
            fixed(&part["least_cosine"]["ours"], 5),
        );
        below += &changes(class, mode, report, part);
    }
    Ok(out + &below)
}

/// What a network's layers can be rounded to.
const MODES: [&str; 2] = ["bf16", "int8"];

fn changes(class: &str, mode: &str, report: &Value, part: &Value) -> String {
    let (scores, case) = (&part["scores"], &part["case"]);
    let percent = |value: &Value| 100.0 * value.as_f64().unwrap_or(f64::NAN);
    format!(
        "\n{class}, {mode}: batch {}, weights at random, {} threads ({}). Scores of the demonstration's {} pairs by its \
         trained network: rank correlation {} between f32 and {mode}, {:.1} % of a cut of the best {:.0} % changed, the \
         largest difference {} where scores vary by {}.\n",
        case["batch"],
        report["threads"],
        text(&report["machine"]["cpu"]),
        scores["pairs"],
        fixed(&scores["rank_correlation"], 5),
        percent(&scores["changed"]),
        percent(&scores["share"]),
        significant(&scores["largest_difference"]),
        significant(&scores["deviation"]),
    )
}

pub(super) fn conformance(root: &Path) -> Result<String> {
    let report = read(root, "docs/results/conformance_wgpu.json")?;
    let mut out = String::new();
    for device in list(&report)? {
        out += &format!(
            "| {}: {} | largest difference | bar |\n|---|---|---|\n",
            text(&device["device"]),
            text(&device["description"]),
        );
        for check in list(&device["checks"])? {
            let difference = check["difference"].as_f64().unwrap_or(f64::NAN);
            let bar = check["bar"].as_f64().unwrap_or(f64::NAN);
            out += &format!("| {} | {difference:.1e} | {bar:.0e} |\n", text(&check["name"]));
        }
    }
    Ok(out)
}

pub(super) fn training(root: &Path) -> Result<String> {
    let records = classes::records(root, "benches/dfn/records/training")?;
    let mut out = String::from(
        "| processor | a step | PyTorch, s | ours, s | PyTorch over ours |\n|---|---|---|---|---|\n",
    );
    for (class, report) in &records {
        for (what, part) in [
            ("captions of at most 21 tokens", "short_captions"),
            ("captions of 77 tokens", "long_captions"),
        ] {
            let seconds = &report[part]["seconds"];
            out += &format!(
                "| {class} | {what} | {} | {} | {} |\n",
                fixed(&seconds["torch"], 3),
                fixed(&seconds["ours"], 3),
                fixed(&report["ratios"][format!("{part}_torch_over_ours")], 2),
            );
        }
    }
    for (class, report) in &records {
        out += &time_of_training(class, report);
    }
    Ok(out)
}

fn time_of_training(class: &str, report: &Value) -> String {
    let shares = report["long_captions"]["shares"].as_object().into_iter().flatten();
    let shares: Vec<String> = shares
        .map(|(name, share)| format!("{name} {:.0} %", 100.0 * share.as_f64().unwrap_or(f64::NAN)))
        .collect();
    let case = &report["short_captions"]["case"];
    format!(
        "\n{class}: {}, batch {}, {} threads; the losses of {} steps differ by {} at most. One thread's time, with \
         long captions: {}.\n",
        text(&case["model"]),
        case["batch"],
        report["threads"],
        case["steps"],
        significant(&report["long_captions"]["largest_difference_of_losses"]),
        shares.join(", "),
    )
}

pub(super) fn demo_filter(root: &Path) -> Result<String> {
    let report = read(root, "docs/results/demo_filter.json")?;
    let mut out = String::from(
        "| planted captions | rows | AUROC against originals | among the lowest 30 % of scores |\n\
         |---|---|---|---|\n",
    );
    for (kind, found) in report["kinds"].as_object().into_iter().flatten() {
        out += &format!(
            "| {kind} | {} | {} | {:.1} % |\n",
            found["rows"],
            fixed(&found["auroc"], 3),
            100.0 * found["among_lowest"].as_f64().unwrap_or(f64::NAN),
        );
    }
    let bars = &report["bars"];
    out += &format!(
        "\n{:.1} MB, {} pairs, {} steps of {}. The bars, for swapped captions: AUROC {}, {:.0} % among \
         the lowest.\n",
        report["bytes"].as_f64().unwrap_or(f64::NAN) / 1e6,
        report["pairs"],
        report["steps"],
        report["batch"],
        significant(&bars["auroc_swapped"]),
        100.0 * bars["swapped_among_lowest"].as_f64().unwrap_or(f64::NAN),
    );
    Ok(out)
}

pub(super) fn shares(root: &Path) -> Result<String> {
    let mut records = classes::records(root, "benches/dfn/records/inference")?;
    // Only where the profiler is there are shares measured.
    records.retain(|(_, report)| report["tower"]["shares"].is_object());
    let names: Vec<&str> = records.iter().map(|(class, _)| &**class).collect();
    let mut out = format!("| part of the tower | {} |\n", names.join(" | "));
    out += &format!("|---|{}\n", "---|".repeat(names.len()));
    let parts = records.first().and_then(|(_, report)| report["tower"]["shares"].as_object());
    for name in parts.into_iter().flatten().map(|(name, _)| name) {
        let share = |(_, report): &(String, Value)| {
            let share = report["tower"]["shares"][name].as_f64();
            share.map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
        };
        let cells: Vec<String> = records.iter().map(share).collect();
        out += &format!("| {name} | {} |\n", cells.join(" | "));
    }
    Ok(out)
}
