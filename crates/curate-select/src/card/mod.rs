//! SELECT's card: what models trained on each of several curated sets can do, beside what the sets are like.
//!
//! The tests are made elsewhere (SELECT's own trainings take GPUs for weeks); a [`Line`] each brings them here.
//! Means are over the tasks that every set with tests of their axis has, so that none is ahead by an easier list;
//! what is left out for that is named.
//!
//! # Effective robustness
//! Better models are better on shifted tests too. What a set adds beyond that is the distance to the line that
//! accuracy on shifted tests keeps to accuracy at home (Taori et al. 2020):
//! $\rho = a_s - \sigma(\alpha + \beta \, \mathrm{logit}(a_b))$, with base accuracy $a_b$, mean shifted accuracy
//! $a_s$, the logistic function $\sigma$, and $\alpha$, $\beta$ by least squares of logits over the sets of
//! reference.

mod line;
mod robustness;
mod tally;

use std::collections::BTreeMap;

use serde::Serialize;

pub use line::{Axis, Line, Outcome};
pub use robustness::RobustnessLine;

use crate::{ClassProfile, SelectError};

/// Where intervals end, in standard errors: 95 % of a normal distribution, as SELECT's.
pub const Z: f64 = 1.96;

/// Sets that the line of effective robustness needs where none are named.
const LEAST_FOR_A_LINE: usize = 3;

/// Classes with fewer samples are in the long tail, as in SELECT's tables.
pub const LONG_TAIL: u64 = 500;

/// The share of classes that are the largest ones, as in SELECT's tables.
pub const LARGEST: f64 = 0.05;

/// How a set covers its classes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Coverage {
    /// All samples.
    pub samples: u64,
    /// All classes.
    pub classes: usize,
    /// Classes with a sample.
    pub covered: usize,
    /// LT@500: classes with fewer than [`LONG_TAIL`] samples, empty ones among them.
    pub long_tail: usize,
    /// LS@5%: the share of all samples in the largest [`LARGEST`] of the classes. `None` without samples.
    pub largest_share: Option<f64>,
    /// The number of even classes that would spread as widely.
    pub effective_classes: f64,
    /// Gini's coefficient of the counts.
    pub gini: f64,
}

impl From<&ClassProfile> for Coverage {
    fn from(profile: &ClassProfile) -> Self {
        Self {
            samples: profile.total(),
            classes: profile.counts().len(),
            covered: profile.coverage(),
            long_tail: profile.long_tail(LONG_TAIL),
            largest_share: profile.largest_share(LARGEST),
            effective_classes: profile.effective_classes(),
            gini: profile.gini(),
        }
    }
}

/// The mean accuracy of a set's models over the tasks of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TaskMean {
    /// The mean over tasks of the means over seeds.
    pub accuracy: f64,
    /// Half the width of its 95 % interval, for the doubt from finite test sets alone:
    /// $1.96 \sqrt{\sum_t p_t (1 - p_t) / n_t} / T$. `None` where a task does not say how many samples it has.
    pub half_width: Option<f64>,
    /// Tasks.
    pub tasks: usize,
}

/// What is known of one set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Card {
    /// The set's name.
    pub set: String,
    /// Clean tests.
    pub base: Option<TaskMean>,
    /// Shifted tests.
    pub shifted: Option<TaskMean>,
    /// Other tasks.
    pub transfer: Option<TaskMean>,
    /// Nearest neighbors by frozen features.
    pub neighbors: Option<TaskMean>,
    /// Effective robustness: shifted accuracy above that of the line, in shares. `None` without a line, without
    /// base or shifted tests, and with an accuracy of 0 or 1, which has no logit.
    pub robustness: Option<f64>,
    /// How the set covers its classes.
    pub classes: Option<Coverage>,
}

impl Card {
    /// The mean of an axis.
    pub fn mean(&self, axis: Axis) -> Option<TaskMean> {
        match axis {
            Axis::Base => self.base,
            Axis::Shifted => self.shifted,
            Axis::Transfer => self.transfer,
            Axis::Neighbors => self.neighbors,
        }
    }
}

