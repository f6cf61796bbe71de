//! Every error of the library as a Python exception, with the text that the program prints.

use std::error::Error;

use curate::{
    baselines::BaselineError,
    cluster::ClusterError,
    core::{CutError, ParamsError, RowsError, SourceError},
    dedup::DedupError,
    dfn::{NetworkError, filter::FilterError},
    io::IoError,
    pipeline::Error as PipelineError,
    prune::PruneError,
    scaling::ScalingError,
};
use pyo3::{IntoPyObjectExt, prelude::*};

/// Classes that are written in Python, since they have two bases.
pub(crate) mod classes {
    pyo3::import_exception!(curate._errors, CurateError);
    pyo3::import_exception!(curate._errors, FileError);
    pyo3::import_exception!(curate._errors, InputError);
    pyo3::import_exception!(curate._errors, NetworkError);
    pyo3::import_exception!(curate._errors, NotReady);
    pyo3::import_exception!(curate._errors, ParamsError);
    pyo3::import_exception!(curate._errors, RecipeError);
    pyo3::import_exception!(curate._errors, RunError);
    pyo3::import_exception!(curate._errors, ScalingError);
}

/// What can go wrong behind a Python call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// An argument that is not what the function takes.
    #[error("`{argument}`: {problem}")]
    Input { argument: String, problem: String },
    #[error(transparent)]
    Params(#[from] ParamsError),
    #[error(transparent)]
    Cut(CutError),
    #[error(transparent)]
    Cluster(ClusterError),
    #[error(transparent)]
    Dedup(DedupError),
    #[error(transparent)]
    Prune(PruneError),
    #[error(transparent)]
    Source(SourceError),
    #[error(transparent)]
    Baseline(BaselineError),
    #[error(transparent)]
    Io(#[from] IoError),
    #[error(transparent)]
    Pipeline(PipelineError),
    #[error(transparent)]
    Scaling(ScalingError),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Filter(FilterError),
    /// What Python raised: an exception of a callback, Ctrl-C.
    #[error("{0}")]
    Python(PyErr),
}

impl Failure {
    /// An argument that is not what the function takes, and what to give instead.
    pub(crate) fn input(argument: &str, problem: impl Into<String>) -> Self {
        Self::Input { argument: argument.to_owned(), problem: problem.into() }
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl From<CutError> for Failure {
    fn from(error: CutError) -> Self {
        match error {
            CutError::Params(error) => Self::Params(error),
            other => Self::Cut(other),
        }
    }
}

impl From<RowsError> for Failure {
    fn from(error: RowsError) -> Self {
        match error {
            RowsError::NotUnit { count, rows, median } => Self::input(
                "X",
                format!(
                    "{count} of {rows} vectors do not have length 1 (median {median:.3}): scale them, \
                     or accept any length with norm=\"any\""
                ),
            ),
            RowsError::Source(error) => error.into(),
            error @ RowsError::IdsMismatch { .. } => Self::input("ids", error.to_string()),
            error => Self::input("rows", error.to_string()),
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Read(inner) => match inner.downcast::<IoError>() {
                Ok(error) => Self::Io(*error),
                Err(inner) => Self::Source(SourceError::Read(inner)),
            },
            other => Self::Source(other),
        }
    }
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Self {
        match error {
            ClusterError::Params(error) => Self::Params(error),
            ClusterError::Source(error) => error.into(),
            other => Self::Cluster(other),
        }
    }
}

impl From<DedupError> for Failure {
    fn from(error: DedupError) -> Self {
        match error {
            DedupError::Params(error) => Self::Params(error),
            DedupError::Cut(error) => error.into(),
            DedupError::Cluster(error) => error.into(),
            DedupError::Rows(error) => error.into(),
            DedupError::Source(error) => error.into(),
            DedupError::Mismatch { what, given, rows } => {
                Self::input(what, format!("{given} numbers for {rows} rows: give one for each row"))
            }
            other => Self::Dedup(other),
        }
    }
}

impl From<PruneError> for Failure {
    fn from(error: PruneError) -> Self {
        match error {
            PruneError::Params(error) => Self::Params(error),
            PruneError::Cut(error) => error.into(),
            PruneError::Cluster(error) => error.into(),
            PruneError::Rows(error) => error.into(),
            other => Self::Prune(other),
        }
    }
}

impl From<BaselineError> for Failure {
    fn from(error: BaselineError) -> Self {
        match error {
            BaselineError::Io(error) => Self::Io(error),
            BaselineError::Params(error) => Self::Params(error),
            BaselineError::Cut(error) => error.into(),
            other => Self::Baseline(other),
        }
    }
}

impl From<PipelineError> for Failure {
    fn from(error: PipelineError) -> Self {
        match error {
            PipelineError::Io(error) | PipelineError::Damaged(error) => Self::Io(error),
            other => Self::Pipeline(other),
        }
    }
}

impl From<ScalingError> for Failure {
    fn from(error: ScalingError) -> Self {
        match error {
            ScalingError::Params(error) => Self::Params(error),
            other => Self::Scaling(other),
        }
    }
}

impl From<FilterError> for Failure {
    fn from(error: FilterError) -> Self {
        match error {
            FilterError::Io(error) => Self::Io(error),
            other => Self::Filter(other),
        }
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        let text = text(&failure);
        match failure {
            Failure::Python(error) => error,
            Failure::Input { argument, .. } => {
                with(classes::InputError::new_err(text), |py, error| {
                    error.setattr(py, "argument", argument)
                })
            }
            Failure::Params(error) => with(classes::ParamsError::new_err(text), |py, raised| {
                let told = error.violations.into_iter();
                let violations: Vec<_> =
                    told.map(|v| (v.field.into_owned(), v.value, v.allowed.into_owned())).collect();
                raised.setattr(py, "violations", violations.into_py_any(py)?)
            }),
            Failure::Io(error) => with(classes::FileError::new_err(text), |py, raised| {
                raised.setattr(py, "path", error.path)?;
                raised.setattr(py, "kind", format!("{:?}", error.kind))
            }),
            Failure::Pipeline(PipelineError::Recipe { problems, .. }) => {
                with(classes::RecipeError::new_err(text), |py, raised| {
                    raised.setattr(py, "problems", problems.into_py_any(py)?)
                })
            }
            Failure::Pipeline(PipelineError::NotReady { step, tasks, missing, first }) => {
                with(classes::NotReady::new_err(text), |py, raised| {
                    raised.setattr(py, "step", step)?;
                    raised.setattr(py, "tasks", tasks)?;
                    raised.setattr(py, "missing", missing)?;
                    raised.setattr(py, "first", first)
                })
            }
            Failure::Pipeline(_) => classes::RunError::new_err(text),
            Failure::Scaling(_) => classes::ScalingError::new_err(text),
            Failure::Network(_) | Failure::Filter(_) => classes::NetworkError::new_err(text),
            _ => classes::CurateError::new_err(text),
        }
    }
}

/// The error and its causes, as the program prints them.
fn text(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        text += &format!("\n  because: {error}");
        cause = error.source();
    }
    text
}

/// Adds what a program wants to know without reading the text.
fn with(raised: PyErr, add: impl FnOnce(Python<'_>, &Py<PyAny>) -> PyResult<()>) -> PyErr {
    Python::attach(|py| match add(py, &raised.value(py).clone().into_any().unbind()) {
        Ok(()) => raised,
        Err(error) => error,
    })
}
