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
//! A bound is valid for a row when three things are so, and [`Tracker`] sees to all of them:
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
    lanes,
    nearest::{BLOCK, INTEGER_BLOCK, Packed, add_bias},
    panels::Panels,
    tile::{PackedRows, ROWS},
    vnni::{self, Integers},
};

/// Rows that one task works on.
const TASK: usize = 512;
/// Relative rounding of an f32 operation.
const UNIT: f32 = 1.0 / 16_777_216.0;
/// Makes up for the rounding of lengths measured in lanes.
const UP: f32 = 1.001;

/// Nearest centroids of the same rows again and again, while the centroids move between passes.
///
/// A pass hands all rows to [`Tracker::nearest`], a few at a time and always in the same order; then
/// [`Tracker::move_to`] moves the centroids. The answers are those of [`Centroids::nearest`] at every
/// pass, to the bit, whatever was left out in the passes before: what is known of rows only saves
/// work. It takes 12 bytes a row.
///
/// ```
/// use curate_kernels::{Centroids, Nearest, Tracker};
///
/// let rows = [0.6, 0.8, 1.0, 0.0];
/// let mut tracker = Tracker::new(Centroids::new(&[1.0, 0.0, 0.0, 1.0], 2, None), 2);
/// let mut nearest = [Nearest::default(); 2];
/// tracker.nearest(&rows, &mut nearest);
/// assert_eq!(nearest[0].index, 1);
/// tracker.move_to(&[0.8, 0.6, 0.0, 1.0], None);
/// tracker.nearest(&rows, &mut nearest);
/// assert_eq!((nearest[0].index, nearest[0].value), (0, 0.96));
/// ```
pub struct Tracker {
    centroids: Centroids,
    rows: Vec<Tracked>,
    /// Rows that this pass has seen; those from here on are as the pass before left them.
    seen: usize,
    /// No row that is known lies farther from the center of the bounds.
    reach: f32,
}

/// A row's best centroid, and how far the others are behind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tracked {
    pub(crate) nearest: Nearest,
    /// No other centroid has a value above this.
    pub(crate) others: f32,
}

impl Tracked {
    /// A row of which nothing is known: whatever its own centroid, others may be better.
    const UNKNOWN: Self =
        Self { nearest: Nearest { index: 0, value: f32::NEG_INFINITY }, others: f32::INFINITY };
}

impl Tracker {
    /// Tracks so many rows, of which nothing is known yet.
    pub fn new(centroids: Centroids, rows: usize) -> Self {
        Self { centroids, rows: vec![Tracked::UNKNOWN; rows], seen: 0, reach: 0.0 }
    }

    /// Writes the best centroid of each of the next rows into `out`; `vectors` holds `out.len()` of
    /// them. After the last row the first one comes again. Runs on all threads of the current pool.
    ///
    /// # Panics
    /// When the lengths do not fit each other.
    pub fn nearest(&mut self, mut vectors: &[f32], mut out: &mut [Nearest]) {
        let dim = self.centroids.dim;
        assert_eq!(vectors.len(), out.len() * dim, "one answer for each row");
        if self.rows.is_empty() {
            return self.centroids.nearest_parallel(vectors, out);
        }
        while !out.is_empty() {
            if self.seen == self.rows.len() {
                self.stay();
            }
            let count = out.len().min(self.rows.len() - self.seen);
            let (now, later) = out.split_at_mut(count);
            let known = &mut self.rows[self.seen..][..count];
            self.reach = self.reach.max(self.centroids.track(&vectors[..count * dim], known));
            now.iter_mut().zip(known).for_each(|(out, known)| *out = known.nearest);
            self.seen += count;
            (vectors, out) = (&vectors[count * dim..], later);
        }
    }

    /// Ends the pass: the centroids move to `vectors`, with new biases.
    ///
    /// # Panics
    /// When the lengths are not those of the centroids before.
    pub fn move_to(&mut self, vectors: &[f32], bias: Option<&[f32]>) {
        self.move_with(vnni::integers(), vectors, bias);
    }

    fn move_with(&mut self, kind: Option<Integers>, vectors: &[f32], bias: Option<&[f32]>) {
        self.rows[self.seen..].fill(Tracked::UNKNOWN);
        self.centroids = self.centroids.moved_with(kind, vectors, bias, self.reach);
        self.seen = 0;
    }

    /// A pass over centroids that did not move. The growth of the last move is spent.
    fn stay(&mut self) {
        let (vectors, bias) = (self.centroids.vectors.clone(), self.centroids.bias.clone());
        self.move_to(&vectors, Some(&bias));
    }
}

