//! Data filtering networks.

pub mod config;
pub mod tokenizer;

pub use config::{ModelConfig, OpenClipConfig, PreprocessConfig};
pub use tokenizer::Tokenizer;
