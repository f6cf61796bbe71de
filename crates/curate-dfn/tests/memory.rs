//! What is held in memory does not grow with the number of shards.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{fs, path::Path};

use common::bytes;
use curate_core::{Cut, NoProgress};
use curate_dfn::{
    Network, OpenClipConfig, Weights,
    filter::{EmbedParams, Embedded, Features, ScoreInputs, ScoreParams, align::Norm},
};
use curate_io::PoolOptions;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The most bytes on the heap while something is done, beyond those before.
fn peak(work: impl FnOnce()) -> usize {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    work();
    MEMORY.peak_usage() - before
}

const MODEL: &str = r#"{"model_cfg": {"embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 16, "width": 32, "heads": 2, "layers": 1}}}"#;

const ROWS: usize = 300;

fn shard(file: &Path, number: usize) {
    let mut tar = tar::Builder::new(fs::File::create(file).unwrap());
    let image = bytes("tiny/image_4_20x20.png");
    for row in 0..ROWS {
        let caption = format!("picture {row} of shard {number}");
        for (ending, data) in [("png", &image[..]), ("txt", caption.as_bytes())] {
            let mut header = tar::Header::new_gnu();
            header.set_size(data.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, format!("{number:05}{row:04}.{ending}"), data).unwrap();
        }
    }
    tar.finish().unwrap();
}

/// One thread, so that what is alive at a time does not depend on who runs when.
fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(work)
}

/// 64 copies of an embedded pool as one.
fn multiply(small: &Path, large: &Path) {
    fs::create_dir(large).unwrap();
    let manifest = fs::read_to_string(small.join("manifest.json")).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let mut shards: Vec<serde_json::Value> = Vec::new();
    for copy in 0..64 {
        for (i, shard) in manifest["shards"].as_array().unwrap().iter().enumerate() {
            let (from, to) = (format!("0000{i}"), format!("{copy:03}{i}"));
            for ending in ["npz", "scores.parquet", "json"] {
                let [from, to] = [&from, &to].map(|name| format!("{name}.{ending}"));
                fs::copy(small.join(from), large.join(to)).unwrap();
            }
            let [from, to] = [from, to].map(|name| format!("\"{name}"));
            shards.push(serde_json::from_str(&shard.to_string().replace(&from, &to)).unwrap());
        }
    }
    manifest["shards"] = shards.into();
    fs::write(large.join("manifest.json"), manifest.to_string()).unwrap();
}

/// A pool eight times as large, and an embedded pool 64 times as large, need a twentieth more at most,
/// for names and counts of shards. (What every sample brings into an open pool is some hundred bytes:
/// embedding that held all shards open would need a third more.)
#[test]
fn embedding_and_scoring_need_the_memory_of_a_shard() {
    let folder = tempfile::tempdir().unwrap();
    let config: OpenClipConfig = serde_json::from_str(MODEL).unwrap();
    let network = Network::new(config.clone(), &Weights::random(&config.model_cfg, 1)).unwrap();
    let mut needs = Vec::new();
    for shards in [2, 16] {
        let (pool, out) =
            (folder.path().join(format!("pool{shards}")), folder.path().join(format!("e{shards}")));
        fs::create_dir(&pool).unwrap();
        (0..shards).for_each(|i| shard(&pool.join(format!("{i:05}.tar")), i));
        let params = EmbedParams::new(out).check().unwrap();
        let options = PoolOptions::default();
        needs.push(peak(|| {
            let embed = || params.run_path(&network, &pool, options, &NoProgress);
            assert_eq!(alone(embed).unwrap().rows, shards * ROWS);
        }));
    }
    assert!(needs[1] < needs[0] + needs[0] / 20, "embedding: {needs:?} bytes");

    let (small, large) = (folder.path().join("e2"), folder.path().join("large"));
    multiply(&small, &large);
    let target = vec![0.25; 16];
    let inputs = ScoreInputs { target: Some(&target), ..ScoreInputs::default() };
    let norm_sim = ScoreParams::NormSim { norm: Norm::Infinity, of: Features::Images };
    for params in [ScoreParams::Cosine, norm_sim] {
        let scorer = params.check().unwrap();
        let needs = [&small, &large].map(|folder| {
            peak(|| {
                alone(|| {
                    let embedded = Embedded::open(folder, "dfn").unwrap();
                    let scores = scorer.run_with(&embedded, inputs, &NoProgress).unwrap();
                    let mut keep = scores.streamed(Cut::Fraction(0.15)).unwrap();
                    let mut kept = 0;
                    let count = |score, id| {
                        kept += usize::from(keep.keeps(score, id));
                        Ok::<_, curate_core::SourceError>(())
                    };
                    scores.each(count).unwrap();
                    assert_eq!(kept, scores.rows() * 15 / 100);
                });
            })
        });
        assert!(needs[1] < needs[0] + needs[0] / 20, "scoring: {needs:?} bytes");
    }
}
