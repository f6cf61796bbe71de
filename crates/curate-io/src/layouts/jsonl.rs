//! JSON lines: an object for every row.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use curate_core::{
    fault::Fault,
    json::{Record, Value},
};

use crate::{
    error::IoError,
    json_lines::each_record,
    layout::{
        CAPTIONS, Certainty, Detail, KEYS, Layout, Names, Numbers, OpenShard, RowIds, ShardRows,
        Sign, caption_of,
    },
    shard::Sample,
};

/// The fields that may name a row, the first that a record has.
const NAMES: [&str; 5] = ["uid", KEYS[0], KEYS[1], KEYS[2], KEYS[3]];

pub(super) struct JsonLines;

impl Layout for JsonLines {
    fn name(&self) -> &'static str {
        "JSON lines"
    }

    fn signs(&self) -> &'static [Sign] {
        &[
            Sign { folder: "metadata", ending: "jsonl", certainty: Certainty::Beside },
            Sign { folder: "", ending: "jsonl", certainty: Certainty::Beside },
        ]
    }

    fn endings(&self) -> &'static [&'static str] {
        &["jsonl"]
    }

    fn inner_folder(&self) -> &'static str {
        "metadata"
    }

    fn open(&self, file: &Path) -> Result<(ShardRows, Box<dyn OpenShard>), IoError> {
        let (rows, notes) = read_rows(file)?;
        Ok((rows, Box::new(Lines { path: file.to_owned(), notes })))
    }

    fn reopen(&self, file: &Path, _: usize) -> Result<Box<dyn OpenShard>, IoError> {
        Ok(Box::new(Lines { path: file.to_owned(), notes: vec![] }))
    }
}

/// The ids of the rows, those without a caption, and what is wrong with records that cannot be read.
/// A file of which no record has a name has rows with numbers.
fn read_rows(file: &Path) -> Result<(ShardRows, Vec<String>), IoError> {
    let (mut names, mut named) = (Names::of(file), false);
    let mut bad = BadRecords::default();
    each_record(file, |row, line, record| {
        let record = match record {
            Ok(record) => record,
            Err(e) => {
                bad.add(|| format!("line {line} {e}"));
                return names.add_bad_record();
            }
        };
        let name = NAMES.into_iter().find_map(|field| Some((field, record.get(field)?)));
        match name {
            Some((field, value)) => names.add(field, value.name().as_deref()),
            None => names.add("uid", None),
        }
        named |= name.is_some();
        names.caption(row, caption_of(&record));
    })?;
    let mut found = names.finish();
    if !named {
        found.faults.retain(|&(_, fault)| fault != Fault::MalformedId);
        found.ids = RowIds::Numbered(found.ids.len());
    }
    Ok((found, bad.notes()))
}

/// How many records of a shard cannot be read, and what is wrong with the first.
#[derive(Default)]
pub(super) struct BadRecords {
    count: usize,
    first: String,
}

impl BadRecords {
    pub(super) fn add(&mut self, what: impl FnOnce() -> String) {
        if self.count == 0 {
            self.first = what();
        }
        self.count += 1;
    }

    pub(super) fn notes(self) -> Vec<String> {
        match self.count {
            0 => vec![],
            1 => vec![format!("{}; its row is quarantined", self.first)],
            more => vec![format!("{}; so are {} more, all quarantined", self.first, more - 1)],
        }
    }
}

struct Lines {
    path: PathBuf,
    notes: Vec<String>,
}

impl Lines {
    /// What `ask` makes of each record; `None` of one that cannot be read.
    fn each<T>(&self, ask: impl Fn(&Record<'_>) -> Option<T>) -> Result<Vec<Option<T>>, IoError> {
        let mut values = Vec::new();
        each_record(&self.path, |_, _, record| values.push(record.ok().as_ref().and_then(&ask)))?;
        Ok(values)
    }
}

impl OpenShard for Lines {
    fn path(&self) -> &Path {
        &self.path
    }

    /// Those that any record has.
    fn numeric_columns(&self) -> Result<Option<Vec<String>>, IoError> {
        let mut names = BTreeSet::new();
        each_record(&self.path, |_, _, record| {
            let Ok(record) = record else { return };
            // An id may be a number, but it is no score.
            let numbers = record.fields().filter(|(name, value)| {
                *name != "uid" && value.number().is_some() && !names.contains(*name)
            });
            let new: Vec<String> = numbers.map(|(name, _)| name.to_owned()).collect();
            names.extend(new);
        })?;
        Ok(Some(names.into_iter().collect()))
    }

    fn column(&self, name: &str) -> Result<Numbers, IoError> {
        Ok(Numbers::of(self.each(|record| record.get(name)?.number())?))
    }

    fn each_label(&self, field: &str, each: &mut dyn FnMut(Option<&str>)) -> Result<(), IoError> {
        each_record(&self.path, |_, _, record| {
            let name = record.as_ref().ok().and_then(|record| record.get(field)?.name());
            each(name.as_deref());
        })
    }

    fn samples(&self, rows: &[usize], _: Detail) -> Result<Vec<Sample>, IoError> {
        let mut samples = Vec::with_capacity(rows.len());
        each_record(&self.path, |row, _, record| {
            if rows.binary_search(&row).is_ok() {
                samples.push(record.map_or_else(|_| Sample::default(), |r| sample_of(&r)));
            }
        })?;
        Ok(samples)
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }
}

fn sample_of(record: &Record<'_>) -> Sample {
    let mut sample = Sample::default();
    for (name, value) in record.fields() {
        sample.fields.remove(name);
        if let Some(text) = value.shown() {
            sample.fields.insert(name.to_owned(), text);
        }
    }
    sample.caption = caption_of(record).map(str::to_owned);
    let is_caption = |name: &&str| {
        record.get(name).and_then(Value::text).is_some_and(|t| Some(t) == sample.caption.as_deref())
    };
    if let Some(name) = CAPTIONS.iter().find(|name| is_caption(name)) {
        sample.fields.remove(*name);
    }
    sample
}
