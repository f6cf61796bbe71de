//! Numbers that someone else computed for samples: a table by id, read as a stream.

use std::{borrow::Cow, collections::BTreeSet, path::Path};

use curate_core::{SampleId, ScoreColumn};
use curate_io::{IoError, Kind, ids::id_of_key, json_lines::try_each_record, table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The columns that name a sample where none is asked for, the first that is there.
const ID_COLUMNS: [&str; 5] = ["uid", "key", "image_path", "url", "id"];

/// Bytes of memory for each sample that is asked for: its id, its place, a sum and two counts.
pub(crate) const BYTES_PER_ROW: u64 = 16 + 8 + 8 + 4 + 4;

/// Which number counts where a table names a sample several times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Repeated {
    /// The first in the table.
    First,
    /// The largest.
    Max,
    /// Their mean.
    Mean,
}

/// A column of a table by id.
pub(crate) struct ById<'a> {
    pub(crate) path: &'a Path,
    pub(crate) column: &'a str,
    pub(crate) id_column: Option<&'a str>,
    pub(crate) repeated: Option<Repeated>,
}

/// What a table says of some samples.
#[derive(Debug, PartialEq)]
pub(crate) struct Numbers {
    /// One number for each sample, in the table's precision; NaN where it has none.
    pub(crate) values: ScoreColumn,
    pub(crate) told: TableTold,
}

/// How a table and a stage's rows met.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct TableTold {
    /// Rows of the table.
    pub(crate) table_rows: usize,
    /// Rows of the table that name no row of the stage.
    pub(crate) of_other_samples: usize,
    /// Rows of the stage that the table does not name, or has no number for.
    pub(crate) missing: usize,
}

/// How a table is written.
enum Layout {
    Parquet,
    Csv,
    JsonLines,
}

impl Layout {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "parquet" => Some(Self::Parquet),
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            _ => None,
        }
    }
}

/// Whether a path names a table that can be read.
pub(crate) fn is_table(path: &Path) -> bool {
    Layout::of(path).is_some()
}

