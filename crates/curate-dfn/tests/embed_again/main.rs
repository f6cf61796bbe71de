//! Embedding into a folder that holds something already, and reading a folder that is not whole.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
mod parts;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use common::{bytes, small_config};
use curate_core::{NoProgress, Progress};
use curate_dfn::{
    Network, Weights,
    filter::{EmbedParams, EmbedReport, Embedded, FilterError},
};
use curate_io::{
    IoError, Kind, Pool, PoolOptions,
    lock::FolderLock,
    pool::IdsFrom,
    stamp::Check,
    table::{self, Column},
};
use tempfile::TempDir;

fn network_of(seed: u64) -> Network {
    let config = small_config();
    let weights = Weights::random(&config.model_cfg, seed);
    Network::new(config, &weights).unwrap()
}

static NETWORK: LazyLock<Network> = LazyLock::new(|| network_of(3));

/// Writes a tar shard of these members.
fn write_tar(path: &Path, members: &[(String, Vec<u8>)]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut tar = tar::Builder::new(File::create(path).unwrap());
    for (name, data) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, &data[..]).unwrap();
    }
    tar.finish().unwrap();
}

/// Two pairs under keys that begin with `key`, and a member that no sample of the file has whole.
fn pairs(key: &str, caption: &str) -> Vec<(String, Vec<u8>)> {
    let image = bytes("full/rgb_wide.png");
    (0..2)
        .flat_map(|i| {
            let caption = format!("{caption} {i}").into_bytes();
            [
                (format!("{key}{i}.png"), image.clone()),
                (format!("{key}{i}.bin"), vec![7; 100_000]),
                (format!("{key}{i}.txt"), caption),
            ]
        })
        .collect()
}

/// Three shards in `pool`.
struct Setting(TempDir);

impl Setting {
    fn new() -> Self {
        let setting = Self(tempfile::tempdir().unwrap());
        (0..3).for_each(|shard| setting.write_shard(shard, &format!("cat {shard}")));
        setting
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn shard(&self, shard: usize) -> PathBuf {
        self.path(&format!("pool/{shard:05}.tar"))
    }

    fn write_shard(&self, shard: usize, caption: &str) {
        write_tar(&self.shard(shard), &pairs(&format!("{shard:05}"), caption));
    }

    fn embed_as(
        &self,
        network: &Network,
        verify: bool,
        progress: &dyn Progress,
    ) -> Result<EmbedReport, FilterError> {
        let embed = EmbedParams::new(self.path("e")).verify(verify).check().unwrap();
        embed.run_path(network, &self.path("pool"), PoolOptions::default(), progress)
    }

    fn embed(&self) -> EmbedReport {
        self.embed_as(&NETWORK, false, &NoProgress).unwrap()
    }

    fn refused(&self, verify: bool) -> String {
        self.embed_as(&NETWORK, verify, &NoProgress).unwrap_err().to_string()
    }

    fn open(&self) -> Result<Embedded, IoError> {
        Embedded::open(&self.path("e"), "dfn")
    }

    /// Whether a folder can be read.
    fn opens(&self, folder: &str) -> bool {
        Embedded::open(&self.path(folder), "dfn").is_ok()
    }

    /// Embeds the first shard and no other.
    fn embed_in_part(&self) {
        let stop = Stop(AtomicBool::new(false));
        assert!(self.embed_as(&NETWORK, false, &stop).unwrap_err().is_cancelled());
    }
}

/// Asks to stop once something was embedded.
struct Stop(AtomicBool);

impl Progress for Stop {
    fn start(&self, task: &str, _: u64, _: &str) {
        self.0.store(task == "none", Ordering::Relaxed);
    }
    fn advance(&self, by: u64) {
        // Shards are told one by one when they are read first, pairs of a shard together.
        self.0.fetch_or(by > 1, Ordering::Relaxed);
    }
    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap());
    entries.map(|e| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap())).collect()
}

fn set_time(path: &Path, time: SystemTime) {
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// Changes a file and leaves it its length and its time.
fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let time = fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
    set_time(path, time);
}

