//! Attention of many sequences, and what flows back through it, on all threads.

use rayon::prelude::*;

use crate::{
    Attention,
    dispatch::{self, dispatched},
    elementwise::softmax_columns,
    panels::Panels,
    tile::{Lanes, PANEL, PackedRows, ROWS, Tile},
};

/// Sequences of as many tokens each, and how their tokens attend to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequences {
    /// Tokens of a sequence.
    pub tokens: usize,
    /// Numbers of a token.
    pub width: usize,
    /// Heads, which share the width.
    pub heads: usize,
    /// Whether a token sees only itself and those before it.
    pub causal: bool,
}

impl Sequences {
    /// Numbers of a sequence.
    fn numbers(self) -> usize {
        self.tokens * self.width
    }

    fn check(self, qkv: &[f32]) {
        let whole = self.numbers() > 0 && qkv.len().is_multiple_of(3 * self.numbers());
        assert!(whole, "whole sequences");
        assert!(self.heads > 0 && self.width.is_multiple_of(self.heads), "whole heads");
    }

    fn head(self) -> usize {
        self.width / self.heads
    }
}

/// [`Attention::apply`] to every sequence of `qkv`: each token has query, key and value, `width` numbers
/// each; of the answer it has `width` numbers.
///
/// # Panics
/// When there are no whole sequences or heads.
pub fn attention(qkv: &[f32], of: Sequences) -> Vec<f32> {
    of.check(qkv);
    let mut out = vec![0.0; qkv.len() / 3];
    let sequences = out.par_chunks_mut(of.numbers()).zip(qkv.par_chunks(3 * of.numbers()));
    sequences.for_each_init(Attention::default, |attention, (out, qkv)| {
        attention.apply(qkv, of.width, of.heads, of.causal, out);
    });
    out
}

/// What flows back through [`attention`]: the gradient by `qkv`. The shares are computed again, which is
/// cheaper than keeping them.
///
/// # Panics
/// When there are no whole sequences or heads, or `gradient` is not as long as the answer.
pub fn attention_backward(qkv: &[f32], gradient: &[f32], of: Sequences) -> Vec<f32> {
    of.check(qkv);
    assert_eq!(qkv.len(), 3 * gradient.len(), "one gradient a number of the answer");
    let mut out = vec![0.0; qkv.len()];
    let ins = qkv.par_chunks(3 * of.numbers()).zip(gradient.par_chunks(of.numbers()));
    let sequences = out.par_chunks_mut(3 * of.numbers()).zip(ins);
    sequences.for_each_init(Backward::default, |backward, (out, (qkv, gradient))| {
        for first in (0..of.width).step_by(of.head()) {
            backward.head(qkv, gradient, of, first, out);
        }
    });
    out
}

/// The working memory of a thread. Shares and their slopes lie as keys x queries, [`PANEL`] queries side by
/// side.
#[derive(Default)]
struct Backward {
    queries: Panels,
    gradients: Panels,
    keys: PackedRows,
    values: PackedRows,
    key_columns: PackedRows,
    shares: Vec<Tile>,
    slopes: Vec<Tile>,
    lanes: Vec<Lanes>,
    found: Vec<Tile>,
    /// Of all queries: `tokens x tokens`, a key a row.
    all_shares: Vec<f32>,
    all_slopes: Vec<f32>,
    rows: PackedRows,
}

impl Backward {
    /// One head, whose numbers begin at `first` of each token's query, key and value.
    ///
    /// With shares `P = softmax(Q K^T s)`, answers `O = P V` and their gradient `G`: by the shares `G V^T`;
    /// by the scores `D = P (G V^T - rowsum(P G V^T)) s`; by the queries `D K`, by the keys `D^T Q`, by the
    /// values `P^T G`.
    fn head(
        &mut self,
        qkv: &[f32],
        gradient: &[f32],
        of: Sequences,
        first: usize,
        out: &mut [f32],
    ) {
        let (width, tokens, head) = (of.width, of.tokens, of.head());
        self.queries.pack_strided(&qkv[first..], 3 * width, head);
        self.keys.pack_strided(&qkv[width + first..], 3 * width, head);
        self.key_columns.pack_columns(&qkv[width + first..], 3 * width, head);
        self.values.pack_strided(&qkv[2 * width + first..], 3 * width, head);
        self.gradients.pack_strided(&gradient[first..], width, head);
        self.all_shares.resize(tokens * tokens, 0.0);
        self.all_slopes.resize(tokens * tokens, 0.0);
        self.by_queries(of, first, out);
        let queries = Panels::pack_columns(qkv, 3 * width, first, head);
        self.rows.pack(&self.all_slopes, tokens);
        self.store(&queries, (width + first, 3 * width), tokens, out);
        let gradients = Panels::pack_columns(gradient, width, first, head);
        self.rows.pack(&self.all_shares, tokens);
        self.store(&gradients, (2 * width + first, 3 * width), tokens, out);
    }

