//! What the commands work on: small pools of each layout, a network, tables of runs, subsets.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use curate::{
    core::SampleId,
    dfn::{OpenClipConfig, Weights, network::write_folder},
    io::{
        npy::f32_table,
        subset::{self, SubsetFormat},
        table::{self, Column},
    },
};
use tempfile::TempDir;

const MODEL: &str = r#"{"model_cfg": {"embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 16, "width": 32, "heads": 2, "layers": 1}}}"#;

const RECIPE: &str = r#"
[pool]
path = "tables"
[[stage]]
kind = "score"
column = "clip_l14_similarity_score"
[[stage]]
kind = "fraction"
fraction = 0.9
[[stage]]
kind = "semantic-dedup"
embedding = "l14_img"
clusters = 4
epsilon = 0.05
[[stage]]
kind = "concept-prune"
embedding = "l14_img"
clusters = 3
fraction = 0.6
"#;

const DIM: usize = 8;
const ROWS: usize = 120;

/// A folder of inputs.
pub(crate) struct World {
    folder: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        let folder = world.path();
        tables(&folder.join("tables"));
        tars(&folder.join("tars"));
        let config: OpenClipConfig = serde_json::from_str(MODEL).unwrap();
        let weights = Weights::random(&config.model_cfg, 1);
        write_folder(&folder.join("net"), &config, &weights).unwrap();
        fs::write(folder.join("recipe.toml"), RECIPE).unwrap();
        subset::write(&folder.join("a.npy"), SubsetFormat::Npy, &ids(0..80)).unwrap();
        subset::write(&folder.join("b.txt"), SubsetFormat::Ids, &ids(40..ROWS)).unwrap();
        lines(&folder.join("pool.jsonl"));
        world.runs();
        world.made("run", &["run", "recipe.toml", "--out", "run"]);
        world.made("e", &["filter", "embed", "tars", "--network", "net", "--out", "e"]);
        world
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Another folder with the same inputs, linked but for one file, which is written.
    pub(crate) fn with(&self, file: &Path, bytes: &[u8]) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        link_all(self.path(), copy.path());
        let changed = copy.path().join(file);
        fs::remove_file(&changed).unwrap();
        fs::write(changed, bytes).unwrap();
        copy
    }

    fn made(&self, out: &str, args: &[&str]) {
        let output = curate(self.path(), args).output().unwrap();
        assert!(output.status.success(), "{out}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Training runs that follow a power law of the samples seen.
    fn runs(&self) {
        let mut text = "pool,samples,unique,error\n".to_owned();
        for (pool, floor) in [("good", 0.3), ("all", 0.2)] {
            for i in 0..8 {
                let samples = 1e6 * f64::from(1 << i);
                let error = floor + 40.0 * samples.powf(-0.35);
                text += &format!("{pool},{samples},{samples},{error}\n");
            }
        }
        fs::write(self.path().join("runs.csv"), text).unwrap();
    }
}

fn link_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let beside = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&beside).unwrap();
            link_all(&path, &beside);
        } else {
            fs::hard_link(&path, &beside).unwrap();
        }
    }
}

fn ids(rows: std::ops::Range<usize>) -> Vec<SampleId> {
    rows.map(|row| SampleId((row as u128 + 1) << 64 | 7)).collect()
}

/// DataComp's layout: metadata and embeddings, two shards.
fn tables(folder: &Path) {
    fs::create_dir(folder).unwrap();
    for (shard, rows) in [0..ROWS / 2, ROWS / 2..ROWS].into_iter().enumerate() {
        let score = |row: usize| (row * 37 % 100) as f32 / 100.0;
        let columns = vec![
            ("uid", Column::Text(ids(rows.clone()).iter().map(SampleId::to_string).collect())),
            ("text", Column::Text(rows.clone().map(|row| format!("caption {row}")).collect())),
            ("clip_l14_similarity_score", Column::F32(rows.clone().map(score).collect())),
        ];
        table::write(&folder.join(format!("{shard:05}.parquet")), columns).unwrap();
        let vectors: Vec<f32> = rows.clone().flat_map(vector).collect();
        let file = File::create(folder.join(format!("{shard:05}.npz"))).unwrap();
        let mut zip = zip::ZipWriter::new(file);
        let stored = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored);
        zip.start_file("l14_img.npy", stored).unwrap();
        zip.write_all(&f32_table(&vectors, rows.len(), DIM).unwrap()).unwrap();
        zip.finish().unwrap();
    }
}

