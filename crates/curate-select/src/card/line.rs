//! What is known of a curated set from outside: a JSON object a line.

use serde::{Deserialize, Serialize};

/// What an accuracy says about the set that a model was trained on (SELECT, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// Accuracy on clean test samples of the set's own classes.
    Base,
    /// Accuracy on test samples of the same classes from elsewhere; `ood` is read as well.
    #[serde(alias = "ood")]
    Shifted,
    /// Accuracy at another task after fine-tuning or by a probe; `vtab` is read as well.
    #[serde(alias = "vtab")]
    Transfer,
    /// Accuracy of the nearest neighbors by frozen features; `knn` and `ssl` are read as well.
    #[serde(alias = "knn", alias = "ssl")]
    Neighbors,
}

impl Axis {
    /// All of them, in the order of a card.
    pub const ALL: [Self; 4] = [Self::Base, Self::Shifted, Self::Transfer, Self::Neighbors];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Shifted => "shifted",
            Self::Transfer => "transfer",
            Self::Neighbors => "neighbors",
        }
    }
}

/// A test of a model that was trained on a set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The set's name.
    pub set: String,
    /// What the test says about it.
    pub axis: Axis,
    /// The name of the test set, such as `imagenet-r`.
    pub task: String,
    /// The share of test samples that were told right, from 0 to 1.
    pub accuracy: f64,
    /// How many samples were tested; without it there is no interval.
    pub samples: Option<u64>,
    /// Which of several trainings it was.
    pub seed: u64,
}

/// A line: a test, or the samples of each class of a set.
///
/// ```
/// use curate_select::card::{Axis, Line};
///
/// let read = |text| serde_json::from_str::<Line>(text);
/// let line = read(r#"{"set": "LA1000", "axis": "ood", "task": "imagenet-r", "accuracy": 0.31, "samples": 30000}"#)?;
/// assert!(matches!(line, Line::Outcome(test) if test.axis == Axis::Shifted && test.seed == 0));
/// assert!(matches!(read(r#"{"set": "LA1000", "counts": [310, 0, 2]}"#)?, Line::Counts { .. }));
/// assert!(read(r#"{"set": "LA1000", "accuracy": 0.31}"#).is_err()); // of what?
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Fields")]
pub enum Line {
    /// A test.
    Outcome(Outcome),
    /// What the set is like.
    Counts {
        /// The set's name.
        set: String,
        /// Samples of each class; empty classes are zeros.
        counts: Vec<u64>,
    },
}

/// All fields that a line may have. An untagged enum would not say which of them is wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    set: String,
    axis: Option<Axis>,
    task: Option<String>,
    accuracy: Option<f64>,
    samples: Option<u64>,
    seed: Option<u64>,
    counts: Option<Vec<u64>>,
}

impl TryFrom<Fields> for Line {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let names = [Some(&fields.set), fields.task.as_ref()];
        if names.into_iter().flatten().any(|name| name.chars().any(char::is_control)) {
            return Err("a name has a line break or another control character".to_owned());
        }
        match fields {
            Fields {
                set,
                axis: None,
                task: None,
                accuracy: None,
                samples: None,
                seed: None,
                counts: Some(counts),
            } => Ok(Self::Counts { set, counts }),
            Fields { counts: Some(_), .. } => {
                Err("`counts` stands with `set` alone: write the test to a line of its own".into())
            }
            Fields {
                set, axis: Some(axis), task: Some(task), accuracy: Some(accuracy), ..
            } => {
                let (samples, seed) = (fields.samples, fields.seed.unwrap_or(0));
                Ok(Self::Outcome(Outcome { set, axis, task, accuracy, samples, seed }))
            }
            Fields { axis, task, .. } => {
                let missing = match (axis, task) {
                    (None, _) => "axis",
                    (_, None) => "task",
                    _ => "accuracy",
                };
                Err(format!("there is no `{missing}`"))
            }
        }
    }
}