#[test]
fn a_pool_that_changed_in_its_place_is_noticed_by_the_name_of_the_file() {
    let setting = Setting::new();
    assert_eq!(setting.embed().shards, 3);
    // Touched and the same.
    set_time(&setting.shard(1), SystemTime::UNIX_EPOCH + Duration::from_secs(7));
    let report = setting.embed();
    assert_eq!((report.reused, report.again), (3, 0));

    let whole = fs::read(setting.shard(1)).unwrap();
    for caption in ["dog 1", "a cats"] {
        setting.write_shard(1, caption);
        let error = setting.refused(false);
        assert!(error.contains("00001.tar: has changed since it was embedded"), "{error}");
        assert!(error.contains("00001.json to embed its shard again"), "{error}");
    }
    // The same length and time, and a byte that the sample of the file does not have.
    fs::write(setting.shard(1), &whole).unwrap();
    assert_eq!(setting.embed().reused, 3);
    change(&setting.shard(1), |bytes| bytes[5000] ^= 1);
    assert_eq!(setting.embed().reused, 3, "as the documents say");
    assert!(setting.refused(true).contains("00001.tar: has changed since it was embedded"));

    // What the remedy says is one.
    fs::remove_file(setting.path("e/00001.json")).unwrap();
    let report = setting.embed();
    assert_eq!((report.shards, report.reused), (1, 2));
    assert_eq!(setting.embed_as(&NETWORK, true, &NoProgress).unwrap().reused, 3);
}

#[test]
fn a_shard_whose_files_changed_is_embedded_again() {
    let setting = Setting::new();
    setting.embed();
    let whole = files(&setting.path("e"));
    let file = |name: &str| setting.path("e").join(name);
    let copy = |from: &str, to: &str| {
        fs::copy(file(from), file(to)).unwrap();
    };
    let spoil: [&dyn Fn(); 6] = [
        &|| fs::write(file("00001.json"), b"").unwrap(),
        &|| fs::remove_file(file("00001.npz")).unwrap(),
        &|| fs::write(file("00001.npz"), b"").unwrap(),
        &|| change(&file("00001.npz"), |bytes| bytes[300] ^= 1),
        &|| copy("00002.npz", "00001.npz"),
        &|| change(&file("00001.scores.parquet"), |bytes| bytes.truncate(100)),
    ];
    for (i, spoil) in spoil.into_iter().enumerate() {
        spoil();
        let report = setting.embed();
        assert_eq!((report.shards, report.reused, report.again), (1, 2, 1), "{i}");
        assert!(files(&setting.path("e")) == whole, "{i}");
    }
}

#[test]
fn an_interrupted_embedding_is_read_by_nobody() {
    let setting = Setting::new();
    setting.embed_in_part();
    let error = setting.open().err().unwrap();
    assert_eq!(error.kind, Kind::Truncated);
    let expected = "e: 1 of 3 shards are embedded; run it to its end";
    assert!(error.to_string().ends_with(expected), "{error}");
    // Taken for a pool, its tables of scores are one.
    let pool = Pool::open(&setting.path("e"), PoolOptions::default(), &NoProgress);
    assert!(pool.err().unwrap().to_string().ends_with(expected));
    assert_eq!(setting.embed().reused, 1);
    assert_eq!(setting.open().unwrap().rows(), 6);
    let pool = Pool::open(&setting.path("e"), PoolOptions::default(), &NoProgress).unwrap();
    assert_eq!(pool.column("score").unwrap().len(), 6);
}

#[test]
fn a_lost_foreign_or_changed_file_is_refused_by_name() {
    let setting = Setting::new();
    setting.embed();
    let whole = files(&setting.path("e"));
    let file = |name: &str| setting.path("e").join(name);
    let refused = |name: &str, problem: &str, spoil: &dyn Fn(&Path)| {
        spoil(&file(name));
        let error = setting.open().err().unwrap();
        assert_eq!(error.path, file(name), "{error}");
        assert!(error.to_string().contains(problem), "{error}");
        fs::remove_file(file(name)).unwrap_or_default();
        whole.get(name).inspect(|bytes| fs::write(file(name), bytes).unwrap());
        assert!(setting.open().is_ok());
    };
    let remove = |path: &Path| fs::remove_file(path).unwrap();
    refused("00001.scores.parquet", "is missing", &remove);
    refused("00001.npz", "is missing", &remove);
    refused("00001.json", "is missing", &remove);
    refused("manifest.json", "is missing or damaged: it says which shards", &remove);
    refused("manifest.json", "is missing or damaged", &|path| fs::write(path, "{").unwrap());
    let cut = |path: &Path| change(path, |bytes| bytes.truncate(bytes.len() / 2));
    refused("00002.npz", "but was written with", &cut);
    refused("00002.scores.parquet", "but was written with", &cut);
    let copy = |from: &str, to: &Path| {
        fs::copy(file(from), to).unwrap();
    };
    let other = |path: &Path| copy("00000.npz", path);
    refused("00002.npz", "is not the file that was written here", &other);
    let foreign = |path: &Path| copy("00000.scores.parquet", path);
    refused("00007.scores.parquet", "is of no shard that was embedded into this folder", &foreign);

    // What the remedy says is one.
    fs::write(file("manifest.json"), "{").unwrap();
    assert!(setting.refused(false).contains("if it is one that was damaged, remove it"));
    remove(&file("manifest.json"));
    assert_eq!(setting.embed().reused, 3);
    assert!(files(&setting.path("e")) == whole);

    // The whole file is only read where that is asked for.
    assert!(Embedded::open_checked(&setting.path("e"), "dfn", Check::Whole).is_ok());
}

