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
    let mut verdicts = Vec::with_capacity(ids.len());
    each_verdict(baseline, rows, ids, inputs, threshold, |verdict| verdicts.push(verdict))?;
    Ok(verdicts)
}

/// As [`judge`], handing one verdict after the other to `each`. Only
/// [`RandomSubset`](Baseline::RandomSubset) asks for `ids`.
pub(crate) fn each_verdict(
    baseline: &Baseline,
    rows: &dyn Rows,
    ids: &[SampleId],
    inputs: &Inputs<'_>,
    threshold: Option<f64>,
    mut each: impl FnMut(Verdict),
) -> Result<(), BaselineError> {
    match baseline {
        Baseline::NoFilter => (0..rows.len()).for_each(|_| each(Verdict::KEPT)),
        Baseline::RandomSubset { fraction, seed } => {
            ids.iter().for_each(|id| each(drawn(*fraction, *seed, *id)));
        }
        Baseline::BasicFilter => {
            let [widths, heights] = SIZES.map(|column| numbers(rows, column));
            let (widths, heights) = (widths?, heights?);
            let rule = |row: usize, text: &str| {
                rules::basic(text, widths[row], heights[row], inputs.language)
            };
            captions(rows, rule, each)?;
        }
        Baseline::ClipScore { arch, .. } => scores(rows, *arch, threshold, each)?,
        Baseline::Laion2b => {
            let scores = numbers(rows, Arch::B32.score_column())?;
            let rule = |row: usize, text: &str| rules::laion2b(text, scores[row], inputs.language);
            captions(rows, rule, each)?;
        }
        Baseline::TextBased => {
            let (wordnet, entities) = inputs.entities.expect("checked before the run");
            let rule = |_, text: &str| rules::text_based(text, inputs.language, wordnet, entities);
            captions(rows, rule, each)?;
        }
        Baseline::ImageBased => {
            pictures(rows, inputs, vec![Verdict::KEPT; rows.len()])?.into_iter().for_each(each);
        }
        Baseline::ImageBasedIntersectClipScore { arch, .. } => {
            let mut scored = Vec::with_capacity(rows.len());
            scores(rows, *arch, threshold, |verdict| scored.push(verdict))?;
            pictures(rows, inputs, scored)?.into_iter().for_each(each);
        }
    }
    Ok(())
}

fn drawn(fraction: f64, seed: u64, id: SampleId) -> Verdict {
    let draw = random::unit(seed, id);
    let verdict = if draw < fraction { Verdict::KEPT } else { Verdict::dropped("not drawn") };
    verdict.compared(draw, fraction)
}

/// What the score says of each row.
fn scores(
    rows: &dyn Rows,
    arch: Arch,
    threshold: Option<f64>,
    mut each: impl FnMut(Verdict),
) -> Result<(), IoError> {
    let column = arch.score_column();
    let threshold = own_threshold(rows, column, threshold.unwrap_or(f64::INFINITY))?;
    let verdict = |score: f64| match score {
        score if score.is_nan() => Verdict::dropped("no score"),
        score if score >= threshold => Verdict::KEPT.compared(score, threshold),
        _ => Verdict::dropped("low score").compared(score, threshold),
    };
    rows.each_block(column, &mut |scores| {
        scores.iter().for_each(|&score| each(verdict(score)));
    })
}

/// What a rule on captions says of each row. A missing caption always goes.
fn captions(
    rows: &dyn Rows,
    rule: impl Fn(usize, &str) -> Result<(), Failure>,
    mut each: impl FnMut(Verdict),
) -> Result<(), IoError> {
    let mut row = 0;
    rows.each_caption(&mut |text| {
        each(match text.map(|text| rule(row, text)) {
            None => Verdict::dropped("no caption"),
            Some(Ok(())) => Verdict::KEPT,
            Some(Err(failure)) => Verdict::of(&failure),
        });
        row += 1;
    })
}

/// The image-based rule on rows that nothing has dropped yet.
fn pictures(
    rows: &dyn Rows,
    inputs: &Inputs<'_>,
    mut verdicts: Vec<Verdict>,
) -> Result<Vec<Verdict>, BaselineError> {
    let concepts = inputs.concepts.expect("checked before the run");
    let mut judged = verdicts.iter_mut();
    let rule = |_, text: &str| rules::caption_filter(text, inputs.language);
    captions(rows, rule, |by_caption| {
        let verdict = judged.next().expect("a verdict for every row");
        if verdict.dropped.is_none() && by_caption.dropped.is_some() {
            *verdict = by_caption;
        }
    })?;
    let open: Vec<usize> =
        (0..verdicts.len()).filter(|&row| verdicts[row].dropped.is_none()).collect();
    for (row, judged) in open.iter().zip(concepts.judge(rows, &open)?) {
        let scored = verdicts[*row];
        verdicts[*row] = Verdict { cluster: judged.cluster, dropped: judged.dropped, ..scored };
    }
    Ok(verdicts)
}
