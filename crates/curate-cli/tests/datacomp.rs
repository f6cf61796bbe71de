//! DataComp's resharder.py pasted, and what is said of files and numbers that do not fit.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use curate::io::table::{self, Column};

fn curate(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_curate"));
    command.current_dir(folder).args(args).arg("-q").env("COLUMNS", "100");
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn said(folder: &Path, args: &[&str]) -> String {
    let output = curate(folder, args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn refused(folder: &Path, args: &[&str]) -> String {
    let output = curate(folder, args);
    assert!(!output.status.success(), "{}", text(&output.stdout));
    text(&output.stderr)
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The resharder's golden shards and selection.
fn shards() -> (String, String) {
    let data = source("crates/curate-io/tests/data/reshard");
    let path = |name: &str| data.join(name).to_str().unwrap().to_owned();
    (path("in"), path("subset.npy"))
}

#[test]
fn flags_of_datacomps_resharder_are_taken_or_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (input, subset) = shards();
    let pasted = ["reshard", "-i", &input, "-o", "out", "-s", &subset, "-j", "2"];
    let taken = [
        "--shard-size",
        "3",
        "--shuffle-bufsize",
        "0",
        "--write-shard-table",
        "--shard-table",
        "sizes.json",
        "--output-shard-format",
        "{:08d}.tar",
        "--shard_format",
        "{:08d}.tar",
        "--first-shard",
        "0",
        "--reencode-webp-quality",
        "100",
        "-v",
    ];
    let told = said(folder, &[&pasted[..], &taken].concat());
    assert!(told.starts_with("11 samples in 4 shards"), "{told}");
    assert!(folder.join("out/sizes.json").exists());
    let ways = [
        (&["-n", "3"][..], "--num-shards is not done here: name the shards by a pattern"),
        (&["--first_shard", "2"], "--first-shard is not done here: name the shards by a pattern"),
        (&["--shard-format", "{:05d}.tar"], "--shard-format is not done here: name the shards"),
        (
            &["--output-shard-format", "x"],
            "--output-shard-format is not done here: shards are named",
        ),
        (&["--apply-blur"], "--apply-blur is not done here: images are written as they are"),
        (&["--dry-run"], "--dry-run is not done here"),
    ];
    for (flags, expected) in ways {
        let error = refused(folder, &[&pasted[..], flags].concat());
        assert!(error.contains(expected), "{flags:?}: {error}");
    }
    let both = refused(folder, &[&pasted[..], &["--dry-run", "--apply-blur"]].concat());
    assert!(both.contains("--dry-run") && both.contains("--apply-blur"), "{both}");
}

#[test]
fn a_cut_shard_is_told_in_words_of_the_command_that_met_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (input, subset) = shards();
    let whole = fs::read(Path::new(&input).join("00000000.tar")).unwrap();
    fs::create_dir(folder.join("cut")).unwrap();
    fs::write(folder.join("cut/00000000.tar"), &whole[..520]).unwrap();
    let error = refused(folder, &["reshard", "cut", "--subset", &subset, "--out", "out"]);
    assert!(error.trim_end().ends_with("or leave it out with --skip-bad-shards"), "{error}");
    let error = refused(folder, &["inspect", "cut"]);
    assert!(error.trim_end().ends_with("or leave it out with --skip-bad-shards"), "{error}");
    let recipe = "[pool]\npath = \"cut\"\n[[stage]]\nkind = \"baseline\"\nrule = \"no_filter\"\n";
    fs::write(folder.join("r.toml"), recipe).unwrap();
    let error = refused(folder, &["run", "r.toml"]);
    let end = "or leave it out with `bad-shards = \"skip\"` under `[pool]` in the recipe";
    assert!(error.trim_end().ends_with(end), "{error}");
    // Cut between two members: what is there is whole, and nobody knows what is not.
    let blocks = whole.chunks(512).rposition(|block| block.iter().any(|&b| b != 0)).unwrap() + 1;
    fs::write(folder.join("cut/00000000.tar"), &whole[..512 * blocks]).unwrap();
    let told = said(folder, &["reshard", "cut", "--subset", &subset, "--out", "out"]);
    assert!(told.contains("note: 00000000: ends without the block that ends a tar file"), "{told}");
}

#[test]
fn files_of_pytorch_are_named_with_the_way_to_npy() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("new.pt"), b"PK\x03\x04\0\0\0\0c/data.pkl").unwrap();
    fs::write(folder.join("old.pt"), b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.").unwrap();
    fs::write(folder.join("a.npy"), b"\x89HDF\r\n\x1a\n").unwrap();
    let metadata = source("fixtures/datacomp_mini/metadata");
    let complaint = |file: &str| {
        let files = ["--centroids", file, "--target-features", file, "--language", "built-in"];
        let where_to = ["--metadata-dir", metadata.to_str().unwrap(), "--save-path", "o.npy"];
        refused(folder, &[&["baseline", "image_based"][..], &where_to, &files].concat())
    };
    let way = "write the array in it as npy: numpy.save(\"a.npy\", torch.load(\"a.pt\").numpy())";
    for (file, what) in
        [("new.pt", "is a zip archive, such as torch.save"), ("old.pt", "is a pickle")]
    {
        let error = complaint(file);
        assert!(error.contains(what) && error.contains(way), "{error}");
    }
    assert!(complaint("a.npy").contains("is an HDF5 file, not an npy array"));
    let pool = refused(folder, &["inspect", "new.pt"]);
    assert!(pool.contains("is no file of a pool: those end in .parquet, .tar"), "{pool}");
    let network = ["filter", "card", "new.pt"];
    let network = refused(folder, &network);
    assert!(network.contains("is a file, but a network is a folder; save it with"), "{network}");
    let subset = refused(folder, &["subset", "info", "a.npy"]);
    assert!(subset.contains("is an HDF5 file, not an npy array"), "{subset}");
}

#[test]
fn a_percentage_and_a_missing_score_are_told_with_what_fits() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let metadata = source("fixtures/datacomp_mini/metadata");
    let metadata = metadata.to_str().unwrap();
    let clip = ["baseline", "clip_score", "--arch", "l14", "--save-path", "o.npy"];
    for fraction in ["30", "30%"] {
        let args = ["--metadata-dir", metadata, "--fraction", fraction];
        let error = refused(folder, &[&clip[..], &args].concat());
        assert!(error.contains("must be a number from 0 to 1; for 30 % give 0.3"), "{error}");
    }
    let error = refused(folder, &["select", "run", "--fraction", "15"]);
    assert!(error.contains("above 0 and at most 1; for 15 % give 0.15"), "{error}");
    // One table is as good as a folder of them.
    let columns = vec![
        ("uid", Column::Text(vec!["1".into(), "2".into()])),
        ("clip_l14_similarity_score", Column::F32(vec![0.3, 0.2])),
    ];
    table::write(&folder.join("one.parquet"), columns).unwrap();
    let one = ["--metadata-dir", "one.parquet", "--threshold", "0.25"];
    assert!(said(folder, &[&clip[..], &one].concat()).starts_with("1 of 2 rows kept"));
    fs::write(folder.join("ids.txt"), "1\n").unwrap();
    let parquet = ["reshard", "one.parquet", "--subset", "ids.txt", "--out", "shards"];
    let error = refused(folder, &parquet);
    assert!(
        error.contains("one.parquet: is a Parquet file, not a tar file; name the tar"),
        "{error}"
    );
    let other = ["baseline", "clip_score", "--arch", "b32", "--save-path", "o.npy"];
    let error = refused(folder, &[&other[..], &one].concat());
    let way = "add that column, or let the rule read the score of l14";
    assert!(error.contains("has no column `clip_b32_similarity_score`"), "{error}");
    assert!(error.contains(way) && !error.contains("name one of those"), "{error}");
}
