//! What can be wrong with WordNet's files.

use std::path::PathBuf;

/// Why the WordNet files could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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
