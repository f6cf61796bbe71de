//! What `curate filter` is told.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use curate::{core::Cut, dfn::filter::Features};
use curate_device::DeviceName;

use crate::values::fraction;

#[derive(Subcommand)]
pub(crate) enum FilterCommand {
    /// Train a network on the pairs of a pool.
    ///
    /// Needs a program built with the feature `train`. A run that stopped goes on where it stopped:
    /// give the same command again. The folder then holds the network as open_clip reads it
    /// (`local-dir:FOLDER`) and its filter card.
    Train(Box<TrainArgs>),
    /// Embed the images and captions of a pool, and score each pair by its cosine.
    ///
    /// Writes NAME_img and NAME_txt to an npz file for each shard. A run that stopped goes on at its
    /// shard: give the same command again. Pairs that cannot be used get NaN and are counted.
    Embed(EmbedArgs),
    /// Score a pool, and keep the best.
    ///
    /// POOL is a folder that `curate filter embed` wrote, or, with --network, a pool, which is then
    /// embedded first.
    Score(Box<ScoreArgs>),
    /// Make one score of several, by rank, and keep the best.
    ///
    /// A rank counts for as much whatever the spread of its score. Samples that one of the tables
    /// does not have, or has no score for, get none.
    Ensemble(EnsembleArgs),
    /// Show what a network is.
    Card(CardArgs),
}

#[derive(Args)]
#[cfg_attr(
    not(feature = "train"),
    allow(dead_code, reason = "a program without training reads none")
)]
pub(crate) struct TrainArgs {
    /// The pool: a folder, a file, or a pattern such as `shards/{00000..00099}.tar`.
    pub(crate) pool: PathBuf,
    /// The folder to write to.
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// The network: a name of open_clip's (ViT-B-32, ...) or an `open_clip_config.json`.
    #[arg(long, value_name = "NAME", default_value = "ViT-B-32", conflicts_with = "from")]
    pub(crate) model: String,
    /// Start from the weights of this network instead of random ones: fine-tuning. A folder, or
    /// hf://ORG/NAME.
    #[arg(long, value_name = "NETWORK")]
    pub(crate) from: Option<String>,
    /// Weigh the result with the network it started from: 0 is that network, 1 the trained one.
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, requires = "from", value_parser = share)]
    pub(crate) ensemble: f32,
    /// Train on the samples of this subset file alone.
    #[arg(long, value_name = "FILE")]
    pub(crate) subset: Option<PathBuf>,
    /// Make captions of the class names in this column: each is put into a template. Samples without
    /// a class name keep their caption.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) labels: Option<String>,
    /// A file of templates, one a line, with {} for the class name; or `openai`, the 80 of CLIP's
    /// paper.
    #[arg(long, value_name = "FILE", default_value = "openai", requires = "labels")]
    pub(crate) templates: String,
    /// Steps of the optimiser.
    #[arg(long, default_value_t = 1000)]
    pub(crate) steps: usize,
    /// Pairs of a step.
    #[arg(long, default_value_t = 256)]
    pub(crate) batch: usize,
    /// Pairs whose activations are in memory at a time; the batch if left out.
    #[arg(long, value_name = "PAIRS")]
    pub(crate) micro_batch: Option<usize>,
    /// The largest learning rate.
    #[arg(long, default_value_t = 5e-4)]
    pub(crate) lr: f64,
    /// Steps until it is reached.
    #[arg(long, value_name = "STEPS", default_value_t = 100)]
    pub(crate) warmup: usize,
    /// Decoupled weight decay.
    #[arg(long, default_value_t = 0.2)]
    pub(crate) weight_decay: f64,
    /// The largest norm of the gradients.
    #[arg(long, value_name = "NORM")]
    pub(crate) clip_norm: Option<f64>,
    /// The sigmoid loss of SigLIP instead of CLIP's.
    #[arg(long)]
    pub(crate) siglip: bool,
    /// The share of an image's area that a random crop keeps at least; 1 crops nothing.
    #[arg(long, value_name = "SHARE", default_value_t = 0.9)]
    pub(crate) crop: f64,
    /// Mirror half of the images. Only where left and right mean nothing: it spoils writing, and
    /// captions that speak of them.
    #[arg(long)]
    pub(crate) flip: bool,
    /// Neither crop nor mirror images.
    #[arg(long, conflicts_with_all = ["crop", "flip"])]
    pub(crate) no_augment: bool,
    /// Steps between two checkpoints.
    #[arg(long, value_name = "STEPS", default_value_t = 500)]
    pub(crate) checkpoint_every: usize,
    /// Store the network in half precision.
    #[arg(long)]
    pub(crate) half: bool,
    /// A sentence for the limits on the filter card; may be given several times.
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Vec<String>,
    /// The seed of weights, shuffles, crops and templates.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// The device: auto, cpu, wgpu, cuda or cuda:N.
    #[arg(long, default_value_t)]
    pub(crate) device: DeviceName,
}

