//! Two frozen encoders with real weights, and the forward passes to run them.

pub(crate) mod lite0;
pub(crate) mod minilm;
pub(crate) mod pickle;
pub(crate) mod wordpiece;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// A matrix multiplication's weights, stored as `inputs × outputs` rows, and its bias.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Linear {
    pub(crate) fn new(weight: Vec<f32>, bias: Vec<f32>) -> Self {
        debug_assert_eq!(weight.len() % bias.len(), 0);
        Self { weight, bias }
    }

    /// From weights stored as `outputs × inputs`, as PyTorch does.
    pub(crate) fn from_torch(weight: &[f32], bias: Vec<f32>) -> Self {
        let inputs = weight.len() / bias.len();
        let transposed =
            (0..weight.len()).map(|i| weight[(i % bias.len()) * inputs + i / bias.len()]).collect();
        Self::new(transposed, bias)
    }

    pub(crate) fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// `input` holds rows; so does the result.
    pub(crate) fn apply(&self, input: &[f32]) -> Vec<f32> {
        let (outputs, inputs) = (self.bias.len(), self.weight.len() / self.bias.len());
        let rows = input.len() / inputs;
        let mut output: Vec<f32> = self.bias.iter().copied().cycle().take(rows * outputs).collect();
        // One thread a call: callers run batches in parallel, and the sums keep their order.
        matmul(
            MatMut::from_row_major_slice_mut(&mut output, rows, outputs),
            Accum::Add,
            MatRef::from_row_major_slice(input, rows, inputs),
            MatRef::from_row_major_slice(&self.weight, inputs, outputs),
            1.0,
            Par::Seq,
        );
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_weight_layouts_give_the_same_map() {
        let ours = Linear::new(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![10.0, 20.0]);
        let torch = Linear::from_torch(&[1.0, 3.0, 5.0, 2.0, 4.0, 6.0], vec![10.0, 20.0]);
        let input = [1.0, 1.0, 1.0, 0.0, 0.0, 1.0];
        assert_eq!(ours.apply(&input), [19.0, 32.0, 15.0, 26.0]);
        assert_eq!(ours.apply(&input), torch.apply(&input));
    }
}
