//! Memory that images may take while they are decoded, over all threads.

use std::{
    num::NonZero,
    sync::{Condvar, LazyLock, Mutex, PoisonError},
    thread::available_parallelism,
};

use image::{ColorType, DynamicImage, ImageDecoder};

use super::types::{ImageError, Limits, damaged};

/// Pixels of the longest side of an image that is decoded. JPEG and GIF end at 65,535, WebP at 16,383;
/// a line of more pixels shows nothing.
pub const LONGEST_SIDE: u32 = 1 << 20;

/// Bytes that resizing takes for every pixel of the longest side: weights in double precision and in
/// fixed point, and 16 rows side by side.
const BYTES_A_SIDE: u64 = 128;

/// Images that need no more bytes are decoded without asking: those of a usual pool.
const SMALL: u64 = 16 << 20;

/// Bytes that larger images share, and how many more for every processor.
const SHARED: (u64, u64) = (1 << 30, 32 << 20);

static BUDGET: LazyLock<Budget> = LazyLock::new(|| {
    let processors = available_parallelism().map_or(1, NonZero::get) as u64;
    Budget::new(SHARED.0 + SHARED.1 * processors)
});

/// Bytes that are lent to those who decode, and given back.
struct Budget {
    all: u64,
    free: Mutex<u64>,
    given_back: Condvar,
}

impl Budget {
    fn new(all: u64) -> Self {
        Self { all, free: Mutex::new(all), given_back: Condvar::new() }
    }

    /// Waits until so many bytes are free. What needs more than there are waits for all of them.
    fn lend(&self, bytes: u64) -> Lent<'_> {
        let bytes = bytes.min(self.all);
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.given_back.wait_while(free, |free| *free < bytes);
        *free.unwrap_or_else(PoisonError::into_inner) -= bytes;
        Lent { budget: self, bytes }
    }
}

/// Bytes of the budget, until this is dropped.
struct Lent<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        *self.budget.free.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.budget.given_back.notify_all();
    }
}

/// What an image has to pass before memory is taken for it, and what it was lent: to be held until its
/// pixels are used up.
pub(crate) struct Gate {
    limits: Limits,
    lent: Option<Lent<'static>>,
}

impl Gate {
    /// With nothing lent.
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, lent: None }
    }

    /// The most bytes that a decoder may ask for at once: 16-bit RGBA and a working copy of it; what
    /// asks for more declares a size it does not have.
    pub(super) fn most_bytes(&self) -> u64 {
        self.limits.pixels.saturating_mul(16).max(1 << 20)
    }

    /// The limit on pixels.
    pub(super) fn most_pixels(&self) -> u64 {
        self.limits.pixels
    }

    /// An error for a size that is over the limits.
    pub(super) fn check(&self, width: u32, height: u32) -> Result<(), ImageError> {
        if width == 0 || height == 0 {
            return Err(ImageError::Empty { width, height });
        }
        if u64::from(width) * u64::from(height) > self.limits.pixels {
            return Err(ImageError::TooLarge { width, height, limit: self.limits.pixels });
        }
        if width.max(height) > LONGEST_SIDE {
            return Err(ImageError::TooLong { width, height, limit: LONGEST_SIDE });
        }
        Ok(())
    }

    /// Lets an image of this size in whose decoding and resizing takes so many bytes a pixel, as soon
    /// as there is room for it.
    pub(super) fn admit(
        &mut self,
        width: u32,
        height: u32,
        bytes_a_pixel: u64,
    ) -> Result<(), ImageError> {
        self.check(width, height)?;
        let pixels = u64::from(width) * u64::from(height);
        let side = u64::from(width.max(height));
        let bytes = pixels.saturating_mul(bytes_a_pixel).saturating_add(side * BYTES_A_SIDE);
        // What was lent before is given back first: nobody waits while holding something.
        self.lent = None;
        self.lent = (bytes > SMALL).then(|| BUDGET.lend(bytes));
        Ok(())
    }
}

/// The pixels of a decoder of the `image` crate, once there is room for them.
pub(super) fn pixels(
    mut decoder: impl ImageDecoder,
    gate: &mut Gate,
) -> Result<DynamicImage, ImageError> {
    let (width, height) = decoder.dimensions();
    let color = decoder.color_type();
    // The decoder's pixels, its working copy of them, and what becomes of them here: bytes of red,
    // green, blue and alpha, and the same once more.
    let made = if color == ColorType::Rgb8 { 0 } else { 8 };
    gate.admit(width, height, 2 * u64::from(color.bytes_per_pixel()) + made)?;
    let mut bounds = image::Limits::no_limits();
    bounds.max_alloc = Some(gate.most_bytes());
    decoder.set_limits(bounds).map_err(damaged)?;
    DynamicImage::from_decoder(decoder).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU64, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn no_more_is_lent_than_there_is_and_everyone_gets_some() {
        let budget = Budget::new(10);
        let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for thread in 0..8 {
                let (budget, now, most) = (&budget, &now, &most);
                scope.spawn(move || {
                    for turn in 0..200 {
                        // Some ask for more than there is.
                        let wanted = (thread * 7 + turn) % 14;
                        let lent = budget.lend(wanted);
                        let together = now.fetch_add(lent.bytes, Ordering::SeqCst) + lent.bytes;
                        most.fetch_max(together, Ordering::SeqCst);
                        now.fetch_sub(lent.bytes, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 10);
        assert_eq!(*budget.free.lock().unwrap(), 10);
    }

    #[test]
    fn large_images_are_counted_and_small_ones_are_not() {
        let mut gate = Gate::new(Limits::default());
        gate.admit(1024, 1024, 15).unwrap();
        assert!(gate.lent.is_none());
        gate.admit(1024, 1024, 16).unwrap();
        assert_eq!(gate.lent.as_ref().map(|lent| lent.bytes), Some((1024 * 16 + 128) * 1024));
        let long = gate.admit(1, LONGEST_SIDE + 1, 1).unwrap_err();
        assert_eq!(
            long,
            ImageError::TooLong { width: 1, height: LONGEST_SIDE + 1, limit: LONGEST_SIDE }
        );
    }
}
