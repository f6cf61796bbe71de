//! The `curate` program, as a library for those who give it another door: the Python package's command is
//! [`program`] too. Who wants its methods takes the crate `curate`.

#![allow(
    clippy::print_stderr,
    clippy::exit,
    reason = "a program talks to its user; the libraries do not"
)]

mod args;
mod baseline;
mod distill;
mod eval;
mod failure;
mod filter;
mod memory;
mod plain;
mod plan;
mod progress;
mod reshard;
mod show;
mod signals;
mod start;
mod subset;
mod tasks;
mod transfer;
mod values;
#[cfg(feature = "train")]
mod words;

use std::{
    error::Error as _,
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::Parser;
use curate::{
    io::{IoError, Kind, PoolOptions, pool::BadShards, subset as subsets, url::is_url},
    pipeline::{
        Error, Recipe, RunOptions,
        compare::compare,
        concepts::concepts,
        explain::explain,
        inspect::{Inspection, Look, inspect, verify},
        plan::plan as needs,
        reselect::{rerun, reselect},
        run,
        tasks::run_in_tasks,
    },
};

use crate::{
    args::{Cli, Command, DemoArgs, InspectArgs, ReportCommand, RunArgs, SelectArgs},
    eval::{Evaluation, args::EvalCommand},
    failure::{FAILED, Failure},
    filter::args::FilterCommand,
    plain::plain,
    progress::Shown,
};

/// Carries out a command line, the program's own name included, and returns its exit code. Help and what
/// clap says of a wrong command line end the process.
pub fn program(words: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = Cli::parse_from(words);
    start::silence_guarded_panics();
    if let Some(threads) = cli.threads.or(cli.command.workers())
        && let Err(problem) = start::set_threads(threads)
    {
        eprintln!("error: {problem}");
        return FAILED;
    }
    let kept = cli.command.kept();
    let stop = signals::watch(kept);
    let shown = Shown::new(cli.how_shown(), stop.asked());
    let skip = skips_by(&cli.command);
    let is_of_tasks = matches!(cli.command, Command::Tasks(_));
    let is_a_job = is_of_tasks || is_a_part(&cli.command);
    let answer = carry_out(cli.command, &shown);
    drop(shown);
    match answer {
        Ok(()) => 0,
        Err(error) if error.is_cancelled() => {
            eprintln!("error: interrupted; {kept}");
            stop.code()
        }
        Err(error) => {
            let error = error.in_words_of_the_program(skip, is_a_job);
            // Tasks replace what is damaged without a flag.
            let flag = if is_of_tasks { "" } else { error.flag() };
            eprintln!("error: {}", plain(&format!("{error}{flag}")));
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  because: {}", plain(&error.to_string()));
                cause = error.source();
            }
            if is_a_job { error.code() } else { FAILED }
        }
    }
}

/// Whether a scheduler asks for a part of a comparison, an embedding or a resharding.
fn is_a_part(command: &Command) -> bool {
    let part = match command {
        Command::Eval(EvalCommand::Compare(args)) => &args.part,
        Command::Filter(FilterCommand::Embed(args)) => &args.part,
        Command::Reshard(args) => &args.part,
        _ => return false,
    };
    part.tasks.is_some()
}

/// How a command is told to leave out shards that cannot be read; what ends a remedy.
fn skips_by(command: &Command) -> &'static str {
    match command {
        Command::Inspect(_)
        | Command::Reshard(_)
        | Command::Filter(FilterCommand::Embed(_) | FilterCommand::Score(_)) => {
            " with --skip-bad-shards"
        }
        Command::Run(_) => " with `bad-shards = \"skip\"` under `[pool]` in the recipe",
        _ => "",
    }
}

fn carry_out(command: Command, shown: &Shown) -> Result<(), Failure> {
    match command {
        Command::Plan(command) => return plan::carry_out(&command, shown),
        Command::Baseline(args) => return baseline::run(&args, shown),
        Command::Filter(command) => return filter::carry_out(&command, shown),
        Command::Eval(command) => return eval::carry_out(&command, shown),
        Command::Distill(args) => return distill::carry_out(&args, shown),
        Command::Reshard(args) => return reshard::run(&args, shown),
        Command::Transfer(args) => return transfer::run(&args, shown),
        Command::Tasks(command) => return tasks::carry_out(&command, shown),
        Command::Run(args) => return run_recipe(&args, shown),
        Command::Demo(args) => run_demo(&args, shown),
        Command::Inspect(args) => inspect_pool(&args, shown),
        Command::Explain(args) => show::text(explain(&args.run, &args.id)?),
        Command::Report(ReportCommand::Concepts(args)) => {
            let found = concepts(&args.run, args.stage.as_deref(), args.sort.into())?;
            if args.json { show::json(&found) } else { show::text(found) }
        }
        Command::Compare(args) => {
            let found = compare(&args.first, &args.second)?;
            if args.json { show::json(&found) } else { show::text(found) }
        }
        Command::Select(args) => select(&args, shown),
        Command::Subset(command) => subset::run(&command, shown),
        Command::Schema => show::text(Recipe::schema()),
    }?;
    Ok(())
}

