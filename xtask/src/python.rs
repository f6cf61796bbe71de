//! The Python package: built, compared with its stubs, and tested.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{CHECKED, cargo, root, run, without_package};

/// What the tests use beside the package itself; numpy comes with it.
const TOOLS: [&str; 14] = [
    "maturin>=1.16,<2",
    "pytest",
    "numpy",
    "pyarrow",
    "pandas",
    "polars",
    "scikit-learn",
    "tqdm",
    "mypy",
    "pillow",
    "webdataset",
    "duckdb",
    // 80 MB.
    "ray[data]",
    "pdoc",
];

/// Asks an interpreter whether it is one that the package runs on.
const NEW_ENOUGH: &str = "import sys, venv; sys.exit(sys.version_info < (3, 11))";

/// Builds the package into an environment of its own below the target folder, as `pip` would install
/// it, and runs its tests. The build is a fast one, without optimization of the bindings.
pub(crate) fn python(rest: &[&str]) -> Result<()> {
    let Some(python) = interpreter() else {
        eprintln!(
            "no Python 3.11 or later with venv here (PYTHON names one): curate-py is not tested"
        );
        return Ok(());
    };
    let environment = target().join("python");
    if !environment.join("pyvenv.cfg").exists() {
        let mut create = Command::new(python);
        run({
            create.args(["-m", "venv"]).arg(&environment);
            create
        })?;
    }
    // The program, with whose results those of the package are compared. With the whole workspace's features, as
    // the tests build it: alone it would have others, and all that it stands on would be built again.
    run(cargo(&[&["build", "--workspace", "--bin", "curate"], &CHECKED[..]].concat()))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    let tools = within(&environment, "python", &[&pip[..], &TOOLS[..]].concat());
    if let Err(error) = run(tools) {
        if env::var_os("CURATE_PYTHON").is_some() {
            return Err(error);
        }
        eprintln!(
            "no package index is reached, so pytest is missing: curate-py is not tested \
             (CURATE_PYTHON=1 makes that an error)"
        );
        return Ok(());
    }
    run(within(&environment, "maturin", &["develop", "--quiet"]))?;
    stubs(&environment, &["--check"])?;
    run(within(&environment, "python", &[&["-m", "pytest", "--quiet"], rest].concat()))?;
    reference(&environment)
}

/// Writes the package's reference, a page of HTML with every class and function, to
/// `target/python-docs/curate.html`.
fn reference(environment: &Path) -> Result<()> {
    let folder = target().join("python-docs");
    let mut pdoc = within(environment, "python", &["-W", "error", "-m", "pdoc", "curate"]);
    pdoc.args(["--docformat", "numpy", "--output-directory"]).arg(&folder);
    run(pdoc)
}

/// Writes the package's stubs anew; [`python`] has to have built it.
pub(crate) fn write_stubs() -> Result<()> {
    stubs(&target().join("python"), &[])
}

fn stubs(environment: &Path, options: &[&str]) -> Result<()> {
    let folder = target().join("python-stubs");
    let mut generate = within(environment, "maturin", &["generate-stubs", "--quiet", "--out"]);
    run({
        generate.arg(&folder);
        generate
    })?;
    let mut refine = within(environment, "python", &["tools/stubs.py"]);
    refine.arg(folder.join("curate/_curate.pyi")).args(options);
    run(refine)
}

fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The first interpreter that the package runs on.
fn interpreter() -> Option<String> {
    let named = env::var("PYTHON").ok();
    let known = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"];
    named.into_iter().chain(known.map(str::to_owned)).find(|python| {
        let asked = Command::new(python).args(["-c", NEW_ENOUGH]).output();
        asked.is_ok_and(|answer| answer.status.success())
    })
}

/// A program of the environment, in the package's folder.
fn within(environment: &Path, program: &str, args: &[&str]) -> Command {
    let programs = environment.join(if cfg!(windows) { "Scripts" } else { "bin" });
    let mut command = Command::new(programs.join(program));
    command.args(args).current_dir(root().join("crates/curate-py"));
    command.env("VIRTUAL_ENV", environment).env("CARGO_TARGET_DIR", target());
    command.env("CURATE_PROGRAM", target().join("debug").join("curate"));
    without_package(&mut command);
    command
}
