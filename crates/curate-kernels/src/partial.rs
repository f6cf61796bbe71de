//! The best of many vectors for each row, looked for by heads, then by 8-bit integers of what is left,
//! and decided in f32.
//!
//! [`crate::axes`] bounds what the tails of two vectors can add to the product of their heads. What
//! that cannot rule out is looked at pair by pair with whole vectors as 8-bit integers, whose error is
//! bounded as in [`crate::integer`], then in f32 in the fastest order, and what is left is computed as a
//! chain. So the answer is that of the f32 search to the bit.

mod sieve;
mod state;

use crate::{
    dispatch, dots,
    found::Nearest,
    heads::{BlockHeads, Form},
    integer::{Answer, Query},
    kept,
    look::{self, Largest, Rows},
    quant::{self, GROUP, PANEL, Parts, QuantRows, ROWS},
    ruled::Ruled,
    tile::PackedRows,
    vnni,
};
use sieve::{Integer, leave_best, positions, sharpen};
use state::Look;
pub(crate) use state::Vectors;

/// So many pairs of a row are computed in f32 sooner than the row is turned into integers for them alone.
const FEW: usize = 3;

/// Whole rows as integers, where they are kept, and the place of each query's row among them.
pub(crate) type Whole<'a, 'b> = (&'a mut kept::Rows<'b, Parts>, &'a dyn Fn(usize) -> usize);

/// Room for a block of queries.
#[derive(Default)]
pub(crate) struct Workspace {
    /// The heads of the queries' rows.
    pub(crate) block: BlockHeads,
    looks: Vec<Look>,
    /// The same by tiles, for the kernels.
    rows: Vec<Rows>,
    /// What could be the best: by tile and panel, for each row the columns as bits.
    found: Vec<[u32; ROWS]>,
    /// The same of one query, by position.
    open: Vec<u32>,
    /// Query and position of the pairs to compute in f32, and their values.
    pairs: Vec<(u32, u32)>,
    values: Vec<f32>,
    integer: Integer,
}

/// Answers the queries of one block, whose heads lie in `work.block`, into `answers`. Queries come by
/// ascending limit; none is strict.
pub(crate) fn search(
    of: &Vectors<'_>,
    work: &mut Workspace,
    queries: &[Query<'_>],
    kept: Whole<'_, '_>,
    answers: &mut Vec<Answer>,
) -> Ruled {
    work.looks.clear();
    let heads = queries.iter().zip(&work.block.heads);
    work.looks.extend(heads.map(|(query, head)| Look::new(query, head, of)));
    put_rows(work, queries.len());
    let mut scan = Scan::new(of, work, queries.len());
    let guessed = match queries.iter().any(|query| query.known.is_none()) {
        true => guess(of, &mut scan, work, queries),
        false => 0,
    };
    look(of, &mut scan, work, queries);
    let mut ruled = count_pairs(of, queries);
    sieve(of, work, queries, kept, &mut ruled);
    decide(of, work, queries, answers);
    ruled.exact += work.pairs.len() as u64 + guessed;
    ruled.heads = ruled.pairs.saturating_sub(ruled.integers + ruled.exact);
    ruled
}

fn put_rows(work: &mut Workspace, count: usize) {
    work.rows.clear();
    work.rows.resize(count.div_ceil(ROWS), Rows::default());
    for (i, (look, head)) in work.looks.iter().zip(&work.block.heads).enumerate() {
        let rows = &mut work.rows[i / ROWS];
        if look.usable {
            rows.scale[i % ROWS] = look.row.scale;
            rows.tail[i % ROWS] = head.tail;
        }
    }
}

fn count_pairs(of: &Vectors<'_>, queries: &[Query<'_>]) -> Ruled {
    let count = |query: &Query<'_>| {
        let limit = query.limit.min(of.panels.count);
        // A value that is known already was computed by whoever asks.
        let known = query.known.is_some_and(|(position, _)| (position as usize) < limit);
        limit as u64 - u64::from(known)
    };
    Ruled { pairs: queries.iter().map(count).sum(), ..Ruled::default() }
}

