//! Noise of single pixels.

use super::grid::{Picture, map};
use crate::draws::Draws;

/// Electronic noise: a normal number is added to each value.
pub(super) fn gaussian(picture: &Picture, severity: usize, draws: &mut Draws) -> Picture {
    let scale = [0.04, 0.06, 0.08, 0.09, 0.10][severity];
    picture.mapv(|value| value + scale * draws.normal())
}

/// Noise of few photons: each value is the share of so many that arrive.
pub(super) fn shot(picture: &Picture, severity: usize, draws: &mut Draws) -> Picture {
    let photons = [500.0, 250.0, 100.0, 75.0, 50.0][severity];
    picture.mapv(|value| draws.poisson(value * photons) / photons)
}

/// Salt and pepper: some values become 0 or 1.
pub(super) fn impulse(picture: &Picture, severity: usize, draws: &mut Draws) -> Picture {
    let amount = [0.01, 0.02, 0.03, 0.05, 0.07][severity];
    map(picture, |at| {
        let (hit, salt) = (draws.unit() < amount, draws.unit() < 0.5);
        if hit { f64::from(u8::from(salt)) } else { picture[at] }
    })
}

/// Noise that grows with the value.
pub(super) fn speckle(picture: &Picture, severity: usize, draws: &mut Draws) -> Picture {
    let scale = [0.06, 0.1, 0.12, 0.16, 0.2][severity];
    picture.mapv(|value| value + value * scale * draws.normal())
}
