//! Images that lie in shards of their own, found by the ids of their samples.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use curate_core::{NoProgress, SampleId};

use crate::{
    error::IoError,
    layout::Detail,
    layouts::Format,
    listing::{Listing, ShardRule},
    shard::{BadShards, IdsFrom, Sample},
};

/// Beyond so many shards the images are not looked for: finding one by its id reads the list of
/// members of every shard.
const MOST_SHARDS: usize = 200;

/// The shards in which images are looked for.
pub(super) fn image_files(shards: &Path) -> Vec<PathBuf> {
    let files = Format::Webdataset.layout().shards(shards).unwrap_or_default();
    if files.len() > MOST_SHARDS { Vec::new() } else { files }
}

/// Where the image of each id is.
pub(super) struct Images {
    listing: Listing,
    rows: BTreeMap<SampleId, usize>,
}

impl Images {
    /// Images are for looking at: shards that cannot be read cost their images, not the run.
    pub(super) fn find(shards: &Path) -> Option<Self> {
        let layout = Format::Webdataset.layout();
        if image_files(shards).is_empty() {
            return None;
        }
        let rule = ShardRule {
            bad_shards: BadShards::Skip,
            embeddings: &[],
            ids: Some(IdsFrom::Key),
            name: None,
        };
        let listing = Listing::read(layout, shards, rule, &NoProgress).ok()?;
        let rows = listing.ids.iter().enumerate().map(|(row, &id)| (id, row)).collect();
        Some(Self { listing, rows })
    }

    /// Adds key and image to the samples that have one here.
    pub(super) fn add(&self, samples: &mut [Sample]) -> Result<(), IoError> {
        for sample in samples {
            let Some(&row) = self.rows.get(&sample.id) else { continue };
            let found = self.listing.samples(&[row], Detail::TextAndImage)?.swap_remove(0);
            sample.key = found.key;
            sample.image = found.image;
        }
        Ok(())
    }
}
