//! open_clip's image transforms.

use crate::{
    config::{Interpolation, PreprocessConfig, ResizeMode},
    image::{
        Decoded, Gate, ImageError, Limits, Mode, Region, Rgb, decode_through,
        resize::{nearest, resize},
    },
};

/// Which pixels are resampled where an image is not plain colors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PixelContract {
    /// Colors first, as open_clip's WebDataset loader, which training and DataComp use.
    #[default]
    RgbFirst,
    /// As PIL opened the image: palettes by the nearest pixel, transparency multiplied in. What a
    /// script gets that hands `Image.open` to open_clip's transform. Where a palette is padded
    /// ([`ResizeMode::Longest`]), the fill is the color, not that entry of the palette.
    AsOpened,
}

/// From image files to the numbers that a network takes: `3 x size x size`, channel after channel.
#[derive(Clone, Debug)]
pub struct Transform {
    config: PreprocessConfig,
    size: usize,
    contract: PixelContract,
    limits: Limits,
    /// For each channel the number of each byte.
    numbers: [[f32; 256]; 3],
}

impl Transform {
    /// The transform of a network with inputs of `size` pixels.
    pub fn new(config: &PreprocessConfig, size: usize) -> Self {
        let number = |c: usize, byte: usize| (byte as f32 / 255.0 - config.mean[c]) / config.std[c];
        Self {
            config: config.clone(),
            size,
            contract: PixelContract::default(),
            limits: Limits::default(),
            numbers: std::array::from_fn(|c| std::array::from_fn(|byte| number(c, byte))),
        }
    }

    /// Which pixels are resampled.
    pub fn with_contract(mut self, contract: PixelContract) -> Self {
        self.contract = contract;
        self
    }

    /// What an image may ask for.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What decides the numbers of an image. The version changes when decoding or resizing does.
    pub(crate) fn identity(&self) -> String {
        let Self { config, size, contract, limits, numbers: _ } = self;
        let config = serde_json::to_string(config).expect("a config is JSON");
        format!("transform 3 {config} {size} {contract:?} {}", limits.pixels)
    }

    /// Edge of the result in pixels.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Numbers of a transformed image: `3 * size * size`.
    pub fn len(&self) -> usize {
        3 * self.size * self.size
    }

    /// Never: a network has inputs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Decodes and transforms an image file.
    ///
    /// # Errors
    /// As [`decode`](super::decode).
    pub fn apply(&self, file: &[u8]) -> Result<Vec<f32>, ImageError> {
        let mut gate = Gate::new(self.limits);
        let image = decode_through(&mut gate, file)?;
        Ok(self.numbers(&self.bytes(&image)?))
    }

    /// The bytes of the transformed image, `size x size` pixels of red, green, blue.
    ///
    /// # Errors
    /// When the image's bytes are not those of its size, or one of the sizes is 0.
    pub fn bytes(&self, image: &Decoded) -> Result<Vec<u8>, ImageError> {
        check(image, self.size)?;
        let mode = match self.contract {
            PixelContract::RgbFirst => Mode::Plain,
            PixelContract::AsOpened => image.mode,
        };
        let from = (image.rgb.width, image.rgb.height);
        let (to, region) = self.plan(from);
        let small = resize_mode(image, mode, to, region, self.config.interpolation)?;
        Ok(self.pad(&small, region))
    }

    /// Cuts a box out of the image before resizing it to the network's size; for augmentation.
    pub(crate) fn crop(&self, image: &Rgb, cut: Region) -> Vec<f32> {
        let rows = (cut.top..cut.top + cut.height).flat_map(|y| {
            let at = (y * image.width + cut.left) * 3;
            &image.bytes[at..at + cut.width * 3]
        });
        let bytes: Vec<u8> = rows.copied().collect();
        let to = (self.size, self.size);
        let whole = Region { left: 0, top: 0, width: self.size, height: self.size };
        let how = self.config.interpolation;
        let small = resize::<3>(&bytes, (cut.width, cut.height), to, whole, how);
        self.numbers(&small.expect("a cut has pixels and lies inside the image"))
    }

    /// The size to resize to and the part of it that the network sees.
    fn plan(&self, (width, height): (usize, usize)) -> ((usize, usize), Region) {
        let size = self.size;
        let side = self.config.resize_size.unwrap_or(size);
        let scaled =
            |long: usize, short: usize| (side as f64 * long as f64 / short as f64) as usize;
        let to = match self.config.resize_mode {
            ResizeMode::Squash => (side, side),
            ResizeMode::Shortest if width <= height => (side, scaled(height, width)),
            ResizeMode::Shortest => (scaled(width, height), side),
            ResizeMode::Longest => {
                let ratio = (width as f64 / size as f64).max(height as f64 / size as f64);
                // A line thinner than half a pixel stays a pixel; open_clip stops there.
                let side = |n: usize| ((n as f64 / ratio).round_ties_even() as usize).max(1);
                (side(width), side(height))
            }
        };
        let start = |n: usize| (n.saturating_sub(size) as f64 / 2.0).round_ties_even() as usize;
        let region = Region {
            left: start(to.0),
            top: start(to.1),
            width: to.0.min(size),
            height: to.1.min(size),
        };
        (to, region)
    }

