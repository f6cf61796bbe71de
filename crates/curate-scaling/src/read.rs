//! Tables from CSV, JSON lines and Parquet.
//!
//! Columns (or keys): `pool`, `samples`, `unique`, `parameters`, `compute`, `upstream_loss`,
//! `sigma`, `weight`, `group`, `weight_<domain>`, and the metric, whose name declares its direction: exactly
//! one of `error`, `loss` (lower is better) or `accuracy` (higher is better, read as the error
//! `1 - accuracy`). A table may instead name it in each row: `metric` (one of
//! the three) and `value`. Samples, unique, parameters and compute are counts as [`parse_count`]
//! reads them.

use crate::count::parse_count;
use crate::error::ScalingError;
use crate::observation::{Metric, Observation, Observations, check_row};
use crate::read_parquet::{Line, parquet_lines};
use curate_core::json::{Record, without_mark};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

const METRICS: [&str; 3] = ["error", "loss", "accuracy"];
const KNOWN: &str = "pool, samples, unique, parameters, compute, upstream_loss, sigma, \
                     weight, group, weight_<domain>, error, loss, accuracy, metric, value";

/// How to read a table whose columns have other names.
///
/// ```
/// use curate_scaling::{Observations, ReadOptions};
///
/// let table = "tokens,note,loss\n1e9,first,3.1\n2e9,second,2.9\n";
/// let options = ReadOptions::default().column("samples", "tokens").skip("note");
/// let runs = Observations::from_csv(table.as_bytes(), "runs.csv", &options)?;
/// assert_eq!(runs.rows()[1].samples, Some(2e9));
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    rename: BTreeMap<String, String>,
    skip: BTreeSet<String>,
    ignore_unknown: bool,
}

impl ReadOptions {
    /// Reads the file's column `theirs` as `ours`.
    pub fn column(mut self, ours: impl Into<String>, theirs: impl Into<String>) -> Self {
        self.rename.insert(theirs.into(), ours.into());
        self
    }

    /// Skips the file's column `theirs`, for example a second metric.
    pub fn skip(mut self, theirs: impl Into<String>) -> Self {
        self.skip.insert(theirs.into());
        self
    }

    /// Skips columns that no law uses, instead of refusing them as possible spelling mistakes.
    pub fn ignore_unknown(mut self) -> Self {
        self.ignore_unknown = true;
        self
    }
}

impl Observations {
    /// Reads a table: JSON lines for `.jsonl`, `.ndjson` and `.json`, Parquet for `.parquet` (with
    /// the feature `parquet`), else CSV with a header.
    ///
    /// # Errors
    /// Unreadable files and the first bad line, by file, line and field.
    pub fn read(path: &Path, options: &ReadOptions) -> Result<Self, ScalingError> {
        let failed = |source| ScalingError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let name = path.display().to_string();
        match path.extension().and_then(|e| e.to_str()) {
            Some("jsonl" | "ndjson" | "json") => {
                Self::from_json_lines(BufReader::new(file), &name, options)
            }
            Some("parquet") => understand(parquet_lines(file, &name)?, &name, options),
            _ => Self::from_csv(file, &name, options),
        }
    }

    /// Reads CSV with a header; `name` is used in messages.
    ///
    /// # Errors
    /// The first bad line, by name, line and field.
    pub fn from_csv(
        from: impl Read,
        name: &str,
        options: &ReadOptions,
    ) -> Result<Self, ScalingError> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(from);
        let broken = |e: csv::Error| ScalingError::BadTable {
            place: name.into(),
            problem: e.to_string(),
            remedy: "give every line the header's columns, separated by commas".into(),
        };
        let header = reader.headers().map_err(broken)?.clone();
        let mut lines = Vec::new();
        for record in reader.records() {
            let record = record.map_err(broken)?;
            let line = record.position().map_or(0, |p| p.line() as usize);
            let cells = header.iter().zip(record.iter()).filter(|(_, cell)| !cell.is_empty());
            lines.push((line, cells.map(|(k, v)| (k.to_string(), v.to_string())).collect()));
        }
        understand(lines, name, options)
    }

    /// Reads one JSON object per line; `name` is used in messages.
    ///
    /// # Errors
    /// The first bad line, by name, line and field.
    pub fn from_json_lines(
        from: impl BufRead,
        name: &str,
        options: &ReadOptions,
    ) -> Result<Self, ScalingError> {
        let mut lines = Vec::new();
        for (i, text) in from.split(b'\n').enumerate() {
            let text = text.map_err(|source| ScalingError::Io { path: name.into(), source })?;
            if !without_mark(&text).iter().all(u8::is_ascii_whitespace) {
                lines.push((i + 1, json_cells(&text, name, i + 1)?));
            }
        }
        understand(lines, name, options)
    }
}

