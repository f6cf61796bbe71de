//! Networks that judge pairs of image and caption.

use std::{path::PathBuf, sync::Arc};

use curate::{
    core::{Cut, Selection},
    dfn::{Arithmetic, Network, NetworkError, filter::score_pairs},
};
use ndarray::Array2;
use numpy::{IntoPyArray, PyArray1, PyArray2, PyReadonlyArray4, PyUntypedArrayMethods};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyString},
};
use rayon::prelude::*;

use crate::{
    errors::Failure,
    input::{
        cut::{self, Saved},
        ids::Ids,
        numbers,
    },
    pool::PyPool,
    selected::{Reasons, Selected},
    watch::{released, watched},
};

/// Items of each thread between two looks at whether the caller wants to stop.
const TOGETHER: usize = 8;

/// A two-tower network of open_clip (or transformers' CLIPModel), on the CPU.
///
/// Parameters
/// ----------
/// folder : path
///     For example what `huggingface_hub.snapshot_download` answers: with open_clip's `open_clip_config.json` and its weights as safetensors, or transformers' files.
/// precision : {"f32", "bf16", "int8"}, default "f32"
///     What the linear layers multiply: bf16 (where the processor multiplies it) and int8 (with AVX2) are faster, and scores are a little off.
#[pyclass(frozen, module = "curate", name = "Network")]
pub(crate) struct PyNetwork {
    network: Network,
}

#[pymethods]
impl PyNetwork {
    #[new]
    #[pyo3(signature = (folder, *, precision = "f32"))]
    fn new(py: Python<'_>, folder: PathBuf, precision: &str) -> Result<Self, Failure> {
        let arithmetic: Arithmetic =
            precision.parse().map_err(|problem| Failure::input("precision", problem))?;
        if folder.starts_with("hf:") {
            let problem = "networks are not fetched here: give the folder that \
                           huggingface_hub.snapshot_download answers";
            return Err(Failure::input("folder", problem));
        }
        let open = move || Ok(Network::open(&folder)?.with_arithmetic(arithmetic)?);
        Ok(Self { network: released(py, open)? })
    }

    /// Length of an embedding.
    #[getter]
    fn dim(&self) -> usize {
        self.network.dim()
    }

    /// Height and width of the images that it sees.
    #[getter]
    fn image_size(&self) -> usize {
        self.network.transform().size()
    }

    /// What decides its outputs, as one SHA-256.
    #[getter]
    fn fingerprint(&self) -> String {
        self.network.fingerprint()
    }

    /// Embeddings of captions: float32 of shape (n, dim), of length 1.
    #[pyo3(signature = (texts, *, progress = None))]
    fn embed_texts<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<String>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> Result<Bound<'py, PyArray2<f32>>, Failure> {
        let vectors = watched(py, progress, |progress| {
            in_parts(&texts, "texts", progress, |texts| Ok(self.network.embed_texts(texts)?))
        })?;
        self.table(py, texts.len(), vectors)
    }

    /// Embeddings of images: float32 of shape (n, dim), of length 1.
    ///
    /// Parameters
    /// ----------
    /// images : list
    ///     Of each image the bytes of a file, its path, or a PIL image (which is encoded as PNG, without
    ///     loss). They are decoded and resized as open_clip does it.
    /// progress : bool or callable, optional
    #[pyo3(signature = (images, *, progress = None))]
    fn embed_images<'py>(
        &self,
        py: Python<'py>,
        images: Vec<Bound<'py, PyAny>>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> Result<Bound<'py, PyArray2<f32>>, Failure> {
        let files: Vec<Vec<u8>> = images.iter().map(file).collect::<Result<_, _>>()?;
        let numbered: Vec<(usize, Vec<u8>)> = files.into_iter().enumerate().collect();
        let vectors = watched(py, progress, |progress| {
            in_parts(&numbered, "images", progress, |files| self.embed(files))
        })?;
        self.table(py, numbered.len(), vectors)
    }

    /// Embeddings of images that are transformed already, for example by open_clip's `preprocess`: float32
    /// of shape (n, dim), of length 1.
    ///
    /// Parameters
    /// ----------
    /// images : float32 of shape (n, 3, image_size, image_size)
    /// progress : bool or callable, optional
    #[pyo3(signature = (images, *, progress = None))]
    fn embed_transformed<'py>(
        &self,
        py: Python<'py>,
        images: &Bound<'py, PyAny>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> Result<Bound<'py, PyArray2<f32>>, Failure> {
        let size = self.network.transform().size();
        let lent = images.extract::<PyReadonlyArray4<'py, f32>>();
        let lent =
            lent.ok().filter(|lent| lent.is_aligned() && lent.shape()[1..] == [3, size, size]);
        let numbers = lent.as_ref().and_then(|lent| lent.as_slice().ok()).ok_or_else(|| {
            let problem =
                format!("give an array of float32 of shape (n, 3, {size}, {size}) in memory order");
            Failure::input("images", problem)
        })?;
        let images: Vec<&[f32]> = numbers.chunks_exact(self.network.transform().len()).collect();
        let vectors = watched(py, progress, |progress| {
            in_parts(&images, "images", progress, |images| {
                Ok(self.network.embed_images(&images.concat())?)
            })
        })?;
        self.table(py, images.len(), vectors)
    }

    /// The cosine of image and caption of rows of a pool: `Pairs`, which any cut is a view on.
    ///
    /// Parameters
    /// ----------
    /// pool : Pool
    /// rows : row numbers or a mask, optional
    /// progress : bool or callable, optional
    #[pyo3(signature = (pool, rows = None, *, progress = None))]
    fn score_pairs(
        &self,
        py: Python<'_>,
        pool: &Bound<'_, PyPool>,
        rows: Option<&Bound<'_, PyAny>>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> Result<Pairs, Failure> {
        let pool = &pool.get().pool;
        let all = pool.len();
        let rows = numbers::rows("rows", rows, all)?.unwrap_or_else(|| Selection::all(all));
        let found = watched(py, progress, |progress| {
            Ok(score_pairs(&self.network, pool, &rows, progress)?)
        })?;
        let ids = Arc::new(Ids::of_pool(pool.ids().to_vec()));
        Ok(Pairs { found: Arc::new(found), ids })
    }

    fn __repr__(&self) -> String {
        let (size, dim) = (self.network.transform().size(), self.network.dim());
        format!("<curate.Network of {size} pixels, embeddings of {dim} numbers>")
    }
}

