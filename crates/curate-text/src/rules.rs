//! DataComp's rules for captions and image sizes, each a pure function of one row.
//!
//! A rule returns `Ok(())` for a row to keep, or the first [`Failure`], with cheap parts checked
//! first. DataComp evaluates every part of a rule for every row; the rows kept are the same.
//!
//! A [`LanguageId`] decides what is English; with lid.176 the rules equal DataComp's. A missing
//! caption crashes DataComp's scripts; callers drop and count such rows before they ask.

mod entity;

pub use entity::{EntityIds, EntityIdsError};

use crate::fasttext::count_tokens;
use crate::language::LanguageId;
use crate::wordnet::WordNet;

/// The fewest words (by [`split`]) that `basic_filter` keeps.
pub const BASIC_MIN_WORDS: usize = 3;
/// The fewest fastText tokens that [`caption_filter`] keeps.
pub const CAPTION_MIN_TOKENS: usize = 2;
/// The fewest code points that either of them keeps.
pub const MIN_CHARACTERS: usize = 6;
/// The shortest side of an image, in pixels, that `basic_filter` keeps.
pub const MIN_SIDE: f64 = 200.0;
/// The largest ratio of an image's sides that `basic_filter` keeps.
pub const MAX_ASPECT: f64 = 3.0;
/// The lowest CLIP ViT-B/32 score that [`laion2b`] keeps.
pub const LAION2B_MIN_SCORE: f64 = 0.28;

/// Why a rule drops a row: the part that failed, and the value it found.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// Fewer than [`BASIC_MIN_WORDS`] words.
    #[error("too few words: {0}, must be at least {BASIC_MIN_WORDS}")]
    FewWords(usize),
    /// Fewer than [`CAPTION_MIN_TOKENS`] fastText tokens.
    #[error("too few tokens: {0}, must be at least {CAPTION_MIN_TOKENS}")]
    FewTokens(usize),
    /// Fewer than [`MIN_CHARACTERS`] code points.
    #[error("too few characters: {0}, must be at least {MIN_CHARACTERS}")]
    FewCharacters(usize),
    /// A language other than English, or none.
    #[error("not English: {}", language.as_deref().unwrap_or("no language"))]
    NotEnglish {
        /// The language that was found.
        language: Option<String>,
    },
    /// The shortest side is below [`MIN_SIDE`], or unknown (NaN).
    #[error("image too small: shortest side {0} pixels, must be at least {MIN_SIDE}")]
    SmallImage(f64),
    /// The ratio of the sides is above [`MAX_ASPECT`].
    #[error("image too long: aspect ratio {0}, must be at most {MAX_ASPECT}")]
    LongImage(f64),
    /// No word names an entity in the list.
    #[error("no word's first WordNet synset is in the list of entities")]
    NoEntity,
    /// The score is below [`LAION2B_MIN_SCORE`], or NaN.
    #[error("score too low: {0}, must be at least {LAION2B_MIN_SCORE}")]
    LowScore(f64),
}

/// The words of a text as Python's `str.split()` finds them: what stands between white space.
///
/// Python counts U+001C to U+001F as white space and [`char::is_whitespace`] does not, so they are
/// added here. Neither counts a zero-width space (U+200B) or a byte order mark (U+FEFF).
///
/// ```
/// use curate_text::rules::split;
///
/// let words: Vec<_> = split(" kitchen\u{a0}table\u{1c}de\u{200b}sign\n").collect();
/// assert_eq!(words, ["kitchen", "table", "de\u{200b}sign"]);
/// ```
pub fn split(text: &str) -> impl Iterator<Item = &str> {
    let is_space = |c: char| c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}');
    text.split(is_space).filter(|word| !word.is_empty())
}

/// Passes if the identifier's answer is `en`.
///
/// # Errors
/// [`Failure::NotEnglish`].
pub fn english(text: &str, language_id: &dyn LanguageId) -> Result<(), Failure> {
    let guess = language_id.identify(text);
    if guess.is_some_and(|guess| guess.language == "en") {
        return Ok(());
    }
    Err(Failure::NotEnglish { language: guess.map(|guess| guess.language.to_owned()) })
}

fn enough_characters(text: &str) -> Result<(), Failure> {
    let characters = text.chars().count();
    if characters >= MIN_CHARACTERS { Ok(()) } else { Err(Failure::FewCharacters(characters)) }
}

/// The caption part of `basic_filter`: more than 2 words by [`split`], more than 5 code points,
/// English.
///
/// # Errors
/// The first [`Failure`], in that order.
pub fn basic_caption(text: &str, language_id: &dyn LanguageId) -> Result<(), Failure> {
    let words = split(text).count();
    if words < BASIC_MIN_WORDS {
        return Err(Failure::FewWords(words));
    }
    enough_characters(text)?;
    english(text, language_id)
}