impl ById<'_> {
    /// The numbers of these samples. Memory: [`BYTES_PER_ROW`] for each of them, and as
    /// much again for places in a Parquet table; whatever the table's size.
    ///
    /// # Errors
    /// When the table cannot be read, lacks a column, holds what is not a number, names a sample twice
    /// without a rule for it, or names none of the samples.
    pub(crate) fn read(&self, ids: &[SampleId]) -> Result<Numbers, IoError> {
        let mut gathered = Gathered::new(self, ids);
        match Layout::of(self.path) {
            Some(Layout::Parquet) => self.parquet(&mut gathered)?,
            Some(Layout::Csv) => self.csv(&mut gathered)?,
            Some(Layout::JsonLines) => self.json_lines(&mut gathered)?,
            None => {
                let remedy = "name a .parquet, .csv or .jsonl file";
                let problem = "is not a table that this program reads";
                return Err(IoError::new(Kind::Unsupported, self.path, problem, remedy));
            }
        }
        gathered.finish()
    }

    /// The column that names samples.
    fn id_column<'b>(&'b self, columns: &'b [String]) -> Result<&'b str, IoError> {
        let wanted = self.id_column.map_or(ID_COLUMNS.to_vec(), |name| vec![name]);
        let found = wanted.iter().find_map(|name| columns.iter().find(|column| column == name));
        found.map(String::as_str).ok_or_else(|| self.no_column(&wanted.join("`, `"), columns))
    }

    fn no_column(&self, wanted: &str, columns: &[String]) -> IoError {
        let there: Vec<_> = columns.iter().map(|column| format!("`{column}`")).collect();
        let problem = format!("has no column `{wanted}`; it has {}", there.join(", "));
        let remedy = "name the ids with `id-column` and the numbers with `column`";
        IoError::new(Kind::NotFound, self.path, problem, remedy)
    }

    /// Two passes, one a column: only the places of samples that were asked for are held between
    /// them. Parquet stores columns apart, so the second pass reads nothing twice.
    fn parquet(&self, gathered: &mut Gathered<'_>) -> Result<(), IoError> {
        let reader = table::Reader::open(self.path)?;
        let columns = reader.columns();
        let id_column = self.id_column(&columns)?;
        let (mut row, mut places, mut problem) = (0_usize, Vec::new(), Ok(()));
        let place = |text: Option<&str>| {
            match gathered.place(id_column, text) {
                Ok(Some(position)) => places.push((row, position)),
                Ok(None) => {}
                Err(e) if problem.is_ok() => problem = Err(e),
                Err(_) => {}
            }
            row += 1;
        };
        match id_column {
            "uid" => reader.each_uid(id_column, place)?,
            _ => reader.each_name(id_column, place)?,
        }
        problem?;
        gathered.precision = reader.precision(self.column);
        let (mut first, mut places) = (0, places.into_iter().peekable());
        reader.each_f64(self.column, |block| {
            while let Some((row, position)) = places.next_if(|(row, _)| *row < first + block.len())
            {
                gathered.value(position, block[row - first]);
            }
            first += block.len();
        })
    }

    fn csv(&self, gathered: &mut Gathered<'_>) -> Result<(), IoError> {
        let failed =
            |e: csv::Error| IoError::malformed(self.path, "is not a CSV table").caused_by(e);
        let mut reader = csv::Reader::from_path(self.path).map_err(failed)?;
        let columns: Vec<String> =
            reader.headers().map_err(failed)?.iter().map(str::to_owned).collect();
        let id_column = self.id_column(&columns)?;
        let at = |name: &str| columns.iter().position(|column| column == name);
        let (Some(id_at), Some(number_at)) = (at(id_column), at(self.column)) else {
            return Err(self.no_column(self.column, &columns));
        };
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(failed)? {
            let text = record.get(number_at).unwrap_or_default();
            let line = record.position().map_or(0, csv::Position::line);
            let number = match text.trim() {
                "" | "null" | "None" => f64::NAN,
                text => text.parse().map_err(|_| self.no_number(line, text))?,
            };
            if let Some(position) = gathered.place(id_column, record.get(id_at))? {
                gathered.value(position, number);
            }
        }
        Ok(())
    }

    fn json_lines(&self, gathered: &mut Gathered<'_>) -> Result<(), IoError> {
        let mut columns = BTreeSet::new();
        try_each_record(self.path, |_, line, record| {
            let record =
                record.map_err(|e| IoError::malformed(self.path, format!("line {line} {e}")))?;
            let there: Vec<String> = record.fields().map(|(name, _)| name.to_owned()).collect();
            let id_column = self.id_column(&there)?;
            let id = record.get(id_column).and_then(|id| id.name()).map(Cow::into_owned);
            let number = match record.get(self.column).filter(|value| !value.is_null()) {
                None => f64::NAN,
                Some(value) => value.number().ok_or_else(|| {
                    self.no_number(line, &value.shown().unwrap_or_else(|| value.kind().to_owned()))
                })?,
            };
            if let Some(position) = gathered.place(id_column, id.as_deref())? {
                gathered.value(position, number);
            }
            columns.extend(there);
            Ok(())
        })?;
        if gathered.told.table_rows > 0 && !columns.contains(self.column) {
            return Err(self.no_column(self.column, &columns.into_iter().collect::<Vec<_>>()));
        }
        Ok(())
    }

    fn no_number(&self, line: u64, text: &str) -> IoError {
        let problem = format!("line {line}: `{}` is `{text}`, not a number", self.column);
        IoError::malformed(self.path, problem)
    }
}

/// Numbers as they come, in the order of the table.
struct Gathered<'a> {
    table: &'a ById<'a>,
    ids: &'a [SampleId],
    /// Positions of the samples, by id: the search of a sample is logarithmic.
    order: Vec<usize>,
    sums: Vec<f64>,
    /// How precise the table's numbers are.
    precision: table::Precision,
    /// Rows of the table that named each sample, and those of them with a number.
    named: Vec<u32>,
    counted: Vec<u32>,
    /// An id of the table, for an error.
    example: Option<String>,
    told: TableTold,
}

impl<'a> Gathered<'a> {
    fn new(table: &'a ById<'a>, ids: &'a [SampleId]) -> Self {
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_unstable_by_key(|&position| ids[position]);
        let (sums, named) = (vec![f64::NAN; ids.len()], vec![0; ids.len()]);
        let (counted, told) = (named.clone(), TableTold::default());
        Self {
            table,
            ids,
            order,
            sums,
            precision: table::Precision::Double,
            named,
            counted,
            example: None,
            told,
        }
    }

