//! Images of few bytes and many pixels do not take more memory than is said.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    io::{Cursor, Write},
    sync::atomic::{AtomicUsize, Ordering},
};

use curate_dfn::{
    PreprocessConfig, Transform,
    config::ResizeMode,
    image::{ImageError, LONGEST_SIDE, Limits, PixelContract, decode},
};
use flate2::{Compression, write::ZlibEncoder};
use image::{GrayImage, ImageFormat, Luma};
use peak_alloc::PeakAlloc;
use rayon::prelude::*;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;

/// The answer, and the most bytes on the heap beyond those before.
fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let answer = work();
    (answer, MEMORY.peak_usage() - before)
}

/// A PNG file of one color; its lines are made as they are packed.
fn png(width: u32, height: u32, bits: u8, color: u8, line: usize) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut add = |name: &[u8], body: &[u8]| {
        let named = [name, body].concat();
        let mut sum = flate2::Crc::new();
        sum.update(&named);
        file.extend((body.len() as u32).to_be_bytes());
        file.extend(named);
        file.extend(sum.sum().to_be_bytes());
    };
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    add(b"IHDR", &[&size[..], &[bits, color, 0, 0, 0]].concat());
    if color == 3 {
        add(b"PLTE", &[200, 100, 50]);
    }
    let mut data = ZlibEncoder::new(Vec::new(), Compression::fast());
    (0..height).for_each(|_| data.write_all(&vec![0; line + 1]).unwrap());
    add(b"IDAT", &data.finish().unwrap());
    add(b"IEND", b"");
    file
}

/// One test, since what another thread holds would count.
#[test]
fn memory_is_bounded_whatever_an_image_declares() {
    lines_of_a_million_pixels_are_read();
    a_line_of_80_million_pixels_is_refused();
    large_images_share_a_budget();
    a_color_profile_that_unpacks_to_gigabytes_is_refused();
}

fn lines_of_a_million_pixels_are_read() {
    for (width, height) in [(1, 1_000_000), (1_000_000, 1)] {
        let image = GrayImage::from_pixel(width, height, Luma([200]));
        let mut file = Cursor::new(Vec::new());
        image.write_to(&mut file, ImageFormat::Png).unwrap();
        drop(image);
        for resize_mode in [ResizeMode::Shortest, ResizeMode::Longest, ResizeMode::Squash] {
            let config = PreprocessConfig { resize_mode, ..PreprocessConfig::default() };
            let transform = Transform::new(&config, 224);
            let (numbers, most) = peak(|| transform.apply(file.get_ref()));
            assert_eq!(numbers.unwrap().len(), 3 * 224 * 224);
            // 16 bytes a pixel, 128 for each of the longer side, and the transformed image.
            assert!(most < 160 * MIB, "{width} x {height} {resize_mode:?}: {most} bytes");
        }
    }
    let palette = png(1, 1_000_000, 8, 3, 1);
    let transform = Transform::new(&PreprocessConfig::default(), 224);
    let transform = transform.with_contract(PixelContract::AsOpened);
    let (numbers, most) = peak(|| transform.apply(&palette));
    assert_eq!(numbers.unwrap().len(), 3 * 224 * 224);
    assert!(most < 160 * MIB, "a palette: {most} bytes");
}

fn a_line_of_80_million_pixels_is_refused() {
    let file = png(80_000_000, 1, 8, 0, 80_000_000);
    let (refused, most) = peak(|| decode(&file, Limits::default()));
    assert_eq!(
        refused,
        Err(ImageError::TooLong { width: 80_000_000, height: 1, limit: LONGEST_SIDE })
    );
    assert!(most < 200 * MIB, "{most} bytes");
}

/// Eight threads, of which each would take 280 MB for 5,000 x 5,000 pixels of 16-bit RGBA.
fn large_images_share_a_budget() {
    let file = png(5000, 5000, 16, 6, 40_000);
    let transform = Transform::new(&PreprocessConfig::default(), 224);
    let threads = rayon::ThreadPoolBuilder::new().num_threads(8).build().unwrap();
    let done = AtomicUsize::new(0);
    let ((), most) = peak(|| {
        threads.install(|| {
            (0..8).into_par_iter().with_max_len(1).for_each(|_| {
                transform.apply(&file).unwrap();
                done.fetch_add(1, Ordering::Relaxed);
            });
        });
    });
    assert_eq!(done.into_inner(), 8);
    let processors = std::thread::available_parallelism().unwrap().get();
    assert!(most < 1100 * MIB + 32 * MIB * processors, "{most} bytes");
}

fn a_color_profile_that_unpacks_to_gigabytes_is_refused() {
    let mut profile = ZlibEncoder::new(b"bomb\0\0".to_vec(), Compression::fast());
    let zeros = vec![0; MIB];
    (0..400).for_each(|_| profile.write_all(&zeros).unwrap());
    let body = [b"iCCP", &profile.finish().unwrap()[..]].concat();
    let mut sum = flate2::Crc::new();
    sum.update(&body);
    let length = (body.len() as u32 - 4).to_be_bytes();
    let chunk = [&length[..], &body, &sum.sum().to_be_bytes()].concat();
    let mut file = png(4, 4, 8, 2, 12);
    // Behind the signature and the header.
    file.splice(33..33, chunk);
    let (_, most) = peak(|| decode(&file, Limits::default()));
    assert!(most < 140 * MIB, "{most} bytes");
}
