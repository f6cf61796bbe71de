//! Debian's openclipart: eight thousand clip-arts with the words their artists left in them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use anyhow::Result;
use regex::Regex;

use super::{Art, Item};
use crate::archive;
use crate::packages::Store;

const ROOT: &str = "usr/share/openclipart/svg/";

/// The licence given to files that name one other than the public domain; they are left out.
pub(crate) const EXCLUDED_LICENSE: &str = "excluded";

pub(crate) fn load(store: &Store, items: &mut Vec<Item>) -> Result<()> {
    let members = archive::read(&store.file("openclipart-svg")?, |path| {
        path.starts_with(ROOT) && path.ends_with(".svg")
    })?;
    let version = &store.package("openclipart-svg")?.version;
    let links = members.links.iter().filter_map(|(path, target)| {
        let target = resolve(path, target);
        members.files.get_key_value(&target).map(|(file, art)| (path, file, art))
    });
    let files = members.files.iter().map(|(path, art)| (path, path, art));
    items.extend(files.chain(links).map(|(path, file, art)| item(path, file, art, version)));
    Ok(())
}

/// `file` is where the art is, `path` the name it goes by; they differ for links.
fn item(path: &str, file: &str, art: &[u8], version: &str) -> Item {
    let name = path.trim_start_matches(ROOT);
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let stem = name.rsplit('/').next().unwrap_or(name).trim_end_matches(".svg");
    let about = About::read(&String::from_utf8_lossy(art));
    Item {
        source: "openclipart".into(),
        license: if about.public_domain { "public-domain" } else { EXCLUDED_LICENSE }.into(),
        name: name.to_owned(),
        url: format!("openclipart-svg={version}/{path}"),
        art: Art::Svg(art.to_vec()),
        label: stem.replace(['_', '-'], " "),
        caption: Some(about.caption().unwrap_or_else(|| stem.to_owned())),
        keywords: about.keywords,
        concept: format!("oca:{}", file.trim_start_matches(ROOT)),
        category: folder.split('/').next().unwrap_or_default().to_owned(),
        subcategory: folder.to_owned(),
        variant: path != file,
        i18n: BTreeMap::new(),
    }
}

/// Follows a relative link from the folder of `path`.
fn resolve(path: &str, target: &str) -> String {
    let mut parts: Vec<_> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// The metadata block of one file.
#[derive(Debug, PartialEq)]
struct About {
    title: String,
    description: String,
    keywords: Vec<String>,
    public_domain: bool,
}

static BLOCK: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?s)<metadata.*?</metadata>"));
static TITLE: LazyLock<Regex> = LazyLock::new(|| pattern(r"<dc:title[^>]*>([^<]*)</dc:title>"));
static DESCRIPTION: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"<dc:description[^>]*>([^<]*)</dc:description>"));
static SUBJECT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?s)<dc:subject.*?</dc:subject>"));
static WORD: LazyLock<Regex> = LazyLock::new(|| pattern(r"<rdf:li[^>]*>([^<]*)</rdf:li>"));
static LICENSE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"cc:license\s+rdf:resource="([^"]+)""#));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is a constant")
}

impl About {
    /// Regular expressions, because a good part of the files is not well-formed RDF.
    fn read(svg: &str) -> Self {
        let block = BLOCK.find(svg).map_or("", |m| m.as_str());
        let first =
            |regex: &Regex| regex.captures(block).map_or_else(String::new, |c| unescape(&c[1]));
        let subject = SUBJECT.find(block).map_or("", |m| m.as_str());
        let license = first(&LICENSE);
        Self {
            title: first(&TITLE),
            description: first(&DESCRIPTION),
            keywords: WORD
                .captures_iter(subject)
                .map(|c| unescape(&c[1]))
                .filter(|word| !word.is_empty())
                .collect(),
            public_domain: license.is_empty() || license.contains("ublic"),
        }
    }

    /// Title and description; the texts were escaped twice, so they are unescaped once more.
    fn caption(&self) -> Option<String> {
        if self.title.is_empty() {
            return None;
        }
        let mut caption = unescape(&self.title);
        if !self.description.is_empty() && self.description != self.title {
            caption.push_str(" . ");
            caption.push_str(&unescape(&self.description));
        }
        Some(caption)
    }
}

fn unescape(text: &str) -> String {
    html_escape::decode_html_entities(text).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_from_the_metadata() {
        let svg = r#"<svg><title>not this</title><metadata><cc:Work><dc:title>Cat &amp;amp; mouse</dc:title>
            <dc:description>a chase</dc:description><dc:subject><rdf:Bag><rdf:li>animal</rdf:li><rdf:li></rdf:li></rdf:Bag></dc:subject>
            <cc:license rdf:resource="http://web.resource.org/cc/PublicDomain"/></cc:Work></metadata></svg>"#;
        let about = About::read(svg);
        assert_eq!(about.caption().unwrap(), "Cat & mouse . a chase");
        assert_eq!(about.keywords, ["animal"]);
        assert!(about.public_domain);
    }

    #[test]
    fn other_licences_are_marked_and_files_without_title_have_no_caption() {
        let svg = r#"<metadata><cc:license rdf:resource="gpl-2"/></metadata>"#;
        let about = About::read(svg);
        assert!(!about.public_domain && about.caption().is_none());
    }

    #[test]
    fn links_are_followed() {
        assert_eq!(resolve("a/b/c.svg", "../d/e.svg"), "a/d/e.svg");
        assert_eq!(resolve("a/b/c.svg", "./e.svg"), "a/b/e.svg");
    }
}
