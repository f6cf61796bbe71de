//! Measures a curated labeled data set without training on it: the analytic properties of SELECT (Xu et al.
//! 2024, arXiv 2410.05057) as pure functions of counts, predictions and embeddings.
//!
//! ```
//! use curate_core::{NoProgress, Rows};
//! use curate_select::{ClassProfile, KnnProbeParams, pearson};
//! use ndarray::array;
//!
//! // How evenly a data set covers its classes.
//! let profile = ClassProfile::of_labels(&[0, 0, 0, 0, 1, 1, 3], 4)?;
//! assert_eq!((profile.coverage(), profile.long_tail(3)), (3, 3));
//! assert_eq!(profile.largest_share(0.25), Some(4.0 / 7.0));
//!
//! // What frozen features of it say of test samples.
//! let train = array![[1.0_f32, 0.0], [0.8, 0.6], [0.0, 1.0], [-0.6, 0.8]];
//! let test = array![[0.96_f32, 0.28], [-0.28, 0.96]];
//! let probe = KnnProbeParams::new().neighbors([1, 3]).check()?;
//! let found = probe.run(&Rows::new(&train)?, &[0, 0, 1, 1], &Rows::new(&test)?, &[0, 1], &NoProgress)?;
//! assert_eq!(found.accuracy(1), Some(1.0));
//!
//! // Whether classes with more samples are told better.
//! assert_eq!(pearson(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0])?, Some(1.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The properties
//! With $n_c$ samples of class $c$, $N = \sum_c n_c$ and $p_c = n_c / N$:
//!
//! | property | formula | function |
//! |---|---|---|
//! | coverage | $\lvert \{ c : n_c > 0 \} \rvert$ | [`ClassProfile::coverage`] |
//! | LT@k | $\lvert \{ c : n_c < k \} \rvert$, empty classes among them | [`ClassProfile::long_tail`] |
//! | LS@q | share of samples in the $\lfloor q C \rfloor$ largest of $C$ classes | [`ClassProfile::largest_share`] |
//! | effective classes | $\exp(-\sum_c p_c \ln p_c)$ | [`ClassProfile::effective_classes`] |
//! | Gini | mean absolute difference of counts over twice their mean | [`ClassProfile::gini`] |
//! | precision, recall | of each class, from predictions | [`ConfusionProfile`] |
//! | confusion skewness | $m_3 / m_2^{3/2}$ of the five largest shares of a class that go to other classes | [`ConfusionProfile::skewness`] |
//! | R:P,CC and the like | Pearson's $r$ over classes | [`pearson`] |
//! | SSL | weighted k-NN on frozen features | [`KnnProbeParams`] |
//! | CMMD | $1000\,\mathrm{MMD}^2$ of a Gaussian kernel | [`cmmd`] |
//! | Inception Score | $\exp \mathbb{E}_x \mathrm{KL}(p(y \mid x) \,\Vert\, p(y))$ | [`inception_score`] |
//!
//! | | paper | published code | this crate |
//! |---|---|---|---|
//! | tables of classes | 1,000 classes | 1,004 and 1,012 rows: some class names twice | one count for each class |
//! | k-NN: too few samples of a class | - | filled with Gaussian noise around the class's mean, not said in the readme | as you ask: not filled, or filled ([`Impute`]); [`KnnAccuracy`] says how many rows are made up, and how many classes have none |
//! | k-NN: fewer than 100 test rows | - | crashes | the same as any |
//! | Inception Score | on images in $[0, 1]$ | casts them to bytes: all black but saturated pixels; a mean over batches of 64 | on class probabilities that are given, over all of them |
//! | correlation with a constant | - | NaN | `None` |
//!
//! # Results from elsewhere
//! [`card`] puts accuracies that were measured elsewhere, on clean and shifted tests and other tasks, beside what
//! the sets are like: SELECT's card, with intervals and effective robustness.
//!
//! # Shifted tests
//! [`corrupt`] makes test pictures worse in 17 ways at five severities, for the accuracy on shifted test sets.
//!
//! # Features
//! `schema` adds JSON Schema of the parameters.
//!
//! # Cost
//! Counts: one pass. k-NN: $n m d$ operations for $n$ test and $m$ training rows of $d$ numbers, and the
//! training features in memory. CMMD: $(n + m)^2 d$ operations; blocks, so memory is that of the features.
//!
//! # When not to use it
//! No single number ranks curation: in SELECT the most imbalanced set is the worst on its own task and transfers
//! best. These are for the table beside what was trained (`curate-eval`).
//!
//! # References
//! - Xu et al. 2024, *SELECT: A Large-Scale Benchmark of Data Curation Strategies for Image Classification*,
//!   arXiv 2410.05057.
//! - Wu et al. 2018, *Unsupervised Feature Learning via Non-Parametric Instance Discrimination*, arXiv
//!   1805.01978: the weighted k-NN.
//! - Jayasumana et al. 2024, *Rethinking FID*, arXiv 2401.09603: CMMD.
//! - Hendrycks and Dietterich 2019, *Benchmarking Neural Network Robustness to Common Corruptions and
//!   Perturbations*, arXiv 1903.12261: the corruptions.
//! - Taori et al. 2020, *Measuring Robustness to Natural Distribution Shifts in Image Classification*, arXiv
//!   2007.00644: effective robustness.
//! - Salimans et al. 2016, *Improved Techniques for Training GANs*, arXiv 1606.03498: Inception Score.

pub mod card;
mod class_profile;
mod confusion;
mod correlation;
pub mod corrupt;
mod draws;
mod error;
mod impute;
mod knn;
mod sets;

pub use class_profile::ClassProfile;
pub use confusion::{ConfusionProfile, MOST_CONFUSED};
pub use correlation::{pearson, spearman};
pub use error::SelectError;
pub use impute::Impute;
pub use knn::{KnnAccuracy, KnnProbe, KnnProbeParams};
pub use sets::{CMMD_SCALE, CMMD_SIGMA, cmmd, cmmd_with, inception_score};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
