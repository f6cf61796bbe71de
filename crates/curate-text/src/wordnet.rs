//! The first WordNet synset of a word, as NLTK finds it.
//!
//! `wordnet.synsets(word)[0]` in NLTK: the word in lower case; nouns before verbs before adjectives
//! before adverbs; within each, the word itself if WordNet has it, else its base forms (irregular
//! ones from the `.exc` files, else endings taken off); of the form's senses the most frequent. So
//! "was" is the noun Washington (WA), and "less" depends on the NLTK: see [`Morphy`].
//!
//! The reader takes everything from the fields of the index lines and never seeks by offset, so a
//! file with some of its lines gives the true offsets for them.

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
    /// `s`: an adjective near in meaning to a head adjective
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

/// A synset: its place in WordNet's data file of its part of speech.
///
/// Offsets are unique within a part of speech only; the id of noun 2121620 is `n02121620` in
/// ImageNet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Synset {
    /// The byte offset.
    pub offset: u32,
    /// The part of speech.
    pub pos: Pos,
}

/// Why the WordNet files could not be read.
#[derive(Debug, thiserror::Error)]
pub enum WordNetError {
    /// A file is missing or unreadable.
    #[error(
        "cannot read {}: {source}; give the folder with index.noun, data.adj, noun.exc and so on \
         (WordNet 3.0's dict, or /usr/share/wordnet of Debian's wordnet-base)",
        path.display()
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is not what the format says.
    #[error("{}, line {line}: {problem}; get the file again", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was expected and what was found.
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

    /// The same with the base forms of another version of NLTK.
    #[must_use]
    pub fn with_morphy(self, morphy: Morphy) -> Self {
        Self { morphy, ..self }
    }

    /// The version that `data.adj` names, such as `3.0`. ImageNet's ids are offsets of 3.0, and mean
    /// other synsets in any other version.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The number of lemmas.
    pub fn lemmas(&self) -> usize {
        self.entries.len()
    }

    /// `wordnet.synsets(word)[0]`, or nothing where NLTK's list is empty.
    ///
    /// The word is taken as it is but for its case: no punctuation is stripped, and spaces and
    /// hyphens do not become underscores (WordNet writes "ice_cream").
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
        // NLTK puts the word itself before its base forms.
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
