//! Two selections side by side.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use curate_core::SampleId;
use curate_io::subset;
use serde::Serialize;

use crate::{Error, manifest::Manifest};

/// How two selections overlap.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Ids in the first selection.
    pub first: usize,
    /// Ids in the second.
    pub second: usize,
    /// Ids in both.
    pub both: usize,
    /// `both / either`; 1 for two empty selections.
    pub jaccard: f64,
    /// Some ids that only the first has, ascending.
    pub only_first: Vec<SampleId>,
    /// Some ids that only the second has, ascending.
    pub only_second: Vec<SampleId>,
    /// What differs between the settings of two runs, stage by stage; empty for files.
    pub settings: Vec<String>,
}

/// Ids shown of each side.
const SHOWN: usize = 5;

/// Compares two runs, or two subset files, or one of each. Repeats in a file count once.
///
/// # Errors
/// When either is no finished run and no subset file.
pub fn compare(first: &Path, second: &Path) -> Result<Comparison, Error> {
    let (mut a, mut b) = (selected(first)?, selected(second)?);
    a.dedup();
    b.dedup();
    let only = |a: &[SampleId], b: &[SampleId]| {
        a.iter().filter(|id| b.binary_search(id).is_err()).copied().collect::<Vec<_>>()
    };
    let (only_a, only_b) = (only(&a, &b), only(&b, &a));
    let both = a.len() - only_a.len();
    let either = both + only_a.len() + only_b.len();
    let shown = |ids: Vec<SampleId>| ids.into_iter().take(SHOWN).collect();
    Ok(Comparison {
        first: a.len(),
        second: b.len(),
        both,
        jaccard: if either == 0 { 1.0 } else { both as f64 / either as f64 },
        only_first: shown(only_a),
        only_second: shown(only_b),
        settings: settings(first, second)?,
    })
}

/// The subset file of a finished run, or the path itself where that is a file.
///
/// # Errors
/// When a folder holds no finished run, or one that wrote no subset file.
pub fn subset_file(path: &Path) -> Result<PathBuf, Error> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let manifest = Manifest::of_run(path)?;
    let file = manifest.outputs.keys().find(|name| name.starts_with("subset."));
    file.map(|file| path.join(file)).ok_or_else(|| {
        let problem = "wrote no subset file: name one under `output.formats`".to_owned();
        Error::Run { folder: path.to_owned(), problem }
    })
}

/// The sorted ids of a finished run or a subset file, repeats included.
///
/// # Errors
/// When it is neither.
pub fn selected(path: &Path) -> Result<Vec<SampleId>, Error> {
    Ok(subset::read_sorted(&subset_file(path)?)?)
}

fn settings(first: &Path, second: &Path) -> Result<Vec<String>, Error> {
    if !first.is_dir() || !second.is_dir() {
        return Ok(vec![]);
    }
    let (a, b) = (Manifest::of_run(first)?, Manifest::of_run(second)?);
    let mut differences = Vec::new();
    if a.pool.digest != b.pool.digest {
        differences.push("the pools differ".to_owned());
    }
    if a.seed != b.seed {
        differences.push(format!("seed: {} and {}", a.seed, b.seed));
    }
    let by_name = |manifest: &Manifest| -> BTreeMap<String, serde_json::Value> {
        manifest.stages.iter().map(|s| (s.name.clone(), s.settings.clone())).collect()
    };
    let (a, b) = (by_name(&a), by_name(&b));
    for (name, settings) in &a {
        match b.get(name) {
            None => differences.push(format!("stage `{name}`: only in the first")),
            Some(other) => differences.extend(fields(name, settings, other)),
        }
    }
    for name in b.keys().filter(|name| !a.contains_key(*name)) {
        differences.push(format!("stage `{name}`: only in the second"));
    }
    Ok(differences)
}

fn fields(stage: &str, a: &serde_json::Value, b: &serde_json::Value) -> Vec<String> {
    let empty = serde_json::Map::new();
    let (a, b) = (a.as_object().unwrap_or(&empty), b.as_object().unwrap_or(&empty));
    let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let show = |v: Option<&serde_json::Value>| v.map_or("absent".to_owned(), |v| v.to_string());
    keys.into_iter()
        .filter(|key| a.get(*key) != b.get(*key))
        .map(|key| format!("stage `{stage}`, {key}: {} and {}", show(a.get(key)), show(b.get(key))))
        .collect()
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
        writeln!(f, "first        {:>10}", self.first)?;
        writeln!(f, "second       {:>10}", self.second)?;
        writeln!(
            f,
            "in both      {:>10}   {:.1} % of the first, {:.1} % of the second",
            self.both,
            share(self.both, self.first),
            share(self.both, self.second)
        )?;
        writeln!(f, "only first   {:>10}", self.first - self.both)?;
        writeln!(f, "only second  {:>10}", self.second - self.both)?;
        writeln!(f, "Jaccard      {:>10.4}", self.jaccard)?;
        let sides = [
            ("first", &self.only_first, self.first - self.both),
            ("second", &self.only_second, self.second - self.both),
        ];
        for (label, ids, all) in sides {
            for id in ids {
                writeln!(f, "  only in the {label}: {id}")?;
            }
            if all > ids.len() {
                writeln!(f, "  only in the {label}: {} more ids", all - ids.len())?;
            }
        }
        for difference in &self.settings {
            writeln!(f, "  {difference}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use curate_io::subset::SubsetFormat;

    use super::*;

    #[test]
    fn overlap_is_counted_once_for_repeats() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.npy"), folder.path().join("b.txt"));
        subset::write(&a, SubsetFormat::Npy, &[1, 2, 2, 3].map(SampleId)).unwrap();
        subset::write(&b, SubsetFormat::Ids, &[3, 4].map(SampleId)).unwrap();
        let found = compare(&a, &b).unwrap();
        assert_eq!((found.first, found.second, found.both), (3, 2, 1));
        assert!((found.jaccard - 0.25).abs() < 1e-12);
        assert_eq!(found.only_first, [1, 2].map(SampleId));
        let none = compare(&folder.path().join("no.npy"), &a).unwrap_err();
        assert!(none.to_string().contains("no.npy: does not exist"), "{none}");
    }

    #[test]
    fn a_list_that_is_cut_says_how_many_more_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.npy"), folder.path().join("b.npy"));
        let ids: Vec<SampleId> = (0..9).map(SampleId).collect();
        subset::write(&a, SubsetFormat::Npy, &ids).unwrap();
        subset::write(&b, SubsetFormat::Npy, &ids[..1]).unwrap();
        let said = compare(&a, &b).unwrap().to_string();
        assert_eq!(said.matches("only in the first: 0000").count(), SHOWN);
        assert!(said.contains("only in the first: 3 more ids"), "{said}");
        assert!(!said.contains("only in the second:"), "{said}");
    }
}
