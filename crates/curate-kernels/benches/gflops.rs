//! GFLOP/s of the kernels on one thread, beside the machine's peak of fused multiply-adds:
//! `cargo bench -p curate-kernels --bench gflops -- [SECONDS-EACH]`.
//!
//! Prints one JSON object. `CURATE_INSTRUCTIONS=avx2` measures the path of other machines.

#![allow(clippy::print_stdout, reason = "a program for a benchmark")]

use std::time::Instant;

use curate_kernels::{
    Centroids, Instructions, Int8Matrix, Matrix, Nearest, Then, instructions, max_earlier,
};

/// Rows, inputs and outputs: the layers of ViT-B/32 at batch 32, a square, an attention head.
const PRODUCTS: [(&str, [usize; 3]); 6] = [
    ("in_proj", [192, 768, 2304]),
    ("out_proj", [192, 768, 768]),
    ("c_fc", [192, 768, 3072]),
    ("c_proj", [192, 3072, 768]),
    ("square", [1024, 1024, 1024]),
    ("head", [50, 64, 50]),
];

fn main() {
    let seconds = std::env::args()
        .skip(1)
        .find(|arg| arg != "--bench")
        .and_then(|s| s.parse().ok())
        .unwrap_or(0.5);
    println!("{{\"instructions\": \"{:?}\",", instructions());
    println!(
        " \"peak\": {:.1},",
        rate(seconds, peak(1), || {
            std::hint::black_box(peak(ROUNDS));
        }) * ROUNDS as f64
    );
    for (name, [n, inputs, outputs]) in PRODUCTS {
        let (rows, weight) = (numbers(n * inputs), numbers(inputs * outputs));
        let matrix = Matrix::linear(&weight, inputs);
        let mut out = vec![0.0; n * outputs];
        let flops = 2.0 * (n * inputs * outputs) as f64;
        let found = rate(seconds, flops, || matrix.multiply(&rows, Then::Store, &mut out));
        println!(" \"multiply_{name}\": {found:.1},");
        let near = Int8Matrix::new(&matrix);
        let found = rate(seconds, flops, || near.multiply(&rows, Then::Store, &mut out));
        println!(" \"int8_{name}\": {found:.1},");
        if name == "head" {
            let found = rate(seconds, flops, || drop(Matrix::linear(&weight, inputs)));
            println!(" \"pack_{name}\": {found:.1},");
        }
    }
    let (rows, centroids) = (numbers(1200 * 512), numbers(1024 * 512));
    let search = Centroids::new(&centroids, 512, None);
    let mut nearest = vec![Nearest::default(); 1200];
    let flops = 2.0 * (1200 * 1024 * 512) as f64;
    println!(" \"nearest\": {:.1},", rate(seconds, flops, || search.nearest(&rows, &mut nearest)));
    let flops = (2400.0 * 2400.0) * 512.0;
    let rows = numbers(2400 * 512);
    println!(" \"max_earlier\": {:.1}}}", rate(seconds, flops, || drop(max_earlier(&rows, 512))));
}

/// The best rate of many repeats, in GFLOP/s.
fn rate(seconds: f64, flops: f64, mut work: impl FnMut()) -> f64 {
    work();
    let (start, mut best) = (Instant::now(), f64::INFINITY);
    while start.elapsed().as_secs_f64() < seconds {
        let turn = Instant::now();
        work();
        best = best.min(turn.elapsed().as_secs_f64());
    }
    flops / best / 1e9
}

fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919) % 1013) as f32 / 1013.0 - 0.5).collect()
}

/// Rounds of one measurement of the peak.
const ROUNDS: usize = 1_000_000;
/// Chains side by side: more than the latency times the units of any current core.
const CHAINS: usize = 12;

/// Rounds of fused multiply-adds that wait for nothing but the round before, and their number.
#[allow(unsafe_code)]
fn peak(rounds: usize) -> f64 {
    match instructions() {
        // SAFETY: `instructions` found them on this machine.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => unsafe { x86::peak_avx512(rounds) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => unsafe { x86::peak_avx2(rounds) },
        _ => 0.0,
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::CHAINS;

    #[target_feature(enable = "avx512f")]
    pub(super) fn peak_avx512(rounds: usize) -> f64 {
        let factor = _mm512_set1_ps(std::hint::black_box(0.999));
        let mut chains = [factor; CHAINS];
        for _ in 0..rounds {
            for chain in &mut chains {
                *chain = _mm512_fmadd_ps(factor, *chain, factor);
            }
        }
        std::hint::black_box(chains.map(|chain| _mm512_cvtss_f32(chain)));
        (2 * 16 * CHAINS * rounds) as f64
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn peak_avx2(rounds: usize) -> f64 {
        let factor = _mm256_set1_ps(std::hint::black_box(0.999));
        let mut chains = [factor; CHAINS];
        for _ in 0..rounds {
            for chain in &mut chains {
                *chain = _mm256_fmadd_ps(factor, *chain, factor);
            }
        }
        std::hint::black_box(chains.map(|chain| _mm256_cvtss_f32(chain)));
        (2 * 8 * CHAINS * rounds) as f64
    }
}
