//! Text repair against ftfy 6.3.1, 6.2.3 and 6.1.3.

#![allow(clippy::unwrap_used, reason = "tests")]

use curate_text::repair::{Ftfy, fix_text};
use proptest::prelude::*;

/// The bundled cases of a version, or those of `repair_golden.py --out DIR` where `CURATE_FUZZ_DIR` names
/// DIR; a version that is not there has none.
fn cases(ftfy: Ftfy) -> String {
    let (name, bundled) = match ftfy {
        Ftfy::V6_1 => ("repair_golden_6.1.jsonl", include_str!("data/repair_golden_6.1.jsonl")),
        Ftfy::V6_2 => ("repair_golden_6.2.jsonl", include_str!("data/repair_golden_6.2.jsonl")),
        Ftfy::V6_3 => ("repair_golden.jsonl", include_str!("data/repair_golden.jsonl")),
    };
    match std::env::var_os("CURATE_FUZZ_DIR") {
        Some(dir) => {
            std::fs::read_to_string(std::path::Path::new(&dir).join(name)).unwrap_or_default()
        }
        None => bundled.to_owned(),
    }
}

#[test]
fn every_broken_caption_becomes_what_ftfy_makes_of_it() {
    let mut wrong = Vec::new();
    let mut all = 0;
    for ftfy in Ftfy::ALL {
        for line in cases(ftfy).lines() {
            let (text, fixed): (String, String) = serde_json::from_str(line).unwrap();
            let ours = ftfy.fix_text(&text);
            all += 1;
            if ours != fixed {
                wrong.push(format!("{text:?}: {ours:?}, but {ftfy:?}: {fixed:?}"));
            }
        }
    }
    let count = wrong.len();
    wrong.truncate(10);
    assert!(all > 0, "no cases");
    assert!(wrong.is_empty(), "{count} of {all} differ:\n{}", wrong.join("\n"));
}

#[test]
fn versions_are_found_by_their_names() {
    for ftfy in Ftfy::ALL {
        assert_eq!(ftfy.name().parse(), Ok(ftfy));
        assert_eq!(ftfy.name(), format!("ftfy-{}", ftfy.release().rsplit_once('.').unwrap().0));
    }
    let error = "ftfy".parse::<Ftfy>().unwrap_err();
    assert!(error.contains("`ftfy`; there are ftfy-6.1, ftfy-6.2, ftfy-6.3"), "{error}");
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
        assert_eq!(Ftfy::V6_2.fix_text(broken), broken.replace('’', "'").replace('“', "\""));
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
