//! What the command line says.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use curate::core::Cut;
use curate_device::DeviceName;

use crate::{filter::args::FilterCommand, plan::args::PlanCommand, values::fraction};

/// Decide which samples of an image-text pool to train on.
///
/// A recipe lists stages: score, cut, semantic dedup, concept pruning, set operations. A run writes
/// the subset, the reason for every removed sample, a manifest and a report to look at.
#[derive(Parser)]
#[command(name = "curate", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Show no progress.
    // Behind every command's own options, whatever their number.
    #[arg(long, short, global = true, display_order = 900)]
    pub(crate) quiet: bool,
    /// Threads to use; all cores if left out. The result does not depend on it.
    #[arg(long, global = true, value_name = "N", display_order = 901)]
    pub(crate) threads: Option<usize>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a recipe over a pool.
    ///
    /// A run that stopped goes on where it stopped: give the same command again. Stages whose
    /// settings and inputs are unchanged are read, not computed.
    Run(RunArgs),
    /// Curate the demonstration pool that comes with the source, and say which files to open.
    Demo(DemoArgs),
    /// Show what is in a pool: rows, columns, embeddings, bad rows.
    Inspect(InspectArgs),
    /// Tell why a sample stayed or went.
    Explain(ExplainArgs),
    /// Compare two runs or subset files.
    Compare(CompareArgs),
    /// Write the subset of another threshold of a finished stage, without computing it again.
    Select(SelectArgs),
    /// Data filtering networks: train one, embed a pool with it, score, decide.
    #[command(subcommand)]
    Filter(FilterCommand),
    /// Filter DataComp metadata by one of DataComp's baselines.
    ///
    /// The subset file equals that of DataComp's baselines.py byte for byte, repeated ids included.
    Baseline(Box<crate::baseline::BaselineArgs>),
    /// Write the samples of a subset into new WebDataset shards, as DataComp's resharder does.
    ///
    /// Samples of which the subset has several are written as often, under the keys UID-0, UID-1
    /// and so on. The bytes do not depend on the number of threads. A call that stopped goes on
    /// when it is repeated.
    Reshard(crate::reshard::ReshardArgs),
    /// Combine subset files, or count what is in one. An id may occur several times.
    #[command(subcommand)]
    Subset(crate::subset::SubsetCommand),
    /// Fit laws of data and compute to small training runs, and decide with them which pool to train
    /// on.
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Print the JSON Schema of recipes.
    Schema,
}

#[derive(Args)]
pub(crate) struct RunArgs {
    /// The recipe, a TOML file.
    pub(crate) recipe: PathBuf,
    /// The folder to write to; `runs/` and the recipe's file name if left out.
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Curate this pool instead of the recipe's.
    #[arg(long, value_name = "PATH")]
    pub(crate) pool: Option<PathBuf>,
    /// Cluster on this device instead of the recipe's: auto, cpu, wgpu, cuda or cuda:N.
    ///
    /// Others than cpu need a program built with the feature `wgpu` or `cuda`.
    #[arg(long)]
    pub(crate) device: Option<DeviceName>,
    /// Replace results of other settings in the folder.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Say which rows, memory, disk and work a run needs, and stop.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// The folder to write to.
    #[arg(long, short, value_name = "FOLDER", default_value = "runs/demo")]
    pub(crate) out: PathBuf,
    /// The folder of the demonstration: recipe.toml and pool/.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) demo: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct InspectArgs {
    /// A folder, a file, or a pattern such as `shards/{00000..00099}.tar`.
    pub(crate) pool: PathBuf,
    /// Leave out shards that cannot be read, instead of stopping.
    #[arg(long)]
    pub(crate) skip_bad_shards: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct ExplainArgs {
    /// The folder of a finished run.
    pub(crate) run: PathBuf,
    /// The sample's id, or its key in a WebDataset shard.
    pub(crate) id: String,
}

#[derive(Args)]
pub(crate) struct CompareArgs {
    /// A run folder or a subset file.
    pub(crate) first: PathBuf,
    /// Another.
    pub(crate) second: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct SelectArgs {
    /// The folder of a finished run.
    pub(crate) run: PathBuf,
    #[command(flatten)]
    pub(crate) wanted: CutArgs,
    /// The stage whose numbers decide; the last one that has numbers if left out.
    #[arg(long, value_name = "NAME")]
    pub(crate) stage: Option<String>,
    /// The file to write: .npy, .memmap, .parquet, .jsonl or .txt. Left out, only the counts are
    /// printed.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct CutArgs {
    /// Keep the best fraction of the rows that the stage was given.
    #[arg(long, value_parser = fraction)]
    fraction: Option<f64>,
    /// Keep the best so many rows.
    #[arg(long, value_name = "COUNT")]
    top: Option<usize>,
    /// Keep rows at least this good.
    #[arg(long, allow_hyphen_values = true)]
    threshold: Option<f32>,
    /// Keep rows whose similarity to a preferred row is at most 1 - EPSILON.
    #[arg(long)]
    epsilon: Option<f64>,
}

impl CutArgs {
    pub(crate) fn wanted(&self) -> Cut {
        let fraction = self.fraction.map(Cut::Fraction);
        let top = self.top.map(Cut::Top);
        let threshold = self.threshold.map(Cut::Threshold);
        let epsilon = self.epsilon.map(Cut::Epsilon);
        fraction.or(top).or(threshold).or(epsilon).expect("clap requires one of the group")
    }
}
