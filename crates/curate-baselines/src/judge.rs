//! The rules, row by row, with what decided.

use curate_core::{SampleId, random};
use curate_text::rules::{self, Failure};

use crate::{
    Arch, BaselineError, Inputs, Rule,
    rows::{MetadataRows, has_all, numbers, own_threshold},
    rule::SIZES,
    verdict::{DropReason, Verdict},
};

/// What a rule says of each of some rows, handed to `each` in order. `floor` is the score from which
/// rows stay, for rules that cut a score; `ids` are the rows' own, for those that draw.
pub(crate) fn each_verdict(
    rule: &Rule,
    rows: &dyn MetadataRows,
    ids: &[SampleId],
    inputs: &Inputs<'_>,
    floor: Option<f64>,
    mut each: impl FnMut(Verdict),
) -> Result<(), BaselineError> {
    match rule {
        Rule::NoFilter => (0..rows.len()).for_each(|_| each(Verdict::KEPT)),
        Rule::RandomSubset { fraction, seed } => {
            ids.iter().for_each(|id| each(drawn(*fraction, *seed, *id)));
        }
        Rule::BasicFilter => {
            let [widths, heights] = SIZES.map(|column| numbers(rows, column));
            let (widths, heights) = (widths?, heights?);
            let rule = |row: usize, text: &str| {
                rules::basic(text, widths[row], heights[row], inputs.language)
            };
            captions(rows, rule, each)?;
        }
        Rule::ClipScore { arch, .. } => scores(rows, *arch, floor, each)?,
        Rule::Laion2b => {
            let scores = numbers(rows, Arch::B32.score_column())?;
            let rule = |row: usize, text: &str| rules::laion2b(text, scores[row], inputs.language);
            captions(rows, rule, each)?;
        }
        Rule::TextBased => {
            let (Some(wordnet), Some(entities)) = (inputs.wordnet, inputs.entities) else {
                return Err(BaselineError::Missing { rule: rule.name(), input: "wordnet" });
            };
            let rule = |_, text: &str| rules::text_based(text, inputs.language, wordnet, entities);
            captions(rows, rule, each)?;
        }
        Rule::ImageBased => {
            let verdicts = vec![Verdict::KEPT; rows.len()];
            images(rule, rows, inputs, verdicts)?.into_iter().for_each(each);
        }
        Rule::ImageBasedIntersectClipScore { arch, .. } => {
            let mut scored = Vec::with_capacity(rows.len());
            scores(rows, *arch, floor, |verdict| scored.push(verdict))?;
            images(rule, rows, inputs, scored)?.into_iter().for_each(each);
        }
    }
    Ok(())
}

fn drawn(fraction: f64, seed: u64, id: SampleId) -> Verdict {
    let draw = random::unit(seed, id);
    let stays = draw < fraction;
    let verdict = if stays { Verdict::KEPT } else { Verdict::dropped(DropReason::NotDrawn) };
    verdict.compared(draw, fraction)
}

/// What the score says of each row.
fn scores(
    rows: &dyn MetadataRows,
    arch: Arch,
    floor: Option<f64>,
    mut each: impl FnMut(Verdict),
) -> Result<(), BaselineError> {
    let column = arch.score_column();
    let floor = floor.map(|floor| own_threshold(rows, column, floor)).transpose()?;
    let verdict = |score: f64| match score {
        score if score.is_nan() => Verdict::dropped(DropReason::NoScore),
        score => match floor {
            Some(floor) if score >= floor => Verdict::KEPT.compared(score, floor),
            Some(floor) => Verdict::dropped(DropReason::LowScore).compared(score, floor),
            // The place of the fraction has no score: not even infinity is good enough.
            None => Verdict { value: Some(score), ..Verdict::dropped(DropReason::LowScore) },
        },
    };
    let mut found = 0;
    rows.each_block(column, &mut |scores| {
        found += scores.len();
        scores.iter().for_each(|&score| each(verdict(score)));
    })?;
    has_all(rows, "scores", found)
}

/// What a rule on captions says of each row. A missing caption always goes.
fn captions(
    rows: &dyn MetadataRows,
    rule: impl Fn(usize, &str) -> Result<(), Failure>,
    mut each: impl FnMut(Verdict),
) -> Result<(), BaselineError> {
    let (mut row, count) = (0, rows.len());
    rows.each_caption(&mut |text| {
        // A caption too many is an error below; no rule looks at a row that is not there.
        if row < count {
            each(match text.map(|text| rule(row, text)) {
                None => Verdict::dropped(DropReason::NoCaption),
                Some(Ok(())) => Verdict::KEPT,
                Some(Err(failure)) => Verdict::of(&failure),
            });
        }
        row += 1;
    })?;
    has_all(rows, "captions", row)
}

/// The image-based rule on rows that nothing has dropped yet.
fn images(
    rule: &Rule,
    rows: &dyn MetadataRows,
    inputs: &Inputs<'_>,
    mut verdicts: Vec<Verdict>,
) -> Result<Vec<Verdict>, BaselineError> {
    let Some(concepts) = inputs.concepts else {
        return Err(BaselineError::Missing { rule: rule.name(), input: "concepts" });
    };
    let mut judged = verdicts.iter_mut();
    let on_caption = |_, text: &str| rules::caption_filter(text, inputs.language);
    captions(rows, on_caption, |by_caption| {
        if let Some(verdict) = judged.next()
            && verdict.dropped.is_none()
            && by_caption.dropped.is_some()
        {
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