impl Centroids {
    /// These centroids after they moved to `vectors`, with new biases. No row whose bound they will
    /// bring up to date may lie farther than `reach` from their center.
    fn moved_with(
        &self,
        kind: Option<Integers>,
        vectors: &[f32],
        bias: Option<&[f32]>,
        reach: f32,
    ) -> Self {
        assert_eq!(vectors.len(), self.vectors.len(), "as many centroids as before");
        let bias = bias.map_or_else(|| vec![0.0; self.bias.len()], <[f32]>::to_vec);
        assert_eq!(bias.len(), self.bias.len(), "one bias for each centroid");
        let growth = self.growth_to(vectors, &bias, reach);
        let mut order: Vec<u32> = (0..bias.len() as u32).collect();
        order.sort_unstable_by(|&a, &b| {
            growth[b as usize].total_cmp(&growth[a as usize]).then(a.cmp(&b))
        });
        let growth = order.iter().map(|&index| growth[index as usize]).collect();
        Self::pack(kind, (vectors.to_vec(), bias), self.centre.clone(), order, growth)
    }

    /// At least how much each centroid's value can have grown for any row.
    fn growth_to(&self, vectors: &[f32], bias: &[f32], reach: f32) -> Vec<f32> {
        let with = dispatch::instructions();
        let centre = lanes::square(with, &self.centre).sqrt() * UP;
        let growth = |(j, (old, new)): (usize, (&[f32], &[f32]))| {
            let step = lanes::distance(with, old, new).sqrt() * UP;
            if step == 0.0 && bias[j] == self.bias[j] && old == new {
                return 0.0;
            }
            let along: f64 = (self.centre.iter().zip(old).zip(new))
                .map(|((&m, &old), &new)| f64::from(m) * (f64::from(new) - f64::from(old)))
                .sum();
            let rest = along + f64::from(bias[j]) - f64::from(self.bias[j]);
            let norm = lanes::square(with, old).sqrt() * UP + step;
            // The bounds it will be added to are rounded too.
            let rounding = 8.0 * UNIT * ((reach + centre) * norm + bias[j].abs());
            let growth = reach * step + rest as f32 + rounding;
            if growth.is_nan() { f32::INFINITY } else { growth }
        };
        let dim = self.dim.max(1);
        let pairs = self.vectors.chunks_exact(dim).zip(vectors.chunks_exact(dim));
        pairs.enumerate().map(growth).collect()
    }

    /// Updates what is known of each row, on all threads of the current pool: of fresh centroids
    /// everything is found out, of moved ones ([`Centroids::moved_with`]) what the bounds leave open.
    /// Returns how far the rows of which nothing was known lie from the center of the bounds, at most.
    fn track(&self, rows: &[f32], tracked: &mut [Tracked]) -> f32 {
        self.track_with(dispatch::instructions(), rows, tracked)
    }

    fn track_with(&self, with: Instructions, rows: &[f32], tracked: &mut [Tracked]) -> f32 {
        assert_eq!(rows.len(), tracked.len() * self.dim, "one row for each answer");
        let dim = self.dim.max(1);
        tracked
            .par_chunks_mut(TASK)
            .zip(rows.par_chunks(TASK * dim))
            .map(|(tracked, rows)| {
                let mut task = Task { all: self, with, rows, tracked };
                match self.growth.is_empty() {
                    true => task.find(),
                    false => task.follow(),
                }
            })
            .reduce(|| 0.0, f32::max)
    }
}

