//! Whether heads pay, and how long they should be.

use std::sync::Arc;

use rayon::prelude::*;

use crate::{
    Centroids,
    axes::{Axes, Rotation},
    dispatch, inner_products,
    kept::KeptRows,
    lanes, quant,
    ruled::Ruled,
    vnni::{self, Integers},
};

/// Rows and centroids, each, that the axes are fitted on.
const SAMPLE: usize = 512;
/// Pairs that a choice looks at.
const PAIRS: usize = 1 << 17;
/// With fewer centroids there is little to rule out.
const FEWEST: usize = 64;
/// Heads have to cost less than this share of what whole vectors cost.
const GAIN: f64 = 0.8;
/// With fewer pairs a pass is over before the axes are fitted.
const WORTH: usize = 1 << 23;
/// Heads are a multiple of this long.
const STEP: usize = 16;
/// The longest heads.
const LONGEST: usize = 256;
/// Heads are at most so many times as long as the vectors have axes along which they vary: longer ones are
/// not looked at, since axes cost too.
const SPREADS: f64 = 16.0;
/// Passes at which the length is chosen: at the first, centroids may be rows as they are; at the second,
/// they are means.
const CHOICES: u32 = 2;

/// What looking costs, in multiplications of the kind that the search does.
#[derive(Clone, Copy)]
struct Costs {
    /// A look at one product.
    look: f64,
    /// A pair that heads leave open, for each of its numbers: it is taken down, its vector fetched and multiplied
    /// as integers.
    pair: f64,
    /// A multiplication in f32.
    float: f64,
}

impl Costs {
    fn of(kind: Option<Integers>) -> Self {
        match kind {
            Some(_) => Self { look: 48.0, pair: 10.0, float: 4.0 },
            None => Self { look: 16.0, pair: 2.0, float: 1.0 },
        }
    }

    /// A row that is looked at by heads of so many numbers, without projecting it.
    fn heads(self, pairs: f64, open: f64, dim: usize, count: usize) -> f64 {
        pairs * (count as f64 + self.look) + open * self.pair * dim as f64
    }

    fn whole(self, pairs: f64, dim: usize) -> f64 {
        pairs * (dim as f64 + self.look)
    }
}

/// The heads of a tracker: whether there are any, and those of its rows.
#[derive(Default)]
pub(crate) struct Plan {
    axes: Option<Axes>,
    /// What projects to heads, where they pay.
    pub(crate) rotation: Option<Arc<Rotation>>,
    /// The rows that are kept.
    pub(crate) kept: KeptRows,
    /// What decided the pairs of this pass.
    pub(crate) ruled: Ruled,
    /// Passes that have begun.
    passes: u32,
    /// There is one pass alone.
    once: bool,
    /// Before the first pass a centroid near each row is known, and centroids are means.
    pub(crate) settled: bool,
    /// Heads of this length, whether they pay or not: for tests.
    pub(crate) always: Option<usize>,
}

impl Plan {
    /// At the start of a pass over `rows` rows, of which `vectors` are the first: chooses heads anew;
    /// returns whether they changed.
    pub(crate) fn begin(
        &mut self,
        kind: Option<Integers>,
        centroids: &Centroids,
        rows: usize,
        vectors: &[f32],
    ) -> bool {
        self.passes += 1;
        let choices = if self.settled { 1 } else { CHOICES };
        if self.passes > choices || (self.passes > 1 && self.axes.is_none()) {
            return false;
        }
        let before = self.rotation.as_ref().map_or(0, |rotation| rotation.count);
        let count = match self.always {
            Some(count) => self.fit(centroids, vectors, count),
            None => self.choose(kind, centroids, rows, vectors),
        };
        if count == before {
            return false;
        }
        self.give_up();
        if let (Some(axes), true) = (&self.axes, count > 0) {
            let rotation = axes.rotation(count, &centroids.center);
            if rotation.usable() {
                self.rotation = Some(Arc::new(rotation));
            }
        }
        true
    }

    /// At the end of a pass: gives heads up that left too much open. Returns what decided its pairs.
    pub(crate) fn end(&mut self, kind: Option<Integers>, dim: usize) -> Ruled {
        let ruled = std::mem::take(&mut self.ruled);
        if let (Some(rotation), None) = (&self.rotation, self.always) {
            let costs = Costs::of(kind);
            let open = (ruled.integers + ruled.exact) as f64;
            let looked = ruled.heads as f64 + open;
            if costs.heads(looked, open, dim, rotation.count) > costs.whole(looked, dim) {
                self.give_up();
            }
        }
        ruled
    }

    fn give_up(&mut self) {
        self.rotation = None;
        self.kept = KeptRows::default();
    }

    fn fit(&mut self, centroids: &Centroids, vectors: &[f32], count: usize) -> usize {
        self.axes.get_or_insert_with(|| {
            let sample = centered(vectors, centroids);
            Axes::fit(&sample, centroids.dim, count)
        });
        count
    }

