//! DataComp's baselines.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use curate::{
    baselines::{
        Arch, BaselineName, BaselineParams, MetadataRows, MetadataShard, MorphyRule, Subset,
    },
    core::Selection,
    io::{
        datacomp::metadata_tables,
        subset::{self, SubsetFormat},
    },
};
use pyo3::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    errors::Failure,
    input::{ids::Ids, words::word},
    json,
    pickle::{Reduced, reduced, restored},
    selected::{Known, Selected},
    subset as subsets,
    watch::watched,
};

/// One of DataComp's filtering baselines (arXiv 2304.14108), whose subset files are its own byte for byte.
///
/// Parameters
/// ----------
/// rule : str
///     "no_filter", "random_subset", "basic_filter", "clip_score", "laion2b", "text_based",
///     "image_based" or "image_based_intersect_clip_score".
/// arch : "b32" or "l14", optional
///     Whose CLIP score is cut.
/// threshold : float, optional
/// fraction : float, optional
///     Keeps rows of at least the score at this share from the top; the share of random_subset.
/// seed : int, optional
///     Of random_subset.
/// language_model : path, optional
///     A fastText model, such as lid.176.bin. Without one a built-in identifier names languages, which
///     gives another subset than DataComp's.
/// wordnet, entity_ids : paths, optional
///     WordNet 3.0's folder and the list of ids, for text_based.
/// morphy : "one-step" (default) or "repeated"
/// centroids, target_features : paths of npy files, optional
///     For image_based.
#[pyclass(frozen, eq, module = "curate")]
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    params: BaselineParams,
}

