//! The program's command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use curate::{core::Cut, pipeline::concepts::ConceptOrder};
use curate_device::DeviceName;

use crate::{
    eval::args::EvalCommand,
    filter::args::FilterCommand,
    plan::args::PlanCommand,
    progress::HowShown,
    tasks::TasksCommand,
    values::{IdsArg, at_least_one, epsilon, fraction, number, output, whole},
};

/// Decide which samples of an image-text pool to train on.
///
/// A recipe lists stages: score, cut, semantic dedup, concept pruning, set operations. A run writes
/// the subset, the reason for every removed sample, a manifest and an HTML report.
#[derive(Parser)]
#[command(name = "curate", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Show no progress, as `--progress none`.
    // After every command's own options, however many it has.
    #[arg(long, short, global = true, display_order = 900, conflicts_with = "progress")]
    pub(crate) quiet: bool,
    /// Show progress on the error stream as auto (bars on a terminal, nothing elsewhere), json (an
    /// object a line) or none.
    #[arg(
        long,
        global = true,
        value_name = "HOW",
        default_value = "auto",
        display_order = 900,
        hide_possible_values = true
    )]
    pub(crate) progress: HowShown,
    /// The number of threads; all cores by default. The result does not depend on it.
    #[arg(long, global = true, value_name = "N", display_order = 901)]
    pub(crate) threads: Option<usize>,
}

impl Cli {
    pub(crate) fn how_shown(&self) -> HowShown {
        if self.quiet { HowShown::None } else { self.progress }
    }
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a recipe over a pool.
    ///
    /// To resume an interrupted run, give the same command again. Stages whose settings and inputs
    /// are unchanged are read from the folder instead of being computed.
    #[command(after_help = "Example:\n  curate run demo/recipe.toml --out runs/demo")]
    Run(RunArgs),
    /// Curate the demonstration pool that comes with the source, and name the files to open.
    #[command(after_help = "Example:\n  curate demo")]
    Demo(DemoArgs),
    /// Show what a pool contains: rows, columns, embeddings, quarantined rows.
    #[command(after_help = "Example:\n  curate inspect shards --images")]
    Inspect(InspectArgs),
    /// Explain why a sample was kept or removed.
    #[command(after_help = "Example:\n  curate explain runs/demo e3d66d0bc9156c11b3af395c5819e445")]
    Explain(ExplainArgs),
    /// Tables of a finished run.
    #[command(subcommand)]
    Report(ReportCommand),
    /// Compare two runs or subset files.
    #[command(after_help = "Example:\n  curate compare runs/demo a.npy")]
    Compare(CompareArgs),
    /// Apply another threshold to a finished stage, without computing it again.
    #[command(
        after_help = "Example:\n  curate select runs/demo --stage dedup --epsilon 0.1 --out looser.npy"
    )]
    Select(SelectArgs),
    /// Data filtering networks: train one, embed a pool with it, score, select.
    #[command(subcommand)]
    Filter(FilterCommand),
    /// Train the same small model on several selections of a pool, and rank them.
    #[command(subcommand)]
    Eval(EvalCommand),
    /// Train a teacher on a whole pool, and students of it on selections.
    ///
    /// Needs a program built with the feature `train`, and a pool with labels. A student hears its labels
    /// and, with the share alpha, what a teacher that was trained on everything says of the same rows. Alpha
    /// is chosen on rows that are held out for it; beside each selection stands a random one of the same
    /// size. To resume, or to add alphas, seeds and selections, give the command again: runs that are
    /// there are not made again.
    #[command(
        after_help = "Example:\n  curate distill demo/pool runs/demo --labels source --images img --samples 4K"
    )]
    Distill(Box<crate::distill::args::DistillArgs>),
    /// Filter DataComp metadata with one of DataComp's baselines.
    ///
    /// The subset file equals that of DataComp's baselines.py byte for byte, repeated ids included,
    /// given the files that it reads. Not so laion2b, whose languages DataComp names with CLD3, which
    /// this program does not have, and random_subset, which DataComp's script does not have.
    #[command(
        after_help = "Example:\n  curate baseline clip_score --arch l14 --fraction 0.3 --metadata-dir metadata --save-path kept.npy"
    )]
    Baseline(Box<crate::baseline::BaselineArgs>),
    /// Write the samples of a subset into new WebDataset shards, as DataComp's resharder does.
    ///
    /// A sample that is in the subset several times is written as many times, with the keys UID-0,
    /// UID-1 and so on. The bytes do not depend on the number of threads. To resume an interrupted
    /// call, give the same command again. With --tasks, jobs share the work; one that comes before others
    /// have read their part of the pool ends with the code 75, and is to be started again.
    #[command(
        after_help = "Examples:\n  curate reshard shards --subset subset.npy --out curated\n  curate reshard shards --subset subset.npy --out curated --tasks 8 --index 0"
    )]
    Reshard(crate::reshard::ReshardArgs),
    /// Combine subset files, or count the ids in one. An id may occur several times.
    #[command(subcommand)]
    Subset(crate::subset::SubsetCommand),
    /// Rank the classes of a pre-training set by what a target needs, and keep the best.
    ///
    /// Every target sample votes for a class (DP4TL, arXiv 2310.08782): for the one that a network trained on the
    /// source takes it for, or for the one whose features are nearest. Clusters do as classes.
    #[command(
        after_help = "Example:\n  curate transfer --labels labels.npy --predictions predictions.npy --fraction 0.5"
    )]
    Transfer(Box<crate::transfer::TransferArgs>),
    /// Carry a recipe out in tasks, by many processes or machines that share a folder.
    #[command(subcommand)]
    Tasks(TasksCommand),
    /// Fit scaling laws of data and compute to small training runs, and decide which pool to train
    /// on.
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Print the JSON Schema of recipes.
    #[command(after_help = "Example:\n  curate schema")]
    Schema,
}