    /// The sample that a row of the table names, if it is one of those asked for.
    fn place(&mut self, column: &str, text: Option<&str>) -> Result<Option<usize>, IoError> {
        self.told.table_rows += 1;
        let Some(text) = text else {
            self.told.of_other_samples += 1;
            return Ok(None);
        };
        if self.example.is_none() {
            self.example = Some(text.to_owned());
        }
        // A `uid` is an id; another name is one if it has 32 hexadecimal digits, and else hashed, as
        // where pools are read.
        let id = if column == "uid" { text.parse().ok() } else { Some(id_of_key(text)) };
        let place = id.and_then(|id| {
            self.order.binary_search_by_key(&id, |&position| self.ids[position]).ok()
        });
        let Some(place) = place else {
            self.told.of_other_samples += 1;
            return Ok(None);
        };
        let position = self.order[place];
        self.named[position] += 1;
        if self.named[position] > 1 && self.table.repeated.is_none() {
            let problem = format!("names `{text}` more than once");
            let remedy = "say which number counts: `repeated = \"first\"`, \"max\" or \"mean\"";
            return Err(IoError::new(Kind::Disagree, self.table.path, problem, remedy));
        }
        Ok(Some(position))
    }

    fn value(&mut self, position: usize, value: f64) {
        if value.is_nan() {
            return;
        }
        let (sum, count) = (&mut self.sums[position], &mut self.counted[position]);
        *count += 1;
        *sum = match self.table.repeated {
            _ if *count == 1 => value,
            Some(Repeated::First) | None => *sum,
            Some(Repeated::Max) => sum.max(value),
            Some(Repeated::Mean) => *sum + value,
        };
    }

    fn finish(mut self) -> Result<Numbers, IoError> {
        if let (Some(theirs), Some(ours)) = (&self.example, self.ids.first())
            && self.named.iter().all(|&count| count == 0)
        {
            let problem = format!(
                "names none of the {} samples: its first id is `{theirs}`, the pool's is `{ours}`",
                self.ids.len()
            );
            let remedy = "name the column of ids with `id-column`, or another table";
            return Err(IoError::new(Kind::Disagree, self.table.path, problem, remedy));
        }
        if self.table.repeated == Some(Repeated::Mean) {
            let means = self.sums.iter_mut().zip(&self.counted);
            means.for_each(|(sum, &count)| *sum /= f64::from(count.max(1)));
        }
        self.told.missing = self.counted.iter().filter(|&&count| count == 0).count();
        let singles = |sums: Vec<f64>| sums.into_iter().map(|sum| sum as f32).collect();
        let values = match self.precision {
            // A mean of halves is none.
            table::Precision::Half if self.table.repeated != Some(Repeated::Mean) => {
                ScoreColumn::Half(singles(self.sums))
            }
            table::Precision::Half | table::Precision::Single => {
                ScoreColumn::Single(singles(self.sums))
            }
            table::Precision::Double => ScoreColumn::Double(self.sums),
        };
        Ok(Numbers { values, told: self.told })
    }
}

#[cfg(test)]
mod tests {
    use curate_io::table::Column;

    use super::*;

    fn ids() -> Vec<SampleId> {
        [5, 1, 9, 0xabc].map(SampleId).to_vec()
    }