fn json_cells(
    text: &[u8],
    name: &str,
    line: usize,
) -> Result<BTreeMap<String, String>, ScalingError> {
    let broken = |problem: String| ScalingError::BadTable {
        place: format!("{name}:{line}"),
        problem,
        remedy: "write one JSON object of numbers and names per line".into(),
    };
    let record = Record::parse(text).map_err(|e| broken(format!("this {e}")))?;
    let mut cells = BTreeMap::new();
    for (key, value) in record.fields() {
        // Of a repeated name the last value counts, `null` too; and what pandas does not know it
        // writes as NaN, which is a gap.
        cells.remove(key);
        if value.is_null() || value.number().is_some_and(f64::is_nan) {
            continue;
        }
        match value.shown().filter(|_| value.text().is_some() || value.kind() == "a number") {
            Some(text) => _ = cells.insert(key.to_owned(), text),
            None => return Err(broken(format!("`{key}` is {}", value.kind()))),
        }
    }
    Ok(cells)
}

fn understand(
    mut lines: Vec<Line>,
    name: &str,
    options: &ReadOptions,
) -> Result<Observations, ScalingError> {
    for (_, cells) in &mut lines {
        cells.retain(|column, _| !options.skip.contains(column));
        for (theirs, ours) in &options.rename {
            if let Some(cell) = cells.remove(theirs) {
                cells.insert(ours.clone(), cell);
            }
        }
    }
    let domains = domains(&lines);
    let mut rows = Vec::with_capacity(lines.len());
    let mut first_metric: Option<(usize, String)> = None;
    for (line, cells) in lines {
        let row = Cells { name, line, cells };
        let kind = row.metric_kind()?;
        let (first_line, first) = first_metric.get_or_insert_with(|| (line, kind.clone()));
        if *first != kind {
            let problem = format!("`{kind}` here, but `{first}` on line {first_line}");
            return Err(row.bad("metric", problem, "use one metric per table, in one direction"));
        }
        rows.push(row.observation(&kind, &domains, options)?);
    }
    let metric = match first_metric {
        Some((_, kind)) if kind == "loss" => Metric::Loss,
        _ => Metric::Error,
    };
    Observations::new(metric, domains, rows)
}

fn domains(lines: &[Line]) -> Vec<String> {
    let keys = lines.iter().flat_map(|(_, cells)| cells.keys());
    let names: BTreeSet<&str> = keys.filter_map(|k| k.strip_prefix("weight_")).collect();
    names.into_iter().map(str::to_string).collect()
}

/// One line, while it is understood.
struct Cells<'a> {
    name: &'a str,
    line: usize,
    cells: BTreeMap<String, String>,
}

