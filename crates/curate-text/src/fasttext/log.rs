//! The logarithm of probabilities.

/// fastText's logarithm. It adds 0.00001 so as never to meet zero, and probabilities can exceed 1
/// by as much.
pub(super) fn log(value: f32) -> f32 {
    (f64::from(value) + 1e-5).ln() as f32
}
