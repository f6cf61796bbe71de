//! What a comparison is given: pools with their labels, and descriptions of classes.

use curate_io::Pool;
use ndarray::Array2;

use crate::compare::CompareError;

/// A pool and, where it has them, the label of each of its rows.
pub struct Source<'a> {
    /// The pool.
    pub pool: &'a Pool,
    /// One for each row; `None` where a row has none.
    pub labels: Option<Vec<Option<String>>>,
}

/// Rows that models are tested on.
#[derive(Default)]
pub struct Tests<'a> {
    /// Those of another pool; by default a part of the pool is held out.
    pub own: Option<Source<'a>>,
    /// Pools from other sources, by name. Models are asked the same on each, beside; none of their ids is
    /// trained on.
    pub shifted: Vec<(String, Source<'a>)>,
}

impl<'a> From<Option<Source<'a>>> for Tests<'a> {
    fn from(own: Option<Source<'a>>) -> Self {
        Self { own, shifted: vec![] }
    }
}

/// Descriptions of classes, embedded as the pool's texts are: each class's name in several templates.
pub struct Prompts {
    /// The label that each row describes.
    pub(crate) label: Vec<String>,
    pub(crate) features: Array2<f32>,
}

impl Prompts {
    /// Prompts, the label that each describes, and their features one after the other. Those that could not
    /// be embedded, which hold NaN, are left out.
    ///
    /// # Errors
    /// When there are no prompts, or features are not whole.
    pub fn new(label: Vec<String>, features: Vec<f32>) -> Result<Self, CompareError> {
        let found = features.len();
        let dim = found.checked_div(label.len()).unwrap_or(0);
        match Array2::from_shape_vec((label.len(), dim), features) {
            Ok(features) if dim > 0 => Ok(Self { label, features }),
            _ => {
                let problem = format!("{} prompts have {found} numbers together", label.len());
                Err(CompareError::Test(problem + ": give each as many, and at least one"))
            }
        }
    }
}
