//! Data filtering networks: a CLIP trained on little high-quality data scores every pair of a large noisy
//! pool, and the best fraction is kept (Fang et al. 2023, arXiv 2309.17425).
//!
//! - [`Network`]: a two-tower network of open_clip, loaded from its own files, on the CPU; its
//!   [`fingerprint`](Network::fingerprint) says what decides its outputs.
//! - [`filter`]: embed a pool, score it (cosine, negCLIPLoss, NormSim, classifier, rank ensembles),
//!   decide; the filter card.
//! - [`train`]: train or fine-tune on burn devices (feature `train`).
//! - `hub`: networks from the Hugging Face hub (feature `hub`).
//! - [`tokenizer`], [`image`]: captions and image files to numbers, as open_clip has them.
//!
//! ```
//! use curate_core::{Cut, NoProgress, Selection};
//! use curate_dfn::{Network, filter::score_pairs};
//! use curate_io::{Pool, PoolOptions};
//!
//! # let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../demo");
//! # let (network_folder, pool_folder) = (format!("{demo}/filter"), format!("{demo}/pool"));
//! let network = Network::open(network_folder.as_ref())?; // open_clip's two files
//! let pool = Pool::open(pool_folder.as_ref(), PoolOptions::default(), &NoProgress)?;
//! let rows = Selection::all(40); // pool.len() for all
//! let scores = score_pairs(&network, &pool, &rows, &NoProgress)?;
//! assert_eq!(scores.select(Cut::Fraction(0.15))?.len(), 6);
//! assert_eq!(scores.select(Cut::Top(10))?.len(), 10, "the same scores, cut anew");
//! let removal = &scores.removals(Cut::Top(10))?[0];
//! assert_eq!(removal.rule, "low-score");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The score
//! With $f$ and $g$ the image and the text tower, a pair $(x, y)$ scores
//! $$ s(x, y) = \frac{\langle f(x), g(y) \rangle}{\lVert f(x) \rVert \, \lVert g(y) \rVert}, $$
//! and a filter keeps the pairs whose score is above a threshold, or the best fraction of a pool.
//!
//! # Paper, open_clip, this crate
//! | | paper / open_clip 3.3 | this crate |
//! |---|---|---|
//! | score | cosine of image and text | the same |
//! | filter | "the top 15 %" | [`curate_core::Cut`]: fraction, threshold, exact count; ties by id |
//! | features of one image | depend on the batch in the last bits | do not: one chain of fused multiply-adds a number |
//! | features against PyTorch, golden networks | - | within 1e-5 of the largest |
//! | bfloat16, 8-bit integers | bfloat16 | when asked for: [`Network::with_arithmetic`] |
//! | tokens | ftfy, html.unescape, BPE | the same on all golden cases, ftfy being 6.3.1; [`Tokenizer::with_repair`] has 6.2 and 6.1 |
//! | `<end_of_text>` in a caption | ends the text | the same; [`tokenizer::SpecialText::Plain`] reads on |
//! | transform, 13 images, 5 preprocessings | torchvision on Pillow 13 | the same bytes; a palette padded as opened is filled by color |
//! | JPEG | libjpeg-turbo | within 4 of 255 a byte |
//! | 16-bit gray PNG | clipped to white | the same |
//! | gradient accumulation | the logit scale's gradient is `k` times too large | that of the whole batch |
//! | unknown keys of a config | mostly ignored | refused |
//! | text behind the pooled token | computed | not computed: it has no effect |
//! | odd rest around the center of an image | open_clip rounds to even, transformers down | as open_clip, whatever the folder |
//!
//! # Features
//! - `train` (default): training, on the CPU; `wgpu` and `cuda` add devices to choose from at run time.
//!   Brings burn, which is most of a build: without it the crate loads, embeds, scores and decides.
//! - `hub`: fetches `hf://ORG/NAME`. Brings TLS, and with it C code to build.
//!
//! # When not to use it
//! - **With the published logit scale as a temperature.** DFN's releases carry the value training
//!   starts with; rank by the cosine.
//! - **On other architectures.** ViT towers with a class token and CLIP's text tower are read, from
//!   open_clip's folders and those of transformers' `CLIPModel`; timm, ResNet, CoCa and Hugging Face
//!   text towers are refused.
//! - **To train large networks on the CPU.** Training is burn's `flex` backend there.
//!
//! # Cost
//! Scoring a pair costs one forward pass of both towers. [`filter::Embed::run_path`] holds one tar
//! shard's list of samples, its embeddings and some hundred images; [`filter::Scorer`] one shard's embeddings.
//! Neither grows with the number of shards. Loading holds the weights twice for a moment, as they lie on disk and
//! packed; a fingerprint is taken meanwhile.
//!
//! Dependencies that are not optimized make this a hundred times slower: in a debug build set
//! `[profile.dev.package."*"] opt-level = 3`.
//!
//! # References
//! - Fang et al. 2023, *Data Filtering Networks*, arXiv 2309.17425.
//! - Radford et al. 2021, *Learning Transferable Visual Models From Natural Language Supervision*,
//!   arXiv 2103.00020: the towers, the loss, class names in templates.
//! - Wang et al. 2024, *CLIPLoss and Norm-Based Data Selection Methods*, arXiv 2405.19547: negCLIPLoss and
//!   NormSim.
//! - Wortsman et al. 2022, *Robust fine-tuning of zero-shot models*, arXiv 2109.01903: the weight ensemble.
//! - Gao et al. 2021, *Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup*,
//!   arXiv 2101.06983: gradient caching.

mod arithmetic;
pub mod config;
mod cpu;
mod error;
pub mod filter;
mod fingerprint;
#[cfg(feature = "hub")]
pub mod hub;
mod hugging_face;
pub mod image;
pub mod network;
mod random;
mod reading;
pub mod tokenizer;
pub mod train;
pub mod weights;

pub use arithmetic::Arithmetic;
pub use config::{ModelConfig, OpenClipConfig, PreprocessConfig};
pub use error::NetworkError;
pub use image::Transform;
pub use network::Network;
pub use reading::Reading;
pub use tokenizer::Tokenizer;
pub use weights::Weights;
