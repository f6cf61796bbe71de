//! Contrastive losses over a batch of pairs.

use crate::{NetworkError, train::Loss};
use burn::tensor::{Tensor, TensorData, activation};

impl Loss {
    /// The loss of `n` pairs: unit features `n x dim`, the scale of the logits (not its
    /// logarithm) and their bias.
    ///
    /// # Errors
    /// When there is no pair, or images and texts differ in shape.
    ///
    /// The bias has no effect on [`Loss::Clip`], whose softmax does not change with it.
    pub fn apply(
        self,
        images: Tensor<2>,
        texts: Tensor<2>,
        scale: Tensor<2>,
        bias: Tensor<2>,
    ) -> Result<Tensor<1>, NetworkError> {
        let (n, shapes) = (images.dims()[0], (images.dims(), texts.dims()));
        if shapes.0 != shapes.1 || n == 0 {
            return Err(NetworkError::NotPairs { images: shapes.0, texts: shapes.1 });
        }
        let logits = images.matmul(texts.transpose()) * scale + bias;
        let eye: Vec<f32> = (0..n * n).map(|i| f32::from(u8::from(i / n == i % n))).collect();
        let eye = Tensor::<2>::from_data(TensorData::new(eye, [n, n]), &logits.device());
        Ok(match self {
            Self::Clip => {
                let rows = activation::log_softmax(logits.clone(), 1);
                let columns = activation::log_softmax(logits, 0);
                ((rows + columns) * eye).sum().mul_scalar(-0.5 / n as f32)
            }
            Self::SigLip => {
                let signs = eye.mul_scalar(2.0).sub_scalar(1.0);
                activation::log_sigmoid(logits * signs).sum().mul_scalar(-1.0 / n as f32)
            }
        })
    }
}

/// Rows of length 1; a row shorter than 1e-12 is divided by that.
pub fn normalize(rows: Tensor<2>) -> Tensor<2> {
    let length = rows.clone().powi_scalar(2).sum_dim(1).sqrt().clamp_min(1e-12);
    rows / length
}
