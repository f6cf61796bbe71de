//! Which samples a batch holds.

use curate_core::{SampleId, random};
use serde::{Deserialize, Serialize};

/// In which order samples are seen. Either way exactly as many as asked for are seen, whatever the
/// selection's size: a small selection is seen more often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Every sample once, in a random order; then every sample once more, in another; and so on.
    #[default]
    Epochs,
    /// As DataComp trains (open_clip's `--dataset-resampled`): the selection is cut at random into shards of
    /// this many samples, the last one smaller; shards are drawn with replacement, and each is seen whole,
    /// in a random order. So some samples are seen often and some never.
    Shards(usize),
}

/// How often samples were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeats {
    /// Samples seen, repeats included.
    pub samples: u64,
    /// Different ones among them.
    pub distinct: usize,
    /// How often the most frequent one was seen.
    pub most: u64,
}

impl Repeats {
    /// Sums up how often each sample was seen.
    pub(crate) fn of(times: &[u64]) -> Self {
        Self {
            samples: times.iter().sum(),
            distinct: times.iter().filter(|times| **times > 0).count(),
            most: times.iter().copied().max().unwrap_or(0),
        }
    }
}

/// Positions in a selection of `n` samples, batch after batch without end.
pub(crate) struct Batches {
    n: usize,
    size: usize,
    order: Order,
    seed: u64,
    /// Epochs or shards that were begun.
    begun: u64,
    /// The selection in the order in which it is cut into shards.
    cut: Vec<usize>,
    queue: std::vec::IntoIter<usize>,
    batch: Vec<usize>,
}

impl Batches {
    /// `n` is at least 1.
    pub(crate) fn new(n: usize, size: usize, order: Order, seed: u64) -> Self {
        let seed = random::derive(seed, "batches");
        let cut = match order {
            Order::Epochs => Vec::new(),
            Order::Shards(_) => shuffled(n, random::derive(seed, "shards")),
        };
        let (queue, batch) = (Vec::new().into_iter(), Vec::with_capacity(size));
        Self { n, size, order, seed, begun: 0, cut, queue, batch }
    }

    pub(crate) fn next_batch(&mut self) -> &[usize] {
        self.batch.clear();
        while self.batch.len() < self.size {
            match self.queue.next() {
                Some(next) => self.batch.push(next),
                None => self.queue = self.refill().into_iter(),
            }
        }
        &self.batch
    }

    fn refill(&mut self) -> Vec<usize> {
        let seed = random::derive(self.seed, &self.begun.to_string());
        let draw = SampleId::from(u128::from(self.begun));
        self.begun += 1;
        let Order::Shards(size) = self.order else { return shuffled(self.n, seed) };
        let shards = self.n.div_ceil(size);
        let drawn = (random::unit(self.seed, draw) * shards as f64) as usize;
        let shard = &self.cut[drawn * size..self.n.min((drawn + 1) * size)];
        shuffled(shard.len(), seed).into_iter().map(|at| shard[at]).collect()
    }
}

/// How often each of `n` samples is seen in so many steps.
pub(crate) fn times_seen(n: usize, size: usize, order: Order, seed: u64, steps: usize) -> Vec<u64> {
    let mut times = vec![0; n];
    if n == 0 {
        return times;
    }
    let mut batches = Batches::new(n, size, order, seed);
    for _ in 0..steps {
        batches.next_batch().iter().for_each(|&at| times[at] += 1);
    }
    times
}

fn shuffled(n: usize, seed: u64) -> Vec<usize> {
    let mut keyed: Vec<(u64, usize)> =
        (0..n).map(|i| (random::hash(seed, SampleId::from(i as u128)), i)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, i)| i).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(n: usize, size: usize, order: Order, steps: usize) -> Vec<usize> {
        let mut batches = Batches::new(n, size, order, 0);
        (0..steps).flat_map(|_| batches.next_batch().to_vec()).collect()
    }

    #[test]
    fn every_epoch_sees_every_sample_once() {
        let seen = seen(10, 4, Order::Epochs, 5);
        for epoch in seen.chunks(10) {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(seen[..10], seen[10..], "each epoch has its own order");
    }

    #[test]
    fn a_small_selection_fills_its_batches_with_repeats() {
        let seen = seen(3, 7, Order::Epochs, 3);
        assert_eq!(seen.len(), 21);
        assert_eq!(times_seen(3, 7, Order::Epochs, 0, 3), [7; 3]);
    }

    #[test]
    fn shards_are_seen_whole_and_drawn_with_replacement() {
        let order = Order::Shards(5);
        let seen = seen(23, 5, order, 400);
        let mut batches = Batches::new(23, 5, order, 0);
        let shards: Vec<Vec<usize>> = (0..100).map(|_| batches.refill()).collect();
        assert!(seen.starts_with(&shards.concat()[..200]));
        let mut kinds: Vec<Vec<usize>> = shards.clone();
        kinds.iter_mut().for_each(|shard| shard.sort_unstable());
        let (first, repeated) =
            (kinds[0].clone(), kinds.iter().filter(|s| **s == kinds[0]).count());
        assert!(first.len() <= 5 && repeated > 1, "drawn again");
        kinds.sort();
        kinds.dedup();
        assert_eq!(kinds.len(), 5, "the same five shards");
        assert_eq!(kinds.concat().len(), 23, "each sample in one of them");
        let times = times_seen(23, 5, order, 0, 400);
        assert_eq!(times.iter().sum::<u64>(), 2000);
        assert!(times.iter().max() > times.iter().min(), "some are seen more often");
    }

    #[test]
    fn few_draws_leave_samples_unseen() {
        let times = times_seen(1000, 10, Order::Shards(10), 1, 100);
        let never = times.iter().filter(|t| **t == 0).count();
        // A shard is missed with probability (1 - 1/100)^100, about 1/e.
        assert!((200..550).contains(&never), "{never}");
    }
}
