//! A folder with what the book's commands speak of.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use curate::{
    core::{NoProgress, SampleId},
    io::{
        Pool, PoolOptions,
        ids::id_of_key,
        subset::{self, SubsetFormat},
    },
};
use tempfile::TempDir;

/// Samples in img2dataset's shards.
pub(crate) const SAMPLES: usize = 160;

/// Whole numbers as numpy writes them.
fn npy(numbers: &[i64]) -> Vec<u8> {
    let said =
        format!("{{'descr': '<i8', 'fortran_order': False, 'shape': ({},), }}", numbers.len());
    let header = format!("{said:<117}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes
}

/// A loop of small runs that is over in seconds.
const LOOP: &str = r#"
pool = "demo/pool"
score = { cosine = ["joint_img", "joint_txt"] }
buckets = [0.2, 0.5, 1.0]
budgets = ["1K", "2K", "4K"]
budget = "16K"
seeds = 2
train = ["--images", "img", "--texts", "joint_txt", "--batch", "64", "--hidden", "16", "--dim", "8", "--test-rows", "200"]
"#;

pub(crate) struct World {
    folder: TempDir,
}

impl World {
    /// The demonstration, the book's result files, and shards as img2dataset writes them: no `uid`, keys
    /// that count, one broken picture.
    pub(crate) fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        for name in ["demo", "docs", "fixtures"] {
            std::os::unix::fs::symlink(source.join(name), world.path(name)).unwrap();
        }
        world.write_shards(&source.join("demo/pool"));
        world.write_subsets();
        fs::copy(world.path("docs/results/five_runs.csv"), world.path("runs.csv")).unwrap();
        fs::write(world.path("loop.toml"), LOOP).unwrap();
        let classes: Vec<i64> = (0..60).map(|row| row % 5).collect();
        fs::write(world.path("labels.npy"), npy(&classes)).unwrap();
        fs::write(world.path("predictions.npy"), npy(&classes[..12])).unwrap();
        world
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command of a chapter, which must succeed.
    pub(crate) fn carry_out(&self, chapter: &str, command: &str) {
        let words: Vec<&str> = command.split_whitespace().collect();
        let words = match &words[..] {
            ["curate", rest @ ..] | ["cargo", "run", "--release", "--", rest @ ..] => rest,
            _ => panic!("{chapter}: `{command}` is neither run nor said not to be"),
        };
        // What a program without training cannot do.
        let trains = matches!(
            words,
            ["eval" | "distill", ..] | ["plan", "run", ..] | ["filter", "train", ..]
        );
        if trains && !cfg!(feature = "train") {
            return;
        }
        let words: Vec<String> = words.iter().map(|word| self.named(word)).collect();
        let output = self.curate(&words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{chapter}: `{command}` failed: {said}");
    }

    pub(crate) fn curate(&self, words: &[String]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_curate"));
        command.current_dir(self.folder.path()).args(words).output().unwrap()
    }

    /// What a word in capitals stands for. What has to be there first is made.
    fn named(&self, word: &str) -> String {
        match word {
            "POOL" => "shards".into(),
            "NETWORK" => "demo/filter".into(),
            "META" => "fixtures/datacomp_mini/metadata".into(),
            "RECIPE" => self.recipe(),
            "RUN" | "RUN_A" => self.made("run", &["run", &self.recipe(), "--out", "run"]),
            "RUN_B" => self.made("other", &["run", &self.recipe(), "--out", "other"]),
            "EMBEDDED" | "E" => "embedded".into(),
            "NAME" => "dedup".into(),
            "ID" | "KEY" => "000000003".into(),
            _ => word.into(),
        }
    }

    /// A folder, after these words made it where it was not there.
    fn made(&self, name: &str, words: &[&str]) -> String {
        if !self.path(name).exists() {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let output = self.curate(&words);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        name.to_owned()
    }

    /// A recipe over the shards; the first time it is asked for, they are embedded.
    pub(crate) fn recipe(&self) -> String {
        let name = "made.toml";
        if !self.path(name).exists() {
            self.made(
                "made-emb",
                &["filter", "embed", "shards", "--network", "demo/filter", "--out", "made-emb"],
            );
            let recipe = "[pool]\npath = \"shards\"\nembeddings = \"made-emb\"\n\
                          [[stage]]\nkind = \"score\"\nname = \"clip\"\ncosine = [\"dfn_img\", \"dfn_txt\"]\n\
                          [[stage]]\nkind = \"semantic-dedup\"\nname = \"dedup\"\nembedding = \"dfn_img\"\n\
                          prefer-score = \"clip\"\n\
                 [[stage]]\nkind = \"concept-prune\"\nembedding = \"dfn_img\"\nfraction = 0.8\n";
            fs::write(self.path(name), recipe).unwrap();
        }
        name.to_owned()
    }

    /// Subsets of the shards, in several forms, that commands combine.
    fn write_subsets(&self) {
        let ids: Vec<SampleId> = (0..20).map(|n| id_of_key(&format!("{:09}", n * 3))).collect();
        for name in ["a.npy", "A.npy", "subset.npy", "b.npy", "b.parquet", "b.txt", "B.npy"] {
            let path = self.path(name);
            let of = if name.starts_with(['b', 'B']) { &ids[10..] } else { &ids[..15] };
            let format = SubsetFormat::of_path(&path).unwrap();
            subset::write(&path, format, of).unwrap();
        }
    }

    /// The demonstration's first pictures in img2dataset's layout.
    fn write_shards(&self, pool: &Path) {
        let pool = Pool::open(pool, PoolOptions::default(), &NoProgress).unwrap();
        let rows: Vec<usize> = (0..SAMPLES).collect();
        let samples = pool.samples_with_images(&rows).unwrap();
        fs::create_dir(self.path("shards")).unwrap();
        for (shard, samples) in samples.chunks(SAMPLES / 2).enumerate() {
            let file = fs::File::create(self.path(format!("shards/{shard:05}.tar"))).unwrap();
            let mut tar = tar::Builder::new(file);
            for (place, sample) in samples.iter().enumerate() {
                let key = format!("{shard:05}{place:04}");
                let caption = sample.caption.clone().unwrap();
                let mut image = sample.image.clone().unwrap();
                if (shard, place) == (1, 7) {
                    image.truncate(image.len() / 2);
                }
                let record = serde_json::json!({
                    "caption": caption, "url": format!("https://example.org/{key}.png"), "key": key,
                    "status": "success", "error_message": null, "width": 64, "height": 64,
                    "original_width": 64, "original_height": 64, "exif": "{}",
                });
                for (ending, bytes) in [
                    ("png", image),
                    ("json", record.to_string().into_bytes()),
                    ("txt", caption.into_bytes()),
                ] {
                    let mut header = tar::Header::new_gnu();
                    header.set_size(bytes.len() as u64);
                    header.set_mode(0o644);
                    tar.append_data(&mut header, format!("{key}.{ending}"), &bytes[..]).unwrap();
                }
            }
            tar.finish().unwrap();
        }
    }

    /// The keys of the samples in a folder of shards, as webdataset groups members: up to the first dot.
    pub(crate) fn keys_of(&self, folder: &str) -> Vec<String> {
        let mut keys = BTreeMap::new();
        for entry in fs::read_dir(self.path(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|ending| ending != "tar") {
                continue;
            }
            let mut bytes = Vec::new();
            fs::File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
            for member in tar::Archive::new(&bytes[..]).entries().unwrap() {
                let name = member.unwrap().path().unwrap().display().to_string();
                *keys.entry(name.split('.').next().unwrap().to_owned()).or_insert(0) += 1;
            }
        }
        assert!(keys.values().all(|&members| members == 3), "{keys:?}");
        keys.into_keys().collect()
    }
}
