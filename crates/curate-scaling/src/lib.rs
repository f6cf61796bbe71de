//! Laws of data and compute: fit them, doubt them, decide with them.
//!
//! Data curation cannot be agnostic of compute: a small, clean pool wins while it is fresh, and
//! loses once it has been repeated too often. This crate fits the laws that say so to a few small
//! training runs and answers *which pool for which budget, and how sure is that?*
//!
//! ```
//! use curate_scaling::decide::{Candidate, best_pool, switch_points};
//! use curate_scaling::fit::RangeAxis;
//! use curate_scaling::{BootstrapParams, FitParams, NoProgress, Span, example_runs, law::Qqt};
//!
//! // Fifteen runs: three pools of ten million samples, 1 to 8 epochs each.
//! let runs = example_runs();
//! let params = FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life");
//! let fit = params.fit(&runs, &NoProgress)?;
//! let draws = BootstrapParams::default().draws(200).run(&fit, &runs, &NoProgress)?;
//!
//! // The best pool alone, the best two together, or all three?
//! let pools = Candidate::cumulative(&["good", "fair", "poor"]);
//! let answer = best_pool(&fit, &draws, &pools, 1.5e8, 0.9)?;
//! assert_eq!(answer.best().name, "good+fair");
//! assert!(answer.best().wins > 0.99);
//! // No run saw 150 million samples.
//! assert_eq!(answer.best().out_of_range[0].axis, RangeAxis::Samples);
//!
//! let switch = &switch_points(&fit, &draws, &pools, Span::new(1e7, 1e9), 0.9)?[0];
//! assert!((2.2e7..2.4e7).contains(&switch.samples.estimate));
//! # Ok::<(), curate_scaling::ScalingError>(())
//! ```
//!
//! # The parts
//! - [`Observations`]: a checked table of runs, from CSV, JSON lines, Parquet (feature `parquet`)
//!   or code. The metric's name declares its direction; nothing is normalized behind the scenes.
//! - [`law`]: what each law predicts, its parameters and its analytic gradient.
//! - [`FitParams`] to [`Fit`]: least squares, Huber or asymmetric costs, shared and own parameters,
//!   priors, bounds; seeded multi-start, and every distinct minimum it found.
//! - [`Fit::predict_interval`]: a metric at a [`Point`], where the curve and where a new run would
//!   lie, and whether the runs support the question.
//! - [`uncertainty`]: covariance, bootstrap, profile likelihood. [`compare`]: choosing a law.
//! - [`weigh`]: every law that can tell the pools apart, weighed by held-out error;
//!   [`decide::Blend`]: several laws that answer together.
//! - [`decide`]: best pool, switch points, samples multiplier, compute-optimal allocation, mixture
//!   optimum, the next experiment.
//! - [`curves`] as CSV, JSON and SVG; [`SavedFit`], a fit on disk with its data's digest.
//!
//! Long work reports to a [`Progress`], which may stop it; [`NoProgress`] hears nothing.
//!
//! # The laws
//! With $N$ model parameters, $D$ or $n$ samples seen, $C = 6 N D$ FLOP, $M = D / N$, and $r_j$,
//! $h_j$ the weights of a mixture's domains:
//!
//! | name | form | source |
//! |---|---|---|
//! | `power` | $E + A n^{-c}$ | |
//! | `shifted-power` | $E + A (n + s)^{-c}$ | arXiv:2506.04598 |
//! | `chinchilla[-tied]` | $E + A / N^\alpha + B / D^\beta$ | arXiv:2203.15556, eq. 2 |
//! | `data-constrained[-geometric][-tied]` | the same in $N_\mathrm{eff}$, $D_\mathrm{eff}$ | arXiv:2305.16264, eqs. 5-6 |
//! | `qqt[-proportional\|-power][-compat]` | $(n_1 / n_0)^b \prod_j (n_{j+1} / n_j)^{b \cdot 2^{-j / \tau}} + d$ | arXiv:2404.07177, eq. 5 |
//! | `qqt-data[-proportional\|-power]` | $(n_\mathrm{eff} / n_0)^b + d$ | arXiv:2404.07177 |
//! | `over-training` | $E + (a M^\eta + b M^{-\eta}) C^{-\eta}$ | arXiv:2403.08540, eq. 4 |
//! | `exponential-mixing` | $c + \exp \sum_j t_j r_j$ | arXiv:2403.16952 |
//! | `additive-mixing` | $E + 1 / \sum_j C_j h_j^{g_j} + A / N^\alpha + B / D^\beta$ | arXiv:2507.09404 |
//! | `loss-to-error` | $\epsilon - k e^{-\gamma L}$ | arXiv:2403.08540, eq. 5 |
//!
//! In the quality-quantity trade-off (QQT) the exponent of a sample that is seen again halves every
//! $\tau$ epochs: $n_j$ are the samples seen after $j$ epochs of a pool, and $n_0$ those at which
//! the reducible error is one. A union of pools of sizes $N_i$ weighs each by $w_i = N_i / \sum_k
//! N_k$ and gives it the half-life $\tau_i / w_i$, since it is seen that much less often; equal
//! pools give the paper's Theorem 1. For repeated data, $D_\mathrm{eff} = U (1 + R^\ast (1 - e^{-R /
//! R^\ast}))$ with $U$ distinct samples seen $R$ times more than once.
//!
//! A fit minimizes $\sum_i w_i \rho\left((f(y_i) - f(\hat y_i)) / \sigma_i\right)$ plus the priors'
//! squares, with $f$ the identity or the logarithm and $\rho$ the square, Huber's cost or an
//! asymmetric one. Its residuals' spread and curvature give the covariance $s^2 (J^\top J)^{-1}$,
//! with the sandwich factor of M-estimators for robust costs.
//!
//! # Paper, released code, this crate
//! | matter | paper | released code | here |
//! |---|---|---|---|
//! | QQT floor `d` | added last | multiplied by the repeats' product, so it decays | added last; `compat` has the other |
//! | QQT normalizer | `a` inside the power | `a n / 1e5` | `unit_samples`, where the reducible error is one; `a = 1e5 / unit_samples` |
//! | QQT unions | equal pools (Theorem 1) | equal pools, best 1, 2, ... only | pools of any sizes, any subset; equal pools give Theorem 1 |
//! | QQT fit | grid | grid, or a random part of one | Levenberg-Marquardt from many starts |
//! | QQT doubt | none | none | win frequencies, intervals, out-of-range flags |
//! | data-constrained optimum | `R_D* = 15.4`, `R_N* = 5.3` | the same | lists it as a local minimum; the better one is `R_D* = 95`, `R_N* = 1.7` |
//! | Huber cost | sum | sum (others: mean, which stops early) | sum |
//! | exponential mixing | `c + k exp(t r)` | the same | without `k`, which the weights' sum makes redundant |
//!
//! # How far to trust intervals
//! Measured on 600 tables of 20 points (four pools, noise 0.24 points, truth known, corrected QQT
//! with `unit_samples` and `d` shared and free; 200 draws): how often 90 % intervals held the truth.
//!
//! <!-- begin scaling-coverage -->
//! | quantity | covariance | bootstrap |
//! |---|---|---|
//! | `unit_samples` | 0.862 | 0.897 |
//! | `d` | 0.888 | 0.885 |
//! | `b[top 10 %]` | 0.938 | 0.873 |
//! | `half_life[top 10 %]` | 0.930 | 0.893 |
//! | `b[10-20 %]` | 0.937 | 0.887 |
//! | `half_life[10-20 %]` | 0.913 | 0.908 |
//! | `b[20-30 %]` | 0.925 | 0.900 |
//! | `half_life[20-30 %]` | 0.905 | 0.900 |
//! | `b[30-40 %]` | 0.942 | 0.892 |
//! | `half_life[30-40 %]` | 0.912 | 0.913 |
//! | error of the top 10 % at 64 million | 0.888 | 0.880 |
//! | error of the top 20 % at 64 million | 0.912 | 0.905 |
//! | error of the top 10 % at 128 million | 0.910 | 0.912 |
//! | error of the top 20 % at 128 million | 0.913 | 0.902 |
//! | error of the top 10 % at 256 million | 0.915 | 0.900 |
//! | error of the top 20 % at 256 million | 0.933 | 0.902 |
//! | error of the top 10 % at 640 million | 0.925 | 0.902 |
//! | error of the top 20 % at 640 million | 0.935 | 0.897 |
//! <!-- end scaling-coverage -->
//!
//! Both hold in 85 to 95 % of tables for every quantity. Bootstrap intervals are Hesterberg's
//! expanded percentiles; plain ones held in 83 to 90 %. With fewer degrees of freedom than the 10
//! of these tables, or a parameter at the end of its range, expect less.
//!
//! None of this covers a wrong law, which [`weigh`] does: it fits all with priors
//! ([`FitParams::cautious`]), draws from their posteriors ([`Resample::Posterior`]), shares the draws
//! by held-out error, and widens curves beyond the runs by what each law missed
//! ([`Ensemble::drift`]). On sub-samples of published tables, of larger runs that no fit had seen,
//! 90 % intervals held:
//!
//! <!-- begin scaling-ahead -->
//! | table, runs fitted | fits | larger runs | inside | inside, one law | width | error | settled, right |
//! |---|---|---|---|---|---|---|---|
//! | LAION CLIP, 4 to 6 runs up to 13B: 34B | 60 | 180 | 99.4 % | - | 14.3 % | 2.1 % | 113, 100.0 % |
//! | DataComp and Re-LAION, 6 to 10 runs: up to 10 times the largest | 33 | 184 | 98.4 % | 82.6 % | 31.8 % | 2.7 % | 46, 100.0 % |
//! | over-training, 8 to 16 runs: the larger half of the compute | 20 | 240 | 89.2 % | 91.7 % | 29.7 % | 4.7 % | 1, 100.0 % |
//! | repeated C4, 8 to 20 runs: the larger half of the compute | 20 | 240 | 93.3 % | 78.3 % | 41.8 % | 7.3 % | 0, - |
//! <!-- end scaling-ahead -->
//!
//! (Columns: runs inside the intervals; inside those of the usual fit of the one best law; median width
//! and error over the metric; pairs of pools told apart in at least 95 % of the draws, and the share
//! told apart right.)
//!
//! # When not to use it
//! With runs at one budget, or none that repeats its data where repetition is the question: the
//! crate says so, but no method can help. Values of single parameters on a ridge (`unit_samples`
//! against `d`; `E`, `A` and `alpha` from two model sizes) mean little: rely on predictions, and
//! heed [`Warning::Ridge`]. Far beyond the runs an answer is the law's, not the data's:
//! [`Prediction::is_extrapolation`] says where that begins.
//!
//! # Cost
//! A fit costs about `starts x iterations x rows x parameters^2` multiplications: 2 ms for the QQT
//! case (25 rows, 12 parameters, 4 starts), under a second for 1,302 rows and 19 parameters. Draws
//! of a bootstrap start at the fit: 4,000 take well under two seconds on two cores. Memory is the
//! table, a matrix of `parameters^2` for each thread, and `draws x parameters` numbers for the draws
//! (a thousand of the QQT case: 100 KB). Random numbers are a hash of seed, draw and index, so every
//! result is the same for any number of threads. Without compiler optimizations everything is many
//! times slower: set `opt-level = 3` for this crate in the profile that you test with.
//!
//! # References
//! - Cherti et al. 2023, *Reproducible Scaling Laws for Contrastive Language-Image Learning*,
//!   arXiv:2212.07143 (runs)
//! - Gadre et al. 2024, *Language Models Scale Reliably with Over-Training and on Downstream Tasks*,
//!   arXiv:2403.08540
//! - Goyal et al. 2024, *Scaling Laws for Data Filtering: Data Curation Cannot Be Compute Agnostic*,
//!   arXiv:2404.07177
//! - Hesterberg 2015, *What Teachers Should Know About the Bootstrap*,
//!   doi:10.1080/00031305.2015.1089789
//! - Hoffmann et al. 2022, *Training Compute-Optimal Large Language Models*, arXiv:2203.15556
//! - Muennighoff et al. 2023, *Scaling Data-Constrained Language Models*, arXiv:2305.16264
//! - Nezhurina et al. 2025, *Scaling Laws for Robust Comparison of Open Foundation Language-Vision
//!   Models and Datasets*, arXiv:2506.04598
//! - Shukor et al. 2025, *Scaling Laws for Optimal Data Mixtures*, arXiv:2507.09404
//! - Ye et al. 2024, *Data Mixing Laws: Optimizing Data Mixtures by Predicting Language Modeling
//!   Performance*, arXiv:2403.16952

// docs.rs puts this into every page's header; `cargo doc` on its own shows formulas on this page.
#![cfg_attr(all(doc, not(docsrs)), doc = include_str!("../katex-header.html"))]

mod argument;
pub mod compare;
mod count;
mod curve;
pub mod decide;
mod dice;
mod error;
mod example;
pub mod fit;
pub mod law;
mod linalg;
mod observation;
mod point;
mod read;
mod read_parquet;
mod saved;
mod span;
mod stats;
mod svg;
mod task;
pub mod uncertainty;
mod warning;
pub mod weigh;

pub use count::{parse_count, show_count};
pub use curate_core::{Cancelled, NoProgress, ParamsError, Progress, params::Violation};
pub use curve::{CurvePoint, Curves, Measured, curves};
pub use error::ScalingError;
pub use example::example_runs;
pub use fit::{Fit, FitParams, Loss, Prior, Space, ValidFitParams};
pub use law::{Law, LawKind};
pub use observation::{Metric, Observation, Observations};
pub use point::Point;
pub use read::ReadOptions;
pub use saved::{OtherLaw, SavedFit};
pub use span::Span;
pub use uncertainty::{BootstrapParams, Ensemble, Interval, Prediction, Resample};
pub use warning::Warning;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
