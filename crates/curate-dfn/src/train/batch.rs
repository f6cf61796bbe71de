//! Where pairs come from.

use curate_core::{ParamsError, SampleId, params::Checker, random};
use curate_io::{IoError, Kind, Pool, Sample, digest};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Tokenizer, Transform,
    image::{Gate, ImageError, Limits, Region, Rgb, decode_through},
    network::check_templates,
    train::Augment,
};

/// A pair as the network takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// `3 x size x size` numbers.
    pub pixels: Vec<f32>,
    /// `context_length` tokens.
    pub tokens: Vec<u32>,
}

/// Pairs of a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The ids.
    pub ids: Vec<SampleId>,
    /// The images, one after the other.
    pub pixels: Vec<f32>,
    /// The texts, one after the other.
    pub tokens: Vec<u32>,
    /// Pairs that were asked for and could not be read.
    pub bad: usize,
}

/// A set of pairs to train on.
pub trait Pairs: Sync {
    /// How many there are.
    fn len(&self) -> usize;

    /// True when there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What tells these pairs from others: a checkpoint of other pairs is not gone on from. Empty
    /// where nothing does.
    fn fingerprint(&self) -> String {
        String::new()
    }

    /// The pairs at these places. `seed` decides how the images are changed; the same seed and
    /// places give the same batch. Pairs that cannot be used are left out and counted.
    ///
    /// # Errors
    /// When the pairs cannot be read at all.
    fn batch(&self, rows: &[usize], seed: u64) -> Result<Batch, IoError>;
}

/// Captions made of class names, as the DFN paper makes them of ImageNet's for fine-tuning: the
/// label is put for `{}` in a template, which the seed draws anew for every epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captions {
    /// The column that holds a sample's class name. A sample without keeps its own caption, so that
    /// one pool can hold labeled and captioned images.
    pub column: String,
    /// Texts with `{}` in them.
    pub templates: Vec<String>,
}

impl Captions {
    /// Every template without `{}`.
    ///
    /// # Errors
    /// When one is, or there is none.
    pub fn check(&self) -> Result<(), ParamsError> {
        check_templates(&self.templates)
    }

    fn of(&self, sample: &Sample, seed: u64) -> Option<String> {
        let label = sample.fields.get(&self.column).filter(|label| !label.is_empty())?;
        let draw = random::hash(random::derive(seed, "template"), sample.id);
        let template = &self.templates[(draw % self.templates.len() as u64) as usize];
        Some(template.replace("{}", label))
    }
}

/// Pairs of a pool, decoded when they are asked for.
pub struct PoolPairs<'a> {
    pool: &'a Pool,
    rows: Vec<usize>,
    transform: Transform,
    tokenizer: Tokenizer,
    context: usize,
    augment: Option<Augment>,
    captions: Option<Captions>,
    limits: Limits,
}

impl<'a> PoolPairs<'a> {
    /// The pairs at these rows of a pool.
    ///
    /// # Errors
    /// When a row is beyond the pool.
    pub fn new(
        pool: &'a Pool,
        rows: Vec<usize>,
        transform: Transform,
        tokenizer: Tokenizer,
        context: usize,
        augment: Option<Augment>,
    ) -> Result<Self, ParamsError> {
        let mut check = Checker::default();
        if let Some(row) = rows.iter().find(|&&row| row >= pool.len()) {
            check.that(false, "rows", row, "a row of the pool");
        }
        check.finish()?;
        let limits = Limits::default();
        Ok(Self { pool, rows, transform, tokenizer, context, augment, captions: None, limits })
    }

    /// Makes captions of class names.
    ///
    /// # Errors
    /// When there is no template, or one has no `{}`.
    pub fn with_captions(mut self, captions: Captions) -> Result<Self, ParamsError> {
        captions.check()?;
        self.captions = Some(captions);
        Ok(self)
    }

    fn pixels(&self, file: &[u8], id: SampleId, seed: u64) -> Result<Vec<f32>, ImageError> {
        let Some(augment) = self.augment else { return self.transform.apply(file) };
        let mut gate = Gate::new(self.limits);
        let image = decode_through(&mut gate, file)?.rgb;
        let cut = random_crop(&image, augment, random::derive(seed, "crop"), id);
        let mut pixels = self.transform.crop(&image, cut);
        if augment.flip && random::unit(random::derive(seed, "flip"), id) < 0.5 {
            pixels.chunks_exact_mut(self.transform.size()).for_each(<[f32]>::reverse);
        }
        Ok(pixels)
    }
}

