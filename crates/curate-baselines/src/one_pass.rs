//! The best fraction by score, reading every shard once.
//!
//! A sample of the first shard says about where the threshold lies. Ids of rows well above it are
//! kept as they come, those of rows near it with their scores; once all rows are counted, the rows
//! near it hold the threshold, and are kept or dropped by it. Where they do not, since the first shard
//! is unlike the others or too many scores are alike, the answer is that there is none, and the
//! threshold is found [by counting](curate_core::stream::score_at).

use curate_core::{
    Progress, SampleId,
    score::Score,
    stream::{Guess, Side},
};
use curate_io::IoError;
use rayon::prelude::*;

use crate::{
    Arch, BaselineError, MetadataRows, MetadataShard, Subset,
    buckets::{Buckets, sorted},
    rows::watched,
    verdict::DropReason,
};

/// Scores that say where the threshold is.
const SAMPLE: usize = 1 << 17;

/// Rows near the threshold that are held: 32 MiB of them.
const HELD: usize = 1 << 20;

/// What [`Baseline::subset`](crate::Baseline::subset) gives for the best `fraction`, if one pass suffices.
pub(crate) fn best(
    tables: &[MetadataShard],
    arch: Arch,
    fraction: f64,
    progress: &dyn Progress,
) -> Result<Option<Subset>, BaselineError> {
    best_holding(tables, arch, fraction, HELD, progress)
}

fn best_holding(
    tables: &[MetadataShard],
    arch: Arch,
    fraction: f64,
    held: usize,
    progress: &dyn Progress,
) -> Result<Option<Subset>, BaselineError> {
    let column = arch.score_column();
    let Some(guess) = guess(tables, column, fraction)? else { return Ok(None) };
    progress.start("filter", tables.len() as u64, "shards");
    let look = watched(progress, |table| Seen::of(table, column, guess, held / tables.len()));
    let seen: Vec<Option<Seen>> = tables.par_iter().map(look).collect::<Result<_, IoError>>()?;
    progress.finish();
    Ok(seen.into_iter().collect::<Option<Vec<_>>>().and_then(|seen| settle(seen, guess, fraction)))
}

/// Where the threshold probably lies, by the first table. `None` without a sample, and where tables
/// differ in precision, for then one threshold is compared in two ways.
fn guess(
    tables: &[MetadataShard],
    column: &str,
    fraction: f64,
) -> Result<Option<Guess<u64>>, IoError> {
    let Some(first) = tables.first() else { return Ok(None) };
    let precision = first.precision(column)?;
    for table in tables {
        if table.precision(column)? != precision {
            return Ok(None);
        }
    }
    let mut keys = Vec::new();
    first.each_block(column, &mut |scores| {
        keys.extend(scores.iter().map(|score| score.key()).take(SAMPLE - keys.len()));
    })?;
    Ok(Guess::from_sample(&mut keys, fraction))
}

/// What one table gives.
#[derive(Default)]
struct Seen {
    rows: usize,
    /// Rows without a score.
    unscored: usize,
    /// Rows above what is near, and their ids.
    above: usize,
    ids: Buckets,
    near: Vec<(u64, SampleId)>,
}

impl Seen {
    /// `None` when more than `most` rows are near.
    fn of(
        table: &MetadataShard,
        column: &str,
        guess: Guess<u64>,
        most: usize,
    ) -> Result<Option<Self>, IoError> {
        let mut seen = Self::default();
        let mut sides: Vec<Side> = Vec::with_capacity(table.len().min(1 << 24));
        let mut keys = Vec::new();
        table.each_block(column, &mut |scores| {
            seen.unscored += scores.iter().filter(|score| score.is_nan()).count();
            let from = sides.len();
            sides.extend(scores.iter().map(|score| guess.side(score.key())));
            let near = sides[from..].iter().zip(scores).filter(|(side, _)| **side == Side::NEAR);
            let room = (most + 1).saturating_sub(keys.len());
            keys.extend(near.map(|(_, score)| score.key()).take(room));
        })?;
        if keys.len() > most {
            return Ok(None);
        }
        let mut keys = keys.into_iter();
        table.each_row_id(|row, id| match sides.get(row).copied() {
            Some(Side::ABOVE) => {
                seen.above += 1;
                seen.ids.push(id);
            }
            Some(Side::NEAR) => seen.near.extend(keys.next().map(|key| (key, id))),
            _ => {}
        })?;
        seen.rows = sides.len();
        Ok(Some(seen))
    }
}

