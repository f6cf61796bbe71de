//! The listing of a pool as a file, so that others open the pool without reading every shard.
//!
//! ```text
//! "curate pool 001\n"
//! length of the head, 8 bytes, little endian
//! head, JSON
//! the ids, 16 bytes each, little endian
//! the faults, 9 bytes each: the row, little endian, and the fault's place in `Fault::ALL`
//! ```

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use curate_core::{SampleId, fault::Fault};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Format, Pool, Shard, SkippedShard, remembered::Remembered};
use crate::{
    atomic::AtomicFile,
    digest::Digesting,
    error::{IoError, Kind},
    files,
    ids::IdOrigins,
    layout::Layout,
    lazy_shard::LazyShard,
    listing::{Listing, files_of},
    restarts::Restarts,
    url::is_url,
    watched::Watched,
};

const MAGIC: &[u8; 16] = b"curate pool 001\n";
const ID: usize = 16;
const FAULT: usize = 9;
/// Ids or faults that are converted at once.
const BLOCK: usize = 1 << 16;

/// Everything but ids and faults.
#[derive(Serialize, Deserialize)]
struct Head {
    path: PathBuf,
    format: Format,
    found: Vec<PathBuf>,
    shards: Vec<ListedShard>,
    joined: Vec<PathBuf>,
    skipped: Vec<SkippedShard>,
    origins: IdOrigins,
    notes: Vec<String>,
    rows: usize,
    faults: usize,
}

#[derive(Serialize, Deserialize)]
struct ListedShard {
    name: String,
    rows: usize,
    files: Vec<PathBuf>,
}

impl Pool {
    /// Writes what opening the pool found, so that [`Pool::open_listed`] need not read every shard for it;
    /// returns the SHA-256 of the file. The same pool makes the same bytes.
    ///
    /// # Errors
    /// When the file cannot be written, or the pool lies behind a URL: its files are in the cache of one machine.
    pub fn save_listing(&self, to: &Path) -> Result<String, IoError> {
        if is_url(&self.path) {
            let problem = "lies behind a URL, whose files are in the cache of one machine";
            let remedy = "list the pool in a folder";
            return Err(IoError::new(Kind::Unsupported, &self.path, problem, remedy));
        }
        let head = serde_json::to_vec(&self.head())
            .map_err(|e| IoError::malformed(to, "cannot name a path of the pool").caused_by(e))?;
        let mut file = Digesting::new(AtomicFile::create(to)?);
        self.write_listing(&head, &mut file).map_err(|e| IoError::os(to, "written", e))?;
        let (file, digest) = file.finish();
        file.commit()?;
        Ok(digest)
    }

    fn head(&self) -> Head {
        let Listing { found, joined, skipped, origins, notes, .. } = &self.listing;
        let shard = |shard: &Shard| ListedShard {
            name: shard.name.clone(),
            rows: shard.rows.len(),
            files: shard.files.clone(),
        };
        Head {
            path: self.path.clone(),
            format: self.format,
            found: found.clone(),
            shards: self.shards().iter().map(shard).collect(),
            joined: joined.clone(),
            skipped: skipped.clone(),
            origins: *origins,
            notes: notes.clone(),
            rows: self.len(),
            faults: self.faults().len(),
        }
    }

    fn write_listing(&self, head: &[u8], to: &mut impl Write) -> io::Result<()> {
        to.write_all(MAGIC)?;
        to.write_all(&(head.len() as u64).to_le_bytes())?;
        to.write_all(head)?;
        let mut bytes = Vec::with_capacity(BLOCK * ID);
        for ids in self.ids().chunks(BLOCK) {
            bytes.clear();
            ids.iter().for_each(|id| bytes.extend(id.0.to_le_bytes()));
            to.write_all(&bytes)?;
        }
        for faults in self.faults().chunks(BLOCK) {
            bytes.clear();
            for &(row, fault) in faults {
                let place = Fault::ALL.iter().position(|&other| other == fault);
                bytes.extend((row as u64).to_le_bytes());
                bytes.push(place.expect("every fault is among all") as u8);
            }
            to.write_all(&bytes)?;
        }
        Ok(())
    }

    /// Opens a pool whose listing [`Pool::save_listing`] wrote, with this digest. Shards are opened when
    /// they are first asked for something; ids, faults and notes are those that were listed, while the
    /// pool's files are looked at: it has to have the same ones. Whether these have changed is for the
    /// caller to compare ([`Pool::watched`]).
    ///
    /// # Errors
    /// When the file cannot be read or has another digest, or the pool has other files.
    pub fn open_listed(listing: &Path, digest: &str) -> Result<Self, IoError> {
        let (head, ids, faults) = read(listing, digest)?;
        let layout = head.format.layout();
        let watched = watch(&head, layout)?;
        let (mut shards, mut open, mut first) = (Vec::new(), Vec::new(), 0);
        for ListedShard { name, rows, files } in head.shards {
            open.push(LazyShard::listed(layout, files[0].clone(), rows));
            shards.push(Shard { name, rows: first..first + rows, files });
            first += rows;
        }
        let (found, joined, skipped) = (head.found, head.joined, head.skipped);
        let (notes, origins, restarts) = (head.notes, head.origins, Restarts::default());
        #[rustfmt::skip]
        let listing = Listing {
            found, shards, open, joined, skipped, ids, faults, notes, restarts, watched, origins,
        };
        let image_shards = layout.image_shards(&head.path);
        let (images, embeddings) = (OnceLock::new(), Remembered::default());
        Ok(Self { path: head.path, format: head.format, listing, image_shards, images, embeddings })
    }
}