impl PyNetwork {
    fn embed(&self, files: &[(usize, Vec<u8>)]) -> Result<Vec<f32>, Failure> {
        let transform = self.network.transform();
        let decoded = files.par_iter().map(|(place, file)| {
            let wrong = |error| Failure::input("images", format!("image {place}: {error}"));
            transform.apply(file).map_err(wrong)
        });
        let decoded: Vec<Vec<f32>> = decoded.collect::<Result<_, Failure>>()?;
        Ok(self.network.embed_images(&decoded.concat())?)
    }

    fn table<'py>(
        &self,
        py: Python<'py>,
        rows: usize,
        vectors: Vec<f32>,
    ) -> Result<Bound<'py, PyArray2<f32>>, Failure> {
        let table = Array2::from_shape_vec((rows, self.network.dim()), vectors);
        let table = table.map_err(|error| NetworkError::Config(error.to_string()))?;
        Ok(table.into_pyarray(py))
    }
}

/// Embeds items part by part, so that the caller can stop in between.
fn in_parts<T>(
    items: &[T],
    unit: &str,
    progress: &dyn curate::core::Progress,
    embed: impl Fn(&[T]) -> Result<Vec<f32>, Failure>,
) -> Result<Vec<f32>, Failure> {
    progress.start("embed", items.len() as u64, unit);
    let mut vectors = Vec::new();
    for part in items.chunks(TOGETHER * rayon::current_num_threads()) {
        progress.check().map_err(curate::core::SourceError::from)?;
        vectors.extend(embed(part)?);
        progress.advance(part.len() as u64);
    }
    progress.finish();
    Ok(vectors)
}

/// The bytes of an image file: those given, those at a path, or those of a PIL image as PNG.
fn file(image: &Bound<'_, PyAny>) -> Result<Vec<u8>, Failure> {
    if let Ok(bytes) = image.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    if image.is_instance_of::<PyString>() || image.hasattr("__fspath__")? {
        let path: PathBuf = image.extract()?;
        let read = std::fs::read(&path);
        return Ok(read.map_err(|error| curate::io::IoError::os(&path, "read", error))?);
    }
    if image.hasattr("save")? {
        let buffer = image.py().import("io")?.getattr("BytesIO")?.call0()?;
        image.call_method1("save", (&buffer, "PNG"))?;
        return Ok(buffer.call_method0("getvalue")?.extract()?);
    }
    let problem = format!("{} is no image: give bytes, a path or a PIL image", image.get_type());
    Err(Failure::input("images", problem))
}

/// The scores of pairs of a pool.
#[pyclass(frozen, module = "curate")]
pub(crate) struct Pairs {
    found: Arc<curate::dfn::filter::PairScores>,
    /// Of all rows of the pool.
    ids: Arc<Ids>,
}

struct Why {
    found: Arc<curate::dfn::filter::PairScores>,
    cut: Saved,
}

impl Reasons for Why {
    fn removals(&self) -> Result<Vec<curate::core::Removal>, Failure> {
        Ok(self.found.removals(self.cut.into())?)
    }
}

#[pymethods]
impl Pairs {
    /// The rows of the pool that were scored, ascending: int64.
    #[getter]
    fn rows<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        crate::selected::numbers(py, self.found.rows())
    }

    /// The score of each of `rows`: float32; NaN for a pair that cannot be scored.
    #[getter]
    fn scores<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        PyArray1::from_slice(py, self.found.scores())
    }

    /// The pairs that stay: one of `threshold`, `fraction` and `count`.
    #[pyo3(signature = (*, threshold = None, fraction = None, count = None))]
    fn select(
        &self,
        threshold: Option<f64>,
        fraction: Option<f64>,
        count: Option<usize>,
    ) -> Result<Selected, Failure> {
        let wanted = cut::one(None, threshold, fraction, count)?;
        let wanted: Cut = wanted.ok_or_else(|| {
            Failure::input("threshold", "give a threshold, a fraction or a count of rows to keep")
        })?;
        let outcome = self.found.outcome(wanted)?;
        let why = Why { found: Arc::clone(&self.found), cut: wanted.into() };
        let (given, ids) = (self.found.rows().clone(), Some(Arc::clone(&self.ids)));
        Ok(Selected::new(given, outcome.kept, outcome.threshold, ids, Box::new(why)))
    }

    fn __len__(&self) -> usize {
        self.found.rows().len()
    }

    fn __repr__(&self) -> String {
        let (pairs, bad) = (self.found.rows().len(), self.found.bad().len());
        format!("<curate.Pairs: {pairs} scored, of which {bad} cannot be>")
    }
}
