//! The filter card: what a filter was made from, so that its scores can be made again.

use std::{fmt::Write, path::Path};

use curate_io::{IoError, atomic};
use serde::{Deserialize, Serialize};

pub use crate::fingerprint::network_digest;
use crate::{
    Reading,
    config::OpenClipConfig,
    train::{Captions, StepReport, TrainParams},
};

/// What a filter is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FilterCard {
    /// The filter's name.
    pub name: String,
    /// The version of this crate.
    pub version: String,
    /// The network and its preprocessing.
    pub config: OpenClipConfig,
    /// [`network_digest`]: equal digests give equal scores.
    pub digest: String,
    /// What it was trained on; `None` for weights from elsewhere.
    pub training: Option<Training>,
    /// By what its scores are made of captions and images; early cards do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
    /// Where its scores are not to be trusted, in sentences.
    pub limits: Vec<String>,
}

/// What a network was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The pool's path as it was given.
    pub data: String,
    /// Pairs that were offered to the training.
    pub pairs: usize,
    /// SHA-256 of the ids of these pairs, in order.
    pub ids_digest: String,
    /// The weights it began with: `random`, or the digest of a network.
    pub initial: String,
    /// The share of the trained network in the weight ensemble with the one it began with; 1
    /// without an ensemble.
    pub ensemble: f32,
    /// How captions were made of class names; `None` where they were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captions: Option<Captions>,
    /// The settings, the seed among them.
    pub params: TrainParams,
    /// What the steps did, thinned to at most 200.
    pub curve: Vec<StepReport>,
}

/// At most `most` steps of a curve, the first and the last among them.
pub fn thinned(curve: &[StepReport], most: usize) -> Vec<StepReport> {
    if curve.len() <= most || most < 2 {
        return curve.to_vec();
    }
    (0..most).map(|i| curve[i * (curve.len() - 1) / (most - 1)]).collect()
}

/// What holds for every filter of this kind.
pub fn known_limits() -> Vec<String> {
    [
        "The score is the cosine of image and caption in this network; it is comparable between \
         pools, not between networks.",
        "A caption that contains `<end_of_text>` is read up to there, as in open_clip.",
        "Text inside an image that repeats the caption raises the score.",
        "What the training data does not show, the network cannot judge; its accuracy on \
         benchmarks does not tell how well it filters (arXiv 2309.17425, figure 3).",
    ]
    .map(str::to_owned)
    .to_vec()
}

impl FilterCard {
    /// Writes `filter_card.json` and `filter_card.md` into a folder.
    ///
    /// # Errors
    /// When the bytes do not reach the disk.
    pub fn write(&self, folder: &Path) -> Result<(), IoError> {
        let mut json = serde_json::to_vec_pretty(self).expect("a card is JSON");
        json.push(b'\n');
        atomic::write(&folder.join("filter_card.json"), &json)?;
        atomic::write(&folder.join("filter_card.md"), self.markdown().as_bytes())
    }

    /// Reads a `filter_card.json`.
    ///
    /// # Errors
    /// When the file cannot be read or is not a card.
    pub fn read(folder: &Path) -> Result<Self, IoError> {
        let path = folder.join("filter_card.json");
        let text = std::fs::read(&path).map_err(|e| IoError::os(&path, "read", e))?;
        serde_json::from_slice(&text)
            .map_err(|e| IoError::malformed(&path, "is not a filter card").caused_by(e))
    }

    /// The card for people.
    pub fn markdown(&self) -> String {
        let Self { name, version, config, digest, training, reading, limits } = self;
        let (v, t) = (&config.model_cfg.vision_cfg, &config.model_cfg.text_cfg);
        let pre = &config.preprocess_cfg;
        let activation = if config.model_cfg.quick_gelu { "QuickGELU" } else { "GELU" };
        let mut out =
            format!("# {name}\n\nA data filtering network, made with curate {version}.\n\n");
        let mut row = |what: &str, value: String| {
            // Writing to a string does not fail.
            let _ = writeln!(out, "| {what} | {value} |");
        };
        row("part", "value".into());
        row("---", "---".into());
        row("digest", format!("`{digest}`"));
        row("embedding", config.model_cfg.embed_dim.to_string());
        let (size, patch) = (v.image_size, v.patch_size);
        row(
            "image tower",
            format!("{} layers of {}, {size} px, patches of {patch}", v.layers, v.width),
        );
        row(
            "text tower",
            format!("{} layers of {}, {} tokens", t.layers, t.width, t.context_length),
        );
        row("activation", activation.into());
        let side = pre.resize_size.map(|side| format!(" to {side} px")).unwrap_or_default();
        row("resize", format!("{}{side}, {}", pre.resize_mode, pre.interpolation));
        if let Some(Reading { captions, images }) = reading {
            row("captions repaired by", captions.clone());
            row("images decoded by", images.clone());
        }
        if let Some(training) = training {
            row("data", format!("{} ({} pairs)", training.data, training.pairs));
            row("ids", format!("`{}`", training.ids_digest));
            row("began with", training.initial.clone());
            if training.ensemble < 1.0 {
                row("share of the training in the weights", training.ensemble.to_string());
            }
            if let Some(Captions { column, templates }) = &training.captions {
                row("captions", format!("column `{column}` in {} templates", templates.len()));
            }
            let p = &training.params;
            row("steps", format!("{} of {} pairs", p.steps, p.batch));
            row("learning rate", format!("{}, {} steps of warm-up", p.lr, p.warmup));
            row("weight decay", p.weight_decay.to_string());
            row("seed", p.seed.to_string());
            if let (Some(first), Some(last)) = (training.curve.first(), training.curve.last()) {
                row("loss", format!("{:.4} at first, {:.4} at last", first.loss, last.loss));
            }
        }
        out.push_str("\n## Limits\n");
        for limit in limits {
            let _ = writeln!(out, "- {limit}");
        }
        out
    }
}