    fn table(path: &Path, repeated: Option<Repeated>) -> ById<'_> {
        ById { path, column: "aesthetic", id_column: None, repeated }
    }

    /// The same table in each layout: row 9 first, row 1 twice, a stranger, row 0xabc without a
    /// number, and nothing of row 5.
    fn written(folder: &Path) -> Vec<std::path::PathBuf> {
        let uid = |id: u128| SampleId(id).to_string();
        let rows = [(9, 0.9), (1, 0.1), (77, 7.7), (0xabc, f32::NAN), (1, 0.3)];
        let (parquet, csv, jsonl) =
            (folder.join("a.parquet"), folder.join("a.csv"), folder.join("a.jsonl"));
        let columns = vec![
            ("uid", Column::Text(rows.iter().map(|row| uid(row.0)).collect())),
            ("aesthetic", Column::F32(rows.iter().map(|row| row.1).collect())),
        ];
        table::write(&parquet, columns).unwrap();
        let (mut lines, mut objects) = ("aesthetic,uid\n".to_owned(), String::new());
        for (id, number) in rows {
            let text = if number.is_nan() { String::new() } else { number.to_string() };
            lines += &format!("{text},{}\n", uid(id));
            let text = if number.is_nan() { "null".to_owned() } else { text };
            objects += &format!("{{\"uid\": \"{}\", \"aesthetic\": {text}}}\n", uid(id));
        }
        std::fs::write(&csv, lines).unwrap();
        std::fs::write(&jsonl, objects).unwrap();
        vec![parquet, csv, jsonl]
    }

    #[test]
    fn every_layout_gives_the_same_numbers_and_counts_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        for path in written(folder.path()) {
            for (rule, expected) in
                [(Repeated::First, 0.1), (Repeated::Max, 0.3), (Repeated::Mean, 0.2)]
            {
                let found = table(&path, Some(rule)).read(&ids()).unwrap();
                assert!(found.values.get(0).is_nan() && found.values.get(3).is_nan(), "{found:?}");
                assert!((found.values.get(2) - 0.9).abs() < 1e-7);
                assert!((found.values.get(1) - expected).abs() < 1e-7, "{rule:?}: {found:?}");
                let told = TableTold { table_rows: 5, of_other_samples: 1, missing: 2 };
                assert_eq!(found.told, told);
            }
            let error = table(&path, None).read(&ids()).unwrap_err().to_string();
            assert!(error.contains("more than once; say which number counts"), "{error}");
        }
    }

    #[test]
    fn a_table_of_other_samples_is_refused_with_an_id_of_each_side() {
        let folder = tempfile::tempdir().unwrap();
        for path in written(folder.path()) {
            let strangers = [SampleId(0x123)];
            let error = table(&path, Some(Repeated::Max)).read(&strangers).unwrap_err().to_string();
            let (theirs, ours) = (SampleId(9).to_string(), strangers[0].to_string());
            assert!(error.contains("names none of the 1 samples"), "{error}");
            assert!(error.contains(&theirs) && error.contains(&ours), "{error}");
        }
    }

    #[test]
    fn a_column_that_is_not_there_and_a_text_that_is_no_number_are_named() {
        let folder = tempfile::tempdir().unwrap();
        for path in written(folder.path()) {
            let other = ById { column: "beauty", ..table(&path, Some(Repeated::Max)) };
            let error = other.read(&ids()).unwrap_err().to_string();
            assert!(error.contains("no column `beauty`; it has `"), "{error}");
            let other = ById { id_column: Some("sha"), ..table(&path, None) };
            let error = other.read(&ids()).unwrap_err().to_string();
            assert!(error.contains("no column `sha`"), "{error}");
        }
        let csv = folder.path().join("b.csv");
        std::fs::write(&csv, "uid,aesthetic\n5,high\n").unwrap();
        let error = table(&csv, None).read(&ids()).unwrap_err().to_string();
        assert!(error.contains("line 2: `aesthetic` is `high`, not a number"), "{error}");
        let error = table(Path::new("a.xlsx"), None).read(&ids()).unwrap_err().to_string();
        assert!(error.contains("name a .parquet, .csv or .jsonl file"), "{error}");
    }

    #[test]
    fn samples_of_a_pool_that_hashes_keys_are_found_by_their_keys() {
        let folder = tempfile::tempdir().unwrap();
        let csv = folder.path().join("keys.csv");
        std::fs::write(&csv, "key,aesthetic\n000012,4.5\n").unwrap();
        let found = table(&csv, None).read(&[id_of_key("000012")]).unwrap();
        assert_eq!(found.values, ScoreColumn::Double(vec![4.5]));
    }

    #[test]
    fn a_line_that_is_no_record_is_named_and_a_long_one_is_not_held() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.jsonl");
        let first = format!("{{\"uid\": \"{}\", \"aesthetic\": 1}}\n\n", SampleId(9));
        for (second, expected) in
            [("{\"uid\": ", "line 3 "), (&*"x".repeat(17 << 20), "line 3 is longer than 16 MiB")]
        {
            std::fs::write(&path, format!("{first}{second}")).unwrap();
            let error = table(&path, None).read(&ids()).unwrap_err().to_string();
            assert!(error.contains("t.jsonl") && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn no_samples_and_no_rows_are_no_trouble() {
        let folder = tempfile::tempdir().unwrap();
        let csv = folder.path().join("empty.csv");
        std::fs::write(&csv, "uid,aesthetic\n").unwrap();
        let found = table(&csv, None).read(&ids()).unwrap();
        assert_eq!(found.told, TableTold { missing: 4, ..TableTold::default() });
        assert!(table(&csv, None).read(&[]).unwrap().values.is_empty());
    }
}
