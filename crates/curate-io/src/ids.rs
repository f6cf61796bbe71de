//! Ids of samples: those that keys and texts stand for, and their 16 bytes in a file.

use std::path::Path;

use curate_core::SampleId;

use crate::{digest, shard_files::stem};

/// The first 128 bits of the SHA-256 of a text.
pub fn id_of_text(text: &str) -> SampleId {
    digest::of_bytes(text.as_bytes())[..32].parse().expect("a digest is hexadecimal")
}

/// The id of a sample that has a key and no `uid`: the key itself where it has 32 hexadecimal
/// digits, and else [`id_of_text`] of it.
///
/// ```
/// use curate_io::ids::{id_of_key, id_of_text};
///
/// let digits = "000000000000000000000000000000ff";
/// assert_eq!(id_of_key(digits).0, 255);
/// assert_eq!(id_of_key("ff"), id_of_text("ff"));
/// ```
pub fn id_of_key(key: &str) -> SampleId {
    match key.parse() {
        Ok(id) if key.len() == 32 => id,
        _ => id_of_text(key),
    }
}

/// The id of a sample whose key alone has the id `id`, where keys begin anew in every shard: the first
/// 128 bits of the SHA-256 of `SHARD/ID`, the shard's name without folder and ending and the 32
/// hexadecimal digits of `id`.
pub fn id_in_shard(shard: &str, id: SampleId) -> SampleId {
    id_of_text(&format!("{shard}/{id}"))
}

/// An id for a row of a file that has none, so that evidence can name it.
pub(crate) fn substitute_id(file: &Path, row: usize) -> SampleId {
    id_of_text(&format!("{}/{row}", stem(file)))
}

/// The id in a row of a subset: its high and its low half, in DataComp's order.
pub(crate) fn id_of_row(row: &[u8; 16]) -> SampleId {
    let (halves, _) = row.as_chunks::<8>();
    SampleId::from_halves(u64::from_le_bytes(halves[0]), u64::from_le_bytes(halves[1]))
}

/// The row of an id.
pub(crate) fn row_of_id(id: SampleId) -> [u8; 16] {
    let (high, low) = id.halves();
    let mut row = [0; 16];
    row[..8].copy_from_slice(&high.to_le_bytes());
    row[8..].copy_from_slice(&low.to_le_bytes());
    row
}
