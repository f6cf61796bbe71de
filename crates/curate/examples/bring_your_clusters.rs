//! Cluster once, then deduplicate and prune on the same clusters.

#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use curate::{dedup, prelude::*, prune};
use ndarray::Array2;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let angle = |i: usize| (i % 6) as f32 + (i as f32 * 0.7).sin() * (i % 6) as f32 * 0.05;
    let vectors = Array2::from_shape_fn((900, 2), |(i, t)| [angle(i).cos(), angle(i).sin()][t]);
    let rows = Rows::new(&vectors)?;
    let clusters = KMeansParams::new(6).seed(3).check()?.run(&rows, &NoProgress)?;
    println!("{} clusters of {:?} rows", clusters.k(), clusters.sizes());

    let inputs = dedup::Inputs { clusters: Some(&clusters), ..Default::default() };
    let duplicates = SemanticDedupParams::new().check()?.run_with(&rows, inputs, &NoProgress)?;
    let kept = duplicates.select(Cut::Fraction(0.5))?;

    // The clusters with the rows that are left.
    let inputs = prune::Inputs { clusters: Some(&clusters), ..Default::default() };
    let left = rows.only(&kept)?;
    let concepts = ConceptPruneParams::paper().check()?.run_with(&left, inputs, &NoProgress)?;
    let pruned = concepts.prune(Cut::Top(200))?;
    println!("each cluster keeps {:?}", pruned.counts);
    assert_eq!((kept.len(), pruned.kept.len()), (450, 200));
    assert_eq!(pruned.counts.iter().sum::<usize>(), 200);
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("the example as it is shown");
}
