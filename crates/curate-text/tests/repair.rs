//! Text repair against ftfy 6.3.1.

#![allow(clippy::unwrap_used, reason = "tests")]

use curate_text::repair::fix_text;
use proptest::prelude::*;

/// The bundled cases, or those of `repair_golden.py --out DIR` where `CURATE_FUZZ_DIR` names DIR.
fn cases() -> String {
    match std::env::var_os("CURATE_FUZZ_DIR") {
        Some(dir) => {
            std::fs::read_to_string(std::path::Path::new(&dir).join("repair_golden.jsonl")).unwrap()
        }
        None => include_str!("data/repair_golden.jsonl").to_owned(),
    }
}

#[test]
fn every_broken_caption_becomes_what_ftfy_makes_of_it() {
    let cases = cases();
    let mut wrong = Vec::new();
    for line in cases.lines() {
        let (text, fixed): (String, String) = serde_json::from_str(line).unwrap();
        let ours = fix_text(&text);
        if ours != fixed {
            wrong.push(format!("{text:?}: {ours:?}, but ftfy: {fixed:?}"));
        }
    }
    let (count, all) = (wrong.len(), cases.lines().count());
    wrong.truncate(10);
    assert!(wrong.is_empty(), "{count} of {all} differ:\n{}", wrong.join("\n"));
}

#[test]
fn what_older_versions_left_broken_is_mended() {
    for (broken, fixed) in [
        ("Ä°stanbul", "İstanbul"),
        ("RÄ«ga", "Rīga"),
        ("Å“uvre", "œuvre"),
        ("itā€™s fine", "it's fine"),
    ] {
        assert_eq!(fix_text(broken), fixed);
    }
}

#[test]
fn long_texts_end_soon() {
    for text in [
        format!("a{}", "é".repeat(500_000)),
        format!("&{}lt;", "amp;".repeat(300_000)),
        "Ã".repeat(400_000),
        "â€™".repeat(200_000),
        format!("a{}", "\u{301}\u{323}".repeat(200_000)),
        format!("&{}lt;\n", "amp;".repeat(4000)).repeat(60),
        format!("{}\n", "Ãƒ".repeat(2000)).repeat(100),
    ] {
        assert!(!fix_text(&text).is_empty());
    }
}

proptest! {
    #[test]
    fn no_text_is_too_much(text in "(\\PC|[\u{80}-\u{ff}&#;<\n]){0,200}") {
        fix_text(&text);
    }
}
