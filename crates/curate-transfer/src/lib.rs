//! Which classes of a pre-training set a target task needs: source classes are ranked by how much of the
//! target falls on them, and the top share is kept (DP4TL, Zhang et al. 2023, arXiv 2310.08782).
//!
//! ```
//! use curate_core::{Cut, NoProgress};
//! use curate_transfer::{Target, TransferParams};
//! use ndarray::array;
//!
//! // Six source rows of three classes, the mean feature of each class, and target features.
//! let labels = [0, 0, 1, 1, 2, 2];
//! let centroids = array![[0.0_f32, 0.0], [4.0, 0.0], [0.0, 4.0]];
//! let features = array![[0.2_f32, 3.5], [0.1, 4.2], [0.3, 0.1], [-0.5, 3.0]];
//! let target = Target::Features { features: &features, centroids: centroids.view() };
//!
//! let ranking = TransferParams::new(3).check()?.run(&labels, target, &NoProgress)?;
//! assert_eq!(ranking.numbers(), [1.0, 0.0, 3.0]); // votes
//! assert_eq!(ranking.order(), [2, 0, 1]); // the best class first
//! assert_eq!(ranking.select(Cut::Top(1))?.rows(), [4, 5]); // the rows of class 2
//! assert_eq!(ranking.covering(0.75), 1, "one class has three of four votes");
//! assert_eq!(ranking.without_votes(), 1, "and one has none");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`TransferParams`] → [`check`](TransferParams::check) → [`Transfer`] → [`run`](Transfer::run) →
//! [`Ranking`] → [`select`](Ranking::select) for any share of classes.
//!
//! # The two mappings
//! **Label mapping** takes what a source-trained network $f$ sees in target samples $x_i$: class $c$ has the
//! votes
//! $$ v_c = \lvert \{ i : \arg\max_j f(x_i)_j = c \} \rvert . $$
//! Give [`Target::Predictions`] or [`Target::Logits`].
//!
//! **Feature mapping** needs no labels: classes may be clusters ([`pseudo_classes`]) with centroids $\mu_c$ in the
//! feature space of a network $g$, and each sample votes for the nearest,
//! $$ v_c = \lvert \{ i : \arg\min_j \lVert g(x_i) - \mu_j \rVert_2 = c \} \rvert . $$
//! Give [`Target::Features`]; [`class_means`] makes centroids of labeled features.
//!
//! The baselines to compare with are [`Control::Random`] and [`Control::GradientNorm`], by
//! [`Transfer::control`], and [`ModerateParams`], which keeps rows instead of classes.
//! [`Order::Fewest`] turns a ranking around, the paper's check that the kept classes matter.
//!
//! | | paper | published code | this crate |
//! |---|---|---|---|
//! | feature mapping | a vote for the nearest class | `fm_selection_for_imagenet.py` writes distances to the index of the *target sample*, not of the class: every vote falls on classes 0 and 1, and a target class of more than 1,000 samples is an index error | a vote for the nearest centroid; the golden votes are those of the rule as it was meant |
//! | more classes than got votes | - | `torch.topk` on zeros: an arbitrary choice | ties go to the smaller class; [`Ranking::arbitrary`] counts them |
//! | how many classes to keep | 10 to 90 % in steps | the same | any [`Cut`](curate_core::Cut), the fewest classes that hold a share of the votes ([`Ranking::covering`]), the most within a number of rows ([`Ranking::within`]) |
//! | clusters for feature mapping | k-means | not released | `curate-cluster`'s |
//! | a feature that is not finite | - | poisons distances | its row is set aside and counted |
//! | Moderate-DS | the middle of the distances to the class's center | the median of each coordinate as center | both ([`Center`]) |
//!
//! # Features
//! `schema` adds JSON Schema of the parameters.
//!
//! # Cost
//! One pass over predictions or logits; feature mapping costs $n k d$ operations for $n$ target samples and
//! $k$ centroids of $d$ numbers, and reads blocks. Memory: 4 bytes per source row and 12 per class.
//!
//! # When not to use it
//! - **For a target that is not known yet**: the pruned set is for this one. Rank for several and keep the union.
//! - **To prune inside classes**: a class stays or goes as a whole.
//! - **With few target samples**: a class with no vote may only have been missed; see [`Ranking::without_votes`].
//!
//! # References
//! - Zhang et al. 2023, *Selectivity Drives Productivity: Efficient Dataset Pruning for Enhanced Transfer
//!   Learning*, arXiv 2310.08782.
//! - Xia et al. 2023, *Moderate Coreset*, ICLR: the moderate baseline.
//! - Paul et al. 2021, *Deep Learning on a Data Diet*, arXiv 2107.07075: gradient norms.

mod centroids;
mod error;
mod moderate;
mod params;
mod ranking;
mod run;

pub use centroids::{class_means, pseudo_classes};
pub use error::TransferError;
pub use moderate::{Center, Moderate, ModerateParams, Moderated, NOT_MODERATE};
pub use params::{Order, Transfer, TransferParams};
pub use ranking::{CLASS_NOT_NEEDED, Ranking};
pub use run::{Control, Target};

/// The label of a source row that is of no class: it is never kept.
pub const NO_CLASS: u32 = u32::MAX;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
