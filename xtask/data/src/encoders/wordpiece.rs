//! The uncased WordPiece tokenizer of BERT.

use std::collections::HashMap;

use anyhow::{Context, Result};
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// Longer words become one unknown token, as in the reference.
const LONGEST_WORD: usize = 100;

/// Vocabulary and special tokens.
#[derive(Debug)]
pub(crate) struct WordPiece {
    ids: HashMap<String, u32>,
    unknown: u32,
    start: u32,
    end: u32,
}

impl WordPiece {
    /// One token a line, in order of its id.
    pub(crate) fn new(vocabulary: &str) -> Result<Self> {
        let ids: HashMap<String, u32> = vocabulary
            .lines()
            .zip(0_u32..)
            .map(|(token, id)| (token.trim_end().to_owned(), id))
            .collect();
        let special = |token: &str| {
            ids.get(token).copied().with_context(|| format!("the vocabulary has no {token}"))
        };
        let (unknown, start, end) = (special("[UNK]")?, special("[CLS]")?, special("[SEP]")?);
        Ok(Self { ids, unknown, start, end })
    }

    /// Token ids with start and end marks, at most `most` of them.
    pub(crate) fn encode(&self, text: &str, most: usize) -> Vec<u32> {
        let mut tokens = vec![self.start];
        for word in words(text) {
            self.pieces(&word, &mut tokens);
        }
        tokens.truncate(most - 1);
        tokens.push(self.end);
        tokens
    }

    /// The longest known piece first; a word with an unknown rest is unknown as a whole.
    fn pieces(&self, word: &str, tokens: &mut Vec<u32>) {
        let ends: Vec<usize> =
            word.char_indices().map(|(i, _)| i).skip(1).chain([word.len()]).collect();
        if ends.len() > LONGEST_WORD {
            tokens.push(self.unknown);
            return;
        }
        let (before, mut start) = (tokens.len(), 0);
        while start < word.len() {
            let found = ends.iter().rev().take_while(|&&end| end > start).find_map(|&end| {
                let piece = &word[start..end];
                let id = if start == 0 {
                    self.ids.get(piece)
                } else {
                    self.ids.get(&format!("##{piece}"))
                };
                id.map(|&id| (id, end))
            });
            let Some((id, end)) = found else {
                tokens.truncate(before);
                tokens.push(self.unknown);
                return;
            };
            tokens.push(id);
            start = end;
        }
    }
}

/// Lower-case words without accents; punctuation marks and Chinese characters stand alone.
fn words(text: &str) -> Vec<String> {
    let clean: String = text.chars().filter(|&c| !is_control(c)).collect();
    let lower = clean.to_lowercase();
    let mut words = vec![String::new()];
    for c in lower.nfd().filter(|c| c.general_category() != GeneralCategory::NonspacingMark) {
        if c.is_whitespace() {
            words.push(String::new());
        } else if is_punctuation(c) || is_chinese(c) {
            words.push(c.to_string());
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn is_control(c: char) -> bool {
    let spacing = matches!(c, '\t' | '\n' | '\r');
    let other = c.general_category_group() == GeneralCategoryGroup::Other;
    c == '\u{fffd}' || (!spacing && other)
}

fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() || c.general_category_group() == GeneralCategoryGroup::Punctuation
}

fn is_chinese(c: char) -> bool {
    matches!(u32::from(c),
        0x4E00..=0x9FFF | 0x3400..=0x4DBF | 0x20000..=0x2A6DF | 0x2A700..=0x2B73F
        | 0x2B740..=0x2B81F | 0x2B820..=0x2CEAF | 0xF900..=0xFAFF | 0x2F800..=0x2FA1F)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer() -> WordPiece {
        WordPiece::new("[PAD]\n[UNK]\n[CLS]\n[SEP]\nun\n##aff\n##able\ncafe\n,\n中\nface").unwrap()
    }

    #[test]
    fn words_fall_into_the_longest_known_pieces() {
        assert_eq!(tokenizer().encode("Unaffable face", 16), [2, 4, 5, 6, 10, 3]);
    }

    #[test]
    fn accents_case_and_controls_vanish_and_marks_stand_alone() {
        assert_eq!(tokenizer().encode("CAFÉ,\u{200b}face\u{0}", 16), [2, 7, 8, 10, 3]);
        assert_eq!(words("x中y"), ["x", "中", "y"]);
    }

    #[test]
    fn an_unknown_rest_makes_the_word_unknown() {
        assert_eq!(tokenizer().encode("unaffected", 16), [2, 1, 3]);
        assert_eq!(tokenizer().encode("", 16), [2, 3]);
    }

    #[test]
    fn long_texts_keep_their_end_mark() {
        assert_eq!(tokenizer().encode("face face face", 3), [2, 10, 3]);
    }
}
