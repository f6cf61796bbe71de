//! Damaged files of every kind: the program reads them or says what is wrong, in bounded memory and time.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Counts, Draw, count,
    world::{World, curate},
};

/// A file to damage, and a command that reads it.
const READ: [(&str, &[&str]); 18] = [
    ("tables/00000.parquet", &["inspect", "tables"]),
    ("tables/00001.parquet", &["run", "recipe.toml", "--out", "new"]),
    ("tables/00000.npz", &["run", "recipe.toml", "--out", "new"]),
    ("tables/00000.npz", &["inspect", "tables"]),
    ("tars/00001.tar", &["inspect", "tars"]),
    ("tars/00001.tar", &["filter", "embed", "tars", "--network", "net", "--out", "new"]),
    ("tars/00002.tar", &["reshard", "tars", "-s", "a.npy", "-o", "new"]),
    ("pool.jsonl", &["inspect", "pool.jsonl"]),
    ("recipe.toml", &["run", "recipe.toml", "--out", "new"]),
    ("a.npy", &["subset", "union", "a.npy", "b.txt", "--out", "new.npy"]),
    ("b.txt", &["subset", "union", "a.npy", "b.txt", "--out", "new.npy"]),
    (
        "runs.csv",
        &[
            "plan", "fit", "runs.csv", "--law", "qqt", "--starts", "2", "--draws", "3", "--out",
            "new.json",
        ],
    ),
    ("net/open_clip_config.json", &["filter", "embed", "tars", "--network", "net", "--out", "new"]),
    ("net/open_clip_model.safetensors", &["filter", "card", "net"]),
    ("run/manifest.json", &["explain", "run", "00000000000000010000000000000007"]),
    (
        "run/stages/02-fraction/rows.parquet",
        &["select", "run", "--stage", "fraction", "--top", "5"],
    ),
    ("run/stages/01-score/stage.json", &["run", "recipe.toml", "--out", "run"]),
    (
        "e/00000.npz",
        &[
            "filter",
            "score",
            "tars",
            "--network",
            "net",
            "--embedded",
            "e",
            "--top",
            "9",
            "--out",
            "new.npy",
        ],
    ),
];

/// Address space that a command may have, in KiB, and seconds.
const SPACE: u64 = 3_000_000;
const TIME: Duration = Duration::from_secs(60);

/// Damages `number` files, one after the other.
pub(crate) fn files(world: &World, draw: &mut Draw, number: usize, counts: &mut Counts) {
    for at in 0..number {
        let (file, args) = READ[at % READ.len()];
        let whole = fs::read(world.path().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let seed = draw.0;
        let damaged = damage(whole, draw);
        let copy = world.with(Path::new(file), &damaged);
        let output = limited(copy.path(), args);
        let said = String::from_utf8_lossy(&output.stderr);
        let well = match output.status.code() {
            Some(0) => true,
            Some(1) => said.lines().any(|line| line.starts_with("error: ")),
            Some(2) => true,
            _ => false,
        };
        if !well {
            let kept: PathBuf = [env!("CARGO_TARGET_TMPDIR"), "damaged"].iter().collect();
            fs::write(&kept, damaged).unwrap();
            panic!(
                "{file} (seed {seed}, kept as {}), {args:?}: {:?} {said}",
                kept.display(),
                output.status
            );
        }
        let kind = if output.status.success() { "damaged, read" } else { "damaged, refused" };
        count(counts, kind, 1);
    }
}

/// One to three changes: bits, bytes, cuts, repeats, runs of one byte.
fn damage(mut bytes: Vec<u8>, draw: &mut Draw) -> Vec<u8> {
    for _ in 0..=draw.below(3) {
        let at = draw.below(bytes.len());
        let end = (at + 1 + draw.below(64)).min(bytes.len());
        match draw.below(7) {
            _ if bytes.is_empty() => bytes.push(draw.below(256) as u8),
            0 => bytes[at] ^= 1 << draw.below(8),
            1 => bytes[at] = draw.below(256) as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            5 => bytes[at..end].fill(0),
            _ => bytes[at..end].fill(0xff),
        }
    }
    bytes
}

/// Runs the program with bounded memory; one that takes too long is an error here.
fn limited(folder: &Path, args: &[&str]) -> Output {
    let program = curate(folder, args);
    let mut command = Command::new("sh");
    command.current_dir(folder).arg("-c").arg(format!("ulimit -v {SPACE}; exec \"$@\"")).arg("sh");
    command.arg(program.get_program()).args(program.get_args());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > TIME {
            child.kill().unwrap();
            panic!("{args:?} in {} takes longer than {TIME:?}", folder.display());
        }
        thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}
