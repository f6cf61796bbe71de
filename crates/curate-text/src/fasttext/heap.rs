//! The k best labels, with ties broken as fastText breaks them.
//!
//! fastText keeps the best labels in a binary heap of the C++ standard library. Which of several
//! equal labels survive, and in which order, follows from how that library moves entries, so
//! `std::collections::BinaryHeap` would answer differently on ties. The moves here are libstdc++'s:
//! the hole sinks to a leaf, each time toward the smaller child (of two equals the right one), and
//! the value rises from there.

/// A label and the logarithm of its probability.
pub(super) type Scored = (f32, usize);

pub(super) struct Best {
    k: usize,
    heap: Vec<Scored>,
}

impl Best {
    pub(super) fn new(k: usize) -> Self {
        Self { k, heap: Vec::new() }
    }

    /// Whether k scores are held and all are above this one.
    pub(super) fn is_hopeless(&self, score: f32) -> bool {
        self.heap.len() == self.k && score < self.heap[0].0
    }

    pub(super) fn push(&mut self, entry: Scored) {
        self.heap.push(entry);
        let last = self.heap.len() - 1;
        rise(&mut self.heap, last, entry);
        if self.heap.len() > self.k {
            pop(&mut self.heap);
            self.heap.pop();
        }
    }

    /// The entries, best first.
    pub(super) fn into_sorted(mut self) -> Vec<Scored> {
        for end in (2..=self.heap.len()).rev() {
            pop(&mut self.heap[..end]);
        }
        self.heap
    }
}

/// Puts `value` in its place on the way from `hole` to the root, which holds the lowest score.
fn rise(heap: &mut [Scored], mut hole: usize, value: Scored) {
    while hole > 0 && heap[(hole - 1) / 2].0 > value.0 {
        heap[hole] = heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    heap[hole] = value;
}

/// Moves the root to the end and makes the rest a heap again.
fn pop(heap: &mut [Scored]) {
    let Some(end) = heap.len().checked_sub(1).filter(|&end| end > 0) else { return };
    let value = heap[end];
    heap[end] = heap[0];
    let mut hole = 0;
    loop {
        let (left, right) = (2 * hole + 1, 2 * hole + 2);
        let child = if right < end {
            if heap[right].0 > heap[left].0 { left } else { right }
        } else if left < end {
            left
        } else {
            break;
        };
        heap[hole] = heap[child];
        hole = child;
    }
    rise(&mut heap[..end], hole, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_first_and_the_later_of_two_equals_wins_the_only_place() {
        let mut best = Best::new(1);
        [(0.5, 0), (0.5, 1), (0.4, 2)].into_iter().for_each(|entry| best.push(entry));
        assert!(best.is_hopeless(0.4) && !best.is_hopeless(0.5));
        assert_eq!(best.into_sorted(), [(0.5, 1)]);

        let mut best = Best::new(3);
        [(0.1, 0), (0.9, 1), (0.4, 2), (0.7, 3)].into_iter().for_each(|entry| best.push(entry));
        assert_eq!(best.into_sorted(), [(0.9, 1), (0.7, 3), (0.4, 2)]);
    }
}
