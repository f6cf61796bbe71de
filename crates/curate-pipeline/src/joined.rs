//! Embeddings that lie in a folder of their own, as `embed` writes it.

use std::path::Path;

use curate_core::Progress;
use curate_dfn::filter::Embedded;
use curate_io::{IoError, Kind, Pool, PoolOptions};

use crate::Error;

/// Opens a pool, with the embeddings in a folder that [`curate_dfn::filter::Embed`] wrote of it, where one
/// is given.
///
/// # Errors
/// As [`Pool::open`], and when the folder is of another pool, interrupted, or lost a shard.
pub fn open(
    path: &Path,
    options: PoolOptions,
    embeddings: Option<&Path>,
    progress: &dyn Progress,
) -> Result<Pool, Error> {
    let mut pool = Pool::open(path, options, progress)?;
    if let Some(folder) = embeddings {
        join(&mut pool, folder)?;
    }
    Ok(pool)
}

/// Takes the embeddings in `folder` for some of the pool's. Rows that could not be embedded are
/// quarantined for what was wrong with them: a picture that is cut off, not a vector that is NaN.
pub(crate) fn join(pool: &mut Pool, folder: &Path) -> Result<(), Error> {
    // The names of the arrays are the stages' to choose.
    let embedded = Embedded::open(folder, "")?;
    let (mut files, mut faults) = (Vec::new(), Vec::new());
    for shard in pool.shards() {
        let Some(at) = embedded.shard_named(&shard.name) else {
            let problem = format!("has no embeddings of shard {}", shard.name);
            return Err(
                IoError::new(Kind::NotFound, folder, problem, "embed the whole pool").into()
            );
        };
        let arrays = embedded.arrays(at)?;
        if embedded.scored(at)?.ids != pool.ids()[shard.rows.clone()] {
            let problem = format!("is of another shard {}: its ids are not the pool's", shard.name);
            return Err(IoError::new(Kind::Disagree, arrays, problem, "embed this pool").into());
        }
        let bad = embedded.bad(at)?.into_iter();
        faults.extend(bad.map(|pair| (shard.rows.start + pair.row, pair.bad.kind.fault())));
        files.push(arrays);
    }
    pool.join_arrays(files)?;
    // It sorts all ids again.
    if !faults.is_empty() {
        pool.add_faults(faults);
    }
    Ok(())
}
