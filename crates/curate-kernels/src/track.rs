//! The best of centroids that move a little at a time: most rows keep theirs, and a bound shows it.
//!
//! Of every row its best centroid, its value, and a bound on the values of all others are kept
//! (Hamerly 2010, "Making k-means even faster", with inner products in place of distances). When
//! centroid `j` moves from `c` to `c'`, its value for a row `x` grows by
//!
//! ```text
//! <x, c' - c> + b' - b  =  <x - m, c' - c> + <m, c' - c> + b' - b  <=  R |c' - c| + <m, c' - c> + b' - b
//! ```
//!
//! where no row is farther than `R` from `m`. Centroids are packed by that growth, largest first. A
//! row looks at its own centroid again, then at those whose growth could carry them past it: a
//! prefix, often empty. Nothing is approximate: every answer is the one of a search over all
//! centroids, to the bit.
//!
//! Elkan's bounds (2003, one for every pair of row and centroid) rule out more, but take `k` numbers a
//! row instead of three, which for thousands of centroids is more than the row itself; Yinyang's
//! groups (Ding et al. 2015) lie between.
//!
//! # What must hold
//! A bound is valid for a row when three things are so, and [`crate::Tracker`] sees to all of them:
//! - it took in **every** move since the row was last looked at: a row that a pass left out is
//!   forgotten when the centroids move, since [`Centroids::growth`] tells of one move alone;
//! - it took in no move twice: a growth can be negative, so that would make the bound too small;
//! - the row's distance from `m` went into `R` before the growth was computed.

use rayon::prelude::*;

use crate::{
    Centroids, Nearest,
    dispatch::{self, Instructions},
    dots,
    integer::{self, Answer, Query, Vectors, Workspace},
    kept::Kept,
    lanes,
    nearest::{BLOCK, INTEGER_BLOCK, add_bias},
    packed::{FloatPanels, Packed},
    partial,
    quant::{TINY, UP},
    ruled::Ruled,
    tile::{PackedRows, ROWS},
};

/// Rows that one task works on.
const TASK: usize = 512;

/// A row's best centroid, and how far the others are behind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tracked {
    pub(crate) nearest: Nearest,
    /// No other centroid has a value above this.
    pub(crate) others: f32,
}

impl Tracked {
    /// A row of which nothing is known: whatever its own centroid, others may be better.
    pub(crate) const UNKNOWN: Self = Self::supposed(0);

    /// A row of which nothing is known, but that this centroid may be near.
    pub(crate) const fn supposed(index: u32) -> Self {
        Self { nearest: Nearest { index, value: f32::NEG_INFINITY }, others: f32::INFINITY }
    }
}

impl Centroids {
    /// Updates what is known of each row, on all threads of the current pool: of fresh centroids
    /// everything is found out, of moved ones ([`Centroids::moved_with`]) what the bounds leave open.
    /// Returns how far the rows of which nothing was known lie from the center of the bounds, at most,
    /// and what decided the pairs. Integers of rows are taken from `kept`, and kept there, if it has room.
    /// `supposed` says that fresh centroids are not all that is known: each row has one that may be near.
    pub(crate) fn track(
        &self,
        rows: &[f32],
        (tracked, supposed): (&mut [Tracked], bool),
        kept: Kept<'_>,
    ) -> (f32, Ruled) {
        self.track_with(dispatch::instructions(), rows, (tracked, supposed), kept)
    }

    fn track_with(
        &self,
        with: Instructions,
        rows: &[f32],
        (tracked, supposed): (&mut [Tracked], bool),
        kept: Kept<'_>,
    ) -> (f32, Ruled) {
        assert_eq!(rows.len(), tracked.len() * self.dim, "one row for each answer");
        let dim = self.dim.max(1);
        let kept = kept.parts(TASK, tracked.len().div_ceil(TASK));
        tracked
            .par_chunks_mut(TASK)
            .zip(rows.par_chunks(TASK * dim))
            .zip(kept)
            .map(|((tracked, rows), kept)| {
                let ruled =
                    Ruled { pairs: (tracked.len() * self.bias.len()) as u64, ..Ruled::default() };
                let mut task = Task { all: self, with, rows, tracked, kept, ruled };
                let reach = match self.growth.is_empty() {
                    true => task.find(supposed),
                    false => task.follow(),
                };
                let Ruled { pairs, heads, integers, exact, .. } = task.ruled;
                (
                    reach,
                    Ruled { bounds: pairs.saturating_sub(heads + integers + exact), ..task.ruled },
                )
            })
            .reduce(<(f32, Ruled)>::default, |(reach, mut ruled), (other, more)| {
                ruled += more;
                (reach.max(other), ruled)
            })
    }
}

/// Some rows and what is known of them.
struct Task<'a> {
    all: &'a Centroids,
    with: Instructions,
    rows: &'a [f32],
    tracked: &'a mut [Tracked],
    kept: Kept<'a>,
    ruled: Ruled,
}

