//! The arguments of `curate eval`.

#![cfg_attr(
    not(feature = "train"),
    allow(dead_code, reason = "a program without training reads none of them")
)]

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use curate_device::DeviceName;

use crate::{
    tasks::PartArgs,
    values::{IdsArg, output, positive, whole},
};

#[derive(Subcommand)]
pub(crate) enum EvalCommand {
    /// Train the same small model on several selections of a pool, at several budgets and with several
    /// seeds, and rank the selections.
    ///
    /// Needs a program built with the feature `train`. A part of the pool is held out and never trained
    /// on; models are tested on it, or on another pool. The folder gets a small file for each run,
    /// report.html, and runs.csv, which `curate plan fit` reads. To resume an interrupted comparison, or to
    /// add budgets, seeds and selections to it, give the command again: runs that are there are not made
    /// again.
    #[command(
        after_help = "Example:\n  curate eval compare demo/pool runs/demo --everything --budgets 4K --seeds 2"
    )]
    Compare(Box<CompareArgs>),
    /// Write a shell script that trains one of DataComp's scales on a selection, on a machine with
    /// GPUs: it reshards the selection, and starts open_clip or DataComp's train.py.
    ///
    /// Needs a program built with the feature `train`.
    #[command(
        after_help = "Example:\n  curate eval command demo/pool/shards runs/demo --scale small --gpus 8"
    )]
    Command(Box<CommandArgs>),
    /// Print SELECT's card of several curated sets from results that were measured elsewhere: accuracy on
    /// clean and shifted tests and on other tasks with intervals, effective robustness, and what the sets
    /// are like.
    ///
    /// A result is a JSON object per line: {"set": "LAION look-up", "axis": "base", "task": "imagenet-val",
    /// "accuracy": 0.596, "samples": 50000}, with the axis base, shifted, transfer or neighbors, and a `seed`
    /// where there are several trainings. {"set": "LAION look-up", "counts": [310, 0, 2]} has the samples of
    /// each class: LT@500 is the number of classes with fewer than 500, LS@5% the share of all samples in the
    /// largest 5 % of classes, "effective" the number of even classes that would spread as widely. Means are
    /// over the tasks that every set with tests of the axis has.
    #[command(
        after_help = "Example:\n  curate eval card results.jsonl --reference ImageNet --reference OpenImages"
    )]
    Card(CardArgs),
}

