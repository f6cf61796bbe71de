//! Data filtering networks.

pub mod config;
pub mod image;
mod random;
pub mod tokenizer;
pub mod weights;

pub use config::{ModelConfig, OpenClipConfig, PreprocessConfig};
pub use image::Transform;
pub use tokenizer::Tokenizer;
pub use weights::Weights;
