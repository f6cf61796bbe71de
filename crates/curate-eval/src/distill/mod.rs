//! Distillation on pruned data: the teacher saw everything, the student learns from the selection and from
//! what the teacher says of it (Ben-Baruch et al. 2024, arXiv 2403.07854).
//!
//! The student minimizes, over the selection alone,
//! $$ (1-\alpha)\,\mathrm{CE}(z, y) + \alpha\,T^2\,\mathrm{KL}\bigl(\mathrm{softmax}(t/T)\,\Vert\,
//!    \mathrm{softmax}(z/T)\bigr), $$
//! for its logits $z$, the label $y$ and the teacher's logits $t$, of which [`SoftLabels`] keeps the largest
//! `k`. A row that pruning keeps because its label is wrong misleads a student that trusts labels alone; the
//! fewer rows are kept, the more it gains by a large $\alpha$.
//!
//! ```
//! use curate_core::NoProgress;
//! use curate_eval::{ClassifierParams, Labeled, distill::{DistillParams, SoftLabels}};
//! use ndarray::Array2;
//!
//! let features = Array2::<f32>::eye(8);
//! let class: Vec<usize> = (0..8).map(|row| row % 2).collect();
//! let data = Labeled { features: &features, class: &class, classes: 2 };
//! let classifier = ClassifierParams::linear().steps(50).check()?;
//! let everything: Vec<usize> = (0..8).collect();
//! let teacher = classifier.run(&data, &everything, &NoProgress)?;
//! let soft = SoftLabels::of(&teacher.scores(&features)?, 2, 2)?;
//! let distill = DistillParams::new().alpha(1.0).check()?;
//! let student = distill.run(&classifier, &data, &[0, 1, 2], &soft, &NoProgress)?;
//! assert_eq!(student.scores(&features)?.len(), 16);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | | paper | here |
//! |---|---|---|
//! | teacher | trained on all data; the student's architecture unless said otherwise | any logits |
//! | soft labels | all classes | the largest `k`, and what the others have together at temperature 1, shared equally |
//! | choice of $\alpha$ | by hand, falling with the share kept | [`Alpha`], or [`Distill::sweep`] on held-out rows |
//! | students of a pool on disk | | [`study`] |
//! | scores to prune by | DeepCore's | [`scores`]: EL2N, margin, forgetting |
//! | two projections | - | [`DistillTowers`]: the teacher's embeddings, or their relations in a batch (CLIP-KD) |
//! | theory | regularized linear regression | [`linear::expected_error`], exact |

pub mod linear;
pub mod scores;
mod soft;
mod student;
pub mod study;
mod towers;

pub use soft::SoftLabels;
pub use student::{Alpha, Distill, DistillParams};
pub use towers::{Copied, DistillTowers, DistillTowersParams};
