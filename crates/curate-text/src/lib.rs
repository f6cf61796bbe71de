//! docs
pub mod fasttext;
pub mod language;
pub mod rules;
pub mod wordnet;
