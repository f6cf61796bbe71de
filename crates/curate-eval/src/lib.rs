//! Judge a selection by what a small model learns from it.
//!
//! The quality of a data filter is the quality of the model that its selection trains
//! (arXiv:2309.17425), so a selection is compared with others by training **the same model for the
//! same number of samples seen** on each (DataComp's rule, arXiv:2304.14108) and measuring it on
//! data that neither the filters nor the models saw.
//!
//! The model is two projections on frozen features, trained contrastively: small enough for dozens
//! of trainings on a laptop, and the same objective as CLIP's. It says which of two selections is
//! better for such a model; it says nothing about a network trained from pixels.
//!
//! ```
//! use curate_eval::{Pairs, TrainParams, train};
//! use ndarray::Array2;
//!
//! // Sixteen pairs that are easy to match: picture i and text i share an axis.
//! let images = Array2::<f32>::eye(16);
//! let texts = Array2::<f32>::eye(16);
//! let data = Pairs { images: images.view(), texts: texts.view() };
//! let matched: Vec<(usize, usize)> = (0..16).map(|i| (i, i)).collect();
//! let params = TrainParams { steps: 60, batch: 16, hidden: 32, dim: 16, ..TrainParams::default() };
//! let towers = train(&data, &matched, None, &params)?;
//! let cosines = towers.cosines(&data, &[(3, 3), (3, 4)]);
//! assert!(cosines[0] > cosines[1]);
//! # Ok::<(), curate_eval::TrainError>(())
//! ```
//!
//! # The same numbers again
//! Weights start as hashes of the seed, batches are hashes of seed, epoch and position, and no draw
//! comes from a shared stream. burn's CPU backend adds in an order of its own, so results are equal
//! on one kind of machine and close on another.

pub mod metrics;
mod towers;

pub use towers::{Pairs, Towers, TrainError, TrainParams, train};