/// The heads of a block of rows, packed for the kernels.
enum Scan {
    Integers(QuantRows, Vec<[i32; ROWS]>),
    Floats(PackedRows, Vec<crate::tile::Tile>),
}

/// The products of a tile of rows with a panel.
enum Products<'a> {
    Integers(&'a [[i32; PANEL]; ROWS]),
    Floats(&'a [[f32; PANEL]; ROWS]),
}

impl Scan {
    fn new(of: &Vectors<'_>, work: &Workspace, count: usize) -> Self {
        let size = of.panels.rotation.count;
        let q = &work.block.q[..count * size];
        match &of.panels.form {
            Form::Integer(..) => {
                let mut rows = QuantRows::default();
                rows.put_all(q, size);
                let mut starts = vec![[0; ROWS]; count.div_ceil(ROWS)];
                for (i, look) in work.looks.iter().enumerate() {
                    starts[i / ROWS][i % ROWS] = look.row.start;
                }
                Self::Integers(rows, starts)
            }
            Form::Float(_) => {
                let (mut rows, numbers) = (PackedRows::default(), q.iter().map(|&q| f32::from(q)));
                rows.pack(&numbers.collect::<Vec<f32>>(), size);
                let room = dispatch::room(&rows);
                Self::Floats(rows, room)
            }
        }
    }

    /// Hands the products of every tile with every panel to `each`, with the number of the panel and
    /// that of the tile. Queries come by ascending limit: tiles whose last one looks no further than
    /// where a panel begins are left out.
    fn each(
        &mut self,
        of: &Vectors<'_>,
        queries: &[Query<'_>],
        mut each: impl FnMut(usize, usize, Products<'_>),
    ) {
        let tiles = queries.len().div_ceil(ROWS);
        let skip = |first: usize| match queries.partition_point(|query| query.limit <= first) {
            all if all == queries.len() => tiles,
            some => some / ROWS,
        };
        match (self, &of.panels.form) {
            (Self::Integers(rows, starts), Form::Integer(kind, panels)) => {
                let mut tile: quant::Tile = [[0; PANEL]; ROWS];
                let groups = of.panels.rotation.count.div_ceil(GROUP).max(1);
                for (p, panel) in panels.chunks_exact(groups).enumerate() {
                    for (t, rows) in rows.tiles().enumerate().skip(skip(p * PANEL)) {
                        vnni::tile(*kind, rows, panel, &starts[t], &mut tile);
                        each(p, t, Products::Integers(&tile));
                    }
                }
            }
            (Self::Floats(rows, room), Form::Float(panels)) => {
                for (p, (first, _, panel)) in panels.iter().enumerate() {
                    let skip = skip(first);
                    if skip >= tiles {
                        break;
                    }
                    dispatch::tiles(of.with, panel, rows, skip, room);
                    room.iter().enumerate().skip(skip).for_each(|(t, tile)| {
                        each(p, t, Products::Floats(tile));
                    });
                }
            }
            _ => {}
        }
    }
}

/// Computes, for every query of which no value is known, that of the vector that looks best.
fn guess(of: &Vectors<'_>, scan: &mut Scan, work: &mut Workspace, queries: &[Query<'_>]) -> u64 {
    let mut largest = vec![Largest::default(); work.rows.len()];
    scan.each(of, queries, |p, t, products| {
        let (columns, rows, largest) = (of.panels.columns(p), &work.rows[t], &mut largest[t]);
        match products {
            Products::Integers(tile) => {
                look::largest_integers(of.with, tile, columns, rows, p as u32, largest);
            }
            Products::Floats(tile) => {
                look::largest_floats(of.with, tile, columns, rows, p as u32, largest);
            }
        }
    });
    let best = |i: usize| {
        let look = &work.looks[i];
        let position = largest[i / ROWS].position(i % ROWS)?;
        let open = look.usable && look.known.is_none() && (position as usize) < queries[i].limit;
        open.then_some((i, position))
    };
    let guessed: Vec<(usize, u32)> = (0..queries.len()).filter_map(best).collect();
    let pair = |g: usize| (queries[guessed[g].0].row, of.vector(guessed[g].1));
    dots::pairs(of.with, guessed.len(), pair, &mut work.values);
    let mut kept = 0;
    for (&(i, position), value) in guessed.iter().zip(&work.values) {
        let value = value + of.bias(position);
        if value > queries[i].above {
            work.looks[i].known = Some((position, value));
            kept += 1;
        }
    }
    kept
}

/// Finds what could be the best.
fn look(of: &Vectors<'_>, scan: &mut Scan, work: &mut Workspace, queries: &[Query<'_>]) {
    for (i, (look, query)) in work.looks.iter().zip(queries).enumerate() {
        let least = look.least(query) - look.row.shift - look.row.error;
        work.rows[i / ROWS].threshold[i % ROWS] = if look.usable { least } else { f32::INFINITY };
    }
    let panels = panels_of(of, queries);
    work.found.clear();
    work.found.resize(work.rows.len() * panels, [0; ROWS]);
    let (rows, found) = (&mut work.rows, &mut work.found);
    scan.each(of, queries, |p, t, products| {
        let (columns, rows, hits) =
            (of.panels.columns(p), &mut rows[t], &mut found[t * panels + p]);
        match products {
            Products::Integers(tile) => look::look(of.with, tile, columns, rows, hits),
            Products::Floats(tile) => look::look(of.with, tile, columns, rows, hits),
        }
    });
}

/// How many panels are looked at: those up to the limit of the last query.
fn panels_of(of: &Vectors<'_>, queries: &[Query<'_>]) -> usize {
    let limit = queries.last().map_or(0, |query| query.limit);
    limit.min(of.panels.count).div_ceil(PANEL)
}

