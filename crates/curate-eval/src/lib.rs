//! Judge a selection by what a small model learns from it: one trainer for all selections, for the same
//! number of samples seen, and metrics that equal scikit-learn's.
//!
//! The quality of a data filter is the quality of the model that its selection trains (arXiv 2309.17425),
//! so a selection is compared with others by training **the same model for the same number of samples
//! seen** on each (DataComp's rule, arXiv 2304.14108) and measuring it on data that neither the filters nor
//! the models saw.
//!
//! ```
//! use curate_core::NoProgress;
//! use curate_eval::{Pairs, ProbeParams, metrics};
//! use ndarray::Array2;
//!
//! // Sixteen pairs that are easy to match: image i and text i share an axis.
//! let images = Array2::<f32>::eye(16);
//! let texts = Array2::<f32>::eye(16);
//! let data = Pairs { images: &images, texts: &texts };
//! let matched: Vec<(usize, usize)> = (0..16).map(|i| (i, i)).collect();
//! let probe = ProbeParams::new().steps(60).batch(16).hidden(32).dim(16).check()?;
//! let towers = probe.run(&data, &matched, &NoProgress)?;
//! let (queries, candidates) = (towers.images(data.images)?, towers.texts(data.texts)?);
//! let own: Vec<usize> = (0..16).collect();
//! assert_eq!(metrics::top_1(&queries, &candidates, &own, towers.dim())?, Some(1.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`ProbeParams`] → [`check`](ProbeParams::check) → [`Probe`] → [`run`](Probe::run) → [`Towers`];
//! [`metrics`] say how good their embeddings are.
//!
//! | | what for |
//! |---|---|
//! | [`Probe`] | two projections of images and texts, with CLIP's loss |
//! | [`Classifier`] | a linear model, a small network or a few convolutions, of labels |
//! | [`metrics`], [`LogisticRegression`] | zero-shot classes, retrieval, linear probe, neighbors; AUROC |
//! | [`compare`] | selections of a pool on disk, at several budgets and with several seeds: a ranking with intervals, in a folder that resumes |
//! | [`distill`] | students of a selection whose teacher saw everything; scores to prune by |
//! | [`scales`] | DataComp's scales, and the commands that train them on a cluster |
//!
//! # The model
//! An image with features $x$ and a text with features $y$ are embedded as
//! $$ u = \frac{W_2\,\mathrm{gelu}(W_1 x)}{\lVert W_2\,\mathrm{gelu}(W_1 x) \rVert}, \qquad
//!    v = \frac{V_2\,\mathrm{gelu}(V_1 y)}{\lVert V_2\,\mathrm{gelu}(V_1 y) \rVert}, $$
//! with biases, and trained with CLIP's loss: the mean of the cross-entropies of $s\,u_i^\top v_j$ over the
//! rows and the columns of a batch, whose right answers are its diagonal.
//!
//! | | DataComp, DFN | this crate |
//! |---|---|---|
//! | what is trained | a CLIP from pixels and tokens | two projections on frozen features |
//! | what is the same for all selections | model, samples seen, settings | the same |
//! | order | shards drawn with replacement | [`Order`]: the same, or epochs |
//! | evaluation | 38 zero-shot tasks | [`metrics`]: zero-shot, retrieval, linear probe and neighbors on data of yours |
//! | time of a training | hours to weeks of GPUs | seconds of a CPU |
//!
//! # The same numbers again
//! Weights start as hashes of the seed, batches are hashes of seed, epoch and position, and no draw
//! comes from a shared stream, so a seed gives the same bytes on one machine. burn's CPU backend adds in an
//! order of its own, so on another kind of machine results are close.
//!
//! # Cost
//! A step of $b$ pairs costs about $6 b (h (d + e) + 2 h k) + 6 b^2 k$ operations, for features of $d$ and
//! $e$ numbers, hidden layers of $h$ and embeddings of $k$. Memory: the features, the projections and a
//! batch's activations.
//!
//! # When not to use it
//! It says which of two selections is better *for such a model on such features*. It says nothing about a
//! network trained from pixels, and cannot see what the frozen features do not hold. Differences smaller than
//! the spread over a few seeds ([`metrics::spread`]) are noise.
//!
//! # References
//! - Gadre et al. 2023, *DataComp*, arXiv 2304.14108: fixed model and samples seen.
//! - Fang et al. 2023, *Data Filtering Networks*, arXiv 2309.17425: filters judged by the models they induce.
//! - Radford et al. 2021, *CLIP*, arXiv 2103.00020: the loss, figure 3.

mod adam;
mod class_net;
mod classifier;
pub mod compare;
pub mod distill;
mod error;
mod fit;
mod lbfgs;
mod logistic;
pub mod metrics;
mod model;
mod net;
mod order;
mod params;
pub mod scales;
mod towers;
mod train;

pub use class_net::ClassNet;
pub use classifier::{Classifier, ClassifierParams, Labeled};
pub use error::EvalError;
pub use logistic::{Logistic, LogisticParams, LogisticRegression};
pub use order::{Order, Repeats};
pub use params::{Probe, ProbeParams};
pub use towers::{Pairs, Towers};