/// How a pool is embedded.
#[derive(Args)]
pub(crate) struct HowArgs {
    /// Store half precision, as DataComp does.
    #[arg(long)]
    pub(crate) half: bool,
    /// Read <start_of_text> and <end_of_text> in captions as text. open_clip takes them for its
    /// special tokens, so that a caption can hide its rest from the score.
    #[arg(long)]
    pub(crate) strict_captions: bool,
    /// The largest image that is decoded, in pixels; larger ones are bad.
    #[arg(long, value_name = "PIXELS", default_value_t = 89_478_485)]
    pub(crate) pixel_limit: u64,
    /// Leave out shards that cannot be read, instead of stopping.
    #[arg(long)]
    pub(crate) skip_bad_shards: bool,
}

#[derive(Args)]
pub(crate) struct EmbedArgs {
    /// The pool: a folder, a file, or a pattern such as `shards/{00000..00099}.tar`.
    pub(crate) pool: PathBuf,
    /// The network: a folder (open_clip's, transformers' CLIPModel, or the cache of
    /// huggingface_hub), or hf://ORG/NAME.
    #[arg(long, short, value_name = "NETWORK")]
    pub(crate) network: String,
    /// The folder to write to.
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// The name of the embeddings.
    #[arg(long, default_value = "dfn")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) how: HowArgs,
}

#[derive(Args)]
pub(crate) struct ScoreArgs {
    /// The folder that `curate filter embed` wrote; with --network, a pool.
    #[arg(value_name = "POOL")]
    pub(crate) pool: PathBuf,
    /// Embed the pool with this network first: a folder, or hf://ORG/NAME.
    #[arg(long, short, value_name = "NETWORK", requires = "embedded")]
    pub(crate) network: Option<String>,
    /// With --network: the folder to write the embeddings to. What is there already is used.
    #[arg(long, value_name = "FOLDER", requires = "network")]
    pub(crate) embedded: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) how: HowArgs,
    /// The name of the embeddings.
    #[arg(long, default_value = "dfn")]
    pub(crate) name: String,
    /// The score.
    #[arg(long, value_enum, default_value_t = By::Cosine)]
    pub(crate) by: By,
    /// For norm-sim and classifier: the embeddings to look at.
    #[arg(long, value_enum, default_value_t = Of::Images)]
    pub(crate) of: Of,
    /// For norm-sim: the target, an npy file or a folder that `curate filter embed` wrote.
    #[arg(long, value_name = "PATH", required_if_eq("by", "norm-sim"))]
    pub(crate) target: Option<PathBuf>,
    /// For norm-sim: the norm of the similarities to the target.
    #[arg(long, value_enum, default_value_t = NormName::Infinity)]
    pub(crate) norm: NormName,
    /// For classifier: good samples, a folder that `curate filter embed` wrote. It learns to tell them
    /// from those of POOL.
    #[arg(long, value_name = "FOLDER", required_if_eq("by", "classifier"))]
    pub(crate) good: Option<PathBuf>,
    /// For classifier: the most samples of each kind that it learns from, drawn by the seed.
    #[arg(long, value_name = "ROWS", default_value_t = 20_000)]
    pub(crate) samples: usize,
    /// For neg-clip-loss: the temperature; 0.01 suits OpenAI's networks, 0.07 DFN's.
    #[arg(long, default_value_t = 0.07)]
    pub(crate) temperature: f32,
    /// For neg-clip-loss: pairs of a batch.
    #[arg(long, default_value_t = 32_768)]
    pub(crate) batch: usize,
    /// For neg-clip-loss: random partitions to average over.
    #[arg(long, default_value_t = 10)]
    pub(crate) partitions: usize,
    /// For neg-clip-loss and classifier: the seed of partitions and samples.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Take the threshold from this sample of the pool, a folder that `curate filter embed` wrote:
    /// the one that keeps --fraction of it.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) sample: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) written: WrittenArgs,
}

