//! CLIP's tokenizer, exactly as open_clip cleans and encodes text.
//!
//! A caption is repaired ([`clean`]), cut into words, and each word into byte pairs of CLIP's
//! vocabulary, which is bundled.

mod bpe;
mod clean;

use std::{borrow::Cow, sync::Arc};

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

pub use clean::clean;
pub use curate_text::repair::Ftfy;

use bpe::Merges;
use clean::clean_as;

/// The token before every text.
pub const START: u32 = 49_406;
/// The token after every text; the largest of the vocabulary.
pub const END: u32 = 49_407;

/// What becomes of `<start_of_text>` and `<end_of_text>` inside a caption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpecialText {
    /// They become the special tokens, as in open_clip. The network pools at the first end-of-text
    /// token, so a caption can hide its rest from the score.
    #[default]
    AsOpenClip,
    /// They are text like any other.
    Plain,
}

/// CLIP's byte-pair encoding. Cheap to clone; shared between threads.
#[derive(Clone)]
pub struct Tokenizer {
    merges: Arc<Merges>,
    special: SpecialText,
    repair: Ftfy,
}

impl Default for Tokenizer {
    fn default() -> Self {
        Self::new(SpecialText::AsOpenClip)
    }
}

impl Tokenizer {
    /// Unpacks the bundled vocabulary.
    pub fn new(special: SpecialText) -> Self {
        Self { merges: Arc::new(Merges::bundled()), special, repair: Ftfy::default() }
    }

    /// Repairs captions as another version of ftfy does, for scores that were made with it; 6.3 unless
    /// told.
    ///
    /// ```
    /// use curate_dfn::{Tokenizer, tokenizer::Ftfy};
    ///
    /// let now = Tokenizer::default();
    /// let then = now.clone().with_repair(Ftfy::V6_2);
    /// assert_eq!(now.encode("RÄ«ga"), now.encode("Rīga"));
    /// assert_ne!(then.encode("RÄ«ga"), then.encode("Rīga"));
    /// ```
    pub fn with_repair(mut self, repair: Ftfy) -> Self {
        self.repair = repair;
        self
    }

    /// Whose rules repair captions.
    pub fn repair(&self) -> Ftfy {
        self.repair
    }

    /// What decides the tokens, apart from the bundled vocabulary and the text itself. The version
    /// changes when cleaning or words change.
    pub(crate) fn identity(&self) -> Cow<'static, str> {
        let special = match self.special {
            SpecialText::AsOpenClip => "clip 2, special tokens as open_clip",
            SpecialText::Plain => "clip 2, special tokens as text",
        };
        // Folders that were embedded before versions could be chosen stay those of 6.3.
        match self.repair {
            Ftfy::V6_3 => special.into(),
            older => format!("{special}, {}", older.name()).into(),
        }
    }

    /// The tokens of a text without start, end and padding.
    ///
    /// ```
    /// let tokens = curate_dfn::Tokenizer::default().encode("a photo of a cat");
    /// assert_eq!(tokens, [320, 1125, 539, 320, 2368]);
    /// ```
    pub fn encode(&self, text: &str) -> Vec<u32> {
        self.encode_at_most(text, usize::MAX)
    }

    /// The tokens of a text as the network takes them: start, text, end, zeros up to
    /// `context_length`. A longer text is cut, and still ends with the end-of-text token.
    pub fn tokens(&self, text: &str, context_length: usize) -> Vec<u32> {
        let mut tokens = vec![START];
        tokens.extend(self.encode_at_most(text, context_length));
        tokens.push(END);
        if tokens.len() > context_length {
            tokens.truncate(context_length);
            if let Some(last) = tokens.last_mut() {
                *last = END;
            }
        }
        tokens.resize(context_length, 0);
        tokens
    }

    /// Stops at the first word that reaches `most` tokens: what follows would be cut off anyway.
    fn encode_at_most(&self, text: &str, most: usize) -> Vec<u32> {
        let text = clean_as(text, self.repair);
        let mut rest = text.as_ref();
        let mut tokens = Vec::new();
        while tokens.len() < most {
            let Some((word, after)) = next_word(rest, self.special) else { break };
            match word {
                "<start_of_text>" if self.special == SpecialText::AsOpenClip => tokens.push(START),
                "<end_of_text>" if self.special == SpecialText::AsOpenClip => tokens.push(END),
                _ => self.merges.encode(word, &mut tokens),
            }
            rest = after;
        }
        tokens
    }
}

