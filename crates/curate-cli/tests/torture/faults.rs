//! The library of faults that is loaded into the program.

use std::{path::PathBuf, process::Command};

use tempfile::TempDir;

/// The library, built from `faults.c` by the C compiler that the workspace needs anyway.
pub(crate) struct Faults {
    folder: TempDir,
}

impl Faults {
    pub(crate) fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source: PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "tests", "torture", "faults.c"].iter().collect();
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(folder.path().join("faults.so"));
        let built = compiler.arg(source).arg("-ldl").status().unwrap();
        assert!(built.success(), "faults.c could not be compiled");
        Self { folder }
    }

    /// Loads a fault into a command: `kill:N` or `full:N`.
    pub(crate) fn load(&self, command: &mut Command, fault: &str) {
        command.env("LD_PRELOAD", self.folder.path().join("faults.so")).env("CURATE_FAULT", fault);
    }

    /// How many calls a command makes that change files.
    pub(crate) fn count(&self, mut command: Command) -> usize {
        let counted = self.folder.path().join("count");
        self.load(&mut command, &format!("count:{}", counted.display()));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read_to_string(counted).unwrap().parse().unwrap()
    }
}
