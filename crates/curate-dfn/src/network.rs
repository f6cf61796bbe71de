//! A network ready to embed images and texts on the CPU.

use std::path::{Path, PathBuf};

use curate_core::{ParamsError, guard::guarded, params::Checker};
use curate_io::{IoError, Kind};
use curate_kernels::normalize;
use rayon::prelude::*;

use crate::{
    Arithmetic, NetworkError, Reading, Tokenizer, Transform,
    config::OpenClipConfig,
    cpu::{ImageTower, TextTower},
    fingerprint::{self, network_digest},
    hugging_face,
    tokenizer::END,
    weights::Weights,
};

/// Images or texts that go through a tower together. Large enough that packed weights are read from
/// the cache, small enough that every thread has work. The features do not depend on it.
const TOGETHER: usize = 8;

/// A two-tower network with its transform and tokenizer.
pub struct Network {
    config: OpenClipConfig,
    image: ImageTower,
    text: TextTower,
    transform: Transform,
    tokenizer: Tokenizer,
    logit_scale: f32,
    /// That of config and weights.
    digest: String,
    arithmetic: Arithmetic,
}

impl Network {
    /// A network of these weights.
    ///
    /// # Errors
    /// When the config describes no network, the weights are not those of the config, or one of them
    /// is not finite.
    pub fn new(config: OpenClipConfig, weights: &Weights) -> Result<Self, NetworkError> {
        if let Some(problem) = config.problem() {
            return Err(NetworkError::Config(problem));
        }
        let model = &config.model_cfg;
        weights.check(model)?;
        // The weights are gone once they are packed, so their digest is taken now, meanwhile.
        let (digest, (image, text)) = rayon::join(
            || network_digest(&config, weights),
            || (ImageTower::new(model, weights), TextTower::new(model, weights)),
        );
        Ok(Self {
            image,
            text,
            transform: Transform::new(&config.preprocess_cfg, model.vision_cfg.image_size),
            tokenizer: Tokenizer::default(),
            logit_scale: weights.known("logit_scale")[0],
            digest,
            config,
            arithmetic: Arithmetic::F32,
        })
    }

    /// Loads a folder in one of the layouts that [`read_folder`] knows. A network of other sizes of
    /// the image or the context is loaded through [`Weights::read`].
    ///
    /// # Errors
    /// When a file is missing, or the weights are not those of the config or not finite.
    pub fn open(folder: &Path) -> Result<Self, IoError> {
        let (config, weights) = read_folder(folder)?;
        Self::new(config, &weights).map_err(|e| IoError::malformed(folder, e.to_string()))
    }

