//! The README's table: how fast, beside what people use now.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::{cluster, fixed, read};

pub(super) fn speed(root: &Path) -> Result<String> {
    let network = read(root, "benches/dfn/results.json")?;
    let laws = read(root, "benches/scaling/results.json")?;
    let (overlap, dedup) =
        (cluster::part(root, "k-means-1024-overlap")?, cluster::part(root, "dedup")?);
    let pools = read(root, "benches/io/results.json")?;
    let mut out = String::from("| | beside | times as fast |\n|---|---|---|\n");
    let mut row = |what: &str, beside: &str, ratio: &Value| {
        out += &format!("| {what} | {beside} | {} |\n", fixed(ratio, 1));
    };
    row(
        "k-means, 100,000 x 512, 1,024 clusters, 20 iterations",
        "faiss-cpu",
        &overlap["ratios"]["faiss_over_ours"],
    );
    row(
        "semantic deduplication, 50 clusters of 2,000 rows",
        "the published formulation in PyTorch",
        &dedup["ratios"]["torch_over_ours"],
    );
    row(
        "image tower of ViT-B/32, batch 32",
        "PyTorch's CPU forward",
        &network["ratios"]["tower_torch_over_ours"],
    );
    row(
        "captions to CLIP's tokens",
        "Hugging Face tokenizers",
        &network["ratios"]["tokens_2_threads_tokenizers_over_ours"],
    );
    row("JPEG to 224 pixels", "Pillow", &network["ratios"]["jpeg_pillow_over_ours"]);
    row(
        "DataComp's `clip_score` over 5 million rows",
        "its script's pandas",
        &pools["parts"]["clip_score"]["ratios"]["pandas_over_ours"],
    );
    row(
        "DataComp's resharder, 50,000 samples",
        "Python's webdataset",
        &pools["parts"]["reshard"]["ratios"]["all_4_kb_webdataset_over_ours"],
    );
    row("a scaling law with its bootstrap", "scipy", &laws["ratios"]["qqt_bootstrap_vs_scipy"]);
    Ok(out)
}