/// Folders of early versions have no manifest, and records that say nothing of files.
#[test]
fn a_folder_of_an_early_version_is_read_and_not_gone_on_with() {
    let setting = Setting::new();
    setting.embed();
    fs::remove_file(setting.path("e/manifest.json")).unwrap();
    for shard in 0..3 {
        let path = setting.path(&format!("e/{shard:05}.json"));
        let record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let early = serde_json::json!({
            "fingerprint": record["fingerprint"], "rows": record["rows"], "bad": record["bad"]
        });
        fs::write(&path, early.to_string()).unwrap();
    }
    assert_eq!(setting.open().unwrap().rows(), 6);
    let error = setting.refused(false);
    assert!(error.contains("00000.json: was written by an early version"), "{error}");
}

#[test]
fn one_process_at_a_time_embeds_into_a_folder() {
    let setting = Setting::new();
    let lock = FolderLock::take(&setting.path("e")).unwrap();
    let error = setting.refused(false);
    assert!(error.contains("e: is being written to by another process; wait until"), "{error}");
    drop(lock);
    assert_eq!(setting.embed().shards, 3);
}

#[test]
fn another_network_or_pool_is_refused_and_a_grown_pool_gone_on_with() {
    let setting = Setting::new();
    setting.embed();
    let error = setting.embed_as(&network_of(4), false, &NoProgress).unwrap_err().to_string();
    assert!(error.contains("e: was embedded with another network"), "{error}");
    setting.write_shard(3, "a new cat");
    let report = setting.embed();
    assert_eq!((report.shards, report.reused), (1, 3));
    fs::remove_file(setting.shard(2)).unwrap();
    let error = setting.refused(false);
    assert!(error.contains("00002.json: is of a shard that the pool does not have"), "{error}");
    assert_eq!(setting.open().unwrap().shards(), 4, "and the folder is what it was");
}

/// Arrays beside the shards, which somebody else made, are not written over.
#[test]
fn files_that_no_embedding_wrote_stay() {
    let setting = Setting::new();
    fs::write(setting.path("pool/00001.npz"), b"mine").unwrap();
    let embed = EmbedParams::new(setting.path("pool")).check().unwrap();
    let run =
        || embed.run_path(&NETWORK, &setting.path("pool"), PoolOptions::default(), &NoProgress);
    let error = run().unwrap_err().to_string();
    assert!(error.contains("00001.npz: is there already, and no embedding wrote it"), "{error}");
    assert_eq!(fs::read(setting.path("pool/00001.npz")).unwrap(), b"mine");
    // Without one, the embeddings may lie beside the shards, where pools look for them.
    fs::remove_file(setting.path("pool/00001.npz")).unwrap();
    assert_eq!(run().unwrap().shards, 3);
    assert_eq!(run().unwrap().reused, 3);
    let pool = Pool::open(&setting.path("pool"), PoolOptions::default(), &NoProgress).unwrap();
    assert_eq!(pool.embedding_names().unwrap(), ["dfn_img", "dfn_txt"]);
    fs::write(setting.path("pool/manifest.json"), "{}").unwrap();
    let error = run().unwrap_err().to_string();
    assert!(error.contains("manifest.json: is not the manifest of an embedding"), "{error}");
}

#[test]
fn shards_of_one_name_are_embedded_under_those_of_their_folders() {
    let folder = tempfile::tempdir().unwrap();
    for (shard, key) in [("s0/0", "a"), ("s1/0", "b"), ("s1/manifest", "c")] {
        write_tar(&folder.path().join(format!("{shard}.tar")), &pairs(key, "a cat"));
    }
    let pattern = folder.path().join("{s0/0,s1/0,s1/manifest}.tar");
    let out = folder.path().join("e");
    let embed = EmbedParams::new(&out).check().unwrap();
    let run = |options| embed.run_path(&NETWORK, &pattern, options, &NoProgress);
    assert_eq!(run(PoolOptions::default()).unwrap().shards, 3);
    assert_eq!(run(PoolOptions::default()).unwrap().reused, 3);
    let names = files(&out);
    for name in ["s0_0.npz", "s1_0.npz", "manifest_.npz", "manifest_.json", "manifest.json"] {
        assert!(names.contains_key(name), "{name}: {:?}", names.keys());
    }
    let (.., ids) = Embedded::open(&out, "dfn").unwrap().whole().unwrap();
    let pool = Pool::open(&pattern, PoolOptions::default(), &NoProgress).unwrap();
    assert_eq!(ids, pool.ids());
    // An open pool gives its shards the same names.
    assert_eq!(embed.run(&NETWORK, &pool, &NoProgress).unwrap().reused, 3);
}

