//! The emoji of two vendors as 64-pixel PNG, and the catalogue of emoji categories.

use std::collections::{BTreeSet, HashMap};

use anyhow::Result;
use serde::Deserialize;

use super::cldr::{Labels, Words, concept};
use super::{Art, Item};
use crate::archive;
use crate::packages::Store;

/// Vendor and licence of its drawings; the package's own licence covers the code only.
const VENDORS: [(&str, &str); 2] = [("google", "Apache-2.0"), ("twitter", "CC-BY-4.0")];

#[derive(Deserialize)]
struct Entry {
    name: Option<String>,
    short_name: String,
    short_names: Vec<String>,
    category: String,
    subcategory: String,
    #[serde(flatten)]
    shape: Shape,
    #[serde(default)]
    skin_variations: std::collections::BTreeMap<String, Shape>,
}

#[derive(Deserialize)]
struct Shape {
    unified: String,
    image: String,
}

/// Category and subcategory by concept.
pub(crate) type Catalogue = HashMap<String, (String, String)>;

pub(crate) fn load(store: &Store, labels: &Labels, items: &mut Vec<Item>) -> Result<Catalogue> {
    let mut catalogue = Catalogue::new();
    for (vendor, license) in VENDORS {
        let package = format!("emoji-datasource-{vendor}");
        let folder = format!("img/{vendor}/64/");
        let members = archive::read(&store.file(&package)?, |path| {
            path == "emoji.json" || path.starts_with(&folder)
        })?;
        let version = &store.package(&package)?.version;
        for entry in members.json::<Vec<Entry>>("emoji.json")? {
            let place = (entry.category.clone(), entry.subcategory.clone());
            catalogue.insert(concept(&entry.shape.unified), place);
            let shapes = std::iter::once((&entry.shape, false));
            for (shape, variant) in shapes.chain(entry.skin_variations.values().map(|s| (s, true)))
            {
                let path = format!("{folder}{}", shape.image);
                let Some(png) = members.files.get(&path) else { continue };
                let url = format!("{package}@{version}/{path}");
                let mut item = item(&entry, shape, labels, Art::Png(png.clone()));
                item.source = format!("emoji-{vendor}");
                license.clone_into(&mut item.license);
                item.url = url;
                item.variant = variant;
                items.push(item);
            }
        }
    }
    Ok(catalogue)
}

fn item(entry: &Entry, shape: &Shape, labels: &Labels, art: Art) -> Item {
    let words = labels.find(&shape.unified).cloned().unwrap_or_else(|| Words {
        label: entry.name.as_ref().map_or_else(|| entry.short_name.clone(), |n| n.to_lowercase()),
        ..Words::default()
    });
    let keywords: BTreeSet<_> = words.tags.iter().chain(&entry.short_names).cloned().collect();
    Item {
        source: String::new(),
        license: String::new(),
        name: shape.image.clone(),
        url: String::new(),
        art,
        label: words.label,
        caption: None,
        keywords: keywords.into_iter().collect(),
        concept: concept(&shape.unified),
        category: entry.category.clone(),
        subcategory: entry.subcategory.clone(),
        variant: false,
        i18n: words.i18n,
    }
}
