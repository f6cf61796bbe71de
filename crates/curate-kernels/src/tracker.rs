//! The protocol of bounds that are valid only when nothing is left out: see [`crate::track`].

use crate::{
    Centroids, Nearest,
    kept::KeptRows,
    plan::{self, Plan},
    ruled::Ruled,
    track::Tracked,
    vnni::{self, Integers},
};

/// Nearest centroids of the same rows again and again, while the centroids move between passes.
///
/// A pass hands all rows to [`Tracker::nearest`], a few at a time and always in the same order; then
/// [`Tracker::move_to`] moves the centroids. The answers are those of [`Centroids::nearest`] at every
/// pass, to the bit, whatever was left out in the passes before: what is known of rows only saves
/// work. It takes 12 bytes a row. Where a few numbers along the widest axes rule most centroids out
/// ([`Ruled`] says so), rows are kept in 8 bits as well, by these numbers and whole, in at most 256 MiB.
///
/// ```
/// use curate_kernels::{Centroids, Nearest, Tracker};
///
/// let rows = [0.0, 1.0, 1.0, 0.0];
/// let mut tracker = Tracker::new(Centroids::new(&[1.0, 0.0, 0.0, 1.0], 2, None), 2);
/// let mut nearest = [Nearest::default(); 2];
/// tracker.nearest(&rows, &mut nearest);
/// assert_eq!(nearest[0].index, 1);
/// tracker.move_to(&[0.5, 0.75, 0.0, 0.5], None);
/// tracker.nearest(&rows, &mut nearest);
/// assert_eq!((nearest[0].index, nearest[0].value), (0, 0.75));
/// ```
pub struct Tracker {
    centroids: Centroids,
    rows: Vec<Tracked>,
    /// Rows that this pass has seen; those from here on are as the pass before left them.
    seen: usize,
    /// The first pass has a centroid for each row that may be near.
    supposed: bool,
    /// No row that is known lies farther from the center of the bounds.
    reach: f32,
    kind: Option<Integers>,
    plan: Plan,
    ruled: Ruled,
}

impl Tracker {
    /// Tracks so many rows, of which nothing is known yet.
    pub fn new(centroids: Centroids, rows: usize) -> Self {
        Self {
            centroids,
            rows: vec![Tracked::UNKNOWN; rows],
            seen: 0,
            supposed: false,
            reach: 0.0,
            kind: vnni::integers(),
            plan: Plan::default(),
            ruled: Ruled::default(),
        }
    }

    /// The most bytes that a tracker of so many rows of length `dim` holds for them.
    pub fn bytes(rows: usize, centroids: usize, dim: usize) -> usize {
        let kept = match plan::longest(rows, centroids, dim) {
            0 => 0,
            count => KeptRows::bytes(rows, count, dim),
        };
        rows.saturating_mul(size_of::<Tracked>()).saturating_add(kept)
    }

    /// What decided the pairs of all passes so far.
    pub fn ruled(&self) -> Ruled {
        let mut ruled = self.ruled;
        ruled += self.plan.ruled;
        ruled
    }

    /// Tells of a centroid for each row that is near it, if all goes well: the first pass then begins with that
    /// one. No answer depends on it.
    ///
    /// # Panics
    /// When rows have been searched for already, or there is not a centroid for each row.
    pub fn suppose(&mut self, nearest: &[u32]) {
        assert!(self.seen == 0 && self.ruled() == Ruled::default(), "before the first pass");
        assert_eq!(nearest.len(), self.rows.len(), "one centroid for each row");
        let count = self.centroids.bias.len();
        assert!(nearest.iter().all(|&index| (index as usize) < count), "centroids that there are");
        self.rows.iter_mut().zip(nearest).for_each(|(row, &n)| *row = Tracked::supposed(n));
        (self.supposed, self.plan.settled) = (true, true);
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
            if self.seen == 0 {
                self.begin(vectors);
            }
            let count = out.len().min(self.rows.len() - self.seen);
            let (now, later) = out.split_at_mut(count);
            let known = &mut self.rows[self.seen..][..count];
            let kept = self.plan.kept.part(self.seen, count);
            let (reach, ruled) =
                self.centroids.track(&vectors[..count * dim], (known, self.supposed), kept);
            self.reach = self.reach.max(reach);
            self.plan.ruled += ruled;
            let known = &self.rows[self.seen..][..count];
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
        self.rows[self.seen..].fill(Tracked::UNKNOWN);
        self.supposed = false;
        self.ruled += self.plan.end(self.kind, self.centroids.dim);
        let how = (self.kind, self.plan.rotation.as_ref());
        self.centroids = self.centroids.moved_with(how, vectors, bias, self.reach);
        self.seen = 0;
    }