/// A row that has to look at more than its own centroid.
#[derive(Clone, Copy)]
struct Open {
    row: u32,
    /// It looks at positions below this.
    limit: u32,
    /// No centroid from there on has a value above this.
    rest: f32,
}

impl<'a> Task<'a> {
    fn row(&self, row: usize) -> &'a [f32] {
        &self.rows[row * self.all.dim..][..self.all.dim]
    }

    /// Looks at all centroids, and first at that which is supposed to be near.
    fn find(&mut self, supposed: bool) -> f32 {
        let count = self.all.bias.len() as u32;
        let open: Vec<Open> = (0..self.tracked.len() as u32)
            .map(|row| Open { row, limit: count, rest: f32::NEG_INFINITY })
            .collect();
        if supposed {
            self.own_values();
        }
        // A value that is not finite tells nothing.
        let told = |known: &Tracked| supposed && known.nearest.value.is_finite();
        self.tracked.iter_mut().filter(|known| !told(known)).for_each(|known| {
            *known = Tracked::UNKNOWN;
        });
        self.tracked.iter_mut().for_each(|known| known.others = f32::NEG_INFINITY);
        self.look(&open, supposed);
        (0..self.tracked.len()).map(|row| self.far(row)).fold(0.0, f32::max)
    }

    /// At least how far a row lies from the center of the bounds.
    fn far(&self, row: usize) -> f32 {
        lanes::distance(self.with, self.row(row), &self.all.center).sqrt() * UP + TINY
    }

    /// Looks at the own centroid, then at those that could have passed it.
    fn follow(&mut self) -> f32 {
        self.own_values();
        let eta = self.all.eta * self.all.norm.max(1.0);
        let (mut open, mut reach) = (Vec::new(), 0.0_f32);
        for row in 0..self.tracked.len() {
            if self.tracked[row].others == f32::INFINITY {
                reach = reach.max(self.far(row));
            }
            if let Some(limit) = self.limit(row, eta) {
                open.push(limit);
            }
        }
        // Rows that look equally far together: a block of them stops at the panel where its last does.
        open.sort_unstable_by_key(|open| (open.limit, open.row));
        self.look(&open, true);
        reach
    }

    /// Computes what each row's own centroid is worth to it now, unless that one stands where it stood.
    fn own_values(&mut self) {
        let (all, dim) = (self.all, self.all.dim);
        let moved = |row: &u32| {
            let nearest = self.tracked[*row as usize].nearest;
            nearest.value == f32::NEG_INFINITY || !all.still[nearest.index as usize]
        };
        let rows: Vec<u32> = (0..self.tracked.len() as u32).filter(moved).collect();
        let pair = |r: usize| {
            let row = rows[r] as usize;
            let index = self.tracked[row].nearest.index as usize;
            (self.row(row), &all.vectors[index * dim..][..dim])
        };
        let mut own = Vec::new();
        dots::pairs(self.with, rows.len(), pair, &mut own);
        self.ruled.exact += own.len() as u64;
        for (&row, value) in rows.iter().zip(own) {
            let nearest = &mut self.tracked[row as usize].nearest;
            nearest.value = value + all.bias[nearest.index as usize];
        }
    }

    /// How far a row has to look; `None` when it need not, and its bound is brought up to date.
    fn limit(&mut self, row: usize, eta: f32) -> Option<Open> {
        let (growth, order) = (&self.all.growth, &self.all.order);
        let Tracked { nearest, others } = self.tracked[row];
        // Written so that a NaN on either side means a look.
        let behind = |growth: &f32| others + growth + eta < nearest.value;
        let limit = growth.partition_point(|growth| !behind(growth));
        // Its own centroid may have moved most of all; that its value was looked at again is enough.
        let only_own = limit == 1 && order[0] == nearest.index;
        let first_other = if order[0] == nearest.index { 1 } else { 0 };
        let rest = growth.get(limit.max(first_other));
        let rest = rest.map_or(f32::NEG_INFINITY, |growth| others + growth);
        if limit == 0 || only_own {
            self.tracked[row].others = rest;
            return None;
        }
        Some(Open { row: row as u32, limit: limit as u32, rest })
    }

    /// Looks at the first centroids for each open row; `known` says whether its own value is there.
    fn look(&mut self, open: &[Open], known: bool) {
        match &self.all.packed {
            Packed::Float(floats) => {
                let limits = open.iter().map(|open| u64::from(open.limit));
                self.ruled.exact += limits.sum::<u64>();
                let eta_of_unit = self.all.eta;
                let mut buffer = Vec::new();
                let mut packed = PackedRows::default();
                for open in open.chunks(BLOCK) {
                    packed.pack(self.rows_of(open, &mut buffer), self.all.dim);
                    self.look_in_floats(&packed, floats, open, eta_of_unit);
                }
            }
            Packed::Integer(kind, panels) => {
                let vectors = self.all.searched(self.with, *kind, panels);
                self.look_in_integers(&vectors, open, known);
            }
            Packed::Heads(panels) => {
                let of = self.all.searched_by_heads(self.with, panels);
                self.look_by_heads(&of, open, known);
            }
        }
    }

    /// The vectors of open rows one after the other: where they lie, if that is how they lie.
    fn rows_of<'b>(&self, open: &[Open], buffer: &'b mut Vec<f32>) -> &'b [f32]
    where
        'a: 'b,
    {
        if let [first, ..] = open
            && open.iter().zip(first.row..).all(|(open, row)| open.row == row)
        {
            return &self.rows[first.row as usize * self.all.dim..][..open.len() * self.all.dim];
        }
        buffer.clear();
        open.iter().for_each(|open| buffer.extend_from_slice(self.row(open.row as usize)));
        buffer
    }

    /// What open rows look for.
    fn queries(&self, open: &[Open], known: bool) -> Vec<Query<'a>> {
        let query = |open: &Open| {
            let nearest = self.tracked[open.row as usize].nearest;
            let known = known && nearest.value != f32::NEG_INFINITY;
            let known = known.then(|| (self.all.position(nearest.index), nearest.value));
            Query { known, ..Query::all(self.row(open.row as usize), open.limit as usize) }
        };
        open.iter().map(query).collect()
    }

    /// Takes down what open rows found.
    fn take(&mut self, open: &[Open], answers: &[Answer]) {
        for (open, Answer { best, others }) in open.iter().zip(answers) {
            let index = self.all.order.get(best.index as usize).copied().unwrap_or(best.index);
            self.tracked[open.row as usize] = Tracked {
                nearest: Nearest { index, value: best.value },
                others: others.max(open.rest),
            };
        }
    }

    fn look_by_heads(&mut self, of: &partial::Vectors<'_>, open: &[Open], known: bool) {
        let (mut work, mut answers) = (partial::Workspace::default(), Vec::new());
        for open in open.chunks(INTEGER_BLOCK) {
            let queries = self.queries(open, known);
            let (row, place) = (|i: usize| queries[i].row, |i: usize| open[i].row as usize);
            let Kept { heads, whole } = &mut self.kept;
            work.block.take(self.with, &of.panels.rotation, open.len(), row, place, heads);
            let Ruled { heads, integers, exact, .. } =
                partial::search(of, &mut work, &queries, (whole, &place), &mut answers);
            self.ruled += Ruled { pairs: 0, bounds: 0, heads, integers, exact };
            self.take(open, &answers);
        }
    }

    fn look_in_integers(&mut self, vectors: &Vectors<'_>, open: &[Open], known: bool) {
        let (mut work, mut answers) = (Workspace::default(), Vec::new());
        for open in open.chunks(INTEGER_BLOCK) {
            let queries = self.queries(open, known);
            let exact = integer::search(vectors, &mut work, &queries, &mut answers);
            let looked: u64 = open.iter().map(|open| u64::from(open.limit)).sum();
            self.ruled.exact += exact;
            self.ruled.integers += looked.saturating_sub(exact);
            self.take(open, &answers);
        }
    }

    fn look_in_floats(
        &mut self,
        packed: &PackedRows,
        floats: &FloatPanels,
        open: &[Open],
        eta_of_unit: f32,
    ) {
        let mut tiles = dispatch::room(packed);
        let mut others = vec![f32::NEG_INFINITY; open.len()];
        for (first, real, panel) in floats.panels.iter() {
            let bias = floats.bias(first);
            // The first rows look least far.
            let skip = open.partition_point(|open| open.limit as usize <= first) / ROWS;
            if skip * ROWS >= open.len() {
                break;
            }
            dispatch::tiles(self.with, panel, packed, skip, &mut tiles);
            let products = tiles.as_flattened_mut().iter_mut().zip(open).zip(&mut others);
            for ((products, open), others) in products.skip(skip * ROWS) {
                let best = &mut self.tracked[open.row as usize].nearest;
                let max = add_bias(products, bias);
                if max < best.value {
                    *others = others.max(max);
                } else {
                    improve(best, others, &products[..real], first, &self.all.order);
                }
            }
        }
        for (open, others) in open.iter().zip(others) {
            let norm = lanes::square(self.with, self.row(open.row as usize)).sqrt() * UP;
            let others = others + eta_of_unit * norm.max(1.0);
            self.tracked[open.row as usize].others = others.max(open.rest);
        }
    }
}

/// Replaces `best` where a value is larger, or equal at a lower index; the others bound the rest.
fn improve(best: &mut Nearest, others: &mut f32, values: &[f32], first: usize, order: &[u32]) {
    for (column, &value) in values.iter().enumerate() {
        let position = first + column;
        let index = order.get(position).copied().unwrap_or(position as u32);
        // A row's own centroid is in the prefix too, and must not become a bound on the others.
        if index == best.index && best.value > f32::NEG_INFINITY {
            continue;
        }
        if value > best.value || (value == best.value && index < best.index) {
            *others = others.max(best.value);
            *best = Nearest { index, value };
        } else {
            *others = others.max(value);
        }
    }
}

#[cfg(test)]
mod tests;
