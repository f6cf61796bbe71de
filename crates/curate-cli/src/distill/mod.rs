//! `curate distill`: students of selections, taught by a model that saw everything.

pub(crate) mod args;
#[cfg(feature = "train")]
mod run;
#[cfg(feature = "train")]
mod text;

use crate::{distill::args::DistillArgs, failure::Failure, progress::Shown};

#[cfg(feature = "train")]
pub(crate) fn carry_out(args: &DistillArgs, shown: &Shown) -> Result<(), Failure> {
    run::distill(args, shown)
}

#[cfg(not(feature = "train"))]
pub(crate) fn carry_out(_: &DistillArgs, _: &Shown) -> Result<(), Failure> {
    Err(Failure::NoTraining)
}
