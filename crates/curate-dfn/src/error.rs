//! What a network can be asked that it cannot do.

use curate_core::ParamsError;
#[cfg(feature = "train")]
use curate_core::params::Checker;

use crate::Arithmetic;

/// A network cannot be made of what was given, or cannot take it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The config describes no network that this crate computes.
    #[error("config: {0}")]
    Config(String),
    /// The weights are not those of the config.
    #[error("weights: {0}; give the config that they were trained with")]
    Weights(String),
    /// A parameter holds a NaN or an infinity, so every score would be NaN.
    #[error(
        "weights: `{name}` holds {value} at element {element}; the file is damaged or its training diverged"
    )]
    NotFinite {
        /// The parameter.
        name: String,
        /// The first such element, in C order.
        element: usize,
        /// What it is.
        value: f32,
    },
    /// A transform makes images of another size.
    #[error("transform: makes images of {found} pixels a side, the network takes {expected}")]
    ImageSize {
        /// Edge of the transform's images.
        found: usize,
        /// Edge of the network's.
        expected: usize,
    },
    /// A network whose layers were rounded before.
    #[error(
        "arithmetic: the network is in {} already and cannot go on in {}; open it again",
        found.name(),
        asked.name()
    )]
    Rounded {
        /// What its layers are in.
        found: Arithmetic,
        /// What was asked for.
        asked: Arithmetic,
    },
    /// Numbers or tokens that make no whole inputs.
    #[error("{argument}: {found} numbers, but every one has {each}; give a multiple of that")]
    NotWhole {
        /// `images`, `tokens` or `rows`.
        argument: &'static str,
        /// Numbers given.
        found: usize,
        /// Numbers of one input.
        each: usize,
    },
    /// A token that the network has no embedding of.
    #[error(
        "tokens: {token} is not in the network's vocabulary of {vocabulary}; use its own tokenizer"
    )]
    Token {
        /// The first such token.
        token: u32,
        /// Tokens that the network knows.
        vocabulary: usize,
    },
    /// Tensors that are not pairs.
    #[error("texts: a tensor of {texts:?} for images of {images:?}; give one text for each image")]
    NotPairs {
        /// Shape of the images' features.
        images: [usize; 2],
        /// Shape of the texts' features.
        texts: [usize; 2],
    },
    /// Arguments out of range.
    #[error(transparent)]
    Params(#[from] ParamsError),
}

impl NetworkError {
    /// At least one input, all of them whole.
    #[cfg(feature = "train")]
    pub(crate) fn unless_some(
        argument: &'static str,
        found: usize,
        each: usize,
    ) -> Result<(), Self> {
        let mut check = Checker::default();
        check.that(found > 0, argument, "empty", "at least one");
        check.finish()?;
        Self::unless_whole(argument, found, each)
    }

    /// Whole inputs of `each` numbers, or the error that says so.
    pub(crate) fn unless_whole(
        argument: &'static str,
        found: usize,
        each: usize,
    ) -> Result<(), Self> {
        match each {
            0 if found == 0 => Ok(()),
            each if each > 0 && found.is_multiple_of(each) => Ok(()),
            each => Err(Self::NotWhole { argument, found, each }),
        }
    }
}