#[test]
fn keys_that_begin_anew_are_an_error_until_it_is_said_what_an_id_is() {
    let folder = tempfile::tempdir().unwrap();
    for shard in ["s0/0", "s1/0", "s1/1"] {
        write_tar(&folder.path().join(format!("{shard}.tar")), &pairs("0", "a cat"));
    }
    let pattern = folder.path().join("{s0/0,s1/0,s1/1}.tar");
    let run = |out: &str, ids| {
        let embed = EmbedParams::new(folder.path().join(out)).check().unwrap();
        let options = PoolOptions { ids, ..PoolOptions::default() };
        embed.run_path(&NETWORK, &pattern, options, &NoProgress).map(|report| report.rows)
    };
    let error = run("none", None).unwrap_err().to_string();
    assert!(error.contains("begin anew in every shard, `s1_0` for one, and no `uid`"), "{error}");
    assert!(error.contains("(`shard-and-key`), or from the key alone (`key`)"), "{error}");
    let ids = |out: &str| {
        let embedded = Embedded::open(&folder.path().join(out), "dfn").unwrap();
        let mut ids = embedded.whole().unwrap().2;
        ids.sort_unstable();
        ids.dedup();
        ids.len()
    };
    assert_eq!(run("by-shard", Some(IdsFrom::ShardAndKey)).unwrap(), 6);
    assert_eq!(ids("by-shard"), 6);
    assert_eq!(run("by-key", Some(IdsFrom::Key)).unwrap(), 6);
    assert_eq!(ids("by-key"), 2);
    let error = {
        let embed = EmbedParams::new(folder.path().join("by-key")).check().unwrap();
        let ids = Some(IdsFrom::ShardAndKey);
        let options = PoolOptions { ids, ..PoolOptions::default() };
        embed.run_path(&NETWORK, &pattern, options, &NoProgress).unwrap_err().to_string()
    };
    assert!(error.contains("another pool"), "other ids: {error}");
}

#[test]
fn notes_on_the_pool_are_handed_on() {
    let setting = Setting::new();
    fs::write(setting.path("pool/._00000.tar"), b"x").unwrap();
    let mut members = pairs("00001", "a cat");
    members.push(("000011.PNG".to_owned(), b"second".to_vec()));
    write_tar(&setting.shard(1), &members);
    let notes = setting.embed().notes;
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].contains("00001.tar: 1 members repeat a name"), "{notes:?}");
    assert!(notes[1].contains("passed over `._00000.tar`"), "{notes:?}");
}

/// A pool of tables has its images in shards of their own.
#[test]
fn images_apart_from_their_pool_are_inputs_too() {
    let folder = tempfile::tempdir().unwrap();
    let uids: Vec<String> = (1..=2).map(|i| format!("{i:032x}")).collect();
    let columns = vec![
        ("uid", Column::Text(uids.clone())),
        ("text", Column::Text(vec!["a cat".into(), "a dog".into()])),
    ];
    table::write(&folder.path().join("pool/metadata/a.parquet"), columns).unwrap();
    let images = folder.path().join("pool/shards/0.tar");
    let write_images = |image: &str| {
        let members = uids.iter().map(|uid| (format!("{uid}.png"), bytes(image)));
        write_tar(&images, &members.collect::<Vec<_>>());
    };
    write_images("full/rgb_wide.png");
    let embed = |out: &str| {
        let embed = EmbedParams::new(folder.path().join(out)).check().unwrap();
        let pool = folder.path().join("pool");
        embed.run_path(&NETWORK, &pool, PoolOptions::default(), &NoProgress)
    };
    let report = embed("e").unwrap();
    assert_eq!((report.rows, report.bad.total()), (2, 0));
    assert_eq!(embed("e").unwrap().reused, 1);
    set_time(&images, SystemTime::UNIX_EPOCH + Duration::from_secs(7));
    assert_eq!(embed("e").unwrap().reused, 1);
    write_images("full/rgb_tall.png");
    let error = embed("e").unwrap_err().to_string();
    assert!(error.contains("0.tar: has changed since pairs were embedded with its"), "{error}");
    let error = embed("pool/metadata").unwrap_err().to_string();
    assert!(error.contains("metadata: holds the pool's tables; choose another folder"), "{error}");
}
