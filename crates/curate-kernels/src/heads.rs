//! Heads of vectors packed for the search, and those of a block of rows.

use std::sync::Arc;

use rayon::prelude::*;

use crate::{
    axes::{Head, Room, Rotation},
    dispatch::{self, Instructions},
    kept::Rows,
    lanes,
    look::Columns,
    panels::Panels,
    quant::{self, GROUP, Most, PANEL, Parts, UP},
    vnni::{Integers, PAIR},
};

/// Vectors by their heads, in panels.
pub(crate) struct HeadPanels {
    pub(crate) rotation: Arc<Rotation>,
    pub(crate) form: Form,
    /// What decides the pairs that heads leave open, before f32 does.
    pub(crate) whole: Whole,
    /// By position, padded to whole panels: scales, `<m, c> + bias` (`-inf` beyond the last), tails.
    pub(crate) scale: Vec<f32>,
    pub(crate) offset: Vec<f32>,
    pub(crate) tail: Vec<f32>,
    /// What bounds a row's error.
    pub(crate) most: Most,
    pub(crate) count: usize,
}

/// How heads are multiplied.
pub(crate) enum Form {
    /// As 8-bit integers.
    Integer(Integers, Vec<[[u8; GROUP]; PANEL]>),
    /// In f32.
    Float(Panels),
}

/// Whole vectors as integers, one after the other, for chosen pairs.
pub(crate) struct Whole {
    bytes: Vec<u8>,
    /// By index: scales and `<m, c> + bias`.
    pub(crate) scale: Vec<f32>,
    pub(crate) offset: Vec<f32>,
    pub(crate) most: Most,
}

impl HeadPanels {
    /// Packs vectors with a bias each, in this order (their own when `order` is empty). `None` when one
    /// of them has no bounds.
    pub(crate) fn pack(
        kind: Option<Integers>,
        rotation: &Arc<Rotation>,
        vectors: &[f32],
        bias: &[f32],
        order: &[u32],
    ) -> Option<Self> {
        let with = dispatch::instructions();
        let (along, mut heads) = rotation.float_heads(with, vectors);
        if heads.iter().any(|head| !head.parts.usable()) || bias.iter().any(|b| !b.is_finite()) {
            return None;
        }
        let at = |position: usize| order.get(position).map_or(position, |&i| i as usize);
        let form = match kind {
            Some(kind) => {
                Form::Integer(kind, integers(with, &along, &mut heads, rotation.count, at))
            }
            None => {
                let sorted: Vec<f32> = (0..bias.len())
                    .flat_map(|position| &along[at(position) * rotation.count..][..rotation.count])
                    .copied()
                    .collect();
                Form::Float(Panels::pack(&sorted, rotation.count))
            }
        };
        let padded = bias.len().next_multiple_of(PANEL);
        let mut packed = Self {
            rotation: Arc::clone(rotation),
            form,
            whole: Whole::pack(with, vectors, bias, &rotation.center)?,
            scale: vec![0.0; padded],
            offset: vec![f32::NEG_INFINITY; padded],
            tail: vec![0.0; padded],
            most: most_of(with, &rotation.center),
            count: bias.len(),
        };
        let square = squared(&rotation.center);
        for position in 0..bias.len() {
            let (i, dim) = (at(position), rotation.center.len());
            let Head { parts, tail } = heads[i];
            let norm = lanes::square(with, &vectors[i * dim..][..dim]).sqrt() * UP;
            packed.scale[position] = parts.scale;
            packed.offset[position] = packed.most.take(&parts, norm, square, bias[i]);
            packed.tail[position] = tail;
        }
        Some(packed)
    }

    /// What belongs to a panel.
    pub(crate) fn columns(&self, panel: usize) -> Columns<'_> {
        Columns {
            scales: of_panel(&self.scale, panel),
            tails: of_panel(&self.tail, panel),
            offsets: of_panel(&self.offset, panel),
        }
    }
}

fn of_panel(list: &[f32], panel: usize) -> &[f32; PANEL] {
    list[panel * PANEL..].first_chunk().expect("padded to whole panels")
}

fn squared(center: &[f32]) -> f64 {
    center.iter().map(|&m| f64::from(m) * f64::from(m)).sum()
}

