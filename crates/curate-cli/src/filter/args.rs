//! The arguments of `curate filter`.

use std::path::PathBuf;

use clap::{
    Args, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use curate::{
    core::Cut,
    dfn::{
        Arithmetic,
        filter::{Features, align::NegClipLossParams},
        tokenizer::Ftfy,
        train::{Augment, TrainParams},
    },
    io::stamp::Check,
};
use curate_device::DeviceName;

use crate::{
    tasks::PartArgs,
    values::{IdsArg, fraction, number, output, plain_name, whole},
};

#[derive(Subcommand)]
pub(crate) enum FilterCommand {
    /// Train a network on the pairs of a pool.
    ///
    /// Needs a program built with the feature `train`. To resume an interrupted training, give the
    /// same command again. In the end the folder holds the network as open_clip reads it
    /// (`local-dir:FOLDER`) and its filter card.
    #[command(
        after_help = "Example:\n  curate filter train shards --from demo/filter --out tuned --steps 2 --batch 16"
    )]
    Train(Box<TrainArgs>),
    /// Embed the images and captions of a pool, and score each pair by its cosine.
    ///
    /// Writes the arrays NAME_img and NAME_txt to one npz file per shard. To resume an interrupted
    /// run at its unfinished shard, give the same command again: until then the folder is not read.
    /// Pairs that cannot be used get NaN and are counted.
    #[command(
        after_help = "Examples:\n  curate filter embed shards --network demo/filter --out embedded\n  curate filter embed shards --network demo/filter --out embedded --tasks 8 --index 0"
    )]
    Embed(EmbedArgs),
    /// Score a pool, and keep the best pairs.
    ///
    /// POOL is a folder that `curate filter embed` wrote. With --network it is a pool, which is
    /// embedded first.
    #[command(
        after_help = "Examples:\n  curate filter score embedded --fraction 0.15 --out kept.npy\n  curate filter score embedded --by neg-clip-loss --scores ncl.parquet"
    )]
    Score(Box<ScoreArgs>),
    /// Combine several scores into one by rank, and keep the best pairs.
    ///
    /// Ranks weigh all scores alike, however widely their values spread. Samples that are missing
    /// from one of the tables, or have no score in it, get no score.
    #[command(
        after_help = "Example:\n  curate filter ensemble ncl.parquet embedded/00000.scores.parquet --fraction 0.15 --out kept.npy"
    )]
    Ensemble(EnsembleArgs),
    /// Describe a network.
    #[command(after_help = "Example:\n  curate filter card demo/filter")]
    Card(CardArgs),
}

