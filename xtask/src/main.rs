//! Tasks of the workspace, reached through `cargo xtask`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its user")]

mod fuzz;
mod python;
mod splice;
mod torture;

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Context, Result, bail};

const HELP: &str = "\
Tasks of the curate workspace

  cargo xtask test           every test: unit, integration and documentation tests
  cargo xtask ci             what has to pass before a change is accepted, cheapest first
  cargo xtask data build     build the demonstration pool (needs npm, apt-get and pip; downloads about 700 MB)
  cargo xtask data bundle    make demo/pool from it
  cargo xtask data clean     render the pairs that demo/filter is trained on (same downloads)
  cargo xtask repro scaling  measure the claims on scaling laws again; write docs/results and plots
  cargo xtask repro compute-aware  train on buckets of Fashion-MNIST; ask the laws what to keep for larger budgets
  cargo xtask repro compute-aware-demo  the same on data/pool; needs `data build` first
  cargo xtask repro select-tiny  compare ways to curate a labeled set (SELECT) on Fashion-MNIST
  cargo xtask repro dp4tl-tiny  prune source classes for a target (DP4TL) on Fashion-MNIST
  cargo xtask repro dbp-tiny  keep pictures by the complexity of their concept (DBP) on Fashion-MNIST
  cargo xtask repro kd-pruning  distill on pruned Fashion-MNIST (needs Debian's dataset-fashion-mnist; 10 minutes)
  cargo xtask repro datacomp-tiny  compare filters of data/pool at two budgets (DataComp); needs `data build` first
  cargo xtask repro dfn-small  run the small DFN experiment on data/pool; needs `data build` first
  cargo xtask repro demo-filter  train demo/filter on data/clean and measure it; needs `data clean` first
  cargo xtask splice         put the numbers of the result files into the documents
  cargo xtask schema         write docs/recipe.schema.json
  cargo xtask fuzz           compare the readers with Python's on many made cases (needs python3 and pip; images also cjpeg and jpegtran)
  cargo xtask torture        kill, starve and damage the program for some minutes (the tests hold a short form)
  cargo xtask arm            test kernels, clustering and deduplication on an emulated 64-bit ARM, where there is one
  cargo xtask cuda           type-check the CUDA device, which cannot be linked everywhere
  cargo xtask package        package every published crate, without building it
  cargo xtask package verify package them and build each from its package, as before publishing (10 minutes)
  cargo xtask hdf5           test the HDF5 features, where the system has libhdf5
  cargo xtask python         build the Python package and run its tests, where there is Python 3.11 (and pip)
  cargo xtask python stubs   write its type stubs anew
  cargo xtask wgpu           run the conformance suite on WebGPU, where a driver is installed
";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let answer = match words.as_slice() {
        ["test", rest @ ..] => test(rest),
        ["ci"] => ci(),
        ["data", rest @ ..] => data(rest),
        ["repro", id] if REPEATED.contains(id) => repro(id),
        ["repro", "dfn-small"] => measure("dfn-small"),
        ["repro", "demo-filter"] => repro_demo_filter(),
        ["fuzz", rest @ ..] => fuzz::fuzz(rest),
        ["torture", rest @ ..] => torture::torture(rest),
        ["splice"] => splice::all(&root()),
        ["schema"] => schema(),
        ["arm"] => arm(),
        ["cuda"] => cuda(),
        ["package"] => package(&["--no-verify"]),
        ["package", "verify"] => package(&[]),
        ["hdf5"] => hdf5(),
        ["python", "stubs"] => python::write_stubs(),
        ["python", rest @ ..] => python::python(rest),
        ["wgpu"] => wgpu(),
        _ => {
            print!("{HELP}");
            return ExitCode::from(
                u8::from(!matches!(words.as_slice(), [] | ["help" | "--help" | "-h"])) * 2,
            );
        }
    };
    match answer {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or_else(|| here.to_owned(), Path::to_owned)
}

/// The number that follows a flag.
fn number_after(flag: &str, text: Option<&&str>, usage: &str) -> Result<u64> {
    let text = text.with_context(|| format!("{flag} needs a number: {usage}"))?;
    text.parse().with_context(|| format!("{flag} {text} is not a number"))
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    without_package(&mut command);
    command
}

/// `cargo run`, which starts this program, tells it of its package in variables. ring's build script looks at
/// them: a cargo that sees others than its last caller would build half of the workspace again.
fn without_package(command: &mut Command) {
    let told = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(told) {
            command.env_remove(name);
        }
    }
}

/// A command as a shell takes it, without the variables that it is not to see.
fn shown(command: &Command) -> String {
    let text = |word: &std::ffi::OsStr| word.display().to_string();
    let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let set = set.map(|(name, value)| format!("{}={}", text(name), text(value)));
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(text);
    set.chain(words).collect::<Vec<_>>().join(" ")
}

