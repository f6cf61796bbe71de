//! Small pools, whole or as damaged as a test wants them.

#![allow(dead_code, reason = "each test file uses some of it")]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

pub(crate) mod setting;

use std::{
    fs,
    io::{Cursor, Write},
    path::Path,
};

use curate_core::NoProgress;
use curate_io::{
    IoError, Pool, PoolOptions, npy,
    table::{self, Column},
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// A pool as it is opened by its listing, which says what opening it said.
pub(crate) fn open(path: &Path) -> Result<Pool, IoError> {
    let pool = Pool::open(path, PoolOptions::default(), &NoProgress)?;
    let folder = tempfile::tempdir().unwrap();
    let listing = folder.path().join("listing");
    let digest = pool.save_listing(&listing).unwrap();
    let again = Pool::open_listed(&listing, &digest).unwrap();
    assert_eq!(again.ids(), pool.ids());
    assert_eq!(again.faults(), pool.faults());
    assert_eq!((again.shards(), again.skipped()), (pool.shards(), pool.skipped()));
    assert_eq!((again.notes(), again.id_origins()), (pool.notes(), pool.id_origins()));
    assert_eq!((again.path(), again.format()), (pool.path(), pool.format()));
    assert_eq!(again.watched(), pool.watched());
    assert_eq!(again.save_listing(&listing).unwrap(), digest);
    Ok(again)
}

pub(crate) fn complaint(path: &Path) -> String {
    open(path).err().expect("the pool is refused").to_string()
}

/// A metadata table of rows `uid, text`.
pub(crate) fn write_table(path: &Path, rows: &[(Option<&str>, Option<&str>)]) {
    let (uids, texts): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
    let column = |values: Vec<Option<&str>>| {
        Column::OptText(values.into_iter().map(|value| value.map(str::to_owned)).collect())
    };
    let columns = vec![
        ("uid", column(uids)),
        ("text", column(texts)),
        ("score", Column::F32((0..rows.len()).map(|i| i as f32).collect())),
    ];
    table::write(path, columns).unwrap();
}

pub(crate) fn write_npz(path: &Path, arrays: &[(&str, Vec<u8>)], method: CompressionMethod) {
    let mut zip = ZipWriter::new(fs::File::create(path).unwrap());
    for (name, bytes) in arrays {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

pub(crate) fn stored(path: &Path, name: &str, bytes: Vec<u8>) {
    write_npz(path, &[(name, bytes)], CompressionMethod::Stored);
}

/// A tar shard of members. Names are written as they are: a builder would refuse a hostile one.
pub(crate) fn tar_of(members: &[(impl AsRef<[u8]>, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        let name = name.as_ref();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, Cursor::new(bytes)).unwrap();
    }
    tar.into_inner().unwrap()
}

/// An npy file of a table.
pub(crate) fn f32_table(values: &[f32], rows: usize, columns: usize) -> Vec<u8> {
    npy::f32_table(values, rows, columns).unwrap()
}

/// An npy file of 64 zero bytes with this text as its header.
pub(crate) fn npy(version: u8, text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    let length = if version == 1 { &length[..2] } else { &length };
    [npy::MAGIC.as_slice(), &[version, 0], length, text.as_bytes(), &[0; 64]].concat()
}

/// The same, of this type and shape.
pub(crate) fn npy_of(descr: &str, shape: &str) -> Vec<u8> {
    npy(2, &format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"))
}

pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

pub(crate) fn sample(key: &str) -> Vec<(String, Vec<u8>)> {
    vec![
        (format!("{key}.png"), PNG.to_vec()),
        (format!("{key}.txt"), format!("caption of {key}\n").into_bytes()),
        (format!("{key}.json"), format!("{{\"similarity\": 0.{key}}}").into_bytes()),
    ]
}

pub(crate) fn shard(keys: &[&str]) -> Vec<u8> {
    let members: Vec<(String, Vec<u8>)> = keys.iter().flat_map(|key| sample(key)).collect();
    let members: Vec<(&str, &[u8])> =
        members.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
    tar_of(&members)
}
