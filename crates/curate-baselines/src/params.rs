//! A baseline as people write it: a name, a few numbers, and files.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

use curate_core::{ParamsError, params::Checker};
use serde::{Deserialize, Serialize};

use crate::{Arch, BaselineName, Rule, ScoreFloor};

/// How often NLTK takes endings off a word that WordNet does not have as it stands.
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

/// Parameters of a baseline; [`BaselineParams::check`] makes them usable.
///
/// A parameter that the rule does not read is refused, as DataComp's code does.
///
/// ```
/// use curate_baselines::{Arch, BaselineName, BaselineParams};
///
/// let best = BaselineParams::new(BaselineName::ClipScore).arch(Arch::L14).fraction(0.3);
/// assert!(best.clone().check().is_ok());
/// let error = best.threshold(f64::NAN).seed(1).check().unwrap_err();
/// let fields: Vec<&str> = error.violations.iter().map(|v| &*v.field).collect();
/// assert_eq!(fields, ["seed", "threshold", "threshold"]);
/// ```
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BaselineParams {
    /// The baseline, as DataComp names it.
    rule: BaselineName,
    /// Whose score is cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    arch: Option<Arch>,
    /// Keeps rows of at least this score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    /// Keeps rows of at least the score at this share from the top; the share of `random_subset`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fraction: Option<f64>,
    /// The seed of `random_subset`; 0 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    /// A fastText model that names languages; the built-in identifier if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) language_model: Option<PathBuf>,
    /// WordNet's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) wordnet: Option<PathBuf>,
    /// The WordNet ids wanted, one a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) entity_ids: Option<PathBuf>,
    /// How words are brought to their base form.
    #[serde(default)]
    pub(crate) morphy: MorphyRule,
    /// Centroids of the pool's images, an npy file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) centroids: Option<PathBuf>,
    /// Features of the images wanted, an npy file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target_features: Option<PathBuf>,
}

