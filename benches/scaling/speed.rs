//! Times `curate-scaling` on the cases of `run.py` and prints them as JSON, in seconds:
//! `cargo bench -p curate-repro --bench scaling`.

#![allow(clippy::print_stdout, reason = "a program for the command line")]

use curate_core::NoProgress;
use curate_repro::scaling::{Given, data_folder, dmsl, grid, linspace, synthetic};
use curate_scaling::law::{AdditiveMixing, Qqt, unit_samples_from_normalizer};
use curate_scaling::{BootstrapParams, FitParams, Loss};
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

/// Median seconds of `repeats` runs.
fn seconds<T>(repeats: usize, mut work: impl FnMut() -> T) -> f64 {
    let mut times: Vec<f64> = (0..repeats)
        .map(|_| {
            let start = Instant::now();
            black_box(work());
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[repeats / 2]
}

fn main() -> Result<(), Box<dyn Error>> {
    let runs = synthetic(data_folder())?;
    let compat = Qqt { compat: true, ..Qqt::default() };
    let shared = FitParams::new(compat).per_pool("b").per_pool("half_life").starts(4);
    let unit_samples = unit_samples_from_normalizer(0.025);
    let given = shared.clone().fix("unit_samples", unit_samples).fix("d", 0.1);
    let (exponents, half_lives) = (linspace(-0.005, -0.5, 100), linspace(1.0, 10.0, 100));
    let held = Given { unit_samples, d: 0.1 };
    let given_fit = given.clone().fit(&runs, &NoProgress)?;
    let shared_fit = shared.clone().fit(&runs, &NoProgress)?;
    let corrected = FitParams::new(Qqt::default()).per_pool("b").per_pool("half_life");
    let corrected_fit = corrected.fit(&runs, &NoProgress)?;

    let mixtures = dmsl(data_folder())?;
    let small = mixtures.filter(|row| row.parameters.is_some_and(|n| n < 4e8));
    let additive =
        FitParams::new(AdditiveMixing { domains: 7 }).loss(Loss::Huber { delta: 1e-2 }).starts(8);
    let additive_fit = additive.clone().fit(&small, &NoProgress)?;

    let report = serde_json::json!({
        "threads": rayon::current_num_threads(),
        "qqt_grid": seconds(21, || grid(&compat, &runs, held, &exponents, &half_lives)),
        "qqt_given_4_starts": seconds(101, || given.clone().fit(&runs, &NoProgress)),
        "qqt_given_sse": given_fit.objective(),
        "qqt_shared_4_starts": seconds(101, || shared.clone().fit(&runs, &NoProgress)),
        "qqt_shared_sse": shared_fit.objective(),
        "qqt_bootstrap_4000": seconds(5, || {
            BootstrapParams::default().draws(4000).run(&corrected_fit, &runs, &NoProgress)
        }),
        "dmsl_8_starts": seconds(7, || additive.clone().fit(&small, &NoProgress)),
        "dmsl_objective": additive_fit.objective(),
    });
    println!("{report}");
    Ok(())
}
