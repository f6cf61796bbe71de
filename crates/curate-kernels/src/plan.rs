//! Whether heads pay, and how long they should be.

use std::sync::Arc;

use crate::{
    Centroids,
    axes::{Axes, Rotation},
    dispatch,
    heads::RowHeads,
    inner_products,
    ruled::Ruled,
    vnni::Integers,
};

/// Rows and centroids, each, that the axes are fitted on.
const SAMPLE: usize = 512;
/// Pairs that a choice looks at.
const PAIRS: usize = 1 << 18;
/// With fewer pairs a pass is over before the axes are fitted.
const WORTH: usize = 1 << 24;
/// Heads are a multiple of this long.
const STEP: usize = 16;
/// The longest heads.
const LONGEST: usize = 256;
/// Passes at which the length is chosen: at the first, centroids may be rows as they are; at the second,
/// they are means.
const CHOICES: u32 = 2;

/// What looking costs, in multiplications of the kind that the search does.
#[derive(Clone, Copy)]
struct Costs {
    /// A look at one product.
    look: f64,
    /// A pair that heads leave open, for each of its numbers.
    pair: f64,
    /// A multiplication in f32.
    float: f64,
}

impl Costs {
    fn of(kind: Option<Integers>) -> Self {
        match kind {
            Some(_) => Self { look: 48.0, pair: 8.0, float: 4.0 },
            None => Self { look: 16.0, pair: 6.0, float: 1.0 },
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
    /// The heads of rows that are kept.
    pub(crate) kept: RowHeads,
    /// Passes that have begun.
    passes: u32,
    /// What decided the pairs of this pass.
    pub(crate) ruled: Ruled,
    /// Choices are made for any number of rows, and are always this long: for tests.
    pub(crate) forced: Option<usize>,
}

impl Plan {
    /// At the start of a pass over `rows` rows, the first of which are `vectors`: chooses heads anew;
    /// returns whether they changed.
    pub(crate) fn begin(
        &mut self,
        kind: Option<Integers>,
        centroids: &Centroids,
        rows: usize,
        vectors: &[f32],
    ) -> bool {
        self.passes += 1;
        if self.passes > CHOICES || (self.passes > 1 && self.axes.is_none()) {
            return false;
        }
        let before = self.rotation.as_ref().map_or(0, |rotation| rotation.count);
        let count = self.choose(kind, centroids, rows, vectors);
        if count == before {
            return false;
        }
        self.rotation = None;
        self.kept = RowHeads::default();
        if let (Some(axes), true) = (&self.axes, count > 0) {
            let rotation = axes.rotation(count, &centroids.center);
            if rotation.usable() {
                self.rotation = Some(Arc::new(rotation));
                self.kept = RowHeads::keep(rows, count);
            }
        }
        true
    }

    /// At the end of a pass: gives heads up that left too much open.
    pub(crate) fn end(&mut self, kind: Option<Integers>, dim: usize) -> Ruled {
        let ruled = std::mem::take(&mut self.ruled);
        if std::env::var("DBG").is_ok() {
            eprintln!("{:?} count {:?}", ruled, self.rotation.as_ref().map(|r| r.count));
        }
        if let (Some(rotation), None) = (&self.rotation, self.forced) {
            let costs = Costs::of(kind);
            let open = (ruled.integers + ruled.exact) as f64;
            let looked = ruled.heads as f64 + open;
            if costs.heads(looked, open, dim, rotation.count) > costs.whole(looked, dim)
                && self.passes > 1
            {
                self.rotation = None;
                self.kept = RowHeads::default();
            }
        }
        ruled
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
        if let Some(count) = self.forced {
            let sample = centered(vectors, centroids);
            self.axes.get_or_insert_with(|| Axes::fit(&sample, dim, count));
            return count;
        }
        let longest = (dim / 4).min(LONGEST) / STEP * STEP;
        if longest < STEP || k < 2 * STEP || rows.saturating_mul(k) < WORTH {
            return 0;
        }
        if self.axes.is_none() {
            let sample = centered(vectors, centroids);
            if spread(&sample, dim) > longest as f64 {
                return 0;
            }
            self.axes = Some(Axes::fit(&sample, dim, longest));
        }
        self.axes.as_ref().map_or(0, |axes| shortest(kind, axes, centroids, vectors, self.passes))
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
    vectors
        .flat_map(|vector| vector.iter().zip(&centroids.center).map(|(x, m)| x - m))
        .map(|x| if x.is_finite() { x } else { 0.0 })
        .collect()
}

/// About how many axes the vectors vary along: the square of the sum of variances over the sum of their
/// squares. White vectors have as many as dimensions.
fn spread(sample: &[f32], dim: usize) -> f64 {
    let sample: Vec<f32> = some(sample, dim, 256).flatten().copied().collect();
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
fn shortest(
    kind: Option<Integers>,
    axes: &Axes,
    centroids: &Centroids,
    vectors: &[f32],
    pass: u32,
) -> usize {
    let (dim, k) = (centroids.dim, centroids.bias.len());
    let rows: Vec<f32> =
        some(vectors, dim, (PAIRS / k).clamp(16, 256)).flatten().copied().collect();
    let n = rows.len() / dim;
    let open = open_pairs(axes, centroids, &rows);
    let costs = Costs::of(kind);
    let again = if pass < CHOICES { 1.0 } else { 0.1 };
    let cost = |(s, open): (usize, &u64)| {
        let count = (s + 1) * STEP;
        let project = again * costs.float * (count * dim) as f64;
        (count, costs.heads(k as f64, *open as f64 / n as f64, dim, count) + project)
    };
    if std::env::var("DBG").is_ok() {
        eprintln!(
            "open {:?} whole {} costs {:?}",
            open.iter().map(|&o| o as f64 / n as f64).collect::<Vec<_>>(),
            costs.whole(k as f64, dim),
            open.iter().enumerate().map(cost).collect::<Vec<_>>()
        );
    }
    let best = open.iter().enumerate().map(cost).min_by(|a, b| a.1.total_cmp(&b.1));
    match best {
        Some((count, cost)) if cost < 0.8 * costs.whole(k as f64, dim) => count,
        _ => 0,
    }
}

/// How many pairs of these rows and all centroids heads leave open, for every length, against the best.
fn open_pairs(axes: &Axes, centroids: &Centroids, rows: &[f32]) -> Vec<u64> {
    let (dim, k) = (centroids.dim, centroids.bias.len());
    let with = dispatch::instructions();
    let less = |vectors: &[f32]| -> Vec<f32> {
        let vectors = vectors.chunks_exact(dim);
        vectors.flat_map(|v| v.iter().zip(&centroids.center).map(|(x, m)| x - m)).collect()
    };
    let (rows_less, centroids_less) = (less(rows), less(&centroids.vectors));
    let (along_rows, along) = (axes.along(&rows_less), axes.along(&centroids_less));
    let count = axes.count();
    let tails = |less: &[f32], along: &[f32]| -> Vec<f32> {
        let pairs = less.chunks_exact(dim).zip(along.chunks_exact(count));
        pairs.flat_map(|(x, y)| falling(crate::lanes::square(with, x), y)).collect()
    };
    let (row_tails, tails) = (tails(&rows_less, &along_rows), tails(&centroids_less, &along));
    let steps = count / STEP;
    let mut open = vec![0; steps];
    let products = inner_products(&rows_less, &centroids_less, dim);
    let offsets: Vec<f32> = (centroids.vectors.chunks_exact(dim).zip(&centroids.bias))
        .map(|(c, bias)| c.iter().zip(&centroids.center).map(|(c, m)| c * m).sum::<f32>() + bias)
        .collect();
    for (i, products) in products.chunks_exact(k).enumerate() {
        let best = products.iter().zip(&offsets).fold(f32::NEG_INFINITY, |b, (p, o)| b.max(p + o));
        let (y, tail) = (&along_rows[i * count..][..count], &row_tails[i * steps..][..steps]);
        for j in 0..k {
            let mut bound = offsets[j];
            let parts = y.chunks_exact(STEP).zip(along[j * count..].chunks_exact(STEP));
            for (s, (a, b)) in parts.enumerate() {
                bound += a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
                // A hundredth of what there is for the integers.
                open[s] += u64::from(bound + 1.02 * tail[s] * tails[j * steps + s] >= best);
            }
        }
    }
    open
}

/// The length of what heads of 16, 32, … numbers leave out.
fn falling(square: f32, along: &[f32]) -> impl Iterator<Item = f32> {
    along.chunks_exact(STEP).scan(square, |left, part| {
        *left -= part.iter().map(|y| y * y).sum::<f32>();
        Some(left.max(0.0).sqrt())
    })
}
