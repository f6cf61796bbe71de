//! WebDataset shards as `img2dataset` writes them: tar files of `KEY.png`, `KEY.txt`, `KEY.json`.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::row::{Row, Sample};

/// How much each sample carries beside its picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Caption and a record with every column.
    Full,
    /// The picture alone, with the uid as its key; the rest is in the table. A tar member takes
    /// a kilobyte at least, which is more than most pictures of the committed bundle.
    Compact,
}

/// Key of a sample: five digits for the shard, four for its place there.
pub(crate) fn key(shard: usize, place: usize) -> String {
    format!("{:09}", shard * 10_000 + place)
}

/// Writes one shard and its `_stats.json`.
pub(crate) fn write(folder: &Path, shard: usize, samples: &[Sample], style: Style) -> Result<()> {
    let path = folder.join(format!("{shard:08}.tar"));
    let context = || format!("cannot write {}", path.display());
    let file = File::create(&path).with_context(context)?;
    let mut archive = tar::Builder::new(BufWriter::new(file));
    for (place, sample) in samples.iter().enumerate() {
        match style {
            Style::Full => append(&mut archive, &key(shard, place), sample),
            Style::Compact => member(&mut archive, &sample.row.uid, "png", &sample.png),
        }
        .with_context(context)?;
    }
    archive.into_inner().and_then(|mut file| file.flush()).with_context(context)?;
    let stats = format!("{{\"successes\": {}}}\n", samples.len());
    std::fs::write(folder.join(format!("{shard:08}_stats.json")), stats).with_context(context)
}

fn append(archive: &mut tar::Builder<impl Write>, key: &str, sample: &Sample) -> Result<()> {
    member(archive, key, "png", &sample.png)?;
    member(archive, key, "txt", sample.row.caption.as_bytes())?;
    member(archive, key, "json", &serde_json::to_vec(&sample.row)?)
}

/// No owner, no time: the bytes depend on the content only.
fn member(
    archive: &mut tar::Builder<impl Write>,
    key: &str,
    ending: &str,
    bytes: &[u8],
) -> Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    archive.append_data(&mut header, format!("{key}.{ending}"), bytes)?;
    Ok(())
}

/// Reads a shard of full style back.
pub(crate) fn read(path: &Path) -> Result<Vec<Sample>> {
    let context = || format!("cannot read {}: build the pool again", path.display());
    let mut archive = tar::Archive::new(File::open(path).with_context(context)?);
    let (mut samples, mut png) = (Vec::new(), Vec::new());
    for entry in archive.entries().with_context(context)? {
        let mut entry = entry.with_context(context)?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).with_context(context)?;
        match entry.path()?.extension().and_then(|e| e.to_str()) {
            Some("png") => png = bytes,
            Some("json") => {
                let row: Row = serde_json::from_slice(&bytes).with_context(context)?;
                samples.push(Sample { row, png: std::mem::take(&mut png) });
            }
            _ => {}
        }
    }
    ensure!(!samples.is_empty(), "{} holds no sample: build the pool again", path.display());
    Ok(samples)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::captions::Kind;

    pub(crate) fn sample(name: &str) -> Sample {
        let row = Row {
            uid: crate::digest::hex(name.as_bytes())[..32].into(),
            sha256: crate::digest::hex(b"png"),
            width: 64,
            height: 64,
            original_width: 24,
            original_height: 24,
            url: format!("package@1/{name}"),
            caption: format!("a {name}"),
            caption_kind: Kind::Original,
            label: name.into(),
            source: "source".into(),
            license: "MIT".into(),
            name: name.into(),
            concept: format!("ic:{name}"),
            category: "things".into(),
            subcategory: String::new(),
            variant: false,
            aspect: 1.0,
            std: 40.0,
            keywords: vec!["word".into()],
            i18n: BTreeMap::from([("de".into(), "Ding".into())]),
        };
        Sample { row, png: b"png".to_vec() }
    }

    #[test]
    fn keys_are_img2datasets() {
        assert_eq!((key(0, 0), key(3, 42)), ("000000000".into(), "000030042".into()));
    }

    #[test]
    fn shards_come_back_and_their_bytes_repeat() {
        let folder = tempfile::tempdir().unwrap();
        let samples = [sample("cat"), sample("dog")];
        write(folder.path(), 0, &samples, Style::Full).unwrap();
        let first = std::fs::read(folder.path().join("00000000.tar")).unwrap();
        write(folder.path(), 0, &samples, Style::Full).unwrap();
        assert_eq!(first, std::fs::read(folder.path().join("00000000.tar")).unwrap());
        assert_eq!(read(&folder.path().join("00000000.tar")).unwrap(), samples);
        let stats = std::fs::read_to_string(folder.path().join("00000000_stats.json")).unwrap();
        assert_eq!(stats.trim(), r#"{"successes": 2}"#);
    }

    #[test]
    fn a_compact_sample_is_its_picture_under_its_uid() {
        let folder = tempfile::tempdir().unwrap();
        let cat = sample("cat");
        write(folder.path(), 0, std::slice::from_ref(&cat), Style::Compact).unwrap();
        let file = File::open(folder.path().join("00000000.tar")).unwrap();
        let mut archive = tar::Archive::new(file);
        let names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, [format!("{}.png", cat.row.uid)]);
    }
}
