//! What a person asks of a finished run: why a row went, and what another cut would do.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{fs, path::Path};

use curate_core::NoProgress;
use curate_pipeline::{
    RunOptions,
    concepts::{ConceptOrder, concepts},
    explain::explain,
    manifest::Manifest,
    run,
};

use common::{STAGES, recipe, rows, write_pool};

fn finished(pool: &Path, out: &Path, stages: &str) -> String {
    run(&recipe(pool, stages), out, RunOptions::default(), &NoProgress).unwrap();
    fs::read_to_string(out.join("report.html")).unwrap()
}

/// The items of a list in HTML that have a class.
fn cards<'a>(html: &'a str, class: &str) -> Vec<&'a str> {
    let start = format!("<li class=\"card {class}\">");
    html.split(&start).skip(1).map(|rest| rest.split("</li>").next().unwrap()).collect()
}

#[test]
fn every_card_of_a_removed_row_names_the_stage_that_removed_it() {
    let (pool, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_pool(pool.path(), &rows(300), 120);
    let html = finished(pool.path(), out.path(), STAGES);
    let removed = cards(&html, "removed");
    assert!(removed.len() > 20, "{}", removed.len());
    for card in removed {
        assert!(card.contains("removed by "), "{card}");
    }
    // A row that its stage kept and a later one removed says so, too.
    let later = cards(&html, "kept").into_iter().filter(|card| card.contains("removed by "));
    assert!(later.count() > 0);
}

#[test]
fn other_epsilons_of_the_report_agree_with_the_run_and_with_other_runs() {
    let (pool, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_pool(pool.path(), &rows(300), 120);
    let html = finished(pool.path(), out.path(), STAGES);
    let table = html
        .split("aria-label=\"Other epsilons\"")
        .nth(1)
        .unwrap()
        .split("</table>")
        .next()
        .unwrap();
    let counts = |epsilon: &str| -> Vec<usize> {
        let row = table
            .split("<tr>")
            .find(|row| row.contains(&format!(">{epsilon}</bdi></th>")))
            .unwrap();
        let cells = row.split("<td").skip(1).map(|cell| cell.split(['>', '<']).nth(1).unwrap());
        cells.map(|cell| cell.replace(',', "").parse().unwrap()).collect()
    };
    for (name, epsilon) in [("0.05, this run", "0.05"), ("0.2", "0.2")] {
        let other = tempfile::tempdir().unwrap();
        let stages = STAGES.replace("epsilon = 0.05", &format!("epsilon = {epsilon}"));
        finished(pool.path(), other.path(), &stages);
        let manifest = Manifest::read(&other.path().join("manifest.json")).unwrap();
        let dedup = &manifest.stages[2];
        let expected = [
            dedup.rows_out,
            dedup.rows_in - dedup.rows_out,
            manifest.kept,
            manifest.rows - manifest.kept,
        ];
        assert_eq!(counts(name), expected, "{epsilon}");
    }
}

/// Three rows on an arc: the first and second are near, the second and third too, but not the first and
/// third. The scores decide the order.
const CHAIN: &str = r#"
[[stage]]
kind = "score"
column = "score"
[[stage]]
kind = "semantic-dedup"
embedding = "img"
clusters = 1
epsilon = 0.05
prefer-score = "score"
"#;

#[test]
fn a_chain_is_told_link_by_link_and_the_first_of_a_cluster_is_called_so() {
    let (pool, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut arc = rows(3);
    // The order of preference is that of the scores, which follow from the ids.
    let score = |id: u128| curate_core::random::unit(3, curate_core::SampleId(id));
    arc.sort_by(|a, b| score(b.id).total_cmp(&score(a.id)));
    for (row, angle) in arc.iter_mut().zip([0.0_f32, 0.3, 0.6]) {
        row.vector.fill(0.0);
        (row.vector[0], row.vector[1]) = (angle.cos(), angle.sin());
    }
    let ids: Vec<String> =
        arc.iter().map(|row| curate_core::SampleId(row.id).to_string()).collect();
    write_pool(pool.path(), &arc, 120);
    finished(pool.path(), out.path(), CHAIN);
    let step = |id: &str| explain(out.path(), id).unwrap().steps.pop().unwrap();
    let first = step(&ids[0]);
    assert!(first.meaning.unwrap().starts_with("the first of its cluster"));
    assert!(first.related.is_none() && first.removal.is_none());
    let second = step(&ids[1]).related.unwrap();
    assert_eq!((second.nearest.sample.id.to_string(), second.chain.len()), (ids[0].clone(), 0));
    assert_eq!(second.nearest.removed, None);
    let why = second.why.unwrap();
    assert!(
        why.starts_with("has the better score: 0.") && why.contains(", this one's is "),
        "{why}"
    );
    let third = step(&ids[2]).related.unwrap();
    assert_eq!(third.nearest.sample.id.to_string(), ids[1]);
    let fate = "removed by dedup: semantic duplicate";
    assert_eq!(third.nearest.removed.as_deref(), Some(fate));
    let [(similarity, last)] = &third.chain[..] else { panic!("{:?}", third.chain) };
    assert!((similarity - f64::from(0.3_f32.cos())).abs() < 1e-6);
    assert_eq!((last.sample.id.to_string(), &last.removed), (ids[0].clone(), &None));
    let said = explain(out.path(), &ids[2]).unwrap().to_string();
    assert!(
        said.contains(&format!("nearest {}", ids[1])) && said.contains("it went for"),
        "{said}"
    );
}

#[test]
fn concepts_come_in_the_order_asked_for_and_add_up_to_the_stage() {
    let (pool, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_pool(pool.path(), &rows(300), 120);
    finished(pool.path(), out.path(), STAGES);
    let manifest = Manifest::read(&out.path().join("manifest.json")).unwrap();
    let prune = manifest.stages.last().unwrap();
    let found = concepts(out.path(), None, ConceptOrder::Lost).unwrap();
    let sum = |of: fn(&curate_pipeline::concepts::ConceptRow) -> usize| -> usize {
        found.concepts.iter().map(of).sum()
    };
    assert_eq!(sum(|c| c.rows), prune.rows_in);
    assert_eq!(
        (sum(|c| c.kept), sum(|c| c.lost)),
        (prune.rows_out, prune.rows_in - prune.rows_out)
    );
    assert!(found.concepts.windows(2).all(|pair| pair[0].lost >= pair[1].lost));
    let by_share = concepts(out.path(), Some("prune"), ConceptOrder::ShareLost).unwrap();
    assert!(by_share.concepts.windows(2).all(|pair| pair[0].share_lost >= pair[1].share_lost));
    assert!(found.concepts.iter().all(|concept| !concept.words.is_empty()));
    let error = concepts(out.path(), Some("dedup"), ConceptOrder::Rows).unwrap_err().to_string();
    assert!(error.contains("has no stage `dedup` that prunes concepts"), "{error}");
}
