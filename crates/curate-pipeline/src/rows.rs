//! What a stage leaves behind: a value and a verdict for every row it was given.

use std::{collections::BTreeMap, path::Path};

use curate_core::{
    Removal, ScoreColumn, Selection,
    fault::{Fault, Faulty},
};
use curate_io::{
    IoError,
    table::{self, Column},
};

/// A stage's verdict on each row that it was given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageRows {
    /// The rows of the pool that the stage was given, ascending.
    pub rows: Vec<usize>,
    /// Index into `rules` of the rule that removed the row; 0 for a row that stays.
    verdict: Vec<u8>,
    /// The rules that removed rows; the first entry stands for "stays".
    rules: Vec<String>,
    /// The stage's number for each row: its score, its similarity to a preferred row, its rank in
    /// its cluster, in the precision in which it is compared. NaN where it has none.
    pub value: ScoreColumn,
    /// What the number is compared with; NaN where it is compared with nothing.
    pub threshold: ScoreColumn,
    /// The row's cluster; empty when the stage does not cluster.
    pub cluster: Vec<Option<u32>>,
    /// The most similar preferred row; empty when the stage does not compare rows.
    pub related: Vec<Option<usize>>,
    /// The most similar row of a reference that is not of this pool: its id, or its file and number.
    /// Empty when the stage has no such reference.
    pub reference: Vec<Option<String>>,
}

impl StageRows {
    /// All rows stay, without values.
    pub(crate) fn new(input: &Selection) -> Self {
        let n = input.len();
        Self {
            rows: input.rows().to_vec(),
            verdict: vec![0; n],
            rules: vec![String::new()],
            value: ScoreColumn::missing(n),
            threshold: ScoreColumn::missing(n),
            cluster: vec![],
            related: vec![],
            reference: vec![],
        }
    }

    /// All rows stay but the faulty ones, whose value is the length of their vector.
    pub(crate) fn with_faults(input: &Selection, faults: &[Faulty]) -> Self {
        let mut rows = Self::new(input);
        rows.set_aside(faults);
        rows
    }

    /// Removes faulty rows; their value is the length of their vector.
    pub(crate) fn set_aside(&mut self, faults: &[Faulty]) {
        for faulty in faults {
            let position = self.position(faulty.row).expect("a row that was given");
            self.remove(position, faulty.fault.name());
            self.value.set(position, faulty.norm);
        }
    }

    /// Removes the rows without a number.
    pub(crate) fn set_unscored_aside(&mut self) {
        for position in 0..self.rows.len() {
            if self.value.get(position).is_nan() {
                self.remove(position, Fault::ScoreMissing.name());
            }
        }
    }

    /// Removes the row at `position` by a rule.
    pub(crate) fn remove(&mut self, position: usize, rule: &str) {
        let known = self.rules.iter().position(|r| r == rule);
        let index = known.unwrap_or_else(|| {
            self.rules.push(rule.to_owned());
            self.rules.len() - 1
        });
        self.verdict[position] = u8::try_from(index).expect("a stage has a handful of rules");
    }

    /// The rule that removed the row at `position`.
    pub fn rule(&self, position: usize) -> Option<&str> {
        match self.verdict[position] {
            0 => None,
            index => Some(&self.rules[index as usize]),
        }
    }

    /// True when the row at `position` stays.
    pub fn keeps(&self, position: usize) -> bool {
        self.verdict[position] == 0
    }

    /// The position of a row of the pool.
    pub fn position(&self, row: usize) -> Option<usize> {
        self.rows.binary_search(&row).ok()
    }

    /// The rows that stay.
    pub fn kept(&self) -> Selection {
        let kept = (0..self.rows.len()).filter(|&i| self.keeps(i)).map(|i| self.rows[i]);
        Selection::from_unsorted(kept.collect())
    }

    /// How many rows each rule removed.
    pub fn removed(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for &index in self.verdict.iter().filter(|&&index| index > 0) {
            *counts.entry(self.rules[index as usize].clone()).or_default() += 1;
        }
        counts
    }

    /// Why the row at `position` was removed; `None` for a row that stays.
    pub fn removal(&self, position: usize) -> Option<Removal> {
        let rule = self.rule(position)?;
        let number = |x: f64| (!x.is_nan()).then_some(x);
        // A quarantined row was not compared with anything.
        let compared = Fault::named(rule).is_none();
        Some(Removal {
            row: self.rows[position],
            rule: rule.to_owned(),
            value: number(self.value.get(position)),
            threshold: number(self.threshold.get(position)).filter(|_| compared),
            cause: self.related.get(position).copied().flatten().filter(|_| compared),
            cluster: self.cluster.get(position).copied().flatten(),
        })
    }