#[derive(Args)]
pub(crate) struct CardArgs {
    /// Files of results, JSON lines.
    #[arg(required = true, value_name = "RESULTS")]
    pub(crate) results: Vec<PathBuf>,
    /// A set that the line of effective robustness is fitted to; give two or more. By default all sets with
    /// base and shifted accuracy between 0 and 1, where there are three.
    #[arg(long, value_name = "SET")]
    pub(crate) reference: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ScaleArg {
    Small,
    Medium,
    Large,
    Xlarge,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum TrainerArg {
    /// open_clip, with the arguments that DataComp gives it.
    OpenClip,
    /// DataComp's train.py.
    Datacomp,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum TinyArg {
    /// 50,000 samples in batches of 256.
    TinySmall,
    /// 200,000 samples in batches of 512.
    Tiny,
    /// A million samples, and a model of four times as many weights.
    TinyLarge,
}

#[derive(Args)]
pub(crate) struct CommandArgs {
    /// The pool's tar shards, on the machine that trains.
    pub(crate) pool: String,
    /// The selection: a run folder or a subset file.
    pub(crate) selection: PathBuf,
    /// The scale: its model, batch, learning rate, warm-up and samples seen.
    #[arg(long, value_enum)]
    pub(crate) scale: ScaleArg,
    /// What trains.
    #[arg(long, value_enum, default_value_t = TrainerArg::OpenClip)]
    pub(crate) trainer: TrainerArg,
    /// GPUs of the machine.
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    pub(crate) gpus: u64,
    /// Parts of a batch that a GPU works through one after the other, where its memory is too small.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub(crate) accumulate: u64,
    /// The seed.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// The folder for the selection's shards.
    #[arg(long, value_name = "FOLDER", default_value = "shards")]
    pub(crate) shards: String,
    /// The folder for checkpoints and logs.
    #[arg(long, value_name = "FOLDER", default_value = "logs")]
    pub(crate) logs: String,
    /// The script to write.
    #[arg(long, short, value_name = "FILE", default_value = "train.sh", value_parser = output)]
    pub(crate) out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ModelArg {
    /// Two projections of the features of images and texts, with CLIP's loss.
    Projections,
    /// A linear model of the labels.
    Linear,
    /// A network with one hidden layer, of the labels.
    Mlp,
    /// Three convolutions on the pictures' pixels, of the labels.
    Cnn,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ScoreArg {
    /// The mean of all tasks.
    Average,
    /// The mean of recall at 1 from image to text and from text to image.
    Retrieval,
    /// The class whose descriptions are nearest.
    ZeroShot,
    /// Logistic regression on the images' embeddings.
    LinearProbe,
    /// The images' nearest labeled neighbors.
    Neighbors,
    /// The answer of a model that learns labels.
    Labels,
}

#[derive(Args)]
pub(crate) struct CompareArgs {
    /// The pool, with embeddings: a folder, a file, or a pattern such as `shards/{00000..00099}.tar`.
    pub(crate) pool: PathBuf,
    /// Selections of the pool: run folders or subset files. NAME=PATH gives one a name; by default
    /// it is that of the folder or file.
    #[arg(required = true, value_name = "SELECTION")]
    pub(crate) selections: Vec<String>,
    /// A folder that `curate filter embed` wrote of the pool, with the embeddings to train on.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) embeddings: Option<PathBuf>,
    /// Also train on the whole pool.
    #[arg(long)]
    pub(crate) everything: bool,
    /// What budgets, batch, sizes and rate are by default.
    #[arg(long, value_enum, default_value_t = TinyArg::Tiny)]
    pub(crate) scale: TinyArg,
    /// Samples seen in a training, including repeats. Several are separated by commas: 1M,4M.
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', value_parser = whole)]
    pub(crate) budgets: Option<Vec<usize>>,
    /// Trainings of each selection at each budget.
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    pub(crate) seeds: u64,
    /// The folder to write to.
    #[arg(long, short, value_name = "FOLDER", default_value = "runs/eval", value_parser = output)]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) asked: AskedArgs,
    /// Also test models on this pool from another source, of which no id is trained on; repeat it for more
    /// pools. Rankings do not count it.
    #[arg(long, value_name = "NAME=POOL")]
    pub(crate) shifted: Vec<String>,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) runs: RunsArgs,
    #[command(flatten)]
    pub(crate) part: PartArgs,
}

/// How runs in a folder are made, and shown.
#[derive(Args)]
pub(crate) struct RunsArgs {
    /// Leave out ids that are not in the pool, instead of refusing the selection.
    #[arg(long)]
    pub(crate) skip_unknown_ids: bool,
    #[command(flatten)]
    pub(crate) ids: IdsArg,
    /// Make runs in the folder again that were made with other settings.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Print what the runs cost, and stop.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The rows that models are tested on.
#[derive(Args)]
pub(crate) struct TestedArgs {
    /// Test models on this pool instead of a part of the pool that is held out. Its ids are not
    /// trained on.
    #[arg(long, value_name = "POOL", conflicts_with = "held_out")]
    pub(crate) test: Option<PathBuf>,
    /// The share of the pool to hold out; by default as many rows as are tested, at most a tenth.
    #[arg(long, value_name = "SHARE")]
    pub(crate) held_out: Option<f64>,
    /// The most rows to test models on.
    #[arg(long, value_name = "COUNT", default_value = "2000", value_parser = whole)]
    pub(crate) test_rows: usize,
}

/// What models are asked.
#[derive(Args)]
pub(crate) struct AskedArgs {
    #[command(flatten)]
    pub(crate) tested: TestedArgs,
    /// The column of labels, for zero-shot classification, linear probe and neighbors, and for models
    /// that learn labels.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) labels: Option<String>,
    /// Read the labels from this table of ids and labels, instead of the pool's own.
    #[arg(long, value_name = "FILE", requires = "labels")]
    pub(crate) labels_from: Option<PathBuf>,
    /// Describe each class by its label in templates, embedded with the network that embedded the pool's
    /// texts; by default by captions of the pool. A folder, or hf://ORG/NAME.
    #[arg(long, value_name = "NETWORK", requires = "labels")]
    pub(crate) network: Option<String>,
    /// A file of templates, one per line, with {} for the label; or `openai`, the 80 of the CLIP
    /// paper.
    #[arg(long, value_name = "FILE", default_value = "openai", requires = "network")]
    pub(crate) templates: String,
    /// The number that ranks selections and goes to runs.csv.
    #[arg(long, value_enum, default_value_t = ScoreArg::Average)]
    pub(crate) score: ScoreArg,
    /// The level of the intervals.
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    pub(crate) level: f64,
}

/// What is trained.
#[derive(Args)]
pub(crate) struct ModelArgs {
    /// What is trained on every selection.
    #[arg(long, value_enum, default_value_t = ModelArg::Projections)]
    pub(crate) model: ModelArg,
    /// The embedding of images; by default the only one that is named `img` or NAME_img.
    #[arg(long, value_name = "NAME")]
    pub(crate) images: Option<String>,
    /// The embedding of texts; by default the one beside the images': `txt` or NAME_txt.
    #[arg(long, value_name = "NAME")]
    pub(crate) texts: Option<String>,
    /// Samples per step.
    #[arg(long, value_name = "COUNT", value_parser = whole)]
    pub(crate) batch: Option<usize>,
    /// For cnn: the side in pixels to which pictures are brought.
    #[arg(long, value_name = "COUNT", default_value = "32", value_parser = whole)]
    pub(crate) pixels: usize,
    /// Elements of hidden layers; for cnn, channels of the first convolution.
    #[arg(long, value_name = "COUNT", value_parser = whole)]
    pub(crate) hidden: Option<usize>,
    /// Elements of an embedding.
    #[arg(long, value_name = "COUNT", value_parser = whole)]
    pub(crate) dim: Option<usize>,
    /// The highest learning rate.
    #[arg(long, value_parser = positive)]
    pub(crate) rate: Option<f64>,
    /// Decoupled weight decay.
    #[arg(long, default_value_t = 0.01)]
    pub(crate) weight_decay: f32,
    /// Draw shards of this many samples with replacement, as DataComp trains, instead of seeing every
    /// sample once in every epoch.
    #[arg(long, value_name = "SAMPLES", value_parser = whole)]
    pub(crate) shards: Option<usize>,
    /// The device: auto, cpu, wgpu, cuda or cuda:N.
    #[arg(long, default_value_t)]
    pub(crate) device: DeviceName,
}