/// Some rows and what is known of them.
struct Task<'a> {
    all: &'a Centroids,
    with: Instructions,
    rows: &'a [f32],
    tracked: &'a mut [Tracked],
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

    /// Looks at all centroids.
    fn find(&mut self) -> f32 {
        let count = self.all.bias.len() as u32;
        let open: Vec<Open> = (0..self.tracked.len() as u32)
            .map(|row| Open { row, limit: count, rest: f32::NEG_INFINITY })
            .collect();
        let none = Nearest { index: 0, value: f32::NEG_INFINITY };
        self.tracked.fill(Tracked { nearest: none, others: f32::NEG_INFINITY });
        self.look(&open, false);
        (0..self.tracked.len()).map(|row| self.far(row)).fold(0.0, f32::max)
    }

    /// At least how far a row lies from the center of the bounds.
    fn far(&self, row: usize) -> f32 {
        lanes::distance(self.with, self.row(row), &self.all.centre).sqrt() * UP
    }

    /// Looks at the own centroid, then at those that could have passed it.
    fn follow(&mut self) -> f32 {
        let mut own = Vec::new();
        let dim = self.all.dim;
        let pair = |row: usize| {
            let index = self.tracked[row].nearest.index as usize;
            (self.row(row), &self.all.vectors[index * dim..][..dim])
        };
        dots::pairs(self.with, self.tracked.len(), pair, &mut own);
        let eta_of_unit = self.all.eta;
        let (mut open, mut reach) = (Vec::new(), 0.0_f32);
        for (row, value) in own.into_iter().enumerate() {
            if self.tracked[row].others == f32::INFINITY {
                reach = reach.max(self.far(row));
            }
            let norm = lanes::square(self.with, self.row(row)).sqrt() * UP;
            let nearest = &mut self.tracked[row].nearest;
            nearest.value = value + self.all.bias[nearest.index as usize];
            let eta = eta_of_unit * norm.max(1.0);
            if let Some(limit) = self.limit(row, eta) {
                open.push(limit);
            }
        }
        open.sort_unstable_by_key(|open| (open.limit, open.row));
        self.look(&open, true);
        reach
    }

    /// How far a row has to look; `None` when it need not, and its bound is brought up to date.
    fn limit(&mut self, row: usize, eta: f32) -> Option<Open> {
        let (growth, order) = (&self.all.growth, &self.all.order);
        let Tracked { nearest, others } = self.tracked[row];
        // Written so that a NaN on either side means a look.
        let behind = |growth: &f32| others + growth + eta < nearest.value;
        let limit = growth.partition_point(|growth| !behind(growth));
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
            Packed::Float(panels, bias) => {
                let eta_of_unit = self.all.eta;
                let mut buffer = Vec::new();
                let mut packed = PackedRows::default();
                for open in open.chunks(BLOCK) {
                    buffer.clear();
                    open.iter().for_each(|o| buffer.extend_from_slice(self.row(o.row as usize)));
                    packed.pack(&buffer, self.all.dim);
                    self.look_in_floats(&packed, (panels, bias), open, eta_of_unit);
                }
            }
            Packed::Integer(kind, panels) => {
                let vectors = self.all.searched(self.with, *kind, panels);
                self.look_in_integers(&vectors, open, known);
            }
        }
    }

    fn look_in_integers(&mut self, vectors: &Vectors<'_>, open: &[Open], known: bool) {
        let (mut work, mut answers) = (Workspace::default(), Vec::new());
        for open in open.chunks(INTEGER_BLOCK) {
            let query = |open: &Open| {
                let nearest = self.tracked[open.row as usize].nearest;
                let known = known.then(|| (self.all.position(nearest.index), nearest.value));
                Query { known, ..Query::all(self.row(open.row as usize), open.limit as usize) }
            };
            let queries: Vec<Query<'_>> = open.iter().map(query).collect();
            integer::search(vectors, &mut work, &queries, &mut answers);
            for (open, Answer { best, others }) in open.iter().zip(&answers) {
                self.tracked[open.row as usize] = Tracked {
                    nearest: Nearest { index: vectors.index(best.index), value: best.value },
                    others: others.max(open.rest),
                };
            }
        }
    }

    fn look_in_floats(
        &mut self,
        packed: &PackedRows,
        (panels, bias): (&Panels, &[f32]),
        open: &[Open],
        eta_of_unit: f32,
    ) {
        let mut tiles = dispatch::room(packed);
        let mut others = vec![f32::NEG_INFINITY; open.len()];
        for (first, real, panel) in panels.iter() {
            let bias = bias[first..].first_chunk().expect("padded to whole panels");
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
                    improve(best, others, &products[..real], (first, &self.all.order));
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
fn improve(best: &mut Nearest, others: &mut f32, values: &[f32], (first, order): (usize, &[u32])) {
    for (column, &value) in values.iter().enumerate() {
        let position = first + column;
        let index = order.get(position).copied().unwrap_or(position as u32);
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
mod tests {
    use super::*;
    use crate::{dispatch::available, numbers::numbers, reference};

    /// A few steps of centroids, each with what a search over all finds, for every kind.
    fn follow(steps: &[(Vec<f32>, Vec<f32>)], rows: &[f32], dim: usize) {
        let kinds = vnni::available().into_iter().map(Some).chain([None]);
        for (kind, with) in kinds.flat_map(|kind| available().into_iter().map(move |w| (kind, w))) {
            let mut tracked = vec![Tracked::UNKNOWN; rows.len() / dim];
            let (first, bias) = &steps[0];
            let mut centroids = Centroids::with(kind, first, dim, Some(bias));
            let reach = centroids.track_with(with, rows, &mut tracked);
            check(&steps[0], rows, dim, &tracked);
            for step in &steps[1..] {
                centroids = centroids.moved_with(kind, &step.0, Some(&step.1), reach);
                assert_eq!(centroids.track_with(with, rows, &mut tracked), 0.0);
                check(step, rows, dim, &tracked);
            }
        }
    }

    fn check((step, bias): &(Vec<f32>, Vec<f32>), rows: &[f32], dim: usize, tracked: &[Tracked]) {
        let expected = reference::nearest(rows, step, dim, Some(bias));
        for (i, (row, found)) in rows.chunks(dim).zip(tracked).enumerate() {
            assert_eq!(found.nearest, expected[i], "row {i}");
            for (j, centroid) in step.chunks(dim).enumerate() {
                if j != found.nearest.index as usize {
                    let products =
                        row.iter().zip(centroid).map(|(&x, &c)| f64::from(x) * f64::from(c));
                    let value = products.sum::<f64>() + f64::from(bias[j]);
                    assert!(value <= f64::from(found.others), "row {i}, {j}: {value} {found:?}");
                }
            }
        }
    }

    #[test]
    fn tracking_equals_searching_to_the_bit_and_its_bounds_hold() {
        for (n, k, dim) in [(40, 5, 8), (600, 90, 40)] {
            let rows = numbers(n * dim, 1);
            let mut steps = vec![(numbers(k * dim, 2), numbers(k, 9))];
            // Large steps, small ones, one of a single centroid, and none.
            for (s, size) in [0.5, 0.05, 0.05, 1e-4, 0.0, 0.0].into_iter().enumerate() {
                let (mut next, mut bias) = steps[s].clone();
                let change = numbers(k * dim, 10 + s as u32);
                next.iter_mut().zip(change).for_each(|(x, d)| *x += size * d);
                if s == 4 {
                    next[2 * dim..3 * dim].fill(0.1);
                    bias[2] += 0.2;
                }
                steps.push((next, bias));
            }
            follow(&steps, &rows, dim);
        }
    }

    #[test]
    fn equal_centroids_go_to_the_lowest_index_wherever_they_come_from() {
        let (k, dim) = (70, 33);
        let rows = numbers(30 * dim, 1);
        let apart = numbers(k * dim, 2);
        let together = apart[..dim].repeat(k);
        let bias = vec![0.0; k];
        let steps = [(apart.clone(), bias.clone()), (together, bias.clone()), (apart, bias)];
        follow(&steps, &rows, dim);
    }

    /// Passes that leave rows out, go round twice or end in the middle of a call.
    #[test]
    fn no_order_of_calls_gives_another_answer_than_a_search() {
        let (n, k, dim) = (200, 80, 33);
        // Some rows lie far from the others, so that a reach without them would be too small.
        let mut rows = numbers(n * dim, 1);
        rows[150 * dim..].iter_mut().for_each(|x| *x *= 20.0);
        for kind in vnni::available().into_iter().map(Some).chain([None]) {
            let mut now = numbers(k * dim, 2);
            let mut tracker = Tracker::new(Centroids::with(kind, &now, dim, None), n);
            for (pass, calls) in
                [&[60][..], &[200], &[90, 30], &[200, 200], &[150, 100], &[], &[200], &[1, 199]]
                    .into_iter()
                    .enumerate()
            {
                let mut next = 0;
                for &count in calls {
                    let some: Vec<f32> = (next..next + count)
                        .flat_map(|row| &rows[row % n * dim..][..dim])
                        .copied()
                        .collect();
                    let mut out = vec![Nearest::default(); count];
                    tracker.nearest(&some, &mut out);
                    assert_eq!(out, reference::nearest(&some, &now, dim, None), "{kind:?} {pass}");
                    next += count;
                }
                let change = numbers(k * dim, 10 + pass as u32);
                now.iter_mut().zip(change).for_each(|(x, d)| *x += 0.05 * d);
                tracker.move_with(kind, &now, None);
            }
        }
    }

    #[test]
    fn without_rows_or_centroids_there_is_nothing_to_remember() {
        let mut out = [Nearest::default(); 2];
        Tracker::new(Centroids::new(&[1.0, 2.0], 1, None), 0).nearest(&[3.0, -1.0], &mut out);
        assert_eq!(out.map(|n| n.index), [1, 0]);
        let mut empty = Tracker::new(Centroids::new(&[], 1, None), 2);
        for _ in 0..2 {
            empty.nearest(&[3.0, -1.0], &mut out);
            assert!(out.iter().all(|n| n.value == f32::NEG_INFINITY));
            empty.move_to(&[], None);
        }
    }
}
