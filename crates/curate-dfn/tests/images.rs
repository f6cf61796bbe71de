//! Images against Pillow 13 and open_clip 3.3.0's transforms.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{fs, path::Path};

use common::{Arrays, bytes, distance};
use curate_dfn::{
    PreprocessConfig, Transform,
    config::{Interpolation, ResizeMode},
    image::{Decoded, ImageError, Limits, Mode, PixelContract, Rgb, decode},
};

const FULL: [&str; 13] = [
    "rgb_square_down",
    "rgb_wide",
    "rgb_tall",
    "rgb_exact",
    "rgb_upscale",
    "rgb_crop_odd",
    "rgb_crop_odd3",
    "gray_L",
    "rgba",
    "la",
    "palette",
    "bilevel",
    "one_pixel_high",
];

fn transform(resize_mode: ResizeMode, interpolation: Interpolation) -> Transform {
    let config = PreprocessConfig { resize_mode, interpolation, ..PreprocessConfig::default() };
    Transform::new(&config, 32)
}

#[test]
fn five_preprocessings_have_open_clips_bytes() {
    use Interpolation::{Bicubic, Bilinear};
    use PixelContract::{AsOpened, RgbFirst};
    use ResizeMode::{Longest, Shortest, Squash};
    let reference = Arrays::read("full/reference.safetensors");
    for (name, mode, how, contract) in [
        ("u8_shortest_rgbfirst", Shortest, Bicubic, RgbFirst),
        ("u8_shortest", Shortest, Bicubic, AsOpened),
        ("u8_squash", Squash, Bicubic, AsOpened),
        ("u8_longest", Longest, Bicubic, AsOpened),
        ("u8_squash_bilinear", Squash, Bilinear, AsOpened),
    ] {
        let transform = transform(mode, how).with_contract(contract);
        let expected = reference.u8(name);
        for (file, expected) in FULL.iter().zip(expected.chunks_exact(3 * 32 * 32)) {
            let image = decode(&bytes(&format!("full/{file}.png")), Limits::default()).unwrap();
            let bytes = transform.bytes(&image).unwrap();
            // Channel after channel, as the reference has it.
            let planes: Vec<u8> =
                (0..3).flat_map(|c| bytes.iter().skip(c).step_by(3).copied()).collect();
            if name == "u8_longest" && *file == "palette" {
                // open_clip fills with entry 0 of the palette there, this crate with the color:
                // 21 of 32 columns are the image, 5 on the left are filled.
                let image = |i: &usize| (5..26).contains(&(i % 32));
                let same = (0..planes.len()).filter(image).all(|i| planes[i] == expected[i]);
                assert!(same, "{name} {file}");
                continue;
            }
            let wrong = planes.iter().zip(expected).filter(|(a, b)| a != b).count();
            assert_eq!(wrong, 0, "{name} {file}: {wrong} of {} bytes differ", planes.len());
        }
    }
}

/// `data/make_resized.py` says what lies in the file.
#[test]
fn sides_before_the_crop_and_thin_images_have_pillows_bytes() {
    let expected = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/resized.bin"));
    let expected = expected.unwrap();
    let mut expected = expected.chunks_exact(32 * 32 * 3);
    let names = ["rgb_square_down", "rgb_wide", "rgb_tall", "rgb_upscale", "rgb_crop_odd"];
    for resize_mode in [ResizeMode::Shortest, ResizeMode::Squash] {
        let config =
            PreprocessConfig { resize_mode, resize_size: Some(36), ..PreprocessConfig::default() };
        let transform = Transform::new(&config, 32);
        for name in names {
            let image = decode(&bytes(&format!("full/{name}.png")), Limits::default()).unwrap();
            assert!(transform.bytes(&image).unwrap() == expected.next().unwrap(), "{name}");
        }
    }
    let line: Vec<u8> = (0..9000_u32).map(|i| ((i * i / 7 + i * 31) % 251) as u8).collect();
    let transform = transform(ResizeMode::Shortest, Interpolation::Bicubic);
    for (width, height) in [(1, 3000), (3000, 1)] {
        let rgb = Rgb { width, height, bytes: line.clone() };
        let image = Decoded { rgb, alpha: vec![], mode: Mode::Plain };
        assert!(transform.bytes(&image).unwrap() == expected.next().unwrap(), "{width}");
    }
    assert_eq!(expected.next(), None);
}

