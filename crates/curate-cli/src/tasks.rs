//! `curate tasks`: a run in tasks, for many processes or machines.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use curate::pipeline::{
    Error, Recipe,
    plan::bytes,
    tasks::{Done, SlurmOptions, TaskPlan, Worker, collect, plan, resume, slurm, status, verify},
};

use crate::{
    failure::Failure,
    memory,
    progress::Shown,
    show,
    values::{at_least_one, output},
};

#[derive(Subcommand)]
pub(crate) enum TasksCommand {
    /// Cut a run into tasks: fix ranges of rows and the steps of every stage.
    #[command(
        after_help = "Example:\n  curate tasks plan demo/recipe.toml --out runs/plan --tasks 4"
    )]
    Plan(PlanArgs),
    /// Carry out one task, unless what it leaves is there.
    ///
    /// The exit code tells a scheduler what to do: 0, it is done; 75, an earlier step is not done or
    /// another process writes to the run folder, so try again later; 65, the pool or a file has changed
    /// since the plan; 69, it may need more memory than there is; 2, the command line is wrong; 1, it
    /// failed for another reason; 128 and its number, a signal ended it.
    #[command(after_help = "Example:\n  curate tasks run runs/plan --step 01-dfn.rows --index 0")]
    Run(RunArgs),
    /// Carry out all tasks that are not done, one after the other.
    #[command(after_help = "Example:\n  curate tasks resume runs/plan")]
    Resume(ResumeArgs),
    /// Carry out a step that has one task: put together what the tasks before it left.
    #[command(after_help = "Example:\n  curate tasks reduce runs/plan --step 01-dfn.stage")]
    Reduce(ReduceArgs),
    /// Show which tasks are done, running, failed or missing, and why.
    #[command(after_help = "Example:\n  curate tasks status runs/plan")]
    Status(LookArgs),
    /// Read every artefact, and name those that are damaged, of another plan, or nobody's.
    #[command(after_help = "Example:\n  curate tasks verify runs/plan")]
    Verify(LookArgs),
    /// Remove artefacts of stages that are finished, and what killed processes left.
    #[command(after_help = "Example:\n  curate tasks gc runs/plan")]
    Gc(GcArgs),
    /// Print a script that submits the plan to Slurm: an array of jobs per step.
    #[command(after_help = "Example:\n  curate tasks slurm runs/plan --partition long")]
    Slurm(SlurmArgs),
}

#[derive(Args)]
pub(crate) struct PlanArgs {
    /// The recipe, a TOML file.
    recipe: PathBuf,
    /// The folder to write the plan to; tasks leave their artefacts there.
    #[arg(long, short, value_name = "FOLDER", value_parser = output)]
    out: PathBuf,
    /// Tasks per step; by default one for each million rows. The result does not depend on it.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    tasks: Option<usize>,
    /// Print the plan as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct RunArgs {
    /// The folder of the plan.
    plan: PathBuf,
    /// The step, as `curate tasks status` names it.
    #[arg(long, value_name = "NAME")]
    step: String,
    /// The number of the task, from 0; by default that of SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX,
    /// or 0 for a step of one task.
    #[arg(long, value_name = "N")]
    index: Option<usize>,
    #[command(flatten)]
    memory: MemoryArgs,
}

#[derive(Args)]
pub(crate) struct ReduceArgs {
    /// The folder of the plan.
    plan: PathBuf,
    /// The step, as `curate tasks status` names it.
    #[arg(long, value_name = "NAME")]
    step: String,
    #[command(flatten)]
    memory: MemoryArgs,
}

#[derive(Args)]
struct MemoryArgs {
    /// Start the task even where it may need more memory than there is.
    #[arg(long)]
    ignore_memory: bool,
}