/// The image part of `basic_filter`: shortest side at least 200 pixels, aspect ratio at most 3.
///
/// A missing size is NaN and drops the row; so does 0 x 0.
///
/// ```
/// use curate_text::rules::basic_image;
///
/// assert!(basic_image(200.0, 600.0).is_ok());
/// assert!(basic_image(200.0, 601.0).is_err());
/// assert!(basic_image(199.0, 400.0).is_err());
/// assert!(basic_image(0.0, 0.0).is_err());
/// assert!(basic_image(f64::NAN, 600.0).is_err());
/// ```
///
/// # Errors
/// [`Failure::SmallImage`] or [`Failure::LongImage`].
pub fn basic_image(width: f64, height: f64) -> Result<(), Failure> {
    // Checked first, because `f64::min` ignores a NaN.
    let unknown = width.is_nan() || height.is_nan();
    let (shortest, longest) = (width.min(height), width.max(height));
    if unknown || shortest < MIN_SIDE {
        return Err(Failure::SmallImage(if unknown { f64::NAN } else { shortest }));
    }
    let aspect = longest / shortest;
    if aspect <= MAX_ASPECT { Ok(()) } else { Err(Failure::LongImage(aspect)) }
}

/// `basic_filter`: [`basic_image`] and [`basic_caption`].
///
/// # Errors
/// The first [`Failure`]; the image is checked before the caption.
pub fn basic(
    text: &str,
    width: f64,
    height: f64,
    language_id: &dyn LanguageId,
) -> Result<(), Failure> {
    basic_image(width, height)?;
    basic_caption(text, language_id)
}

/// The caption filter of `image_based` and `image_based_intersect_clip_score`: more than 1 fastText
/// token, more than 5 code points, English.
///
/// Tokens are not words: see [`tokenize`](crate::fasttext::tokenize). "cat\nand dog" has 4 tokens;
/// a caption whose only spaces are ideographic has 1.
///
/// # Errors
/// The first [`Failure`], in that order.
pub fn caption_filter(text: &str, language_id: &dyn LanguageId) -> Result<(), Failure> {
    let tokens = count_tokens(text);
    if tokens < CAPTION_MIN_TOKENS {
        return Err(Failure::FewTokens(tokens));
    }
    enough_characters(text)?;
    english(text, language_id)
}

/// `text_based`: English, and at least one word (by [`split`]) whose first synset is in the list.
///
/// # Errors
/// [`Failure::NoEntity`] or [`Failure::NotEnglish`].
pub fn text_based(
    text: &str,
    language_id: &dyn LanguageId,
    wordnet: &WordNet,
    entities: &EntityIds,
) -> Result<(), Failure> {
    if entities.first_in(text, wordnet).is_none() {
        return Err(Failure::NoEntity);
    }
    english(text, language_id)
}

/// `laion2b`: CLIP ViT-B/32 score at least 0.28, and English.
///
/// DataComp asks gcld3 here, which this crate does not include; with another identifier the rows
/// kept differ. A score from an f32 column may be widened to f64: the comparison comes out the
/// same.
///
/// # Errors
/// [`Failure::LowScore`] or [`Failure::NotEnglish`].
pub fn laion2b(text: &str, score: f64, language_id: &dyn LanguageId) -> Result<(), Failure> {
    if score >= LAION2B_MIN_SCORE {
        return english(text, language_id);
    }
    Err(Failure::LowScore(score))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::BuiltIn;

    #[test]
    fn failures_name_the_part_and_its_value() {
        let basic = |text, width, height| basic(text, width, height, &BuiltIn).unwrap_err();
        assert_eq!(basic("the black cat", 900.0, 250.0), Failure::LongImage(3.6));
        assert_eq!(basic("black cat", 900.0, 900.0), Failure::FewWords(2));
        assert_eq!(basic("a b c", 900.0, 900.0), Failure::FewCharacters(5));
        assert_eq!(basic("un chat noir sur le toit", 900.0, 900.0).to_string(), "not English: fr");
        assert_eq!(caption_filter("", &BuiltIn), Err(Failure::FewTokens(0)));
        assert_eq!(english("42", &BuiltIn).unwrap_err().to_string(), "not English: no language");
    }

    #[test]
    fn sizes_beyond_sense_are_dropped() {
        for (width, height) in
            [(0.0, 5.0), (-300.0, 300.0), (f64::INFINITY, 300.0), (300.0, f64::NAN)]
        {
            assert!(basic_image(width, height).is_err(), "{width} x {height}");
        }
        assert!(basic_image(f64::INFINITY, f64::INFINITY).is_err());
    }

    #[test]
    fn scores_at_the_threshold_stay_in_either_precision() {
        let text = "a black cat on the roof";
        assert!(laion2b(text, 0.28, &BuiltIn).is_ok());
        assert!(laion2b(text, f64::from(0.28_f32), &BuiltIn).is_ok());
        assert!(laion2b(text, f64::from(0.28_f32.next_down()), &BuiltIn).is_err());
        assert!(laion2b(text, f64::NAN, &BuiltIn).is_err());
    }
}
