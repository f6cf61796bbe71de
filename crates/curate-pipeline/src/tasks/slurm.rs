//! A plan as jobs of Slurm.

use std::{fmt::Write as _, path::Path};

use super::{graph::Step, plan::TaskPlan};

/// How jobs are submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlurmOptions {
    /// The program, as the nodes find it.
    pub program: String,
    /// Processor cores of a task.
    pub cores: usize,
    /// How often a task is tried.
    pub tries: usize,
    /// Tasks of a step that run at once, at most; any number if left out.
    pub at_once: Option<usize>,
    /// Further options of `sbatch` for every job, such as `--partition=long`.
    pub options: Vec<String>,
}

impl Default for SlurmOptions {
    fn default() -> Self {
        let (program, options) = ("curate".to_owned(), vec![]);
        Self { program, cores: 4, tries: 3, at_once: None, options }
    }
}

/// A script that submits a plan: an array of jobs a step, each after the one before succeeded. A task
/// that fails is tried again by its own job; `sbatch` is asked to put a job whose node failed into the
/// queue again.
pub fn slurm(plan: &TaskPlan, folder: &Path, options: &SlurmOptions) -> String {
    let mut script = String::from(HEAD);
    let _ = writeln!(script, "plan={}", quoted(&folder.display().to_string()));
    let _ = writeln!(script, "program={}", quoted(&options.program));
    // The jobs get the environment of whoever submits them.
    let _ = writeln!(script, "export plan program\nmkdir -p \"$plan/logs\"\n");
    let mut before: Option<usize> = None;
    for (number, step) in plan.steps.iter().enumerate() {
        let after = before.map_or(String::new(), |job| {
            format!(" --dependency=afterok:\"$job{job}\" --kill-on-invalid-dep=yes")
        });
        let _ = writeln!(script, "job{number}=$(sbatch{after} {} \\", asked(step, options));
        let _ = writeln!(script, "  --wrap={})", quoted(&work(step, options)));
        before = Some(number);
    }
    script.push_str("\necho \"the last job is $job");
    let _ = writeln!(script, "{}\"", plan.steps.len().saturating_sub(1));
    script
}

const HEAD: &str = "#!/bin/sh
# Submits all steps of a plan of tasks. Run again after a failure: tasks that are done are skipped.
set -eu
";

/// What a job asks for.
fn asked(step: &Step, options: &SlurmOptions) -> String {
    let tasks = step.tasks - 1;
    let at_once = options.at_once.map_or(String::new(), |most| format!("%{most}"));
    let minutes = (step.estimate.seconds / 60.0).ceil().max(1.0);
    // Estimates are of a slow core, and machines are slower than that on bad days.
    let minutes = 10 + 2 * minutes as u64;
    let memory = (step.estimate.memory >> 20) + 512;
    let mut asked = format!(
        "--parsable --requeue --job-name={} --array=0-{tasks}{at_once} --cpus-per-task={} \
         --mem={memory}M --time={minutes} --output=\"$plan/logs/{}-%a.log\" --open-mode=append",
        step.name, options.cores, step.name
    );
    for option in &options.options {
        asked.push(' ');
        asked.push_str(&quoted(option));
    }
    asked
}

/// What a job does: the task, tried again while it may succeed.
fn work(step: &Step, options: &SlurmOptions) -> String {
    format!(
        "tries=0; until \"$program\" --threads {} tasks run \"$plan\" --step {}; do code=$?; \
         tries=$((tries + 1)); case $code in 2|65|69) exit $code;; esac; \
         [ $tries -lt {} ] || exit $code; sleep 10; done",
        options.cores, step.name, options.tries
    )
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,%+@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
