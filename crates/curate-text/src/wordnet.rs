//! The first WordNet synset of a word, as NLTK finds it.
//!
//! The answer is that of `wordnet.synsets(word)[0]` in NLTK:
//!
//! 1. The word is lowercased.
//! 2. Nouns are tried before verbs, verbs before adjectives, adjectives before adverbs.
//! 3. Within a part of speech the word itself is looked up first, then its base forms: those that
//!    the `.exc` file lists for irregular words, otherwise the word without its ending.
//! 4. The most frequent sense of the first form found is the answer.
//!
//! So "was" is the noun Washington (WA), and "less" depends on the version of NLTK: see [`Morphy`].
//!
//! The reader uses only the fields of the index lines and never seeks to an offset, so an excerpt
//! of a file still gives the true offsets.

mod morphy;
mod read;

pub use morphy::Morphy;

use read::Entries;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A part of speech of WordNet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pos {
    /// `n`
    Noun,
    /// `v`
    Verb,
    /// `a`
    Adjective,
    /// `s`: an adjective grouped under a head adjective of similar meaning
    AdjectiveSatellite,
    /// `r`
    Adverb,
}

impl Pos {
    /// WordNet's letter: `n`, `v`, `a`, `s` or `r`.
    pub fn letter(self) -> char {
        match self {
            Self::Noun => 'n',
            Self::Verb => 'v',
            Self::Adjective => 'a',
            Self::AdjectiveSatellite => 's',
            Self::Adverb => 'r',
        }
    }
}

/// A synset, named by its position in WordNet's data file for its part of speech.
///
/// Offsets are unique only within a part of speech. ImageNet's id of the noun at 2121620 is
/// `n02121620`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Synset {
    /// The byte offset in the data file.
    pub offset: u32,
    /// The part of speech.
    pub pos: Pos,
}

/// Why the WordNet files could not be read.
#[derive(Debug, thiserror::Error)]
pub enum WordNetError {
    /// A file is missing or unreadable.
    #[error(
        "cannot read {}: {source}; give the folder that holds index.noun, data.adj, noun.exc and \
         so on (dict in WordNet 3.0, or /usr/share/wordnet from Debian's wordnet-base)",
        path.display()
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line does not follow the format.
    #[error("{}, line {line}: {problem}; download the file again", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was expected, and what was found.
        problem: String,
    },
}

/// WordNet's index and exception lists in memory (about 20 MB).
pub struct WordNet {
    entries: Entries,
    exceptions: [HashMap<Box<str>, Vec<Box<str>>>; 4],
    version: Option<String>,
    morphy: Morphy,
}

impl WordNet {
    /// Reads `index.*`, `data.adj` and `*.exc` from a folder, or from its subfolder `dict`.
    ///
    /// # Errors
    /// [`WordNetError`] naming the file, and the line if one is malformed.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self, WordNetError> {
        let folder = folder.as_ref();
        let dict = folder.join("dict");
        let folder = if dict.join("index.noun").is_file() { &dict } else { folder };
        let (satellites, version) = read::satellites(&folder.join("data.adj"))?;
        let entries = read::entries(folder, &satellites)?;
        let exceptions = read::exceptions(folder)?;
        Ok(Self { entries, exceptions, version, morphy: Morphy::default() })
    }

    /// Looks up base forms as another version of NLTK does.
    #[must_use]
    pub fn with_morphy(self, morphy: Morphy) -> Self {
        Self { morphy, ..self }
    }

    /// The version that `data.adj` names, such as `3.0`. ImageNet's ids are offsets in 3.0; in any
    /// other version they mean other synsets.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The number of lemmas.
    pub fn lemmas(&self) -> usize {
        self.entries.len()
    }

    /// `wordnet.synsets(word)[0]`, or `None` where NLTK's list is empty.
    ///
    /// Only the word's case is changed: punctuation is not stripped, and spaces and hyphens do not
    /// become underscores (WordNet writes "ice_cream").
    ///
    /// ```
    /// # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/wordnet");
    /// use curate_text::wordnet::{Pos, Synset, WordNet};
    ///
    /// let wordnet = WordNet::read(folder)?;
    /// assert_eq!(wordnet.first_synset("Tench"), Some(Synset { offset: 1_440_764, pos: Pos::Noun }));
    /// assert_eq!(wordnet.first_synset("mice"), wordnet.first_synset("mouse"));
    /// assert_eq!(wordnet.first_synset("tench,"), None);
    /// # Ok::<(), curate_text::wordnet::WordNetError>(())
    /// ```
    pub fn first_synset(&self, word: &str) -> Option<Synset> {
        let word = word.to_lowercase();
        (0..4).find_map(|class| self.first_of_class(&word, class))
    }

    fn first_of_class(&self, word: &str, class: usize) -> Option<Synset> {
        let lookup = |form: &str| self.entries.get(form).and_then(|senses| senses[class]);
        // The word itself comes before its base forms. A word in the exception list gets only the
        // forms listed there: NLTK does not remove endings from it as well.
        lookup(word).or_else(|| match self.exceptions[class].get(word) {
            Some(forms) => forms.iter().find_map(|form| lookup(form)),
            None => self.morphy.first_form(word, class, lookup),
        })
    }
}

impl std::fmt::Debug for WordNet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WordNet")
            .field("version", &self.version)
            .field("lemmas", &self.lemmas())
            .field("morphy", &self.morphy)
            .finish_non_exhaustive()
    }
}
