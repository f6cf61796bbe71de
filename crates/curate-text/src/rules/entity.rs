//! The entities that `text_based` looks for.

use super::split;
use crate::wordnet::{Synset, WordNet};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Why a list of entities could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntityIdsError {
    /// The file cannot be read.
    #[error("cannot read the list of entities {}: {source}; check the path", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is not an id.
    #[error(
        "{}, line {line}: expected a WordNet id such as n01440764, found {found:?}; correct or \
         remove the line",
        path.display()
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The start of the line.
        found: String,
    },
}

/// WordNet 3.0 ids to look for in captions, such as those of ImageNet-21k.
///
/// Only the number counts, as in DataComp's code: a verb at offset 1440764 matches `n01440764`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntityIds {
    offsets: HashSet<u32>,
}

impl FromIterator<u32> for EntityIds {
    fn from_iter<I: IntoIterator<Item = u32>>(offsets: I) -> Self {
        Self { offsets: offsets.into_iter().collect() }
    }
}

impl EntityIds {
    /// Reads a file with one id per line (`n01440764`), such as DataComp's
    /// `imagenet21k_wordnet_ids`. Empty lines are skipped.
    ///
    /// # Errors
    /// [`EntityIdsError`] naming the file, and the line that is not an id.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, EntityIdsError> {
        let path = path.as_ref();
        let text = crate::open(path)
            .and_then(std::io::read_to_string)
            .map_err(|source| EntityIdsError::Io { path: path.to_owned(), source })?;
        let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
        lines
            .map(|(at, line)| {
                let offset = line.strip_prefix(|letter: char| letter.is_ascii_alphabetic());
                offset.and_then(|digits| digits.parse().ok()).ok_or_else(|| EntityIdsError::Line {
                    path: path.to_owned(),
                    line: at + 1,
                    found: line.chars().take(40).collect(),
                })
            })
            .collect()
    }

    /// The number of ids.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Whether the offset is in the list.
    pub fn contains(&self, offset: u32) -> bool {
        self.offsets.contains(&offset)
    }

    /// The first word of a text whose first synset is in the list, with that synset.
    ///
    /// Punctuation is not stripped from words: "cat," names nothing.
    pub fn first_in<'t>(&self, text: &'t str, wordnet: &WordNet) -> Option<(&'t str, Synset)> {
        split(text).find_map(|word| {
            let synset = wordnet.first_synset(word)?;
            self.contains(synset.offset).then_some((word, synset))
        })
    }
}
