//! Training a network on image-text pairs, from scratch or from given weights, on a burn device.

mod batch;
mod checkpoint;
pub mod loss;
mod model;
mod optim;
mod params;
mod trainer;

pub use batch::{Batch, Pair, Pairs, PoolPairs};
pub use loss::Loss;
pub use model::DeviceNetwork;
pub use optim::{AdamW, Schedule};
pub use params::{Augment, TrainParams};
pub use trainer::{StepReport, TrainError, Trainer};
