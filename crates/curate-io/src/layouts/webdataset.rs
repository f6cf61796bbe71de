//! WebDataset shards: tar files whose members share a key up to the first dot.

use std::{
    borrow::Cow,
    fs::File,
    path::{Path, PathBuf},
};

use curate_core::{
    fault::Fault,
    json::{Record, Value},
};

use super::jsonl::BadRecords;
use crate::{
    error::{IoError, Kind},
    files,
    layout::{Certainty, Detail, Layout, Names, Numbers, OpenShard, ShardRows, Sign},
    shard::Sample,
    shard_files::stem,
    tar_samples::{Known, Listed, NO_END, TarSample, Texts, known_by, list_members},
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
        let (rows, shard) = read_rows(file)?;
        Ok((rows, Box::new(shard)))
    }

    fn reopen(&self, file: &Path, rows: usize) -> Result<Box<dyn OpenShard>, IoError> {
        let samples = list_members(file, &mut files::open(file)?)?.samples;
        if samples.len() != rows {
            let problem = format!("has {} samples, of which {rows} were listed", samples.len());
            return Err(IoError::new(Kind::Disagree, file, problem, "start again"));
        }
        Ok(Box::new(TarShard { tar: file.to_owned(), samples, notes: vec![] }))
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

fn read_rows(tar: &Path) -> Result<(ShardRows, TarShard), IoError> {
    let mut file = files::open(tar)?;
    let Listed { samples, repeated, ended } = list_members(tar, &mut file)?;
    check_count(tar, samples.len())?;
    let (mut names, mut bad) = (Names::of(tar), BadRecords::default());
    for (row, sample) in samples.iter().enumerate() {
        let texts = Texts::read(tar, &file, sample)?;
        let record = match texts.record() {
            Ok(record) => record,
            Err(e) => {
                bad.add(|| format!("`{:.80}.json` {e}", sample.key));
                names.add_bad_record();
                continue;
            }
        };
        match known_by(sample, record.as_ref()) {
            Known::Uid(id) => names.add_id(Some(id)),
            Known::Key(id, spelled) => names.add_key_id(id, spelled),
            Known::Malformed => names.add_id(None),
        }
        if sample.member(&IMAGES).is_none() {
            names.faults.push((row, Fault::ImageMissing));
        } else {
            names.caption(row, texts.caption(sample, record.as_ref()).as_deref());
        }
    }
    let mut notes = bad.notes();
    if repeated > 0 {
        notes.push(format!("{repeated} members repeat a name in their sample and are passed over"));
    }
    if !ended {
        notes.push(NO_END.to_owned());
    }
    Ok((names.finish(), TarShard { tar: tar.to_owned(), samples, notes }))
}

struct TarShard {
    tar: PathBuf,
    samples: Vec<TarSample>,
    notes: Vec<String>,
}

impl TarShard {
    fn file(&self) -> Result<File, IoError> {
        files::open(&self.tar)
    }

    /// A field of every sample's record.
    fn field<T>(
        &self,
        name: &str,
        convert: impl Fn(Value<'_>) -> Option<T>,
    ) -> Result<Vec<Option<T>>, IoError> {
        let file = self.file()?;
        let value = |sample| {
            let texts = Texts::record_of(&self.tar, &file, sample)?;
            // A record that cannot be read says nothing; its row was set aside.
            Ok(texts.record().ok().flatten().and_then(|r| r.get(name).and_then(&convert)))
        };
        self.samples.iter().map(value).collect()
    }
}

impl OpenShard for TarShard {
    fn path(&self) -> &Path {
        &self.tar
    }

    /// The numbers in the first record that can be read.
    fn numeric_columns(&self) -> Result<Option<Vec<String>>, IoError> {
        let file = self.file()?;
        for sample in self.samples.iter().filter(|sample| sample.has_record()) {
            let texts = Texts::record_of(&self.tar, &file, sample)?;
            let Ok(Some(record)) = texts.record() else { continue };
            let numbers = record.fields().filter(|(_, value)| value.number().is_some());
            let mut names: Vec<String> = numbers.map(|(name, _)| name.to_owned()).collect();
            names.sort_unstable();
            names.dedup();
            return Ok(Some(names));
        }
        Ok(None)
    }

    fn column(&self, name: &str) -> Result<Numbers, IoError> {
        Ok(Numbers::of(self.field(name, |value| value.number())?))
    }

    fn each_label(&self, field: &str, each: &mut dyn FnMut(Option<&str>)) -> Result<(), IoError> {
        let labels = self.field(field, |value| value.name().map(Cow::into_owned))?;
        labels.iter().for_each(|label| each(label.as_deref()));
        Ok(())
    }

    fn samples(&self, rows: &[usize], detail: Detail) -> Result<Vec<Sample>, IoError> {
        let file = self.file()?;
        rows.iter().map(|&row| show(&self.tar, &file, &self.samples[row], detail)).collect()
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }
}

fn show(tar: &Path, file: &File, sample: &TarSample, detail: Detail) -> Result<Sample, IoError> {
    let texts = Texts::read(tar, file, sample)?;
    let record = texts.record().ok().flatten();
    let values = record.iter().flat_map(Record::fields);
    let fields = values.filter_map(|(name, value)| Some((name.to_owned(), value.shown()?)));
    let (fields, caption) = (fields.collect(), texts.caption(sample, record.as_ref()));
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
    let record = Record::parse(&text).map_err(|e| IoError::malformed(&stats, e.to_string()))?;
    match record.get("successes").and_then(Value::number) {
        Some(promised) if promised != samples as f64 => {
            let problem = format!("has {samples} samples, but {} says {promised}", stats.display());
            Err(IoError::new(Kind::Disagree, tar, problem, "fetch the shard again"))
        }
        _ => Ok(()),
    }
}
