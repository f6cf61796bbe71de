//! Set operations on stages and subset files.

use std::{collections::BTreeSet, path::Path};

use curate_core::Selection;
use curate_io::subset;

use super::Context;
use crate::{
    error::StageError,
    recipe::{CombineStage, Op, is_file},
    stage::{Outcome, StageRows},
};

/// The rule under which rows go that the operation leaves out.
const RULE: &str = "combine";

pub(super) fn execute(stage: &CombineStage, context: &Context<'_>) -> Result<Outcome, StageError> {
    let sets = stage.of.iter().map(|name| set(name, context)).collect::<Result<Vec<_>, _>>()?;
    let mut sets = sets.into_iter();
    let first = sets.next().unwrap_or_default();
    let kept = sets.fold(first, |left, right| match stage.op {
        Op::Union => left.union(&right),
        Op::Intersect => left.intersect(&right),
        Op::Minus => left.minus(&right),
    });
    let mut rows = StageRows::new(context.input);
    for position in 0..rows.rows.len() {
        if !kept.contains(rows.rows[position]) {
            rows.remove(position, RULE);
        }
    }
    Ok(Outcome::new(rows))
}

fn set(name: &str, context: &Context<'_>) -> Result<Selection, StageError> {
    if let Some(set) = context.sets.get(name) {
        return Ok(set.clone());
    }
    if !is_file(name) {
        return Err(StageError::Problem(format!("no earlier stage is named `{name}`")));
    }
    let ids: BTreeSet<_> = subset::read(Path::new(name))?.into_iter().collect();
    let usable = context.sets[crate::recipe::POOL].rows();
    let rows = usable.iter().copied().filter(|&row| ids.contains(&context.pool.ids()[row]));
    Ok(Selection::from_unsorted(rows.collect()))
}
