//! WebDataset shards: tar files whose members share a key up to the first dot.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use curate_core::fault::Fault;
use serde_json::Value;

use crate::{
    error::{IoError, Kind},
    layout::{Certainty, Detail, Layout, Names, Numbers, OpenShard, ShardRows, Sign},
    shard::Sample,
    shard_files::stem,
    tar_samples::{LONGEST_TEXT, TarSample, id_of, list_members, record},
};

/// The endings of image members, as open_clip lists them.
const IMAGES: [&str; 5] = ["jpg", "png", "jpeg", "webp", "gif"];

pub(super) struct WebDataset;

impl Layout for WebDataset {
    fn name(&self) -> &'static str {
        "WebDataset shards"
    }

    fn signs(&self) -> &'static [Sign] {
        &[
            Sign { folder: "", ending: "tar", certainty: Certainty::Shards },
            Sign { folder: "shards", ending: "tar", certainty: Certainty::Shards },
        ]
    }

    fn endings(&self) -> &'static [&'static str] {
        &["tar"]
    }

    fn inner_folder(&self) -> &'static str {
        "shards"
    }

    fn task(&self) -> &'static str {
        "read shards"
    }

    fn open(&self, file: &Path) -> Result<(ShardRows, Box<dyn OpenShard>), IoError> {
        let (rows, samples) = read_rows(file)?;
        Ok((rows, Box::new(TarShard { tar: file.to_owned(), samples })))
    }

    /// The list of members is in memory while a shard is open.
    fn comes_apart(&self) -> bool {
        true
    }

    #[cfg(feature = "object-store")]
    fn needed(&self, has: crate::layout::Has<'_>) -> crate::layout::Needed {
        let folder = if has("shards", "tar") { "shards" } else { "" };
        crate::layout::Needed { folders: vec![folder], endings: vec!["tar", "_stats.json"] }
    }

    #[cfg(feature = "object-store")]
    fn fetched_beside(&self, wanted: crate::layout::FilesWanted) -> &'static [&'static str] {
        match wanted {
            crate::layout::FilesWanted::Embeddings => &["_stats.json", ".npz"],
            _ => &["_stats.json"],
        }
    }
}

fn read_rows(tar: &Path) -> Result<(ShardRows, Vec<TarSample>), IoError> {
    let mut file = File::open(tar).map_err(|e| IoError::os(tar, "read", e))?;
    let samples = list_members(tar, &mut file)?;
    check_count(tar, samples.len())?;
    let mut names = Names::of(tar);
    for (row, sample) in samples.iter().enumerate() {
        names.add_id(id_of(tar, &file, sample)?);
        if sample.member(&IMAGES).is_none() {
            names.faults.push((row, Fault::ImageMissing));
        } else if sample.member(&["txt", "json"]).is_none() {
            names.faults.push((row, Fault::CaptionMissing));
        }
    }
    Ok((names.finish(), samples))
}

struct TarShard {
    tar: PathBuf,
    samples: Vec<TarSample>,
}

impl TarShard {
    fn file(&self) -> Result<File, IoError> {
        File::open(&self.tar).map_err(|e| IoError::os(&self.tar, "read", e))
    }

    /// A field of every sample's record.
    fn field<T>(
        &self,
        name: &str,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<Option<T>>, IoError> {
        let file = self.file()?;
        let value = |sample| Ok(record(&self.tar, &file, sample)?.get(name).and_then(&convert));
        self.samples.iter().map(value).collect()
    }
}

impl OpenShard for TarShard {
    fn path(&self) -> &Path {
        &self.tar
    }

    /// The numbers in the record of the first sample that has one.
    fn numeric_columns(&self) -> Result<Option<Vec<String>>, IoError> {
        let file = self.file()?;
        let Some(sample) = self.samples.iter().find(|s| s.has_record()) else { return Ok(None) };
        let record = record(&self.tar, &file, sample)?;
        let numbers = record.into_iter().filter(|(_, value)| value.is_number());
        Ok(Some(numbers.map(|(name, _)| name).collect()))
    }

    fn column(&self, name: &str) -> Result<Numbers, IoError> {
        let values = self.field(name, Value::as_f64)?;
        if values.iter().all(Option::is_none) {
            return Ok(Numbers::Unsaid);
        }
        let numbers: Vec<f64> = values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect();
        Ok(Numbers::Values(numbers.into()))
    }

    fn labels(&self, field: &str) -> Result<Vec<Option<String>>, IoError> {
        self.field(field, |value| value.as_str().map(str::to_owned))
    }

    fn samples(&self, rows: &[usize], detail: Detail) -> Result<Vec<Sample>, IoError> {
        let file = self.file()?;
        rows.iter().map(|&row| show(&self.tar, &file, &self.samples[row], detail)).collect()
    }
}

fn show(tar: &Path, file: &File, sample: &TarSample, detail: Detail) -> Result<Sample, IoError> {
    let mut fields = BTreeMap::new();
    for (name, value) in record(tar, file, sample)? {
        match value {
            Value::String(text) => drop(fields.insert(name, text)),
            Value::Number(number) => drop(fields.insert(name, number.to_string())),
            Value::Bool(flag) => drop(fields.insert(name, flag.to_string())),
            _ => {}
        }
    }
    let caption = match sample.member(&["txt"]) {
        Some(member) if member.size > LONGEST_TEXT => None,
        Some(member) => Some(String::from_utf8_lossy(&member.read(tar, file)?).trim().to_owned()),
        None => fields.get("caption").cloned(),
    };
    let image = match sample.member(&IMAGES) {
        Some(member) if detail == Detail::TextAndImage => Some(member.read(tar, file)?),
        _ => None,
    };
    Ok(Sample { key: Some(sample.key.clone()), caption, image, fields, ..Sample::default() })
}

/// Compares with the number that img2dataset and the resharder write beside each shard.
fn check_count(tar: &Path, samples: usize) -> Result<(), IoError> {
    let stats = tar.with_file_name(format!("{}_stats.json", stem(tar)));
    let Ok(text) = std::fs::read(&stats) else { return Ok(()) };
    let record: Value = serde_json::from_slice(&text)
        .map_err(|e| IoError::malformed(&stats, "is not JSON").caused_by(e))?;
    match record.get("successes").and_then(Value::as_u64) {
        Some(promised) if promised != samples as u64 => {
            let problem = format!("has {samples} samples, but {} says {promised}", stats.display());
            Err(IoError::new(Kind::Disagree, tar, problem, "fetch the shard again"))
        }
        _ => Ok(()),
    }
}