    /// How long heads should be; 0 where whole vectors are looked at sooner.
    fn choose(
        &mut self,
        kind: Option<Integers>,
        centroids: &Centroids,
        rows: usize,
        vectors: &[f32],
    ) -> usize {
        let (dim, k) = (centroids.dim, centroids.bias.len());
        let longest = longest(rows, k, dim);
        if longest == 0 {
            return 0;
        }
        if self.axes.is_none() {
            let sample = centered(vectors, centroids);
            let spread = spread(&sample, dim);
            if spread > longest as f64 {
                return 0;
            }
            let axes = (SPREADS * spread) as usize / STEP * STEP;
            let axes = axes.clamp(longest.min(2 * SPREADS as usize), longest);
            self.axes = Some(Axes::fit(&sample, dim, axes));
        }
        let Some(axes) = &self.axes else { return 0 };
        let now = self.rotation.as_ref().map_or(0, |rotation| rotation.count);
        // Heads that are kept are computed once for all passes to come, which may be ten.
        let is_kept = |count| !self.once && KeptRows::keeps(rows, count);
        let project = |count| match is_kept(count) {
            true if count == now => 0.0,
            true => 0.1,
            false => 1.0,
        };
        // At first everything is looked at twice: before a value is known to beat, the one that looks best
        // is computed, and it leaves more open than the best.
        let is_first = self.passes < CHOICES && !self.settled;
        let (looks, more) = if is_first { (2.0, 1.5) } else { (1.0, 1.0) };
        cheapest(Costs::of(kind), axes, centroids, vectors, (looks, more, &project))
    }
}

/// The longest heads that may pay; 0 where none do.
pub(crate) fn longest(rows: usize, centroids: usize, dim: usize) -> usize {
    let pays = centroids >= FEWEST && rows.saturating_mul(centroids) >= WORTH;
    if pays && dim <= quant::MAX_DIM { (dim / 2).min(LONGEST) / STEP * STEP } else { 0 }
}

impl Centroids {
    /// Gets ready to search for `rows` rows, of which `some` are the first, or others like them: where
    /// it pays, a search then looks at a few numbers along the widest axes first and bounds the rest.
    /// No answer changes. Runs on all threads of the current pool.
    ///
    /// # Panics
    /// When `some` is not a whole number of vectors.
    pub fn prepare(&mut self, rows: usize, some: &[f32]) {
        assert_eq!(some.len() % self.dim.max(1), 0, "whole vectors");
        let (kind, mut plan) = (vnni::integers(), Plan { once: true, ..Plan::default() });
        if plan.begin(kind, self, rows, some) {
            self.pack_again((kind, plan.rotation.as_ref()));
        }
    }
}

/// Every so-many-th vector, about `count` of them.
fn some(vectors: &[f32], dim: usize, count: usize) -> impl Iterator<Item = &[f32]> {
    let all = vectors.chunks_exact(dim.max(1));
    let step = (all.len() / count.max(1)).max(1);
    all.step_by(step).take(count)
}

/// Rows and centroids without their center.
fn centered(vectors: &[f32], centroids: &Centroids) -> Vec<f32> {
    let dim = centroids.dim;
    let vectors = some(vectors, dim, SAMPLE).chain(some(&centroids.vectors, dim, SAMPLE));
    let mut less = without(vectors, &centroids.center);
    less.iter_mut().filter(|x| !x.is_finite()).for_each(|x| *x = 0.0);
    less
}

/// About how many axes the vectors vary along: the square of the sum of variances over the sum of their
/// squares. White vectors have as many as dimensions.
fn spread(sample: &[f32], dim: usize) -> f64 {
    let sample: Vec<f32> = some(sample, dim, 256).collect::<Vec<_>>().concat();
    let (products, n) = (inner_products(&sample, &sample, dim), sample.len() / dim);
    let (mut own, mut others) = (0.0, 0.0);
    for (i, products) in products.chunks_exact(n.max(1)).enumerate() {
        for (j, &product) in products.iter().enumerate() {
            match i == j {
                true => own += f64::from(product),
                false => others += f64::from(product).powi(2),
            }
        }
    }
    let (own, others) = (own / n as f64, others / (n * n.max(2) - n) as f64);
    if others > 0.0 { own * own / others } else { 1.0 }
}

/// The length of heads that some rows would be looked at with soonest; 0 when it is no gain.
///
/// Every pair is looked at `looks` times. What heads leave open against the best is counted `more` times, and
/// what it takes to project to heads of a length `project` times.
fn cheapest(
    costs: Costs,
    axes: &Axes,
    centroids: &Centroids,
    vectors: &[f32],
    (looks, more, project): (f64, f64, &dyn Fn(usize) -> f64),
) -> usize {
    let (dim, k) = (centroids.dim, centroids.bias.len());
    let rows = some(vectors, dim, (PAIRS / k).clamp(16, 256)).collect::<Vec<_>>().concat();
    let open = open_pairs(axes, centroids, &rows);
    let n = rows.len() / dim;
    let cost = |(s, &open): (usize, &u64)| {
        let (count, open) = ((s + 1) * STEP, more * open as f64 / n as f64);
        let project = project(count) * costs.float * (count * dim) as f64;
        (count, costs.heads(looks * k as f64, open, dim, count) + project)
    };
    let best = open.iter().enumerate().map(cost).min_by(|a, b| a.1.total_cmp(&b.1));
    match best {
        Some((count, cost)) if cost < GAIN * costs.whole(k as f64, dim) => count,
        _ => 0,
    }
}