impl Pairs for PoolPairs<'_> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn fingerprint(&self) -> String {
        let mut bytes = serde_json::to_vec(&self.captions).expect("captions are JSON");
        bytes.extend(self.rows.iter().flat_map(|&row| self.pool.ids()[row].0.to_le_bytes()));
        digest::of_bytes(&bytes)
    }

    fn batch(&self, rows: &[usize], seed: u64) -> Result<Batch, IoError> {
        let beyond = |row: usize| {
            let problem = format!("pair {row} of {} was asked for", self.rows.len());
            IoError::new(Kind::NotFound, self.pool.path(), problem, "count pairs from 0")
        };
        let row = |&place: &usize| self.rows.get(place).copied().ok_or_else(|| beyond(place));
        let rows = rows.iter().map(row).collect::<Result<Vec<usize>, IoError>>()?;
        let samples = self.pool.samples_with_images(&rows)?;
        let pairs: Vec<Option<(SampleId, Pair)>> = samples
            .into_par_iter()
            .map(|sample| {
                let made = self.captions.as_ref().and_then(|captions| captions.of(&sample, seed));
                let caption = made.or(sample.caption)?;
                let pixels = self.pixels(&sample.image?, sample.id, seed).ok()?;
                let tokens = self.tokenizer.tokens(&caption, self.context);
                Some((sample.id, Pair { pixels, tokens }))
            })
            .collect();
        let mut batch = Batch::default();
        for pair in pairs {
            let Some((id, pair)) = pair else {
                batch.bad += 1;
                continue;
            };
            batch.ids.push(id);
            batch.pixels.extend(pair.pixels);
            batch.tokens.extend(pair.tokens);
        }
        Ok(batch)
    }
}

/// A crop of a random share of the area and random proportions, as torchvision's
/// `RandomResizedCrop` draws it; where ten draws do not fit the image, the largest centerd crop of
/// allowed proportions.
fn random_crop(image: &Rgb, augment: Augment, seed: u64, id: SampleId) -> Region {
    let (w, h) = (image.width as f64, image.height as f64);
    let draw = |n: u64| random::unit(seed.wrapping_add(n), id);
    for attempt in 0..10 {
        let n = attempt * 4;
        let area = w * h * (augment.scale + (1.0 - augment.scale) * draw(n));
        let ratio = augment.ratio.powf(2.0 * draw(n + 1) - 1.0);
        let (width, height) = ((area * ratio).sqrt().round(), (area / ratio).sqrt().round());
        if (1.0..=w).contains(&width) && (1.0..=h).contains(&height) {
            let left = (draw(n + 2) * (w - width + 1.0)) as usize;
            let top = (draw(n + 3) * (h - height + 1.0)) as usize;
            return Region { left, top, width: width as usize, height: height as usize };
        }
    }
    let width = w.min((h * augment.ratio).round()).max(1.0) as usize;
    let height = h.min((w * augment.ratio).round()).max(1.0) as usize;
    let (left, top) = ((image.width - width) / 2, (image.height - height) / 2);
    Region { left, top, width, height }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_lie_inside_and_keep_most_of_the_area() {
        for (width, height) in [(1, 1), (2, 300), (300, 2), (64, 48), (7, 7)] {
            let image = Rgb { width, height, bytes: vec![0; width * height * 3] };
            for i in 0..200 {
                let cut = random_crop(&image, Augment::default(), 3, SampleId(i));
                assert!(cut.width > 0 && cut.height > 0);
                assert!(cut.left + cut.width <= width && cut.top + cut.height <= height);
                if width == 64 {
                    let share = (cut.width * cut.height) as f64 / (64.0 * 48.0);
                    assert!(share > 0.86, "{share}");
                }
            }
        }
    }

    #[test]
    fn crops_differ_by_sample_and_repeat_by_seed() {
        let image = Rgb { width: 64, height: 48, bytes: vec![0; 64 * 48 * 3] };
        let cut = |seed, id| random_crop(&image, Augment::default(), seed, SampleId(id));
        assert_eq!(cut(1, 5), cut(1, 5));
        let all: std::collections::HashSet<_> =
            (0..50).map(|id| (cut(1, id).left, cut(1, id).top, cut(1, id).width)).collect();
        assert!(all.len() > 10);
    }
}
