//! JSON lines: an object for every row.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use curate_core::fault::Fault;
use serde_json::Value;

use crate::{
    error::IoError,
    layout::{
        CAPTIONS, Certainty, Detail, KEYS, Layout, Names, Numbers, OpenShard, RowIds, ShardRows,
        Sign,
    },
    shard::Sample,
};

/// No record is longer; a line that is, is damage or an attack.
const LONGEST_LINE: u64 = 16 << 20;

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
        Ok((read_rows(file)?, Box::new(Lines(file.to_owned()))))
    }
}

/// The ids of the rows, and those without a caption. The first record says whether rows have names.
fn read_rows(file: &Path) -> Result<ShardRows, IoError> {
    let (mut names, mut named) = (Names::of(file), true);
    each_record(file, |row, record| {
        let text = |name: &str| record.get(name).map(|v| v.as_str().map(str::to_owned));
        let id = ["uid"].into_iter().chain(KEYS).find_map(|key| Some((key, text(key)?)));
        match id {
            Some((key, value)) => names.add(key, value.as_deref()),
            None => names.add("uid", None),
        }
        named &= row > 0 || id_named(&record);
        let caption = CAPTIONS.into_iter().find_map(|name| text(name).flatten());
        names.caption(row, caption.as_deref());
        Ok(())
    })?;
    let mut found = names.finish();
    if !named {
        found.faults.retain(|&(_, fault)| fault != Fault::MalformedId);
        found.ids = RowIds::Numbered(found.ids.len());
    }
    Ok(found)
}

struct Lines(PathBuf);

impl OpenShard for Lines {
    fn path(&self) -> &Path {
        &self.0
    }

    /// Those of the first record.
    fn numeric_columns(&self) -> Result<Option<Vec<String>>, IoError> {
        let mut names = Vec::new();
        each_record(&self.0, |row, record| {
            if row == 0 {
                let numbers = record.into_iter().filter(|(_, value)| value.is_number());
                names = numbers.map(|(name, _)| name).collect();
            }
            Ok(())
        })?;
        Ok(Some(names))
    }

    fn column(&self, name: &str) -> Result<Numbers, IoError> {
        let mut values = Vec::new();
        each_record(&self.0, |_, record| {
            let number = record.get(name).and_then(Value::as_f64);
            values.push(number.unwrap_or(f64::NAN));
            Ok(())
        })?;
        let there = values.iter().any(|value| !value.is_nan());
        Ok(if there { Numbers::Values(values.into()) } else { Numbers::Missing })
    }

    fn labels(&self, field: &str) -> Result<Vec<Option<String>>, IoError> {
        let mut values = Vec::new();
        each_record(&self.0, |_, record| {
            values.push(record.get(field).and_then(Value::as_str).map(str::to_owned));
            Ok(())
        })?;
        Ok(values)
    }

    fn samples(&self, rows: &[usize], _: Detail) -> Result<Vec<Sample>, IoError> {
        let mut samples = Vec::with_capacity(rows.len());
        each_record(&self.0, |row, record| {
            if rows.binary_search(&row).is_ok() {
                samples.push(sample_of(record));
            }
            Ok(())
        })?;
        Ok(samples)
    }
}

fn sample_of(record: BTreeMap<String, Value>) -> Sample {
    let mut sample = Sample::default();
    for (name, value) in record {
        match value {
            Value::String(text) => drop(sample.fields.insert(name, text)),
            Value::Number(n) => drop(sample.fields.insert(name, n.to_string())),
            _ => {}
        }
    }
    let caption = CAPTIONS.into_iter().find(|name| sample.fields.contains_key(*name));
    sample.caption = caption.and_then(|name| sample.fields.remove(name));
    sample
}

fn id_named(record: &BTreeMap<String, Value>) -> bool {
    ["uid"].iter().chain(&KEYS).any(|name| record.contains_key(*name))
}

/// Hands every record of a JSON lines file to `each`, with its number; empty lines are none.
fn each_record(
    path: &Path,
    mut each: impl FnMut(usize, BTreeMap<String, Value>) -> Result<(), IoError>,
) -> Result<(), IoError> {
    let failed = |e| IoError::os(path, "read", e);
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(failed)?);
    let (mut line, mut row, mut number) = (Vec::new(), 0, 0_u64);
    loop {
        line.clear();
        (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(failed)?;
        if line.is_empty() {
            return Ok(());
        }
        number += 1;
        if line.len() as u64 == LONGEST_LINE {
            let problem = format!("line {number} is longer than {} MiB", LONGEST_LINE >> 20);
            return Err(IoError::malformed(path, problem));
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let record = serde_json::from_slice(&line).map_err(|e| {
            IoError::malformed(path, format!("line {number} is not a JSON object")).caused_by(e)
        })?;
        each(row, record)?;
        row += 1;
    }
}