    /// The first rows of a pass are there: what they and the centroids are like decides how to look.
    fn begin(&mut self, vectors: &[f32]) {
        if self.plan.begin(self.kind, &self.centroids, self.rows.len(), vectors) {
            let rotation = self.plan.rotation.as_ref();
            self.centroids.pack_again((self.kind, rotation));
            let (rows, dim) = (self.rows.len(), self.centroids.dim);
            self.plan.kept =
                rotation.map_or_else(KeptRows::default, |r| KeptRows::new(rows, r.count, dim));
        }
    }

    /// A pass over centroids that did not move. The growth of the last move is spent.
    fn stay(&mut self) {
        let (vectors, bias) = (self.centroids.vectors.clone(), self.centroids.bias.clone());
        self.move_to(&vectors, Some(&bias));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{numbers::numbers, reference};

    /// Passes that leave rows out, go round twice or end in the middle of a call.
    #[test]
    fn no_order_of_calls_gives_another_answer_than_a_search() {
        let (n, k, dim) = (200, 80, 33);
        // Some rows lie far from the others, so that a reach without them would be too small.
        let mut rows = numbers(n * dim, 1);
        rows[150 * dim..].iter_mut().for_each(|x| *x *= 20.0);
        let kinds = vnni::available().into_iter().map(Some).chain([None]);
        for (kind, always) in kinds.flat_map(|kind| [(kind, None), (kind, Some(8))]) {
            let mut now = numbers(k * dim, 2);
            let fresh = Tracker::new(Centroids::with(kind, &now, dim, None), n);
            let mut tracker = Tracker { kind, ..fresh };
            tracker.plan.always = always;
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
                tracker.move_to(&now, None);
            }
            assert_eq!(tracker.ruled().heads > 0, always.is_some());
        }
    }

    /// `n` rows near `groups` centers, along few of many axes.
    fn groups(n: usize, groups: usize, dim: usize) -> Vec<f32> {
        let (centers, noise) = (numbers(groups * dim, 5), numbers(n * dim, 6));
        let row = |i: usize| {
            let center = centers[i % groups * dim..].iter().zip(&noise[i * dim..]);
            center.enumerate().take(dim).map(|(t, (c, x))| (c + 0.3 * x) / (1 + t) as f32)
        };
        (0..n).flat_map(row).collect()
    }

    #[test]
    fn heads_are_chosen_where_the_spectrum_falls_and_not_where_it_does_not() {
        let (n, k, dim) = (9_000, 1_000, 128);
        for (rows, heads) in [(groups(n, 300, dim), true), (numbers(n * dim, 7), false)] {
            for kind in [vnni::integers(), None] {
                let now = &rows[..k * dim];
                let fresh = Tracker::new(Centroids::with(kind, now, dim, None), n);
                let mut tracker = Tracker { kind, ..fresh };
                let mut out = vec![Nearest::default(); n];
                for _ in 0..2 {
                    tracker.nearest(&rows, &mut out);
                    tracker.move_to(now, None);
                }
                let ruled = tracker.ruled();
                assert_eq!(ruled.heads > ruled.pairs / 4, heads, "{kind:?} {ruled:?}");
                assert_eq!(ruled.pairs, 2 * (n * k) as u64);
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
