//! Where vectors are, and what is known of a query.

use crate::{axes::Head, dispatch::Instructions, heads::HeadPanels, integer::Query, quant::Row};

/// Where the vectors are.
#[derive(Clone, Copy)]
pub(crate) struct Vectors<'a> {
    pub(crate) with: Instructions,
    pub(crate) panels: &'a HeadPanels,
    /// The vectors as they are and their biases, by index.
    pub(crate) vectors: &'a [f32],
    pub(crate) biases: &'a [f32],
    /// The index of the vector at each position; empty when they are the same.
    pub(crate) order: &'a [u32],
}

impl<'a> Vectors<'a> {
    pub(crate) fn index(&self, position: u32) -> u32 {
        self.order.get(position as usize).copied().unwrap_or(position)
    }

    pub(super) fn dim(&self) -> usize {
        self.panels.rotation.center.len()
    }

    pub(super) fn vector(&self, position: u32) -> &'a [f32] {
        &self.vectors[self.index(position) as usize * self.dim()..][..self.dim()]
    }

    pub(super) fn bias(&self, position: u32) -> f32 {
        self.biases[self.index(position) as usize]
    }
}

/// One query's state.
#[derive(Default)]
pub(super) struct Look {
    pub(super) row: Row,
    pub(super) usable: bool,
    /// A vector whose value is known, by position.
    pub(super) known: Option<(u32, f32)>,
    /// At least the values of all others, once they are decided.
    pub(super) others: f32,
}

impl Look {
    pub(super) fn new(query: &Query<'_>, head: &Head, of: &Vectors<'_>) -> Self {
        let row = Row::new(&head.parts, &of.panels.most, of.dim());
        let usable = head.parts.usable() && row.margin().is_finite() && head.tail.is_finite();
        Self { row, usable, known: query.known, others: f32::INFINITY }
    }

    /// A bound below this belongs to a vector that cannot be the best in f32.
    pub(super) fn least(&self, query: &Query<'_>) -> f32 {
        let least = self.known.map_or(query.above, |(_, value)| value.max(query.above));
        least - 2.0 * self.row.eta
    }
}
