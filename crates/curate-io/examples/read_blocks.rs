//! Reads the embedding NAME of the pool PATH in blocks, as methods do, and prints the seconds, the
//! rows and the sum of all numbers. Half of `benches/io/run.py`.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement that talks to its user"
)]

use std::{env, path::PathBuf, time::Instant};

use curate_core::{BLOCK_ROWS, EmbeddingSource, NoProgress};
use curate_io::{Pool, PoolOptions};

fn main() {
    let [path, name]: [String; 2] =
        env::args().skip(1).collect::<Vec<_>>().try_into().expect("PATH NAME");
    let pool = Pool::open(&PathBuf::from(path), PoolOptions::default(), &NoProgress).unwrap();
    let start = Instant::now();
    let embedding = pool.embedding(&name).unwrap();
    let mut block = vec![0.0; BLOCK_ROWS * embedding.dim()];
    let mut last = 0.0;
    for first in (0..embedding.rows()).step_by(BLOCK_ROWS) {
        let rows = first..embedding.rows().min(first + BLOCK_ROWS);
        let numbers = &mut block[..rows.len() * embedding.dim()];
        embedding.read(rows, numbers).unwrap();
        last = f64::from(numbers[numbers.len() - 1]);
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{{\"seconds\": {seconds}, \"rows\": {}, \"last\": {last}}}", embedding.rows());
}
