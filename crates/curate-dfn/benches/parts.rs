//! Times what lies before a network, for a benchmark. Prints the seconds of every repeat as JSON.
//!
//! - `cargo run --release -p curate-dfn --example parts -- tokens FILE REPEATS`: the tokens of each
//!   line, on the threads of `RAYON_NUM_THREADS`, at most 64 lines at a time.
//! - `... -- images FOLDER REPEATS`: decodes each file of the folder and resizes and cuts it to 224
//!   pixels as open_clip does, on one thread. Writes the bytes to `FOLDER.bytes`.

#![allow(clippy::print_stdout, reason = "a program for a benchmark")]

use std::{error::Error, fs, path::Path, time::Instant};

use curate_dfn::{
    OpenClipConfig, Tokenizer, Transform,
    image::{Limits, decode},
};
use rayon::prelude::*;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, what, path, repeats] = &args[..] else {
        return Err("give tokens or images, a path and the repeats".into());
    };
    let repeats = repeats.parse()?;
    let seconds = match what.as_str() {
        "tokens" => tokens(Path::new(path), repeats)?,
        "images" => images(Path::new(path), repeats)?,
        other => return Err(format!("{other} is neither tokens nor images").into()),
    };
    println!("{}", serde_json::to_string(&seconds)?);
    Ok(())
}

fn tokens(file: &Path, repeats: usize) -> Result<Vec<f64>, Box<dyn Error>> {
    let text = fs::read_to_string(file)?;
    let lines: Vec<&str> = text.lines().collect();
    let tokenizer = Tokenizer::default();
    let run = || -> Vec<Vec<u32>> {
        lines
            .par_chunks(64)
            .flat_map_iter(|lines| lines.iter().map(|line| tokenizer.tokens(line, 77)))
            .collect()
    };
    let (seconds, tokens) = timed(repeats, run);
    fs::write(file.with_extension("ours.json"), serde_json::to_vec(&tokens)?)?;
    Ok(seconds)
}

fn images(folder: &Path, repeats: usize) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut paths: Vec<_> =
        fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    paths.sort();
    let files: Vec<Vec<u8>> = paths.iter().map(fs::read).collect::<Result<_, _>>()?;
    let config = OpenClipConfig::named("ViT-B-32").ok_or("a name of open_clip's")?;
    let transform = Transform::new(&config.preprocess_cfg, 224);
    let run = || -> Vec<Vec<u8>> {
        let decoded = files.iter().filter_map(|file| decode(file, Limits::default()).ok());
        decoded.filter_map(|image| transform.bytes(&image).ok()).collect()
    };
    let (seconds, bytes) = timed(repeats, run);
    fs::write(folder.with_extension("bytes"), bytes.concat())?;
    Ok(seconds)
}

fn timed<T>(repeats: usize, run: impl Fn() -> T) -> (Vec<f64>, T) {
    let mut result = run();
    let mut seconds = Vec::new();
    for _ in 0..repeats {
        let start = Instant::now();
        result = run();
        seconds.push(start.elapsed().as_secs_f64());
    }
    (seconds, result)
}
