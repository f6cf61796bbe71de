//! Corruptions against numpy, scipy, scikit-image and Pillow, and against what they mean.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use curate_select::corrupt::{Corruption, Family, SEVERITIES};
use ndarray::{Array3, ArrayView3};

/// What `make_corruptions.py` wrote.
struct Golden(std::vec::IntoIter<f64>);

impl Golden {
    fn new() -> Self {
        let (numbers, _) = include_bytes!("data/corruptions.bin").as_chunks::<2>();
        let numbers = numbers.iter().map(|&pair| f64::from(u16::from_le_bytes(pair)) / 65535.0);
        Self(numbers.collect::<Vec<_>>().into_iter())
    }

    fn next(&mut self, shape: (usize, usize, usize)) -> Array3<f64> {
        let numbers = self.0.by_ref().take(shape.0 * shape.1 * shape.2);
        Array3::from_shape_vec(shape, numbers.collect()).unwrap()
    }
}

const GRAY: (usize, usize, usize) = (20, 20, 1);
const COLOR: (usize, usize, usize) = (12, 16, 3);

/// The pictures are of bytes.
fn bytes(picture: &Array3<f64>) -> Array3<f32> {
    picture.mapv(|x| ((255.0 * x).round() / 255.0) as f32)
}

#[test]
fn corruptions_are_those_of_the_definitions() {
    let mut golden = Golden::new();
    let pictures = [GRAY, COLOR].map(|shape| bytes(&golden.next(shape)));
    let (mut wrong, mut same_jpegs) = (Vec::new(), 0);
    for corruption in Corruption::ALL {
        for severity in SEVERITIES {
            for (seed, picture) in (7..).zip(&pictures) {
                if picture.dim().2 == 1 && !corruption.fits_gray() {
                    continue;
                }
                let found = corruption.apply(picture.view(), severity, seed).unwrap();
                let off = (found.mapv(f64::from) - golden.next(picture.dim())).mapv(f64::abs);
                let (mean, most) = (off.mean().unwrap(), off.iter().copied().fold(0.0, f64::max));
                // libjpeg's integers put a frequency near the middle of two steps on the other one now and then.
                let fits = match corruption {
                    Corruption::Jpeg => mean < 2.5 / 255.0,
                    _ => most < 3.0 / 65535.0,
                };
                same_jpegs += usize::from(corruption == Corruption::Jpeg && mean < 0.25 / 255.0);
                if !fits {
                    wrong.push(format!(
                        "{corruption:?} {severity} {:?}: {mean} {most}",
                        picture.dim()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(same_jpegs >= 7, "{same_jpegs} of 10");
    assert_eq!(golden.0.next(), None, "all was looked at");
}

fn distance(a: ArrayView3<'_, f32>, b: ArrayView3<'_, f32>) -> f64 {
    (&a - &b).iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
}

/// Constants are those of the code, so a severity need not be worse than the one before. But the last is worse than
/// the first, for all but elastic and glass blur, whose kinds of movement change.
#[test]
fn the_worst_severity_is_worse_than_the_first() {
    let picture = bytes(&Golden::new().next(GRAY));
    for corruption in Corruption::ALL.into_iter().filter(|c| c.fits_gray()) {
        let far = |severity| {
            let seeds = 0..8;
            let of = |seed| {
                let found = corruption.apply(picture.view(), severity, seed).unwrap();
                assert!(found.iter().all(|x| (0.0..=1.0).contains(x)), "{corruption:?}");
                distance(found.view(), picture.view())
            };
            seeds.map(of).sum::<f64>()
        };
        let (first, last) = (far(1), far(5));
        assert!(first > 0.0, "{corruption:?} changes nothing");
        let changes = [Corruption::Elastic, Corruption::GlassBlur].contains(&corruption);
        assert!(last > first || changes, "{corruption:?} {first} {last}");
    }
}

/// Mean and deviation of noise on a large flat picture are those of the constants.
#[test]
fn noise_has_its_statistics() {
    let flat = Array3::from_elem((128, 128, 1), 0.5_f32);
    let spread = |corruption: Corruption, severity| {
        let found = corruption.apply(flat.view(), severity, 5).unwrap().mapv(f64::from);
        let mean = found.mean().unwrap();
        (mean, found.mapv(|x| (x - mean).powi(2)).mean().unwrap().sqrt())
    };
    for (corruption, severity, expected) in [
        (Corruption::GaussianNoise, 5, 0.1),
        (Corruption::ShotNoise, 1, (0.5_f64 / 500.0).sqrt()),
        (Corruption::SpeckleNoise, 5, 0.5 * 0.2),
        // 7 % of the values are 0.5 away.
        (Corruption::ImpulseNoise, 5, 0.5 * 0.07_f64.sqrt()),
    ] {
        let (mean, deviation) = spread(corruption, severity);
        assert!((mean - 0.5).abs() < 0.005, "{corruption:?}: {mean}");
        assert!((deviation / expected - 1.0).abs() < 0.06, "{corruption:?}: {deviation}");
    }
}

#[test]
fn draws_depend_on_the_seed_and_not_on_the_layout() {
    let picture = bytes(&Golden::new().next(GRAY));
    let turned = picture.t().to_owned();
    for corruption in [Corruption::GaussianNoise, Corruption::Snow, Corruption::Elastic] {
        let of = |view: ArrayView3<'_, f32>, seed| corruption.apply(view, 3, seed).unwrap();
        assert_eq!(of(picture.view(), 1), of(turned.t(), 1));
        assert_ne!(of(picture.view(), 1), of(picture.view(), 2));
    }
}

#[test]
fn every_family_has_corruptions_and_what_does_not_fit_is_named() {
    for family in [Family::Noise, Family::Blur, Family::Weather, Family::Digital] {
        assert!(Corruption::ALL.iter().filter(|c| c.family() == family).count() >= 3, "{family:?}");
    }
    let gray = Array3::from_elem((4, 4, 1), 0.5_f32);
    let said = |corruption: Corruption, picture: &Array3<f32>, severity| {
        corruption.apply(picture.view(), severity, 0).unwrap_err().to_string()
    };
    let (fog, saturate) = (Corruption::Fog, Corruption::Saturate);
    assert_eq!(said(fog, &gray, 0), "`severity` is 0, but must be from 1 to 5");
    assert!(said(saturate, &gray, 1).contains("one channel"));
    assert!(said(fog, &Array3::zeros((4, 4, 2)), 1).contains("4 x 4 x 2"));
    assert!(said(fog, &Array3::zeros((0, 4, 1)), 1).contains("0 x 4 x 1"));
    let mut wrong = gray;
    wrong[[1, 2, 0]] = f32::NAN;
    assert!(said(fog, &wrong, 1).contains("NaN at row 1, column 2"));
}

/// No picture is too small.
#[test]
fn one_pixel_is_a_picture() {
    let one = Array3::from_elem((1, 1, 3), 0.4_f32);
    for corruption in Corruption::ALL {
        for severity in SEVERITIES {
            let found = corruption.apply(one.view(), severity, 1).unwrap();
            assert!(found.iter().all(|x| (0.0..=1.0).contains(x)), "{corruption:?} {found}");
        }
    }
}