/// Leaves in `work.pairs` what has to be computed in f32.
fn sieve(
    of: &Vectors<'_>,
    work: &mut Workspace,
    queries: &[Query<'_>],
    (kept, place): Whole<'_, '_>,
    ruled: &mut Ruled,
) {
    work.pairs.clear();
    let Workspace { looks, rows, found, open, pairs, values, integer, .. } = work;
    let panels = panels_of(of, queries);
    for (i, query) in queries.iter().enumerate() {
        let look = &mut looks[i];
        let known = look.known.map(|(position, _)| position);
        if !look.usable {
            // Whatever the heads said: every vector in f32.
            let all = 0..query.limit.min(of.panels.count) as u32;
            pairs.extend(all.filter(|&p| Some(p) != known).map(|position| (i as u32, position)));
            continue;
        }
        let own = panels_of(of, &queries[..=i]);
        positions(&found[i / ROWS * panels..][..own], i % ROWS, known, open);
        let passed =
            rows[i / ROWS].passed[i % ROWS].iter().fold(f32::NEG_INFINITY, |m, &p| m.max(p));
        look.others = passed + look.row.shift + look.row.error;
        let kept = kept::place(kept, place(i));
        if open.len() > if kept.is_some() { 0 } else { FEW } {
            let Integer { row, products } = integer;
            let row = row.take(of, query.row, kept);
            ruled.integers += sharpen(of, (query, row), look, products, open);
        }
        ruled.exact += leave_best(of, query, look, values, open);
        pairs.extend(open.iter().map(|&position| (i as u32, position)));
    }
}

/// Computes the pairs that are left and takes the best of each query.
fn decide(
    of: &Vectors<'_>,
    work: &mut Workspace,
    queries: &[Query<'_>],
    answers: &mut Vec<Answer>,
) {
    let pairs = &work.pairs;
    let row = |p: usize| (pairs[p].0 as usize, queries[pairs[p].0 as usize].row);
    let vector = |p: usize| of.vector(pairs[p].1);
    dots::grouped(of.with, pairs.len(), row, vector, &mut work.values);
    answers.clear();
    answers.extend(work.looks[..queries.len()].iter().map(|look| {
        let (index, value) = look.known.unwrap_or((0, f32::NEG_INFINITY));
        Answer { best: Nearest { index, value }, others: look.others }
    }));
    for (&(query, position), &value) in pairs.iter().zip(&work.values) {
        let eta = work.looks[query as usize].row.eta;
        let value = value + of.bias(position);
        let above = queries[query as usize].above;
        answers[query as usize]
            .take(Nearest { index: position, value }, above, eta, |p| of.index(p));
    }
}
