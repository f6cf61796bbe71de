//! JSON lines: an object for every row.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use curate_core::{SampleId, fault::Fault};
use serde_json::Value;

use super::{CAPTIONS, Found, KEYS, Table, bare};
use crate::{IoError, Sample, pool::Shard};

/// No record is longer; a line that is, is damage or an attack.
const LONGEST_LINE: u64 = 16 << 20;

pub(super) struct Jsonl(pub(super) PathBuf);

impl Table for Jsonl {
    fn names(&self, found: &mut Found<'_>) -> Result<bool, IoError> {
        let mut named = true;
        each_record(&self.0, |row, record| {
            let text = |name: &str| record.get(name).map(|v| v.as_str().map(str::to_owned));
            let id = ["uid"].into_iter().chain(KEYS).find_map(|key| Some((key, text(key)?)));
            match id {
                Some((key, value)) => found.add(key, value.as_deref()),
                None => found.add("uid", None),
            }
            named &= row > 0 || id_named(&record);
            let caption = CAPTIONS.into_iter().find_map(|name| text(name).flatten());
            found.caption(row, caption.as_deref());
            Ok(())
        })?;
        if !named {
            found.ids.faults.retain(|&(_, fault)| fault != Fault::MalformedId);
        }
        Ok(named)
    }

    fn numeric_columns(&self) -> Result<Vec<String>, IoError> {
        let mut names = Vec::new();
        each_record(&self.0, |row, record| {
            if row == 0 {
                let numbers = record.into_iter().filter(|(_, value)| value.is_number());
                names = numbers.map(|(name, _)| name).collect();
            }
            Ok(())
        })?;
        Ok(names)
    }

    fn column(&self, name: &str, _: usize) -> Result<Option<Vec<f32>>, IoError> {
        let mut values = Vec::new();
        each_record(&self.0, |_, record| {
            let number = record.get(name).and_then(Value::as_f64);
            values.push(number.map_or(f32::NAN, |number| number as f32));
            Ok(())
        })?;
        Ok(Some(values).filter(|values| values.iter().any(|value| !value.is_nan())))
    }

    fn labels(&self, field: &str, _: usize) -> Result<Vec<Option<String>>, IoError> {
        let mut values = Vec::new();
        each_record(&self.0, |_, record| {
            values.push(record.get(field).and_then(Value::as_str).map(str::to_owned));
            Ok(())
        })?;
        Ok(values)
    }

    fn samples(
        &self,
        shard: &Shard,
        rows: &[usize],
        ids: &[SampleId],
    ) -> Result<Vec<Sample>, IoError> {
        let mut samples = Vec::with_capacity(rows.len());
        each_record(&self.0, |row, record| {
            if rows.binary_search(&row).is_ok() {
                let mut sample = bare(shard, row, ids);
                for (name, value) in record {
                    match value {
                        Value::String(text) => drop(sample.fields.insert(name, text)),
                        Value::Number(n) => drop(sample.fields.insert(name, n.to_string())),
                        _ => {}
                    }
                }
                let caption = |name: &&str| sample.fields.contains_key(*name);
                let caption = CAPTIONS.into_iter().find(caption);
                sample.caption = caption.and_then(|name| sample.fields.remove(name));
                samples.push(sample);
            }
            Ok(())
        })?;
        Ok(samples)
    }

    fn path(&self) -> &Path {
        &self.0
    }
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
            IoError::malformed(path, format!("line {number} is no JSON object")).caused_by(e)
        })?;
        each(row, record)?;
        row += 1;
    }
}
