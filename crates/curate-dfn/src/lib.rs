//! Data filtering networks (Fang et al. 2023, arXiv 2309.17425): a CLIP trained on little
//! high-quality data scores every pair of a large noisy pool, and the best fraction is kept.
//!
//! - [`Network`]: a two-tower network of open_clip, loaded from its own files, on the CPU.
//! - [`filter`]: embed a pool, score it (cosine, negCLIPLoss, NormSim, classifier, rank ensembles),
//!   decide; the filter card.
//! - [`train`]: train or fine-tune on burn devices (feature `train`).
//! - `hub`: networks from the Hugging Face hub (feature `hub`).
//! - [`tokenizer`], [`image`]: captions and image files to numbers, as open_clip has them.
//!
//! ```
//! use curate_core::{Cut, SampleId, rank::Direction};
//! use curate_dfn::{Network, OpenClipConfig, Weights};
//!
//! # let json = r#"{"model_cfg": {"embed_dim": 8,
//! #   "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
//! #   "text_cfg": {"context_length": 16, "width": 32, "heads": 2, "layers": 1}}}"#;
//! # let config: OpenClipConfig = serde_json::from_str(json)?;
//! let weights = Weights::random(&config.model_cfg, 1); // or Network::open(folder)
//! let network = Network::new(config, &weights)?;
//! let captions = ["a dog in the snow", "IMG_0001.JPG", "two cats"];
//! let together = network.embed_texts(&captions)?;
//! let alone = network.embed_texts(&captions[1..2])?;
//! // The same bytes, whatever the neighbours.
//! assert_eq!(together[8..16], alone[..]);
//!
//! let scores = [0.31, 0.05, 0.27];
//! let ids = [0_u64, 1, 2].map(SampleId::from);
//! let kept = Cut::Fraction(0.67).apply(&scores, &ids, Direction::HigherIsBetter)?.kept;
//! assert_eq!(kept.rows(), [0, 2]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Paper, open_clip, this crate
//! | | paper / open_clip 3.3 | this crate |
//! |---|---|---|
//! | score | cosine of image and text | the same |
//! | filter | "the top 15 %" | [`curate_core::Cut`]: fraction, threshold, exact count; ties by id |
//! | features of one image | depend on the batch in the last bits | do not: one chain of fused multiply-adds a number |
//! | features against PyTorch, golden networks | - | within 1e-5 of the largest |
//! | tokens | ftfy, html.unescape, BPE | the same on all golden cases |
//! | `<end_of_text>` in a caption | ends the text | the same; [`tokenizer::SpecialText::Plain`] reads on |
//! | transform, 13 images, 5 preprocessings | torchvision on Pillow 13 | the same bytes; a palette padded as opened is filled by colour |
//! | JPEG | libjpeg-turbo | within 4 of 255 a byte |
//! | 16-bit grey PNG | clipped to white | the same |
//! | gradient accumulation | the logit scale's gradient is `k` times too large | that of the whole batch |
//! | unknown keys of a config | mostly ignored | refused |
//! | text behind the pooled token | computed | not computed: it has no effect |
//! | odd rest around the centre of an image | open_clip rounds to even, transformers down | as open_clip, whatever the folder |
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
//! Scoring a pair costs one forward pass of both towers. [`filter::embed_path`] holds one tar shard's
//! list of samples, its embeddings and some hundred images; [`filter::score()`] one shard's embeddings.
//! Neither grows with the number of shards.

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
pub mod tokenizer;
pub mod train;
pub mod weights;

pub use config::{ModelConfig, OpenClipConfig, PreprocessConfig};
pub use error::NetworkError;
pub use image::Transform;
pub use network::Network;
pub use tokenizer::Tokenizer;
pub use weights::Weights;
