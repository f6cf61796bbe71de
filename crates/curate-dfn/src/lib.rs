//! Data filtering networks.

pub mod config;
mod cpu;
pub mod filter;
pub mod image;
pub mod network;
mod random;
pub mod tokenizer;
pub mod train;
pub mod weights;

pub use config::{ModelConfig, OpenClipConfig, PreprocessConfig};
pub use image::Transform;
pub use network::Network;
pub use tokenizer::Tokenizer;
pub use weights::Weights;