    /// What decides the network's outputs, as one SHA-256 in hexadecimal: config, parameters,
    /// tokenizer, image transform and its limits, arithmetic. Two networks of equal fingerprints give every pair
    /// the same embeddings to the byte, so what one of them has embedded need not be embedded again.
    ///
    /// ```
    /// use curate_dfn::{Network, OpenClipConfig, Tokenizer, Weights, tokenizer::SpecialText};
    ///
    /// # let json = r#"{"model_cfg": {"embed_dim": 8,
    /// #   "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    /// #   "text_cfg": {"context_length": 16, "width": 32, "heads": 2, "layers": 1}}}"#;
    /// # let config: OpenClipConfig = serde_json::from_str(json)?;
    /// let weights = Weights::random(&config.model_cfg, 1);
    /// let network = Network::new(config.clone(), &weights)?;
    /// let plain = Network::new(config, &weights)?.with_tokenizer(Tokenizer::new(SpecialText::Plain));
    /// assert_eq!(network.fingerprint().len(), 64);
    /// assert_ne!(network.fingerprint(), plain.fingerprint());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fingerprint(&self) -> String {
        let tokenizer = self.tokenizer.identity();
        let transform = self.transform.identity();
        let mut texts = vec!["network 1", &self.digest, &tokenizer, &transform];
        match self.arithmetic {
            Arithmetic::F32 => {}
            Arithmetic::Bf16 => texts.push("bf16 1"),
            Arithmetic::Int8 => texts.push("int8 1"),
        }
        fingerprint::of_texts(&texts)
    }

    /// The same network with the linear layers of its blocks in other numbers. Patches, norms, attention and
    /// the last projection stay in f32, and so does a layer of more inputs than integers can sum up.
    ///
    /// Faster, for scores that are a little off; in bfloat16 only where the processor multiplies it. On a
    /// network and a pool of your own, compare some thousand pairs before you trust a cut to it. The bytes
    /// depend neither on the batch, nor on threads or processor, and the
    /// [fingerprint](Network::fingerprint) is another one.
    ///
    /// ```
    /// use curate_core::{NoProgress, Selection};
    /// use curate_dfn::{Arithmetic, Network, filter::score_pairs};
    /// use curate_io::{Pool, PoolOptions};
    ///
    /// # let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../demo");
    /// # let (network_folder, pool_folder) = (format!("{demo}/filter"), format!("{demo}/pool"));
    /// let network = Network::open(network_folder.as_ref())?;
    /// let pool = Pool::open(pool_folder.as_ref(), PoolOptions::default(), &NoProgress)?;
    /// let exact = score_pairs(&network, &pool, &Selection::all(40), &NoProgress)?;
    /// let network = network.with_arithmetic(Arithmetic::Int8)?;
    /// let near = score_pairs(&network, &pool, &Selection::all(40), &NoProgress)?;
    /// let off = exact.scores().iter().zip(near.scores()).map(|(a, b)| (a - b).abs());
    /// assert!(off.fold(0.0, f32::max) < 0.05);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When its layers were rounded to other numbers before: what that took is gone.
    pub fn with_arithmetic(mut self, arithmetic: Arithmetic) -> Result<Self, NetworkError> {
        if self.arithmetic == arithmetic {
            return Ok(self);
        }
        if !self.arithmetic.is_usual() {
            return Err(NetworkError::Rounded { found: self.arithmetic, asked: arithmetic });
        }
        rayon::join(|| self.image.round_to(arithmetic), || self.text.round_to(arithmetic));
        self.arithmetic = arithmetic;
        Ok(self)
    }

    /// What its linear layers multiply.
    pub fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    /// Uses another tokenizer, for example one that ignores special tokens in captions.
    pub fn with_tokenizer(mut self, tokenizer: Tokenizer) -> Self {
        self.tokenizer = tokenizer;
        self
    }

    /// Uses another transform of the same size.
    ///
    /// # Errors
    /// When the size differs.
    pub fn with_transform(mut self, transform: Transform) -> Result<Self, NetworkError> {
        let (found, expected) = (transform.size(), self.transform.size());
        if found != expected {
            return Err(NetworkError::ImageSize { found, expected });
        }
        self.transform = transform;
        Ok(self)
    }

    /// By what captions and images are read before the towers see them.
    pub fn reading(&self) -> Reading {
        Reading::of(self.tokenizer.repair())
    }

    /// The config.
    pub fn config(&self) -> &OpenClipConfig {
        &self.config
    }

    /// The image transform.
    pub fn transform(&self) -> &Transform {
        &self.transform
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Length of an embedding.
    pub fn dim(&self) -> usize {
        self.config.model_cfg.embed_dim
    }

    /// The logit scale as a logarithm. Not a temperature to rely on: DFN's releases carry the value
    /// that training starts with.
    pub fn logit_scale(&self) -> f32 {
        self.logit_scale
    }

    /// Features of transformed images, each `3 x size x size` numbers, before normalization: `dim()`
    /// numbers each. On all threads of the current pool; the bytes of an image's features do not
    /// depend on the other images or the number of threads.
    ///
    /// # Errors
    /// When the numbers make no whole images.
    pub fn image_features(&self, images: &[f32]) -> Result<Vec<f32>, NetworkError> {
        let size = self.transform.len();
        NetworkError::unless_whole("images", images.len(), size)?;
        let together = together(images.len() / size) * size;
        let images = images.par_chunks(together);
        Ok(images.flat_map_iter(|images| self.image.features(images)).collect())
    }

    /// Features of tokenized texts, each `context_length` tokens, before normalization: `dim()`
    /// numbers each. As independent as [`Self::image_features`].
    ///
    /// # Errors
    /// When the tokens make no whole texts, or a token is not in the vocabulary.
    pub fn text_features(&self, tokens: &[u32]) -> Result<Vec<f32>, NetworkError> {
        let text = &self.config.model_cfg.text_cfg;
        let (context, vocabulary) = (text.context_length, text.vocab_size);
        NetworkError::unless_whole("tokens", tokens.len(), context)?;
        if let Some(&token) = tokens.iter().find(|&&token| token as usize >= vocabulary) {
            return Err(NetworkError::Token { token, vocabulary });
        }
        let together = together(tokens.len() / context) * context;
        let texts = tokens.par_chunks(together);
        Ok(texts.flat_map_iter(|tokens| self.text.features(tokens, context)).collect())
    }

    /// Embeddings of length 1 of transformed images.
    ///
    /// # Errors
    /// As [`Self::image_features`].
    pub fn embed_images(&self, images: &[f32]) -> Result<Vec<f32>, NetworkError> {
        Ok(unit(self.image_features(images)?, self.dim()))
    }

    /// Embeddings of length 1 of texts; NaN for a text on which its repair panicked.
    ///
    /// # Errors
    /// When the vocabulary is smaller than the tokenizer's; [`OpenClipConfig::takes_captions`] tells.
    pub fn embed_texts<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Vec<f32>, NetworkError> {
        let context = self.config.model_cfg.text_cfg.context_length;
        let of_text = |text: &T| guarded(|| self.tokenizer.tokens(text.as_ref(), context)).ok();
        let tokens: Vec<Option<Vec<u32>>> = texts.par_iter().map(of_text).collect();
        let failed = tokens.iter().enumerate().filter(|(_, tokens)| tokens.is_none());
        let failed: Vec<usize> = failed.map(|(row, _)| row).collect();
        let nothing = || vec![END; context];
        let tokens: Vec<u32> =
            tokens.into_iter().flat_map(|tokens| tokens.unwrap_or_else(nothing)).collect();
        let mut rows = unit(self.text_features(&tokens)?, self.dim());
        for row in failed {
            rows[row * self.dim()..][..self.dim()].fill(f32::NAN);
        }
        Ok(rows)
    }

    /// Embeddings of length 1 of class names, `names x dim()`, as open_clip's zero-shot classifier
    /// makes them: the name is put for `{}` in every template, and the class is the mean of the
    /// templates' embeddings, scaled to length 1 (arXiv 2103.00020, section 3.1.4). The cosine with
    /// an image's embedding ranks the classes.
    ///
    /// # Errors
    /// When there is no template, or one has no `{}`; and as [`Self::embed_texts`].
    pub fn embed_classes<T: AsRef<str>>(
        &self,
        names: &[T],
        templates: &[T],
    ) -> Result<Vec<f32>, NetworkError> {
        check_templates(templates)?;
        let embed = |name: &T| {
            let fill = |template: &T| template.as_ref().replace("{}", name.as_ref());
            let texts: Vec<String> = templates.iter().map(fill).collect();
            let mut mean = vec![0.0; self.dim()];
            for row in self.embed_texts(&texts)?.chunks_exact(self.dim()) {
                mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x / texts.len() as f32);
            }
            normalize(&mut mean);
            Ok(mean)
        };
        Ok(names.iter().map(embed).collect::<Result<Vec<_>, NetworkError>>()?.concat())
    }
}