impl Command {
    /// The threads that a command of DataComp's was given with its own flag.
    pub(crate) fn workers(&self) -> Option<usize> {
        match self {
            Self::Baseline(args) => args.num_workers,
            Self::Reshard(args) => args.num_workers,
            _ => None,
        }
    }

    /// What there is of results when a signal ended the command.
    pub(crate) fn kept(&self) -> &'static str {
        match self {
            Self::Run(_)
            | Self::Demo(_)
            | Self::Filter(_)
            | Self::Eval(_)
            | Self::Distill(_)
            | Self::Reshard(_)
            | Self::Tasks(_) => "what was finished is kept, run the same command again to go on",
            _ => "nothing was written",
        }
    }
}

#[derive(Args)]
pub(crate) struct RunArgs {
    /// The recipe, a TOML file.
    pub(crate) recipe: PathBuf,
    /// The folder to write to; by default `runs/` and the recipe's file name.
    #[arg(long, short, value_name = "FOLDER", value_parser = output)]
    pub(crate) out: Option<PathBuf>,
    /// Curate this pool instead of the one in the recipe.
    #[arg(long, value_name = "PATH")]
    pub(crate) pool: Option<PathBuf>,
    /// Take embeddings from this folder, which `curate filter embed` wrote, instead of the recipe's.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) embeddings: Option<PathBuf>,
    /// Cluster on this device instead of the recipe's: auto, cpu, wgpu, cuda or cuda:N.
    ///
    /// Devices other than cpu need a program built with the feature `wgpu` or `cuda`.
    #[arg(long)]
    pub(crate) device: Option<DeviceName>,
    /// Replace results in the folder that were made with other settings.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Carry every stage out in so many tasks, one after the other, so that a run that stopped goes on
    /// at its task. The result does not depend on it.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) tasks: Option<usize>,
    /// Print the rows, memory, disk space and work that a run needs, and stop.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// With --dry-run: print it as JSON, sizes in bytes.
    #[arg(long, requires = "dry_run")]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// The folder to write to.
    #[arg(long, short, value_name = "FOLDER", default_value = "runs/demo", value_parser = output)]
    pub(crate) out: PathBuf,
    /// The demonstration's folder, which holds recipe.toml and pool/.
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
    /// Decode every image, and count those that cannot be used by what is wrong with them.
    #[arg(long)]
    pub(crate) images: bool,
    /// A folder that `curate filter embed` wrote of this pool, whose embeddings are looked at too.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) embeddings: Option<PathBuf>,
    /// Read all files to their end first, compare the checksums that they hold, and name those that are
    /// damaged.
    #[arg(long)]
    pub(crate) verify: bool,
    #[command(flatten)]
    pub(crate) ids: IdsArg,
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

#[derive(Subcommand)]
pub(crate) enum ReportCommand {
    /// What a concept-prune stage kept of each concept, and what the concept is about.
    #[command(after_help = "Example:\n  curate report concepts runs/demo --sort share")]
    Concepts(ConceptsArgs),
}

#[derive(Args)]
pub(crate) struct ConceptsArgs {
    /// The folder of a finished run.
    pub(crate) run: PathBuf,
    /// The stage; by default the last one that prunes concepts.
    #[arg(long, value_name = "NAME")]
    pub(crate) stage: Option<String>,
    /// By what they are sorted, the largest first.
    #[arg(long, value_name = "ORDER", default_value = "lost")]
    pub(crate) sort: ConceptSort,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// By what concepts are sorted.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum ConceptSort {
    /// Rows that were removed.
    Lost,
    /// The share of its rows that were removed.
    Share,
    /// Rows.
    Rows,
    /// Complexity.
    Complexity,
}

impl From<ConceptSort> for ConceptOrder {
    fn from(sort: ConceptSort) -> Self {
        match sort {
            ConceptSort::Lost => Self::Lost,
            ConceptSort::Share => Self::ShareLost,
            ConceptSort::Rows => Self::Rows,
            ConceptSort::Complexity => Self::Complexity,
        }
    }
}

#[derive(Args)]
pub(crate) struct CompareArgs {
    /// A run folder or a subset file.
    pub(crate) first: PathBuf,
    /// The run folder or subset file to compare with it.
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
    /// The stage whose numbers decide; by default the last one that has numbers.
    #[arg(long, value_name = "NAME")]
    pub(crate) stage: Option<String>,
    /// Stop at that stage. By default the stages after it are carried out on what it leaves, so that
    /// the result is what the run would have kept with this cut.
    #[arg(long)]
    pub(crate) this_stage_only: bool,
    /// The file to write: .npy, .memmap, .parquet, .jsonl or .txt. By default only counts are
    /// printed.
    #[arg(long, short, value_name = "FILE", value_parser = output)]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct CutArgs {
    /// Keep this fraction of the stage's input rows, the best ones.
    #[arg(long, value_parser = fraction)]
    fraction: Option<f64>,
    /// Keep this number of rows, the best ones.
    #[arg(long, value_name = "COUNT", value_parser = whole)]
    top: Option<usize>,
    /// Keep rows that are at least this good.
    #[arg(long, allow_hyphen_values = true, value_parser = number)]
    threshold: Option<f64>,
    /// Keep rows whose similarity to a preferred row is at most 1 - EPSILON.
    #[arg(long, value_parser = epsilon)]
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
