//! A fit on disk: JSON with the law, its parameters and minima, the draws, and the data's digest.

use crate::error::ScalingError;
use crate::fit::Fit;
use crate::law::{Law, LawKind};
use crate::observation::Observations;
use crate::uncertainty::Ensemble;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The name and version of the format.
pub const FORMAT: &str = "curate-scaling/1";

/// A fit with its draws, as saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Artefact<L = LawKind> {
    /// [`FORMAT`].
    pub format: String,
    /// The fit.
    pub fit: Fit<L>,
    /// Draws for intervals and decisions, if there are any.
    pub draws: Option<Ensemble>,
}

impl<L: Law + Serialize + DeserializeOwned> Artefact<L> {
    /// Wraps a fit and its draws.
    pub fn new(fit: Fit<L>, draws: Option<Ensemble>) -> Self {
        Artefact { format: FORMAT.into(), fit, draws }
    }

    /// The file's text. The same fit gives the same bytes.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("finite numbers and text serialise") + "\n"
    }

    /// Reads what [`Artefact::to_json`] wrote; `place` is used in messages.
    ///
    /// # Errors
    /// Another format or version, and text that does not fit it.
    pub fn from_json(text: &str, place: &str) -> Result<Self, ScalingError> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
        }
        let bad = |problem: String| ScalingError::BadArtefact { place: place.into(), problem };
        let head: Head = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
        if head.format != FORMAT {
            return Err(bad(format!("format `{}` instead of `{FORMAT}`", head.format)));
        }
        serde_json::from_str(text).map_err(|e| bad(e.to_string()))
    }

    /// Writes the file: a temporary file beside it, flushed to disk, then renamed.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn save(&self, path: &Path) -> Result<(), ScalingError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let partial: PathBuf = path.with_file_name(name);
        let write = || {
            let mut file = File::create(&partial)?;
            file.write_all(self.to_json().as_bytes())?;
            file.sync_all()?;
            fs::rename(&partial, path)
        };
        write().map_err(|source| ScalingError::Io { path: path.to_owned(), source })
    }

    /// Reads a file that [`Artefact::save`] wrote.
    ///
    /// # Errors
    /// As [`Artefact::from_json`], and what the file system refuses.
    pub fn load(path: &Path) -> Result<Self, ScalingError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ScalingError::Io { path: path.to_owned(), source })?;
        Self::from_json(&text, &path.display().to_string())
    }

    /// Refuses a table other than the one fitted.
    ///
    /// # Errors
    /// Another digest, with both.
    pub fn check_data(&self, data: &Observations) -> Result<(), ScalingError> {
        self.fit.check_data(data)
    }
}
