//! The arguments of `curate distill`.

#![cfg_attr(
    not(feature = "train"),
    allow(dead_code, reason = "a program without training reads none of them")
)]

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use curate_device::DeviceName;

use crate::{
    eval::args::{RunsArgs, TestedArgs},
    values::{output, positive, share, whole},
};

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum NetArg {
    /// A linear model.
    Linear,
    /// A network with one hidden layer.
    Mlp,
    /// Three convolutions on the pictures' pixels.
    Cnn,
}

#[derive(Args)]
pub(crate) struct DistillArgs {
    /// The pool: a folder, a file, or a pattern such as `shards/{00000..00099}.tar`.
    pub(crate) pool: PathBuf,
    /// Selections of the pool: run folders or subset files. NAME=PATH gives one a name; by default
    /// it is that of the folder or file.
    #[arg(required = true, value_name = "SELECTION")]
    pub(crate) selections: Vec<String>,
    /// The column of labels.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) labels: String,
    /// Read the labels from this table of ids and labels, instead of the pool's own.
    #[arg(long, value_name = "FILE")]
    pub(crate) labels_from: Option<PathBuf>,
    /// A folder that `curate filter embed` wrote of the pool, with the embeddings to train on.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) embeddings: Option<PathBuf>,
    /// Also train on the whole pool.
    #[arg(long)]
    pub(crate) everything: bool,
    #[command(flatten)]
    pub(crate) taught: TaughtArgs,
    #[command(flatten)]
    pub(crate) students: StudentArgs,
    /// Trainings of each selection with each alpha.
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    pub(crate) seeds: u64,
    /// The level of the intervals.
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    pub(crate) level: f64,
    /// The folder to write to.
    #[arg(long, short, value_name = "FOLDER", default_value = "runs/distill", value_parser = output)]
    pub(crate) out: PathBuf,
    /// Also write scores to prune by to this Parquet table: el2n, margin and forgetting of every row with
    /// a label, which a recipe's stage `score` reads.
    #[arg(long, value_name = "FILE", value_parser = output)]
    pub(crate) write_scores: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) runs: RunsArgs,
}

/// What the teacher is, and how much students listen.
#[derive(Args)]
pub(crate) struct TaughtArgs {
    /// The teacher's share of the loss: 0 hears labels alone, 1 the teacher alone.
    #[arg(long, value_name = "SHARE", value_parser = share_of_loss, conflicts_with = "alphas")]
    pub(crate) alpha: Option<f32>,
    /// Several, separated by commas, of which each selection's best is chosen.
    #[arg(
        long,
        value_name = "SHARES",
        value_delimiter = ',',
        value_parser = share_of_loss,
        default_value = "0,0.25,0.5,0.75,1"
    )]
    pub(crate) alphas: Vec<f32>,
    /// The temperature of both softmaxes: the higher, the more the teacher says of unlikely classes.
    #[arg(long, value_name = "NUMBER", default_value = "4", value_parser = positive)]
    pub(crate) temperature: f64,
    /// Take this table of soft labels, as a run of this command or of another program wrote it, instead
    /// of training a teacher.
    #[arg(
        long,
        value_name = "SOFT",
        conflicts_with_all = ["teacher_model", "teacher_hidden", "teacher_samples"]
    )]
    pub(crate) teacher: Option<PathBuf>,
    /// What the teacher is; by default what the students are.
    #[arg(long, value_name = "MODEL", value_enum)]
    pub(crate) teacher_model: Option<NetArg>,
    /// Elements of the teacher's hidden layer, or channels of its first convolution; by default as many
    /// as the students have.
    #[arg(long, value_name = "COUNT", value_parser = whole)]
    pub(crate) teacher_hidden: Option<usize>,
    /// Samples that the teacher sees; by default as many as a student.
    #[arg(long, value_name = "COUNT", value_parser = whole)]
    pub(crate) teacher_samples: Option<usize>,
    /// Classes of which the teacher's logit is written for each row, the largest; 8 bytes each, in memory
    /// too. Fewer than there are cost accuracy, the more the higher the temperature.
    #[arg(long, value_name = "COUNT", default_value = "256", value_parser = whole)]
    pub(crate) logits: usize,
    /// The share of the rows beside the test's to hold out to choose alpha on.
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    pub(crate) chosen_on: f64,
}

/// What is trained on every selection, and tested.
#[derive(Args)]
pub(crate) struct StudentArgs {
    /// What the students are.
    #[arg(long, value_enum, default_value_t = NetArg::Mlp)]
    pub(crate) model: NetArg,
    /// Samples that a student sees, including repeats.
    #[arg(long, value_name = "COUNT", default_value = "200K", value_parser = whole)]
    pub(crate) samples: usize,
    /// The embedding to train on; by default the only one that is named `img` or NAME_img.
    #[arg(long, value_name = "NAME")]
    pub(crate) images: Option<String>,
    /// Samples per step.
    #[arg(long, value_name = "COUNT", default_value = "128", value_parser = whole)]
    pub(crate) batch: usize,
    /// For cnn: the side in pixels to which pictures are brought.
    #[arg(long, value_name = "COUNT", default_value = "32", value_parser = whole)]
    pub(crate) pixels: usize,
    /// Elements of the hidden layer; for cnn, channels of the first convolution. By default 256 and 16.
    #[arg(long, value_name = "COUNT", value_parser = whole)]
    pub(crate) hidden: Option<usize>,
    /// The highest learning rate.
    #[arg(long, default_value = "0.002", value_parser = positive)]
    pub(crate) rate: f64,
    /// Decoupled weight decay.
    #[arg(long, default_value_t = 0.01)]
    pub(crate) weight_decay: f32,
    #[command(flatten)]
    pub(crate) tested: TestedArgs,
    /// The device: auto, cpu, wgpu, cuda or cuda:N.
    #[arg(long, default_value_t)]
    pub(crate) device: DeviceName,
}

/// The library says which shares there are.
fn share_of_loss(text: &str) -> Result<f32, String> {
    Ok(share(text)? as f32)
}