/// A unit vector near one of five directions.
fn vector(row: usize) -> [f32; DIM] {
    let noise = |t: usize| ((row / 2 * 31 + t * 17) % 23) as f32 / 40.0;
    let mut vector = std::array::from_fn(|t| f32::from(t == row / 2 % 5) + noise(t));
    curate::core::embedding::normalize(&mut vector);
    vector
}

/// WebDataset shards of images, captions and records.
fn tars(folder: &Path) {
    fs::create_dir(folder).unwrap();
    let image: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "..", "curate-dfn", "tests", "fixtures", "tiny"]
            .iter()
            .collect();
    let image = fs::read(image.join("image_4_20x20.png")).unwrap();
    for shard in 0..3 {
        let file = File::create(folder.join(format!("{shard:05}.tar"))).unwrap();
        let mut tar = tar::Builder::new(file);
        for row in 10 * shard..10 * shard + 10 {
            let record =
                format!("{{\"uid\": \"{}\", \"text\": \"pair {row}\"}}", ids(row..row + 1)[0]);
            let caption = format!("a picture of {row} things");
            let members =
                [("png", &image[..]), ("txt", caption.as_bytes()), ("json", record.as_bytes())];
            for (ending, bytes) in members {
                let mut header = tar::Header::new_gnu();
                header.set_size(bytes.len() as u64);
                header.set_mode(0o644);
                tar.append_data(&mut header, format!("{row:09}.{ending}"), bytes).unwrap();
            }
        }
        tar.finish().unwrap();
    }
}

fn lines(file: &Path) {
    let line = |row: usize| {
        format!(
            "{{\"uid\": \"{}\", \"text\": \"line {row}\", \"score\": {row}.5}}\n",
            ids(row..row + 1)[0]
        )
    };
    fs::write(file, (0..30).map(line).collect::<String>()).unwrap();
}

/// The program in a folder of inputs, on one thread, so that it makes its calls in one order.
pub(crate) fn curate(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_curate"));
    command.current_dir(folder).args(["-q", "--threads", "1"]).args(args);
    command
}

/// A command that writes files.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) name: &'static str,
    /// Its arguments; `OUT` stands for the folder that it writes to.
    pub(crate) args: Vec<&'static str>,
}

/// Every command that writes files.
const JOBS: &[(&str, &str)] = &[
    ("run", "run recipe.toml --out OUT"),
    ("run again", "run recipe.toml --out OUT --overwrite"),
    ("run in tasks", "run recipe.toml --out OUT --tasks 2"),
    ("tasks plan", "tasks plan recipe.toml --out OUT --tasks 3"),
    ("tasks resume", "tasks resume OUT"),
    ("filter embed", "filter embed tars --network net --out OUT"),
    ("filter score", "filter score tars --network net --embedded OUT/e --top 9 --out OUT/kept.npy"),
    ("reshard", "reshard tars -s a.npy -o OUT -c 7"),
    (
        "baseline",
        "baseline clip_score --metadata-dir tables --arch l14 --fraction 0.4 --save-path OUT/kept.npy",
    ),
    ("select", "select run --stage fraction --fraction 0.5 --out OUT/kept.npy"),
    ("subset union", "subset union a.npy b.txt --out OUT/all.parquet"),
    ("plan fit", "plan fit runs.csv --law qqt --starts 2 --draws 5 --out OUT/fit.json"),
    #[cfg(feature = "train")]
    (
        "filter train",
        "filter train tars --from net --out OUT --steps 4 --batch 4 --checkpoint-every 2",
    ),
];

pub(crate) fn jobs() -> Vec<Job> {
    let job = |&(name, args): &(&'static str, &'static str)| Job {
        name,
        args: args.split(' ').collect(),
    };
    JOBS.iter().map(job).collect()
}
