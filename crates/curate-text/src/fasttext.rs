//! Reads supervised fastText models (`.bin` and quantized `.ftz`) and predicts with them.
//!
//! The reader follows the published format of fastText 0.2 to 0.9 (file versions 11 and 12):
//! dictionary, pruned n-grams, product quantization of either matrix with or without quantized
//! norms, and all four losses (softmax, hierarchical softmax, negative sampling, one-vs-all).
//!
//! Each word of a line, each of its character n-grams and each word n-gram has a row in the input
//! matrix. Their mean, put through the output layer, gives the prediction (Joulin et al. 2016,
//! arXiv 1607.01759; quantization: arXiv 1612.03651). A model takes as much memory as its file. One
//! prediction takes O(n-grams x dim) plus O(labels x dim), or about O(log(labels) x dim) with a
//! hierarchical softmax.
//!
//! ```
//! # let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/fasttext/softmax.ftz");
//! use curate_text::fasttext::Model;
//!
//! let model = Model::read(file)?;
//! let found = model.predict("the house and the dog", 1, 0.0);
//! assert_eq!(found[0].label, "__label__en");
//! # Ok::<(), curate_text::fasttext::FastTextError>(())
//! ```

mod args;
mod codebook;
mod dictionary;
mod heap;
mod log;
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
#[non_exhaustive]
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
        "{} is not a usable fastText model: {source}; download the file again, and check that it \
         is a supervised model (.bin or .ftz)",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// The field, and what is wrong with it.
        source: FormatError,
    },
}
