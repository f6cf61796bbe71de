//! A fit on disk: JSON with the law, its parameters and minima, the draws, and the data's digest.

use crate::decide::Blend;
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

/// The name and version of the format of one law.
const FORMAT: &str = "curate-scaling/1";
/// The same of several, which a reader of one law must not take for one.
const FORMAT_OF_SEVERAL: &str = "curate-scaling/2";

/// A fit with its draws, as saved.
///
/// ```
/// use curate_scaling::law::{LawKind, Qqt};
/// use curate_scaling::{BootstrapParams, FitParams, NoProgress, SavedFit, example_runs};
///
/// let runs = example_runs();
/// let fit = FitParams::usual(LawKind::from(Qqt::default()), &runs).fit(&runs, &NoProgress)?;
/// let draws = BootstrapParams::default().draws(50).run(&fit, &runs, &NoProgress)?;
/// let saved = SavedFit::new(fit, Some(draws));
/// let read: SavedFit = SavedFit::from_json(&saved.to_json(), "fit.json")?;
/// assert_eq!(read, saved); // To the last bit.
/// read.check_data(&runs)?;
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "L: Law + Deserialize<'de>"))]
pub struct SavedFit<L = LawKind> {
    format: String,
    /// The fit.
    pub fit: Fit<L>,
    /// Draws for intervals and decisions, if there are any.
    pub draws: Option<Ensemble>,
    /// Other laws fitted to the same runs, which have a say in proportion to their draws.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OtherLaw<L>>,
}

/// A further law of a [`SavedFit`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "L: Law + Deserialize<'de>"))]
pub struct OtherLaw<L = LawKind> {
    /// The fit.
    pub fit: Fit<L>,
    /// Its draws.
    pub draws: Ensemble,
}

impl<L: Law + Serialize + DeserializeOwned> SavedFit<L> {
    /// Wraps a fit and its draws.
    pub fn new(fit: Fit<L>, draws: Option<Ensemble>) -> Self {
        SavedFit { format: FORMAT.into(), fit, draws, others: Vec::new() }
    }

    /// Wraps the members that [`weigh`](crate::weigh::weigh) found, the heaviest first; `None`
    /// without any.
    pub fn of_several(members: Vec<(Fit<L>, Ensemble)>) -> Option<Self> {
        let mut members = members.into_iter();
        let (fit, draws) = members.next()?;
        let others: Vec<OtherLaw<L>> =
            members.map(|(fit, draws)| OtherLaw { fit, draws }).collect();
        let format = if others.is_empty() { FORMAT } else { FORMAT_OF_SEVERAL };
        Some(SavedFit { format: format.into(), fit, draws: Some(draws), others })
    }

    /// All its laws, to answer together; `None` without draws.
    ///
    /// # Errors
    /// As [`Blend::new`].
    pub fn blend(&self) -> Result<Option<Blend<'_, L>>, ScalingError> {
        let Some(draws) = self.draws.as_ref().filter(|draws| !draws.thetas.is_empty()) else {
            return Ok(None);
        };
        let mut members = vec![(&self.fit, draws)];
        members.extend(self.others.iter().map(|other| (&other.fit, &other.draws)));
        Blend::new(members).map(Some)
    }

    /// The file's text. The same fit gives the same bytes.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("finite numbers and text serialize") + "\n"
    }

    /// Reads what [`SavedFit::to_json`] wrote; `place` is used in messages.
    ///
    /// # Errors
    /// Another format or version, text that does not fit it, and parts that do not fit together.
    pub fn from_json(text: &str, place: &str) -> Result<Self, ScalingError> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
        }
        let bad = |problem: String| ScalingError::BadFile { place: place.into(), problem };
        let head: Head = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
        if ![FORMAT, FORMAT_OF_SEVERAL].contains(&head.format.as_str()) {
            let known = format!("`{FORMAT}` or `{FORMAT_OF_SEVERAL}`");
            return Err(bad(format!("format `{}` instead of {known}", head.format)));
        }
        let read: Self = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
        read.check_draws().map_err(|e| bad(e.to_string()))?;
        Ok(read)
    }

    /// Refuses draws that are not of their fits.
    fn check_draws(&self) -> Result<(), ScalingError> {
        if let Some(draws) = self.draws.as_ref().filter(|draws| !draws.thetas.is_empty()) {
            draws.check_fit(&self.fit)?;
            draws.check_values(&self.fit)?;
        }
        for other in &self.others {
            other.draws.check_fit(&other.fit)?;
            other.draws.check_values(&other.fit)?;
        }
        self.blend().map(drop)
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
        write().map_err(|source| {
            // What is left of the temporary file is of no use; the first error is the one to tell.
            let _ = fs::remove_file(&partial);
            ScalingError::Io { path: path.to_owned(), source }
        })
    }

    /// Reads a file that [`SavedFit::save`] wrote.
    ///
    /// # Errors
    /// As [`SavedFit::from_json`], and what the file system refuses.
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
