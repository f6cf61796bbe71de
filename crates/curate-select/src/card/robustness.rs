//! The line that accuracy on shifted tests keeps to accuracy at home.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    SelectError,
    card::{Card, LEAST_FOR_A_LINE},
};

/// Shifted accuracy by base accuracy, in logits: `logit(shifted) = at_half + slope * logit(base)`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RobustnessLine {
    /// The logit of shifted accuracy where base accuracy is a half.
    pub at_half: f64,
    /// Logits of shifted accuracy for one of base accuracy.
    pub slope: f64,
    /// The sets that it is fitted to.
    pub references: Vec<String>,
}

impl RobustnessLine {
    /// The shifted accuracy that a base accuracy lets expect.
    pub fn expected(&self, base: f64) -> f64 {
        let logit = self.at_half + self.slope * logit(base);
        1.0 / (1.0 + (-logit).exp())
    }

    /// Effective robustness of a set.
    pub(super) fn above(&self, card: &Card) -> Option<f64> {
        let (base, shifted) = both(card).filter(has_logits)?;
        Some(shifted - self.expected(base))
    }
}

fn logit(share: f64) -> f64 {
    (share / (1.0 - share)).ln()
}

fn both(card: &Card) -> Option<(f64, f64)> {
    Some((card.base?.accuracy, card.shifted?.accuracy))
}

/// Fitted to the sets that are named, or to all; why there is none, though sets have shifted tests.
pub(super) fn line(
    cards: &[Card],
    references: &[String],
) -> Result<(Option<RobustnessLine>, Option<String>), SelectError> {
    if references.is_empty() {
        return Ok(line_of_all(cards));
    }
    let mut seen = BTreeSet::new();
    let distinct: Vec<String> =
        references.iter().filter(|&set| seen.insert(set)).cloned().collect();
    let points = distinct.iter().map(|set| point(cards, set)).collect::<Result<Vec<_>, _>>()?;
    if let [only] = &distinct[..] {
        let problem = "is the only set of reference: a line needs a second one";
        return Err(SelectError::card(only, problem));
    }
    let first = distinct[0].clone();
    let no_line = || {
        let problem = "and the other sets of reference have one base accuracy, through which no line goes: name one \
                       with another";
        SelectError::card(&first, problem)
    };
    Ok((Some(fit(distinct, &points).ok_or_else(no_line)?), None))
}

fn line_of_all(cards: &[Card]) -> (Option<RobustnessLine>, Option<String>) {
    let point = |card: &Card| Some((card.set.clone(), both(card).filter(has_logits)?));
    let (names, points): (Vec<String>, Vec<_>) = cards.iter().filter_map(point).unzip();
    if names.len() < LEAST_FOR_A_LINE {
        let shifted = cards.iter().any(|card| card.shifted.is_some());
        let sets = format!(
            "sets with base and shifted accuracy between 0 and 1: {}; a line needs {LEAST_FOR_A_LINE}, or two that are \
             named",
            names.len()
        );
        return (None, shifted.then_some(sets));
    }
    match fit(names, &points) {
        Some(line) => (Some(line), None),
        None => (None, Some("all sets have one base accuracy".to_owned())),
    }
}

/// Of a set that was named.
fn point(cards: &[Card], set: &str) -> Result<(f64, f64), SelectError> {
    let wrong = |problem: &str| Err(SelectError::card(set, problem));
    let Some(card) = cards.iter().find(|card| card.set == set) else {
        let names: Vec<&str> = cards.iter().map(|card| card.set.as_str()).collect();
        return wrong(&format!("is named as a reference, but there are only {}", names.join(", ")));
    };
    match both(card) {
        Some(both) if has_logits(&both) => Ok(both),
        Some(_) => {
            wrong("has an accuracy of 0 or 1, which no line can go through: name another reference")
        }
        None => wrong(
            "has no base or no shifted tests that all sets have, which a line of robustness needs",
        ),
    }
}

fn has_logits(&(base, shifted): &(f64, f64)) -> bool {
    [base, shifted].iter().all(|share| 0.0 < *share && *share < 1.0)
}

/// Least squares of logits.
fn fit(references: Vec<String>, points: &[(f64, f64)]) -> Option<RobustnessLine> {
    let points: Vec<(f64, f64)> = points.iter().map(|&(b, s)| (logit(b), logit(s))).collect();
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (base, shifted) = (mean(|p| p.0), mean(|p| p.1));
    let spread: f64 = points.iter().map(|p| (p.0 - base).powi(2)).sum();
    let both: f64 = points.iter().map(|p| (p.0 - base) * (p.1 - shifted)).sum();
    let slope = both / spread;
    // Equal accuracies can differ by the rounding of their mean.
    (spread > 1e-20).then_some(RobustnessLine {
        at_half: shifted - slope * base,
        slope,
        references,
    })
}
