//! A baseline as people write it: a name, a few numbers, and files.

use std::{fmt, path::PathBuf};

use curate_text::{
    language::{BuiltIn, FastTextLanguage, LanguageId},
    rules::EntityIds,
    wordnet::{Morphy, WordNet},
};
use serde::{Deserialize, Serialize};

use crate::{Arch, Baseline, BaselineError, Concepts, Inputs, ScoreCut};

/// The baselines, as DataComp names them.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    /// Every row.
    NoFilter,
    /// A seeded share of the ids.
    RandomSubset,
    /// English captions of enough words, images of enough pixels.
    BasicFilter,
    /// A good enough CLIP score.
    ClipScore,
    /// English captions with a ViT-B/32 score of at least 0.28.
    Laion2b,
    /// English captions that name an entity of a list.
    TextBased,
    /// Pictures in the clusters of ImageNet's.
    ImageBased,
    /// Both `image_based` and `clip_score`.
    ImageBasedIntersectClipScore,
}

impl Name {
    /// Every baseline.
    pub const ALL: [Self; 8] = [
        Self::NoFilter,
        Self::RandomSubset,
        Self::BasicFilter,
        Self::ClipScore,
        Self::Laion2b,
        Self::TextBased,
        Self::ImageBased,
        Self::ImageBasedIntersectClipScore,
    ];

    fn scored(self) -> bool {
        matches!(self, Self::ClipScore | Self::ImageBasedIntersectClipScore)
    }

    /// Whether the rule looks at pictures, by the embedding [`FEATURES`](crate::FEATURES).
    pub fn reads_features(self) -> bool {
        matches!(self, Self::ImageBased | Self::ImageBasedIntersectClipScore)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoFilter => "no_filter",
            Self::RandomSubset => "random_subset",
            Self::BasicFilter => "basic_filter",
            Self::ClipScore => "clip_score",
            Self::Laion2b => "laion2b",
            Self::TextBased => "text_based",
            Self::ImageBased => "image_based",
            Self::ImageBasedIntersectClipScore => "image_based_intersect_clip_score",
        })
    }
}

/// How often NLTK takes endings off a word that WordNet has not as it stands.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MorphyRule {
    /// One step, as NLTK 3.9 and later.
    #[default]
    OneStep,
    /// Again and again, as NLTK 3.8.1, which DataComp pins.
    Repeated,
}

/// What to run, before anything is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The baseline.
    pub name: Name,
    /// Whose score is cut.
    pub arch: Option<Arch>,
    /// Keep rows of at least this score.
    pub threshold: Option<f64>,
    /// Keep the best fraction; the share of `random_subset`.
    pub fraction: Option<f64>,
    /// The seed of `random_subset`.
    pub seed: Option<u64>,
    /// A fastText model; the built-in identifier without one.
    pub language_model: Option<PathBuf>,
    /// WordNet's folder.
    pub wordnet: Option<PathBuf>,
    /// The list of WordNet ids wanted.
    pub entity_ids: Option<PathBuf>,
    /// How words are brought to their base form.
    pub morphy: MorphyRule,
    /// Centroids of the pool's pictures.
    pub centroids: Option<PathBuf>,
    /// Features of the pictures wanted.
    pub target_features: Option<PathBuf>,
}

/// Settings that do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsError {
    /// A setting that the baseline does not read.
    Unread(Name, &'static str),
    /// A setting that the baseline needs.
    Missing(Name, &'static str),
    /// Not exactly one of two settings.
    OneOf(Name, &'static str, &'static str),
}

impl SettingsError {
    /// The message, with each setting as its user writes it, such as `--arch`.
    pub fn written(&self, write: impl Fn(&str) -> String) -> String {
        match self {
            Self::Unread(name, key) => {
                format!("{name} does not read {}; leave it out", write(key))
            }
            Self::Missing(name, key) => format!("{name} needs {}", write(key)),
            Self::OneOf(name, a, b) => {
                format!("{name} needs one of {} and {}, and not both", write(a), write(b))
            }
        }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written(|key| format!("`{key}`")))
    }
}

impl std::error::Error for SettingsError {}

impl Settings {
    /// A baseline without further settings.
    pub fn new(name: Name) -> Self {
        Self {
            name,
            arch: None,
            threshold: None,
            fraction: None,
            seed: None,
            language_model: None,
            wordnet: None,
            entity_ids: None,
            morphy: MorphyRule::default(),
            centroids: None,
            target_features: None,
        }
    }

