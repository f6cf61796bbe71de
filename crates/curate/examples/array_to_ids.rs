//! An `ndarray` matrix and ids in, the ids worth training on out.

#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use curate::prelude::*;
use ndarray::Array2;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Embeddings of 300 samples, each with a near copy, and one that a broken image left behind.
    let angle = |i: usize| (i / 2) as f32 * 0.02 + (i % 2) as f32 * 1e-3;
    let mut vectors = Array2::from_shape_fn((600, 2), |(i, t)| [angle(i).cos(), angle(i).sin()][t]);
    vectors[[17, 0]] = f32::NAN;
    let ids: Vec<SampleId> = (0..600_u64).map(|i| SampleId::from(10_000 + i)).collect();

    let given = Given { ids: Some(&ids), ..Given::default() };
    let rows = Rows::read(&vectors, given, &NoProgress)?;
    let dedup = SemanticDedupParams::new().clusters(8).check()?;
    let duplicates = dedup.run(&rows, &NoProgress)?;
    let cut = Cut::Epsilon(1e-5);
    let kept = duplicates.select(cut)?;

    println!("{} of {} rows stay", kept.len(), rows.given().len());
    for removal in duplicates.removals(cut)?.iter().take(3) {
        println!("{removal}");
    }
    let kept_ids = rows.ids(&kept)?;
    println!("first ids: {:?}", &kept_ids[..2]);
    assert!(kept.len() > 290 && kept.len() < 330 && !kept.contains(17), "{}", kept.len());
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("the example as it is shown");
}
