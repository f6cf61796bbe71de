//! `curate transfer`: which classes of a pre-training set a target needs.

use std::{
    fmt::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::{ArgGroup, Args, ValueEnum};
use curate::{
    cluster::Metric,
    core::{Cut, EmbeddingSource, SampleId, Selection},
    io::{
        IoError, Kind, atomic, centroids, npy,
        subset::{self, SubsetFormat},
        vectors::{Embedding, StoredArray},
    },
    transfer::{Control, NO_CLASS, Order, Ranking, Target, Transfer, TransferParams, class_means},
};
use serde::Serialize;

use crate::{
    failure::Failure,
    progress::Shown,
    show,
    values::{fraction, output, whole},
};

/// Ranked classes that are shown.
const SHOWN: usize = 10;

#[derive(Args)]
#[command(group = ArgGroup::new("by").required(true))]
#[command(group = ArgGroup::new("keep"))]
pub(crate) struct TransferArgs {
    /// The class of each source row, an npy file of whole numbers from 0; negative for none. Cluster
    /// numbers do as well.
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// Label mapping: the source class that a source-trained network takes each target sample for, an npy
    /// file of whole numbers.
    #[arg(long, value_name = "FILE", group = "by")]
    predictions: Option<PathBuf>,
    /// Label mapping from the network's answers: an npy file with a number for each class per target sample.
    #[arg(long, value_name = "FILE", group = "by")]
    logits: Option<PathBuf>,
    /// Feature mapping: features of the target, an npy file with a row per sample.
    #[arg(long, value_name = "FILE", group = "by")]
    features: Option<PathBuf>,
    /// With --features: a centroid for each class, an npy file.
    #[arg(long, value_name = "FILE", requires = "features", conflicts_with = "source_features")]
    centroids: Option<PathBuf>,
    /// With --features: features of the source rows, an npy file; the means of classes are their centroids.
    #[arg(long, value_name = "FILE", requires = "features")]
    source_features: Option<PathBuf>,
    /// Rank at random, to compare with.
    #[arg(long, group = "by")]
    random: bool,
    /// Rank by mean gradient norm, to compare with: an npy file with a number for each source row.
    #[arg(long, value_name = "FILE", group = "by")]
    gradient_norms: Option<PathBuf>,
    /// With --features: what is near.
    #[arg(long, value_enum, default_value_t = MetricName::Euclidean)]
    metric: MetricName,
    /// The number of classes; by default the largest that a file names.
    #[arg(long, value_name = "N", value_parser = whole)]
    classes: Option<usize>,
    /// Put the classes that the target needs least first, a check that has to harm.
    #[arg(long)]
    reverse: bool,
    /// The seed of --random.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Keep so many classes.
    #[arg(long, value_name = "N", group = "keep", value_parser = whole)]
    top: Option<usize>,
    /// Keep this share of the classes.
    #[arg(long, value_name = "SHARE", group = "keep", value_parser = fraction)]
    fraction: Option<f64>,
    /// Keep the fewest classes that hold this share of the votes.
    #[arg(long, value_name = "SHARE", group = "keep", value_parser = fraction)]
    cover: Option<f64>,
    /// Keep the most classes that together have at most so many rows.
    #[arg(long, value_name = "N", group = "keep", value_parser = whole)]
    rows: Option<usize>,
    /// The ids of the source rows, in their order: a subset file, or a Parquet file with the column `uid`.
    /// Without it the id of a row is its number.
    #[arg(long, value_name = "FILE", requires = "out")]
    ids: Option<PathBuf>,
    /// Write the ids of the rows whose class stays: .npy, .memmap, .parquet, .jsonl or .txt.
    #[arg(long, short, value_name = "FILE", requires = "keep", value_parser = output)]
    out: Option<PathBuf>,
    /// Write all classes to this CSV file, the best first.
    #[arg(long, value_name = "FILE", value_parser = output)]
    ranking: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum MetricName {
    /// The smallest Euclidean distance, as in the paper.
    Euclidean,
    /// The largest inner product of vectors of length 1.
    Spherical,
}

pub(crate) fn run(args: &TransferArgs, shown: &Shown) -> Result<(), Failure> {
    let format = args.out.as_deref().map(SubsetFormat::of_path).transpose()?;
    let labels = classes_in(&args.labels, true)?;
    let ids = args.ids.as_deref().map(|path| ids(path, labels.len())).transpose()?;
    let ranking = ranked(args, &labels, shown)?;
    let kept = match args.cut(&ranking) {
        Some(cut) => Some((ranking.classes(cut)?, ranking.select(cut)?)),
        None => None,
    };
    if let Some(path) = &args.ranking {
        atomic::write(path, table(&ranking, kept.as_ref().map(|(classes, _)| classes)).as_bytes())?;
    }
    if let (Some(path), Some(format), Some((_, rows))) = (&args.out, format, &kept) {
        let id = |row: usize| ids.as_ref().map_or(SampleId(row as u128), |ids| ids[row]);
        let mut ids: Vec<SampleId> = rows.iter().map(id).collect();
        ids.sort_unstable();
        subset::write(path, format, &ids)?;
    }
    let found = Found::new(&ranking, &labels, kept.as_ref(), args);
    if args.json { show::json(&found) } else { show::text(found) }?;
    Ok(())
}

impl TransferArgs {
    fn cut(&self, ranking: &Ranking) -> Option<Cut> {
        let top = self
            .top
            .or_else(|| Some(ranking.covering(self.cover?)))
            .or_else(|| Some(ranking.within(self.rows?)));
        top.map(Cut::Top).or_else(|| self.fraction.map(Cut::Fraction))
    }

    fn transfer(&self, classes: usize) -> Result<Transfer, Failure> {
        let order = if self.reverse { Order::Fewest } else { Order::Most };
        let metric = match self.metric {
            MetricName::Euclidean => Metric::Euclidean,
            MetricName::Spherical => Metric::Spherical,
        };
        let classes = self.classes.unwrap_or(classes);
        Ok(TransferParams::new(classes).order(order).metric(metric).seed(self.seed).check()?)
    }
}

fn ranked(args: &TransferArgs, labels: &[u32], shown: &Shown) -> Result<Ranking, Failure> {
    let classes = most(labels);
    if let Some(path) = &args.predictions {
        let predictions = classes_in(path, false)?;
        let transfer = args.transfer(classes.max(most(&predictions)))?;
        return Ok(transfer.run(labels, Target::Predictions(&predictions), shown)?);
    }
    if let Some(path) = &args.logits {
        let logits = vectors(path)?;
        let transfer = args.transfer(logits.dim())?;
        return Ok(transfer.run(labels, Target::Logits(&logits), shown)?);
    }
    if let Some(path) = &args.features {
        let features = vectors(path)?;
        let centroids = match (&args.centroids, &args.source_features) {
            (Some(path), _) => centroids::load(path)?,
            (None, Some(path)) => {
                let classes = args.classes.unwrap_or(classes);
                class_means(&vectors(path)?, labels, classes, shown)?
            }
            (None, None) => {
                let problem = "--features needs --centroids or --source-features";
                return Err(Failure::Usage(problem.to_owned()));
            }
        };
        let target = Target::Features { features: &features, centroids: centroids.view() };
        return Ok(args.transfer(centroids.nrows())?.run(labels, target, shown)?);
    }
    let transfer = args.transfer(classes)?;
    let norms = args.gradient_norms.as_deref().map(npy::read_column).transpose()?;
    let control = norms.as_deref().map_or(Control::Random, Control::GradientNorm);
    Ok(transfer.control(labels, control)?)
}

/// How many classes there are where these are some.
fn most(classes: &[u32]) -> usize {
    let named = classes.iter().filter(|&&class| class != NO_CLASS).max();
    named.map_or(0, |&class| class as usize + 1)
}

fn vectors(path: &Path) -> Result<Embedding, IoError> {
    Embedding::new(vec![StoredArray::open_npy(path)?])
}

/// Whole numbers of one axis; a negative one is no class where there may be none.
fn classes_in(path: &Path, may_be_none: bool) -> Result<Vec<u32>, IoError> {
    /// Up to here every whole number is one of single precision, in which arrays are read.
    const MOST: f32 = (1 << 24) as f32;
    let numbers = npy::read_column(path)?;
    let class = |(row, &number): (usize, &f32)| match number {
        class if class.fract() == 0.0 && (0.0..MOST).contains(&class) => Ok(class as u32),
        none if none < 0.0 && may_be_none => Ok(NO_CLASS),
        other => {
            let problem = format!("row {row} is {other}, which is no class");
            let remedy = "write whole numbers from 0 to 16777215";
            Err(IoError::new(Kind::Malformed, path, problem, remedy))
        }
    };
    numbers.iter().enumerate().map(class).collect()
}

/// The id of each source row.
fn ids(path: &Path, rows: usize) -> Result<Vec<SampleId>, IoError> {
    let ids = subset::read(path)?;
    if ids.len() == rows {
        return Ok(ids);
    }
    let problem = format!("has {} ids for {rows} labels", ids.len());
    Err(IoError::new(Kind::Disagree, path, problem, "give one id for each label, in their order"))
}

/// All classes as CSV.
fn table(ranking: &Ranking, kept: Option<&Selection>) -> String {
    let sizes = ranking.sizes();
    let mut text = "class,number,rows,kept\n".to_owned();
    for &class in ranking.order() {
        let at = class as usize;
        let stays = kept.is_none_or(|kept| kept.contains(at));
        let (number, rows) = (ranking.numbers()[at], sizes[at]);
        // Writing to a string does not fail.
        let _ = writeln!(text, "{class},{number},{rows},{}", u8::from(stays));
    }
    text
}

/// What was found, for people and as JSON.
#[derive(Serialize)]
struct Found {
    /// Source classes and rows.
    classes: usize,
    rows: usize,
    /// Those that stay; left out where nothing was cut.
    kept_classes: Option<usize>,
    kept_rows: Option<usize>,
    /// Classes without a vote, and how many of them stay all the same.
    without_votes: usize,
    kept_without_votes: usize,
    /// Even classes over which votes would spread as widely.
    effective_classes: f64,
    /// Target samples whose numbers could not be used.
    unusable: usize,
    /// The best classes, with what they are ranked by and their rows.
    best: Vec<(u32, f64, usize)>,
    #[serde(skip)]
    written: Vec<PathBuf>,
}

impl Found {
    fn new(
        ranking: &Ranking,
        labels: &[u32],
        kept: Option<&(Selection, Selection)>,
        args: &TransferArgs,
    ) -> Self {
        let sizes = ranking.sizes();
        let of = |&class: &u32| (class, ranking.numbers()[class as usize], sizes[class as usize]);
        let kept_classes = kept.map(|(classes, _)| classes.len());
        Self {
            classes: ranking.numbers().len(),
            rows: labels.len(),
            kept_classes,
            kept_rows: kept.map(|(_, rows)| rows.len()),
            without_votes: ranking.without_votes(),
            kept_without_votes: kept_classes.map_or(0, |count| ranking.arbitrary(count)),
            effective_classes: ranking.effective_classes(),
            unusable: ranking.unusable().len(),
            best: ranking.order().iter().take(SHOWN).map(of).collect(),
            written: args.out.iter().chain(&args.ranking).cloned().collect(),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { classes, rows, without_votes, .. } = self;
        match (self.kept_classes, self.kept_rows) {
            (Some(kept), Some(of)) => {
                writeln!(f, "{kept} of {classes} classes kept, {of} of {rows} rows")?;
            }
            _ => writeln!(f, "{classes} classes, {rows} rows")?,
        }
        for (class, number, rows) in &self.best {
            writeln!(f, "  class {class:<8} {number:>12}   {rows} rows")?;
        }
        if self.classes > self.best.len() {
            writeln!(f, "  and {} more", self.classes - self.best.len())?;
        }
        if *without_votes > 0 {
            writeln!(f, "{without_votes} classes got no vote")?;
        }
        if self.kept_without_votes > 0 {
            let count = self.kept_without_votes;
            writeln!(
                f,
                "note: {count} of them are kept by their number alone; keep fewer classes"
            )?;
        }
        if self.unusable > 0 {
            writeln!(f, "note: {} target samples have numbers that are not finite", self.unusable)?;
        }
        self.written.iter().try_for_each(|path| writeln!(f, "wrote {}", path.display()))
    }
}
