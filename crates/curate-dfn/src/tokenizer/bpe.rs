//! Byte-pair merges.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    io::Read,
};

use flate2::read::GzDecoder;

/// Merge pairs of adjacent tokens, the pair of the lowest rank first.
pub(crate) struct Merges {
    /// The token of each byte inside a word; at the end of a word it is 256 larger.
    bytes: [u32; 256],
    /// For a pair of tokens the merge's rank and the merged token.
    pairs: HashMap<(u32, u32), (u32, u32)>,
}

impl Merges {
    /// CLIP's merges.
    pub(crate) fn bundled() -> Self {
        const PACKED: &[u8] = include_bytes!("../../assets/bpe_merges.txt.gz");
        let mut text = String::new();
        GzDecoder::new(PACKED).read_to_string(&mut text).expect("the bundled vocabulary is whole");
        Self::parse(&text)
    }

    /// One merge a line, two symbols separated by a space, in rank order. Tokens are numbered as
    /// CLIP does: 256 bytes, 256 bytes at the end of a word, then the merged symbols.
    fn parse(text: &str) -> Self {
        let order: Vec<u8> = readable_bytes();
        let mut bytes = [0; 256];
        let mut tokens: HashMap<String, u32> = HashMap::new();
        for (token, &byte) in (0..).zip(&order) {
            bytes[usize::from(byte)] = token;
            let symbol = symbol(byte, token);
            tokens.insert(format!("{symbol}</w>"), token + 256);
            tokens.insert(symbol.to_string(), token);
        }
        let merges: Vec<(&str, &str)> = text.lines().filter_map(|l| l.split_once(' ')).collect();
        for (token, (left, right)) in (512..).zip(&merges) {
            tokens.insert(format!("{left}{right}"), token);
        }
        let mut pairs = HashMap::with_capacity(merges.len());
        for (rank, (left, right)) in (0..).zip(&merges) {
            let known = "a merge joins symbols of the vocabulary";
            let pair = (*tokens.get(*left).expect(known), *tokens.get(*right).expect(known));
            pairs.insert(pair, (rank, tokens[&format!("{left}{right}")]));
        }
        Self { bytes, pairs }
    }

    /// Appends the tokens of a word.
    pub(crate) fn encode(&self, word: &str, out: &mut Vec<u32>) {
        let mut tokens: Vec<u32> = word.bytes().map(|byte| self.bytes[usize::from(byte)]).collect();
        if let Some(last) = tokens.last_mut() {
            *last += 256;
        }
        // A scan for the best pair is the fastest for the few bytes of a word, a queue for others.
        if tokens.len() <= 48 {
            self.scan(&mut tokens)
        } else {
            self.queue(&mut tokens)
        }
        out.extend(tokens);
    }

    fn scan(&self, tokens: &mut Vec<u32>) {
        loop {
            let ranked = tokens.windows(2).enumerate().filter_map(|(at, pair)| {
                self.pairs.get(&(pair[0], pair[1])).map(|&(rank, merged)| (rank, at, merged))
            });
            let Some((_, at, merged)) = ranked.min() else { return };
            tokens[at] = merged;
            tokens.remove(at + 1);
        }
    }

    /// The same merges in the same order, in `n log n`.
    fn queue(&self, tokens: &mut Vec<u32>) {
        let n = tokens.len();
        let mut after: Vec<usize> = (1..=n).collect();
        let mut before: Vec<usize> = (0..n).map(|i| i.wrapping_sub(1)).collect();
        let mut gone = vec![false; n];
        let mut best = BinaryHeap::new();
        let rank = |left: u32, right: u32| self.pairs.get(&(left, right)).copied();
        for (at, pair) in tokens.windows(2).enumerate() {
            best.extend(rank(pair[0], pair[1]).map(|(r, _)| Reverse((r, at, pair[0], pair[1]))));
        }
        while let Some(Reverse((_, at, left, right))) = best.pop() {
            let next = after[at];
            // The neighbors may have been merged since the pair was queued.
            if gone[at] || next >= n || tokens[at] != left || tokens[next] != right {
                continue;
            }
            let Some((_, merged)) = rank(left, right) else { continue };
            tokens[at] = merged;
            gone[next] = true;
            after[at] = after[next];
            if after[at] < n {
                before[after[at]] = at;
                let right = tokens[after[at]];
                best.extend(rank(merged, right).map(|(r, _)| Reverse((r, at, merged, right))));
            }
            if before[at] < n {
                let left = tokens[before[at]];
                let pair = rank(left, merged);
                best.extend(pair.map(|(r, _)| Reverse((r, before[at], left, merged))));
            }
        }
        let mut gone = gone.into_iter();
        tokens.retain(|_| !gone.next().unwrap_or(false));
    }
}

/// The bytes in the order of CLIP's first tokens: those that print as themselves, then the others.
fn readable_bytes() -> Vec<u8> {
    let readable = |b: &u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let (mut first, others): (Vec<u8>, Vec<u8>) = (0..=255).partition(readable);
    first.extend(others);
    first
}

/// How the vocabulary writes a byte: readable ones as themselves, the n-th other as U+0100 + n.
fn symbol(byte: u8, token: u32) -> char {
    const READABLE: u32 = 188;
    if token < READABLE {
        char::from(byte)
    } else {
        char::from_u32(256 + token - READABLE).expect("a letter of Latin Extended-A")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_vocabulary_is_whole() {
        let merges = Merges::bundled();
        assert_eq!(merges.pairs.len(), 48_894);
        assert_eq!(merges.pairs.values().map(|p| p.1).max(), Some(crate::tokenizer::START - 1));
    }

    proptest! {
        #[test]
        fn queue_and_scan_agree(word in "[a-f]{1,60}|\\PC{1,40}|(the|ing|aa|ab){1,20}") {
            static MERGES: std::sync::LazyLock<Merges> =
                std::sync::LazyLock::new(Merges::bundled);
            let bytes = word.bytes().map(|b| MERGES.bytes[usize::from(b)]);
            let mut scanned: Vec<u32> = bytes.collect();
            *scanned.last_mut().unwrap() += 256;
            let mut queued = scanned.clone();
            MERGES.scan(&mut scanned);
            MERGES.queue(&mut queued);
            prop_assert_eq!(scanned, queued);
        }
    }
}
