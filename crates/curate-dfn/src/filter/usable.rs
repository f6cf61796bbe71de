//! The shards of a pool that are embedded one at a time.

use std::path::{Path, PathBuf};

use curate_core::{Cancelled, Progress};
use curate_io::{
    IoError, Kind, Pool, PoolOptions, passed_over, pool::BadShards, restarts::Restarts, shard_names,
};
use rayon::prelude::*;

/// Shards that are opened before their keys are compared and forgotten: 16 bytes a sample meanwhile.
const TOGETHER: usize = 256;

/// A shard that can be read.
#[derive(Clone)]
pub(super) struct Piece {
    path: PathBuf,
    /// Its name in the pool.
    pub(super) name: String,
    pub(super) rows: usize,
}

impl Piece {
    /// All pieces of a pool, by their files, whose rows are not counted yet.
    pub(super) fn of(paths: Vec<PathBuf>) -> Vec<Self> {
        let names = shard_names(&paths);
        let piece = |(path, name)| Self { path, name, rows: 0 };
        paths.into_iter().zip(names).map(piece).collect()
    }

    pub(super) fn open(&self, options: PoolOptions) -> Result<Pool, IoError> {
        let options = PoolOptions { bad_shards: BadShards::Error, ..options };
        Pool::open_piece(&self.path, &self.name, options)
    }
}

/// The shards that can be read, their rows, and those that cannot, where they are to be left out.
#[derive(Default)]
pub(super) struct Usable {
    pub(super) pieces: Vec<Piece>,
    pub(super) rows: usize,
    pub(super) skipped: Vec<(PathBuf, String)>,
    pub(super) notes: Vec<String>,
}

/// What opening a shard tells.
struct Opened {
    piece: Piece,
    keys: Restarts,
    notes: Vec<String>,
}

impl Usable {
    /// Of these pieces of a pool, of which none may be usable. `beside` are pieces of other processes, whose keys
    /// tell whether keys begin anew.
    pub(super) fn of(
        pool: &Path,
        pieces: Vec<Piece>,
        beside: Vec<&Piece>,
        options: PoolOptions,
        progress: &dyn Progress,
    ) -> Result<Self, IoError> {
        let (mut usable, mut restarts) = (Self::default(), Restarts::default());
        let first = pieces.first().map(|piece| piece.path.clone());
        progress.start("read shards", pieces.len() as u64, "shards");
        let mut pieces = pieces.into_iter();
        while pieces.len() > 0 {
            let some: Vec<Piece> = pieces.by_ref().take(TOGETHER).collect();
            let open = |piece: Piece| {
                progress.check().map_err(|Cancelled| (piece.path.clone(), cancelled(&piece)))?;
                let opened = open(piece, options);
                progress.advance(1);
                opened
            };
            let opened: Vec<Result<Opened, (PathBuf, IoError)>> =
                some.into_par_iter().map(open).collect();
            for found in opened {
                usable.add(found, options.bad_shards, &mut restarts)?;
            }
        }
        progress.finish();
        if options.ids.is_none() {
            // A shard that cannot be read is for its own process to tell of.
            let others = beside.into_par_iter().map(|piece| open(piece.clone(), options));
            let others: Vec<Result<Opened, _>> = others.collect();
            others.into_iter().flatten().for_each(|o| restarts.join(&o.piece.name, o.keys));
            restarts.check(pool)?;
        }
        usable.notes.extend(passed_over(pool, first.as_ref()));
        Ok(usable)
    }

    fn add(
        &mut self,
        found: Result<Opened, (PathBuf, IoError)>,
        bad_shards: BadShards,
        restarts: &mut Restarts,
    ) -> Result<(), IoError> {
        match found {
            Ok(Opened { piece, keys, notes }) => {
                restarts.join(&piece.name, keys);
                self.rows += piece.rows;
                self.notes.extend(notes);
                self.pieces.push(piece);
                Ok(())
            }
            Err((path, e)) if bad_shards == BadShards::Skip && e.kind != Kind::Cancelled => {
                self.skipped.push((path, e.problem));
                Ok(())
            }
            Err((_, e)) => Err(e),
        }
    }
}

fn cancelled(piece: &Piece) -> IoError {
    IoError::cancelled(&piece.path)
}

fn open(piece: Piece, options: PoolOptions) -> Result<Opened, (PathBuf, IoError)> {
    let pool = match piece.open(options) {
        Ok(pool) => pool,
        Err(e) => return Err((piece.path, e)),
    };
    let mut keys = Restarts::default();
    if options.ids.is_none() {
        pool.add_keys_to(&mut keys);
    }
    let notes = pool.notes().to_vec();
    Ok(Opened { piece: Piece { rows: pool.len(), ..piece }, keys, notes })
}