#[pymethods]
impl Baseline {
    #[new]
    #[pyo3(signature = (rule, *, arch = None, threshold = None, fraction = None, seed = None,
        language_model = None, wordnet = None, entity_ids = None, morphy = "one-step",
        centroids = None, target_features = None))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn new(
        rule: &str,
        arch: Option<&str>,
        threshold: Option<f64>,
        fraction: Option<f64>,
        seed: Option<u64>,
        language_model: Option<PathBuf>,
        wordnet: Option<PathBuf>,
        entity_ids: Option<PathBuf>,
        morphy: &str,
        centroids: Option<PathBuf>,
        target_features: Option<PathBuf>,
    ) -> Result<Self, Failure> {
        let mut params =
            BaselineParams::new(named(rule)?).morphy(word::<MorphyRule>("morphy", morphy)?);
        if let Some(arch) = arch {
            params = params.arch(word::<Arch>("arch", arch)?);
        }
        if let Some(threshold) = threshold {
            params = params.threshold(threshold);
        }
        if let Some(fraction) = fraction {
            params = params.fraction(fraction);
        }
        if let Some(seed) = seed {
            params = params.seed(seed);
        }
        type SetFile = fn(BaselineParams, PathBuf) -> BaselineParams;
        let files: [(Option<PathBuf>, SetFile); 5] = [
            (language_model, BaselineParams::language_model),
            (wordnet, BaselineParams::wordnet),
            (entity_ids, BaselineParams::entity_ids),
            (centroids, BaselineParams::centroids),
            (target_features, BaselineParams::target_features),
        ];
        for (file, set) in files {
            if let Some(file) = file {
                params = set(params, file);
            }
        }
        params.clone().check()?;
        Ok(Self { params })
    }

    /// The ids that the rule keeps of a folder of metadata shards (`NAME.parquet`, and `NAME.npz` for the
    /// image-based rules).
    #[pyo3(signature = (metadata, *, progress = None))]
    fn subset(
        &self,
        py: Python<'_>,
        metadata: PathBuf,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> Result<BaselineSubset, Failure> {
        let baseline = self.params.clone().check()?;
        let found = watched(py, progress, |progress| Ok(baseline.subset(&metadata, progress)?))?;
        Ok(BaselineSubset { found })
    }

    /// A verdict on every row of a folder of metadata shards, one shard after the other; `cause` says by
    /// which part of the rule a row went. Holds 44 bytes a row: `subset` is for pools too large for that.
    #[pyo3(signature = (metadata, *, progress = None))]
    fn run(
        &self,
        py: Python<'_>,
        metadata: PathBuf,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> Result<Selected, Failure> {
        let baseline = self.params.clone().check()?;
        watched(py, progress, |progress| {
            let tables = metadata_tables(&metadata)?;
            let shards: Vec<MetadataShard> =
                tables.iter().map(|file| MetadataShard::open(file)).collect::<Result<_, _>>()?;
            let mut ids = Vec::new();
            for shard in &shards {
                shard.each_id(&mut |id| ids.push(id))?;
            }
            let verdicts = baseline.run(&shards, progress)?;
            let given = Selection::all(verdicts.rows().len());
            let why = Box::new(Known(verdicts.removals().collect()));
            let ids = Some(Arc::new(Ids::of_pool(ids)));
            Ok(Selected::new(given, verdicts.kept(), verdicts.floor(), ids, why))
        })
    }

    fn __repr__(&self) -> String {
        let told = serde_json::to_value(&self.params).unwrap_or_default();
        let told = told.as_object().cloned().unwrap_or_default();
        let told = told.iter().filter(|(name, _)| *name != "rule" && *name != "morphy");
        let knobs: String = told.map(|(name, value)| format!(", {name}={value}")).collect();
        let rule = serde_json::to_value(&self.params).unwrap_or_default()["rule"].to_string();
        format!("Baseline({rule}{})", knobs.replace('-', "_"))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> Result<Reduced<'py>, Failure> {
        reduced::<Self>(py, self)
    }

    #[staticmethod]
    fn _restore(state: &[u8]) -> Result<Self, Failure> {
        restored(state)
    }
}

/// A rule by DataComp's name.
fn named(rule: &str) -> Result<BaselineName, Failure> {
    let found = BaselineName::ALL.into_iter().find(|name| name.to_string() == rule);
    found.ok_or_else(|| {
        let known: Vec<String> = BaselineName::ALL.iter().map(ToString::to_string).collect();
        let problem = format!("there is no \"{rule}\": give one of {}", known.join(", "));
        Failure::input("rule", problem)
    })
}

/// The ids that a baseline keeps.
#[pyclass(frozen, module = "curate")]
pub(crate) struct BaselineSubset {
    found: Subset,
}

#[pymethods]
impl BaselineSubset {
    /// The ids, sorted, repeats included: an array of pairs `u8,u8`.
    #[getter]
    fn ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        subsets::pairs(py, self.found.ids.iter().copied())
    }

    /// Rows read.
    #[getter]
    fn rows(&self) -> usize {
        self.found.rows
    }

    /// Rows dropped, by the part of the rule that dropped them: a dictionary.
    #[getter]
    fn dropped(&self) -> BTreeMap<String, usize> {
        let dropped = self.found.dropped.iter();
        dropped.map(|(reason, &count)| (reason.rule().to_owned(), count)).collect()
    }

    /// The score from which rows stay.
    #[getter]
    fn threshold(&self) -> Option<f64> {
        self.found.threshold
    }

    /// Writes the subset file, in the form of the path's ending.
    fn write(&self, py: Python<'_>, path: PathBuf) -> Result<(), Failure> {
        let format = SubsetFormat::of_path(&path)?;
        Ok(py.detach(|| subset::write(&path, format, &self.found.ids))?)
    }

    /// All counts, as `curate baseline --json` tells them.
    fn to_dict<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>, Failure> {
        json::to_python(py, &self.found)
    }

    fn __len__(&self) -> usize {
        self.found.ids.len()
    }

    fn __repr__(&self) -> String {
        let (kept, rows) = (self.found.ids.len(), self.found.rows);
        format!("<curate.BaselineSubset: {kept} of {rows} rows stay>")
    }
}