/// The threshold among the rows that are near it, and what it keeps.
fn settle(mut seen: Vec<Seen>, guess: Guess<u64>, fraction: f64) -> Option<Subset> {
    let sum = |of: fn(&Seen) -> usize| seen.iter().map(of).sum::<usize>();
    let (rows, above, unscored) = (sum(|s| s.rows), sum(|s| s.above), sum(|s| s.unscored));
    let place = (fraction * rows as f64) as usize;
    let mut keys: Vec<u64> = seen.iter().flat_map(|s| &s.near).map(|(key, _)| *key).collect();
    let least = guess.settle(place, above, &mut keys)?;
    let threshold = f64::of_key(least)?;
    for Seen { ids, near, .. } in &mut seen {
        near.iter().filter(|(key, _)| *key >= least).for_each(|(_, id)| ids.push(*id));
    }
    let ids = sorted(&seen.into_iter().map(|seen| seen.ids).collect::<Vec<_>>());
    let low = rows - unscored - ids.len();
    let dropped = [(DropReason::NoScore, unscored), (DropReason::LowScore, low)];
    let dropped = dropped.into_iter().filter(|(_, count)| *count > 0).collect();
    Some(Subset { ids, rows, dropped, threshold: Some(threshold) })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use curate_core::NoProgress;
    use curate_io::table::{self, Column};
    use proptest::prelude::*;

    use super::*;
    use crate::{BaselineName, BaselineParams, Inputs};

    /// A shard of these scores in single or double precision.
    fn shard(folder: &Path, name: usize, scores: &[f64], single: bool) -> MetadataShard {
        let path = folder.join(format!("{name}.parquet"));
        let uids =
            (0..scores.len()).map(|row| format!("{:x}", (row * 7919 + name) % 501)).collect();
        let scores = match single {
            true => Column::F32(scores.iter().map(|&score| score as f32).collect()),
            false => Column::OptF64(scores.iter().map(|&score| Some(score)).collect()),
        };
        let columns = vec![("uid", Column::Text(uids)), (Arch::L14.score_column(), scores)];
        table::write(&path, columns).expect("a table");
        MetadataShard::open(&path).expect("a table")
    }

    /// What finding the threshold first gives.
    fn in_two_steps(tables: &[MetadataShard], fraction: f64) -> Subset {
        let params =
            BaselineParams::new(BaselineName::ClipScore).arch(Arch::L14).fraction(fraction);
        let baseline = params.check().expect("a fraction below 1");
        let found = baseline.subset_of(tables, &Inputs::default(), &NoProgress);
        found.expect("tables that can be read")
    }

    fn in_one(tables: &[MetadataShard], fraction: f64, held: usize) -> Option<Subset> {
        best_holding(tables, Arch::L14, fraction, held, &NoProgress)
            .expect("tables that can be read")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn one_pass_keeps_what_two_steps_keep_or_nothing(
            shards in proptest::collection::vec(proptest::collection::vec(0_u8..60, 0..120), 1..4),
            percent in 0_u32..100,
            single in any::<bool>(),
            held in prop_oneof![Just(0), Just(40), Just(HELD)],
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let score = |&cell: &u8| match cell {
                0..3 => f64::NAN,
                3 => f64::INFINITY,
                4 => -0.0,
                cell => f64::from(cell) / 7.0 - 2.5,
            };
            let tables: Vec<MetadataShard> = shards
                .iter()
                .enumerate()
                .map(|(i, cells)| {
                    let scores: Vec<f64> = cells.iter().map(score).collect();
                    shard(folder.path(), i, &scores, single)
                })
                .collect();
            let fraction = f64::from(percent) / 100.0;
            if let Some(found) = in_one(&tables, fraction, held) {
                prop_assert_eq!(found, in_two_steps(&tables, fraction));
            }
        }
    }

    #[test]
    fn one_pass_suffices_where_shards_are_alike_and_is_given_up_where_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let scores = |from: usize, step: usize| {
            (from..from + 4000).step_by(step).map(|i| i as f64 / 8192.0).collect::<Vec<_>>()
        };
        let rest = shard(folder.path(), 0, &scores(0, 2), true);
        let alike = shard(folder.path(), 1, &scores(0, 3), true);
        let better = shard(folder.path(), 2, &scores(9000, 1), true);
        let empty = shard(folder.path(), 3, &[], true);
        let equal = shard(folder.path(), 4, &[0.25; 3000], true);
        let double = shard(folder.path(), 5, &scores(0, 3), false);
        for (first, held, suffices) in [
            (alike, HELD, true),
            (better, HELD, false),
            (empty, HELD, false),
            (equal, 100, false),
            (double, HELD, false),
        ] {
            let name = first.path().to_owned();
            let tables = [first, MetadataShard::open(rest.path()).expect("a table")];
            let found = in_one(&tables, 0.3, held);
            assert_eq!(found.is_some(), suffices, "{}", name.display());
            if let Some(found) = found {
                assert_eq!(found, in_two_steps(&tables, 0.3));
            }
        }
    }
}