/// Centroids that a choice looks at together.
const TOGETHER: usize = 2_048;

/// Vectors along all axes, and the lengths of what heads of every length leave out.
struct Along {
    numbers: Vec<f32>,
    tails: Vec<f32>,
}

impl Along {
    /// Of vectors whose center has been taken off.
    fn new(axes: &Axes, less: &[f32], dim: usize) -> Self {
        let with = dispatch::instructions();
        let numbers = axes.along(less);
        let pairs = less.chunks_exact(dim).zip(numbers.chunks_exact(axes.count()));
        let tails = pairs.flat_map(|(x, y)| tails(lanes::square(with, x), y)).collect();
        Self { numbers, tails }
    }
}

fn without<'a>(vectors: impl Iterator<Item = &'a [f32]>, center: &[f32]) -> Vec<f32> {
    let mut less = Vec::new();
    vectors.for_each(|vector| less.extend(vector.iter().zip(center).map(|(x, m)| x - m)));
    less
}

/// The length of what heads of 16, 32, … numbers leave out.
fn tails(square: f32, along: &[f32]) -> impl Iterator<Item = f32> {
    along.chunks_exact(STEP).scan(square, |left, part| {
        *left -= part.iter().map(|y| y * y).sum::<f32>();
        Some(left.max(0.0).sqrt())
    })
}

/// Some centroids, and what rows are worth to them.
struct Part {
    along: Along,
    offsets: Vec<f32>,
    /// Row after row.
    products: Vec<f32>,
}

/// How many pairs of these rows and all centroids heads leave open, for every length, against the best.
fn open_pairs(axes: &Axes, centroids: &Centroids, rows: &[f32]) -> Vec<u64> {
    let (dim, center, steps) = (centroids.dim, &centroids.center, axes.count() / STEP);
    let rows = without(rows.chunks_exact(dim), center);
    let along = Along::new(axes, &rows, dim);
    let part = |(vectors, biases): (&[f32], &[f32])| {
        let less = without(vectors.chunks_exact(dim), center);
        let offset = |(c, bias): (&[f32], &f32)| {
            c.iter().zip(center).map(|(c, m)| c * m).sum::<f32>() + bias
        };
        Part {
            products: inner_products(&rows, &less, dim),
            offsets: vectors.chunks_exact(dim).zip(biases).map(offset).collect(),
            along: Along::new(axes, &less, dim),
        }
    };
    let biases = centroids.bias.par_chunks(TOGETHER);
    let parts: Vec<Part> =
        centroids.vectors.par_chunks(TOGETHER * dim).zip(biases).map(part).collect();
    let open = (0..rows.len() / dim).into_par_iter().map(|row| open_of(row, steps, &along, &parts));
    open.reduce(
        || vec![0; steps],
        |mut open, more| {
            open.iter_mut().zip(more).for_each(|(open, more)| *open += more);
            open
        },
    )
}

/// [`open_pairs`] of one row.
fn open_of(row: usize, steps: usize, rows: &Along, parts: &[Part]) -> Vec<u64> {
    let values = |part: &Part| {
        let count = part.offsets.len();
        let products = part.products[row * count..][..count].iter().zip(&part.offsets);
        products.fold(f32::NEG_INFINITY, |best, (product, offset)| best.max(product + offset))
    };
    let best = parts.iter().map(values).fold(f32::NEG_INFINITY, f32::max);
    let mut open = vec![0; steps];
    let y = &rows.numbers[row * steps * STEP..][..steps * STEP];
    for part in parts {
        let vectors = part.along.numbers.chunks_exact(steps * STEP);
        let tails = part.along.tails.chunks_exact(steps);
        for ((vector, tails), offset) in vectors.zip(tails).zip(&part.offsets) {
            let mut bound = *offset;
            let numbers = y.as_chunks().0.iter().zip(vector.as_chunks().0);
            for (s, (a, b)) in numbers.enumerate() {
                bound += step(a, b);
                // A little more for what integers lose.
                let tail = 1.02 * rows.tails[row * steps + s] * tails[s];
                open[s] += u64::from(bound + tail >= best);
            }
        }
    }
    open
}

/// The inner product of a step, its halves side by side.
fn step(a: &[f32; STEP], b: &[f32; STEP]) -> f32 {
    let mut products: [f32; STEP] = std::array::from_fn(|t| a[t] * b[t]);
    for half in [STEP / 2, STEP / 4, STEP / 8, STEP / 16] {
        for t in 0..half {
            products[t] += products[t + half];
        }
    }
    products[0]
}
