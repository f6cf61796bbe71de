//! The best few of many centroids for each row.

use rayon::prelude::*;

use crate::{
    Centroids, Nearest, dispatch,
    nearest::{BLOCK, add_bias},
    packed::FloatPanels,
    tile::PackedRows,
};

impl Centroids {
    /// Writes the `l` best centroids of each row into `out`, best first, ties to the lower index:
    /// `out` holds `l` answers a row, one row after the other. Where there are fewer than `l`
    /// centroids, or a row has a NaN, the rest has the value `-inf`. Runs on all threads of the
    /// current pool.
    ///
    /// # Panics
    /// When the lengths do not fit each other.
    pub fn top(&self, rows: &[f32], l: usize, out: &mut [Nearest]) {
        let count = rows.len().checked_div(self.dim).unwrap_or(0);
        assert_eq!(
            (rows.len(), out.len()),
            (count * self.dim, count * l),
            "l answers for each row"
        );
        if l == 0 {
            return;
        }
        let floats = FloatPanels::pack(&self.vectors, &self.bias, self.dim, &[]);
        out.par_chunks_mut(BLOCK * l)
            .zip(rows.par_chunks((BLOCK * self.dim).max(1)))
            .for_each(|(out, rows)| top_of_block(&floats, rows, l, out));
    }
}

fn top_of_block(floats: &FloatPanels, rows: &[f32], l: usize, out: &mut [Nearest]) {
    let mut packed = PackedRows::default();
    packed.pack(rows, floats.panels.dim());
    let mut tiles = dispatch::room(&packed);
    out.fill(Nearest { index: 0, value: f32::NEG_INFINITY });
    for (first, real, panel) in floats.panels.iter() {
        let bias = floats.bias(first);
        dispatch::tiles(dispatch::instructions(), panel, &packed, 0, &mut tiles);
        let products = tiles.as_flattened_mut().iter_mut();
        for (products, best) in products.zip(out.chunks_exact_mut(l)) {
            if add_bias(products, bias) > best[l - 1].value {
                let columns = products[..real].iter().enumerate();
                columns.for_each(|(c, &value)| insert(best, (first + c) as u32, value));
            }
        }
    }
}

/// Puts a value behind all that are as large, and drops the last.
fn insert(best: &mut [Nearest], index: u32, value: f32) {
    // A NaN is no better than anything.
    if best.last().is_some_and(|last| value > last.value) {
        let place = best.partition_point(|b| b.value >= value);
        best[place..].rotate_right(1);
        best[place] = Nearest { index, value };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{numbers::numbers, reference};

    #[test]
    fn the_best_few_are_those_of_a_full_sort() {
        for (n, k, dim) in [(1, 3, 2), (100, 70, 33), (30, 200, 40)] {
            let (rows, mut centroids, bias) =
                (numbers(n * dim, 1), numbers(k * dim, 2), numbers(k, 3));
            // Some centroids are equal.
            centroids.copy_within(0..dim, (k - 1) * dim);
            for bias in [None, Some(&bias[..])] {
                let search = Centroids::new(&centroids, dim, bias);
                for l in [1, 4, k + 2] {
                    let mut out = vec![Nearest::default(); n * l];
                    search.top(&rows, l, &mut out);
                    for (row, found) in rows.chunks(dim).zip(out.chunks(l)) {
                        assert_eq!(found, sorted(row, &centroids, dim, bias, l), "{n} {k} {l}");
                    }
                }
            }
        }
        Centroids::new(&[1.0, 2.0], 2, None).top(&[3.0, 4.0], 0, &mut []);
    }

    fn sorted(
        row: &[f32],
        centroids: &[f32],
        dim: usize,
        bias: Option<&[f32]>,
        l: usize,
    ) -> Vec<Nearest> {
        let value = |(j, c)| reference::dot(row, c) + bias.map_or(0.0, |bias| bias[j]);
        let mut all: Vec<Nearest> = (centroids.chunks(dim).enumerate())
            .map(|(j, c)| Nearest { index: j as u32, value: value((j, c)) })
            .collect();
        all.sort_by(|a, b| b.value.total_cmp(&a.value).then(a.index.cmp(&b.index)));
        all.resize(l.max(all.len()), Nearest { index: 0, value: f32::NEG_INFINITY });
        all.truncate(l);
        all
    }

    #[test]
    fn a_nan_row_has_none() {
        let mut out = [Nearest::default(); 4];
        Centroids::new(&[1.0, 0.0], 1, None).top(&[f32::NAN, 2.0], 2, &mut out);
        assert!(out[..2].iter().all(|n| n.value == f32::NEG_INFINITY));
        assert_eq!(out[2..].iter().map(|n| n.value).collect::<Vec<_>>(), [2.0, 0.0]);
    }
}
