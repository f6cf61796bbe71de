//! Search terms that the icon sets' own packages carry and the collected set does not.

use std::collections::HashMap;

use anyhow::{Context, Result};
use regex::Regex;
use serde::Deserialize;

use crate::archive;
use crate::packages::Store;

/// Tags and, where known, the category of an icon.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tags {
    pub(crate) words: Vec<String>,
    pub(crate) category: Option<String>,
}

/// Tags by set and icon name.
#[derive(Debug, Default)]
pub(crate) struct TagBook(HashMap<&'static str, HashMap<String, Tags>>);

impl TagBook {
    pub(crate) fn load(store: &Store) -> Result<Self> {
        let awesome = fontawesome(store)?;
        let mut book = HashMap::new();
        book.insert("tabler", tabler(store)?);
        book.insert("lucide", lucide(store)?);
        book.insert("ph", phosphor(store)?);
        book.insert("fa7-solid", awesome);
        Ok(Self(book))
    }

    /// Tags of an icon, of its plain form if its style has none, or nothing.
    pub(crate) fn find(&self, set: &str, name: &str) -> Tags {
        let Some(icons) = self.0.get(set) else { return Tags::default() };
        icons.get(name).or_else(|| icons.get(without_style(name))).cloned().unwrap_or_default()
    }
}

/// An icon's name without the ending that names its style.
pub(crate) fn without_style(name: &str) -> &str {
    const STYLES: [&str; 9] =
        ["bold", "duotone", "fill", "light", "thin", "filled", "outline", "solid", "regular"];
    match name.rsplit_once('-') {
        Some((stem, "regular" | "filled")) => {
            // Sizes stand before the style: `add-circle-24-filled`.
            match stem.rsplit_once('-') {
                Some((shorter, size)) if size.bytes().all(|b| b.is_ascii_digit()) => shorter,
                _ => stem,
            }
        }
        Some((stem, style)) if STYLES.contains(&style) => stem,
        _ => name,
    }
}

fn tabler(store: &Store) -> Result<HashMap<String, Tags>> {
    #[derive(Deserialize)]
    struct Entry {
        category: String,
        // A few tags are numbers.
        tags: Vec<serde_json::Value>,
    }
    let members = archive::read(&store.file("@tabler/icons")?, |path| path == "icons.json")?;
    let entries: HashMap<String, Entry> = members.json("icons.json")?;
    let tags =
        |e: Entry| Tags { words: e.tags.iter().map(plain).collect(), category: Some(e.category) };
    Ok(entries.into_iter().map(|(name, entry)| (name, tags(entry))).collect())
}

fn lucide(store: &Store) -> Result<HashMap<String, Tags>> {
    let members = archive::read(&store.file("lucide-static")?, |path| path == "tags.json")?;
    let entries: HashMap<String, Vec<String>> = members.json("tags.json")?;
    Ok(entries.into_iter().map(|(name, words)| (name, Tags { words, category: None })).collect())
}

fn fontawesome(store: &Store) -> Result<HashMap<String, Tags>> {
    #[derive(Deserialize)]
    struct Entry {
        search: Search,
    }
    #[derive(Deserialize)]
    struct Search {
        terms: Vec<serde_json::Value>,
    }
    let path = "metadata/icon-families.json";
    let file = store.file("@fortawesome/fontawesome-free")?;
    let entries: HashMap<String, Entry> = archive::read(&file, |p| p == path)?.json(path)?;
    let words = |entry: Entry| entry.search.terms.iter().map(plain).collect();
    Ok(entries
        .into_iter()
        .map(|(name, entry)| (name, Tags { words: words(entry), category: None }))
        .collect())
}

/// Phosphor keeps its tags in a JavaScript module; `*new*` and the like are marks, not words.
fn phosphor(store: &Store) -> Result<HashMap<String, Tags>> {
    let path = "dist/index.mjs";
    let members = archive::read(&store.file("@phosphor-icons/core")?, |p| p == path)?;
    let icon = Regex::new(r#"(?s)name: "([^"]+)",\s+pascal_name.*?tags: \[(.*?)\]"#)?;
    let quoted = Regex::new(r#""([^"]+)""#)?;
    let words = |list: &str| -> Vec<String> {
        let all = quoted.captures_iter(list).filter_map(|c| c.get(1));
        all.map(|m| m.as_str().to_owned()).filter(|word| !word.starts_with('*')).collect()
    };
    let found: HashMap<_, _> = icon
        .captures_iter(members.text(path)?)
        .map(|c| (c[1].to_owned(), Tags { words: words(&c[2]), category: None }))
        .collect();
    (!found.is_empty()).then_some(found).context("no icon found in dist/index.mjs")
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_cut_off() {
        assert_eq!(without_style("acorn-duotone"), "acorn");
        assert_eq!(without_style("add-circle-24-filled"), "add-circle");
        assert_eq!(without_style("arrow-left"), "arrow-left");
    }
}
