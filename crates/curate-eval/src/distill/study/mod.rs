//! Does a teacher that saw everything help a student of a selection, and how much should the student listen?
//!
//! [`StudyParams`] → [`check`](StudyParams::check) → [`Study`]; [`Study::students_of`] reads a pool and holds
//! two parts of it out; [`Arena::entry`](crate::compare::Arena::entry) is a selection of it; [`Lessons`]
//! trains the teacher and the students, and [`StudyReport`] says which alpha is best for each selection.
//!
//! # Protocol
//! - The teacher is trained on every labeled row that is not held out, and says once of each what it thinks.
//! - A student of each selection is trained with each alpha, and with labels alone, for the same samples
//!   seen, from the same weights for a seed.
//! - Alpha is chosen by the rows that are held out for it, which neither teacher nor students are trained on;
//!   what is reported is the accuracy on the test's rows, which no choice looks at.
//! - Beside each selection stands a random one of as many rows, drawn anew for each seed: the paper (Ben-Baruch
//!   et al. 2024, arXiv 2403.07854) finds that with a teacher it is often as good as any score.
//!
//! # A folder of runs
//! ```text
//! distillation.json               what runs depend on: settings, the pool, the selections
//! soft.parquet, teacher.json      what the teacher says, and how good it is
//! students/NAME/ALPHA-SEED.json
//! result.json
//! ```
//! Runs that are there are not made again; more alphas, seeds and selections are no other settings.

mod held;
mod lessons;
mod params;
mod prune;
mod report;
mod teacher;

pub use held::School;
pub use lessons::Lessons;
pub use params::{Study, StudyParams};
pub use prune::PruneScores;
pub use report::{Chosen, OfAlpha, Student, Studied, StudyReport};
pub use teacher::{Teacher, TeacherRecord};
