//! The metadata table of a shard, with DataComp's column names where they apply.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow_array::{ArrayRef, BooleanArray, Float32Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::row::Row;

/// Writes the rows in their order.
pub(crate) fn write(path: &Path, rows: &[&Row]) -> Result<()> {
    let batch = RecordBatch::try_from_iter(columns(rows))?;
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(9)?))
        .set_created_by("curate".to_owned())
        .build();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.close().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

fn columns(rows: &[&Row]) -> Vec<(&'static str, ArrayRef)> {
    let text = |get: &dyn Fn(&Row) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| get(row))))
    };
    let whole = |get: &dyn Fn(&Row) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| get(row))))
    };
    let real = |get: &dyn Fn(&Row) -> f32| -> ArrayRef {
        Arc::new(Float32Array::from_iter_values(rows.iter().map(|row| get(row))))
    };
    let variant = BooleanArray::from(rows.iter().map(|row| row.variant).collect::<Vec<_>>());
    vec![
        ("uid", text(&|row| row.uid.clone())),
        ("url", text(&|row| row.url.clone())),
        ("text", text(&|row| row.caption.clone())),
        ("original_width", whole(&|row| i64::from(row.original_width))),
        ("original_height", whole(&|row| i64::from(row.original_height))),
        ("sha256", text(&|row| row.sha256.clone())),
        ("source", text(&|row| row.source.clone())),
        ("license", text(&|row| row.license.clone())),
        ("name", text(&|row| row.name.clone())),
        ("label", text(&|row| row.label.clone())),
        ("caption_kind", text(&|row| row.caption_kind.to_string())),
        ("keywords", text(&|row| row.keywords.join("; "))),
        ("concept", text(&|row| row.concept.clone())),
        ("category", text(&|row| row.category.clone())),
        ("subcategory", text(&|row| row.subcategory.clone())),
        ("variant", Arc::new(variant)),
        ("aspect", real(&|row| row.aspect)),
        ("std", real(&|row| row.std)),
    ]
}

#[cfg(test)]
mod tests {
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;
    use crate::shard::tests::sample;

    #[test]
    fn rows_come_back_in_order_and_the_bytes_repeat() {
        let folder = tempfile::tempdir().unwrap();
        let samples = [sample("cat"), sample("dog")];
        let rows: Vec<_> = samples.iter().map(|s| &s.row).collect();
        let (first, second) = (folder.path().join("a"), folder.path().join("b"));
        write(&first, &rows).unwrap();
        write(&second, &rows).unwrap();
        assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&first).unwrap()).unwrap();
        let batch = reader.build().unwrap().next().unwrap().unwrap();
        let texts = batch.column_by_name("text").unwrap();
        let texts = texts.as_any().downcast_ref::<StringArray>().unwrap();
        assert_eq!(texts.iter().flatten().collect::<Vec<_>>(), ["a cat", "a dog"]);
    }
}
