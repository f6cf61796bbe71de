//! `curate eval`: selections judged by the models that they train.

#[cfg(feature = "train")]
mod after;
pub(crate) mod args;
mod card;
#[cfg(feature = "train")]
mod command;
#[cfg(feature = "train")]
pub(crate) mod compare;
#[cfg(feature = "train")]
pub(crate) mod named;
#[cfg(feature = "train")]
mod page;
#[cfg(feature = "train")]
mod prompts;
#[cfg(feature = "train")]
pub(crate) mod text;
#[cfg(not(feature = "train"))]
mod untrained;

#[cfg(feature = "train")]
pub(crate) use after::Evaluation;
#[cfg(not(feature = "train"))]
pub(crate) use untrained::Evaluation;

use crate::{eval::args::EvalCommand, failure::Failure, progress::Shown};

#[cfg(feature = "train")]
pub(crate) fn carry_out(command: &EvalCommand, shown: &Shown) -> Result<(), Failure> {
    match command {
        EvalCommand::Compare(args) => compare::compare(args, shown),
        EvalCommand::Command(args) => command::command(args),
        EvalCommand::Card(args) => card::card(args),
    }
}

#[cfg(not(feature = "train"))]
pub(crate) fn carry_out(command: &EvalCommand, _: &Shown) -> Result<(), Failure> {
    match command {
        EvalCommand::Card(args) => card::card(args),
        _ => Err(Failure::NoTraining),
    }
}
