//! Which stage took a row out, for pages that show many rows.

use curate_core::fault::Fault;

/// The first reason why each row of the pool that did not stay went; a fault, if it has one, since a row
/// that could not be judged was not removed by a rule. Two bytes a row.
pub(crate) struct Gone {
    /// One more than the place among `reasons`; 0 for a row that stays.
    why: Vec<u16>,
    /// Stage and rule.
    reasons: Vec<(String, String)>,
}

impl Gone {
    pub(crate) fn new(rows: usize) -> Self {
        Self { why: vec![0; rows], reasons: Vec::new() }
    }

    /// Notes a reason of a row, in the order of the stages.
    pub(crate) fn add(&mut self, row: usize, stage: &str, rule: &str) {
        let is_fault = |rule: &str| Fault::named(rule).is_some();
        if self.of(row).is_some_and(|(_, first)| is_fault(first) || !is_fault(rule)) {
            return;
        }
        let known = self.reasons.iter().position(|(s, r)| s == stage && r == rule);
        let at = known.unwrap_or_else(|| {
            self.reasons.push((stage.to_owned(), rule.to_owned()));
            self.reasons.len() - 1
        });
        self.why[row] = u16::try_from(at + 1).expect("recipes have fewer stages");
    }

    /// The stage that took a row out and its rule; `None` for a row that stays.
    pub(crate) fn of(&self, row: usize) -> Option<(&str, &str)> {
        let at = usize::from(self.why[row]).checked_sub(1)?;
        let (stage, rule) = &self.reasons[at];
        Some((stage, rule))
    }

    /// The rows that were quarantined and for what, in row order.
    pub(crate) fn quarantined(&self) -> impl Iterator<Item = (usize, Fault)> {
        let faults: Vec<Option<Fault>> =
            self.reasons.iter().map(|(_, rule)| Fault::named(rule)).collect();
        let gone = self.why.iter().enumerate().filter(|(_, why)| **why > 0);
        gone.filter_map(move |(row, why)| Some((row, faults[usize::from(*why) - 1]?)))
    }
}

/// A rule, or a fault, in words.
pub(crate) fn in_words(rule: &str) -> String {
    Fault::named(rule).map_or_else(|| rule.replace('-', " "), |fault| fault.in_words().to_owned())
}

/// What became of a row that went, in words.
pub(crate) fn fate(stage: &str, rule: &str) -> String {
    let verb = if Fault::named(rule).is_some() { "quarantined" } else { "removed" };
    format!("{verb} by {stage}: {}", in_words(rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_counts_and_a_fault_before_any_rule() {
        let mut gone = Gone::new(3);
        gone.add(0, "clip", "low-score");
        gone.add(0, "dedup", "semantic-duplicate");
        gone.add(2, "dedup", "semantic-duplicate");
        gone.add(2, "prune", "embedding-nan");
        gone.add(2, "other", "embedding-zero");
        assert_eq!(gone.of(0), Some(("clip", "low-score")));
        assert_eq!(gone.of(1), None);
        assert_eq!(gone.of(2), Some(("prune", "embedding-nan")));
        assert_eq!(gone.quarantined().collect::<Vec<_>>(), [(2, Fault::EmbeddingNan)]);
        assert_eq!(fate("prune", "embedding-nan"), "quarantined by prune: embedding holds a NaN");
        assert_eq!(fate("clip", "low-score"), "removed by clip: low score");
    }
}
