//! The layouts of pools. Each is a file here that implements [`Layout`], and a line below.

mod clip_retrieval;
pub mod datacomp;
mod hdf5;
mod jsonl;
mod npy;
mod parquet_rows;
mod webdataset;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    error::{IoError, Kind},
    layout::{Certainty, Has, Layout},
    pattern::check_no_pipe,
    shard_files::has_file,
};

/// Makes the type that names the layouts, and the list of them.
macro_rules! layouts {
    ($($(#[$doc:meta])* $format:ident => $layout:expr,)+) => {
        /// How a pool lies on disk.
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum Format {
            $($(#[$doc])* $format,)+
        }

        impl Format {
            /// Every layout.
            pub const ALL: &'static [Self] = &[$(Self::$format),+];

            pub(crate) fn layout(self) -> &'static dyn Layout {
                match self {
                    $(Self::$format => &$layout,)+
                }
            }
        }
    };
}

layouts! {
    /// `NAME.parquet` beside `NAME.npz`.
    Datacomp => datacomp::DataComp,
    /// Tar shards.
    Webdataset => webdataset::WebDataset,
    /// `img_emb/img_emb_0.npy`, `text_emb/text_emb_0.npy`, `metadata/metadata_0.parquet`.
    ClipRetrieval => clip_retrieval::ClipRetrieval,
    /// npy files of vectors and nothing else.
    Npy => npy::NpyFiles,
    /// `NAME.jsonl` beside `NAME.npz` or `NAME.npy`.
    Jsonl => jsonl::JsonLines,
    /// HDF5 files (`.h5`, `.hdf5`).
    Hdf5 => hdf5::Hdf5,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.layout().name())
    }
}

/// Tells the layout from what lies at `path`.
pub(crate) fn detect(path: &Path) -> Result<Format, IoError> {
    check_no_pipe(path)?;
    if let Some(format) = path.extension().and_then(|e| by_ending(e.to_str()?)) {
        return Ok(format);
    }
    if !path.exists() {
        return Err(IoError::os(path, "read", std::io::ErrorKind::NotFound.into()));
    }
    if path.is_file() {
        let endings: Vec<&str> =
            Format::ALL.iter().flat_map(|format| format.layout().endings()).copied().collect();
        let problem = format!("is no file of a pool: those end in .{}", endings.join(", ."));
        return Err(IoError::new(
            Kind::Unsupported,
            path,
            problem,
            "name one of those, or its folder",
        ));
    }
    by_signs(&|folder, ending| has_file(path, folder, ending)).ok_or_else(|| {
        let problem = format!("holds no pool: looked for {}", looked_for());
        IoError::new(Kind::NotFound, path, problem, "name the folder that holds one of those")
    })
}

/// The layout of a single file with this ending.
pub(crate) fn by_ending(ending: &str) -> Option<Format> {
    Format::ALL.iter().copied().find(|format| format.layout().endings().contains(&ending))
}

/// Tells the layout of a folder: the one with the surest sign.
pub(crate) fn by_signs(has: Has<'_>) -> Option<Format> {
    let there = |format: &&Format, certainty| {
        let signs = format.layout().signs().iter();
        signs.filter(|sign| sign.certainty == certainty).any(|sign| has(sign.folder, sign.ending))
    };
    let surest = |certainty| Format::ALL.iter().find(|format| there(format, certainty)).copied();
    Certainty::ALL.into_iter().find_map(surest)
}

/// All signs, for a person.
fn looked_for() -> String {
    let signs = Format::ALL.iter().flat_map(|format| format.layout().signs());
    let patterns: Vec<String> = signs
        .map(|sign| match sign.folder {
            "" => format!("*.{}", sign.ending),
            folder => format!("{folder}/*.{}", sign.ending),
        })
        .collect();
    let (last, others) = patterns.split_last().expect("there are layouts");
    format!("{} and {last}", others.join(", "))
}

/// The folders of a pool in which any layout keeps files.
#[cfg(feature = "object-store")]
pub(crate) fn folders() -> Vec<&'static str> {
    let signs = Format::ALL.iter().flat_map(|format| format.layout().signs());
    signs.map(|sign| sign.folder).filter(|folder| !folder.is_empty()).collect()
}

/// The paths that, opened as pools one after the other, have the rows of the pool at `path`, in its
/// order. What is known of a pool's samples is in memory while it is open; a piece needs that of its
/// own alone. A folder of tar shards comes apart into its files, every other layout is one piece.
///
/// # Errors
/// When there is no pool.
pub fn pieces(path: &Path, format: Option<Format>) -> Result<Vec<PathBuf>, IoError> {
    let layout = format.map_or_else(|| detect(path), Ok)?.layout();
    if layout.comes_apart() { layout.shards(path) } else { Ok(vec![path.to_owned()]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surest_sign_settles_the_layout() {
        let of =
            |files: &[(&str, &str)]| by_signs(&|folder, ending| files.contains(&(folder, ending)));
        let [tar, table, npy] = [("", "tar"), ("", "parquet"), ("", "npy")];
        let (metadata, lines) = (("metadata", "parquet"), ("metadata", "jsonl"));
        assert_eq!(of(&[npy, metadata, ("text_emb", "npy")]), Some(Format::ClipRetrieval));
        assert_eq!(of(&[("shards", "tar"), metadata]), Some(Format::Datacomp));
        // img2dataset writes a table beside each tar file.
        assert_eq!(of(&[tar, table, npy]), Some(Format::Webdataset));
        assert_eq!(of(&[("", "jsonl"), table, npy]), Some(Format::Datacomp));
        assert_eq!(of(&[lines, npy]), Some(Format::Jsonl));
        assert_eq!(of(&[("", "hdf5"), npy]), Some(Format::Hdf5));
        assert_eq!(of(&[npy]), Some(Format::Npy));
        assert_eq!(of(&[("", "csv")]), None);
    }

    #[test]
    fn a_path_without_a_pool_says_what_was_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let error = detect(folder.path()).unwrap_err();
        assert!(error.to_string().contains("looked for metadata/*.parquet, *.parquet"), "{error}");
        assert_eq!(detect(Path::new("no/such/folder")).unwrap_err().kind, Kind::NotFound);
    }
}
