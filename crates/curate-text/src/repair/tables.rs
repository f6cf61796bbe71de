//! The tables of ftfy, as `data/tables.py` writes them.

use std::collections::HashMap;

use super::version::Ftfy;

/// What stands for a character.
pub(super) type Mapping = HashMap<char, String>;

/// Mojibake, one alternative of the regular expression a line.
pub(super) fn badness(ftfy: Ftfy) -> &'static str {
    match ftfy {
        Ftfy::V6_1 | Ftfy::V6_2 => include_str!("data/badness-6.2.txt"),
        Ftfy::V6_3 => include_str!("data/badness.txt"),
    }
}

/// What stands for a ligature.
pub(super) fn ligatures() -> Mapping {
    mapping(include_str!("data/ligatures.txt"))
}

/// The usual form of characters of other widths.
pub(super) fn widths() -> Mapping {
    mapping(include_str!("data/width.txt"))
}

/// The characters of HTML's names, without `&` and `;`.
pub(super) fn entities() -> HashMap<&'static str, String> {
    let lines = include_str!("data/entities.txt").lines();
    lines.filter_map(|line| line.split_once(' ')).map(|(name, to)| (name, text(to))).collect()
}

/// Encodings of one byte, in the order in which they are tried: names, and the characters of bytes
/// from 0x80.
pub(super) fn encodings() -> Vec<(&'static str, Vec<char>)> {
    let lines = include_str!("data/encodings.txt").lines();
    lines.filter_map(|l| l.split_once(' ')).map(|(n, to)| (n, text(to).chars().collect())).collect()
}

/// For each set of characters that UTF-8 becomes in other encodings its ranges.
pub(super) fn clues(ftfy: Ftfy) -> Vec<Vec<(char, char)>> {
    let range = |part: &str| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        Some((character(low)?, character(high)?))
    };
    let lines = match ftfy {
        Ftfy::V6_1 | Ftfy::V6_2 => include_str!("data/clues-6.2.txt"),
        Ftfy::V6_3 => include_str!("data/clues.txt"),
    };
    lines.lines().map(|line| line.split(' ').skip(1).filter_map(range).collect()).collect()
}

fn mapping(lines: &str) -> Mapping {
    let entry = |line: &str| {
        let (from, to) = line.split_once(' ')?;
        Some((character(from)?, text(to)))
    };
    lines.lines().filter_map(entry).collect()
}

fn text(numbers: &str) -> String {
    numbers.split(' ').filter_map(character).collect()
}

fn character(hexadecimal: &str) -> Option<char> {
    u32::from_str_radix(hexadecimal, 16).ok().and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_whole() {
        assert_eq!((ligatures().len(), widths().len(), entities().len()), (22, 226, 3501));
        assert!(encodings().iter().all(|(_, high)| high.len() == 128));
        assert_eq!(encodings().len(), 10);
        assert_eq!(Ftfy::ALL.map(|ftfy| clues(ftfy).len()), [5; 3]);
        assert_eq!(Ftfy::ALL.map(|ftfy| badness(ftfy).lines().count()), [35, 35, 37]);
    }
}