#[derive(Args)]
#[cfg_attr(
    not(feature = "train"),
    allow(dead_code, reason = "a program without training reads none of them")
)]
pub(crate) struct TrainArgs {
    /// The pool: a folder, a file, or a pattern such as `shards/{00000..00099}.tar`.
    pub(crate) pool: PathBuf,
    /// The folder to write to.
    #[arg(long, short, value_name = "FOLDER", value_parser = output)]
    pub(crate) out: PathBuf,
    /// The network: one of open_clip's names (ViT-B-32, ...) or an `open_clip_config.json`.
    #[arg(long, value_name = "NAME", default_value = "ViT-B-32", conflicts_with = "from")]
    pub(crate) model: String,
    /// Fine-tune this network instead of starting from random weights. A folder, or hf://ORG/NAME.
    #[arg(long, value_name = "NETWORK")]
    pub(crate) from: Option<String>,
    /// Average the trained weights with those that training started from: 0 takes the latter, 1 the
    /// trained ones.
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, requires = "from", value_parser = share)]
    pub(crate) ensemble: f32,
    /// Train only on the samples in this subset file.
    #[arg(long, value_name = "FILE")]
    pub(crate) subset: Option<PathBuf>,
    /// Make captions from the class names in this column by putting them into templates. Samples
    /// without a class name keep their caption.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) labels: Option<String>,
    /// A file of templates, one per line, with {} for the class name; or `openai`, the 80 of the
    /// CLIP paper.
    #[arg(long, value_name = "FILE", default_value = "openai", requires = "labels")]
    pub(crate) templates: String,
    /// Optimizer steps.
    #[arg(long, default_value_t = TrainParams::default().steps)]
    pub(crate) steps: usize,
    /// Pairs per step.
    #[arg(long, default_value_t = TrainParams::default().batch)]
    pub(crate) batch: usize,
    /// Pairs whose activations are in memory at a time; by default the whole batch.
    #[arg(long, value_name = "PAIRS")]
    pub(crate) micro_batch: Option<usize>,
    /// The highest learning rate.
    #[arg(long, default_value_t = TrainParams::default().lr)]
    pub(crate) lr: f64,
    /// Steps in which the learning rate rises to its highest value.
    #[arg(long, value_name = "STEPS", default_value_t = TrainParams::default().warmup)]
    pub(crate) warmup: usize,
    /// Decoupled weight decay.
    #[arg(long, default_value_t = TrainParams::default().weight_decay)]
    pub(crate) weight_decay: f64,
    /// Scale gradients down to at most this norm.
    #[arg(long, value_name = "NORM")]
    pub(crate) clip_norm: Option<f64>,
    /// Train with SigLIP's sigmoid loss instead of CLIP's.
    #[arg(long)]
    pub(crate) siglip: bool,
    /// The smallest share of an image's area that a random crop keeps; 1 crops nothing.
    #[arg(long, value_name = "SHARE", default_value_t = Augment::default().scale)]
    pub(crate) crop: f64,
    /// Mirror half of the images. Not for images with writing, or captions that say left or right.
    #[arg(long)]
    pub(crate) flip: bool,
    /// Do not crop or mirror images.
    #[arg(long, conflicts_with_all = ["crop", "flip"])]
    pub(crate) no_augment: bool,
    /// Steps between checkpoints.
    #[arg(long, value_name = "STEPS", default_value_t = TrainParams::default().checkpoint_every)]
    pub(crate) checkpoint_every: usize,
    /// Store the network in half precision.
    #[arg(long)]
    pub(crate) half: bool,
    /// A sentence about limits for the filter card. Repeat it for several.
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Vec<String>,
    /// The seed for weights, shuffling, crops and templates.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// The device: auto, cpu, wgpu, cuda or cuda:N.
    #[arg(long, default_value_t)]
    pub(crate) device: DeviceName,
}

fn arithmetic() -> impl TypedValueParser<Value = Arithmetic> {
    PossibleValuesParser::new(Arithmetic::ALL.map(Arithmetic::name))
        .try_map(|name| name.parse::<Arithmetic>())
}

/// How a pool is embedded.
#[derive(Args)]
pub(crate) struct HowArgs {
    /// Store half precision, as DataComp does.
    #[arg(long)]
    pub(crate) half: bool,
    /// What the network's linear layers multiply: f32; bf16, faster where the processor multiplies it; or
    /// int8, integers of 8 bits. The last two change scores a little.
    #[arg(long, value_name = "KIND", default_value = Arithmetic::F32.name(), value_parser = arithmetic())]
    pub(crate) precision: Arithmetic,
    /// Read <start_of_text> and <end_of_text> in captions as text. open_clip takes them for its
    /// special tokens, so a caption can hide what follows them from the score.
    #[arg(long)]
    pub(crate) strict_captions: bool,
    /// Repair captions as this version of ftfy does, to make scores that were made with it again:
    /// ftfy-6.1, ftfy-6.2 or ftfy-6.3.
    #[arg(long, value_name = "RULES", default_value = Ftfy::default().name())]
    pub(crate) caption_repair: Ftfy,
    /// The largest image that is decoded, in pixels; pairs with larger ones get NaN.
    #[arg(long, value_name = "PIXELS", default_value_t = 89_478_485)]
    pub(crate) pixel_limit: u64,
    /// Leave out shards that cannot be read, instead of stopping.
    #[arg(long)]
    pub(crate) skip_bad_shards: bool,
    #[command(flatten)]
    pub(crate) ids: IdsArg,
    /// Read finished shards, and the files that they were embedded from, to their ends to see whether
    /// they have changed. Without it their lengths, times and 64 KiB of each are compared.
    #[arg(long)]
    pub(crate) verify: bool,
}

impl HowArgs {
    /// How thoroughly files are compared that are there already.
    pub(crate) fn check(&self) -> Check {
        if self.verify { Check::Whole } else { Check::Sample }
    }
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
    #[arg(long, short, value_name = "FOLDER", value_parser = output)]
    pub(crate) out: PathBuf,
    /// The name of the embeddings.
    #[arg(long, default_value = "dfn", value_parser = plain_name)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) how: HowArgs,
    #[command(flatten)]
    pub(crate) part: PartArgs,
}

