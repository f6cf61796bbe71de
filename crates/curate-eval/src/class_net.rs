//! A trained network of labels.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use curate_core::EmbeddingSource;

use crate::{EvalError, net::Net, towers::gather};

/// A trained classifier.
#[derive(Clone, Debug)]
pub struct ClassNet {
    pub(crate) net: Net,
    pub(crate) inputs: usize,
}

/// Rows scored together: the answer does not depend on it beyond rounding, the memory does.
const BLOCK: usize = 512;

impl ClassNet {
    /// The logits of each row, `n x classes`, one row after the other.
    ///
    /// # Errors
    /// When the features have another length than those of the training, or cannot be read.
    pub fn scores(&self, rows: &dyn EmbeddingSource) -> Result<Vec<f32>, EvalError> {
        self.each_block(rows, |rows| self.net.forward(rows))
    }

    /// What the last layer sees of each row, `n x d`, one row after the other: the answers of the hidden layer, or the
    /// mean of the last convolution over the picture; of a linear model the row itself. For probes of what a training
    /// taught.
    ///
    /// ```
    /// use curate_core::NoProgress;
    /// use curate_eval::{ClassifierParams, Labeled};
    /// use ndarray::Array2;
    ///
    /// let (features, class) = (Array2::<f32>::eye(4), [0, 1, 0, 1]);
    /// let data = Labeled { features: &features, class: &class, classes: 2 };
    /// let net = ClassifierParams::mlp(3).steps(1).check()?.run(&data, &[0, 1, 2, 3], &NoProgress)?;
    /// assert_eq!(net.features(&features)?.len(), 4 * 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::scores`].
    pub fn features(&self, rows: &dyn EmbeddingSource) -> Result<Vec<f32>, EvalError> {
        self.each_block(rows, |rows| self.net.features(rows))
    }

    fn each_block(
        &self,
        rows: &dyn EmbeddingSource,
        answer: impl Fn(Tensor<2>) -> Tensor<2>,
    ) -> Result<Vec<f32>, EvalError> {
        let (found, expected) = (rows.dim(), self.inputs);
        if found != expected {
            return Err(EvalError::Width { argument: "rows", found, expected });
        }
        let device = self.net.devices().into_iter().next().unwrap_or_else(Device::flex);
        let mut out = Vec::new();
        for first in (0..rows.rows()).step_by(BLOCK) {
            let block: Vec<usize> = (first..(first + BLOCK).min(rows.rows())).collect();
            let answers = answer(gather(rows, &block, &device)?).into_data();
            out.extend(answers.try_to_vec::<f32>().expect("answers are f32"));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2};

    use super::*;
    use crate::net::Shape;

    #[test]
    fn features_are_what_the_last_layer_sees() {
        let rows = Array2::from_shape_fn((3, 12), |(i, j)| (i * 12 + j) as f32 / 36.0);
        for (hidden, pictures, width) in
            [(None, false, 12), (Some(5), false, 5), (Some(2), true, 8)]
        {
            let shape = Shape { inputs: 12, classes: 4, hidden, pictures };
            let net = ClassNet { net: Net::new(shape, 1, &Device::flex()), inputs: 12 };
            let features = net.features(&rows).unwrap();
            let features = Array2::from_shape_vec((3, width), features).unwrap();
            let scores = Array2::from_shape_vec((3, 4), net.scores(&rows).unwrap()).unwrap();
            if hidden.is_none() {
                assert_eq!(features, rows);
            }
            // The last layer is affine: what it does to the mean row is the mean of what it does.
            let mean = features.mean_axis(ndarray::Axis(0)).unwrap();
            let answer = net.net.last(mean.as_slice().unwrap());
            let off = Array1::from_vec(answer) - scores.mean_axis(ndarray::Axis(0)).unwrap();
            assert!(off.iter().all(|x| x.abs() < 1e-5), "{off}");
        }
        let net = ClassNet {
            net: Net::new(
                Shape { inputs: 12, classes: 4, hidden: None, pictures: false },
                1,
                &Device::flex(),
            ),
            inputs: 12,
        };
        let narrow = Array2::<f32>::zeros((1, 11));
        assert!(net.features(&narrow).unwrap_err().to_string().contains("11"));
    }
}
