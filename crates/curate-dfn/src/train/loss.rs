//! Contrastive losses over a batch of pairs.

use crate::{
    NetworkError,
    train::{Loss, ops},
};
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
        Ok(match self {
            Self::Clip => ops::contrastive(logits),
            Self::SigLip => {
                let sign = |i: usize| if i / n == i % n { 1.0 } else { -1.0 };
                let signs: Vec<f32> = (0..n * n).map(sign).collect();
                let signs = TensorData::new(signs, [n, n]);
                let signs = Tensor::<2>::from_data(signs, &logits.device());
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