#[test]
fn the_numbers_are_open_clips() {
    let reference = Arrays::read("full/reference.safetensors");
    let transform = transform(ResizeMode::Shortest, Interpolation::Bicubic);
    let numbers = transform.apply(&bytes("full/rgb_square_down.png")).unwrap();
    assert!(distance(&numbers, &reference.f32("pixels_shortest_first")) <= 2e-7);
    for (i, name) in ["0_32x32", "1_100x60", "2_61x140", "4_20x20", "5_320x37"].iter().enumerate() {
        let i = if i < 3 { i } else { i + 1 };
        let numbers = transform.apply(&bytes(&format!("tiny/image_{name}.png"))).unwrap();
        assert!(distance(&numbers, &common::tiny(&format!("preprocessed_{i}"))) <= 2e-7, "{name}");
    }
}

#[test]
fn unusual_files_have_the_pixels_of_pillow() {
    let expected = Arrays::read("bad/expected.safetensors");
    for name in expected.names() {
        let image = decode(&bytes(&format!("bad/{name}")), Limits::default()).unwrap();
        assert_eq!((image.rgb.width, image.rgb.height), (40, 30), "{name}: orientation is ignored");
        let pairs = image.rgb.bytes.iter().zip(expected.u8(name));
        let worst = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert_eq!(worst, 0, "{name}");
    }
}

#[test]
fn bad_files_are_refused_by_name() {
    let refuse =
        |name: &str| decode(&bytes(&format!("bad/{name}")), Limits::default()).unwrap_err();
    assert_eq!(refuse("truncated.jpg"), ImageError::Truncated);
    assert_eq!(refuse("truncated.png"), ImageError::Truncated);
    let webp = refuse("truncated.webp");
    assert!(matches!(webp, ImageError::Truncated | ImageError::Damaged(_)), "{webp}");
    assert_eq!(refuse("page.jpg"), ImageError::UnknownFormat);
    assert!(matches!(
        refuse("bomb.png"),
        ImageError::TooLarge { width: 60_000, height: 60_000, .. }
    ));
    let zero = refuse("zero_size.png");
    assert!(matches!(zero, ImageError::Empty { .. } | ImageError::Damaged(_)), "{zero}");
    assert_eq!(decode(&[], Limits::default()), Err(ImageError::UnknownFormat));
    let small = Limits { pixels: 1199 };
    assert!(matches!(decode(&bytes("bad/plain.jpg"), small), Err(ImageError::TooLarge { .. })));
}

/// Whatever a file is cut to, the answer is an image or an error.
#[test]
fn no_cut_or_changed_byte_ends_the_program() {
    for name in ["plain.jpg", "cmyk.jpg", "grey16.png", "animated.gif", "animated.webp"] {
        let whole = bytes(&format!("bad/{name}"));
        for cut in (0..whole.len()).step_by(13) {
            let _ = decode(&whole[..cut], Limits { pixels: 1 << 20 });
            let mut changed = whole.clone();
            changed[cut] ^= 0x55;
            let _ = decode(&changed, Limits { pixels: 1 << 20 });
        }
    }
}

/// Each scan of a progressive file walks over the whole image; a small file can hold thousands.
#[test]
fn a_file_of_thousands_of_scans_is_refused() {
    let mut file = bytes("bad/plain.jpg");
    let end = file.len() - 2;
    file.splice(end..end, [0xff, 0xda, 0, 2].repeat(1001));
    let refused = decode(&file, Limits::default()).unwrap_err().to_string();
    assert!(refused.contains("scans"), "{refused}");
}
