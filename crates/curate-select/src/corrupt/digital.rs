//! What programs do to pictures.

use ndarray::Axis;

use super::grid::{Edge, Picture, between, gaussian, map, pixels};
use crate::draws::Draws;

/// Values nearer to the mean of their channel.
pub(super) fn contrast(picture: &Picture, severity: usize) -> Picture {
    let kept = [0.75, 0.5, 0.4, 0.3, 0.15][severity];
    let (height, width, _) = picture.dim();
    let means = picture.sum_axis(Axis(0)).sum_axis(Axis(0)) / (height * width) as f64;
    (picture - &means) * kept + &means
}

/// Colors paler or stronger: the saturation of HSV is scaled and raised.
pub(super) fn saturate(picture: &Picture, severity: usize) -> Picture {
    let (scale, more) = [(0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)][severity];
    pixels(picture, |pixel| {
        let value = pixel.iter().copied().fold(0.0, f64::max);
        let least = pixel.iter().copied().fold(f64::INFINITY, f64::min);
        if value <= 0.0 {
            return;
        }
        let saturation = (value - least) / value;
        let wanted = (saturation * scale + more).clamp(0.0, 1.0);
        for (channel, x) in pixel.iter_mut().enumerate() {
            // A channel lies below the value by the saturation times a share that the hue decides; a gray pixel's
            // hue is red.
            let share = match saturation > 0.0 {
                true => (value - *x) / (value * saturation),
                false => f64::from(u8::from(channel > 0)),
            };
            *x = value * (1.0 - wanted * share);
        }
    })
}

/// Fewer pixels, and as many as before again.
pub(super) fn pixelate(picture: &Picture, severity: usize) -> Picture {
    let share = [0.95, 0.9, 0.85, 0.75, 0.65][severity];
    let (height, width, channels) = picture.dim();
    let fewer = |size: usize| ((size as f64 * share) as usize).max(1);
    let small = resize(picture, (fewer(height), fewer(width), channels));
    resize(&small, picture.dim())
}

/// Pillow's resize with a box: the mean of the pixels whose middle lies in the box of the new pixel.
fn resize(picture: &Picture, to: (usize, usize, usize)) -> Picture {
    let (height, width, _) = picture.dim();
    let (rows, columns) = (boxes(height, to.0), boxes(width, to.1));
    Picture::from_shape_fn(to, |(y, x, channel)| {
        let (rows, columns) = (rows[y].clone(), columns[x].clone());
        let pixels = (rows.len() * columns.len()) as f64;
        let row = |y: usize| columns.clone().map(|x| picture[[y, x, channel]]).sum::<f64>();
        rows.map(row).sum::<f64>() / pixels
    })
}

/// For each new pixel the old ones in its box, which is at least as wide as an old pixel.
fn boxes(from: usize, to: usize) -> Vec<std::ops::Range<usize>> {
    let scale = from as f64 / to as f64;
    let wide = scale.max(1.0);
    let of = |at: usize| {
        let center = (at as f64 + 0.5) * scale;
        // The middle of old pixel `i` is at i + 0.5, the box's left end is not in it, its right end is.
        let first = (center - wide / 2.0 - 0.5).floor() + 1.0;
        let last = (center + wide / 2.0 - 0.5).floor();
        (first.max(0.0) as usize)..(last as usize + 1).min(from)
    };
    (0..to).map(of).collect()
}

/// A picture drawn on rubber: turned and stretched as a whole, then each pixel moved a little, neighbors alike.
pub(super) fn elastic(picture: &Picture, severity: usize, draws: &mut Draws) -> Picture {
    let (strength, smooth, corner) = [
        (0.0, 0.0, 0.08),
        (0.05, 0.2, 0.07),
        (0.08, 0.06, 0.06),
        (0.1, 0.04, 0.05),
        (0.1, 0.03, 0.03),
    ][severity];
    let (height, width, _) = picture.dim();
    let side = height.min(width) as f64;
    let stretched = stretch(picture, corner * side, draws);
    let field = |draws: &mut Draws| {
        let moves = Picture::from_shape_simple_fn((height, width, 1), || draws.between(-1.0, 1.0));
        gaussian(&moves, smooth * side, 3.0, Edge::Reflect) * (strength * side)
    };
    let (right, down) = (field(draws), field(draws));
    map(picture, |(y, x, channel)| {
        let (down, right) = (down[[y, x, 0]], right[[y, x, 0]]);
        between(&stretched, y as f64 + down, x as f64 + right, channel, Edge::Reflect)
    })
}

/// Three points around the middle move by up to `most` pixels, and the picture with them.
fn stretch(picture: &Picture, most: f64, draws: &mut Draws) -> Picture {
    let (height, width, _) = picture.dim();
    let (x, y) = ((width / 2) as f64, (height / 2) as f64);
    let arm = (height.min(width) / 3).max(1) as f64;
    let points = [(x + arm, y + arm), (x + arm, y - arm), (x - arm, y - arm)];
    let moved = points.map(|(x, y)| {
        let right = draws.between(-most, most);
        (x + right, y + draws.between(-most, most))
    });
    let old = affine(moved, points);
    map(picture, |(y, x, channel)| {
        let (x, y) = old(x as f64, y as f64);
        between(picture, y, x, channel, Edge::Mirror)
    })
}

/// The affine map that takes three points to three others.
fn affine(from: [(f64, f64); 3], to: [(f64, f64); 3]) -> impl Fn(f64, f64) -> (f64, f64) {
    let less = |a: (f64, f64), b: (f64, f64)| (a.0 - b.0, a.1 - b.1);
    let (u, v) = (less(from[1], from[0]), less(from[2], from[0]));
    let (to_u, to_v) = (less(to[1], to[0]), less(to[2], to[0]));
    let area = u.0 * v.1 - u.1 * v.0;
    move |x, y| {
        let (x, y) = (x - from[0].0, y - from[0].1);
        // The point in steps of u and v.
        let (along_u, along_v) = ((x * v.1 - y * v.0) / area, (u.0 * y - u.1 * x) / area);
        (
            to[0].0 + along_u * to_u.0 + along_v * to_v.0,
            to[0].1 + along_u * to_u.1 + along_v * to_v.1,
        )
    }
}
