//! The lines of the index, exception and data files (formats: WordNet's wndb(5)).

use super::{Pos, Synset, WordNetError};
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::Path;

/// The suffixes of the files, in the order in which NLTK tries the parts of speech.
const CLASSES: [(&str, Pos); 4] =
    [("noun", Pos::Noun), ("verb", Pos::Verb), ("adj", Pos::Adjective), ("adv", Pos::Adverb)];
/// Far more than the longest line of WordNet (about 15 kB). Bounds the memory that a file without
/// line feeds can take.
const LONGEST_LINE: u64 = 1 << 20;

/// The most frequent synset of each lemma in each class.
pub(super) type Entries = HashMap<Box<str>, [Option<Synset>; 4]>;

/// Calls `use_line` with each line of a file. An error gets the file and the line, from 1.
fn for_lines(
    path: &Path,
    mut use_line: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), WordNetError> {
    let io = |source| WordNetError::Io { path: path.to_owned(), source };
    let mut file = BufReader::new(crate::open(path).map_err(io)?);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let taken = std::io::Read::take(&mut file, LONGEST_LINE).read_until(b'\n', &mut bytes);
        if taken.map_err(io)? == 0 {
            break;
        }
        let text = match std::str::from_utf8(&bytes) {
            Ok(_) if bytes.len() as u64 == LONGEST_LINE => Err("the line is too long".to_owned()),
            Ok(text) => Ok(text),
            Err(_) => Err("the line is not UTF-8".to_owned()),
        };
        text.and_then(&mut use_line).map_err(|problem| WordNetError::Line {
            path: path.to_owned(),
            line,
            problem,
        })?;
    }
    Ok(())
}

/// The offsets of satellite adjectives, and the version that the license at the top names.
pub(super) fn satellites(path: &Path) -> Result<(HashSet<u32>, Option<String>), WordNetError> {
    let mut satellites = HashSet::new();
    let mut version = None;
    for_lines(path, |line| {
        if line.starts_with(' ') {
            version = version.take().or_else(|| named_version(line));
            return Ok(());
        }
        let mut fields = line.split_ascii_whitespace();
        if let (Some(offset), Some("s")) = (fields.next(), fields.nth(1)) {
            satellites.insert(number(Some(offset), "synset_offset")?);
        }
        Ok(())
    })?;
    Ok((satellites, version))
}

fn named_version(line: &str) -> Option<String> {
    let (_, after) = line.split_once("WordNet ")?;
    let (version, _) = after.split_once(" Copyright")?;
    Some(version.to_owned())
}

pub(super) fn entries(folder: &Path, satellites: &HashSet<u32>) -> Result<Entries, WordNetError> {
    let mut entries = Entries::new();
    for (class, (suffix, pos)) in CLASSES.into_iter().enumerate() {
        for_lines(&folder.join(format!("index.{suffix}")), |line| {
            if line.starts_with(' ') {
                return Ok(());
            }
            let (lemma, offset) = index_line(line, pos)?;
            let satellite = pos == Pos::Adjective && satellites.contains(&offset);
            let pos = if satellite { Pos::AdjectiveSatellite } else { pos };
            entries.entry(lemma.into()).or_default()[class] = Some(Synset { offset, pos });
            Ok(())
        })?;
    }
    Ok(entries)
}

/// `lemma pos synset_cnt p_cnt [ptr_symbol…] sense_cnt tagsense_cnt synset_offset…`: the lemma and
/// its first offset.
fn index_line(line: &str, pos: Pos) -> Result<(&str, u32), String> {
    let mut fields = line.split_ascii_whitespace();
    let lemma = fields.next().ok_or("the line is empty")?;
    let found = fields.next().unwrap_or_default();
    if !found.chars().eq([pos.letter()]) {
        return Err(format!("field `pos` must be {}, found {found:?}", pos.letter()));
    }
    let synsets = number(fields.next(), "synset_cnt")?;
    let pointers = number(fields.next(), "p_cnt")?;
    let mut fields = fields.skip(pointers as usize);
    let senses = number(fields.next(), "sense_cnt")?;
    if synsets == 0 || senses != synsets {
        return Err(format!("field `sense_cnt` must be synset_cnt, {synsets}, found {senses}"));
    }
    number(fields.next(), "tagsense_cnt")?;
    let first = number(fields.next(), "synset_offset")?;
    let others = fields.try_fold(0_u32, |count, field| {
        number(Some(field), "synset_offset").map(|_| count.saturating_add(1))
    })?;
    if others < synsets - 1 {
        return Err(format!("{synsets} offsets were declared, found {}", others + 1));
    }
    Ok((lemma, first))
}

fn number(field: Option<&str>, name: &str) -> Result<u32, String> {
    let text = field.ok_or_else(|| format!("field `{name}` is missing"))?;
    text.parse().map_err(|_| format!("field `{name}` must be a number, found {text:?}"))
}

type Exceptions = HashMap<Box<str>, Vec<Box<str>>>;

/// The irregular forms of each class and their base forms.
pub(super) fn exceptions(folder: &Path) -> Result<[Exceptions; 4], WordNetError> {
    let mut all: [Exceptions; 4] = Default::default();
    for (exceptions, (suffix, _)) in all.iter_mut().zip(CLASSES) {
        for_lines(&folder.join(format!("{suffix}.exc")), |line| {
            let mut fields = line.split_ascii_whitespace().map(Box::from);
            if let Some(form) = fields.next() {
                exceptions.insert(form, fields.collect());
            }
            Ok(())
        })?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_lines_are_checked_field_by_field() {
        let good = "be v 2 3 ! @ ~ 2 1 02604760 02616386  \n";
        assert_eq!(index_line(good, Pos::Verb), Ok(("be", 2_604_760)));
        for (line, part) in [
            ("", "empty"),
            ("be n 1 0 1 0 1", "`pos`"),
            ("be v x 0 1 0 1", "`synset_cnt`"),
            ("be v 1 99999 ! 1 0 1", "`sense_cnt`"),
            ("be v 0 0 0 0", "`sense_cnt`"),
            ("be v 1 0 1", "`tagsense_cnt`"),
            ("be v 1 0 1 0", "`synset_offset`"),
            ("be v 1 0 1 0 -5", "`synset_offset`"),
            ("be v 2 0 2 0 5", "declared"),
            ("be v 1 0 1 0 4294967296", "`synset_offset`"),
        ] {
            let problem = index_line(line, Pos::Verb).unwrap_err();
            assert!(problem.contains(part), "{line:?}: {problem}");
        }
    }
}