/// The 80 templates that CLIP's authors use with ImageNet's class names, which the DFN paper makes
/// captions with. Each holds `{}`.
pub fn openai_templates() -> Vec<&'static str> {
    include_str!("../assets/openai_templates.txt").lines().collect()
}

/// An error unless there are templates, each with a place for the class name.
///
/// # Errors
/// Each template without `{}`.
pub fn check_templates<T: AsRef<str>>(templates: &[T]) -> Result<(), ParamsError> {
    let mut check = Checker::default();
    check.that(!templates.is_empty(), "templates", "none", "at least one");
    for template in templates.iter().map(AsRef::as_ref) {
        check.that(template.contains("{}"), "templates", template, "a text with {} in it");
    }
    check.finish()
}

/// How many go together, so that all threads have work.
fn together(count: usize) -> usize {
    count.div_ceil(rayon::current_num_threads()).clamp(1, TOGETHER)
}

fn unit(mut features: Vec<f32>, dim: usize) -> Vec<f32> {
    features.chunks_exact_mut(dim).for_each(normalize);
    features
}

/// The config and weights in a folder: open_clip's two files (`open_clip_config.json`,
/// `open_clip_model.safetensors`), a repository in the cache of `huggingface_hub`
/// (`models--ORG--NAME`), or `transformers`' `CLIPModel` (`config.json`, `model.safetensors` or
/// the files of its index).
///
/// # Errors
/// When a file is missing or the weights are not those of the config.
pub fn read_folder(folder: &Path) -> Result<(OpenClipConfig, Weights), IoError> {
    let ours = folder.join("open_clip_config.json");
    if ours.exists() {
        let config = OpenClipConfig::read(&ours)?;
        let weights = Weights::read(&weights_file(folder)?, &config.model_cfg)?;
        return Ok((config, weights));
    }
    if let Some(snapshot) = hugging_face::snapshot(folder)? {
        return read_folder(&snapshot);
    }
    if folder.join("config.json").exists() {
        return hugging_face::read_clip_model(folder);
    }
    if folder.is_file() {
        let pickle = folder
            .extension()
            .is_some_and(|ending| ["pt", "pth", "bin"].contains(&&*ending.to_string_lossy()));
        let remedy = match pickle {
            true => {
                "save it with its config as safetensors in a folder: a pickle can run code of its author"
            }
            false => "name the folder that holds its config and weights",
        };
        let problem = "is a file, but a network is a folder";
        return Err(IoError::new(Kind::Unsupported, folder, problem, remedy));
    }
    Err(IoError::os(ours, "read", std::io::ErrorKind::NotFound.into()))
}

