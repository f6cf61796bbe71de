//! What heads leave open, pair by pair: whole vectors as integers, then in f32, and at last as a chain.

use super::state::{Look, Vectors};
use crate::{
    heads::Form,
    integer::Query,
    kept, lanes,
    quant::{self, PANEL, Parts, ROWS, Row},
    vnni::{self, PAIR},
};

/// Room for a row as integers, and for its products.
#[derive(Default)]
pub(super) struct Integer {
    pub(super) row: RowRoom,
    pub(super) products: Vec<i32>,
}

#[derive(Default)]
pub(super) struct RowRoom {
    y: Vec<f32>,
    q: Vec<i8>,
}

impl RowRoom {
    /// A row as integers, from its place among those that are kept, if it has one there.
    pub(super) fn take<'a>(
        &'a mut self,
        of: &Vectors<'_>,
        row: &[f32],
        kept: Option<kept::Place<'a, Parts>>,
    ) -> (Parts, &'a [i8]) {
        let dim = of.dim();
        self.y.resize(dim, 0.0);
        self.q.resize(dim.next_multiple_of(PAIR), 0);
        let split = |y: &mut [f32], q: &mut [i8]| {
            quant::split(of.with, row, &of.panels.rotation.center, y, &mut q[..dim])
        };
        match kept {
            Some((q, &mut Some(parts))) => (parts, q),
            Some((q, known)) => (*known.insert(split(&mut self.y, q)), q),
            None => (split(&mut self.y, &mut self.q), &self.q),
        }
    }
}

/// The positions that a row of a tile found, by panel, but `known`.
pub(super) fn positions(
    found: &[[u32; ROWS]],
    row: usize,
    known: Option<u32>,
    open: &mut Vec<u32>,
) {
    open.clear();
    for (first, hits) in (0..).step_by(PANEL).zip(found) {
        let mut hits = hits[row];
        while hits != 0 {
            open.push(first + hits.trailing_zeros());
            hits &= hits - 1;
        }
    }
    if let Some(known) = known {
        open.retain(|&position| position != known);
    }
}

/// Looks at whole vectors as integers and leaves of a query's positions what these leave open; returns how
/// many they ruled out.
pub(super) fn sharpen(
    of: &Vectors<'_>,
    (query, (parts, q)): (&Query<'_>, (Parts, &[i8])),
    look: &mut Look,
    products: &mut Vec<i32>,
    open: &mut Vec<u32>,
) -> u64 {
    let (whole, dim) = (&of.panels.whole, of.dim());
    let kind = match of.panels.form {
        Form::Integer(kind, _) => Some(kind),
        Form::Float(_) => None,
    };
    let row = Row::new(&parts, &whole.most, dim);
    let threshold = look.least(query);
    let vectors = open.iter().map(|&position| whole.vector(of.index(position) as usize, dim));
    vnni::pairs(of.with, kind, q, row.start, vectors, products);
    let bound = |(&product, &position): (&i32, &u32)| {
        let index = of.index(position) as usize;
        let value = row.scale * whole.scale[index] * product as f32 + whole.offset[index];
        value + row.shift + row.error
    };
    rule_out(open, products, bound, threshold, &mut look.others)
}

/// Takes those positions out whose bound is too small, and takes their bounds in; returns how many.
fn rule_out<T>(
    open: &mut Vec<u32>,
    found: &[T],
    bound: impl Fn((&T, &u32)) -> f32,
    threshold: f32,
    others: &mut f32,
) -> u64 {
    let (before, mut found) = (open.len(), found.iter());
    open.retain(|position| {
        let bound = found.next().map_or(f32::INFINITY, |found| bound((found, position)));
        let is_out = bound < threshold;
        if is_out {
            *others = others.max(bound);
        }
        !is_out
    });
    (before - open.len()) as u64
}

/// Looks at whole vectors in f32, summed up in the order that is fastest, and leaves of a query's positions
/// those that could be the best; returns how many it ruled out. A chain costs as much as ten such
/// looks, and its value differs from theirs by two errors at most.
pub(super) fn leave_best(
    of: &Vectors<'_>,
    query: &Query<'_>,
    look: &mut Look,
    values: &mut Vec<f32>,
    open: &mut Vec<u32>,
) -> u64 {
    let value = |&position: &u32| {
        lanes::product(of.with, query.row, of.vector(position)) + of.bias(position)
    };
    values.clear();
    values.extend(open.iter().map(value));
    let eta = look.row.eta;
    let best = values.iter().fold(f32::NEG_INFINITY, |best, &value| best.max(value));
    // What is worth less in truth is worth less as a chain than the best one's.
    let least = look.least(query).max(best - 3.0 * eta);
    rule_out(open, values, |(value, _)| value + eta, least, &mut look.others)
}
