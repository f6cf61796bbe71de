//! What DataComp's command writes: the ids that a rule keeps of a folder of metadata shards.

use std::{collections::BTreeMap, path::Path};

use curate_core::Progress;
use curate_io::{
    datacomp::metadata_tables,
    url::{self, FilesWanted},
};
use rayon::prelude::*;

use crate::{
    Baseline, BaselineError, Inputs, MetadataRows, MetadataShard, Rule, ScoreFloor, Subset,
    buckets::{Buckets, sorted},
    judge::each_verdict,
    one_pass,
    rows::watched,
    verdict::DropReason,
};

impl Baseline {
    /// The ids that the rule keeps of all metadata shards of a folder: written with
    /// [`curate_io::subset::write`], DataComp's file byte for byte. Reads the files that the parameters
    /// name. Memory: one shard's captions a thread, and the ids that stay.
    ///
    /// # Errors
    /// When there are no shards, a shard cannot be read or lacks what the rule reads, a file of the
    /// parameters cannot be read or is not named, or the caller asks to stop.
    pub fn subset(&self, folder: &Path, progress: &dyn Progress) -> Result<Subset, BaselineError> {
        self.subset_with(folder, &self.read_inputs()?.inputs(), progress)
    }

    /// [`Self::subset`] with inputs of one's own.
    ///
    /// # Errors
    /// As [`Self::subset`].
    pub fn subset_with(
        &self,
        folder: &Path,
        inputs: &Inputs<'_>,
        progress: &dyn Progress,
    ) -> Result<Subset, BaselineError> {
        self.check_inputs(inputs)?;
        let features = self.rule().name().reads_features();
        let wanted = if features { FilesWanted::Embeddings } else { FilesWanted::Tables };
        let folder = &url::local(folder, wanted, progress)?;
        let tables: Vec<MetadataShard> = metadata_tables(folder)?
            .par_iter()
            .map(|f| MetadataShard::open(f))
            .collect::<Result<_, _>>()?;
        if let Rule::ClipScore { arch, floor: ScoreFloor::Fraction(fraction) } = *self.rule()
            && let Some(subset) = one_pass::best(&tables, arch, fraction, progress)?
        {
            return Ok(subset);
        }
        self.subset_of(&tables, inputs, progress)
    }

    /// Finds the threshold, where there is one, and then judges every shard by itself.
    pub(crate) fn subset_of(
        &self,
        tables: &[MetadataShard],
        inputs: &Inputs<'_>,
        progress: &dyn Progress,
    ) -> Result<Subset, BaselineError> {
        let threshold = self.floor(tables, progress)?;
        progress.start("filter", tables.len() as u64, "shards");
        let look = watched(progress, |table| Filtered::of(self.rule(), table, inputs, threshold));
        let found: Result<Vec<Filtered>, BaselineError> = tables.par_iter().map(look).collect();
        progress.finish();
        let found = found?;
        let mut subset = Subset { ids: Vec::new(), rows: 0, dropped: BTreeMap::new(), threshold };
        for shard in &found {
            subset.rows += shard.rows;
            for (reason, count) in DropReason::ALL.into_iter().zip(shard.dropped) {
                if count > 0 {
                    *subset.dropped.entry(reason).or_default() += count;
                }
            }
        }
        subset.ids = sorted(&found.into_iter().map(|shard| shard.ids).collect::<Vec<_>>());
        Ok(subset)
    }
}

/// What one shard gives.
struct Filtered {
    ids: Buckets,
    rows: usize,
    /// By the number of the reason.
    dropped: [usize; DropReason::ALL.len()],
}

impl Filtered {
    fn of(
        rule: &Rule,
        table: &MetadataShard,
        inputs: &Inputs<'_>,
        threshold: Option<f64>,
    ) -> Result<Self, BaselineError> {
        let draws = matches!(rule, Rule::RandomSubset { .. });
        let mut all = Vec::new();
        if draws {
            table.each_row_id(|_, id| all.push(id))?;
        }
        let mut stays = Vec::with_capacity(table.len().min(1 << 24));
        // Counters and no map, which would be searched for every row that goes.
        let mut dropped = [0_usize; DropReason::ALL.len()];
        each_verdict(rule, table, &all, inputs, threshold, |verdict| {
            stays.push(verdict.dropped.is_none());
            if let Some(reason) = verdict.dropped {
                dropped[reason as usize] += 1;
            }
        })?;
        let mut found = Self { ids: Buckets::default(), rows: table.len(), dropped };
        let mut keep = |row: usize, id| {
            if stays.get(row) == Some(&true) {
                found.ids.push(id);
            }
        };
        if draws {
            all.into_iter().enumerate().for_each(|(row, id)| keep(row, id));
        } else {
            table.each_row_id(keep)?;
        }
        Ok(found)
    }
}
