//! Ids of samples: those that keys and texts stand for, and their 16 bytes in a file.

use std::{fmt, path::Path};

use curate_core::SampleId;
use serde::{Deserialize, Serialize};

use crate::{digest, shard_files::stem};

/// The first 128 bits of the SHA-256 of a text.
pub fn id_of_text(text: &str) -> SampleId {
    digest::of_bytes(text.as_bytes())[..32].parse().expect("a digest is hexadecimal")
}

/// The id of a sample that has a key and no `uid`: the one that the key spells ([`id_in_key`]), and else
/// [`id_of_text`] of it.
///
/// ```
/// use curate_io::ids::{id_of_key, id_of_text};
///
/// let digits = "000000000000000000000000000000ff";
/// assert_eq!(id_of_key(digits).0, 255);
/// assert_eq!(id_of_key(&format!("{digits}-3")).0, 255, "its fourth copy");
/// assert_eq!(id_of_key("ff"), id_of_text("ff"));
/// ```
pub fn id_of_key(key: &str) -> SampleId {
    id_in_key(key).unwrap_or_else(|| id_of_text(key))
}

/// The id that a key spells: 32 hexadecimal digits, alone or before a hyphen and the number of a copy, as
/// DataComp's resharder and [`reshard`](crate::reshard::reshard) name what they write.
pub fn id_in_key(key: &str) -> Option<SampleId> {
    let (digits, copy) = key.split_once('-').unwrap_or((key, "0"));
    let is_copy = !copy.is_empty() && copy.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| digits.len() == 32 && is_copy)
}

/// Where the ids of a pool's rows come from. Rows without any are faults and not counted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdOrigins {
    /// A `uid`.
    pub uid: usize,
    /// A key or another name that spells an id ([`id_in_key`]).
    pub key: usize,
    /// The hash of a key or another name that does not, or of a shard's name and a key.
    pub hashed: usize,
    /// The number of the row in the pool.
    pub numbered: usize,
}

impl IdOrigins {
    pub(crate) fn add(&mut self, other: Self) {
        self.uid += other.uid;
        self.key += other.key;
        self.hashed += other.hashed;
        self.numbered += other.numbered;
    }
}

impl fmt::Display for IdOrigins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.uid, "from uid"),
            (self.key, "from keys that are ids"),
            (self.hashed, "hashed from keys"),
            (self.numbered, "from row numbers"),
        ];
        let mut said = all.iter().filter(|(rows, _)| *rows > 0);
        let Some((rows, from)) = said.next() else { return f.write_str("none") };
        write!(f, "{rows} {from}")?;
        said.try_for_each(|(rows, from)| write!(f, ", {rows} {from}"))
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