fn run(mut command: Command) -> Result<()> {
    let shown = shown(&command);
    eprintln!("$ {shown}");
    let started = Instant::now();
    let status = command.status().with_context(|| format!("{shown} could not be started"))?;
    eprintln!("  {:.0} s", started.elapsed().as_secs_f64());
    if status.success() { Ok(()) } else { bail!("{shown} failed") }
}

/// The program without burn is what users build first; the checks want `curate filter train` too,
/// networks from the hub, pools behind URLs, and linfa's clusterers.
const CHECKED: [&str; 2] =
    ["--features", "curate-cli/train,curate-cli/hub,curate-cli/object-store,curate-cli/linfa"];

fn test(rest: &[&str]) -> Result<()> {
    let with_nextest =
        cargo(&["nextest", "--version"]).output().is_ok_and(|output| output.status.success());
    let mut tests = if with_nextest {
        cargo(&["nextest", "run", "--workspace"])
    } else {
        cargo(&["test", "--workspace", "--lib", "--bins", "--tests", "--examples"])
    };
    if with_nextest && env::var_os("CI").is_some() {
        tests.args(["--profile", "ci"]);
    }
    tests.args(CHECKED).args(rest);
    run(tests)?;
    // With the same features, so that the dependencies are not built again.
    run(cargo(&[&["test", "--quiet", "--workspace", "--doc"], &CHECKED[..]].concat()))
}

fn ci() -> Result<()> {
    run(cargo(&["fmt", "--all", "--check"]))?;
    let clippy = ["clippy", "--workspace", "--all-targets"];
    run(cargo(&[&clippy, &CHECKED[..], &["--", "-D", "warnings"]].concat()))?;
    // The program as it is built by default, which has no training.
    run(cargo(&["clippy", "--package", "curate-cli", "--all-targets", "--", "-D", "warnings"]))?;
    test(&[])?;
    let mut docs = cargo(&[&["doc", "--workspace", "--no-deps"], &CHECKED[..]].concat());
    docs.env("RUSTDOCFLAGS", "-D warnings");
    run(docs)?;
    package(&["--no-verify"])?;
    cuda()?;
    hdf5()?;
    python::python(&[])
}

/// Crates that stay in the workspace.
const UNPUBLISHED: [&str; 5] =
    ["xtask", "xtask-data", "curate-repro", "curate-conformance", "curate-py"];

/// What crates.io would be given: finds files and metadata that are missing. With `--no-verify`
/// nothing is built, so it takes seconds; without, each crate is built from the packages of those that
/// it needs.
fn package(how: &[&str]) -> Result<()> {
    let mut package = cargo(&["package", "--workspace", "--allow-dirty", "--quiet"]);
    package.args(how).args(UNPUBLISHED.iter().flat_map(|name| ["--exclude", name]));
    run(package)
}

/// HDF5 is a library of the system: without it there is nothing to test.
fn hdf5() -> Result<()> {
    let there = |program: &str, args: &[&str]| {
        Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
    };
    let found = there("pkg-config", &["--exists", "hdf5"])
        || there("h5cc", &["-showconfig"])
        || env::var_os("HDF5_DIR").is_some();
    if !found {
        eprintln!("no libhdf5 here: the feature hdf5 is not tested");
        return Ok(());
    }
    let feature = ["--package", "curate-io", "--features", "curate-io/hdf5"];
    run(cargo(&[&["clippy", "--all-targets"], &feature[..], &["--", "-D", "warnings"]].concat()))?;
    run(cargo(&[&["test", "--lib", "--tests", "--examples"], &feature[..]].concat()))
}

/// The pool's builder renders pictures and embeds them: its dependencies are heavy, so it is a
/// package of its own, built only when asked for.
fn data(rest: &[&str]) -> Result<()> {
    let mut builder = cargo(&["run", "--release", "--package", "xtask-data", "--"]);
    builder.args(rest);
    run(builder)
}

/// What `curate-repro` measures again.
const REPEATED: [&str; 8] = [
    "scaling",
    "compute-aware",
    "compute-aware-demo",
    "select-tiny",
    "dp4tl-tiny",
    "dbp-tiny",
    "kd-pruning",
    "datacomp-tiny",
];

/// Measures a subject, draws the book's plots, and puts the numbers where they are shown.
fn measure(id: &str) -> Result<()> {
    run(cargo(&["run", "--release", "--package", "curate-repro", "--", id, "."]))?;
    splice::all(&root())
}

/// [`measure`] of a subject with claims. One that is missed is an error, after everything is written.
fn repro(id: &str) -> Result<()> {
    measure(id)?;
    let results = format!("docs/results/{}.json", id.replace('-', "_"));
    let missed = splice::missed_claims(&root().join(results))?;
    if missed.is_empty() { Ok(()) } else { bail!("missed: {}", missed.join("; ")) }
}

/// What demo/filter is trained with; `curate filter train` says the rest on its card.
const DEMO_FILTER: &str = "--steps 600 --batch 256 --micro-batch 256 --lr 1e-3 --warmup 60 \
    --weight-decay 0.1 --crop 0.8 --seed 0 --half --checkpoint-every 50";
