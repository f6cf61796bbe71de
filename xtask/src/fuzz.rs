//! Long differential runs of the readers against the tools that others read with.
//!
//! Each reader's tests hold it to a small committed corpus, made by a script from what numpy, pyarrow,
//! webdataset, Pillow and ftfy read. Here the same scripts make many more cases, and the same tests
//! read those.

use std::{
    path::Path,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, bail};

use crate::{cargo, number_after, root, run};

struct Reader {
    name: &'static str,
    package: &'static str,
    test: &'static str,
    script: &'static str,
}

const READERS: [Reader; 4] = [
    Reader {
        name: "arrays",
        package: "curate-io",
        test: "arrays",
        script: "crates/curate-io/tests/data/make_arrays.py",
    },
    Reader {
        name: "shards",
        package: "curate-io",
        test: "real",
        script: "crates/curate-io/tests/data/make_real.py",
    },
    Reader {
        name: "images",
        package: "curate-dfn",
        test: "pillow",
        script: "crates/curate-dfn/tests/data/make_images.py",
    },
    Reader {
        name: "captions",
        package: "curate-text",
        test: "repair",
        script: "crates/curate-text/tests/data/repair_golden.py",
    },
];

/// What the scripts import. The golden values of captions are those of one version of ftfy.
const PACKAGES: [&str; 5] = ["numpy", "pyarrow", "webdataset", "pillow", "ftfy==6.3.1"];

const USAGE: &str = "cargo xtask fuzz [arrays|shards|images|captions] [--cases N] [--seed S]";

/// `cargo xtask fuzz [READER] [--cases N] [--seed S]`: all readers, 4,000 cases and a seed from the clock
/// if left out. The seed is printed, so that a difference can be found again.
pub(crate) fn fuzz(words: &[&str]) -> Result<()> {
    let (mut chosen, mut cases, mut seed) = (None, 4000, now()?);
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        let mut number = || number_after(word, words.next(), USAGE);
        match word {
            "--cases" => cases = number()?,
            "--seed" => seed = number()?,
            name if READERS.iter().any(|reader| reader.name == name) => chosen = Some(name),
            other => bail!("`{other}` is not understood: {USAGE}"),
        }
    }
    let python = python()?;
    let wanted = READERS.iter().filter(|reader| chosen.is_none_or(|name| name == reader.name));
    for reader in wanted {
        reader.compare(&python, cases, seed)?;
    }
    Ok(())
}

impl Reader {
    fn compare(&self, python: &Path, cases: u64, seed: u64) -> Result<()> {
        let folder = root().join("target/fuzz").join(self.name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let mut make = Command::new(python);
        make.arg(root().join(self.script)).arg("--out").arg(&folder);
        make.args(["--cases", &cases.to_string(), "--seed", &seed.to_string()]);
        run(make)?;
        let mut tests = cargo(&["test", "--package", self.package, "--test", self.test]);
        tests.env("CURATE_FUZZ_DIR", &folder);
        run(tests)
    }
}

/// Seconds since 1970.
fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// A Python with what the scripts import, in an environment of its own.
fn python() -> Result<std::path::PathBuf> {
    let environment = root().join("target/fuzz/venv");
    let python = environment.join("bin/python");
    if !python.exists() {
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(&environment);
        run(make)?;
    }
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet"]).args(PACKAGES);
    run(install)?;
    Ok(python)
}
