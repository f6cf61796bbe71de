//! Where the pictures and their words come from, one module a package family.

mod cldr;
mod emoji;
mod iconify;
mod openclipart;
mod tags;

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use crate::digest;
use crate::packages::Store;

pub(crate) use openclipart::EXCLUDED_LICENSE;

/// A picture as its package holds it.
#[derive(Debug, Clone)]
pub(crate) enum Art {
    Png(Vec<u8>),
    Svg(Vec<u8>),
}

/// One picture with everything its package says about it.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) source: String,
    pub(crate) license: String,
    /// Unique within the source.
    pub(crate) name: String,
    /// `package@version/path`, in place of the web address a crawl would have.
    pub(crate) url: String,
    pub(crate) art: Art,
    pub(crate) label: String,
    /// The caption where the package writes one; otherwise it is made of label and keywords.
    pub(crate) caption: Option<String>,
    pub(crate) keywords: Vec<String>,
    /// One id for the same thing drawn by different artists.
    pub(crate) concept: String,
    pub(crate) category: String,
    pub(crate) subcategory: String,
    /// A skin tone of another picture, or another name of the same file.
    pub(crate) variant: bool,
    /// The label in other languages.
    pub(crate) i18n: BTreeMap<String, String>,
}

impl Item {
    /// The sample id: 32 hexadecimal digits, as DataComp's.
    pub(crate) fn uid(&self) -> String {
        digest::hex(format!("{}/{}", self.source, self.name).as_bytes())[..32].to_owned()
    }
}

/// Every picture of every source, sorted by uid: neighbours in the pool are strangers.
pub(crate) fn collect(store: &Store) -> Result<Vec<(String, Item)>> {
    let labels = cldr::Labels::load(store)?;
    let mut items = Vec::new();
    let catalogue = emoji::load(store, &labels, &mut items)?;
    iconify::load(store, &labels, &catalogue, &mut items)?;
    openclipart::load(store, &mut items)?;
    let mut items: Vec<_> = items.into_iter().map(|item| (item.uid(), item)).collect();
    items.sort_by(|a, b| a.0.cmp(&b.0));
    for pair in items.windows(2) {
        let (a, b) = (&pair[0].1, &pair[1].1);
        ensure!(
            pair[0].0 != pair[1].0,
            "{}/{} and {}/{} share a uid",
            a.source,
            a.name,
            b.source,
            b.name
        );
    }
    Ok(items)
}

/// Licences that ask for no attribution beyond their notice and put nothing on derived works.
pub(crate) fn is_permissive(license: &str) -> bool {
    ["Apache-2.0", "MIT", "ISC", "CC0-1.0", "public-domain"].contains(&license)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attribution_and_share_alike_are_not_permissive() {
        assert!(is_permissive("MIT") && is_permissive("public-domain"));
        assert!(!is_permissive("CC-BY-4.0") && !is_permissive("CC-BY-SA-4.0"));
    }
}
