//! The rules, row by row, with what decided.

use curate_core::{SampleId, random};
use curate_io::IoError;
use curate_text::rules::{self, Failure};

use crate::{
    Arch, Baseline, BaselineError, Inputs,
    rows::{Rows, numbers, own_threshold},
};

/// The columns of image sizes.
pub(crate) const SIZES: [&str; 2] = ["original_width", "original_height"];

/// What a rule says of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// The first part of the rule that drops the row, such as `few words`; `None` for a row that
    /// stays.
    pub dropped: Option<&'static str>,
    /// The number that was compared; NaN where none was.
    pub value: f32,
    /// What it was compared with; NaN where it was compared with nothing.
    pub threshold: f32,
    /// The cluster of the row's picture.
    pub cluster: Option<u32>,
}

impl Verdict {
    /// Nothing is wrong with the row, and nothing was compared.
    pub(crate) const KEPT: Self =
        Self { dropped: None, value: f32::NAN, threshold: f32::NAN, cluster: None };

    pub(crate) fn dropped(rule: &'static str) -> Self {
        Self { dropped: Some(rule), ..Self::KEPT }
    }

    fn compared(self, value: f64, threshold: f64) -> Self {
        Self { value: value as f32, threshold: threshold as f32, ..self }
    }

    /// The rule and the number of a failure.
    fn of(failure: &Failure) -> Self {
        let (rule, value, threshold) = match *failure {
            Failure::FewWords(n) => ("few words", n as f64, rules::BASIC_MIN_WORDS as f64),
            Failure::FewTokens(n) => ("few tokens", n as f64, rules::CAPTION_MIN_TOKENS as f64),
            Failure::FewCharacters(n) => ("few characters", n as f64, rules::MIN_CHARACTERS as f64),
            Failure::NotEnglish { .. } => return Self::dropped("not English"),
            Failure::SmallImage(side) => ("small image", side, rules::MIN_SIDE),
            Failure::LongImage(ratio) => ("long image", ratio, rules::MAX_ASPECT),
            Failure::LowScore(score) if score.is_nan() => return Self::dropped("no score"),
            Failure::LowScore(score) => ("low score", score, rules::LAION2B_MIN_SCORE),
            Failure::NoEntity => return Self::dropped("no entity"),
        };
        Self::dropped(rule).compared(value, threshold)
    }
}

/// What a baseline says of each of some rows. `ids` are theirs; `threshold` is the score from which
/// rows are kept ([`threshold`](crate::threshold)), for rules that cut a score.
///
/// # Errors
/// When the rows lack what the rule reads, or it cannot be read.
///
/// # Panics
/// When the baseline needs inputs that are not given ([`check`](crate::check) tells before).
pub fn judge(
    baseline: &Baseline,
    rows: &dyn Rows,
    ids: &[SampleId],
    inputs: &Inputs<'_>,
    threshold: Option<f64>,
) -> Result<Vec<Verdict>, BaselineError> {
    Ok(match baseline {
        Baseline::NoFilter => vec![Verdict::KEPT; ids.len()],
        Baseline::RandomSubset { fraction, seed } => {
            ids.iter().map(|id| drawn(*fraction, *seed, *id)).collect()
        }
        Baseline::BasicFilter => {
            let [widths, heights] = SIZES.map(|column| numbers(rows, column));
            let (widths, heights) = (widths?, heights?);
            captions(rows, |row, text| {
                rules::basic(text, widths[row], heights[row], inputs.language)
            })?
        }
        Baseline::ClipScore { arch, .. } => scores(rows, *arch, threshold)?,
        Baseline::Laion2b => {
            let scores = numbers(rows, Arch::B32.score_column())?;
            captions(rows, |row, text| rules::laion2b(text, scores[row], inputs.language))?
        }
        Baseline::TextBased => {
            let (wordnet, entities) = inputs.entities.expect("checked before the run");
            captions(rows, |_, text| rules::text_based(text, inputs.language, wordnet, entities))?
        }
        Baseline::ImageBased => pictures(rows, inputs, vec![Verdict::KEPT; ids.len()])?,
        Baseline::ImageBasedIntersectClipScore { arch, .. } => {
            pictures(rows, inputs, scores(rows, *arch, threshold)?)?
        }
    })
}

fn drawn(fraction: f64, seed: u64, id: SampleId) -> Verdict {
    let draw = random::unit(seed, id);
    let verdict = if draw < fraction { Verdict::KEPT } else { Verdict::dropped("not drawn") };
    verdict.compared(draw, fraction)
}

/// What the score says of each row.
fn scores(rows: &dyn Rows, arch: Arch, threshold: Option<f64>) -> Result<Vec<Verdict>, IoError> {
    let column = arch.score_column();
    let threshold = own_threshold(rows, column, threshold.unwrap_or(f64::INFINITY))?;
    let mut verdicts = Vec::with_capacity(rows.len().min(1 << 24));
    rows.each_number(column, &mut |score| {
        verdicts.push(match score {
            score if score.is_nan() => Verdict::dropped("no score"),
            score if score >= threshold => Verdict::KEPT.compared(score, threshold),
            _ => Verdict::dropped("low score").compared(score, threshold),
        });
    })?;
    Ok(verdicts)
}

/// What a rule on captions says of each row. A missing caption always goes.
fn captions(
    rows: &dyn Rows,
    judge: impl Fn(usize, &str) -> Result<(), Failure>,
) -> Result<Vec<Verdict>, IoError> {
    let mut verdicts = Vec::with_capacity(rows.len().min(1 << 24));
    rows.each_caption(&mut |text| {
        let row = verdicts.len();
        verdicts.push(match text.map(|text| judge(row, text)) {
            None => Verdict::dropped("no caption"),
            Some(Ok(())) => Verdict::KEPT,
            Some(Err(failure)) => Verdict::of(&failure),
        });
    })?;
    Ok(verdicts)
}

/// The image-based rule on rows that nothing has dropped yet.
fn pictures(
    rows: &dyn Rows,
    inputs: &Inputs<'_>,
    mut verdicts: Vec<Verdict>,
) -> Result<Vec<Verdict>, BaselineError> {
    let concepts = inputs.concepts.expect("checked before the run");
    let by_caption = captions(rows, |_, text| rules::caption_filter(text, inputs.language))?;
    for (verdict, by_caption) in verdicts.iter_mut().zip(by_caption) {
        if verdict.dropped.is_none() && by_caption.dropped.is_some() {
            *verdict = by_caption;
        }
    }
    let open: Vec<usize> =
        (0..verdicts.len()).filter(|&row| verdicts[row].dropped.is_none()).collect();
    for (row, judged) in open.iter().zip(concepts.judge(rows, &open)?) {
        let scored = verdicts[*row];
        verdicts[*row] = Verdict { cluster: judged.cluster, dropped: judged.dropped, ..scored };
    }
    Ok(verdicts)
}
