//! Words, labels, and the rows of the input matrix that a line of text adds up.
//!
//! The first rows belong to the words. All n-grams share the rows after them: an n-gram is hashed
//! into one of `bucket` rows and nobody checks for collisions, so the hashes have to equal
//! fastText's to the bit, including its use of signed bytes and signed 32-bit hashes.

use super::args::Args;
use super::prune::Buckets;
use super::source::{FormatError, Source};
use super::tokens::{END_OF_LINE, next_token};
use std::collections::HashMap;
use std::io::BufRead;

/// How labels begin. fastText can be trained with another prefix, but does not store it.
const LABEL_PREFIX: &str = "__label__";
/// The bytes of the shortest dictionary entry: an empty word, its count and its type.
const SHORTEST_ENTRY: u64 = 10;
/// The multiplier in fastText's hash of word n-grams.
const WORD_NGRAM_FACTOR: u64 = 116_049_371;

pub(super) struct Dictionary {
    ids: HashMap<Box<[u8]>, i32>,
    words: i32,
    labels: Vec<String>,
    label_counts: Vec<i64>,
    buckets: Buckets,
    ngrams: Args,
}

impl Dictionary {
    pub(super) fn read<R: BufRead>(
        source: &mut Source<R>,
        args: &Args,
    ) -> Result<Self, FormatError> {
        let size = source.size32("dictionary.size")?;
        let words = source.i32("dictionary.nwords")?;
        let labels = source.size32("dictionary.nlabels")?;
        source.i64("dictionary.ntokens")?;
        let pruned = source.i64("dictionary.pruneidx_size")?;
        check_sizes(size, words, labels)?;
        source.expect_room("dictionary.size", size as u64, SHORTEST_ENTRY)?;

        let mut dictionary = Self {
            ids: HashMap::with_capacity(size),
            words,
            labels: Vec::with_capacity(labels),
            label_counts: Vec::with_capacity(labels),
            buckets: Buckets::All,
            ngrams: args.clone(),
        };
        for id in 0..words {
            dictionary.read_word(source, id)?;
        }
        for offset in 0..labels {
            dictionary.read_label(source, offset)?;
        }
        dictionary.buckets = Buckets::read(source, pruned)?;
        Ok(dictionary)
    }

    fn read_word<R: BufRead>(
        &mut self,
        source: &mut Source<R>,
        id: i32,
    ) -> Result<(), FormatError> {
        let word = source.zero_ended("dictionary.word")?;
        source.i64("dictionary.count")?;
        expect_type(source, 0, "a word")?;
        self.ids.insert(word.into(), id);
        Ok(())
    }

    fn read_label<R: BufRead>(
        &mut self,
        source: &mut Source<R>,
        offset: usize,
    ) -> Result<(), FormatError> {
        let label = source.zero_ended("dictionary.label")?;
        self.label_counts.push(source.i64("dictionary.count")?);
        expect_type(source, 1, "a label")?;
        // The id only has to tell that this is a label.
        self.ids.insert(label.clone().into(), self.words);
        let label = String::from_utf8(label).map_err(|_| {
            FormatError::new("dictionary.label", format!("number {offset} is not UTF-8"))
        })?;
        self.labels.push(label);
        Ok(())
    }

    pub(super) fn labels(&self) -> &[String] {
        &self.labels
    }

    pub(super) fn label_counts(&self) -> &[i64] {
        &self.label_counts
    }

    pub(super) fn is_pruned(&self) -> bool {
        matches!(self.buckets, Buckets::Kept(_))
    }

    /// The rows that the input matrix must have for every id to be valid.
    pub(super) fn rows_needed(&self) -> Result<usize, FormatError> {
        let declared = if self.ngrams.uses_buckets() { self.ngrams.bucket } else { 0 };
        Ok(self.words.unsigned_abs() as usize + self.buckets.rows_needed(declared)?)
    }

    /// The rows for the first line of a text: each word with its character n-grams, then the word
    /// n-grams. This is fastText's order, which decides how the sum of the rows is rounded. Labels
    /// in the text are ignored.
    pub(super) fn rows(&self, text: &str) -> Vec<i32> {
        let mut rows = Vec::with_capacity(text.len() * 2);
        let mut hashes = Vec::new();
        let mut bracketed = Vec::new();
        let mut rest = text;
        loop {
            let token = next_token(&mut rest).unwrap_or(END_OF_LINE);
            let id = self.ids.get(token.as_bytes()).copied();
            if !self.is_label(token, id) {
                rows.extend(id);
                if token != END_OF_LINE && self.ngrams.max_n > 0 {
                    bracket(token, &mut bracketed);
                    self.push_characters(&bracketed, &mut rows);
                }
                if self.ngrams.word_ngrams > 1 {
                    hashes.push(hash(token.as_bytes()));
                }
            }
            if token == END_OF_LINE {
                break;
            }
        }
        self.push_word_ngrams(&hashes, &mut rows);
        rows
    }

