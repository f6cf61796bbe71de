//! What a stage leaves behind: a value and a verdict for every row it was given.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
};

use curate_core::{
    Removal, ScoreColumn, Selection,
    fault::{Fault, Faulty},
};
use curate_io::{
    IoError,
    table::{self, Column},
};

/// A stage's verdict on each row that it was given.
///
/// Pools have millions of rows, and a run many stages: only the stage that is carried out, or looked at,
/// is held. [`RemovedRows`] goes through a finished one in parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageRows {
    /// The rows of the pool that the stage was given.
    pub rows: Selection,
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
            rows: input.clone(),
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

    /// The rows of several parts, in order, each of which was judged by itself.
    pub(crate) fn concat(parts: Vec<Self>) -> Self {
        let rows = parts.iter().flat_map(|part| part.rows.iter());
        let mut all = Self::new(&rows.collect());
        let columns = |of: fn(&Self) -> &ScoreColumn| {
            ScoreColumn::concat(&parts.iter().map(|part| of(part).clone()).collect::<Vec<_>>())
        };
        all.value = columns(|part| &part.value);
        all.threshold = columns(|part| &part.threshold);
        let mut first = 0;
        for part in parts {
            for position in 0..part.rows.len() {
                if let Some(rule) = part.rule(position) {
                    all.remove(first + position, rule);
                }
            }
            first += part.rows.len();
            all.cluster.extend(part.cluster);
            all.related.extend(part.related);
            all.reference.extend(part.reference);
        }
        all
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

    /// The row of the pool at `position`.
    pub fn row(&self, position: usize) -> usize {
        self.rows.rows()[position]
    }

    /// The position of a row of the pool.
    pub fn position(&self, row: usize) -> Option<usize> {
        self.rows.position(row)
    }

    /// The rows that stay.
    pub fn kept(&self) -> Selection {
        if self.verdict.iter().all(|&verdict| verdict == 0) {
            return self.rows.clone();
        }
        let mut verdicts = self.verdict.iter();
        self.rows.retain(|_| verdicts.next() == Some(&0))
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
            row: self.row(position),
            rule: rule.to_owned(),
            value: number(self.value.get(position)),
            threshold: number(self.threshold.get(position)).filter(|_| compared),
            cause: self.cause(position),
            cluster: self.cluster.get(position).copied().flatten(),
        })
    }

    /// The row for which the row at `position` was removed.
    pub fn cause(&self, position: usize) -> Option<usize> {
        let compared = self.rule(position).is_some_and(|rule| Fault::named(rule).is_none());
        self.related.get(position).copied().flatten().filter(|_| compared)
    }

    /// The row of a reference outside the pool for which the row at `position` was removed.
    pub fn outside_cause(&self, position: usize) -> Option<&str> {
        let compared = self.rule(position).is_some_and(|rule| Fault::named(rule).is_none());
        self.reference.get(position)?.as_deref().filter(|_| compared)
    }

    /// Writes the rows in parts: what is written holds no more than one of them.
    pub(crate) fn write(&self, path: &Path) -> Result<(), IoError> {
        let mut parts = (0..self.rows.len()).step_by(AT_ONCE);
        let part = |from: usize| self.columns(from..(from + AT_ONCE).min(self.rows.len()));
        let mut writer = table::Writer::create(path, part(parts.next().unwrap_or(0)))?;
        for from in parts {
            writer.write(part(from).into_iter().map(|(_, column)| column).collect())?;
        }
        writer.finish()
    }

    /// The columns of the rows at these positions.
    fn columns(&self, at: Range<usize>) -> Vec<(&'static str, Column)> {
        let rule = |i: usize| self.rule(i).map(str::to_owned);
        let mut columns = vec![
            ("row", Column::U64(self.rows.rows()[at.clone()].iter().map(|&r| r as u64).collect())),
            ("kept", Column::Bool(self.verdict[at.clone()].iter().map(|&v| v == 0).collect())),
            ("value", column(&self.value, at.clone())),
            ("threshold", column(&self.threshold, at.clone())),
            ("rule", Column::OptText(at.clone().map(rule).collect())),
        ];
        if !self.cluster.is_empty() {
            let cluster = self.cluster[at.clone()].iter().map(|c| c.map(u64::from)).collect();
            columns.push(("cluster", Column::OptU64(cluster)));
        }
        if !self.related.is_empty() {
            let related = self.related[at.clone()].iter().map(|r| r.map(|r| r as u64)).collect();
            columns.push(("related", Column::OptU64(related)));
        }
        if !self.reference.is_empty() {
            columns.push(("reference", Column::OptText(self.reference[at].to_vec())));
        }
        columns
    }

    /// Reads all rows of a finished stage, or those of a part of it.
    pub(crate) fn read(path: &Path, reader: &table::Reader<'_>) -> Result<Self, IoError> {
        let has = |name: &str| reader.has(name);
        let mut found = Self::new(&rows_in(path, reader)?);
        found.value = reader.scores("value")?;
        found.threshold = reader.scores("threshold")?;
        let mut position = 0;
        reader.each_text("rule", None, |rule| {
            rule.into_iter().for_each(|rule| found.remove(position, rule));
            position += 1;
        })?;
        if has("cluster") {
            found.cluster = optional(reader, "cluster")?;
        }
        if has("related") {
            found.related = optional(reader, "related")?;
        }
        if has("reference") {
            found.reference = reader.text("reference", None)?;
        }
        Ok(found)
    }
}