#[derive(Args)]
pub(crate) struct LookArgs {
    /// The folder of the plan.
    plan: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct ResumeArgs {
    /// The folder of the plan.
    plan: PathBuf,
}

#[derive(Args)]
pub(crate) struct GcArgs {
    /// The folder of the plan.
    plan: PathBuf,
    /// Remove all artefacts of a finished run; its run folder stays.
    #[arg(long)]
    all: bool,
}

#[derive(Args)]
pub(crate) struct SlurmArgs {
    /// The folder of the plan.
    plan: PathBuf,
    /// Processor cores of a task.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = at_least_one)]
    cores: usize,
    /// How often a task is tried.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one)]
    tries: usize,
    /// Tasks of a step that run at once, at most.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    at_once: Option<usize>,
    /// The partition of all jobs.
    #[arg(long, value_name = "NAME")]
    partition: Option<String>,
    /// The program, as the nodes find it; by default this one.
    #[arg(long, value_name = "PATH")]
    program: Option<String>,
    /// A further option of sbatch for all jobs, such as --sbatch=--account=lab; may be given again.
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    sbatch: Vec<String>,
}

pub(crate) fn carry_out(command: &TasksCommand, shown: &Shown) -> Result<(), Failure> {
    match command {
        TasksCommand::Plan(args) => make(args, shown)?,
        TasksCommand::Run(args) => {
            run(&args.plan, &args.step, args.index, &args.memory, shown)?;
        }
        TasksCommand::Reduce(args) => {
            let plan = TaskPlan::open(&args.plan)?;
            let tasks = plan.step(&args.step)?.tasks;
            if tasks > 1 {
                return Err(Failure::Usage(format!(
                    "step `{}` has {tasks} tasks: name one with `curate tasks run --index`",
                    args.step
                )));
            }
            run(&args.plan, &args.step, Some(0), &args.memory, shown)?;
        }
        TasksCommand::Status(args) => {
            let found = status(&args.plan)?;
            if args.json { show::json(&found) } else { show::text(&found) }?;
        }
        TasksCommand::Verify(args) => return check(args, shown),
        TasksCommand::Resume(args) => {
            let plan = TaskPlan::open(&args.plan)?;
            let computed = resume(&args.plan, shown)?;
            let run = plan.run_folder(&args.plan);
            show::text(format_args!("{computed} tasks computed\nrun: {}\n", run.display()))?;
        }
        TasksCommand::Gc(args) => {
            let gone = collect(&args.plan, args.all)?;
            let size = bytes(gone.bytes);
            show::text(format_args!("{} files removed, {size}\n", gone.files))?;
        }
        TasksCommand::Slurm(args) => submit(args)?,
    }
    Ok(())
}

fn make(args: &PlanArgs, shown: &Shown) -> Result<(), Failure> {
    let recipe = Recipe::read(&args.recipe)?;
    let made = plan(&recipe, &args.out, args.tasks, shown)?;
    if args.json {
        return Ok(show::text(made.to_json())?);
    }
    let tasks: usize = made.steps.iter().map(|step| step.tasks).sum();
    let memory = made.steps.iter().map(|step| step.estimate.memory).max().unwrap_or(0);
    let disk: u64 = made.steps.iter().map(|step| step.estimate.disk * step.tasks as u64).sum();
    show::text(format_args!(
        "{} rows in {} parts, {} steps, {tasks} tasks\n\
         a task: at most {} of memory; all artefacts: at most {}\n\
         plan: {}\n",
        made.rows,
        made.parts.len(),
        made.steps.len(),
        bytes(memory),
        bytes(disk),
        args.out.display()
    ))?;
    Ok(())
}

fn run(
    folder: &Path,
    step: &str,
    index: Option<usize>,
    asked: &MemoryArgs,
    shown: &Shown,
) -> Result<(), Failure> {
    let plan = TaskPlan::open(folder)?;
    let tasks = plan.step(step)?.tasks;
    let named = index.map(|index| ("--index", index));
    let index = match named.map_or_else(index_of_scheduler, |named| Ok(Some(named)))? {
        Some((_, index)) => index,
        None if tasks == 1 => 0,
        None => {
            return Err(Failure::Usage(format!(
                "step `{step}` has {tasks} tasks: name one with --index"
            )));
        }
    };
    let worker = Worker::open(folder, shown)?.for_one_task();
    if !asked.ignore_memory
        && let Some(limit) = memory::limit()
    {
        worker.check_memory(step, limit)?;
    }
    let what = match worker.run(step, index, shown)? {
        Done::Computed => "computed",
        Done::Present => "was done",
        Done::NotNeeded => "had nothing to do",
    };
    show::text(format_args!("{step} {index}: {what}\n"))?;
    Ok(())
}

/// One job's part of a command whose work several jobs share.
#[derive(Args)]
pub(crate) struct PartArgs {
    /// Do one task's part of the work and stop, so that as many jobs of an array share it. The command without
    /// it, given afterwards, does what is missing and completes the folder.
    #[arg(long, value_name = "COUNT", value_parser = at_least_one)]
    pub(crate) tasks: Option<usize>,
    /// The number of the task, from 0; by default that of SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX.
    #[arg(long, value_name = "N", requires = "tasks")]
    pub(crate) index: Option<usize>,
}

impl PartArgs {
    /// The number of the task, and how many there are; `None` where all of the work is to be done.
    pub(crate) fn task(&self) -> Result<Option<(usize, usize)>, Failure> {
        let Some(tasks) = self.tasks else { return Ok(None) };
        let named = self.index.map(|index| ("--index", index));
        match named.map_or_else(index_of_scheduler, |named| Ok(Some(named)))? {
            Some((_, index)) if index < tasks => Ok(Some((index, tasks))),
            Some((name, index)) => {
                let last = tasks - 1;
                Err(Failure::Usage(format!("{name} is {index}, but the tasks are 0 to {last}")))
            }
            None => Err(Failure::Usage("--tasks: name the task with --index".to_owned())),
        }
    }
}

/// The number that a scheduler gives to a job of an array, and the variable that has it.
fn index_of_scheduler() -> Result<Option<(&'static str, usize)>, Failure> {
    for name in ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"] {
        let value = std::env::var_os(name).filter(|value| !value.is_empty());
        let Some(value) = value else { continue };
        let index = value.to_str().and_then(|value| value.parse().ok());
        return index.map(|index| Some((name, index))).ok_or_else(|| {
            Failure::Usage(format!(
                "{name} is `{}`, which is no number of a task: name one with --index",
                value.display()
            ))
        });
    }
    Ok(None)
}

