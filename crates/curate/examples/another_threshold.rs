//! One search, then any threshold, fraction or count at no cost.

#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use curate::prelude::*;
use ndarray::Array2;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let angle = |i: usize| (i * i % 997) as f32 * 0.006;
    let vectors = Array2::from_shape_fn((1_000, 2), |(i, t)| [angle(i).cos(), angle(i).sin()][t]);
    let rows = Rows::new(&vectors)?;
    let duplicates = SemanticDedupParams::new().check()?.run(&rows, &NoProgress)?;

    let mut before = usize::MAX;
    for epsilon in [0.0001, 0.001, 0.01, 0.1] {
        let kept = duplicates.select(Cut::Epsilon(epsilon))?.len();
        println!("epsilon {epsilon}: {kept} rows stay");
        assert!(kept <= before, "a larger epsilon keeps fewer");
        before = kept;
    }
    // An exact size, and the epsilon that it amounts to.
    let outcome = duplicates.outcome(Cut::Top(400))?;
    let epsilon = 1.0 - outcome.threshold.unwrap_or(1.0);
    println!("400 rows are kept by epsilon {epsilon:.6}");
    assert_eq!(outcome.kept.len(), 400);
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("the example as it is shown");
}