#[derive(Args)]
pub(crate) struct ScoreArgs {
    /// A folder that `curate filter embed` wrote; with --network, a pool.
    #[arg(value_name = "POOL")]
    pub(crate) pool: PathBuf,
    /// Embed the pool with this network first: a folder, or hf://ORG/NAME.
    #[arg(long, short, value_name = "NETWORK", requires = "embedded")]
    pub(crate) network: Option<String>,
    /// With --network: the folder to write the embeddings to. Finished shards in it are reused.
    #[arg(long, value_name = "FOLDER", requires = "network")]
    pub(crate) embedded: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) how: HowArgs,
    /// The name of the embeddings.
    #[arg(long, default_value = "dfn", value_parser = plain_name)]
    pub(crate) name: String,
    /// The score.
    #[arg(long, value_enum, default_value_t = By::Cosine)]
    pub(crate) by: By,
    /// For norm-sim and classifier: the embeddings to look at.
    #[arg(long, value_enum, default_value_t = Of::Images)]
    pub(crate) of: Of,
    /// For norm-sim: the target set, an npy file or a folder that `curate filter embed` wrote.
    #[arg(long, value_name = "PATH", required_if_eq("by", "norm-sim"))]
    pub(crate) target: Option<PathBuf>,
    /// For norm-sim: the norm of the similarities to the target.
    #[arg(long, value_enum, default_value_t = NormName::Infinity)]
    pub(crate) norm: NormName,
    /// For classifier: good samples to tell apart from those in POOL, a folder that `curate filter
    /// embed` wrote.
    #[arg(long, value_name = "FOLDER", required_if_eq("by", "classifier"))]
    pub(crate) good: Option<PathBuf>,
    /// For classifier: the most samples of each kind to learn from, drawn at random by the seed.
    #[arg(long, value_name = "ROWS", default_value_t = 20_000)]
    pub(crate) samples: usize,
    /// For neg-clip-loss: the temperature; 0.01 suits OpenAI's networks, 0.07 those of the DFN
    /// paper.
    #[arg(long, default_value_t = NegClipLossParams::default().temperature)]
    pub(crate) temperature: f32,
    /// For neg-clip-loss: pairs per batch.
    #[arg(long, default_value_t = NegClipLossParams::default().batch)]
    pub(crate) batch: usize,
    /// For neg-clip-loss: random partitions to average over.
    #[arg(long, default_value_t = NegClipLossParams::default().partitions)]
    pub(crate) partitions: usize,
    /// For neg-clip-loss and classifier: the seed for partitions and samples.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Use the threshold that keeps --fraction of this sample of the pool, a folder that `curate
    /// filter embed` wrote.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) sample: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) written: WrittenArgs,
}

/// What is kept and written.
#[derive(Args)]
pub(crate) struct WrittenArgs {
    /// Write all scores to this Parquet file, with the columns `uid` and `score`.
    #[arg(long, value_name = "FILE", value_parser = output)]
    pub(crate) scores: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cut: CutArgs,
    /// Write the ids kept to this file: .npy, .memmap, .parquet, .jsonl or .txt.
    #[arg(long, short, value_name = "FILE", requires = "cut", value_parser = output)]
    pub(crate) out: Option<PathBuf>,
}

/// A score of pairs.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum By {
    /// The cosine of image and caption embeddings.
    Cosine,
    /// The cosine, less what image and caption have in common with all other samples (arXiv
    /// 2405.19547).
    NegClipLoss,
    /// How close a sample is to a target set (arXiv 2405.19547).
    NormSim,
    /// How much a sample resembles the good ones, by logistic regression.
    Classifier,
}

/// The embeddings that a score looks at.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Of {
    /// The images.
    Images,
    /// The captions.
    Texts,
    /// Images and captions; only for classifier.
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
    /// The largest similarity: how close the nearest target is.
    Infinity,
    /// The root of the sum of squares, which ranks as VAS does (arXiv 2402.02055).
    Two,
}

#[derive(Args)]
#[group(id = "cut", multiple = false)]
pub(crate) struct CutArgs {
    /// Keep this fraction of all rows, the best ones; 0.15 in the DFN paper.
    #[arg(long, value_parser = fraction)]
    pub(crate) fraction: Option<f64>,
    /// Keep this number of rows, the best ones.
    #[arg(long, value_name = "COUNT", value_parser = whole)]
    top: Option<usize>,
    /// Keep rows with at least this score.
    #[arg(long, allow_hyphen_values = true, value_parser = number)]
    threshold: Option<f64>,
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
    /// The weights of the tables, in their order; equal by default.
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