    /// Fills the sides that are shorter than the size.
    fn pad(&self, small: &[u8], region: Region) -> Vec<u8> {
        let size = self.size;
        if region.width == size && region.height == size {
            return small.to_vec();
        }
        let mut out = vec![self.config.fill_color; size * size * 3];
        let (left, top) = ((size - region.width) / 2, (size - region.height) / 2);
        for (y, row) in small.chunks_exact(region.width * 3).enumerate() {
            out[((top + y) * size + left) * 3..][..row.len()].copy_from_slice(row);
        }
        out
    }

    fn numbers(&self, bytes: &[u8]) -> Vec<f32> {
        let channel = |c: usize| {
            let table = &self.numbers[c];
            bytes.iter().skip(c).step_by(3).map(move |&byte| table[usize::from(byte)])
        };
        (0..3).flat_map(channel).collect()
    }
}

/// An error unless the image has the bytes of its size, and a size of 0 is nowhere.
fn check(image: &Decoded, size: usize) -> Result<(), ImageError> {
    let wrong = |argument, problem| Err(ImageError::Argument { argument, problem });
    let Rgb { width, height, bytes } = &image.rgb;
    if size == 0 || *width == 0 || *height == 0 {
        return wrong("image", format!("{width} x {height} pixels cannot become {size} a side"));
    }
    let pixels = width.checked_mul(*height);
    if pixels.and_then(|pixels| pixels.checked_mul(3)) != Some(bytes.len()) {
        return wrong("image", format!("{} bytes are not {width} x {height} pixels", bytes.len()));
    }
    if image.mode == Mode::Alpha && pixels != Some(image.alpha.len()) {
        let problem = format!("{} bytes of alpha for {width} x {height} pixels", image.alpha.len());
        return wrong("image", problem);
    }
    Ok(())
}

fn resize_mode(
    image: &Decoded,
    mode: Mode,
    to: (usize, usize),
    region: Region,
    how: Interpolation,
) -> Result<Vec<u8>, ImageError> {
    let Rgb { width, height, bytes } = &image.rgb;
    let from = (*width, *height);
    match mode {
        Mode::Plain => resize::<3>(bytes, from, to, region, how),
        Mode::Indexed => {
            let columns = nearest(from.0, to.0, region.left, region.width);
            let rows = nearest(from.1, to.1, region.top, region.height);
            let at = |y: usize, x: usize| bytes[(y * width + x) * 3..][..3].iter().copied();
            Ok(rows.iter().flat_map(|&y| columns.iter().flat_map(move |&x| at(y, x))).collect())
        }
        Mode::Alpha if from == to => resize::<3>(bytes, from, to, region, how),
        Mode::Alpha => {
            let multiplied: Vec<u8> = bytes
                .chunks_exact(3)
                .zip(&image.alpha)
                .flat_map(|(p, &a)| [times(p[0], a), times(p[1], a), times(p[2], a), a])
                .collect();
            let small = resize::<4>(&multiplied, from, to, region, how)?;
            let plain = |p: &[u8]| [p[0], p[1], p[2]].map(|c| divided(c, p[3]));
            Ok(small.chunks_exact(4).flat_map(plain).collect())
        }
    }
}

/// `color * alpha / 255`, rounded.
fn times(color: u8, alpha: u8) -> u8 {
    let product = u32::from(color) * u32::from(alpha) + 128;
    (((product >> 8) + product) >> 8) as u8
}

/// `color * 255 / alpha`; where there is no alpha, the color as it is.
fn divided(color: u8, alpha: u8) -> u8 {
    match alpha {
        0 | 255 => color,
        _ => (255 * u32::from(color) / u32::from(alpha)).min(255) as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transform(resize_mode: ResizeMode) -> Transform {
        Transform::new(&PreprocessConfig { resize_mode, ..PreprocessConfig::default() }, 32)
    }

    #[test]
    fn sides_are_cut_and_rounded_as_open_clip_does() {
        let shortest = transform(ResizeMode::Shortest);
        let (to, region) = shortest.plan((33, 32));
        assert_eq!((to, region.left), ((33, 32), 0), "0.5 rounds to the even 0");
        assert_eq!(shortest.plan((35, 32)).1.left, 2, "1.5 rounds to the even 2");
        assert_eq!(shortest.plan((40, 1)).0, (1280, 32));
        assert_eq!(transform(ResizeMode::Longest).plan((40, 1)).0, (32, 1));
        assert_eq!(transform(ResizeMode::Longest).plan((4000, 1)).0, (32, 1));
        assert_eq!(transform(ResizeMode::Squash).plan((40, 1)).0, (32, 32));
    }

    #[test]
    fn transparency_is_multiplied_in_and_taken_out_again() {
        assert_eq!((times(255, 128), times(200, 255), times(9, 0)), (128, 200, 0));
        assert_eq!((divided(128, 128), divided(200, 100), divided(7, 0)), (255, 255, 7));
    }
}