fn most_of(with: Instructions, center: &[f32]) -> Most {
    Most { center: lanes::square(with, center).sqrt() * UP, ..Most::default() }
}

/// Heads as integers in panels; their scales and what they lose go into `heads`.
fn integers(
    with: Instructions,
    along: &[f32],
    heads: &mut [Head],
    count: usize,
    at: impl Fn(usize) -> usize,
) -> Vec<[[u8; GROUP]; PANEL]> {
    let groups = count.div_ceil(GROUP);
    let mut panels = vec![[[128; GROUP]; PANEL]; heads.len().div_ceil(PANEL) * groups];
    let mut q = vec![0; count];
    for position in 0..heads.len() {
        let i = at(position);
        heads[i].quantize(with, &along[i * count..][..count], &mut q);
        quant::each_group(&q, &mut panels[position / PANEL * groups..], |packed, q| {
            packed[position % PANEL] = q.map(|q| q.cast_unsigned() ^ 128);
        });
    }
    panels
}

impl Whole {
    fn pack(with: Instructions, vectors: &[f32], bias: &[f32], center: &[f32]) -> Option<Self> {
        let dim = center.len();
        let stride = dim.next_multiple_of(PAIR);
        let mut bytes = vec![128; bias.len() * stride];
        let some = |(bytes, vector): (&mut [u8], &[f32])| {
            let (mut y, mut q) = (vec![0.0; dim], vec![0; dim]);
            let parts = quant::split(with, vector, center, &mut y, &mut q);
            bytes.iter_mut().zip(&q).for_each(|(b, q)| *b = q.cast_unsigned() ^ 128);
            (parts, lanes::square(with, vector).sqrt() * UP)
        };
        let vectors = vectors.par_chunks_exact(dim);
        let parts: Vec<(Parts, f32)> =
            bytes.par_chunks_exact_mut(stride).zip(vectors).with_min_len(64).map(some).collect();
        if parts.iter().any(|(parts, _)| !parts.usable()) {
            return None;
        }
        let (mut most, square) = (most_of(with, center), squared(center));
        let offset =
            parts.iter().zip(bias).map(|((p, norm), &bias)| most.take(p, *norm, square, bias));
        let offset = offset.collect();
        Some(Self { bytes, scale: parts.iter().map(|(p, _)| p.scale).collect(), offset, most })
    }

    /// The numbers of a vector, by index, as [`crate::vnni::pair`] takes them.
    pub(crate) fn vector(&self, index: usize, dim: usize) -> &[u8] {
        let stride = dim.next_multiple_of(PAIR);
        &self.bytes[index * stride..][..stride]
    }
}

/// The heads of a block of rows.
#[derive(Default)]
pub(crate) struct BlockHeads {
    pub(crate) q: Vec<i8>,
    pub(crate) heads: Vec<Head>,
    room: Room,
    missing: Vec<usize>,
}

impl BlockHeads {
    /// Takes the heads of rows from those that are kept; computes the others, and keeps them. Row `i`
    /// of the block is `row(i)`, and row `place(i)` of those kept.
    pub(crate) fn take<'a>(
        &mut self,
        with: Instructions,
        rotation: &Rotation,
        count: usize,
        row: impl Fn(usize) -> &'a [f32],
        place: impl Fn(usize) -> usize,
        (kept_q, kept): &mut Rows<'_, Head>,
    ) {
        let size = rotation.count;
        self.heads.clear();
        self.heads.resize(count, Head::default());
        self.q.resize(count * size, 0);
        self.missing.clear();
        for i in 0..count {
            match kept.get(place(i)) {
                Some(&Some(head)) => {
                    self.heads[i] = head;
                    self.q[i * size..][..size].copy_from_slice(&kept_q[place(i) * size..][..size]);
                }
                _ => self.missing.push(i),
            }
        }
        if self.missing.is_empty() {
            return;
        }
        rotation.rotate(with, self.missing.iter().map(|&i| row(i)), &mut self.room);
        for (m, &i) in self.missing.iter().enumerate() {
            let q = &mut self.q[i * size..][..size];
            self.heads[i] = rotation.head(with, &self.room, m, q);
            if let Some(kept) = kept.get_mut(place(i)) {
                *kept = Some(self.heads[i]);
                kept_q[place(i) * size..][..size].copy_from_slice(q);
            }
        }
    }
}