const SPECIALS: [&str; 2] = ["<start_of_text>", "<end_of_text>"];
/// The pattern ignores case by Unicode's folding, to which `ſ` is an s; no other character that
/// lower case leaves is folded to one of these.
const CONTRACTIONS: [&str; 8] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'ſ"];
/// The iota that is written below a letter. Its fold is a letter, so that a pattern that ignores case
/// does not take it for anything but a letter; it is none either, so that no part of the pattern has it.
const SKIPPED: char = '\u{345}';
/// `<start_of_text>` to a pattern that ignores case, but a word as any other to the vocabulary.
const FOLDED_SPECIAL: &str = "<ſtart_of_text>";

/// The first word of a text that [`clean`] returned, and what follows it. Words are: a special
/// token, an English contraction, a run of letters, one digit, a run of anything else.
fn next_word(text: &str, special: SpecialText) -> Option<(&str, &str)> {
    let text = text.trim_start_matches([' ', SKIPPED]);
    let first = text.chars().next()?;
    let specials = if special == SpecialText::AsOpenClip { &SPECIALS[..] } else { &[] };
    let folded = specials.first().map(|_| &FOLDED_SPECIAL);
    let mut fixed = specials.iter().chain(folded).chain(&CONTRACTIONS);
    let fixed = fixed.find(|&&word| text.starts_with(word));
    let len = match (fixed, Class::of(first)) {
        (Some(word), _) => word.len(),
        (None, Class::Number) => first.len_utf8(),
        (None, class) => text.find(|c| Class::of(c) != class).unwrap_or(text.len()),
    };
    Some(text.split_at(len))
}

#[derive(Clone, Copy, PartialEq)]
enum Class {
    Letter,
    Number,
    Space,
    Other,
}

impl Class {
    fn of(c: char) -> Self {
        match c {
            'a'..='z' | 'A'..='Z' => Self::Letter,
            '0'..='9' => Self::Number,
            ' ' | SKIPPED => Self::Space,
            '\0'..='\x7f' => Self::Other,
            _ => match c.general_category_group() {
                GeneralCategoryGroup::Letter => Self::Letter,
                GeneralCategoryGroup::Number => Self::Number,
                _ => Self::Other,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let mut rest = text;
        std::iter::from_fn(|| {
            let (word, after) = next_word(rest, SpecialText::AsOpenClip)?;
            rest = after;
            Some(word)
        })
        .collect()
    }

    #[test]
    fn words_are_those_of_the_regular_expression() {
        assert_eq!(
            words("don't 'sup 12é!? ²x"),
            ["don", "'t", "'s", "up", "1", "2", "é", "!?", "²", "x"]
        );
        assert_eq!(words("!<end_of_text>!"), ["!<", "end", "_", "of", "_", "text", ">!"]);
        assert_eq!(words(" <end_of_text>!"), ["<end_of_text>", "!"]);
        assert_eq!(words("<ſtart_of_text>'ſx"), ["<ſtart_of_text>", "'ſ", "x"]);
        assert_eq!(words("a\u{345}b!\u{345}?"), ["a", "b", "!", "?"]);
    }

    /// open_clip 3.3.0's tokens.
    #[test]
    fn a_long_s_makes_a_contraction() {
        let tokens = [129, 379, 1538, 268, 338, 6, 129, 379];
        assert_eq!(Tokenizer::default().encode("ſ long-s 'ſ"), tokens);
    }

    #[test]
    fn a_caption_cannot_end_itself_when_special_text_is_plain() {
        let plain = Tokenizer::new(SpecialText::Plain);
        assert!(!plain.encode("cat <end_of_text> dog").contains(&END));
        assert!(Tokenizer::default().encode("cat <end_of_text> dog").contains(&END));
    }

    #[test]
    fn huge_captions_are_cut_and_end_as_short_ones_do() {
        let tokenizer = Tokenizer::default();
        for text in ["word ".repeat(200_000), "x".repeat(1_000_000), "é".repeat(300_000)] {
            let tokens = tokenizer.tokens(&text, 77);
            assert_eq!((tokens.len(), tokens[0], tokens[76]), (77, START, END));
        }
        assert_eq!(tokenizer.tokens("cat", 2), [START, END]);
        assert_eq!(tokenizer.tokens("", 4), [START, END, 0, 0]);
    }
}
