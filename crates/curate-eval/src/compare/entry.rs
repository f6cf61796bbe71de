//! A selection, as rows of the pool.

use std::collections::{BTreeMap, BTreeSet};

use curate_core::SampleId;
use curate_io::digest;

use crate::compare::{Arena, Compare, CompareError, arena::Use};

/// Unknown ids that are named.
const NAMED: usize = 3;

/// What to do with ids that the pool does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownIds {
    /// Refuse the selection.
    #[default]
    Refuse,
    /// Leave them out, and count them.
    Skip,
}

/// A selection of the pool's rows that can be trained on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub(crate) name: String,
    /// Rows to train on, ascending; a sample that was selected several times is there as often.
    pub(crate) rows: Vec<usize>,
    /// Different rows.
    pub(crate) unique: usize,
    /// Ids that are not trained on, by reason.
    pub(crate) left_out: BTreeMap<String, usize>,
    pub(crate) digest: String,
}

impl Entry {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Rows of the pool to train on, ascending; one that was selected several times is there as often.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// Different rows to train on.
    pub fn unique(&self) -> usize {
        self.unique
    }
}

impl Arena {
    /// The rows of a selection that can be trained on. Held-out rows are left out and counted, and so are
    /// rows without features; ids that occur several times are trained on as often.
    ///
    /// # Errors
    /// When nothing is left to train on, and for unknown ids unless they are to be skipped.
    pub fn entry(
        &self,
        compare: &Compare,
        name: &str,
        ids: &[SampleId],
        unknown: UnknownIds,
    ) -> Result<Entry, CompareError> {
        if !is_plain(name) {
            let problem =
                "its name becomes that of a folder: use letters, digits, `-`, `_` and `.`";
            return Err(CompareError::selection(name, problem));
        }
        if ids.is_empty() {
            return Err(CompareError::selection(name, "it is empty: there is nothing to train on"));
        }
        let mut left_out = BTreeMap::new();
        let mut rows = Vec::with_capacity(ids.len());
        let mut strangers = Vec::new();
        for &id in ids {
            match self.row_of(id) {
                Some(row) => rows.push(row),
                None => strangers.push(id),
            }
        }
        if !strangers.is_empty() {
            let problem = said_of(&strangers, ids.len());
            if rows.is_empty() {
                let remedy = "name the pool that it was made from";
                return Err(CompareError::selection(name, format!("{problem}: {remedy}")));
            }
            if unknown == UnknownIds::Refuse {
                return Err(CompareError::Unknown { name: name.to_owned(), problem });
            }
            left_out.insert("not in the pool".to_owned(), strangers.len());
        }
        let labels = compare.params.model.learns_labels();
        rows.retain(|&row| match self.why_not(row, labels) {
            Some(reason) => {
                *left_out.entry(reason.to_owned()).or_default() += 1;
                false
            }
            None => true,
        });
        rows.sort_unstable();
        let unique = rows.chunk_by(|a, b| a == b).count();
        self.check_rows(name, &rows, unique, labels, &left_out)?;
        let mut sorted = ids.to_vec();
        sorted.sort_unstable();
        let bytes: Vec<u8> = sorted.iter().flat_map(|id| id.0.to_le_bytes()).collect();
        let digest = digest::of_bytes(&bytes);
        Ok(Entry { name: name.to_owned(), rows, unique, left_out, digest })
    }

    /// The row of an id; of a repeated id the first that can be used.
    fn row_of(&self, id: SampleId) -> Option<usize> {
        let first = self.by_id.partition_point(|&row| self.ids[row] < id);
        let same = || self.by_id[first..].iter().copied().take_while(|&row| self.ids[row] == id);
        let usable = same().find(|&row| self.uses[row] != Use::Unusable);
        usable.or_else(|| same().next())
    }

    fn why_not(&self, row: usize, labels: bool) -> Option<&'static str> {
        match self.uses[row] {
            Use::HeldOut => Some("held out for the test"),
            Use::Elsewhere => Some("of a pool from another source"),
            Use::KeptBack => Some("held out to choose alpha"),
            Use::Unusable => Some("without usable features"),
            Use::Train if labels && self.class[row].is_none() => Some("without a label"),
            Use::Train => None,
        }
    }

    fn check_rows(
        &self,
        name: &str,
        rows: &[usize],
        unique: usize,
        labels: bool,
        left_out: &BTreeMap<String, usize>,
    ) -> Result<(), CompareError> {
        if unique < 2 {
            let reasons: Vec<String> =
                left_out.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
            let rest = if reasons.is_empty() { "no others".to_owned() } else { reasons.join(", ") };
            let problem = format!("{unique} rows to train on are too few ({rest})");
            return Err(CompareError::selection(name, problem + ": select more"));
        }
        let first = self.class[rows[0]];
        if let (true, Some(class)) = (labels, first)
            && rows.iter().all(|&row| self.class[row] == first)
        {
            let only = &self.classes[class];
            let problem = format!("`{only}` is its only label: classes are told apart");
            return Err(CompareError::selection(name, problem + ", so select at least two"));
        }
        Ok(())
    }
}

/// Whether a name stays in its folder, and in its column.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
}

fn said_of(strangers: &[SampleId], all: usize) -> String {
    let different: BTreeSet<&SampleId> = strangers.iter().collect();
    let named: Vec<String> = different.iter().take(NAMED).map(ToString::to_string).collect();
    let more = if different.len() > NAMED { ", …" } else { "" };
    let count = strangers.len();
    format!("{count} of its {all} ids are not in the pool ({}{more})", named.join(", "))
}
