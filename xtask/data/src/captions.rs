//! What each picture is said to show, truthfully or not; every choice is a hash of the uid.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::digest;
use crate::sources::{Item, is_permissive};

/// Share of all rows that get the caption of another row.
const SWAPPED: f64 = 0.10;
/// Share of the rows known in other languages whose caption is in one of them.
const FOREIGN: f64 = 0.08;
/// Share of the icons whose caption is their file's name.
const FILE_NAMES: f64 = 0.04;
/// From so many occurrences in one source on, a text describes the source and not the picture.
const BOILERPLATE: usize = 20;

/// Where a caption comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The package's own words for this picture.
    Original,
    /// Words that the source puts under many pictures.
    Boilerplate,
    /// The name of the file.
    Filename,
    /// The right label in another language.
    Foreign,
    /// The caption of another row.
    Swapped,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Original => "original",
            Self::Boilerplate => "boilerplate",
            Self::Filename => "filename",
            Self::Foreign => "foreign",
            Self::Swapped => "swapped",
        })
    }
}

/// A row's caption and the truth behind it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Caption {
    pub(crate) text: String,
    /// What the picture shows, in English; for a swapped row, its own caption.
    pub(crate) label: String,
    pub(crate) kind: Kind,
}

/// Captions of all rows, in their order.
pub(crate) fn write(items: &[(String, Item)]) -> Vec<Caption> {
    let mut captions = natural(items);
    for ((uid, item), caption) in items.iter().zip(&mut captions) {
        plant_foreign(uid, item, caption);
        plant_file_name(uid, item, caption);
    }
    swap(items, &mut captions);
    captions
}

/// Captions as the packages have them.
pub(crate) fn natural(items: &[(String, Item)]) -> Vec<Caption> {
    let texts: Vec<_> = items.iter().map(|(uid, item)| own_words(uid, item)).collect();
    let mut counts: HashMap<(&str, String), usize> = HashMap::new();
    for ((_, item), text) in items.iter().zip(&texts) {
        *counts.entry((&item.source, template(text))).or_default() += 1;
    }
    items
        .iter()
        .zip(&texts)
        .map(|((_, item), text)| {
            // Emoji labels repeat where an artist draws every skin tone; that is no boilerplate.
            let often = counts[&(item.source.as_str(), template(text))] >= BOILERPLATE;
            let kind = if item.caption.is_some() && often {
                Kind::Boilerplate
            } else if looks_like_a_file(text, item) {
                Kind::Filename
            } else {
                Kind::Original
            };
            Caption { text: text.clone(), label: item.label.clone(), kind }
        })
        .collect()
}

/// The package's caption, or the label with up to three keywords.
fn own_words(uid: &str, item: &Item) -> String {
    if let Some(caption) = &item.caption {
        return caption.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    let label = item.label.to_lowercase();
    let mut keywords: Vec<_> =
        item.keywords.iter().filter(|word| word.to_lowercase() != label).collect();
    keywords.sort_by_cached_key(|word| digest::number("keyword", &format!("{uid}{word}")));
    keywords.dedup();
    keywords.truncate((digest::number("keywords", uid) % 4) as usize);
    let words =
        std::iter::once(item.label.as_str()).chain(keywords.into_iter().map(String::as_str));
    words.collect::<Vec<_>>().join(", ")
}

/// A text without the parts that differ within a series: numbers, dates in brackets, endings.
fn template(text: &str) -> String {
    static BRACKETS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\([^)]*\)|\d+").expect("the pattern is a constant"));
    let head = text.split(" - ").next().unwrap_or(text);
    BRACKETS.replace_all(head, "").to_lowercase().trim().to_owned()
}

/// Names that no one would say: `file_type-jake.svg`, `arrow08_4`, `HASH(0x8677e2c)`, `cn 1x1`.
fn looks_like_a_file(text: &str, item: &Item) -> bool {
    static FILE: LazyLock<Regex> = LazyLock::new(|| {
        let pattern =
            r"(?i)^\S*_\S*$|\.(svg|png|jpe?g)$|^\S*[a-z]\d+\S*$|^HASH\(|^file type |\b\dx\d\b";
        Regex::new(pattern).expect("the pattern is a constant")
    });
    let nameless = item.caption.is_some() && text.replace(['_', '-'], " ") == item.label;
    FILE.is_match(text) || (nameless && text.contains(['_', '-']))
}

fn plant_foreign(uid: &str, item: &Item, caption: &mut Caption) {
    let languages = item.i18n.len() as u64;
    if languages == 0 || digest::unit("foreign", uid) >= FOREIGN {
        return;
    }
    let index = digest::number("language", uid) % languages;
    if let Some(label) = item.i18n.values().nth(index as usize) {
        caption.text.clone_from(label);
        caption.kind = Kind::Foreign;
    }
}

