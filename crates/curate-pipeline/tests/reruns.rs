//! Another cut of one stage, with the stages after it carried out again.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::fs;

use common::{STAGES, go, kept, recipe, results, rows, write_pool};
use curate_core::{Cut, NoProgress};
use curate_pipeline::reselect::{Rerun, rerun, reselect};

/// Rows lost and gained make the difference to the run.
fn adds_up(found: &Rerun) -> bool {
    let sum = |counts: &std::collections::BTreeMap<String, usize>| counts.values().sum::<usize>();
    found.before - sum(&found.lost) + sum(&found.gained) == found.kept.len()
}

#[test]
fn it_keeps_what_a_run_with_that_cut_keeps_and_leaves_the_run_as_it_is() {
    let (pool, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_pool(pool.path(), &rows(300), 120);
    go(&recipe(pool.path(), STAGES), out.path()).unwrap();
    let before = results(out.path());
    for epsilon in [0.001, 0.05, 0.3] {
        let fresh = tempfile::tempdir().unwrap();
        let stages = STAGES.replace("epsilon = 0.05", &format!("epsilon = {epsilon}"));
        go(&recipe(pool.path(), &stages), fresh.path()).unwrap();
        let found = rerun(out.path(), None, Cut::Epsilon(epsilon), &NoProgress).unwrap();
        assert_eq!(found.ids, kept(fresh.path()), "{epsilon}");
        assert!(adds_up(&found), "{found:?}");
        assert_eq!((found.later.len(), found.later[0].0.as_str()), (1, "prune"));
        let alone = reselect(out.path(), None, Cut::Epsilon(epsilon)).unwrap();
        assert_eq!(found.cut, alone);
        assert!(found.kept.len() < alone.kept.len(), "pruning takes part");
        let same = epsilon == 0.05;
        assert_eq!(found.lost.is_empty() && found.gained.is_empty(), same, "{found:?}");
    }
    let found = rerun(out.path(), Some("fraction"), Cut::Fraction(0.3), &NoProgress).unwrap();
    let fresh = tempfile::tempdir().unwrap();
    let stages = STAGES.replace("fraction = 0.8", "fraction = 0.3");
    go(&recipe(pool.path(), &stages), fresh.path()).unwrap();
    assert_eq!(found.ids, kept(fresh.path()));
    assert!(adds_up(&found) && found.lost.contains_key("fraction"), "{found:?}");
    assert_eq!(results(out.path()), before);
}

/// The number that a tile of the report shows.
fn tile(page: &str, label: &str) -> usize {
    let after = page.split(&format!("<dt>{label}</dt><dd><b>")).nth(1).unwrap();
    let digits = after.split("</b>").next().unwrap().replace(',', "");
    digits.parse().unwrap_or_else(|_| panic!("{label}: {digits}"))
}

#[test]
fn the_numbers_at_the_top_of_the_report_add_up() {
    let (pool, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut rows = rows(300);
    rows[7].vector[0] = f32::NAN;
    rows[9].id = rows[8].id;
    write_pool(pool.path(), &rows, 120);
    let dedup = "[[stage]]\nkind = \"semantic-dedup\"\nembedding = \"img\"\nclusters = 5\n\
                 epsilon = 0.05";
    go(&recipe(pool.path(), dedup), out.path()).unwrap();
    let page = fs::read_to_string(out.path().join("report.html")).unwrap();
    let [all, kept, removed, quarantined] =
        ["rows in the pool", "kept", "removed", "quarantined"].map(|label| tile(&page, label));
    assert_eq!((all, quarantined), (300, 2));
    assert_eq!(kept + removed + quarantined, all);
}
