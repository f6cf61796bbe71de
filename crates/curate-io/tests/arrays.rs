//! Parquet, npy and npz files as pyarrow and numpy write them, against what those read from them.
//! CURATE_FUZZ_DIR names a folder of more cases, written by `tests/data/make_arrays.py`.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use curate_core::EmbeddingSource;
use curate_io::{Embedding, IoError, npz::Npz, table::Reader, vectors::StoredArray};
use serde::Deserialize;

/// A file, and what each of its columns or arrays holds.
#[derive(Deserialize)]
struct Case {
    file: String,
    #[serde(default)]
    rows: usize,
    #[serde(default)]
    columns: Vec<Column>,
    #[serde(default)]
    arrays: Vec<Array>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    #[serde(flatten)]
    holds: Holds,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Holds {
    Numbers(Vec<String>),
    Texts(Vec<Option<String>>),
    Uids(Vec<Option<String>>),
    Names(Vec<Option<String>>),
    Vectors(Vec<Option<Vec<String>>>),
    /// What it was asked for as, and words of the error.
    Refused([String; 2]),
}

#[derive(Deserialize)]
struct Array {
    name: String,
    vectors: Option<Vec<Option<Vec<String>>>>,
    refused: Option<String>,
}

#[test]
fn columns_and_arrays_are_what_pyarrow_and_numpy_read() {
    let folder = std::env::var_os("CURATE_FUZZ_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/arrays"),
        PathBuf::from,
    );
    let cases = fs::read_to_string(folder.join("cases.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&cases).unwrap();
    let different: Vec<String> = cases.iter().flat_map(|case| differences(&folder, case)).collect();
    let (count, all) = (different.len(), different.join("\n"));
    assert!(different.is_empty(), "{count} differences in {} cases:\n{all}", cases.len());
}

fn differences(folder: &Path, case: &Case) -> Vec<String> {
    let path = folder.join(&case.file);
    let mut found: Vec<String> =
        case.arrays.iter().filter_map(|array| in_array(&path, array)).collect();
    if !case.columns.is_empty() {
        match Reader::open(&path) {
            Ok(reader) if reader.rows() == case.rows => {
                found.extend(case.columns.iter().filter_map(|column| in_column(&reader, column)));
            }
            Ok(reader) => found.push(format!("{} rows, not {}", reader.rows(), case.rows)),
            Err(e) => found.push(e.to_string()),
        }
    }
    found.into_iter().map(|said| format!("{}: {said}", case.file)).collect()
}

fn in_column(reader: &Reader<'_>, column: &Column) -> Option<String> {
    let name = column.name.as_str();
    let found = match &column.holds {
        Holds::Numbers(expected) => reader.f64(name).map(|found| {
            let singles = reader.f32(name).unwrap();
            let expected: Vec<f64> = expected.iter().map(|x| number(x)).collect();
            let close = |(single, double): (&f32, &f64)| {
                let nearest = *double as f32;
                single.total_cmp(&nearest).is_eq()
                    || (single.is_nan() && nearest.is_nan())
                    || (single - nearest).abs() <= nearest.abs() * f32::EPSILON
            };
            let singles = singles.iter().zip(&expected).all(close);
            compared(&(bits(&found), singles), &(bits(&expected), true))
        }),
        Holds::Texts(expected) => reader.text(name, None).map(|found| compared(&found, expected)),
        Holds::Uids(expected) => {
            collected(|each| reader.each_uid(name, each)).map(|found| compared(&found, expected))
        }
        Holds::Names(expected) => {
            collected(|each| reader.each_name(name, each)).map(|found| compared(&found, expected))
        }
        Holds::Vectors(expected) => {
            reader.vectors(name).and_then(rows).map(|found| compared(&found, &usable(expected)))
        }
        Holds::Refused([kind, words]) => {
            let error = match kind.as_str() {
                "numbers" => reader.f64(name).err(),
                "texts" => reader.text(name, None).err(),
                _ => reader.vectors(name).and_then(rows).err(),
            };
            return expected_error(name, words, error);
        }
    };
    found.unwrap_or_else(|e| Some(e.to_string())).map(|said| format!("column `{name}`: {said}"))
}

fn in_array(path: &Path, array: &Array) -> Option<String> {
    let name = array.name.as_str();
    let stored = match path.extension().unwrap().to_str().unwrap() {
        "npy" => StoredArray::open_npy(path),
        _ => Npz::open(path).and_then(|mut npz| npz.array(name)),
    };
    match (stored.and_then(rows), &array.vectors, &array.refused) {
        (Ok(found), Some(expected), _) => {
            compared(&found, &usable(expected)).map(|said| format!("array `{name}`: {said}"))
        }
        (Err(e), _, Some(words)) => expected_error(name, words, Some(e)),
        (Err(e), ..) => Some(format!("array `{name}`: {e}")),
        (Ok(_), ..) => Some(format!("array `{name}` is read")),
    }
}

fn expected_error(name: &str, words: &str, error: Option<IoError>) -> Option<String> {
    match error {
        None => Some(format!("`{name}` is read, not refused")),
        Some(e) if e.to_string().contains(words) => None,
        Some(e) => Some(format!("`{name}`: expected `{words}` in: {e}")),
    }
}

fn collected(
    read: impl FnOnce(&mut dyn FnMut(Option<&str>)) -> Result<(), IoError>,
) -> Result<Vec<Option<String>>, IoError> {
    let mut found = Vec::new();
    read(&mut |text| found.push(text.map(str::to_owned)))?;
    Ok(found)
}

fn number(text: &str) -> f64 {
    text.parse().unwrap()
}

/// Bits, in which a NaN equals a NaN and zeros have signs.
fn bits(numbers: &[f64]) -> Vec<u64> {
    numbers.iter().map(|x| if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() }).collect()
}

/// Vectors by the bits of their numbers; `None` for one of nothing but NaN, as gaps are read.
type Rows = Vec<Option<Vec<u64>>>;

fn usable(rows: &[Option<Vec<String>>]) -> Rows {
    let row = |row: &Vec<String>| row_of(row.iter().map(|x| number(x)).collect());
    rows.iter().map(|vector| vector.as_ref().and_then(row)).collect()
}

fn row_of(numbers: Vec<f64>) -> Option<Vec<u64>> {
    (!numbers.iter().all(|x| x.is_nan())).then(|| bits(&numbers))
}

fn rows(array: StoredArray) -> Result<Rows, IoError> {
    let rows = Embedding::new(vec![array])?;
    let mut numbers = vec![0.0; rows.rows() * rows.dim()];
    rows.read(0..rows.rows(), &mut numbers).unwrap();
    let row = |row: &[f32]| row_of(row.iter().copied().map(f64::from).collect());
    Ok(numbers.chunks(rows.dim().max(1)).map(row).collect())
}

fn compared<T: PartialEq + std::fmt::Debug>(found: &T, expected: &T) -> Option<String> {
    (found != expected).then(|| format!("{found:?}, expected {expected:?}"))
}
