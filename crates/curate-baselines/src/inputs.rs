//! What a rule needs beside the rows.

use curate_text::{
    language::{BuiltIn, FastTextLanguage, LanguageId},
    rules::EntityIds,
    wordnet::{Morphy, WordNet},
};

use crate::{Baseline, BaselineError, BaselineName, Concepts, MorphyRule};

/// What a rule needs beside the rows, in memory.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// Names languages; the built-in identifier differs from fastText's, see
    /// [`curate_text::language`].
    pub language: &'a dyn LanguageId,
    /// WordNet, for `text_based`.
    pub wordnet: Option<&'a WordNet>,
    /// The synsets wanted, for `text_based`.
    pub entities: Option<&'a EntityIds>,
    /// The clusters of images wanted, for the image-based rules.
    pub concepts: Option<&'a Concepts>,
}

impl Default for Inputs<'_> {
    fn default() -> Self {
        Self { language: &BuiltIn, wordnet: None, entities: None, concepts: None }
    }
}

/// What the parameters' files hold.
pub struct LoadedInputs {
    language: Box<dyn LanguageId>,
    wordnet: Option<WordNet>,
    entities: Option<EntityIds>,
    concepts: Option<Concepts>,
}

impl LoadedInputs {
    /// As [`Baseline::run_with`] takes them.
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs {
            language: &*self.language,
            wordnet: self.wordnet.as_ref(),
            entities: self.entities.as_ref(),
            concepts: self.concepts.as_ref(),
        }
    }
}

impl Baseline {
    /// Reads the files that the parameters name.
    ///
    /// # Errors
    /// A file that cannot be read, or is not what it should be.
    pub fn read_inputs(&self) -> Result<LoadedInputs, BaselineError> {
        let params = self.params();
        let language: Box<dyn LanguageId> = match &params.language_model {
            Some(path) => Box::new(FastTextLanguage::read(path).map_err(BaselineError::input)?),
            None => Box::new(BuiltIn),
        };
        let morphy = match params.morphy {
            MorphyRule::OneStep => Morphy::OneStep,
            MorphyRule::Repeated => Morphy::Repeated,
        };
        let read = |folder| WordNet::read(folder).map_err(BaselineError::input);
        let wordnet = params.wordnet.as_ref().map(read).transpose()?;
        let read = |file| EntityIds::read(file).map_err(BaselineError::input);
        let entities = params.entity_ids.as_ref().map(read).transpose()?;
        let concepts = match (&params.centroids, &params.target_features) {
            (Some(centroids), Some(wanted)) => Some(Concepts::read(centroids, wanted)?),
            _ => None,
        };
        let wordnet = wordnet.map(|wordnet| wordnet.with_morphy(morphy));
        Ok(LoadedInputs { language, wordnet, entities, concepts })
    }

    /// An error unless the inputs hold what the rule needs.
    pub(crate) fn check_inputs(&self, inputs: &Inputs<'_>) -> Result<(), BaselineError> {
        let needed = match self.rule().name() {
            BaselineName::TextBased => {
                vec![("wordnet", inputs.wordnet.is_some()), ("entities", inputs.entities.is_some())]
            }
            name if name.reads_features() => vec![("concepts", inputs.concepts.is_some())],
            _ => Vec::new(),
        };
        match needed.into_iter().find(|(_, given)| !given) {
            None => Ok(()),
            Some((input, _)) => Err(BaselineError::Missing { rule: self.rule().name(), input }),
        }
    }
}
