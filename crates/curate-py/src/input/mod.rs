//! What Python gives: arrays, tables, ids, words; each refused by the argument's name.

mod array;
pub(crate) mod arrow;
pub(crate) mod cut;
mod frozen;
pub(crate) mod ids;
pub(crate) mod numbers;
pub(crate) mod vectors;
pub(crate) mod words;
