//! The settings that a model was trained with, as far as prediction needs them.

use super::source::{FormatError, Source};
use std::io::BufRead;

const MAGIC: i32 = 793_712_314;
/// The longest n-grams accepted: longer than any model uses, and a bound on what a hostile file can
/// cost.
const MAX_NGRAM: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LossName {
    HierarchicalSoftmax,
    NegativeSampling,
    Softmax,
    OneVsAll,
}

#[derive(Clone, Debug)]
pub(super) struct Args {
    pub(super) dim: usize,
    pub(super) word_ngrams: usize,
    pub(super) loss: LossName,
    pub(super) bucket: usize,
    pub(super) min_n: usize,
    pub(super) max_n: usize,
}

impl Args {
    /// Reads the head of the file: magic number, version, settings.
    pub(super) fn read<R: BufRead>(source: &mut Source<R>) -> Result<Self, FormatError> {
        let version = read_version(source)?;
        let dim = source.size32("args.dim")?;
        for ignored in ["args.ws", "args.epoch", "args.minCount", "args.neg"] {
            source.i32(ignored)?;
        }
        let word_ngrams = read_ngram(source, "args.wordNgrams")?;
        let loss = read_loss(source)?;
        read_kind(source)?;
        let bucket = source.size32("args.bucket")?;
        let min_n = read_ngram(source, "args.minn")?;
        let max_n = read_ngram(source, "args.maxn")?;
        source.i32("args.lrUpdateRate")?;
        source.skip_f64("args.t")?;

        // Supervised models of version 11 were trained without character n-grams, whatever they
        // say.
        let max_n = if version == 11 { 0 } else { max_n };
        let args = Self { dim, word_ngrams, loss, bucket, min_n, max_n };
        args.check()?;
        Ok(args)
    }

    fn check(&self) -> Result<(), FormatError> {
        if self.dim == 0 {
            return Err(FormatError::new("args.dim", "must be 1 or more, found 0"));
        }
        if self.uses_buckets() && self.bucket == 0 {
            return Err(FormatError::new("args.bucket", "is 0, but the model uses n-grams"));
        }
        Ok(())
    }

    /// Whether n-grams of characters or words have rows in the input matrix.
    pub(super) fn uses_buckets(&self) -> bool {
        self.max_n > 0 || self.word_ngrams > 1
    }
}

fn read_version<R: BufRead>(source: &mut Source<R>) -> Result<i32, FormatError> {
    let magic = source.i32("magic")?;
    if magic != MAGIC {
        return Err(FormatError::new("magic", format!("must be {MAGIC}, found {magic}")));
    }
    let version = source.i32("version")?;
    if !(11..=12).contains(&version) {
        return Err(FormatError::new("version", format!("must be 11 or 12, found {version}")));
    }
    Ok(version)
}

fn read_ngram<R: BufRead>(
    source: &mut Source<R>,
    field: &'static str,
) -> Result<usize, FormatError> {
    let value = source.i32(field)?;
    // To fastText a negative length means "none".
    let length = usize::try_from(value).unwrap_or(0);
    if length > MAX_NGRAM {
        return Err(FormatError::new(field, format!("must be at most {MAX_NGRAM}, found {value}")));
    }
    Ok(length)
}

fn read_loss<R: BufRead>(source: &mut Source<R>) -> Result<LossName, FormatError> {
    match source.i32("args.loss")? {
        1 => Ok(LossName::HierarchicalSoftmax),
        2 => Ok(LossName::NegativeSampling),
        3 => Ok(LossName::Softmax),
        4 => Ok(LossName::OneVsAll),
        other => Err(FormatError::new("args.loss", format!("must be 1 to 4, found {other}"))),
    }
}

fn read_kind<R: BufRead>(source: &mut Source<R>) -> Result<(), FormatError> {
    match source.i32("args.model")? {
        3 => Ok(()),
        1 | 2 => Err(FormatError::new("args.model", "says word vectors, which have no labels")),
        other => Err(FormatError::new("args.model", format!("must be 3, found {other}"))),
    }
}