/// A task that some sets were not tested on: no mean holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// What it would say.
    pub axis: Axis,
    /// The test set.
    pub task: String,
    /// The sets that lack it, though they have others of this axis.
    pub lacking: Vec<String>,
}

/// A task with one accuracy for all sets: it is counted, but tells nothing (in SELECT's tables, a broken test set
/// with 0 for each of them).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alike {
    /// What it should say.
    pub axis: Axis,
    /// The test set.
    pub task: String,
    /// The accuracy of every set.
    pub accuracy: f64,
}

/// The cards of several sets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scorecard {
    /// In the order in which sets are first named.
    pub cards: Vec<Card>,
    /// The line of effective robustness.
    pub line: Option<RobustnessLine>,
    /// Why there is no line, though sets have shifted tests.
    pub no_line: Option<String>,
    /// Tasks that no mean holds.
    pub left_out: Vec<LeftOut>,
    /// Tasks that tell no set from another.
    pub alike: Vec<Alike>,
}

impl Scorecard {
    /// Of all lines. `references` are the sets that the line of effective robustness is fitted to, at least two;
    /// where none are named it is fitted to all sets with base and shifted accuracy between 0 and 1, should there be
    /// three or more.
    ///
    /// ```
    /// use curate_select::card::{Line, Scorecard};
    ///
    /// let test = |set: &str, axis, task: &str, accuracy| format!(
    ///     r#"{{"set": "{set}", "axis": "{axis}", "task": "{task}", "accuracy": {accuracy}, "samples": 10000}}"#);
    /// let lines = [
    ///     test("experts", "base", "imagenet", 0.78), test("experts", "ood", "sketch", 0.30),
    ///     test("experts", "ood", "r", 0.40), test("look-up", "base", "imagenet", 0.60),
    ///     test("look-up", "ood", "sketch", 0.28),
    /// ];
    /// let lines: Vec<Line> = lines.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
    /// let found = Scorecard::new(lines, &[])?;
    /// assert_eq!(found.left_out[0].task, "r"); // the look-up was not tested on it
    /// assert_eq!(found.cards[0].shifted.unwrap().accuracy, 0.30);
    /// assert!(found.line.is_none()); // two sets are always on a line
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When an accuracy is not from 0 to 1, a test is there twice or with several numbers of samples, a set has two
    /// lines of counts or an empty one, or a set of reference has no base or no shifted tests, or those of reference
    /// have all one base accuracy.
    pub fn new(
        lines: impl IntoIterator<Item = Line>,
        references: &[String],
    ) -> Result<Self, SelectError> {
        let mut tally = tally::Tally::default();
        let mut profiles = BTreeMap::new();
        for line in lines {
            match line {
                Line::Outcome(outcome) => tally.add(outcome)?,
                Line::Counts { set, counts } => {
                    tally.name(&set);
                    let wrong = |error: SelectError| SelectError::card(&set, error.to_string());
                    let profile = ClassProfile::of_counts(counts).map_err(wrong)?;
                    if profiles.insert(set.clone(), profile).is_some() {
                        return Err(SelectError::card(&set, "has `counts` twice: leave one"));
                    }
                }
            }
        }
        let mut cards: Vec<Card> = tally.sets().map(|set| card(set, &tally)).collect();
        cards
            .iter_mut()
            .for_each(|card| card.classes = profiles.get(&card.set).map(Coverage::from));
        let (line, no_line) = robustness::line(&cards, references)?;
        if let Some(line) = &line {
            cards.iter_mut().for_each(|card| card.robustness = line.above(card));
        }
        Ok(Self { cards, line, no_line, left_out: tally.left_out(), alike: tally.alike() })
    }
}

fn card(set: &str, tally: &tally::Tally) -> Card {
    Card {
        set: set.to_owned(),
        base: tally.mean(set, Axis::Base),
        shifted: tally.mean(set, Axis::Shifted),
        transfer: tally.mean(set, Axis::Transfer),
        neighbors: tally.mean(set, Axis::Neighbors),
        robustness: None,
        classes: None,
    }
}