impl Cells<'_> {
    fn place(&self) -> String {
        format!("{}:{}", self.name, self.line)
    }

    fn bad(&self, field: &str, problem: impl Into<String>, remedy: &str) -> ScalingError {
        let (field, problem, remedy) = (field.into(), problem.into(), remedy.into());
        ScalingError::BadField { place: self.place(), field, problem, remedy }
    }

    /// The metric's name: the column itself, or what the `metric` column says.
    fn metric_kind(&self) -> Result<String, ScalingError> {
        let named = METRICS.iter().filter(|m| self.cells.contains_key(**m)).copied();
        let mut named: Vec<&str> = named.collect();
        named.extend(self.cells.get("metric").map(String::as_str));
        match named[..] {
            [] => Err(self.bad("error", "there is no metric", "add error, loss or accuracy")),
            [kind] if METRICS.contains(&kind) => Ok(kind.into()),
            [kind] => {
                let problem = format!("`{kind}` has no declared direction");
                Err(self.bad("metric", problem, "name it error, loss or accuracy"))
            }
            _ => {
                let problem = format!("several metrics: {}", named.join(", "));
                Err(self.bad("metric", problem, "use one metric per table, in one direction"))
            }
        }
    }

    fn number(&self, field: &str) -> Result<Option<f64>, ScalingError> {
        let Some(text) = self.cells.get(field) else { return Ok(None) };
        let plain = text.replace('_', "");
        plain.parse().map(Some).map_err(|_| {
            self.bad(field, format!("`{text}` is not a number"), "write a plain number, like 0.71")
        })
    }

    fn count(&self, field: &str) -> Result<Option<f64>, ScalingError> {
        let Some(text) = self.cells.get(field) else { return Ok(None) };
        parse_count(text).map(Some).ok_or_else(|| {
            let remedy = "write a count, like 12.8e6, 12.8M or 12_800_000";
            self.bad(field, format!("`{text}` is not a number"), remedy)
        })
    }

    fn observation(
        &self,
        kind: &str,
        domains: &[String],
        options: &ReadOptions,
    ) -> Result<Observation, ScalingError> {
        self.refuse_unknown(options)?;
        let field = if self.cells.contains_key(kind) { kind } else { "value" };
        let missing = || self.bad(field, "there is no value", "give one, or drop the run");
        let value = self.number(field)?.ok_or_else(missing)?;
        let weights =
            domains.iter().map(|d| Ok(self.number(&format!("weight_{d}"))?.unwrap_or(0.0)));
        let row = Observation {
            pool: self.cells.get("pool").cloned().unwrap_or_default(),
            value: if kind == "accuracy" { self.error_of_accuracy(field, value)? } else { value },
            samples: self.count("samples")?,
            unique: self.count("unique")?,
            parameters: self.count("parameters")?,
            compute: self.count("compute")?,
            upstream_loss: self.number("upstream_loss")?,
            mixture: weights.collect::<Result<_, ScalingError>>()?,
            sigma: self.number("sigma")?,
            weight: self.number("weight")?,
            group: self.cells.get("group").cloned(),
        };
        let metric = if kind == "loss" { Metric::Loss } else { Metric::Error };
        check_row(&row, metric, domains.len()).map_err(|problem| problem.at(self.place()))?;
        Ok(row)
    }

    fn error_of_accuracy(&self, field: &str, value: f64) -> Result<f64, ScalingError> {
        if (0.0..1.0).contains(&value) {
            return Ok(1.0 - value);
        }
        let remedy = "accuracies are shares in [0, 1); divide percentages by 100";
        Err(self.bad(field, format!("{value} is not an accuracy"), remedy))
    }

    fn refuse_unknown(&self, options: &ReadOptions) -> Result<(), ScalingError> {
        let known = |key: &str| {
            key.starts_with("weight_") || KNOWN.split(", ").any(|k| k == key) || key == "direction"
        };
        let direction = self.cells.get("direction").map(String::as_str);
        let higher = self.cells.contains_key("accuracy")
            || self.cells.get("metric").is_some_and(|m| m == "accuracy");
        if direction.is_some_and(|d| d != if higher { "higher" } else { "lower" }) {
            let problem = format!("`{}` contradicts the metric", direction.unwrap_or_default());
            return Err(self.bad(
                "direction",
                problem,
                "errors and losses are `lower`, accuracies `higher`",
            ));
        }
        match self.cells.keys().find(|key| !known(key)) {
            Some(key) if !options.ignore_unknown => {
                let remedy = format!("rename it, or skip unknown columns; known are {KNOWN}");
                Err(self.bad(key, "no law knows this column", &remedy))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(text: &str) -> Result<Observations, ScalingError> {
        Observations::from_csv(text.as_bytes(), "runs.csv", &ReadOptions::default())
    }

    fn json(text: &str) -> Result<Observations, ScalingError> {
        Observations::from_json_lines(text.as_bytes(), "runs.jsonl", &ReadOptions::default())
    }

    fn assert_says<T>(result: Result<T, ScalingError>, parts: &[&str]) {
        let message = result.err().expect("an error").to_string();
        for part in parts {
            assert!(message.contains(part), "{message} lacks {part}");
        }
    }

    #[test]
    fn csv_and_json_lines_give_the_same_table() {
        let a = csv("pool,samples,unique,accuracy\ntop,25_600_000,12.8e6,0.25\n").unwrap();
        let b = json(r#"{"pool":"top","samples":25600000,"unique":12.8e6,"error":0.75}"#).unwrap();
        assert_eq!(a, b);
        assert_eq!(a.rows()[0].value, 0.75);
        assert_eq!(a.metric(), Metric::Error);
    }

    #[test]
    fn bad_lines_name_file_line_field_and_remedy() {
        let header = "pool,samples,error\n";
        assert_says(csv(&format!("{header}a,1e6,0.5\na,2e6,NaN\n")), &["runs.csv:3", "`error`"]);
        assert_says(csv(&format!("{header}a,x,0.5\n")), &["runs.csv:2", "`samples`", "12.8M"]);
        assert_says(csv(&format!("{header}a,-1,0.5\n")), &["runs.csv:2", "`samples`", "positive"]);
        assert_says(csv(&format!("{header}a,1e6,71\n")), &["runs.csv:2", "divide percentages"]);
        assert_says(csv(&format!("{header}a,1e6\n")), &["runs.csv", "columns"]);
        assert_says(csv(&format!("{header}a,1e6,\n")), &["runs.csv:2", "no metric"]);
        assert_says(json("{\"error\":[1]}"), &["runs.jsonl:1", "`error`"]);
        assert_says(json("{\"error\":0.5}\n{error}"), &["runs.jsonl:2", "JSON object"]);
    }

    #[test]
    fn mixed_directions_are_refused() {
        let text = "{\"samples\":1e6,\"error\":0.5}\n{\"samples\":1e6,\"accuracy\":0.5}";
        assert_says(json(text), &["runs.jsonl:2", "`accuracy`", "line 1", "one direction"]);
        assert_says(csv("error,accuracy\n0.5,0.5\n"), &["runs.csv:2", "several metrics"]);
        assert_says(csv("metric,value\nauc,0.5\n"), &["runs.csv:2", "direction", "accuracy"]);
        let text = "metric,direction,value\naccuracy,lower,0.5\n";
        assert_says(csv(text), &["runs.csv:2", "`direction`", "contradicts"]);
    }

    #[test]
    fn misspelled_columns_are_refused_unless_skipped_or_renamed() {
        let text = "samples,uniqe,error\n1e6,1e5,0.5\n";
        assert_says(csv(text), &["runs.csv:2", "`uniqe`", "unique"]);
        let skip = ReadOptions::default().ignore_unknown();
        let table = Observations::from_csv(text.as_bytes(), "t", &skip).unwrap();
        assert_eq!(table.rows()[0].unique, None);
        let rename = ReadOptions::default().column("unique", "uniqe");
        let table = Observations::from_csv(text.as_bytes(), "t", &rename).unwrap();
        assert_eq!(table.rows()[0].unique, Some(1e5));
    }

    #[test]
    fn mixtures_are_read_by_domain_name() {
        let table = csv("weight_web,weight_code,loss\n0.75,0.25,2.5\n").unwrap();
        assert_eq!(table.domains(), ["code", "web"]);
        assert_eq!(table.rows()[0].mixture, [0.25, 0.75]);
    }

    #[test]
    fn files_are_read_by_extension() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("runs.jsonl");
        std::fs::write(&path, "{\"loss\":2.5,\"samples\":1e9}\n").unwrap();
        let table = Observations::read(&path, &ReadOptions::default()).unwrap();
        assert_eq!(table.metric(), Metric::Loss);
        let missing = Observations::read(&dir.path().join("no.csv"), &ReadOptions::default());
        assert_says(missing, &["no.csv", "check that the path"]);
        let parquet = dir.path().join("runs.parquet");
        std::fs::write(&parquet, "PAR1").unwrap();
        assert_says(
            Observations::read(&parquet, &ReadOptions::default()),
            &["runs.parquet", "CSV"],
        );
    }

    #[test]
    fn tables_that_python_and_windows_wrote_are_read() {
        let table = "\u{feff}{\"samples\": 1e9, \"loss\": 3.5, \"sigma\": NaN}\r\n\
                     {\"samples\": 2e9, \"loss\": 9, \"loss\": 3.25, \"group\": \"a \\ud83d\"}\r\n";
        let options = ReadOptions::default();
        let runs = Observations::from_json_lines(table.as_bytes(), "runs", &options).unwrap();
        assert_eq!(runs.rows()[1].samples, Some(2e9));
        assert_eq!(
            (runs.rows()[0].sigma, runs.rows()[1].group.as_deref()),
            (None, Some("a \u{fffd}"))
        );
    }
}
