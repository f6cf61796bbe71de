//! Fields of text of a pool: as they are, and counted.

use std::collections::BTreeMap;

use curate_core::Selection;

use crate::{
    error::{IoError, Kind},
    listing::Listing,
};

/// How many rows have each text of a field, and how many of those are kept.
pub type LabelCounts = BTreeMap<Option<String>, [u64; 2]>;

/// Bytes of a shard's labels that are held at once.
const MOST_LABELS: usize = 1 << 30;

/// The text of every row.
pub(super) fn read(listing: &Listing, field: &str) -> Result<Vec<Option<String>>, IoError> {
    let shards = listing.each_shard(|_, shard| {
        let (mut labels, mut bytes) = (Vec::new(), 0);
        shard.each_label(field, &mut |label| {
            bytes += label.map_or(0, str::len);
            if bytes <= MOST_LABELS {
                labels.push(label.map(str::to_owned));
            }
        })?;
        if bytes > MOST_LABELS {
            let problem = format!("`{field}` unpacks to {bytes} bytes of text, more than 1 GiB");
            let remedy = "name a field of labels";
            return Err(IoError::new(Kind::Unsupported, shard.path(), problem, remedy));
        }
        Ok(labels)
    })?;
    let mut values = Vec::with_capacity(listing.ids.len());
    for (at, labels) in shards.into_iter().enumerate() {
        listing.check_rows(at, labels.len())?;
        values.extend(labels);
    }
    Ok(values)
}

/// How many rows have each text; `None` where there are more than `most` texts.
pub(super) fn count(
    listing: &Listing,
    field: &str,
    kept: &Selection,
    most: usize,
) -> Result<Option<LabelCounts>, IoError> {
    let shards = listing.each_shard(|at, shard| {
        let first = listing.shards[at].rows.start;
        let (mut counts, mut rows) = (LabelCounts::new(), 0);
        shard.each_label(field, &mut |label| {
            let row = first + rows;
            rows += 1;
            if counts.len() <= most {
                add(&mut counts, label, [1, u64::from(kept.contains(row))]);
            }
        })?;
        listing.check_rows(at, rows)?;
        Ok(counts)
    })?;
    let mut all = LabelCounts::new();
    for (label, count) in shards.into_iter().flatten() {
        add(&mut all, label.as_deref(), count);
    }
    Ok((all.len() <= most).then_some(all))
}

fn add(counts: &mut LabelCounts, label: Option<&str>, [rows, kept]: [u64; 2]) {
    let known = counts.entry(label.map(str::to_owned)).or_default();
    *known = [known[0] + rows, known[1] + kept];
}
