//! Recipes.

use std::path::PathBuf;

use curate::pipeline::{Error, Recipe, plan::plan};
use pyo3::{
    prelude::*,
    types::{PyDict, PyString},
};

use crate::{errors::Failure, json, watch::watched};

/// A recipe: a pool and a list of stages.
///
/// Parameters
/// ----------
/// recipe : str or dict
///     TOML as in the book's chapter on recipes, or the same as a dictionary; a relative pool path starts
///     at the working folder. `Recipe.read` reads a file.
///
/// Examples
/// --------
/// >>> import curate
/// >>> curate.Recipe({
/// ...     "pool": {"path": "pool"},
/// ...     "stage": [{"kind": "semantic-dedup", "embedding": "l14_img", "epsilon": 0.07}],
/// ... }).stages
/// [('semantic-dedup', 'dedup')]
#[pyclass(frozen, eq, module = "curate", name = "Recipe")]
#[derive(Clone, PartialEq)]
pub(crate) struct PyRecipe {
    pub(crate) recipe: Recipe,
}

impl PyRecipe {
    /// A recipe from what a function takes as one: a recipe, a path, text of several lines, a dictionary.
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> Result<Self, Failure> {
        if let Ok(recipe) = object.cast::<Self>() {
            return Ok(recipe.get().clone());
        }
        if object.is_instance_of::<PyDict>() {
            return Self::new(object);
        }
        Self::read(object.extract()?)
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let parsed = Recipe::parse(text);
        let path = PathBuf::from("recipe");
        let recipe = parsed.map_err(|problems| Error::Recipe { path, problems })?;
        Ok(Self { recipe })
    }
}

#[pymethods]
impl PyRecipe {
    #[new]
    fn new(recipe: &Bound<'_, PyAny>) -> Result<Self, Failure> {
        if let Ok(text) = recipe.cast::<PyString>() {
            let text = text.to_str()?;
            if text.ends_with(".toml") && !text.contains('\n') {
                let problem = "text is read as TOML: Recipe.read takes the path of a file";
                return Err(Failure::input("recipe", problem));
            }
            return Self::parse(text);
        }
        // Paths are written as texts.
        let (py, options) = (recipe.py(), PyDict::new(recipe.py()));
        options.set_item("default", py.get_type::<PyString>())?;
        let dumps = py.import("json")?.getattr("dumps")?;
        let text: String = dumps.call((recipe,), Some(&options))?.extract()?;
        let read: Recipe = serde_json::from_str(&text).map_err(|error| {
            let (path, problems) = (PathBuf::from("recipe"), vec![error.to_string()]);
            Error::Recipe { path, problems }
        })?;
        Self::parse(&read.to_toml())
    }

    /// Reads a TOML file; a relative pool path starts at the file's folder.
    #[staticmethod]
    fn read(path: PathBuf) -> Result<Self, Failure> {
        Ok(Self { recipe: Recipe::read(&path)? })
    }

    /// The recipe's name.
    #[getter]
    fn name(&self) -> &str {
        &self.recipe.name
    }

    /// The seed of all random draws.
    #[getter]
    fn seed(&self) -> u64 {
        self.recipe.seed
    }

    /// The pool's path.
    #[getter]
    fn pool(&self) -> PathBuf {
        self.recipe.pool.path.clone()
    }

    /// Kind and name of each stage.
    #[getter]
    fn stages(&self) -> Vec<(&'static str, String)> {
        self.recipe.stages.iter().map(|stage| (stage.kind(), stage.name().to_owned())).collect()
    }

    /// The recipe as TOML, with every default.
    fn to_toml(&self) -> String {
        self.recipe.to_toml()
    }

    /// The same recipe for another pool.
    fn with_pool(&self, path: PathBuf) -> Self {
        let mut recipe = self.recipe.clone();
        recipe.pool.path = path;
        Self { recipe }
    }

    /// What a run will need (rows, memory, disk, operations): opens the pool, computes nothing.
    #[pyo3(signature = (*, progress = None))]
    fn needs<'py>(
        &self,
        py: Python<'py>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> Result<Bound<'py, PyAny>, Failure> {
        let needs = watched(py, progress, |progress| Ok(plan(&self.recipe, progress)?))?;
        json::to_python(py, &needs)
    }

    /// The JSON Schema of recipes.
    #[staticmethod]
    fn schema(py: Python<'_>) -> Result<Bound<'_, PyAny>, Failure> {
        Ok(py.import("json")?.getattr("loads")?.call1((Recipe::schema(),))?)
    }

    fn __repr__(&self) -> String {
        let stages: Vec<&str> = self.recipe.stages.iter().map(|stage| stage.name()).collect();
        format!("<curate.Recipe {}: {}>", self.recipe.name, stages.join(", "))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((py.get_type::<Self>().into_any(), (self.to_toml(),)))
    }
}
