//! The line that accuracy on shifted tests keeps to accuracy at home.

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
        let (base, shifted) = both(card)?;
        Some(shifted - self.expected(base))
    }
}

fn logit(share: f64) -> f64 {
    (share / (1.0 - share)).ln()
}

fn both(card: &Card) -> Option<(f64, f64)> {
    Some((card.base?.accuracy, card.shifted?.accuracy))
}

/// Fitted to the sets that are named, or to all.
pub(super) fn line(
    cards: &[Card],
    references: &[String],
) -> Result<Option<RobustnessLine>, SelectError> {
    if references.is_empty() {
        let inside = |&(base, shifted): &(f64, f64)| has_logit(base) && has_logit(shifted);
        let (names, points): (Vec<String>, Vec<_>) = cards
            .iter()
            .filter_map(|card| Some((card.set.clone(), both(card).filter(inside)?)))
            .unzip();
        return Ok(if names.len() < LEAST_FOR_A_LINE { None } else { fit(names, &points) });
    }
    let points: Vec<(f64, f64)> =
        references.iter().map(|set| point(cards, set)).collect::<Result<_, _>>()?;
    match fit(references.to_vec(), &points) {
        Some(line) => Ok(Some(line)),
        None => {
            let problem = "and the other sets of reference have one base accuracy, through which no line goes: name \
                           a second set with another";
            Err(SelectError::card(&references[0], problem))
        }
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
        Some((base, shifted)) if has_logit(base) && has_logit(shifted) => Ok((base, shifted)),
        Some(_) => {
            wrong("has an accuracy of 0 or 1, which no line can go through: name another reference")
        }
        None => wrong("has no base or no shifted tests that all sets have: name another reference"),
    }
}

fn has_logit(share: f64) -> bool {
    0.0 < share && share < 1.0
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
