//! Every kind of image file against the pixels that Pillow has, in `data/images.tar.gz`, which
//! `data/make_images.py` makes. With `CURATE_FUZZ_DIR` also those of a longer run of that script.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeMap, env, fs::File, io::Read, path::Path};

use curate_dfn::image::{Decoded, ImageError, Limits, decode};
use flate2::read::GzDecoder;

/// What Pillow makes of a file: its size and bytes, or nothing.
type Seen = Option<(usize, usize, Vec<u8>)>;

/// Counts of a kind of file.
#[derive(Debug, Default)]
struct Tally {
    cases: usize,
    same: usize,
    close: usize,
    worst: u8,
    refused: usize,
    pillow_refuses: usize,
    wrong: Vec<String>,
}

#[test]
fn experiment() {
    let dir = env::var("CURATE_FUZZ_DIR").unwrap();
    for (kind, tally) in run(&Path::new(&dir).join("images.tar.gz")) {
        println!(
            "{kind}: {} cases, {} same, {} close (worst {}), {} refused by us, {} by Pillow only",
            tally.cases, tally.same, tally.close, tally.worst, tally.refused, tally.pillow_refuses
        );
        for wrong in tally.wrong.iter().take(25) {
            println!("    {wrong}");
        }
        println!("    {} wrong", tally.wrong.len());
    }
}

fn run(path: &Path) -> BTreeMap<String, Tally> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(path).unwrap()));
    let mut tallies = BTreeMap::<String, Tally>::new();
    let mut file = vec![];
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        let mut content = vec![];
        entry.read_to_end(&mut content).unwrap();
        if !name.ends_with(".pillow") {
            file = content;
            continue;
        }
        let kind = name.split('/').next().unwrap();
        let tally = tallies.entry(kind.to_owned()).or_default();
        judge(&name, &decode(&file, Limits { pixels: 1 << 24 }), &seen(&content), tally);
    }
    tallies
}

fn seen(content: &[u8]) -> Seen {
    let line = content.iter().position(|&b| b == b'\n').unwrap();
    let words = std::str::from_utf8(&content[..line]).unwrap_or("error");
    let mut words = words.split(' ').map(str::parse::<usize>);
    let (width, height) = (words.next()?.ok()?, words.next()?.ok()?);
    Some((width, height, content[line + 1..].to_vec()))
}

fn judge(name: &str, ours: &Result<Decoded, ImageError>, pillow: &Seen, tally: &mut Tally) {
    tally.cases += 1;
    match (ours, pillow) {
        (Err(_), None) => tally.refused += 1,
        (Ok(_), None) => tally.pillow_refuses += 1,
        (Err(e), Some(_)) => tally.wrong.push(format!("{name}: {e}")),
        (Ok(ours), Some((width, height, bytes))) => {
            if (ours.rgb.width, ours.rgb.height) != (*width, *height) {
                tally.wrong.push(format!("{name}: another size"));
                return;
            }
            let worst = ours.rgb.bytes.iter().zip(bytes).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            match worst {
                0 => tally.same += 1,
                1..=4 => {
                    tally.close += 1;
                    tally.worst = tally.worst.max(worst);
                }
                _ => {
                    let bad: Vec<_> = (0..width * height).filter(|i| (0..3).any(|c| ours.rgb.bytes[i*3+c].abs_diff(bytes[i*3+c]) > 4)).map(|i| (i % width, i / width)).collect();
                    tally.wrong.push(format!("{name}: {width}x{height} differs by {worst} at {} px {:?}..{:?}", bad.len(), bad[0], bad.last()))
                },
            }
        }
    }
}