    /// The baseline that these settings ask for. Settings that it does not read are refused, as
    /// DataComp's code does.
    ///
    /// # Errors
    /// The first setting that is missing or not read.
    pub fn baseline(&self) -> Result<Baseline, SettingsError> {
        let name = self.name;
        let (scored, drawn) = (name.scored(), name == Name::RandomSubset);
        let (text, pictures) = (name == Name::TextBased, name.reads_features());
        let language = !matches!(name, Name::NoFilter | Name::RandomSubset | Name::ClipScore);
        // Whether the setting is given, whether the baseline reads it, whether it needs it.
        let settings = [
            ("arch", self.arch.is_some(), scored, scored),
            ("threshold", self.threshold.is_some(), scored, false),
            ("fraction", self.fraction.is_some(), scored || drawn, drawn),
            ("seed", self.seed.is_some(), drawn, false),
            ("language-model", self.language_model.is_some(), language, false),
            ("wordnet", self.wordnet.is_some(), text, text),
            ("entity-ids", self.entity_ids.is_some(), text, text),
            ("morphy", self.morphy != MorphyRule::default(), text, false),
            ("centroids", self.centroids.is_some(), pictures, pictures),
            ("target-features", self.target_features.is_some(), pictures, pictures),
        ];
        for (key, given, reads, needs) in settings {
            if given && !reads {
                return Err(SettingsError::Unread(name, key));
            }
            if needs && !given {
                return Err(SettingsError::Missing(name, key));
            }
        }
        let arch = self.arch.unwrap_or(Arch::L14);
        Ok(match name {
            Name::NoFilter => Baseline::NoFilter,
            Name::RandomSubset => Baseline::RandomSubset {
                fraction: self.fraction.unwrap_or_default(),
                seed: self.seed.unwrap_or_default(),
            },
            Name::BasicFilter => Baseline::BasicFilter,
            Name::ClipScore => Baseline::ClipScore { arch, cut: self.cut()? },
            Name::Laion2b => Baseline::Laion2b,
            Name::TextBased => Baseline::TextBased,
            Name::ImageBased => Baseline::ImageBased,
            Name::ImageBasedIntersectClipScore => {
                Baseline::ImageBasedIntersectClipScore { arch, cut: self.cut()? }
            }
        })
    }

    fn cut(&self) -> Result<ScoreCut, SettingsError> {
        match (self.threshold, self.fraction) {
            (Some(threshold), None) => Ok(ScoreCut::Threshold(threshold)),
            (None, Some(fraction)) => Ok(ScoreCut::Fraction(fraction)),
            _ => Err(SettingsError::OneOf(self.name, "threshold", "fraction")),
        }
    }

    /// The files and folders that [`Self::read`] reads.
    pub fn files(&self) -> Vec<&PathBuf> {
        let files = [
            &self.language_model,
            &self.wordnet,
            &self.entity_ids,
            &self.centroids,
            &self.target_features,
        ];
        files.into_iter().flatten().collect()
    }

    /// Reads what the rule needs beside the metadata.
    ///
    /// # Errors
    /// A file that cannot be read, or is not what it should be.
    pub fn read(&self) -> Result<Loaded, BaselineError> {
        let language: Box<dyn LanguageId> = match &self.language_model {
            Some(path) => Box::new(FastTextLanguage::read(path).map_err(BaselineError::input)?),
            None => Box::new(BuiltIn),
        };
        let morphy = match self.morphy {
            MorphyRule::OneStep => Morphy::OneStep,
            MorphyRule::Repeated => Morphy::Repeated,
        };
        let entities = match (&self.wordnet, &self.entity_ids) {
            (Some(wordnet), Some(ids)) => {
                let wordnet = WordNet::read(wordnet).map_err(BaselineError::input)?;
                let ids = EntityIds::read(ids).map_err(BaselineError::input)?;
                Some((wordnet.with_morphy(morphy), ids))
            }
            _ => None,
        };
        let concepts = match (&self.centroids, &self.target_features) {
            (Some(centroids), Some(wanted)) => Some(Concepts::read(centroids, wanted)?),
            _ => None,
        };
        Ok(Loaded { language, entities, concepts })
    }
}

/// What a baseline needs beside the metadata, in memory.
pub struct Loaded {
    language: Box<dyn LanguageId>,
    entities: Option<(WordNet, EntityIds)>,
    concepts: Option<Concepts>,
}

impl Loaded {
    /// As [`run`](crate::run) and [`judge`](crate::judge) take it.
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs {
            language: &*self.language,
            entities: self.entities.as_ref().map(|(wordnet, ids)| (wordnet, ids)),
            concepts: self.concepts.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_are_missing_or_not_read_are_named() {
        let of = |name| Settings::new(name);
        let wrong = |settings: Settings| settings.baseline().unwrap_err().to_string();
        let arch = Some(Arch::B32);
        assert_eq!(
            wrong(Settings { arch, ..of(Name::BasicFilter) }),
            "basic_filter does not read `arch`; leave it out"
        );
        assert_eq!(wrong(of(Name::ClipScore)), "clip_score needs `arch`");
        let both =
            Settings { arch, threshold: Some(0.3), fraction: Some(0.3), ..of(Name::ClipScore) };
        let error = both.baseline().unwrap_err();
        assert_eq!(
            error.written(|key| format!("--{key}")),
            "clip_score needs one of --threshold and --fraction, and not both"
        );
        let repeated = Settings { morphy: MorphyRule::Repeated, ..of(Name::ImageBased) };
        assert!(wrong(repeated).contains("does not read `morphy`"));
        for name in Name::ALL {
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(json, format!("\"{name}\""));
        }
    }
}