fn run_recipe(args: &RunArgs, shown: &Shown) -> Result<(), Failure> {
    let mut recipe = Recipe::read(&args.recipe)?;
    if let Some(pool) = &args.pool {
        recipe.pool.path = if is_url(pool) { pool.clone() } else { absolute(pool)? };
    }
    if let Some(folder) = &args.embeddings {
        recipe.pool.embeddings = Some(absolute(folder)?);
    }
    if let Some(device) = args.device {
        recipe.stages.iter_mut().for_each(|stage| stage.set_device(device));
    }
    if args.dry_run {
        let needed = needs(&recipe, shown)?;
        return Ok(if args.json { show::json(&needed) } else { show::text(needed) }?);
    }
    let stem = args.recipe.file_stem().unwrap_or_default();
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(stem));
    let evaluation = Evaluation::of(&recipe, &args.recipe, &out, args.overwrite, shown)?;
    let options = RunOptions { overwrite: args.overwrite };
    let done = match args.tasks {
        Some(tasks) => run_in_tasks(&recipe, &out, tasks, options, shown),
        None => run(&recipe, &out, options, shown),
    };
    let summary = done.map_err(|mut error| {
        if let Error::Io(error) = &mut error
            && error.kind == Kind::NotFound
            && error.path == recipe.pool.path
            && !error.path.exists()
        {
            error.remedy += "; --pool names another";
        }
        error
    })?;
    show::text(show::Summary { recipe: &recipe, summary: &summary })?;
    evaluation.map_or(Ok(()), |asked| asked.carry_out(shown))
}

fn absolute(path: &Path) -> Result<PathBuf, IoError> {
    std::path::absolute(path).map_err(|e| IoError::os(path, "read", e))
}

fn run_demo(args: &DemoArgs, shown: &Shown) -> Result<(), Error> {
    let folder = demo_folder(args)?;
    let recipe = Recipe::read(&folder.join("recipe.toml"))?;
    let summary = run(&recipe, &args.out, RunOptions { overwrite: true }, shown)?;
    show::text(show::Summary { recipe: &recipe, summary: &summary })?;
    show::text(show::NextSteps { run: &args.out, kept: summary.kept })
}

/// The demonstration lies in the source, wherever the program is started from.
fn demo_folder(args: &DemoArgs) -> Result<PathBuf, Error> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo");
    let places = match &args.demo {
        Some(folder) => vec![folder.clone()],
        None => vec![PathBuf::from("demo"), source],
    };
    let found = places.iter().find(|place| place.join("recipe.toml").exists());
    // The folder of the source is found from that of the program's: `crates/curate-cli/../..`.
    found.map(|place| place.canonicalize().unwrap_or_else(|_| place.clone())).ok_or_else(|| {
        let remedy = "start the program in a clone of the source, or name the folder with --demo";
        IoError::new(
            Kind::NotFound,
            &places[0],
            "holds no demonstration (recipe.toml and pool/)",
            remedy,
        )
        .into()
    })
}

fn inspect_pool(args: &InspectArgs, shown: &Shown) -> Result<(), Error> {
    let bad_shards = if args.skip_bad_shards { BadShards::Skip } else { BadShards::Error };
    let options = PoolOptions { bad_shards, ids: args.ids.ids, ..PoolOptions::default() };
    let verified = match args.verify {
        true => Some(verify(&args.pool, options, shown)?),
        false => None,
    };
    if let Some(found) = verified.as_ref().filter(|found| !found.damaged.is_empty()) {
        if args.json { show::json(found) } else { show::text(found) }?;
        let problem = format!("{} of {} files are damaged", found.damaged.len(), found.files);
        return Err(IoError::malformed(&args.pool, problem).into());
    }
    let look = Look { images: args.images, embeddings: args.embeddings.as_deref() };
    let found = Inspection { verified, ..inspect(&args.pool, options, look, shown)? };
    if args.json { show::json(&found) } else { show::text(found) }
}

fn select(args: &SelectArgs, shown: &Shown) -> Result<(), Error> {
    let (stage, wanted) = (args.stage.as_deref(), args.wanted.wanted());
    let ids = if args.this_stage_only {
        let found = reselect(&args.run, stage, wanted)?;
        show::text(show::Cut(&found))?;
        found.ids
    } else {
        let found = rerun(&args.run, stage, wanted, shown)?;
        show::text(show::Rerun(&found))?;
        found.ids
    };
    if let Some(out) = &args.out {
        subsets::write(out, subsets::SubsetFormat::of_path(out)?, &ids)?;
        show::text(format_args!("wrote {}\n", out.display()))?;
    }
    Ok(())
}