impl BaselineParams {
    /// A baseline without further parameters.
    pub fn new(rule: BaselineName) -> Self {
        Self {
            rule,
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

    /// Whose score is cut, for `clip_score` and `image_based_intersect_clip_score`.
    pub fn arch(mut self, arch: Arch) -> Self {
        self.arch = Some(arch);
        self
    }

    /// Keeps rows of at least this score. Either this or [`Self::fraction`].
    pub fn threshold(mut self, threshold: f64) -> Self {
        self.threshold = Some(threshold);
        self
    }

    /// Keeps rows of at least the score at this share from the top ([`ScoreFloor::Fraction`]), from 0 to
    /// below 1; for `random_subset` the share of ids to draw, from 0 to 1.
    pub fn fraction(mut self, fraction: f64) -> Self {
        self.fraction = Some(fraction);
        self
    }

    /// The seed of `random_subset`; 0 unless told.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// A fastText model that names languages. Without one the built-in identifier is asked
    /// ([`curate_text::language::BuiltIn`]), which gives another subset.
    pub fn language_model(mut self, file: impl Into<PathBuf>) -> Self {
        self.language_model = Some(file.into());
        self
    }

    /// WordNet 3.0's folder, for `text_based`.
    pub fn wordnet(mut self, folder: impl Into<PathBuf>) -> Self {
        self.wordnet = Some(folder.into());
        self
    }

    /// The WordNet ids wanted, one a line, for `text_based`.
    pub fn entity_ids(mut self, file: impl Into<PathBuf>) -> Self {
        self.entity_ids = Some(file.into());
        self
    }

    /// How words are brought to their base form, for `text_based`.
    pub fn morphy(mut self, morphy: MorphyRule) -> Self {
        self.morphy = morphy;
        self
    }

    /// Centroids of the pool's images, an npy file of `k x d` floats, for `image_based`.
    pub fn centroids(mut self, file: impl Into<PathBuf>) -> Self {
        self.centroids = Some(file.into());
        self
    }

    /// Features of the images wanted, an npy file of `n x d` floats, for `image_based`.
    pub fn target_features(mut self, file: impl Into<PathBuf>) -> Self {
        self.target_features = Some(file.into());
        self
    }

    /// The files and folders that the parameters name, which [`Baseline::read_inputs`] reads.
    pub fn files(&self) -> Vec<&Path> {
        let files = [
            &self.language_model,
            &self.wordnet,
            &self.entity_ids,
            &self.centroids,
            &self.target_features,
        ];
        files.into_iter().flatten().map(PathBuf::as_path).collect()
    }

    /// The baseline, if every parameter is in range and the rule reads it. Files are not looked at yet;
    /// [`Baseline::unnamed`] tells which the rule needs and no parameter names.
    ///
    /// # Errors
    /// Every violation.
    pub fn check(self) -> Result<Baseline, ParamsError> {
        let mut check = Checker::default();
        self.check_what_is_read(&mut check);
        self.check_numbers(&mut check);
        check.finish()?;
        let arch = self.arch.unwrap_or(Arch::L14);
        let floor = match (self.threshold, self.fraction) {
            (Some(threshold), _) => ScoreFloor::Threshold(threshold),
            (None, fraction) => ScoreFloor::Fraction(fraction.unwrap_or_default()),
        };
        let rule = match self.rule {
            BaselineName::NoFilter => Rule::NoFilter,
            BaselineName::RandomSubset => Rule::RandomSubset {
                fraction: self.fraction.unwrap_or_default(),
                seed: self.seed.unwrap_or_default(),
            },
            BaselineName::BasicFilter => Rule::BasicFilter,
            BaselineName::ClipScore => Rule::ClipScore { arch, floor },
            BaselineName::Laion2b => Rule::Laion2b,
            BaselineName::TextBased => Rule::TextBased,
            BaselineName::ImageBased => Rule::ImageBased,
            BaselineName::ImageBasedIntersectClipScore => {
                Rule::ImageBasedIntersectClipScore { arch, floor }
            }
        };
        Ok(Baseline { rule, params: self })
    }

    /// Parameters that the rule does not read, and numbers that it needs.
    fn check_what_is_read(&self, check: &mut Checker) {
        let rule = self.rule;
        let (scored, drawn) = (rule.cuts_score(), rule == BaselineName::RandomSubset);
        let (text, images) = (rule == BaselineName::TextBased, rule.reads_features());
        let morphy = (self.morphy != MorphyRule::default()).then_some("repeated");
        // The parameter, its value where it is given, and whether the rule reads it.
        let given = [
            ("arch", shown(self.arch), scored),
            ("threshold", shown(self.threshold), scored),
            ("fraction", shown(self.fraction), scored || drawn),
            ("seed", shown(self.seed), drawn),
            ("language-model", path(self.language_model.as_deref()), rule.asks_language()),
            ("wordnet", path(self.wordnet.as_deref()), text),
            ("entity-ids", path(self.entity_ids.as_deref()), text),
            ("morphy", shown(morphy), text),
            ("centroids", path(self.centroids.as_deref()), images),
            ("target-features", path(self.target_features.as_deref()), images),
        ];
        for (field, value, reads) in given {
            if let (Some(value), false) = (value, reads) {
                check.that(false, field, value, "left out: this rule does not read it");
            }
        }
        let must = "given: this rule needs it";
        check.that(!scored || self.arch.is_some(), "arch", LEFT_OUT, must);
        check.that(!drawn || self.fraction.is_some(), "fraction", LEFT_OUT, must);
        let pairs = [
            ("wordnet", "entity-ids", &self.wordnet, &self.entity_ids),
            ("centroids", "target-features", &self.centroids, &self.target_features),
        ];
        for (a, b, first, second) in pairs {
            let together = "given together with the other file of the rule, or neither";
            check.that(first.is_some() || second.is_none(), a, LEFT_OUT, together);
            check.that(second.is_some() || first.is_none(), b, LEFT_OUT, together);
        }
    }

    fn check_numbers(&self, check: &mut Checker) {
        let scored = self.rule.cuts_score();
        if scored {
            let neither = self.threshold.is_none() && self.fraction.is_none();
            check.that(!neither, "threshold", LEFT_OUT, "given, or else `fraction`");
        }
        if let Some(threshold) = self.threshold {
            check.that(!threshold.is_nan(), "threshold", threshold, "a number");
            let alone = !scored || self.fraction.is_none();
            check.that(alone, "threshold", threshold, "left out where `fraction` is given");
        }
        if let Some(fraction) = self.fraction {
            let (fits, allowed) = match scored {
                // At 1 DataComp's code asks for the score behind the last one, and crashes.
                true => ((0.0..1.0).contains(&fraction), "from 0 to below 1 (no_filter keeps all)"),
                false => ((0.0..=1.0).contains(&fraction), "a number from 0 to 1"),
            };
            check.that(fits, "fraction", fraction, allowed);
        }
    }
}

const LEFT_OUT: &str = "left out";

fn shown(value: Option<impl Display>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn path(value: Option<&Path>) -> Option<String> {
    shown(value.map(Path::display))
}

/// A baseline with valid parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    rule: Rule,
    params: BaselineParams,
}

impl Baseline {
    /// The rule.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The parameters that name files which the rule needs, where they are left out. The baseline then
    /// runs only with [inputs](crate::Inputs) of one's own.
    pub fn unnamed(&self) -> &'static [&'static str] {
        match self.rule.name() {
            BaselineName::TextBased if self.params.wordnet.is_none() => &["wordnet", "entity-ids"],
            name if name.reads_features() && self.params.centroids.is_none() => {
                &["centroids", "target-features"]
            }
            _ => &[],
        }
    }

    pub(crate) fn params(&self) -> &BaselineParams {
        &self.params
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(params: BaselineParams) -> Vec<(&'static str, String)> {
        let error = params.check().unwrap_err();
        let name = |field| match field {
            std::borrow::Cow::Borrowed(name) => name,
            std::borrow::Cow::Owned(name) => panic!("{name} is not a constant"),
        };
        error.violations.into_iter().map(|v| (name(v.field), v.value)).collect()
    }

    #[test]
    fn every_parameter_that_is_missing_wrong_or_not_read_is_named() {
        let of = BaselineParams::new;
        let found = fields(of(BaselineName::BasicFilter).arch(Arch::B32).seed(7));
        assert_eq!(found, [("arch", "b32".to_owned()), ("seed", "7".to_owned())]);
        let found = fields(of(BaselineName::ClipScore));
        assert_eq!(found, [("arch", LEFT_OUT.to_owned()), ("threshold", LEFT_OUT.to_owned())]);
        let found =
            fields(of(BaselineName::ClipScore).arch(Arch::B32).threshold(0.3).fraction(1.0));
        assert_eq!(found, [("threshold", "0.3".to_owned()), ("fraction", "1".to_owned())]);
        let found = fields(of(BaselineName::RandomSubset).fraction(-0.1));
        assert_eq!(found, [("fraction", "-0.1".to_owned())]);
        assert!(of(BaselineName::RandomSubset).fraction(1.0).check().is_ok());
        let found = fields(of(BaselineName::RandomSubset));
        assert_eq!(found, [("fraction", LEFT_OUT.to_owned())]);
        let found = fields(of(BaselineName::ImageBased).morphy(MorphyRule::Repeated).wordnet("w"));
        let found: Vec<&str> = found.iter().map(|(field, _)| *field).collect();
        assert_eq!(found, ["wordnet", "morphy", "entity-ids"]);
        let found = fields(of(BaselineName::TextBased).wordnet("w"));
        assert_eq!(found, [("entity-ids", LEFT_OUT.to_owned())]);
        let message = of(BaselineName::ClipScore).threshold(0.2).check().unwrap_err().to_string();
        assert_eq!(message, "`arch` is left out, but must be given: this rule needs it");
    }

    #[test]
    fn files_that_no_parameter_names_are_known_before_anything_is_read() {
        for name in BaselineName::ALL {
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(json, format!("\"{name}\""));
        }
        let text = BaselineParams::new(BaselineName::TextBased).check().unwrap();
        assert_eq!(text.unnamed(), ["wordnet", "entity-ids"]);
        let both =
            BaselineParams::new(BaselineName::ImageBased).centroids("c").target_features("t");
        let both = both.check().unwrap();
        assert_eq!((both.unnamed().len(), both.params().files().len()), (0, 2));
    }

    #[test]
    fn parameters_are_read_as_they_are_written() {
        let json = r#"{"rule": "clip_score", "arch": "l14", "fraction": 0.3}"#;
        let params: BaselineParams = serde_json::from_str(json).unwrap();
        let same = BaselineParams::new(BaselineName::ClipScore).arch(Arch::L14).fraction(0.3);
        assert_eq!(params, same);
        let json = serde_json::to_string(&same).unwrap();
        assert_eq!(serde_json::from_str::<BaselineParams>(&json).unwrap(), same);
        assert!(
            serde_json::from_str::<BaselineParams>(r#"{"rule": "no_filter", "x": 1}"#).is_err()
        );
    }
}