const DEMO_FILTER_LIMIT: &str = "Trained on 64-pixel icons and emoji with captions of a few English \
    words: it is for the demonstration, not for photographs.";

/// Trains the network that comes with the demonstration, from the config that lies there, and
/// measures it on the demonstration's pool. What is there already is trained no further: remove
/// data/demo-filter to start again.
fn repro_demo_filter() -> Result<()> {
    if !root().join("data/clean").exists() {
        bail!("data/clean is missing; make it with `cargo xtask data clean`");
    }
    let program = ["run", "--release", "--package", "curate-cli", "--features", "train", "--"];
    let mut train = cargo(&program);
    train.args(["filter", "train", "data/clean", "--out", "data/demo-filter", "--model"]);
    train.arg("demo/filter/open_clip_config.json").args(DEMO_FILTER.split_whitespace());
    run({
        train.args(["--note", DEMO_FILTER_LIMIT]);
        train
    })?;
    let files = [
        "open_clip_config.json",
        "open_clip_model.safetensors",
        "filter_card.json",
        "filter_card.md",
    ];
    for file in files {
        let (from, to) = (root().join("data/demo-filter"), root().join("demo/filter"));
        std::fs::copy(from.join(file), to.join(file)).with_context(|| format!("copying {file}"))?;
    }
    let example =
        ["run", "--release", "--package", "curate-eval", "--example", "demo_filter", "--"];
    let mut measure = cargo(&example);
    measure.args(["demo/filter", "demo/pool", "docs/results/demo_filter.json"]);
    run(measure)?;
    splice::all(&root())
}

fn schema() -> Result<()> {
    let mut program = cargo(&["run", "--quiet", "--package", "curate-cli", "--", "schema"]);
    let output = program.output().context("the program could not be started")?;
    if !output.status.success() {
        bail!("the program failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let path = root().join("docs/recipe.schema.json");
    std::fs::write(&path, output.stdout)
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// Runs the conformance suite on the GPU that WebGPU finds, or on a software renderer, and records
/// it for the book. Not a part of `ci`: burn's GPU backend takes half an hour to build.
fn wgpu() -> Result<()> {
    if !has_vulkan() {
        eprintln!("no Vulkan driver here (Debian: mesa-vulkan-drivers): wgpu is not tested");
        return Ok(());
    }
    let package = ["run", "--package", "curate-conformance", "--features", "wgpu", "--"];
    let mut suite = cargo(&package);
    suite.args(["wgpu", "--json", "docs/results/conformance_wgpu.json"]);
    if env::var_os("XDG_RUNTIME_DIR").is_none() {
        // Mesa complains without one.
        suite.env("XDG_RUNTIME_DIR", env::temp_dir());
    }
    run(suite)?;
    splice::all(&root())
}

/// Vulkan's loader finds drivers by files in known folders; elsewhere than on Linux WebGPU uses what
/// comes with the system.
fn has_vulkan() -> bool {
    let named = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].iter().any(|v| env::var_os(v).is_some());
    let folders = ["/usr/share", "/usr/local/share", "/etc"];
    let installed = folders.iter().any(|folder| {
        let drivers = Path::new(folder).join("vulkan/icd.d");
        drivers.read_dir().is_ok_and(|mut files| files.next().is_some())
    });
    !cfg!(target_os = "linux") || named || installed
}

/// burn's CUDA backend downloads an LLVM archive while it builds; with `DOCS_RS` set it skips that,
/// which is enough to check types.
fn cuda() -> Result<()> {
    let mut check = cargo(&["check", "--package", "curate-device", "--features", "cuda"]);
    check.env("DOCS_RS", "1");
    run(check)
}

/// Runs the tests of what has to have the same bytes on every processor under an emulator of 64-bit ARM, whose
/// NEON the compiler uses without being asked. Not a part of `ci`: few machines have an emulator.
fn arm() -> Result<()> {
    const TARGET: &str = "aarch64-unknown-linux-gnu";
    let (linker, emulator) = ("aarch64-linux-gnu-gcc", "qemu-aarch64");
    let is_there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !is_there(linker) || !is_there(emulator) {
        eprintln!(
            "no {linker} or {emulator} here (Debian: gcc-aarch64-linux-gnu, qemu-user): ARM is not tested"
        );
        return Ok(());
    }
    let packages = ["-p", "curate-kernels", "-p", "curate-cluster", "-p", "curate-dedup"];
    let tests = ["--lib", "--test", "golden", "--test", "same_bytes"];
    let mut test = cargo(&[&["test", "--target", TARGET], &tests[..]].concat());
    test.args(packages).env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", linker);
    let runner = format!("{emulator} -L /usr/aarch64-linux-gnu");
    test.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", runner);
    // C sources of dependencies.
    test.env("CC_aarch64_unknown_linux_gnu", linker);
    run(test).context(format!("`rustup target add {TARGET}` installs what Rust needs"))
}