fn plant_file_name(uid: &str, item: &Item, caption: &mut Caption) {
    if item.source.starts_with("ic-") && digest::unit("file name", uid) < FILE_NAMES {
        caption.text = format!("{}.svg", item.name);
        caption.kind = Kind::Filename;
    }
}

/// Hands captions on among the swapped rows, apart for permissive and other licences, so that
/// a bundle of permissive rows holds no one else's words.
fn swap(items: &[(String, Item)], captions: &mut [Caption]) {
    for permissive in [true, false] {
        let mut rows: Vec<usize> = (0..items.len())
            .filter(|&row| is_permissive(&items[row].1.license) == permissive)
            .filter(|&row| digest::unit("swap", &items[row].0) < SWAPPED)
            .collect();
        rows.sort_by_cached_key(|&row| digest::number("swap order", &items[row].0));
        let givers = exchange(&rows, |a, b| {
            items[a].1.concept != items[b].1.concept
                && own_words(&items[a].0, &items[a].1) != own_words(&items[b].0, &items[b].1)
        });
        for (&row, giver) in rows.iter().zip(givers) {
            let (uid, item) = &items[row];
            captions[row] = Caption {
                text: own_words(&items[giver].0, &items[giver].1),
                label: own_words(uid, item),
                kind: Kind::Swapped,
            };
        }
    }
}

/// A permutation of `rows` in which no row gets from one that it may not.
fn exchange(rows: &[usize], may: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    let mut givers: Vec<usize> = rows.iter().copied().cycle().skip(1).take(rows.len()).collect();
    for i in 0..rows.len() {
        if may(rows[i], givers[i]) {
            continue;
        }
        let other = (0..rows.len()).find(|&j| may(rows[i], givers[j]) && may(rows[j], givers[i]));
        if let Some(j) = other {
            givers.swap(i, j);
        }
    }
    givers
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sources::Art;

    pub(crate) fn item(name: &str, caption: Option<&str>) -> (String, Item) {
        let item = Item {
            source: "openclipart".into(),
            license: "public-domain".into(),
            name: name.into(),
            url: String::new(),
            art: Art::Svg(Vec::new()),
            label: name.replace(['_', '-'], " "),
            caption: caption.map(str::to_owned),
            keywords: vec!["one".into(), "two".into()],
            concept: name.into(),
            category: String::new(),
            subcategory: String::new(),
            variant: false,
            i18n: BTreeMap::from([("de".into(), "Katze".into())]),
        };
        (item.uid(), item)
    }

    #[test]
    fn a_series_of_titles_is_boilerplate() {
        let mut items: Vec<_> = (0..25)
            .map(|i| item(&format!("x{i}"), Some(&format!("Flat Icons (Wed {i}) - star{i}"))))
            .collect();
        items.push(item("cat", Some("a cat")));
        let captions = natural(&items);
        assert_eq!(captions[0].kind, Kind::Boilerplate);
        assert_eq!((captions[25].kind, captions[25].text.as_str()), (Kind::Original, "a cat"));
    }

    #[test]
    fn names_that_no_one_says_are_file_names() {
        for name in ["arrow08_4", "HASH(0x8677e2c)", "file type jake", "cn 1x1", "img12"] {
            assert!(looks_like_a_file(name, &item("other", Some(name)).1), "{name}");
        }
        assert!(!looks_like_a_file("waving hand", &item("other", None).1));
        let (_, nameless) = item("old-shoe", Some("old-shoe"));
        assert!(looks_like_a_file("old-shoe", &nameless));
    }

    #[test]
    fn swapped_rows_exchange_captions_and_keep_their_own_as_label() {
        let items: Vec<_> = (0..500).map(|i| item(&format!("thing {i}x"), None)).collect();
        let captions = write(&items);
        let swapped: Vec<_> = (0..500).filter(|&row| captions[row].kind == Kind::Swapped).collect();
        assert!((30..70).contains(&swapped.len()), "{} of 500", swapped.len());
        let mut given: Vec<_> = swapped.iter().map(|&row| &captions[row].text).collect();
        let mut owned: Vec<_> = swapped.iter().map(|&row| &captions[row].label).collect();
        assert!(given.iter().zip(&owned).all(|(text, label)| text != label));
        given.sort();
        owned.sort();
        assert_eq!(given, owned);
    }

    #[test]
    fn an_exchange_avoids_the_forbidden() {
        let givers = exchange(&[0, 1, 10, 11, 20], |a, b| a / 10 != b / 10);
        let mut sorted = givers.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 10, 11, 20]);
        assert!([0, 1, 10, 11, 20].iter().zip(&givers).all(|(a, b)| a / 10 != b / 10));
    }
}
