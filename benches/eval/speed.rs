//! Times a training of each of curate-eval's models: `speed MODEL STEPS` prints the seconds of every step
//! and its loss. `run.py` beside it calls it.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for the command line")]

use curate_core::{Progress, SampleId, random};
use curate_eval::{ClassifierParams, Labeled, Pairs, ProbeParams};
use ndarray::Array2;
use serde_json::json;
use std::sync::Mutex;
use std::time::Instant;

/// Samples, numbers of a feature, classes; the same in `run.py`.
const SAMPLES: usize = 8192;
const WIDTH: usize = 512;
const CLASSES: usize = 100;
const SIDE: usize = 32;

/// When steps ended, and their losses.
#[derive(Default)]
struct Clock(Mutex<(Vec<Instant>, Vec<f64>)>);

impl Progress for Clock {
    fn start(&self, _task: &str, _total: u64, _unit: &str) {}

    fn advance(&self, _by: u64) {
        self.0.lock().unwrap().0.push(Instant::now());
    }

    fn metric(&self, _name: &str, value: f64) {
        self.0.lock().unwrap().1.push(value);
    }
}

fn table(name: &str, rows: usize, width: usize) -> Array2<f32> {
    let seed = random::derive(0, name);
    Array2::from_shape_fn((rows, width), |(i, j)| {
        random::unit(seed, SampleId((i * width + j) as u128)) as f32 - 0.5
    })
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [model, steps] = &words[..] else { panic!("give the model and the steps") };
    let steps: usize = steps.parse().unwrap();
    let clock = Clock::default();
    let rows: Vec<usize> = (0..SAMPLES).collect();
    if model == "projections" {
        let (images, texts) = (table("images", SAMPLES, WIDTH), table("texts", SAMPLES, WIDTH));
        let data = Pairs { images: &images, texts: &texts };
        let pairs: Vec<(usize, usize)> = rows.iter().map(|&row| (row, row)).collect();
        let probe = ProbeParams::new().steps(steps).batch(512).hidden(256).dim(128);
        probe.check().unwrap().run(&data, &pairs, &clock).unwrap();
    } else {
        let (params, width) = match model.as_str() {
            "mlp" => (ClassifierParams::mlp(256).batch(512), WIDTH),
            "cnn" => (ClassifierParams::cnn(16).batch(128), 3 * SIDE * SIDE),
            other => panic!("no model is called {other}"),
        };
        let features = table("images", SAMPLES, width);
        let class: Vec<usize> = rows.iter().map(|row| row % CLASSES).collect();
        let data = Labeled { features: &features, class: &class, classes: CLASSES };
        params.steps(steps).check().unwrap().run(&data, &rows, &clock).unwrap();
    }
    let (ends, losses) = clock.0.into_inner().unwrap();
    let seconds: Vec<f64> = ends.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    println!("{}", json!({"seconds": seconds, "losses": losses}));
}
