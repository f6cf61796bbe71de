//! What sections of a report share: cards of samples, verdicts, numbers for people.

use curate_core::Selection;
use curate_io::{Pool, Sample};
use curate_report::{Card, Image, Verdict};

use crate::{
    Error,
    gone::{self, Gone},
    rows::StageRows,
};

/// Larger image files are not put into the report.
const LARGEST_IMAGE: usize = 200_000;

/// What a section of a report can show.
pub(crate) struct Page<'a> {
    pub(crate) pool: &'a Pool,
    /// The rows of the subset.
    pub(crate) kept: &'a Selection,
    /// Which stage took each of the others out.
    pub(crate) gone: &'a Gone,
    /// Whether cards show images.
    pub(crate) images: bool,
}

impl Page<'_> {
    /// Cards of rows, in order, with a verdict and a line each.
    pub(crate) fn cards(
        &self,
        rows: &[usize],
        verdict: impl Fn(usize) -> Verdict,
        detail: impl Fn(usize) -> String,
    ) -> Result<Vec<Card>, Error> {
        let samples = match self.images {
            true => self.pool.samples_with_images(rows)?,
            false => self.pool.samples(rows)?,
        };
        let card = |(&row, mut sample): (&usize, Sample)| Card {
            image: sample
                .image
                .filter(|bytes| bytes.len() <= LARGEST_IMAGE)
                .and_then(Image::from_bytes),
            caption: sample.caption.unwrap_or_default(),
            id: sample.id.to_string(),
            badges: ["source", "caption_kind"]
                .iter()
                .filter_map(|field| sample.fields.remove(*field))
                .collect(),
            verdict: Some(verdict(row)),
            details: [Some(detail(row)), self.fate(row)].into_iter().flatten().collect(),
        };
        Ok(rows.iter().zip(samples).map(card).collect())
    }

    /// Which stage took a row out, and by which rule; `None` for a row of the subset.
    pub(crate) fn fate(&self, row: usize) -> Option<String> {
        self.gone.of(row).map(|(stage, rule)| gone::fate(stage, rule))
    }

    /// The first digits of a row's id, enough to find its card.
    pub(crate) fn short_id(&self, row: usize) -> String {
        self.pool.ids()[row].to_string().chars().take(8).collect::<String>() + "…"
    }

    /// Whether a row is in the subset.
    pub(crate) fn verdict(&self, row: usize) -> Verdict {
        if self.kept.contains(row) { Verdict::Kept } else { Verdict::Removed }
    }
}

/// What a stage said of a row.
pub(crate) fn stage_verdict(rows: &StageRows, row: usize) -> Verdict {
    let kept = rows.position(row).is_some_and(|position| rows.keeps(position));
    if kept { Verdict::Kept } else { Verdict::Removed }
}

/// Up to `count` items, evenly spaced from the first to the last.
pub(crate) fn spread<T: Clone>(items: &[T], count: usize) -> Vec<T> {
    if items.len() <= count {
        return items.to_vec();
    }
    (0..count).map(|i| items[i * (items.len() - 1) / (count - 1).max(1)].clone()).collect()
}

/// The text with its first letter in upper case.
pub(crate) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_takes_the_first_and_the_last() {
        assert_eq!(spread(&[0, 1, 2, 3, 4, 5, 6], 3), [0, 3, 6]);
        assert_eq!(spread(&[1, 2], 5), [1, 2]);
        assert_eq!(spread(&[1, 2, 3], 1), [1]);
    }
}
