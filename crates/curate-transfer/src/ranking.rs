//! Ranked classes, and what stays by any cut.

use curate_core::{Cut, CutError, Removal, SampleId, ScoreColumn, Selection};
use serde::{Deserialize, Serialize};

use crate::{NO_CLASS, Order, TransferError};

/// The rule under which rows go whose class is not kept.
pub const CLASS_NOT_NEEDED: &str = "class-not-needed";

/// What the numbers of classes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// Counts of target samples.
    Votes,
    /// Anything else.
    Numbers,
}

/// A number for each source class, and the class of each source row. Any number of classes to keep is a view on
/// it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    kind: Kind,
    order: Order,
    /// Of each source row.
    labels: Vec<u32>,
    /// Of each class.
    numbers: Vec<f64>,
    /// Classes, the best first.
    ranked: Vec<u32>,
    unusable: Vec<usize>,
}

impl Ranking {
    pub(crate) fn new(
        kind: Kind,
        order: Order,
        labels: &[u32],
        numbers: Vec<f64>,
        unusable: Vec<usize>,
    ) -> Self {
        let mut ranked: Vec<u32> = (0..numbers.len() as u32).collect();
        // A NaN comes last, whichever end is the good one; the sort is stable, so ties go to the smaller class.
        ranked.sort_by(|&a, &b| {
            let (a, b) = (numbers[a as usize], numbers[b as usize]);
            let better = match order {
                Order::Most => b.total_cmp(&a),
                Order::Fewest => a.total_cmp(&b),
            };
            a.is_nan().cmp(&b.is_nan()).then(better)
        });
        Self { kind, order, labels: labels.to_vec(), numbers, ranked, unusable }
    }

    /// The number of each class: its votes, or what a control ranks by.
    pub fn numbers(&self) -> &[f64] {
        &self.numbers
    }

    /// Classes, the best first; ties go to the smaller class.
    pub fn order(&self) -> &[u32] {
        &self.ranked
    }

    /// Target samples that could not vote.
    pub fn unusable(&self) -> &[usize] {
        &self.unusable
    }

    /// Source rows of each class.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.numbers.len()];
        let of_a_class = self.labels.iter().filter(|&&class| class != NO_CLASS);
        of_a_class.for_each(|&class| sizes[class as usize] += 1);
        sizes
    }

    /// The classes that stay: a count of them, a fraction of them (rounded down), or those of at least so many
    /// votes (at most, with [`Order::Fewest`]).
    ///
    /// # Errors
    /// When the cut is out of range, or is an epsilon.
    pub fn classes(&self, cut: Cut) -> Result<Selection, TransferError> {
        if let Cut::Epsilon(epsilon) = cut {
            return Err(CutError::NoSimilarity { epsilon }.into());
        }
        let ids: Vec<SampleId> = (0..self.numbers.len()).map(|c| SampleId(c as u128)).collect();
        let numbers = ScoreColumn::Double(self.numbers.clone());
        Ok(numbers.cut(cut, &ids, self.order.direction())?.kept)
    }

    /// The source rows whose class stays.
    ///
    /// # Errors
    /// As [`Self::classes`].
    pub fn select(&self, cut: Cut) -> Result<Selection, TransferError> {
        let kept = self.mask(cut)?;
        Ok(Selection::all(self.labels.len()).retain(|row| self.stays(row, &kept)))
    }

    /// Why each row that does not stay goes, in row order: the number of its class, and the class as its cluster.
    ///
    /// # Errors
    /// As [`Self::classes`].
    pub fn removals(&self, cut: Cut) -> Result<Vec<Removal>, TransferError> {
        let kept = self.mask(cut)?;
        let gone = (0..self.labels.len()).filter(|&row| !self.stays(row, &kept));
        let removal = |row: usize| match self.labels[row] {
            NO_CLASS => Removal::new(row, CLASS_NOT_NEEDED),
            class => {
                let number = self.numbers[class as usize];
                Removal::new(row, CLASS_NOT_NEEDED).valued(number).in_cluster(class)
            }
        };
        Ok(gone.map(removal).collect())
    }

    fn mask(&self, cut: Cut) -> Result<Vec<bool>, TransferError> {
        let mut kept = vec![false; self.numbers.len()];
        self.classes(cut)?.iter().for_each(|class| kept[class] = true);
        Ok(kept)
    }

    fn stays(&self, row: usize, kept: &[bool]) -> bool {
        self.labels[row] != NO_CLASS && kept[self.labels[row] as usize]
    }

    /// Classes that got no vote; 0 for a control, which has none to get.
    pub fn without_votes(&self) -> usize {
        match self.kind {
            Kind::Votes => self.numbers.iter().filter(|&&votes| votes == 0.0).count(),
            Kind::Numbers => 0,
        }
    }

    /// How many of the best `count` classes got no vote: which of those stay is decided by their number alone, so
    /// with more than 0 fewer classes would serve the target as well.
    pub fn arbitrary(&self, count: usize) -> usize {
        match (self.kind, self.order) {
            (Kind::Votes, Order::Most) => {
                let best = self.ranked.iter().take(count);
                best.filter(|&&class| self.numbers[class as usize] == 0.0).count()
            }
            _ => 0,
        }
    }

    /// The fewest classes, the best first, that hold at least this share of the votes; all where the share is not
    /// reached.
    pub fn covering(&self, share: f64) -> usize {
        let total: f64 = self.numbers.iter().sum();
        let mut held = 0.0;
        for (count, &class) in self.ranked.iter().enumerate() {
            if held >= share * total {
                return count;
            }
            held += self.numbers[class as usize];
        }
        self.ranked.len()
    }

    /// The most classes, the best first, whose rows together are at most so many.
    pub fn within(&self, rows: usize) -> usize {
        let sizes = self.sizes();
        let mut held = 0_usize;
        let fits = |&&class: &&u32| {
            held = held.saturating_add(sizes[class as usize]);
            held <= rows
        };
        self.ranked.iter().take_while(fits).count()
    }

    /// How widely the votes spread: the number of classes with equal votes that would spread as widely, the
    /// exponential of the entropy.
    pub fn effective_classes(&self) -> f64 {
        let total: f64 = self.numbers.iter().sum();
        let shares = self.numbers.iter().map(|votes| votes / total).filter(|&p| p > 0.0);
        (-shares.map(|p| p * p.ln()).sum::<f64>()).exp()
    }
}