    fn is_label(&self, token: &str, id: Option<i32>) -> bool {
        match id {
            Some(id) => id >= self.words,
            None => token.starts_with(LABEL_PREFIX),
        }
    }

    fn push_bucket(&self, bucket: u32, rows: &mut Vec<i32>) {
        rows.extend(self.buckets.row(bucket).map(|row| self.words + row));
    }

    /// The character n-grams of `<word>`, except a bracket alone. An n-gram starts at a character,
    /// not inside one, and its hash is extended byte by byte, so all lengths from one start cost
    /// one pass.
    fn push_characters(&self, word: &[u8], rows: &mut Vec<i32>) {
        let buckets = self.ngrams.bucket as u32;
        for start in 0..word.len() {
            if is_continuation(word[start]) {
                continue;
            }
            let mut hash = HASH_START;
            let mut end = start;
            for length in 1..=self.ngrams.max_n {
                if end == word.len() {
                    break;
                }
                hash = hash_byte(hash, word[end]);
                end += 1;
                while end < word.len() && is_continuation(word[end]) {
                    hash = hash_byte(hash, word[end]);
                    end += 1;
                }
                let bracket_alone = length == 1 && (start == 0 || end == word.len());
                if length >= self.ngrams.min_n && !bracket_alone {
                    self.push_bucket(hash % buckets, rows);
                }
            }
        }
    }

    fn push_word_ngrams(&self, hashes: &[u32], rows: &mut Vec<i32>) {
        // fastText keeps the hashes as signed 32-bit numbers and widens them with their sign.
        let widened = |hash: u32| i64::from(hash.cast_signed()).cast_unsigned();
        for (start, &first) in hashes.iter().enumerate() {
            let mut combined = widened(first);
            for &next in hashes[start + 1..].iter().take(self.ngrams.word_ngrams.saturating_sub(1))
            {
                combined = combined.wrapping_mul(WORD_NGRAM_FACTOR).wrapping_add(widened(next));
                self.push_bucket((combined % self.ngrams.bucket as u64) as u32, rows);
            }
        }
    }
}

fn check_sizes(size: usize, words: i32, labels: usize) -> Result<(), FormatError> {
    if labels == 0 {
        return Err(FormatError::new("dictionary.nlabels", "must be 1 or more, found 0"));
    }
    if usize::try_from(words).ok().and_then(|words| words.checked_add(labels)) != Some(size) {
        let problem =
            format!("must be the words and the labels ({words} + {labels}), found {size}");
        return Err(FormatError::new("dictionary.size", problem));
    }
    Ok(())
}

fn expect_type<R: BufRead>(
    source: &mut Source<R>,
    expected: u8,
    meaning: &str,
) -> Result<(), FormatError> {
    let found = source.byte("dictionary.type")?;
    if found == expected {
        return Ok(());
    }
    let problem =
        format!("must be {expected} ({meaning}: words come before labels), found {found}");
    Err(FormatError::new("dictionary.type", problem))
}

fn bracket(token: &str, out: &mut Vec<u8>) {
    out.clear();
    out.push(b'<');
    out.extend_from_slice(token.as_bytes());
    out.push(b'>');
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

const HASH_START: u32 = 2_166_136_261;

/// One step of FNV-1a as fastText computes it: the byte is a signed char, so a byte from 0x80 up
/// also flips the upper 24 bits.
fn hash_byte(hash: u32, byte: u8) -> u32 {
    (hash ^ i32::from(byte.cast_signed()).cast_unsigned()).wrapping_mul(16_777_619)
}

fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(HASH_START, |hash, &byte| hash_byte(hash, byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_fnv_on_ascii_and_signed_beyond() {
        assert_eq!(hash(b""), 0x811c_9dc5);
        assert_eq!(hash(b"a"), 0xe40c_292c);
        assert_eq!(hash(b"foobar"), 0xbf9c_f968);
        // Plain FNV-1a of 0xc3 would xor 0x000000c3.
        assert_eq!(hash(&[0xc3]), (HASH_START ^ 0xffff_ffc3).wrapping_mul(16_777_619));
    }
}
