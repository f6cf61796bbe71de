//! The checksum of a stored array, compared on the way: rows are read in any order, and as soon as all
//! of them were read once, their sums are put together.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
};

use crc32fast::Hasher;

/// Shorter reads are of single rows, picked here and there: they do not add up to an array.
const SHORTEST: usize = 1 << 12;

/// Stretches that were read and do not touch each other yet; of more no sum is kept.
const MOST_STRETCHES: usize = 1 << 12;

const OPEN: u8 = 0;
const RIGHT: u8 = 1;
const WRONG: u8 = 2;

/// The sum that a file promises of an array, and the sums of what was read of it so far.
#[derive(Debug)]
pub(crate) struct Checksum {
    /// What it is of, for an error.
    pub(crate) what: String,
    promised: u32,
    /// Of the bytes before the data.
    header: Hasher,
    /// Bytes of data.
    length: u64,
    state: AtomicU8,
    /// Where a stretch that was read begins; where it ends, and its sum.
    read: Mutex<BTreeMap<u64, (u64, Hasher)>>,
}

impl Checksum {
    pub(crate) fn new(what: String, promised: u32, header: Hasher, length: u64) -> Self {
        let (state, read) = (AtomicU8::new(OPEN), Mutex::default());
        Self { what, promised, header, length, state, read }
    }

    /// The sum of a read that begins, where it is of use.
    pub(crate) fn start(&self, bytes: usize) -> Option<Hasher> {
        let useful = bytes >= SHORTEST || bytes as u64 == self.length;
        (useful && self.state.load(Ordering::Relaxed) == OPEN).then(Hasher::new)
    }

    /// Adds the sum of so many bytes from `at` on.
    pub(crate) fn add(&self, at: u64, bytes: usize, sum: Hasher) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut start, mut end, mut sum) = (at, at + bytes as u64, sum);
        let before = read.range(..end).next_back().map(|(&start, (end, _))| (start, *end));
        match before {
            // Read before, at least in part.
            Some((_, before)) if before > start => return,
            Some((first, before)) if before == start => {
                if let Some((_, mut joined)) = read.remove(&first) {
                    joined.combine(&sum);
                    (start, sum) = (first, joined);
                }
            }
            _ => {}
        }
        if let Some((after, next)) = read.remove(&end) {
            sum.combine(&next);
            end = after;
        }
        if start == 0 && end == self.length {
            let mut whole = self.header.clone();
            whole.combine(&sum);
            let right = whole.finalize() == self.promised;
            self.state.store(if right { RIGHT } else { WRONG }, Ordering::Relaxed);
            read.clear();
        } else if read.len() < MOST_STRETCHES {
            read.insert(start, (end, sum));
        }
    }

    /// True once all bytes were read and they are others than the file promises.
    pub(crate) fn is_wrong(&self) -> bool {
        self.state.load(Ordering::Relaxed) == WRONG
    }
}

/// Hands bytes on and sums them up.
pub(crate) struct Summed<R> {
    pub(crate) inner: R,
    pub(crate) sum: Hasher,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.sum.update(&buffer[..n]);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum_of(bytes: &[u8]) -> Hasher {
        let mut sum = Hasher::new();
        sum.update(bytes);
        sum
    }

    /// Data of 8 stretches behind a header, read in this order.
    fn read(order: &[usize], flipped: bool) -> Checksum {
        let mut data: Vec<u8> = (0..8 * SHORTEST).map(|i| (i * i % 251) as u8).collect();
        let whole = sum_of(&[b"header", &data[..]].concat()).finalize();
        data[5 * SHORTEST + 3] ^= u8::from(flipped);
        let checksum = Checksum::new(String::new(), whole, sum_of(b"header"), data.len() as u64);
        for &stretch in order {
            let at = stretch * SHORTEST;
            if let Some(mut sum) = checksum.start(SHORTEST) {
                sum.update(&data[at..at + SHORTEST]);
                checksum.add(at as u64, SHORTEST, sum);
            }
        }
        checksum
    }

    #[test]
    fn any_order_of_all_stretches_finds_a_changed_byte() {
        for order in [[0, 1, 2, 3, 4, 5, 6, 7], [7, 0, 6, 1, 5, 2, 4, 3], [1, 0, 3, 2, 7, 5, 4, 6]]
        {
            assert!(read(&order, true).is_wrong(), "{order:?}");
            let right = read(&order, false);
            assert!(!right.is_wrong() && right.start(SHORTEST).is_none(), "{order:?}");
        }
        let again = read(&[0, 1, 1, 0, 2, 3, 3, 2, 4, 5, 6, 5, 7], true);
        assert!(again.is_wrong(), "what is read twice counts once");
        assert!(!read(&[0, 1, 2, 3, 4, 6, 7], true).is_wrong(), "what nobody read nobody knows");
        assert!(read(&[], true).start(SHORTEST - 1).is_none());
    }
}
