//! Attention of one sequence.

use crate::{
    dispatch,
    elementwise::softmax_columns,
    panels::Panels,
    tile::{Lanes, PANEL, PackedRows, ROWS, Tile},
};

/// Softmax attention, head after head, and its working memory.
///
/// The scores are computed as keys x queries, 32 queries side by side. So the softmax goes down
/// the columns, and what it leaves is already packed for the product with the values.
#[derive(Default)]
pub struct Attention {
    keys: PackedRows,
    values: PackedRows,
    queries: Panels,
    scores: Vec<Tile>,
    shares: Vec<Lanes>,
    mixed: Vec<Tile>,
}

impl Attention {
    /// `softmax(Q K^T / sqrt(d)) V` for each of `heads` heads of `d = width / heads` numbers. `qkv`
    /// holds for each token query, key and value, `width` numbers each; `out` gets `width` numbers a
    /// token. Where it is `causal` a token sees itself and those before it. The bytes depend on
    /// nothing but the sequence. Runs on the calling thread.
    ///
    /// # Panics
    /// When the lengths do not fit each other.
    pub fn apply(
        &mut self,
        qkv: &[f32],
        width: usize,
        heads: usize,
        causal: bool,
        out: &mut [f32],
    ) {
        let head = width.checked_div(heads).unwrap_or(0);
        let tokens = out.len().checked_div(width).unwrap_or(0);
        assert_eq!((qkv.len(), out.len()), (tokens * width * 3, tokens * width), "whole tokens");
        assert_eq!(head * heads, width, "whole heads");
        for first in (0..width).step_by(head.max(1)).take_while(|_| tokens > 0) {
            self.queries.pack_strided(&qkv[first..], 3 * width, head);
            self.keys.pack_strided(&qkv[width + first..], 3 * width, head);
            self.values.pack_columns(&qkv[2 * width + first..], 3 * width, head);
            self.head(tokens, causal, width, &mut out[first..]);
        }
    }

    /// One head; its numbers go to the beginning of every `width` numbers of `out`.
    fn head(&mut self, tokens: usize, causal: bool, width: usize, out: &mut [f32]) {
        let with = dispatch::instructions();
        let head = self.queries.dim();
        let scale = (head as f32).sqrt().recip();
        let (keys, values) = (tokens.div_ceil(ROWS), head.div_ceil(ROWS));
        self.scores.resize(keys, [[0.0; PANEL]; ROWS]);
        self.mixed.resize(values, [[0.0; PANEL]; ROWS]);
        for (first, real, queries) in self.queries.iter() {
            dispatch::tiles(with, queries, &self.keys, 0, &mut self.scores);
            let scores = &mut self.scores.as_flattened_mut()[..tokens];
            let seen = if causal { first + 1 } else { tokens };
            softmax_columns(with, scores, seen, scale);
            self.shares.clear();
            self.shares.extend(scores.iter().map(|&row| Lanes(row)));
            dispatch::tiles(with, &self.shares, &self.values, 0, &mut self.mixed);
            let mixed = &self.mixed.as_flattened()[..head];
            for (c, out) in out[first * width..].chunks_mut(width).take(real).enumerate() {
                for (out, mixed) in out.iter_mut().zip(mixed) {
                    *out = mixed[c];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{numbers::numbers, reference::dot};

    /// Attention in double precision.
    fn reference(qkv: &[f32], width: usize, heads: usize, causal: bool) -> Vec<f64> {
        let tokens: Vec<&[f32]> = qkv.chunks_exact(3 * width).collect();
        let head = width / heads;
        let mut out = Vec::new();
        for (t, token) in tokens.iter().enumerate() {
            for h in 0..heads {
                let seen = &tokens[..if causal { t + 1 } else { tokens.len() }];
                let part = |token: &[f32], p: usize| token[p * width + h * head..][..head].to_vec();
                let score = |key: &&[f32]| {
                    f64::from(dot(&part(token, 0), &part(key, 1))) / (head as f64).sqrt()
                };
                let weights: Vec<f64> = seen.iter().map(|key| score(key).exp()).collect();
                let sum: f64 = weights.iter().sum();
                out.extend((0..head).map(|d| {
                    let of = |(w, v): (&f64, &&[f32])| w * f64::from(part(v, 2)[d]) / sum;
                    weights.iter().zip(seen).map(of).sum::<f64>()
                }));
            }
        }
        out
    }

    #[test]
    fn it_is_the_softmax_of_the_products_times_the_values() {
        let mut attention = Attention::default();
        for (tokens, width, heads) in [(1, 3, 1), (5, 12, 3), (50, 64, 1), (77, 30, 2)] {
            for causal in [false, true] {
                let qkv = numbers(tokens * 3 * width, 1);
                let mut out = vec![0.0; tokens * width];
                attention.apply(&qkv, width, heads, causal, &mut out);
                for (found, expected) in out.iter().zip(reference(&qkv, width, heads, causal)) {
                    assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} {expected}");
                }
            }
        }
        attention.apply(&[], 4, 2, false, &mut []);
    }

    #[test]
    fn a_token_that_is_not_seen_changes_nothing() {
        let (width, mut attention) = (8, Attention::default());
        let qkv = numbers(40 * 3 * width, 2);
        let mut all = vec![0.0; 40 * width];
        attention.apply(&qkv, width, 2, true, &mut all);
        let mut some = vec![0.0; 33 * width];
        attention.apply(&qkv[..33 * 3 * width], width, 2, true, &mut some);
        assert_eq!(all[..some.len()], some);
    }
}
