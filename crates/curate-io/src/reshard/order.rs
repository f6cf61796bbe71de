//! Which sample comes at each place of the output.

use std::ops::Range;

use curate_core::{SampleId, random};

use super::{options::Shuffle, scan::Source};

/// Which copy of which sample comes at each place of the output.
pub(super) struct Order<'a> {
    sources: &'a [Source],
    /// The first place in input order of each source, and the number of places at the end.
    starts: Vec<usize>,
    /// The place in input order of each place of the output, where they differ.
    shuffled: Option<Vec<usize>>,
}

impl<'a> Order<'a> {
    pub(super) fn new(sources: &'a [Source], shuffle: Option<Shuffle>) -> Self {
        let copies =
            |source: &Source| source.picked.iter().map(|p| p.copies as usize).sum::<usize>();
        let mut starts = vec![0];
        starts.extend(sources.iter().scan(0, |end, source| {
            *end += copies(source);
            Some(*end)
        }));
        let total = starts[sources.len()];
        Self { sources, starts, shuffled: shuffle.map(|shuffle| shuffle.order(total)) }
    }

    pub(super) fn len(&self) -> usize {
        self.starts[self.sources.len()]
    }

    /// The source, the sample and the number of the copy at each of these places of the output, in
    /// order.
    pub(super) fn at(&self, places: Range<usize>) -> Vec<(usize, usize, u32)> {
        let mut wanted: Vec<(usize, usize)> = match &self.shuffled {
            Some(shuffled) => places.map(|place| (shuffled[place], place)).collect(),
            None => places.map(|place| (place, place)).collect(),
        };
        // One walk along the samples of each source finds all copies.
        wanted.sort_unstable();
        let mut found = Vec::with_capacity(wanted.len());
        let (mut source, mut sample, mut end) = (usize::MAX, 0, 0);
        for (from, place) in wanted {
            let source_now = self.starts.partition_point(|&start| start <= from) - 1;
            if source_now != source {
                (source, sample) = (source_now, 0);
                end = self.starts[source] + self.sources[source].picked[0].copies as usize;
            }
            while end <= from {
                sample += 1;
                end += self.sources[source].picked[sample].copies as usize;
            }
            let copies = self.sources[source].picked[sample].copies;
            let before_end = u32::try_from(end - from).expect("at most the number of copies");
            found.push((place, (source, sample, copies - before_end)));
        }
        found.sort_unstable_by_key(|&(place, _)| place);
        found.into_iter().map(|(_, copy)| copy).collect()
    }
}

impl Shuffle {
    /// The order in which a buffer lets `total` samples out.
    fn order(self, total: usize) -> Vec<usize> {
        let draw = |n: usize, below: usize| {
            (random::hash(self.seed, SampleId(n as u128)) % below as u64) as usize
        };
        let mut out = Vec::with_capacity(total);
        let mut waiting: Vec<usize> = Vec::new();
        for place in 0..total {
            if waiting.len() < self.buffer.max(1) {
                waiting.push(place);
            } else {
                let chosen = draw(out.len(), waiting.len());
                out.push(std::mem::replace(&mut waiting[chosen], place));
            }
        }
        while !waiting.is_empty() {
            let chosen = draw(out.len(), waiting.len());
            out.push(waiting.swap_remove(chosen));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{
        reshard::scan::Picked,
        stamp::{Input, Stamp},
    };

    #[test]
    fn a_shuffle_buffer_lets_everything_out_once_and_nothing_early() {
        for (total, buffer) in [(0, 4), (3, 10), (100, 7), (50, 1), (40, 0)] {
            let shuffle = Shuffle { buffer, seed: 3 };
            let order = shuffle.order(total);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..total).collect::<Vec<_>>());
            // When the n-th sample goes out, at most n + buffer samples have come in.
            assert!(order.iter().enumerate().all(|(n, &place)| place < n + buffer.max(1)));
            assert_eq!(order, shuffle.order(total));
        }
        let order = |seed| Shuffle { buffer: 20, seed }.order(100);
        assert_ne!(order(1), order(2));
        assert_ne!(order(1), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn every_copy_has_its_place() {
        let stamp = Stamp { bytes: 0, sample: String::new(), sha256: None };
        let source = |copies: &[u32]| Source {
            tar: PathBuf::new(),
            name: String::new(),
            input: Input { file: String::new(), modified: 0, stamp: stamp.clone() },
            picked: copies.iter().map(|&copies| Picked { bytes: 0..0, copies }).collect(),
        };
        let sources = [source(&[2, 1]), source(&[]), source(&[1, 3])];
        let order = Order::new(&sources, None);
        assert_eq!(order.len(), 7);
        let all = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (2, 0, 0), (2, 1, 0), (2, 1, 1), (2, 1, 2)];
        for from in 0..=7 {
            for to in from..=7 {
                assert_eq!(order.at(from..to), all[from..to]);
            }
        }
        let mixed = Order::new(&sources, Some(Shuffle { buffer: 3, seed: 1 }));
        let expected: Vec<_> =
            mixed.shuffled.clone().unwrap().into_iter().map(|place| all[place]).collect();
        assert_eq!(mixed.at(0..7), expected);
        assert_eq!(mixed.at(2..5), expected[2..5]);
    }
}
