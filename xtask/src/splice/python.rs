//! The table of `benches/python`.

use std::path::Path;

use anyhow::Result;

use super::{fixed, read};

/// Times as fast as what Python users import.
pub(super) fn speed(root: &Path) -> Result<String> {
    let report = read(root, "benches/python/results.json")?;
    let mut out = String::from("| beside | what | times as fast |\n|---|---|---|\n");
    for (part, peer, beside, what) in [
        ("k-means", "faiss", "`faiss.Kmeans`", "k-means, 256 clusters, Euclidean"),
        ("k-means", "superkmeans", "`superkmeans.SuperKMeans`", "the same"),
        ("k-means", "sklearn", "`sklearn.cluster.KMeans`", "the same"),
        ("dedup", "torch", "SemDeDup's formulation in torch", "clusters of about 2,000 rows"),
        ("semhash", "semhash", "`semhash.SemHash`", "duplicates among 20,000 pictures"),
        ("laws", "scipy", "`scipy.optimize.least_squares`", "a power law and its bootstrap"),
    ] {
        let ratio = &report["parts"][part]["ratios"][format!("{peer}_over_ours").as_str()];
        out += &format!("| {beside} | {what} | {} |\n", fixed(ratio, 1));
    }
    let (kept, inertia) =
        (&report["parts"]["semhash"]["rows_kept"], &report["parts"]["k-means"]["inertia"]);
    let share = |peer: &str| {
        let of = |side: &str| inertia[side].as_f64().unwrap_or(f64::NAN);
        format!("{:.4}", of("ours") / of(peer))
    };
    out += &format!(
        "\nEach side of k-means draws its own start: inertia, ours over theirs, is {} beside faiss, {} beside \
         SuperKMeans and {} beside scikit-learn. semhash looks in an approximate index, ours at every pair: {} \
         and {} rows stay. Both lists of SemDeDup are the same.\n",
        share("faiss"),
        share("superkmeans"),
        share("sklearn"),
        fixed(&kept["semhash"], 0),
        fixed(&kept["ours"], 0),
    );
    Ok(out)
}
