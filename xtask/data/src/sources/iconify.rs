//! Icon and emoji sets collected in `@iconify/json`, each with its own licence.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::cldr::{Labels, concept};
use super::emoji::Catalogue;
use super::tags::{TagBook, without_style};
use super::{Art, Item};
use crate::archive;
use crate::digest;
use crate::packages::Store;

/// Emoji drawn by other artists, and how many of each are taken at most (by hash).
const EMOJI_SETS: [(&str, usize); 8] = [
    ("fluent-emoji", usize::MAX),
    ("fluent-emoji-flat", usize::MAX),
    ("noto-v1", usize::MAX),
    ("emojione", usize::MAX),
    ("fxemoji", usize::MAX),
    ("streamline-emojis", usize::MAX),
    // The same drawings as two PNG sources, from other files: near-duplicates to be found.
    ("noto", 1500),
    ("twemoji", 1500),
];

/// Icon sets, and how many of each are taken at most (by hash).
const ICON_SETS: [(&str, usize); 23] = [
    ("tabler", usize::MAX),
    ("lucide", usize::MAX),
    ("ph", 4000),
    ("game-icons", usize::MAX),
    ("fa7-solid", usize::MAX),
    ("healthicons", usize::MAX),
    ("icon-park", usize::MAX),
    ("logos", usize::MAX),
    ("vscode-icons", usize::MAX),
    ("devicon", usize::MAX),
    ("flag", usize::MAX),
    ("circle-flags", usize::MAX),
    ("flagpack", usize::MAX),
    ("meteocons", usize::MAX),
    ("flat-color-icons", usize::MAX),
    ("streamline-color", usize::MAX),
    ("streamline-plump-color", usize::MAX),
    ("fluent-color", usize::MAX),
    ("streamline-kameleon-color", usize::MAX),
    ("mdi", 3500),
    ("selfhst", 2500),
    ("skill-icons", usize::MAX),
    ("pinhead", usize::MAX),
];

/// The ink of icons that take their colour from the page.
const INK: &str = "#202020";

#[derive(Deserialize)]
struct Set {
    icons: BTreeMap<String, Icon>,
    #[serde(default)]
    categories: BTreeMap<String, Vec<String>>,
    width: Option<f64>,
    height: Option<f64>,
}

#[derive(Deserialize)]
struct Icon {
    body: String,
    #[serde(default)]
    hidden: bool,
    width: Option<f64>,
    height: Option<f64>,
    #[serde(default)]
    left: f64,
    #[serde(default)]
    top: f64,
}

/// What `collections.json` says about a set.
#[derive(Deserialize)]
struct Info {
    license: License,
    #[serde(default)]
    category: Option<String>,
}

#[derive(Deserialize)]
struct License {
    title: String,
    spdx: Option<String>,
}

pub(crate) fn load(
    store: &Store,
    labels: &Labels,
    catalogue: &Catalogue,
    items: &mut Vec<Item>,
) -> Result<()> {
    let all = || EMOJI_SETS.iter().chain(&ICON_SETS);
    let members = archive::read(&store.file("@iconify/json")?, |path| {
        path == "collections.json" || all().any(|(set, _)| path == format!("json/{set}.json"))
    })?;
    let infos: HashMap<String, Info> = members.json("collections.json")?;
    let version = &store.package("@iconify/json")?.version;
    let tags = TagBook::load(store)?;
    for &(name, most) in all() {
        let info = infos.get(name).with_context(|| format!("collections.json lacks {name}"))?;
        let license = info.license.spdx.as_ref().unwrap_or(&info.license.title);
        ensure!(
            !license.contains("NC") && !license.contains("GPL") && !license.contains("-SA"),
            "the set {name} is now under {license}: take it off the list",
        );
        let reader = SetReader {
            name,
            emoji: EMOJI_SETS.iter().any(|(set, _)| *set == name),
            set: members.json(&format!("json/{name}.json"))?,
            license,
            topic: info.category.as_deref().unwrap_or_default(),
            url: format!("@iconify/json@{version}/json/{name}.json#"),
            labels,
            catalogue,
            tags: &tags,
        };
        items.extend(reader.items(most));
    }
    Ok(())
}

struct SetReader<'a> {
    name: &'a str,
    emoji: bool,
    set: Set,
    license: &'a str,
    topic: &'a str,
    url: String,
    labels: &'a Labels,
    catalogue: &'a Catalogue,
    tags: &'a TagBook,
}

impl SetReader<'_> {
    fn items(&self, most: usize) -> Vec<Item> {
        let categories: HashMap<&str, &str> = self
            .set
            .categories
            .iter()
            .flat_map(|(category, names)| names.iter().map(|n| (n.as_str(), category.as_str())))
            .collect();
        let mut names: Vec<_> =
            self.set.icons.iter().filter(|(_, icon)| !icon.hidden).map(|(name, _)| name).collect();
        names.sort_by_cached_key(|name| digest::number(self.name, name));
        names.truncate(most);
        names
            .into_iter()
            .map(|name| {
                let category = categories.get(name.as_str()).copied();
                match self.labels.code_of(name).filter(|_| self.emoji) {
                    Some(code) => self.emoji_item(name, code),
                    None => self.icon_item(name, category),
                }
            })
            .collect()
    }

    fn emoji_item(&self, name: &str, code: &str) -> Item {
        let words = self.labels.find(code).cloned().unwrap_or_default();
        let concept = concept(code);
        let (category, subcategory) = self.catalogue.get(&concept).cloned().unwrap_or_default();
        Item {
            label: words.label,
            keywords: words.tags,
            concept,
            category,
            subcategory,
            variant: name.contains("skin-tone"),
            i18n: words.i18n,
            ..self.bare(name)
        }
    }

    fn icon_item(&self, name: &str, category: Option<&str>) -> Item {
        let tags = self.tags.find(self.name, name);
        let (prefix, stem) = if self.emoji { ("em", name) } else { ("ic", without_style(name)) };
        Item {
            label: name.replace(['-', '_'], " "),
            keywords: tags.words,
            concept: format!("{prefix}:{stem}"),
            category: category
                .map(str::to_owned)
                .or(tags.category)
                .unwrap_or(self.topic.to_owned()),
            subcategory: self.name.to_owned(),
            ..self.bare(name)
        }
    }

    fn bare(&self, name: &str) -> Item {
        Item {
            source: format!("{}-{}", if self.emoji { "em" } else { "ic" }, self.name),
            license: self.license.to_owned(),
            name: name.to_owned(),
            url: format!("{}{name}", self.url),
            art: Art::Svg(self.svg(&self.set.icons[name]).into_bytes()),
            label: String::new(),
            caption: None,
            keywords: Vec::new(),
            concept: String::new(),
            category: String::new(),
            subcategory: String::new(),
            variant: false,
            i18n: BTreeMap::new(),
        }
    }

    fn svg(&self, icon: &Icon) -> String {
        let width = icon.width.or(self.set.width).unwrap_or(16.0);
        let height = icon.height.or(self.set.height).unwrap_or(16.0);
        let (left, top, body) = (icon.left, icon.top, &icon.body);
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{width}" height="{height}" viewBox="{left} {top} {width} {height}" color="{INK}">{body}</svg>"#
        )
    }
}