fn check(args: &LookArgs, shown: &Shown) -> Result<(), Failure> {
    let found = verify(&args.plan, shown)?;
    if args.json {
        show::json(&found)?;
    } else {
        let lines = found.damaged.iter().map(|problem| format!("damaged: {problem}\n"));
        let foreign = found.foreign.iter().map(|path| format!("nobody's: {}\n", path.display()));
        let lines: String = lines.chain(foreign).collect();
        show::text(format_args!("{} artefacts are whole\n{lines}", found.whole))?;
    }
    match found.damaged.len() + found.foreign.len() {
        0 => Ok(()),
        count => Err(Error::Run {
            folder: args.plan.clone(),
            problem: format!("{count} files are not what the plan's tasks wrote"),
        }
        .into()),
    }
}

fn submit(args: &SlurmArgs) -> Result<(), Failure> {
    let plan = TaskPlan::open(&args.plan)?;
    let this = || std::env::current_exe().map(|path| path.display().to_string());
    let program = args.program.clone().map_or_else(this, Ok);
    let partition = args.partition.as_ref().map(|name| format!("--partition={name}"));
    let options = SlurmOptions {
        program: program.unwrap_or_else(|_| "curate".to_owned()),
        cores: args.cores,
        tries: args.tries,
        at_once: args.at_once,
        options: partition.into_iter().chain(args.sbatch.iter().cloned()).collect(),
    };
    let folder = std::path::absolute(&args.plan).unwrap_or_else(|_| args.plan.clone());
    Ok(show::text(slurm(&plan, &folder, &options))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_scheduler_gives_no_number() {
        // Tests run outside of schedulers.
        assert!(matches!(index_of_scheduler(), Ok(None)));
    }
}
