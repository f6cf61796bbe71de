//! The best of many vectors for each row, looked for with 8-bit integers and decided in f32.
//!
//! The answer is the one of the f32 search to the bit: [`crate::quant`] bounds what the integers
//! lose, every vector within that bound of the best is computed again in f32, and among those the
//! best is taken. Usually that is one or two vectors of thousands.

use crate::{
    Nearest,
    dispatch::Instructions,
    dots,
    quant::{PANEL, QuantPanels, QuantRows, ROWS, Row, Tile},
    vnni::{self, Integers, Rule},
};

/// A row that looks for its best vector.
#[derive(Clone, Copy)]
pub(crate) struct Query<'a> {
    /// The row.
    pub(crate) row: &'a [f32],
    /// A vector whose value is known already, by position, and that value.
    pub(crate) known: Option<(u32, f32)>,
    /// A value has to be larger than this to count; `-inf` for all.
    pub(crate) above: f32,
    /// Only vectors at positions below this count. Queries come by ascending limit.
    pub(crate) limit: usize,
    /// Whether positions at the limit and beyond, in the same panel, must not be looked at.
    pub(crate) strict: bool,
}

impl<'a> Query<'a> {
    /// A row that looks at all vectors up to a limit.
    pub(crate) fn all(row: &'a [f32], limit: usize) -> Self {
        Self { row, known: None, above: f32::NEG_INFINITY, limit, strict: false }
    }
}

/// What a row found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// The best vector, by position, and its value in f32; `-inf` when there is none.
    pub(crate) best: Nearest,
    /// No other vector that was looked at has a true value above this.
    pub(crate) others: f32,
}

impl Answer {
    /// Takes the f32 value of one more vector, by position: it is the best if it is above `above` and the
    /// largest, ties by index, and otherwise, `eta` off the true value, one of the others.
    pub(crate) fn take(
        &mut self,
        found: Nearest,
        above: f32,
        eta: f32,
        index: impl Fn(u32) -> u32,
    ) {
        let Nearest { index: position, value } = found;
        let old = self.best;
        let larger =
            value > old.value || (value == old.value && index(position) < index(old.index));
        if value > above && larger {
            self.best = found;
            self.others = self.others.max(old.value + eta);
        } else {
            self.others = self.others.max(value + eta);
        }
    }
}

/// Where the vectors are.
#[derive(Clone, Copy)]
pub(crate) struct Vectors<'a> {
    /// Instructions for f32.
    pub(crate) with: Instructions,
    /// Instructions for integers.
    pub(crate) kind: Integers,
    /// The vectors, packed.
    pub(crate) panels: &'a QuantPanels,
    /// What is taken off every vector before it is packed.
    pub(crate) center: &'a [f32],
    /// The vectors as they are, by index.
    pub(crate) vectors: &'a [f32],
    /// Their biases; empty when there are none.
    pub(crate) biases: &'a [f32],
    /// The index of the vector at each position; empty when they are the same.
    pub(crate) order: &'a [u32],
}

impl<'a> Vectors<'a> {
    pub(crate) fn index(&self, position: u32) -> u32 {
        self.order.get(position as usize).copied().unwrap_or(position)
    }

    fn vector(&self, position: u32) -> &'a [f32] {
        let dim = self.center.len();
        &self.vectors[self.index(position) as usize * dim..][..dim]
    }

    fn bias(&self, position: u32) -> f32 {
        self.biases.get(self.index(position) as usize).copied().unwrap_or(0.0)
    }
}

/// Room for a block of queries.
#[derive(Default)]
pub(crate) struct Workspace {
    rows: QuantRows,
    looks: Vec<Look>,
    /// What could be the best, by query and position, with the approximate value.
    found: Vec<(u32, u32, f32)>,
    /// Query and position of the pairs to compute in f32.
    pairs: Vec<(u32, u32)>,
    values: Vec<f32>,
}

/// One query's state.
#[derive(Default)]
struct Look {
    row: Row,
    usable: bool,
    /// How far below the best approximate value a vector still matters.
    margin: f32,
    /// Approximate values below this cannot be the best.
    threshold: f32,
    /// The largest approximate values that were passed over, by column.
    lanes: [f32; PANEL],
}

impl Look {
    fn reset(&mut self, query: &Query<'_>, row: Row, usable: bool) {
        self.row = row;
        self.usable = usable;
        self.margin = row.margin();
        let least = query.known.map_or(query.above, |(_, value)| value.max(query.above));
        self.threshold = least - row.shift - row.error - 2.0 * row.eta;
        self.lanes.fill(f32::NEG_INFINITY);
    }
}

