//! Small pools to run recipes over.

#![allow(dead_code, reason = "each test file uses some of it")]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use curate_core::{Progress, SampleId, random};
use curate_io::{
    npy::f32_table,
    subset,
    table::{self, Column},
};
use curate_pipeline::{Error, Recipe, RunOptions, RunSummary, run};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

pub(crate) const DIM: usize = 8;

/// A sample of a pool: id and vector.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) id: u128,
    pub(crate) vector: [f32; DIM],
}

/// `n` unit vectors around six directions, near duplicates among them.
pub(crate) fn rows(n: usize) -> Vec<Row> {
    let row = |i: usize| {
        let mut vector: [f32; DIM] = std::array::from_fn(|t| {
            let noise = random::unit(1, SampleId((i / 2 * 100 + t) as u128)) as f32 - 0.5;
            let tiny = random::unit(2, SampleId((i * 100 + t) as u128)) as f32 - 0.5;
            f32::from(t == i / 2 % 6) + 0.8 * noise + 0.05 * tiny
        });
        curate_core::embedding::normalize(&mut vector);
        Row { id: (i as u128 + 1) << 64 | 7, vector }
    };
    (0..n).map(row).collect()
}

/// Writes rows as DataComp metadata, `per_shard` rows a shard. The score falls with the row.
pub(crate) fn write_pool(folder: &Path, rows: &[Row], per_shard: usize) {
    fs::create_dir_all(folder).unwrap();
    for (s, shard) in rows.chunks(per_shard).enumerate() {
        let uids = shard.iter().map(|row| SampleId(row.id).to_string()).collect();
        let captions = shard.iter().map(|row| format!("caption {}", row.id >> 64)).collect();
        let scores = shard.iter().map(|row| random::unit(3, SampleId(row.id)) as f32).collect();
        let columns = vec![
            ("uid", Column::Text(uids)),
            ("text", Column::Text(captions)),
            ("score", Column::F32(scores)),
        ];
        table::write(&folder.join(format!("{s:04}.parquet")), columns).unwrap();
        let vectors: Vec<f32> = shard.iter().flat_map(|row| row.vector).collect();
        let path = folder.join(format!("{s:04}.npz"));
        let mut zip = ZipWriter::new(File::create(path).unwrap());
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        for name in ["img", "txt"] {
            zip.start_file(format!("{name}.npy"), options).unwrap();
            zip.write_all(&f32_table(&vectors, shard.len(), DIM).unwrap()).unwrap();
        }
        zip.finish().unwrap();
    }
}

/// A recipe over a pool, with these stages.
pub(crate) fn recipe(pool: &Path, stages: &str) -> Recipe {
    let text = format!("seed = 3\n[pool]\npath = {:?}\n{stages}", pool.display().to_string());
    Recipe::parse(&text).unwrap()
}

pub(crate) const STAGES: &str = r#"
[[stage]]
kind = "score"
column = "score"
[[stage]]
kind = "fraction"
fraction = 0.8
[[stage]]
kind = "semantic-dedup"
embedding = "img"
clusters = 5
epsilon = 0.05
[[stage]]
kind = "concept-prune"
embedding = "img"
clusters = 4
fraction = 0.5
"#;

pub(crate) fn go(recipe: &Recipe, folder: &Path) -> Result<RunSummary, Error> {
    run(recipe, folder, RunOptions::default(), &curate_core::NoProgress)
}

/// The ids that a run kept.
pub(crate) fn kept(folder: &Path) -> Vec<SampleId> {
    subset::read(&folder.join("subset.npy")).unwrap()
}

/// The results of a run that must repeat to the byte.
pub(crate) fn results(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<PathBuf> =
        ["subset.npy", "subset.parquet", "evidence.parquet", "recipe.toml"]
            .map(|name| folder.join(name))
            .to_vec();
    let stages = fs::read_dir(folder.join("stages")).unwrap();
    files.extend(stages.map(|stage| stage.unwrap().path().join("rows.parquet")));
    files.sort();
    files
        .into_iter()
        .map(|f| (f.strip_prefix(folder).unwrap().to_owned(), fs::read(&f).unwrap()))
        .collect()
}

/// Cancels after so many questions.
pub(crate) struct CancelAfter(AtomicU64);

impl CancelAfter {
    pub(crate) fn new(questions: u64) -> Self {
        Self(AtomicU64::new(questions))
    }
}

impl Progress for CancelAfter {
    fn start(&self, _: &str, _: u64, _: &str) {}
    fn advance(&self, _: u64) {}
    fn is_cancelled(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_err()
    }
}

/// Writes a file anew when a task of this name starts.
pub(crate) struct ChangeAt<'a> {
    pub(crate) task: &'a str,
    pub(crate) file: &'a Path,
}

impl Progress for ChangeAt<'_> {
    fn start(&self, task: &str, _: u64, _: &str) {
        if task == self.task {
            fs::write(self.file, fs::read(self.file).unwrap()).unwrap();
        }
    }
    fn advance(&self, _: u64) {}
}
