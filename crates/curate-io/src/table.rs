//! Small Parquet tables: a run's own results, and single columns of other people's files.

mod file;
mod names;
mod raw_text;
mod read;
mod types;
mod values;
mod write;

pub use read::Reader;
pub use types::Precision;
pub use write::{Column, Writer, write};

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use arrow_array::{
        ArrayRef, DictionaryArray, LargeStringArray, RecordBatch, StringArray, StringViewArray,
        types::Int32Type,
    };
    use arrow_schema::DataType;
    use parquet::arrow::ArrowWriter;

    use super::*;
    use crate::error::Kind;

    fn sample(path: &Path) {
        let columns = vec![
            ("id", Column::Text(vec!["a".into(), "b".into(), "c".into()])),
            ("score", Column::F32(vec![1.0, f32::NAN, 3.0])),
            ("cause", Column::OptU64(vec![None, Some(0), None])),
            ("note", Column::OptText(vec![None, Some("x".into()), None])),
            ("kept", Column::Bool(vec![true, false, true])),
        ];
        write(path, columns).unwrap();
    }

    #[test]
    fn what_is_written_is_read_back_and_the_bytes_repeat() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.parquet"), folder.path().join("b.parquet"));
        sample(&a);
        sample(&b);
        assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
        let reader = Reader::open(&a).unwrap();
        assert_eq!(reader.rows(), 3);
        let score = reader.f32("score").unwrap();
        assert!(score[1].is_nan() && score[2] == 3.0);
        assert_eq!(reader.u64("cause").unwrap(), [None, Some(0), None]);
        assert_eq!(reader.bool("kept").unwrap(), [true, false, true]);
        assert_eq!(reader.text("note", Some(&[1])).unwrap(), [Some("x".into())]);
        assert_eq!(reader.text("id", Some(&[0, 2])).unwrap(), [Some("a".into()), Some("c".into())]);
        assert_eq!(reader.numeric_columns(), ["score", "cause", "kept"]);
    }

    #[test]
    fn text_is_read_whatever_held_it_in_its_writers_memory() {
        let text =
            StringArray::from(vec![Some("one"), None, Some("a text of more than twelve bytes")]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        for kind in [
            DataType::Utf8,
            DataType::LargeUtf8,
            DataType::Utf8View,
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        ] {
            let column: ArrayRef = match &kind {
                DataType::LargeUtf8 => Arc::new(LargeStringArray::from_iter(&text)),
                DataType::Utf8View => Arc::new(StringViewArray::from_iter(&text)),
                DataType::Dictionary(..) => {
                    Arc::new(text.iter().collect::<DictionaryArray<Int32Type>>())
                }
                _ => Arc::new(text.clone()),
            };
            let batch = RecordBatch::try_from_iter([("t", column)]).unwrap();
            let file = std::fs::File::create(&path).unwrap();
            let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            let reader = Reader::open(&path).unwrap();
            assert_eq!(reader.text_columns(), ["t"], "{kind}");
            let found = reader.text("t", None).unwrap();
            let expected: Vec<Option<String>> =
                text.iter().map(|text| text.map(str::to_owned)).collect();
            assert_eq!(found, expected, "{kind}");
        }
    }

    #[test]
    fn a_wrong_column_is_named_with_those_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        sample(&path);
        let reader = Reader::open(&path).unwrap();
        let error = reader.f32("scores").unwrap_err().to_string();
        assert!(error.contains("no column `scores`; it has `id`, `score`"), "{error}");
        let error = reader.f32("id").unwrap_err().to_string();
        assert!(error.contains("column `id` holds Utf8, not numbers"), "{error}");
    }

    #[test]
    fn columns_and_rows_that_do_not_fit_are_refused_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let uneven = vec![("a", Column::U32(vec![1, 2])), ("b", Column::U32(vec![1]))];
        let error = write(&path, uneven).unwrap_err();
        assert!(error.to_string().contains("all of one length"), "{error}");
        let mut writer = Writer::create(&path, vec![("a", Column::U32(vec![1]))]).unwrap();
        for wrong in [vec![Column::Bool(vec![true])], vec![], vec![Column::U32(vec![1]); 2]] {
            assert_eq!(writer.write(wrong).unwrap_err().kind, Kind::Disagree);
        }
        drop(writer);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        sample(&path);
        let reader = Reader::open(&path).unwrap();
        for rows in [&[3][..], &[1, 1], &[2, 0]] {
            let error = reader.text("id", Some(rows)).unwrap_err();
            assert!(error.to_string().contains("in ascending order"), "{error}");
        }
    }

    #[test]
    fn truncated_and_damaged_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        sample(&path);
        let whole = std::fs::read(&path).unwrap();
        for cut in [0, 3, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let error = Reader::open(&path).err().expect("a cut file is refused");
            assert_eq!(error.kind, Kind::Malformed, "{error}");
        }
    }

    #[test]
    fn a_changed_byte_gives_all_rows_or_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        sample(&path);
        let whole = std::fs::read(&path).unwrap();
        let mut refused = 0;
        for at in 0..whole.len() {
            for change in [0x01, 0x02, 0xff] {
                let mut changed = whole.clone();
                changed[at] ^= change;
                std::fs::write(&path, changed).unwrap();
                let Ok(reader) = Reader::open(&path) else { continue };
                let mut rows = 0;
                match reader.each_text("id", None, |_| rows += 1) {
                    Ok(()) => assert_eq!(rows, reader.rows(), "byte {at} changed by {change}"),
                    Err(e) if e.to_string().contains("it ends after") => refused += 1,
                    Err(_) => {}
                }
            }
        }
        assert!(refused > 0, "no change made a column shorter");
    }
}