    /// The row of a reference outside the pool for which the row at `position` was removed.
    pub fn outside_cause(&self, position: usize) -> Option<&str> {
        let compared = self.rule(position).is_some_and(|rule| Fault::named(rule).is_none());
        self.reference.get(position)?.as_deref().filter(|_| compared)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), IoError> {
        let optional = |rows: &[Option<usize>]| rows.iter().map(|r| r.map(|r| r as u64)).collect();
        let mut columns = vec![
            ("row", Column::U64(self.rows.iter().map(|&row| row as u64).collect())),
            ("kept", Column::Bool(self.verdict.iter().map(|&index| index == 0).collect())),
            ("value", column(&self.value)),
            ("threshold", column(&self.threshold)),
            (
                "rule",
                Column::OptText(
                    (0..self.rows.len()).map(|i| self.rule(i).map(str::to_owned)).collect(),
                ),
            ),
        ];
        if !self.cluster.is_empty() {
            let cluster = self.cluster.iter().map(|c| c.map(u64::from)).collect();
            columns.push(("cluster", Column::OptU64(cluster)));
        }
        if !self.related.is_empty() {
            columns.push(("related", Column::OptU64(optional(&self.related))));
        }
        if !self.reference.is_empty() {
            columns.push(("reference", Column::OptText(self.reference.clone())));
        }
        table::write(path, columns)
    }

    pub(crate) fn read(path: &Path) -> Result<Self, IoError> {
        let reader = table::Reader::open(path)?;
        let index = |x: Option<u64>| x.and_then(|x| usize::try_from(x).ok());
        let rows: Option<Vec<usize>> = reader.u64("row")?.into_iter().map(index).collect();
        let rows = rows.ok_or_else(|| IoError::malformed(path, "column `row` has gaps"))?;
        let mut found = Self::new(&Selection::from_unsorted(rows));
        found.value = reader.scores("value")?;
        found.threshold = reader.scores("threshold")?;
        for (position, rule) in reader.text("rule", None)?.into_iter().enumerate() {
            if let Some(rule) = rule {
                found.remove(position, &rule);
            }
        }
        let has = |name: &str| reader.columns().iter().any(|column| column == name);
        if has("cluster") {
            let cluster = reader.u64("cluster")?.into_iter();
            found.cluster = cluster.map(|c| c.and_then(|c| u32::try_from(c).ok())).collect();
        }
        if has("related") {
            found.related = reader.u64("related")?.into_iter().map(index).collect();
        }
        if has("reference") {
            found.reference = reader.text("reference", None)?;
        }
        Ok(found)
    }
}

fn column(numbers: &ScoreColumn) -> Column {
    match numbers {
        ScoreColumn::Single(numbers) => Column::F32(numbers.clone()),
        ScoreColumn::Double(numbers) => Column::F64(numbers.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> StageRows {
        let mut rows = StageRows::new(&Selection::from_unsorted(vec![2, 5, 9]));
        rows.value = vec![0.5, f64::NAN, 0.1].into();
        rows.threshold = vec![0.4; 3].into();
        rows.cluster = vec![Some(1), None, Some(0)];
        rows.related = vec![None, Some(2), Some(5)];
        rows.reference = vec![None, Some("eval.npy#7".into()), Some("eval.npy#3".into())];
        rows.remove(1, "embedding-nan");
        rows.remove(2, "semantic-duplicate");
        rows
    }

    #[test]
    fn rows_survive_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        rows().write(&path).unwrap();
        let again = StageRows::read(&path).unwrap();
        assert!(again.value.get(1).is_nan());
        let mut expected = rows();
        let mut again = again;
        expected.value.set(1, 0.0);
        again.value.set(1, 0.0);
        assert_eq!(again, expected);
        assert_eq!(again.kept().rows(), [2]);
    }

    #[test]
    fn a_quarantined_row_was_compared_with_nothing() {
        let rows = rows();
        assert_eq!(rows.removal(0), None);
        let fault = rows.removal(1).unwrap();
        assert_eq!(
            (fault.rule.as_str(), fault.threshold, fault.cause),
            ("embedding-nan", None, None)
        );
        let duplicate = rows.removal(2).unwrap();
        assert_eq!(
            (duplicate.value, duplicate.cause, duplicate.cluster),
            (Some(0.1), Some(5), Some(0))
        );
        let outside = [0, 1, 2].map(|position| rows.outside_cause(position));
        assert_eq!(outside, [None, None, Some("eval.npy#3")]);
        assert_eq!(rows.removed().values().sum::<usize>(), 2);
    }
}
