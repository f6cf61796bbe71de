//! From fits to decisions: which pool for which budget, and how sure that is.

mod allocate;
mod best;
mod blend;
mod candidate;
mod crossing;
mod mixture;
mod next;

pub use allocate::{Allocation, AllocationIntervals, AllocationParams, ValidAllocationParams};
pub use best::{BestPool, Consensus, Ranked, across_laws, best_pool};
pub use blend::Blend;
pub use candidate::Candidate;
pub use crossing::{Multiplier, Switch, samples_multiplier, switch_points};
pub use mixture::{MixtureOptimum, MixtureParams, ValidMixtureParams};
pub use next::{Experiment, Proposal, next_experiment};
