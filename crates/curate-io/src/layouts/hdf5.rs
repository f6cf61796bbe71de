//! HDF5 files: datasets of vectors, and datasets of numbers and text beside them.

use std::path::{Path, PathBuf};

use crate::{
    arrays_beside::Place,
    error::IoError,
    hdf5_file,
    layout::{
        CAPTIONS, Certainty, Detail, Layout, Names, Numbers, OpenShard, RowIds, ShardRows, Sign,
    },
    shard::Sample,
};

pub(super) struct Hdf5;

impl Layout for Hdf5 {
    fn name(&self) -> &'static str {
        "HDF5 files"
    }

    fn signs(&self) -> &'static [Sign] {
        &[
            Sign { folder: "", ending: "h5", certainty: Certainty::Beside },
            Sign { folder: "", ending: "hdf5", certainty: Certainty::Beside },
        ]
    }

    fn endings(&self) -> &'static [&'static str] {
        &["h5", "hdf5"]
    }

    fn open(&self, file: &Path) -> Result<(ShardRows, Box<dyn OpenShard>), IoError> {
        let rows = hdf5_file::rows(file)?;
        let shard = self.reopen(file, rows)?;
        for column in ["uid", "key"] {
            if let Some(values) = hdf5_file::text(file, column, rows)? {
                let mut names = Names::of(file);
                values.iter().for_each(|value| names.add(column, value.as_deref()));
                return Ok((names.finish(), shard));
            }
        }
        Ok((ShardRows { ids: RowIds::Numbered(rows), ..ShardRows::default() }, shard))
    }

    fn reopen(&self, file: &Path, rows: usize) -> Result<Box<dyn OpenShard>, IoError> {
        Ok(Box::new(Datasets { file: file.to_owned(), rows }))
    }

    #[cfg(feature = "object-store")]
    fn fetched_beside(&self, _: crate::layout::FilesWanted) -> &'static [&'static str] {
        &[]
    }
}

struct Datasets {
    file: PathBuf,
    rows: usize,
}

impl OpenShard for Datasets {
    fn path(&self) -> &Path {
        &self.file
    }

    fn numeric_columns(&self) -> Result<Option<Vec<String>>, IoError> {
        hdf5_file::numeric_columns(&self.file).map(Some)
    }

    fn column(&self, name: &str) -> Result<Numbers, IoError> {
        let found = hdf5_file::column(&self.file, name, self.rows)?;
        Ok(found.map_or(Numbers::Missing, Numbers::Values))
    }

    fn each_label(&self, field: &str, each: &mut dyn FnMut(Option<&str>)) -> Result<(), IoError> {
        match hdf5_file::text(&self.file, field, self.rows)? {
            Some(labels) => labels.iter().for_each(|label| each(label.as_deref())),
            None => (0..self.rows).for_each(|_| each(None)),
        }
        Ok(())
    }

    fn samples(&self, rows: &[usize], _: Detail) -> Result<Vec<Sample>, IoError> {
        let mut captions = None;
        for name in CAPTIONS {
            captions = captions.or(hdf5_file::text(&self.file, name, self.rows)?);
        }
        let caption = |row: usize| captions.as_ref().and_then(|texts| texts[row].clone());
        let sample = |&row| Sample { caption: caption(row), ..Sample::default() };
        Ok(rows.iter().map(sample).collect())
    }

    fn embeddings(&self) -> Result<Vec<(String, Place)>, IoError> {
        let names = hdf5_file::embedding_names(&self.file, self.rows)?.into_iter();
        let place =
            || Place::new(self.file.clone(), |file, name, _| hdf5_file::embedding(file, name));
        Ok(names.map(|name| (name, place())).collect())
    }
}
