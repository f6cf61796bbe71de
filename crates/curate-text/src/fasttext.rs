//! Supervised fastText models (`.bin`, and quantised `.ftz`), read and asked.
//!
//! The reader is written to the published format of fastText 0.2 to 0.9 (file versions 11 and 12):
//! dictionary, pruned n-grams, product quantisation of either matrix with or without quantised
//! norms, and all four losses (softmax, hierarchical softmax, negative sampling, one-vs-all).
//!
//! A prediction is the mean of the input rows of a line's words, their character n-grams and its
//! word n-grams (Joulin et al. 2016, arXiv 1607.01759; quantisation: arXiv 1612.03651), put through
//! the output layer. Reading takes as much memory as the file; one prediction takes
//! O(n-grams x dim) plus O(labels x dim), or about O(log(labels) x dim) with a hierarchical
//! softmax.

mod args;
mod codebook;
mod dictionary;
mod heap;
mod loss;
mod matrix;
mod model;
mod prune;
mod source;
mod tokens;
mod tree;

pub use model::{Model, Prediction};
pub use source::FormatError;
pub use tokens::{count_tokens, tokenize};

use std::path::PathBuf;

/// Why a model could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FastTextError {
    /// The file cannot be opened or is not a regular file.
    #[error("cannot read the fastText model {}: {source}; check the path", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a supervised fastText model, or is damaged.
    #[error(
        "{} is not a usable fastText model: {source}; get the file again, and check that it is a \
         supervised model (.bin or .ftz)",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// The field and what is wrong with it.
        source: FormatError,
    },
}
