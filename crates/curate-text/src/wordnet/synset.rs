//! Senses and parts of speech.

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