/// Answers the queries of one block into `answers`; returns how many pairs had to be computed in f32.
pub(crate) fn search(
    vectors: &Vectors<'_>,
    work: &mut Workspace,
    queries: &[Query<'_>],
    answers: &mut Vec<Answer>,
) -> u64 {
    find(vectors, work, queries);
    answers.clear();
    answers
        .extend(queries.iter().zip(&work.looks).map(|(query, look)| start_of_answer(query, look)));
    for (&(query, position), &value) in work.pairs.iter().zip(&work.values) {
        let eta = work.looks[query as usize].row.eta;
        let value = value + vectors.bias(position);
        let above = queries[query as usize].above;
        answers[query as usize]
            .take(Nearest { index: position, value }, above, eta, |p| vectors.index(p));
    }
    work.pairs.len() as u64
}

/// Finds the pairs that matter and computes them in f32, without their biases.
fn find(vectors: &Vectors<'_>, work: &mut Workspace, queries: &[Query<'_>]) {
    let dim = vectors.center.len();
    work.rows.clear(queries.len(), dim);
    work.found.clear();
    work.looks.resize_with(queries.len().max(work.looks.len()), Look::default);
    for (i, query) in queries.iter().enumerate() {
        let parts = work.rows.put(vectors.with, i, query.row, vectors.center);
        let row = Row::new(&parts, &vectors.panels.most, dim);
        let usable = parts.usable() && row.margin().is_finite();
        work.looks[i].reset(query, row, usable);
    }
    look_at_panels(vectors, work, queries);
    compute_again(vectors, work, queries);
}

fn look_at_panels(vectors: &Vectors<'_>, work: &mut Workspace, queries: &[Query<'_>]) {
    let mut tile: Tile = [[0; PANEL]; ROWS];
    let count = vectors.panels.count();
    for (first, panel) in vectors.panels.iter() {
        let scales = vectors.panels.scale[first..].first_chunk().expect("padded to whole panels");
        let offsets = vectors.panels.offset[first..].first_chunk().expect("padded to whole panels");
        let tiles = work.rows.tiles().zip(queries.chunks(ROWS)).zip(work.looks.chunks_mut(ROWS));
        for (t, ((rows, queries), looks)) in tiles.enumerate() {
            // Queries come by ascending limit: where the last one looks no further, none does.
            if queries.last().is_none_or(|last| last.limit <= first) {
                continue;
            }
            let mut start = [0; ROWS];
            start.iter_mut().zip(&*looks).for_each(|(start, look)| *start = look.row.start);
            vnni::tile(vectors.kind, rows, panel, &start, &mut tile);
            for (r, (query, look)) in queries.iter().zip(looks).enumerate() {
                let end = if query.strict { query.limit } else { count };
                let real = end.min(count).saturating_sub(first).min(PANEL);
                let mut hit = |column, value| {
                    work.found.push(((t * ROWS + r) as u32, (first + column) as u32, value));
                };
                let (scale, threshold) = (look.row.scale, look.threshold);
                let rule = Rule { scale, scales, offsets, threshold, real };
                note(vectors.kind, &tile[r], rule, look, &mut hit);
            }
        }
    }
}

/// Looks at one row's products with one panel; tells `hit` which columns could be the best.
#[inline]
fn note(
    kind: Integers,
    products: &[i32; PANEL],
    rule: Rule<'_>,
    look: &mut Look,
    hit: &mut impl FnMut(usize, f32),
) {
    let mut values = [0.0; PANEL];
    let mut hits = vnni::look(kind, products, rule, &mut values, &mut look.lanes);
    while hits != 0 {
        let column = hits.trailing_zeros() as usize;
        hits &= hits - 1;
        hit(column, values[column]);
        // The best so far, less what either of two approximate values may be off: whatever comes below
        // in a later panel cannot win any more. What was hit before the best was found is sieved again
        // in `compute_again`.
        look.threshold = look.threshold.max(values[column] - look.margin);
    }
}

/// Computes in f32 what could still be the best.
fn compute_again(vectors: &Vectors<'_>, work: &mut Workspace, queries: &[Query<'_>]) {
    work.pairs.clear();
    for (i, query) in queries.iter().enumerate().filter(|&(i, _)| !work.looks[i].usable) {
        // Whatever the integers said: every vector in f32.
        let end = query.limit.min(vectors.panels.count());
        work.pairs.extend((0..end as u32).map(|position| (i as u32, position)));
    }
    for &(i, position, value) in &work.found {
        let look = &mut work.looks[i as usize];
        let known = queries[i as usize].known.is_some_and(|(known, _)| known == position);
        if !look.usable || known {
            continue;
        }
        if value >= look.threshold {
            work.pairs.push((i, position));
        } else {
            let lane = &mut look.lanes[position as usize % PANEL];
            *lane = lane.max(value);
        }
    }
    // A row's pairs together: they share its elements, and `dots::grouped` reads it once for many.
    work.pairs.sort_unstable();
    let pairs = &work.pairs;
    let of = |p: usize| {
        let query = pairs[p].0 as usize;
        (query, queries[query].row)
    };
    let vector = |p: usize| vectors.vector(pairs[p].1);
    dots::grouped(vectors.with, pairs.len(), of, vector, &mut work.values);
}

/// What is known before the f32 values come in.
fn start_of_answer(query: &Query<'_>, look: &Look) -> Answer {
    let best = match query.known {
        Some((index, value)) => Nearest { index, value },
        None => Nearest { index: 0, value: f32::NEG_INFINITY },
    };
    if !look.usable {
        return Answer { best, others: f32::INFINITY };
    }
    let passed_over = look.lanes.iter().fold(f32::NEG_INFINITY, |max, &lane| max.max(lane));
    Answer { best, others: passed_over + look.row.shift + look.row.error }
}
