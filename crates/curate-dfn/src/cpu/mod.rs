//! Inference on the CPU: packed weights, a few images or texts at a time.
//!
//! Every number of a row is computed from that row and the weights alone, in an order that does
//! not depend on how many rows there are. So an embedding has the same bytes alone, in a batch of
//! 64, and on a machine with other vector instructions. (Batched matrix products of the usual
//! libraries choose their order of summation by the number of rows.)

mod tower;

pub(crate) use tower::{ImageTower, TextTower};
#[cfg(feature = "train")]
pub(crate) use tower::{patchify, pooled};