/// What is kept and written.
#[derive(Args)]
pub(crate) struct WrittenArgs {
    /// Write all scores to this Parquet file: columns `uid` and `score`.
    #[arg(long, value_name = "FILE")]
    pub(crate) scores: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cut: CutArgs,
    /// Write the ids kept: .npy, .memmap, .parquet, .jsonl or .txt.
    #[arg(long, short, value_name = "FILE", requires = "cut")]
    pub(crate) out: Option<PathBuf>,
}

/// A score of pairs.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum By {
    /// The cosine of image and caption.
    Cosine,
    /// The cosine less what both have with all other samples (arXiv 2405.19547).
    NegClipLoss,
    /// How near a sample is to a target set (arXiv 2405.19547).
    NormSim,
    /// How much a sample looks like the good ones, by logistic regression.
    Classifier,
}

/// The embeddings that a score looks at.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Of {
    /// Those of the images alone.
    Images,
    /// Those of the captions alone.
    Texts,
    /// For classifier: both.
    Both,
}

impl From<Of> for Features {
    fn from(of: Of) -> Self {
        match of {
            Of::Images => Self::Images,
            Of::Texts => Self::Texts,
            Of::Both => Self::Both,
        }
    }
}

/// A norm.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum NormName {
    /// The largest: how near the nearest target is.
    Infinity,
    /// The root of the sum of squares (VAS, arXiv 2402.02055, ranks alike).
    Two,
}

#[derive(Args)]
#[group(id = "cut", multiple = false)]
pub(crate) struct CutArgs {
    /// Keep the best fraction of all rows; 0.15 in the DFN paper.
    #[arg(long, value_parser = fraction)]
    pub(crate) fraction: Option<f64>,
    /// Keep the best so many rows.
    #[arg(long, value_name = "COUNT")]
    top: Option<usize>,
    /// Keep rows with at least this score.
    #[arg(long, allow_hyphen_values = true)]
    threshold: Option<f32>,
}

impl CutArgs {
    pub(crate) fn cut(&self) -> Option<Cut> {
        let threshold = self.threshold.map(Cut::Threshold);
        self.fraction.map(Cut::Fraction).or(self.top.map(Cut::Top)).or(threshold)
    }
}

#[derive(Args)]
pub(crate) struct EnsembleArgs {
    /// Tables of scores, as --scores writes them (Parquet, columns `uid` and `score`).
    #[arg(required = true, num_args = 2..)]
    pub(crate) tables: Vec<PathBuf>,
    /// The weight of each table, in their order; equal if left out.
    #[arg(long, value_delimiter = ',', value_name = "W,W,...")]
    pub(crate) weights: Vec<f64>,
    #[command(flatten)]
    pub(crate) written: WrittenArgs,
}

#[derive(Args)]
pub(crate) struct CardArgs {
    /// The network: a folder, or hf://ORG/NAME.
    pub(crate) network: String,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

fn share(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("must be a number from 0 to 1".to_owned()),
    }
}
