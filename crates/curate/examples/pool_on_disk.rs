//! A recipe over a pool on disk: scores, duplicates, evidence, and another threshold afterwards.

#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::path::Path;

use curate::{
    pipeline::{evidence, reselect::reselect, run::Run},
    prelude::*,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The demonstration's pool, a folder in DataComp's layout.
    let pool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/pool");
    let recipe = format!(
        r#"
        [pool]
        path = "{}"

        [[stage]]
        kind = "semantic-dedup"
        embedding = "img"
        epsilon = 0.1
        "#,
        pool.display()
    );
    let recipe = Recipe::parse(&recipe).map_err(|problems| problems.join("; "))?;
    let folder = tempfile::tempdir()?;
    let summary = run(&recipe, folder.path(), RunOptions::default(), &NoProgress)?;
    println!("{} of {} rows stay", summary.kept, summary.rows);

    let finished = Run::open(folder.path(), &NoProgress)?;
    let mut reasons = 0;
    evidence::each(&finished, |reason| {
        println!("{}: {}", reason.stage, reason.removal);
        reasons += 1;
        Ok(())
    })?;
    assert_eq!(reasons, summary.rows - summary.kept);
    let stricter = reselect(folder.path(), None, Cut::Epsilon(0.2))?;
    println!("{} rows would stay at epsilon 0.2", stricter.ids.len());
    assert!(stricter.ids.len() < summary.kept && summary.kept < summary.rows);
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("the example as it is shown");
}