/// Rows that are written at once.
const AT_ONCE: usize = 1 << 16;

/// The rows of the pool that a stage was given.
fn rows_in(path: &Path, reader: &table::Reader<'_>) -> Result<Selection, IoError> {
    let mut rows = Vec::with_capacity(reader.rows());
    reader.each_u64("row", |row| rows.extend(row.and_then(|row| usize::try_from(row).ok())))?;
    if rows.len() < reader.rows() {
        return Err(IoError::malformed(path, "column `row` has gaps"));
    }
    Ok(Selection::from_unsorted(rows))
}

/// A column of numbers of clusters or rows, some missing.
fn optional<T: TryFrom<u64>>(
    reader: &table::Reader<'_>,
    column: &str,
) -> Result<Vec<Option<T>>, IoError> {
    let mut values = Vec::with_capacity(reader.rows());
    reader.each_u64(column, |value| values.push(value.and_then(|value| value.try_into().ok())))?;
    Ok(values)
}

fn column(numbers: &ScoreColumn, at: Range<usize>) -> Column {
    match numbers {
        ScoreColumn::Half(numbers) => Column::F16(numbers[at].to_vec()),
        ScoreColumn::Single(numbers) => Column::F32(numbers[at].to_vec()),
        ScoreColumn::Double(numbers) => Column::F64(numbers[at].to_vec()),
    }
}

/// The rows that a finished stage removed, in the order of the pool. A part of the stage's rows is held
/// at a time.
pub struct RemovedRows {
    path: PathBuf,
    /// The number of the next part.
    next: usize,
    part: StageRows,
    position: usize,
}

impl RemovedRows {
    /// Starts at the first of them in the table at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, IoError> {
        let part = StageRows::default();
        let mut rows = Self { path: path.to_owned(), next: 0, part, position: 0 };
        rows.find()?;
        Ok(rows)
    }

    /// The row of the pool that it stands at; `None` after the last.
    pub fn row(&self) -> Option<usize> {
        self.part.rows.rows().get(self.position).copied()
    }

    /// The part that holds the row, and the row's position in it.
    pub fn here(&self) -> (&StageRows, usize) {
        (&self.part, self.position)
    }

    /// Goes on to the next row that the stage removed.
    ///
    /// # Errors
    /// When the next part cannot be read.
    pub fn advance(&mut self) -> Result<(), IoError> {
        self.position += 1;
        self.find()
    }

    /// Goes on from here until there is a row that was removed, or no part.
    fn find(&mut self) -> Result<(), IoError> {
        loop {
            let from = self.position.min(self.part.verdict.len());
            let ahead = self.part.verdict[from..].iter().position(|&verdict| verdict != 0);
            if let Some(ahead) = ahead {
                self.position = from + ahead;
                return Ok(());
            }
            let file = table::Reader::open(&self.path)?;
            let Some(part) = file.parts().nth(self.next) else {
                self.part = StageRows::default();
                return Ok(());
            };
            self.part = StageRows::read(&self.path, &part)?;
            (self.next, self.position) = (self.next + 1, 0);
        }
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
        let again = StageRows::read(&path, &table::Reader::open(&path).unwrap()).unwrap();
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
