//! Training a network on image-text pairs, from scratch or from given weights, on a burn device.
//!
//! The settings, the pairs and what a run reports are here without the feature `train`; the loop,
//! the losses and the network on a device come with it.

mod batch;
#[cfg(feature = "train")]
mod checkpoint;
#[cfg(feature = "train")]
pub mod loss;
#[cfg(feature = "train")]
mod model;
#[cfg(feature = "train")]
pub mod ops;
#[cfg(feature = "train")]
mod optim;
mod params;
#[cfg(feature = "train")]
mod trainer;

pub use batch::{Batch, Captions, Pair, Pairs, PoolPairs};
#[cfg(feature = "train")]
pub use model::DeviceNetwork;
#[cfg(feature = "train")]
pub use optim::{AdamW, AdamWStep, Moved, Schedule};
pub use params::{Augment, Loss, StepReport, TrainParams};
#[cfg(feature = "train")]
pub use trainer::{TrainError, Trainer};