    /// The gradient by the queries; keeps shares and slopes.
    fn by_queries(&mut self, of: Sequences, first: usize, out: &mut [f32]) {
        let (with, tokens, head) = (dispatch::instructions(), of.tokens, of.head());
        let scale = (head as f32).sqrt().recip();
        let room = [[0.0; PANEL]; ROWS];
        self.shares.resize(tokens.div_ceil(ROWS), room);
        self.slopes.resize(tokens.div_ceil(ROWS), room);
        self.found.resize(head.div_ceil(ROWS), room);
        let panels = self.queries.iter().zip(self.gradients.iter());
        for ((at, real, queries), (_, _, gradients)) in panels {
            dispatch::tiles(with, queries, &self.keys, 0, &mut self.shares);
            let shares = &mut self.shares.as_flattened_mut()[..tokens];
            softmax_columns(with, shares, if of.causal { at + 1 } else { tokens }, scale);
            dispatch::tiles(with, gradients, &self.values, 0, &mut self.slopes);
            let slopes = &mut self.slopes.as_flattened_mut()[..tokens];
            to_scores(with, shares, slopes, scale);
            let kept = self.all_shares.chunks_exact_mut(tokens).zip(&*shares);
            kept.for_each(|(all, some)| all[at..at + real].copy_from_slice(&some[..real]));
            let kept = self.all_slopes.chunks_exact_mut(tokens).zip(&*slopes);
            kept.for_each(|(all, some)| all[at..at + real].copy_from_slice(&some[..real]));
            self.lanes.clear();
            self.lanes.extend(slopes.iter().map(|&row| Lanes(row)));
            dispatch::tiles(with, &self.lanes, &self.key_columns, 0, &mut self.found);
            let found = &self.found.as_flattened()[..head];
            let queries = out.chunks_exact_mut(3 * of.width).skip(at).take(real);
            for (c, out) in queries.enumerate() {
                out[first..].iter_mut().zip(found).for_each(|(out, found)| *out = found[c]);
            }
        }
    }

    /// Stores the products of `rows` with `panels`, a token each, from column `first` of `stride` on.
    fn store(
        &mut self,
        panels: &Panels,
        (first, stride): (usize, usize),
        tokens: usize,
        out: &mut [f32],
    ) {
        let with = dispatch::instructions();
        for (at, real, panel) in panels.iter() {
            dispatch::tiles(with, panel, &self.rows, 0, &mut self.shares);
            let found = &self.shares.as_flattened()[..tokens];
            for (out, found) in out.chunks_exact_mut(stride).zip(found) {
                out[first + at..][..real].copy_from_slice(&found[..real]);
            }
        }
    }
}

dispatched! {
    /// Gradients by the shares become those by the scores, down each column.
    fn to_scores = to_scores_any(shares: &[[f32; PANEL]], slopes: &mut [[f32; PANEL]], scale: f32)
}

#[inline(always)]
fn to_scores_any(shares: &[[f32; PANEL]], slopes: &mut [[f32; PANEL]], scale: f32) {
    let mut sums = [0.0_f32; PANEL];
    for (shares, slopes) in shares.iter().zip(&*slopes) {
        for ((sum, share), slope) in sums.iter_mut().zip(shares).zip(slopes) {
            *sum = share.mul_add(*slope, *sum);
        }
    }
    for (shares, slopes) in shares.iter().zip(slopes) {
        for ((slope, share), sum) in slopes.iter_mut().zip(shares).zip(&sums) {
            *slope = share * (*slope - sum) * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::numbers;

    /// The answers times `up`, of one sequence in double precision.
    fn value(qkv: &[f64], up: &[f32], of: Sequences) -> f64 {
        let token = |t: usize| &qkv[t * 3 * of.width..][..3 * of.width];
        let part =
            |t: usize, p: usize, h: usize| &token(t)[p * of.width + h * of.head()..][..of.head()];
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut total = 0.0;
        for (t, h) in (0..of.tokens).flat_map(|t| (0..of.heads).map(move |h| (t, h))) {
            let seen = if of.causal { t + 1 } else { of.tokens };
            let scale = (of.head() as f64).sqrt().recip();
            let power = |k: usize| (dot(part(t, 0, h), part(k, 1, h)) * scale).exp();
            let sum: f64 = (0..seen).map(power).sum();
            let up: Vec<f64> = up[t * of.width + h * of.head()..][..of.head()]
                .iter()
                .map(|x| f64::from(*x))
                .collect();
            total += (0..seen).map(|k| power(k) / sum * dot(part(k, 2, h), &up)).sum::<f64>();
        }
        total
    }

    #[test]
    fn gradients_are_the_slopes_of_the_definition() {
        for (tokens, width, heads) in [(1, 2, 1), (5, 6, 2), (40, 36, 1)] {
            for causal in [false, true] {
                let of = Sequences { tokens, width, heads, causal };
                let (qkv, up) = (numbers(6 * of.numbers(), 1), numbers(2 * of.numbers(), 2));
                let found = attention_backward(&qkv, &up, of);
                let answers = attention(&qkv, of);
                for s in 0..2 {
                    let qkv = &qkv[3 * s * of.numbers()..][..3 * of.numbers()];
                    let qkv: Vec<f64> = qkv.iter().map(|x| f64::from(*x)).collect();
                    let part = s * of.numbers()..(s + 1) * of.numbers();
                    let (up, answers) = (&up[part.clone()], &answers[part]);
                    let sum: f64 = answers.iter().zip(up).map(|(a, u)| f64::from(a * u)).sum();
                    assert!((sum - value(&qkv, up, of)).abs() < 1e-4);
                    for j in (0..qkv.len()).step_by(1 + qkv.len() / 97) {
                        let moved = |by: f64| {
                            let mut moved = qkv.clone();
                            moved[j] += by;
                            value(&moved, up, of)
                        };
                        let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                        let found = f64::from(found[3 * s * of.numbers() + j]);
                        assert!((found - expected).abs() < 1e-5, "{of:?} {j}: {found} {expected}");
                    }
                }
            }
        }
    }
}