/// Writes a config and weights as [`read_folder`] and open_clip (`local-dir:`) read them.
///
/// # Errors
/// When the bytes do not reach the disk.
pub fn write_folder(
    folder: &Path,
    config: &OpenClipConfig,
    weights: &Weights,
) -> Result<(), IoError> {
    weights.write(&folder.join("open_clip_model.safetensors"))?;
    write_config(folder, config)
}

/// [`write_folder`] in half precision: the network that is read back is
/// [`Weights::rounded_to_half`].
///
/// # Errors
/// When the bytes do not reach the disk.
pub fn write_folder_half(
    folder: &Path,
    config: &OpenClipConfig,
    weights: &Weights,
) -> Result<(), IoError> {
    weights.write_half(&folder.join("open_clip_model.safetensors"))?;
    write_config(folder, config)
}

fn write_config(folder: &Path, config: &OpenClipConfig) -> Result<(), IoError> {
    let mut json = serde_json::to_vec_pretty(config).expect("a config is JSON");
    json.push(b'\n');
    curate_io::atomic::write(&folder.join("open_clip_config.json"), &json)
}

fn weights_file(folder: &Path) -> Result<PathBuf, IoError> {
    let file = folder.join("open_clip_model.safetensors");
    if file.exists() {
        return Ok(file);
    }
    if let Some(error) = hugging_face::pickled(folder) {
        return Err(error);
    }
    Err(IoError::os(&file, "read", std::io::ErrorKind::NotFound.into()))
}
