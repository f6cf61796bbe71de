//! The record of a sample, and the id that it or the key says.

use std::{collections::BTreeMap, fs::File, path::Path};

use curate_core::SampleId;
use serde_json::Value;

use super::member::TarSample;
use crate::{error::IoError, ids::id_of_key};

/// No caption or record is longer; a member that says so is damage or an attack.
pub(crate) const LONGEST_TEXT: u64 = 16 << 20;

/// The JSON record of a sample; empty where it has none, or one too long to be one.
pub(crate) fn record(
    tar: &Path,
    file: &File,
    sample: &TarSample,
) -> Result<BTreeMap<String, Value>, IoError> {
    let Some(member) = sample.member(&["json"]).filter(|m| m.size <= LONGEST_TEXT) else {
        return Ok(BTreeMap::new());
    };
    serde_json::from_slice(&member.read(tar, file)?).map_err(|e| {
        IoError::malformed(tar, format!("member `{}.json` is not a JSON object", sample.key))
            .caused_by(e)
    })
}

/// A sample's id: the `uid` of its record; without one, its key if that has 32 hexadecimal digits,
/// and else the first 128 bits of the SHA-256 of its key. `None` for a `uid` that is not an id.
pub(crate) fn id_of(
    tar: &Path,
    file: &File,
    sample: &TarSample,
) -> Result<Option<SampleId>, IoError> {
    let record = match sample.member(&["json"]) {
        Some(member) if member.size > LONGEST_TEXT => return Ok(None),
        _ => record(tar, file, sample)?,
    };
    Ok(match record.get("uid") {
        Some(Value::String(uid)) => uid.parse().ok(),
        Some(_) => None,
        None => Some(id_of_key(&sample.key)),
    })
}

/// The `uid` of a sample's record as it is written there, where that is an id.
pub(crate) fn uid_text(
    tar: &Path,
    file: &File,
    sample: &TarSample,
) -> Result<Option<String>, IoError> {
    let uid = record(tar, file, sample)?.remove("uid");
    Ok(uid.as_ref().and_then(Value::as_str).map(str::to_owned))
}
