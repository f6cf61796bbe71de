//! The README's table: how fast, beside what people use now.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::{classes, cluster, fixed, read};

pub(super) fn speed(root: &Path) -> Result<String> {
    let network = classes::records(root, "benches/dfn/records/inference")?;
    let laws = read(root, "benches/scaling/results.json")?;
    let (overlap, dedup) =
        (cluster::part(root, "k-means-1024-overlap")?, cluster::part(root, "dedup")?);
    let pools = read(root, "benches/io/results.json")?;
    let real: Vec<Value> = cluster::records(root)?.into_iter().map(|(_, record)| record).collect();
    let mut out = String::from("| | beside | times as fast |\n|---|---|---|\n");
    let mut row = |what: &str, beside: &str, ratio: &Value| {
        out += &format!("| {what} | {beside} | {} |\n", fixed(ratio, 1));
    };
    let k_means =
        "k-means, 20 iterations, the least of made and real data, with AVX-512 or without";
    row(k_means, "faiss-cpu", &least(&real, "faiss_over_ours", Some(&overlap)));
    row(k_means, "SuperKMeans, approximate", &least(&real, "superkmeans_over_ours", None));
    row(
        "semantic deduplication, 50 clusters of 2,000 rows",
        "the published formulation in PyTorch",
        &dedup["ratios"]["torch_over_ours"],
    );
    row(
        "image tower of ViT-B/32, batch 32",
        "PyTorch's CPU forward",
        &classes::least(&network, "tower_torch_over_ours"),
    );
    row(
        "captions to CLIP's tokens",
        "Hugging Face tokenizers",
        &classes::least(&network, "tokens_2_threads_tokenizers_over_ours"),
    );
    row("JPEG to 224 pixels", "Pillow", &classes::least(&network, "jpeg_pillow_over_ours"));
    row(
        "DataComp's `clip_score` over 5 million rows",
        "the fastest of its script's pandas, DuckDB and polars",
        &fastest(&pools["parts"]["clip_score"], &["pandas", "duckdb", "polars"]),
    );
    row(
        "DataComp's resharder, 50,000 samples",
        "Python's webdataset",
        &pools["parts"]["reshard"]["ratios"]["all_4_kb_webdataset_over_ours"],
    );
    row("a scaling law with its bootstrap", "scipy", &laws["ratios"]["qqt_bootstrap_vs_scipy"]);
    Ok(out)
}

/// The ratio of the fastest of several peers.
fn fastest(part: &Value, peers: &[&str]) -> Value {
    let ratio = |peer: &&str| part["ratios"][format!("{peer}_over_ours")].as_f64();
    peers.iter().filter_map(ratio).min_by(f64::total_cmp).map_or(Value::Null, Value::from)
}

/// The least that a peer's ratio is on any data, any processor and with any instructions: a headline that no
/// kind data flatters.
fn least(records: &[Value], ratio: &str, more: Option<&Value>) -> Value {
    let parts = records.iter().filter_map(|record| record["parts"].as_object());
    let all = parts.flat_map(|parts| parts.values()).chain(more).flat_map(|part| {
        let kinds = ["", "_f32", "_avx2"].map(|kind| format!("{ratio}{kind}"));
        kinds.into_iter().filter_map(|ratio| part["ratios"][ratio].as_f64())
    });
    all.min_by(f64::total_cmp).map_or(Value::Null, Value::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_headline_is_the_least_of_all_data() {
        let peers =
            json!({ "ratios": { "a_over_ours": 3.0, "b_over_ours": 2.0, "c_over_ours": 1.0 } });
        assert_eq!(fastest(&peers, &["a", "b"]), json!(2.0));
        let part = |ratio: f64| json!({ "ratios": { "r": ratio } });
        let real = [
            json!({ "parts": { "a": part(7.0), "b": part(5.5) } }),
            json!({ "parts": { "a": { "ratios": { "r": 6.0, "r_avx2": 4.5 } } } }),
        ];
        assert_eq!(least(&real, "r", Some(&part(18.0))), json!(4.5));
        assert_eq!(least(&real, "r", Some(&part(2.0))), json!(2.0));
        assert_eq!(least(&real[..1], "r", None), json!(5.5));
        assert_eq!(least(&real, "other", None), Value::Null);
    }
}
