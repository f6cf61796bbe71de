//! What a sample's members say of it: its record, its caption, and the id that it or the key says.

use std::{fs::File, ops::Range, path::Path};

use curate_core::{
    SampleId,
    json::{BadRecord, Record},
};

use super::member::{Member, TarSample};
use crate::{
    error::IoError,
    ids::{id_in_key, id_in_shard, id_of_key},
    layout::caption_of,
    positioned::read_exact_at,
    shard::IdsFrom,
};

/// No caption or record is longer; a member that says so is damage or an attack.
const LONGEST_TEXT: u64 = 16 << 20;

/// Members that lie so close to each other are read in one go.
const CLOSE: u64 = 16 << 10;

/// The record and the caption of a sample, as bytes.
pub(crate) struct Texts {
    bytes: Vec<u8>,
    record: Option<Range<usize>>,
    caption: Option<Range<usize>>,
    record_too_long: bool,
}

/// How a sample is known.
pub(crate) enum Known {
    /// By an id.
    Uid(SampleId),
    /// By its key, which may begin anew in every shard; and whether the key spells the id.
    Key(SampleId, bool),
    /// It names an id that is none.
    Malformed,
}

impl Known {
    /// The id, where there is one.
    pub(crate) fn id(&self) -> Option<SampleId> {
        match self {
            Self::Uid(id) | Self::Key(id, _) => Some(*id),
            Self::Malformed => None,
        }
    }

    /// The same, by the rule for samples that have keys alone.
    pub(crate) fn id_in(&self, shard: &str, rule: Option<IdsFrom>) -> Option<SampleId> {
        match self {
            Self::Key(id, _) if rule == Some(IdsFrom::ShardAndKey) => Some(id_in_shard(shard, *id)),
            _ => self.id(),
        }
    }
}

impl Texts {
    /// Reads the record of a sample, and its caption where it lies in a member of its own.
    pub(crate) fn read(tar: &Path, file: &File, sample: &TarSample) -> Result<Self, IoError> {
        let caption = sample.member(&["txt"]).filter(|member| member.size <= LONGEST_TEXT);
        Self::of(tar, file, sample, caption)
    }

    /// Reads the record of a sample alone.
    pub(crate) fn record_of(tar: &Path, file: &File, sample: &TarSample) -> Result<Self, IoError> {
        Self::of(tar, file, sample, None)
    }

    fn of(
        tar: &Path,
        file: &File,
        sample: &TarSample,
        caption: Option<&Member>,
    ) -> Result<Self, IoError> {
        let record = sample.member(&["json"]);
        let record_too_long = record.is_some_and(|member| member.size > LONGEST_TEXT);
        let record = record.filter(|_| !record_too_long);
        let mut texts = Self { bytes: Vec::new(), record: None, caption: None, record_too_long };
        if let (Some(a), Some(b)) = (record, caption) {
            let span = a.offset.min(b.offset)..(a.offset + a.size).max(b.offset + b.size);
            if span.end - span.start <= a.size + b.size + CLOSE {
                texts.add(tar, file, &span)?;
                let within = |member: &Member| {
                    let start = (member.offset - span.start) as usize;
                    Some(start..start + member.size as usize)
                };
                (texts.record, texts.caption) = (within(a), within(b));
                return Ok(texts);
            }
        }
        for (member, is_record) in [(record, true), (caption, false)] {
            let Some(member) = member else { continue };
            let there = texts.add(tar, file, &(member.offset..member.offset + member.size))?;
            *(if is_record { &mut texts.record } else { &mut texts.caption }) = Some(there);
        }
        Ok(texts)
    }

    fn add(&mut self, tar: &Path, file: &File, span: &Range<u64>) -> Result<Range<usize>, IoError> {
        let start = self.bytes.len();
        // The spans were checked against the length of the file when the shard was opened.
        let size = usize::try_from(span.end - span.start).expect("a member fits its file");
        self.bytes.resize(start + size, 0);
        read_exact_at(file, &mut self.bytes[start..], span.start)
            .map_err(|e| IoError::os(tar, "read", e))?;
        Ok(start..start + size)
    }

    /// The record; `None` of a sample without one.
    pub(crate) fn record(&self) -> Result<Option<Record<'_>>, BadRecord> {
        if self.record_too_long {
            return Err(BadRecord::TooLong { mib: LONGEST_TEXT >> 20 });
        }
        self.record.clone().map(|range| Record::parse(&self.bytes[range])).transpose()
    }

    /// The caption: that of the member for it, and without such a member the record's.
    pub(crate) fn caption(
        &self,
        sample: &TarSample,
        record: Option<&Record<'_>>,
    ) -> Option<String> {
        match (&self.caption, sample.member(&["txt"])) {
            (Some(range), _) => {
                let text = curate_core::json::without_mark(&self.bytes[range.clone()]);
                Some(String::from_utf8_lossy(text).trim().to_owned())
            }
            (None, Some(_too_long)) => None,
            (None, None) => record.and_then(caption_of).map(str::to_owned),
        }
    }
}

/// A sample's id: the `uid` of its record; without one, the id that its key spells,
/// and else the first 128 bits of the SHA-256 of its key. A `./` before a key, which `tar -cf x.tar .`
/// writes, is no part of the name.
pub(crate) fn known_by(sample: &TarSample, record: Option<&Record<'_>>) -> Known {
    match record.and_then(|record| record.get("uid")) {
        Some(uid) => {
            let id = uid.name().and_then(|uid| uid.parse().ok());
            id.map_or(Known::Malformed, Known::Uid)
        }
        None => {
            let key = sample.key.strip_prefix("./").unwrap_or(&sample.key);
            Known::Key(id_of_key(key), id_in_key(key).is_some())
        }
    }
}
