//! Which of two selections teaches a small model more? `cargo run --release -p curate-eval --example probe`.

#![allow(clippy::print_stdout, reason = "a program for the command line")]

use std::error::Error;

use curate_core::{NoProgress, SampleId, random};
use curate_eval::{Pairs, ProbeParams, metrics};
use ndarray::{Array2, s};

/// Rows of the pool, and those behind it that nobody trains on.
const POOL: usize = 200;
const TEST: usize = 50;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let (images, texts) = (features("images"), features("texts"));
    let data = Pairs { images: &images, texts: &texts };
    // Two selections of one size: right pairs, and pairs of which two in three were exchanged.
    let clean: Vec<(usize, usize)> = (0..POOL).map(|row| (row, row)).collect();
    let exchanged = |row: usize| if row.is_multiple_of(3) { row } else { (row + 3) % POOL };
    let noisy: Vec<(usize, usize)> = (0..POOL).map(|row| (row, exchanged(row))).collect();

    let test = s![POOL.., ..];
    let own: Vec<usize> = (0..TEST).map(|row| row % 10).collect();
    let mut accuracy = Vec::new();
    for selection in [&clean, &noisy] {
        // The same model for the same number of samples seen; a few seeds say how much is noise.
        let mut of_seeds = Vec::new();
        for seed in 0..3 {
            let probe =
                ProbeParams::new().hidden(32).dim(16).batch(50).steps(60).seed(seed).check()?;
            let towers = probe.run(&data, selection, &NoProgress)?;
            // The ten concepts are the classes: their texts are the first ten test rows.
            let classes = towers.texts(&texts.slice(s![POOL..POOL + 10, ..]))?;
            let queries = towers.images(&images.slice(test))?;
            of_seeds.extend(metrics::top_1(&queries, &classes, &own, towers.dim())?);
        }
        accuracy.extend(metrics::spread(&of_seeds));
    }
    let [clean, noisy] = accuracy[..] else { return Err("two selections".into()) };
    println!("clean {:.2} ± {:.2}", clean.mean, clean.deviation);
    println!("noisy {:.2} ± {:.2}", noisy.mean, noisy.deviation);
    assert!(clean.mean > noisy.mean + 0.2, "{clean:?} {noisy:?}");
    Ok(())
}

/// Noisy features of ten concepts, one after the other.
fn features(seed: &str) -> Array2<f32> {
    let seed = random::derive(0, seed);
    Array2::from_shape_fn((POOL + TEST, 16), |(row, column)| {
        let noise = random::unit(seed, SampleId((row * 16 + column) as u128)) as f32 - 0.5;
        f32::from(u8::from(row % 10 == column)) + 0.3 * noise
    })
}