/// Looks at all files of a pool, which has to have those that were listed.
fn watch(head: &Head, layout: &'static dyn Layout) -> Result<Vec<Watched>, IoError> {
    let changed = |path: &Path| {
        let problem = "has other files than when its rows were listed";
        IoError::new(Kind::Disagree, path, problem, "list them again")
    };
    if layout.shards(&head.path)? != head.found {
        return Err(changed(&head.path));
    }
    let joined = usize::from(!head.joined.is_empty());
    let watched: Vec<Result<Vec<Watched>, IoError>> = head
        .shards
        .par_iter()
        .map(|shard| {
            let own = &shard.files[..shard.files.len() - joined];
            if files_of(layout, &shard.files[0]) != own {
                return Err(changed(&shard.files[0]));
            }
            shard.files.iter().map(|file| Watched::of(file)).collect()
        })
        .collect();
    let mut all: Vec<Watched> = Vec::new();
    for watched in watched {
        all.extend(watched?);
    }
    all.sort_unstable();
    Ok(all)
}

type Listed = (Head, Vec<SampleId>, Vec<(usize, Fault)>);

fn read(path: &Path, digest: &str) -> Result<Listed, IoError> {
    let file = files::open(path)?;
    let bytes = file.metadata().map_err(|e| IoError::os(path, "read", e))?.len();
    let mut file = BufReader::with_capacity(1 << 20, Digesting::new(file));
    let found = read_listing(&mut file, bytes);
    let rest = io::copy(&mut file, &mut io::sink());
    rest.map_err(|e| IoError::os(path, "read", e))?;
    let (_, there) = file.into_inner().finish();
    if there != digest {
        let problem = "does not have the digest that was written";
        return Err(IoError::new(Kind::Disagree, path, problem, "list the pool again"));
    }
    found.map_err(|e| IoError::malformed(path, "is not the listing of a pool").caused_by(e))
}

/// Reads a listing of so many bytes, which may be damaged: nothing is longer than the file.
fn read_listing(file: &mut BufReader<Digesting<File>>, bytes: u64) -> io::Result<Listed> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let (mut magic, mut length) = ([0; MAGIC.len()], [0; 8]);
    file.read_exact(&mut magic)?;
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if magic != *MAGIC || length > bytes {
        return Err(wrong("it begins otherwise"));
    }
    let mut head = vec![0; length as usize];
    file.read_exact(&mut head)?;
    let head: Head = serde_json::from_slice(&head)?;
    let size = |count: usize, each: usize| count.checked_mul(each).map(|all| all as u64);
    let sizes = size(head.rows, ID).zip(size(head.faults, FAULT));
    let in_shards = head.shards.iter().map(|shard| shard.rows).sum::<usize>();
    let fits = sizes.is_some_and(|(ids, faults)| ids <= bytes && faults <= bytes);
    if !fits || in_shards != head.rows || head.shards.iter().any(|shard| shard.files.is_empty()) {
        return Err(wrong("its counts disagree"));
    }
    let mut ids = Vec::with_capacity(head.rows);
    each_record::<ID>(file, head.rows, |id| ids.push(SampleId(u128::from_le_bytes(*id))))?;
    let mut faults = Vec::with_capacity(head.faults);
    each_record::<FAULT>(file, head.faults, |[row @ .., fault]| {
        faults.push((u64::from_le_bytes(*row) as usize, Fault::ALL.get(usize::from(*fault))));
    })?;
    let known = |(row, fault): (usize, Option<&Fault>)| Some((row, *fault?));
    let faults = faults.into_iter().map(known).collect::<Option<_>>();
    Ok((head, ids, faults.ok_or_else(|| wrong("a fault is unknown"))?))
}

/// Reads so many records of `N` bytes.
fn each_record<const N: usize>(
    file: &mut impl Read,
    count: usize,
    mut each: impl FnMut(&[u8; N]),
) -> io::Result<()> {
    let mut block = vec![[0; N]; BLOCK.min(count)];
    let mut left = count;
    while left > 0 {
        let now = left.min(BLOCK);
        file.read_exact(block[..now].as_flattened_mut())?;
        block[..now].iter().for_each(&mut each);
        left -= now;
    }
    Ok(())
}
