//! Vectors packed for a search: as the vectors and the machine allow.

use std::sync::Arc;

use crate::{
    axes::Rotation,
    dispatch,
    heads::HeadPanels,
    panels::Panels,
    quant::{self, QuantPanels},
    tile::PANEL,
    vnni::Integers,
};

/// With fewer centroids the look in integers costs more than it saves.
const INTEGER_CENTROIDS: usize = 64;
/// The same for shorter vectors.
pub(crate) const INTEGER_DIM: usize = 32;

/// The integers to look with, if any, and the heads.
pub(crate) type How<'a> = (Option<Integers>, Option<&'a Arc<Rotation>>);

/// Centroids as the kernels read them.
pub(crate) enum Packed {
    /// In f32.
    Float(FloatPanels),
    /// In 8-bit integers for a first look.
    Integer(Integers, QuantPanels),
    /// By their heads for a first look.
    Heads(Box<HeadPanels>),
}

/// By heads, if there are any, as integers, or in f32: as the vectors and the machine allow.
pub(crate) fn packed(
    how: How<'_>,
    vectors: &[f32],
    bias: &[f32],
    center: &[f32],
    order: &[u32],
) -> Packed {
    pack_heads(how, vectors, bias, order)
        .or_else(|| pack_integers(how.0, vectors, bias, center, order))
        .unwrap_or_else(|| Packed::Float(FloatPanels::pack(vectors, bias, center.len(), order)))
}

fn pack_heads(
    (kind, rotation): How<'_>,
    vectors: &[f32],
    bias: &[f32],
    order: &[u32],
) -> Option<Packed> {
    let panels = HeadPanels::pack(kind, rotation?, vectors, bias, order)?;
    Some(Packed::Heads(Box::new(panels)))
}

fn pack_integers(
    kind: Option<Integers>,
    vectors: &[f32],
    bias: &[f32],
    center: &[f32],
    order: &[u32],
) -> Option<Packed> {
    let kind = kind?;
    let (dim, count) = (center.len(), bias.len());
    if count < INTEGER_CENTROIDS || !(INTEGER_DIM..=quant::MAX_DIM).contains(&dim) {
        return None;
    }
    let vector = |position: usize| {
        let index = order.get(position).map_or(position, |&index| index as usize);
        (&vectors[index * dim..][..dim], bias[index])
    };
    let panels = QuantPanels::pack(dispatch::instructions(), count, vector, center)?;
    Some(Packed::Integer(kind, panels))
}

/// Vectors in panels and their biases, in f32.
pub(crate) struct FloatPanels {
    pub(crate) panels: Panels,
    /// Padded to whole panels with what no search ever chooses.
    biases: Vec<f32>,
}

impl FloatPanels {
    /// Packs vectors in this order; in their own when `order` is empty.
    pub(crate) fn pack(vectors: &[f32], bias: &[f32], dim: usize, order: &[u32]) -> Self {
        let mut biases = vec![f32::NEG_INFINITY; bias.len().div_ceil(PANEL) * PANEL];
        if order.is_empty() {
            biases[..bias.len()].copy_from_slice(bias);
            return Self { panels: Panels::pack(vectors, dim), biases };
        }
        let mut sorted = Vec::with_capacity(vectors.len());
        for (padded, &index) in biases.iter_mut().zip(order) {
            *padded = bias[index as usize];
            sorted.extend_from_slice(&vectors[index as usize * dim..][..dim]);
        }
        Self { panels: Panels::pack(&sorted, dim), biases }
    }

    /// The biases of the panel that begins with vector `first`.
    pub(crate) fn bias(&self, first: usize) -> &[f32; PANEL] {
        self.biases[first..].first_chunk().expect("padded to whole panels")
    }
}
