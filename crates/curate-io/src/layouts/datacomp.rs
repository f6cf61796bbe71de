//! DataComp's layout: `metadata/NAME.parquet` beside `NAME.npz`, rows in the same order, and
//! `shards/*.tar` where the images were downloaded.

use std::path::{Path, PathBuf};

use super::parquet_rows;
use crate::{
    arrays_beside::{Place, array_of, places_beside},
    error::{IoError, Kind},
    layout::{
        Certainty, Detail, Layout, Names, Numbers, OpenShard, ShardRows, Sign, folder_of_shards,
    },
    shard::Sample,
    table::Reader,
    vectors::Embedding,
};

pub(super) struct DataComp;

impl Layout for DataComp {
    fn name(&self) -> &'static str {
        "DataComp metadata"
    }

    fn signs(&self) -> &'static [Sign] {
        &[
            Sign { folder: "metadata", ending: "parquet", certainty: Certainty::Shards },
            Sign { folder: "", ending: "parquet", certainty: Certainty::Beside },
        ]
    }

    fn endings(&self) -> &'static [&'static str] {
        &["parquet"]
    }

    fn inner_folder(&self) -> &'static str {
        "metadata"
    }

    fn open(&self, file: &Path) -> Result<(ShardRows, Box<dyn OpenShard>), IoError> {
        let rows = read_rows(file)?;
        let shard = self.reopen(file, rows.ids.len())?;
        Ok((rows, shard))
    }

    fn reopen(&self, file: &Path, _: usize) -> Result<Box<dyn OpenShard>, IoError> {
        Ok(Box::new(MetadataTable(file.to_owned())))
    }

    fn image_shards(&self, path: &Path) -> Option<PathBuf> {
        let metadata = folder_of_shards(path, self.inner_folder());
        [path.join("shards"), metadata.join("../shards")].into_iter().find(|s| s.is_dir())
    }
}

/// The metadata tables of a pool by name: those in the folder `metadata` where there is one, and else
/// in the folder itself; or the files of a pattern, or one file.
///
/// # Errors
/// When there is none, or the folder cannot be read.
pub fn metadata_tables(pool: &Path) -> Result<Vec<PathBuf>, IoError> {
    DataComp.shards(pool).map_err(|mut error| {
        if error.kind == Kind::NotFound && pool.is_dir() {
            "name the folder that holds DataComp's NAME.parquet files"
                .clone_into(&mut error.remedy);
        }
        error
    })
}

/// The embedding `name` of the rows of one metadata table, from the npz file beside it (or from an
/// npy file there, or a column of vectors of the table).
///
/// # Errors
/// When there is none, or it has other rows than the table's.
pub fn embedding(table: &Path, name: &str, rows: usize) -> Result<Embedding, IoError> {
    Embedding::new(vec![array_of(name, table, rows, places(table)?)?])
}

/// Columns of vectors, and arrays beside the table.
fn places(table: &Path) -> Result<Vec<(String, Place)>, IoError> {
    let reader = Reader::open(table)?;
    let sure = reader.vector_columns();
    let place = || Place::new(table.to_owned(), |file, name, _| Reader::open(file)?.vectors(name));
    let columns = reader.list_columns().into_iter().map(|name| {
        let place = place().if_sure(sure.contains(&name));
        (name, place)
    });
    let mut found: Vec<_> = columns.collect();
    found.extend(places_beside(table)?);
    Ok(found)
}

struct MetadataTable(PathBuf);

impl OpenShard for MetadataTable {
    fn path(&self) -> &Path {
        &self.0
    }

    fn numeric_columns(&self) -> Result<Option<Vec<String>>, IoError> {
        parquet_rows::numeric_columns(&self.0)
    }

    fn column(&self, name: &str) -> Result<Numbers, IoError> {
        parquet_rows::column(&self.0, name)
    }

    fn each_label(&self, field: &str, each: &mut dyn FnMut(Option<&str>)) -> Result<(), IoError> {
        parquet_rows::each_label(&self.0, field, each)
    }

    fn samples(&self, rows: &[usize], _: Detail) -> Result<Vec<Sample>, IoError> {
        parquet_rows::samples(&self.0, rows)
    }

    fn embeddings(&self) -> Result<Vec<(String, Place)>, IoError> {
        places(&self.0)
    }
}

/// The ids of one metadata table, and its rows without a caption.
fn read_rows(file: &Path) -> Result<ShardRows, IoError> {
    let reader = Reader::open(file)?;
    let mut names = Names::of(file);
    reader.each_uid("uid", |uid| names.add_id(uid.and_then(|uid| uid.parse().ok())))?;
    if reader.has("text") {
        parquet_rows::captions(&reader, "text", &mut names)?;
    }
    Ok(names.finish())
}
