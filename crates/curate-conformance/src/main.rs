//! Prints the suite as a table, for every device that was compiled in and is present.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its user")]

mod timing;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use curate_conformance::{Check, Scope, run};
use curate_device::DeviceName;
use serde_json::json;

const HELP: &str = "\
Runs the conformance suite on devices and prints the largest differences.

  curate-conformance [DEVICE ...] [--everything] [--timing] [--json FILE]

  DEVICE        auto, cpu, wgpu, cuda or cuda:N; without one, every device present
  --everything  run whole networks on software renderers too, which takes minutes
  --timing      instead of checking, time k-means against the CPU's native kernels:
                100,000 rows of 512 numbers, 1,024 clusters
  --json FILE   also write the differences to this file

The golden networks are looked for in $CURATE_FIXTURES, then in crates/curate-dfn/tests/fixtures.
";

#[derive(Default)]
struct Wanted {
    devices: Vec<DeviceName>,
    everything: bool,
    timing: bool,
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match parse(env::args().skip(1)).and_then(|wanted| wanted.map_or(Ok(true), carry_out)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// `None` when help was asked for and given.
fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Wanted>> {
    let mut wanted = Wanted::default();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--everything" => wanted.everything = true,
            "--timing" => wanted.timing = true,
            "--json" => wanted.json = Some(args.next().context("--json needs a file")?.into()),
            "--help" | "-h" => {
                print!("{HELP}");
                return Ok(None);
            }
            option if option.starts_with('-') => bail!("`{option}` is not an option; see --help"),
            name => wanted.devices.push(name.parse::<DeviceName>()?.resolve()),
        }
    }
    if wanted.devices.is_empty() {
        wanted.devices = DeviceName::found();
    }
    Ok(Some(wanted))
}

fn fixtures() -> Result<PathBuf> {
    let here = Path::new("crates/curate-dfn/tests/fixtures");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../curate-dfn/tests/fixtures");
    let places =
        [env::var_os("CURATE_FIXTURES").map(PathBuf::from), Some(here.into()), Some(source)];
    let found = places.into_iter().flatten().find(|place| place.join("tiny").exists());
    found.context("no golden networks were found: start in the source tree or set CURATE_FIXTURES")
}

/// True when every check passes.
fn carry_out(wanted: Wanted) -> Result<bool> {
    let (fixtures, mut failed) = (fixtures()?, 0);
    let mut devices = Vec::new();
    for device in wanted.devices {
        println!("{device}: {}", device.describe()?);
        if wanted.timing {
            timing::k_means(device)?;
            continue;
        }
        let scope = if wanted.everything { Scope::Everything } else { Scope::of(device) };
        if scope == Scope::Operations {
            println!("  a software renderer: operations and towers of one block only");
        }
        let mut checks = Vec::new();
        run(device, scope, &fixtures, &mut |check| {
            failed += usize::from(!check.passes());
            show(&check);
            let Check { name, difference, bar } = check;
            checks.push(json!({"name": name, "difference": difference, "bar": bar}));
        })?;
        devices.push(json!({
            "device": device.to_string(),
            "description": device.describe()?,
            "whole_networks": scope == Scope::Everything,
            "checks": checks,
        }));
    }
    if let Some(file) = wanted.json {
        let text = serde_json::to_string_pretty(&devices)? + "\n";
        std::fs::write(&file, text).with_context(|| file.display().to_string())?;
    }
    if failed > 0 {
        println!("{failed} checks failed");
    }
    Ok(failed == 0)
}

fn show(check: &Check) {
    let verdict = if check.passes() { "ok" } else { "FAILED" };
    let Check { name, difference, bar } = check;
    println!("  {difference:9.2e}  bar {bar:8.0e}  {verdict:6}  {name}");
}
