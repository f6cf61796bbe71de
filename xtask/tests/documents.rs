//! What a reader of the documents would stumble over.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Markdown file of a folder.
fn documents(folder: &Path) -> BTreeSet<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|ending| ending == "md")).collect()
}

fn chapters() -> BTreeSet<PathBuf> {
    documents(&root().join("docs/src"))
}

/// The targets of `[text](target)` in a text, without those on the web.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.starts_with('#')).collect()
}

#[test]
fn no_document_keeps_the_marks_of_a_merge() {
    for file in documents(&root()).into_iter().chain(chapters()) {
        let text = fs::read_to_string(&file).unwrap();
        let marks = ["<<<<<<<", ">>>>>>>", "======="];
        let marked = text.lines().position(|line| marks.iter().any(|mark| line.starts_with(mark)));
        assert_eq!(marked, None, "{}", file.display());
    }
}

#[test]
fn every_link_between_files_leads_somewhere() {
    for file in documents(&root()).into_iter().chain(chapters()) {
        let text = fs::read_to_string(&file).unwrap();
        for link in links(&text) {
            let target = file.parent().unwrap().join(link.split('#').next().unwrap());
            assert!(target.exists(), "{}: {link}", file.display());
        }
    }
}

#[test]
fn the_summary_names_every_chapter_once() {
    let summary = root().join("docs/src/SUMMARY.md");
    let text = fs::read_to_string(&summary).unwrap();
    let mut named = links(&text);
    named.sort_unstable();
    let chapters = chapters().into_iter().filter(|file| *file != summary);
    let there: Vec<String> =
        chapters.map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(named, there);
}
