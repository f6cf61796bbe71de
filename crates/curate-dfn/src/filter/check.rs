//! Images that cannot be used, found before anything is embedded.

use curate_core::Progress;
use curate_io::{IoError, Pool, Sample};
use rayon::prelude::*;

use crate::{
    filter::{
        bad::{Counts, Trouble},
        chunk::EMBEDDED_TOGETHER,
    },
    image::{Limits, decode},
};

/// Decodes the image of every row of a pool that can be used, and counts those that cannot by what is
/// wrong with them, as embedding them would. Some hundred image files are held at a time.
///
/// # Errors
/// When the pool cannot be read, or the caller cancels.
pub fn check_images(
    pool: &Pool,
    limits: Limits,
    progress: &dyn Progress,
) -> Result<Counts, IoError> {
    let faults = pool.faults();
    let usable = |row: &usize| faults.binary_search_by_key(row, |&(row, _)| row).is_err();
    let rows: Vec<usize> = (0..pool.len()).filter(usable).collect();
    let mut counts = Counts::default();
    progress.start("decode", rows.len() as u64, "images");
    let done = rows.chunks(EMBEDDED_TOGETHER).try_for_each(|rows| {
        progress.check().map_err(|_| IoError::cancelled(pool.path()))?;
        let samples = pool.samples_with_images(rows)?;
        let look = |sample: &Sample| {
            let found = match &sample.image {
                Some(bytes) => decode(bytes, limits).map(drop).map_err(Trouble::from),
                None => Err(Trouble::NoImage),
            };
            found.err().map(|trouble| trouble.of(sample.id))
        };
        counts.add(samples.par_iter().filter_map(look).collect());
        progress.advance(rows.len() as u64);
        Ok(())
    });
    progress.finish();
    done.map(|()| counts)
}
