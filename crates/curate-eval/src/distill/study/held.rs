//! What a study holds out of a pool.

use curate_core::{Progress, SampleId, embedding::RowsOf, random};

use crate::{
    ClassNet, EvalError,
    compare::{
        Arena, Compare, CompareError, Source,
        arena::{Known, Use},
    },
    distill::study::Study,
    metrics::{Accuracy, ranks_of_scores},
};

/// A pool, rows to test on, and rows on which alpha is chosen: the same for teacher and students.
pub struct School {
    pub(crate) arena: Arena,
    pub(crate) chosen: Known,
}

impl Study {
    /// Reads what students look at.
    ///
    /// # Errors
    /// As [`Arena::open`], and when too few labeled rows are left to choose alpha on.
    pub fn students_of(
        &self,
        pool: Source<'_>,
        test: Option<Source<'_>>,
        progress: &dyn Progress,
    ) -> Result<School, CompareError> {
        School::open(&self.compare, self.params.chosen_on, pool, test, progress)
    }

    /// Reads what the teacher looks at, where [it is something else](Self::shares_features).
    ///
    /// # Errors
    /// As [`Self::students_of`].
    pub fn teacher_of(
        &self,
        pool: Source<'_>,
        test: Option<Source<'_>>,
        progress: &dyn Progress,
    ) -> Result<School, CompareError> {
        School::open(&self.teacher, self.params.chosen_on, pool, test, progress)
    }
}

impl School {
    fn open(
        compare: &Compare,
        share: f64,
        pool: Source<'_>,
        test: Option<Source<'_>>,
        progress: &dyn Progress,
    ) -> Result<Self, CompareError> {
        let mut arena = Arena::open(compare, pool, test.into(), None, progress)?;
        let seed = random::derive(0, "chosen");
        let mut chosen = Known { rows: vec![], class: vec![] };
        for (row, &id) in arena.ids.iter().enumerate() {
            if arena.uses[row] == Use::Train && random::unit(seed, id) < share {
                arena.uses[row] = Use::KeptBack;
                if let Some(class) = arena.class[row] {
                    chosen.rows.push(row);
                    chosen.class.push(class);
                }
            }
        }
        if chosen.rows.is_empty() {
            let problem =
                "no labeled row is left to choose alpha on: hold out a larger share for it";
            return Err(CompareError::Test(problem.to_owned()));
        }
        Ok(Self { arena, chosen })
    }

    /// The pool, of which [entries](Arena::entry) are selected.
    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Rows on which alpha is chosen.
    pub fn chosen_on(&self) -> usize {
        self.chosen.rows.len()
    }

    /// Labeled rows that are neither tested nor chosen on.
    pub(crate) fn trainable(&self) -> Vec<usize> {
        let arena = &self.arena;
        let fits = |row: &usize| arena.uses[*row] == Use::Train && arena.class[*row].is_some();
        (0..arena.ids.len()).filter(fits).collect()
    }

    /// The share of the rows to choose alpha on that a network gets right.
    pub(crate) fn right_on_chosen(&self, net: &ClassNet) -> Result<f64, EvalError> {
        let rows = RowsOf::new(self.arena.images.table(), &self.chosen.rows);
        let (own, classes) = (&self.chosen.class, self.arena.classes.len());
        let ranks = ranks_of_scores(&net.scores(&rows)?, own, classes)?;
        Ok(Accuracy::of(&ranks, own)?.map_or(0.0, |found| found.top_1))
    }

    /// Ids of some rows.
    pub(crate) fn ids(&self, rows: &[usize]) -> Vec<SampleId> {
        rows.iter().map(|&row| self.arena.ids[row]).collect()
    }
}
