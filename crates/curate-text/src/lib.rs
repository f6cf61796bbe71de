//! docs
pub mod fasttext;
pub mod language;
pub mod wordnet;
