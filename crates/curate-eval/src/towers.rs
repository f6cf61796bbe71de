//! Two trained projections, and what they say of pairs.

use burn::{
    module::Module,
    tensor::{Device, Tensor, TensorData},
};
use curate_core::EmbeddingSource;
use rayon::prelude::*;

use crate::{
    EvalError,
    model::{Model, Projection},
};

/// Features of images, `n x d`, and of texts, `m x e`: arrays in memory, or tables on disk of which a step
/// reads its own rows alone. A pair is a row of each.
#[derive(Clone, Copy)]
pub struct Pairs<'a> {
    /// Images.
    pub images: &'a dyn EmbeddingSource,
    /// Texts.
    pub texts: &'a dyn EmbeddingSource,
}

impl Pairs<'_> {
    /// An error unless every pair is a row of each.
    pub(crate) fn check(&self, pairs: &[(usize, usize)]) -> Result<(), EvalError> {
        let (images, texts) = (self.images.rows(), self.texts.rows());
        for (index, &(image, text)) in pairs.iter().enumerate() {
            if image >= images || text >= texts {
                return Err(EvalError::OutOfRange { index, image, text, images, texts });
            }
        }
        Ok(())
    }
}

/// Two trained projections into one space.
#[derive(Debug, Clone)]
pub struct Towers(pub(crate) Model);

impl Towers {
    /// Embeddings of images, `n x dim`, of length one.
    ///
    /// # Errors
    /// When their features have another length than those of the training, or cannot be read.
    pub fn images(&self, rows: &dyn EmbeddingSource) -> Result<Vec<f32>, EvalError> {
        embed("images", &self.0.image, rows)
    }

    /// Embeddings of texts, `n x dim`, of length one.
    ///
    /// # Errors
    /// When their features have another length than those of the training, or cannot be read.
    pub fn texts(&self, rows: &dyn EmbeddingSource) -> Result<Vec<f32>, EvalError> {
        embed("texts", &self.0.text, rows)
    }

    /// The cosine of each pair.
    ///
    /// # Errors
    /// When features have another length than those of the training, or a pair is without its rows.
    pub fn cosines(
        &self,
        data: &Pairs<'_>,
        pairs: &[(usize, usize)],
    ) -> Result<Vec<f32>, EvalError> {
        data.check(pairs)?;
        let (images, texts) = (self.images(data.images)?, self.texts(data.texts)?);
        let dim = self.dim();
        let cosine = |&(image, text): &(usize, usize)| {
            let (a, b) = (&images[image * dim..][..dim], &texts[text * dim..][..dim]);
            a.iter().zip(b).map(|(a, b)| a * b).sum()
        };
        Ok(pairs.par_iter().map(cosine).collect())
    }

    /// Length of an embedding.
    pub fn dim(&self) -> usize {
        self.0.image.dim()
    }

    /// An error unless features of these lengths go in.
    pub(crate) fn take(&self, data: &Pairs<'_>) -> Result<(), EvalError> {
        check_width("images", &self.0.image, data.images)?;
        check_width("texts", &self.0.text, data.texts)
    }
}

/// Rows embedded together: the answer does not depend on it beyond rounding, the memory does.
const BLOCK: usize = 4096;

fn embed(
    argument: &'static str,
    projection: &Projection,
    rows: &dyn EmbeddingSource,
) -> Result<Vec<f32>, EvalError> {
    check_width(argument, projection, rows)?;
    let device = projection.devices().into_iter().next().unwrap_or_else(Device::flex);
    let mut out = Vec::with_capacity(rows.rows() * projection.dim());
    for first in (0..rows.rows()).step_by(BLOCK) {
        let block: Vec<usize> = (first..(first + BLOCK).min(rows.rows())).collect();
        let embedded = projection.forward(gather(rows, &block, &device)?).into_data();
        out.extend(embedded.try_to_vec::<f32>().expect("embeddings are f32"));
    }
    Ok(out)
}

fn check_width(
    argument: &'static str,
    projection: &Projection,
    rows: &dyn EmbeddingSource,
) -> Result<(), EvalError> {
    let (found, expected) = (rows.dim(), projection.width());
    if found == expected { Ok(()) } else { Err(EvalError::Width { argument, found, expected }) }
}

/// Rows as a tensor.
pub(crate) fn gather(
    from: &dyn EmbeddingSource,
    rows: &[usize],
    device: &Device,
) -> Result<Tensor<2>, EvalError> {
    let shape = [rows.len(), from.dim()];
    let mut values = vec![0.0; rows.len() * from.dim()];
    from.gather(rows, &mut values)?;
    Ok(Tensor::from_data(TensorData::new(values, shape), device))
}
