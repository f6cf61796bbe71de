//! Which pools to train on for a budget, from a table of small training runs.

#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use curate::{
    core::NoProgress,
    scaling::{
        BootstrapParams, FitParams,
        decide::{Candidate, best_pool},
        example_runs,
        law::Qqt,
    },
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Three pools of ten million samples, each trained on for 1 to 8 epochs.
    let runs = example_runs();
    let params = FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life");
    let fit = params.fit(&runs, &NoProgress)?;
    let draws = BootstrapParams::default().draws(100).run(&fit, &runs, &NoProgress)?;

    let pools = Candidate::cumulative(&["good", "fair", "poor"]);
    let mut answers = Vec::new();
    for samples in [1e7, 1.5e8] {
        let answer = best_pool(&fit, &draws, &pools, samples, 0.9)?;
        let best = answer.best();
        println!("{samples:.1e} samples: {} (wins {:.0} %)", best.name, 100.0 * best.wins);
        answers.push(best.name.clone());
    }
    assert_eq!(answers, ["good", "good+fair"], "more compute wants more data");
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("the example as it is shown");
}
