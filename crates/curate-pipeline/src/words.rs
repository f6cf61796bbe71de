//! What captions are about, in a few words.

use std::collections::{BTreeMap, BTreeSet};

/// Words shown.
const WORDS: usize = 4;

/// Words that say nothing of what a picture shows.
const COMMON: &[&str] = &[
    "and", "are", "but", "das", "der", "des", "die", "ein", "eine", "est", "for", "from", "has",
    "have", "her", "his", "how", "image", "its", "les", "mit", "new", "not", "our", "out", "para",
    "photo", "picture", "por", "pour", "que", "she", "that", "the", "their", "this", "und", "une",
    "von", "was", "what", "when", "with", "you", "your",
];

/// The words that captions of each group have and captions of other groups do not, most telling first:
/// by the number of the group's captions that have a word, times the logarithm of how rare it is among
/// groups. Equal words come in the order of the alphabet.
pub(crate) fn telling(groups: &[Vec<&str>]) -> Vec<Vec<String>> {
    let counts: Vec<BTreeMap<String, usize>> = groups.iter().map(|group| counts(group)).collect();
    let mut spread: BTreeMap<&str, usize> = BTreeMap::new();
    for word in counts.iter().flat_map(BTreeMap::keys) {
        *spread.entry(word).or_default() += 1;
    }
    let all = groups.len() as f64;
    let rank = |of: &BTreeMap<String, usize>| {
        // One caption alone says little of a group that has more.
        let several = of.values().any(|&count| count > 1);
        let enough = of.iter().filter(|&(_, &count)| count > 1 || !several);
        let weight =
            |word: &str, count: usize| count as f64 * (1.0 + all / spread[word] as f64).ln();
        let mut words: Vec<(f64, &String)> =
            enough.map(|(word, &count)| (weight(word, count), word)).collect();
        words.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        words.into_iter().take(WORDS).map(|(_, word)| word.clone()).collect()
    };
    counts.iter().map(rank).collect()
}

/// In how many captions each word occurs.
fn counts(captions: &[&str]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for caption in captions {
        for word in words(caption) {
            *counts.entry(word).or_default() += 1;
        }
    }
    counts
}

fn words(caption: &str) -> BTreeSet<String> {
    let lower = caption.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric());
    let telling = |word: &&str| {
        let long = word.chars().take(3).count() == 3;
        long && !word.chars().all(|c| c.is_numeric()) && COMMON.binary_search(word).is_err()
    };
    words.filter(telling).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_told_by_what_the_others_do_not_say() {
        let cats = vec!["A photo of a cat", "Cat, asleep", "the black cat on a table"];
        let cars = vec!["red car", "A table and a car", "car 2019"];
        let found = telling(&[cats, cars, vec![]]);
        assert_eq!(found[0], ["cat"]);
        assert_eq!(found[1], ["car"]);
        assert!(found[2].is_empty());
        // A group of one caption is told by that.
        assert_eq!(telling(&[vec!["Zürich by night, 1900"]])[0], ["night", "zürich"]);
    }

    #[test]
    fn common_words_are_sorted_for_the_search() {
        assert!(COMMON.is_sorted());
    }
}
