//! Emoji labels and keywords in twelve languages, from `emojibase-data`.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use serde::Deserialize;

use crate::archive;
use crate::packages::Store;

const LANGUAGES: [&str; 12] =
    ["en", "de", "fr", "es", "it", "ru", "ja", "zh", "hi", "pt", "ko", "pl"];

const SKIN_TONES: [&str; 5] = ["1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"];

#[derive(Deserialize)]
struct Entry {
    label: String,
    hexcode: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    skins: Vec<Entry>,
}

/// What one emoji is called.
#[derive(Debug, Default, Clone)]
pub(crate) struct Words {
    pub(crate) label: String,
    pub(crate) tags: Vec<String>,
    /// Labels in the other languages.
    pub(crate) i18n: BTreeMap<String, String>,
}

/// Emoji by code points, and code points by English name.
#[derive(Debug)]
pub(crate) struct Labels {
    words: HashMap<String, Words>,
    by_slug: HashMap<String, String>,
}

impl Labels {
    pub(crate) fn load(store: &Store) -> Result<Self> {
        let wanted: Vec<_> = LANGUAGES.iter().map(|l| format!("{l}/data.json")).collect();
        let members =
            archive::read(&store.file("emojibase-data")?, |path| wanted.iter().any(|w| w == path))?;
        let mut labels = Self { words: HashMap::new(), by_slug: HashMap::new() };
        for (language, path) in LANGUAGES.iter().zip(&wanted) {
            for entry in members.json::<Vec<Entry>>(path)? {
                labels.add(language, &entry, &entry.tags);
                for skin in &entry.skins {
                    labels.add(language, skin, &entry.tags);
                }
            }
        }
        Ok(labels)
    }

    fn add(&mut self, language: &str, entry: &Entry, tags: &[String]) {
        let code = without_selector(&entry.hexcode);
        if language == "en" {
            self.by_slug.entry(slug(&entry.label)).or_insert_with(|| code.clone());
            let words = self.words.entry(code).or_default();
            words.label.clone_from(&entry.label);
            words.tags = tags.to_vec();
        } else if let Some(words) = self.words.get_mut(&code) {
            words.i18n.insert(language.to_owned(), entry.label.clone());
        }
    }

    /// The words for an emoji, or for its form without a skin tone.
    pub(crate) fn find(&self, code: &str) -> Option<&Words> {
        self.words.get(&without_selector(code)).or_else(|| self.words.get(&concept(code)))
    }

    /// The code points of an emoji, from a file name such as `grinning-face`.
    pub(crate) fn code_of(&self, name: &str) -> Option<&str> {
        self.by_slug.get(&slug(name)).map(String::as_str)
    }
}

fn without_selector(code: &str) -> String {
    code.replace("-FE0F", "")
}

/// Code points without presentation selector and skin tone: the thing that is drawn.
pub(crate) fn concept(code: &str) -> String {
    let upper = code.to_uppercase();
    let kept: Vec<_> =
        upper.split('-').filter(|part| *part != "FE0F" && !SKIN_TONES.contains(part)).collect();
    kept.join("-")
}

/// Lower-case ASCII words joined by hyphens.
pub(crate) fn slug(text: &str) -> String {
    let lower = text.to_lowercase();
    let words: Vec<_> =
        lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
    words.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skin_tones_and_selectors_do_not_make_a_new_concept() {
        assert_eq!(concept("1f44b-1F3FD"), "1F44B");
        assert_eq!(concept("2764-FE0F-200D-1F525"), "2764-200D-1F525");
    }

    #[test]
    fn names_become_slugs() {
        assert_eq!(slug("waving hand: light skin tone"), "waving-hand-light-skin-tone");
        assert_eq!(slug("1st place medal"), "1st-place-medal");
    }
}
