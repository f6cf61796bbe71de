//! Pictures of 64 × 64 pixels over white, the same on every machine.

use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
use resvg::tiny_skia::{FilterQuality, Pixmap, PixmapPaint, Transform};
use resvg::usvg;

use crate::sources::Art;

/// Width and height of every picture of the pool.
pub(crate) const SIDE: u32 = 64;

/// A rendered picture.
#[derive(Debug)]
pub(crate) struct Picture {
    /// PNG in the smallest lossless form.
    pub(crate) png: Vec<u8>,
    /// Size of the art before it was scaled, in its own units.
    pub(crate) original: (f32, f32),
    /// Standard deviation over all pixels and channels: 0 for a blank picture.
    pub(crate) std: f64,
}

/// Renders art, keeping its aspect and centring it.
pub(crate) fn render(art: &Art) -> Result<Picture> {
    let mut canvas = Pixmap::new(SIDE, SIDE).context("no memory for a picture")?;
    canvas.fill(resvg::tiny_skia::Color::WHITE);
    let original = match art {
        Art::Png(bytes) => draw_png(bytes, &mut canvas)?,
        Art::Svg(bytes) => draw_svg(bytes, &mut canvas)?,
    };
    let rgb = rgb(&canvas);
    Ok(Picture { png: encode(&rgb)?, original, std: deviation(&rgb) })
}

/// RGB bytes of a PNG, composited over white.
pub(crate) fn decode(png: &[u8]) -> Result<Vec<u8>> {
    let mut canvas = Pixmap::new(SIDE, SIDE).context("no memory for a picture")?;
    canvas.fill(resvg::tiny_skia::Color::WHITE);
    draw_png(png, &mut canvas)?;
    Ok(rgb(&canvas))
}

static OPTIONS: LazyLock<usvg::Options<'static>> = LazyLock::new(|| {
    let mut options = usvg::Options::default();
    // A drawing must not depend on what lies in the current folder.
    options.image_href_resolver.resolve_string = Box::new(|_, _| None);
    options
});

fn draw_svg(bytes: &[u8], canvas: &mut Pixmap) -> Result<(f32, f32)> {
    let tree = usvg::Tree::from_data(bytes, &OPTIONS)?;
    let size = (tree.size().width(), tree.size().height());
    resvg::render(&tree, fit(size)?, &mut canvas.as_mut());
    Ok(size)
}

fn draw_png(bytes: &[u8], canvas: &mut Pixmap) -> Result<(f32, f32)> {
    let picture = Pixmap::decode_png(bytes)?;
    let size = (picture.width() as f32, picture.height() as f32);
    let paint = PixmapPaint { quality: FilterQuality::Bicubic, ..PixmapPaint::default() };
    canvas.draw_pixmap(0, 0, picture.as_ref(), &paint, fit(size)?, None);
    Ok(size)
}

fn fit((width, height): (f32, f32)) -> Result<Transform> {
    let side = SIDE as f32;
    let scale = side / width.max(height);
    ensure!(width.min(height) * scale >= 1.0, "thinner than a pixel ({width} by {height})");
    let shift = |length: f32| (side - length * scale) / 2.0;
    Ok(Transform::from_row(scale, 0.0, 0.0, scale, shift(width), shift(height)))
}

/// The canvas is opaque, so its premultiplied colours are the colours.
fn rgb(canvas: &Pixmap) -> Vec<u8> {
    let (pixels, _) = canvas.data().as_chunks::<4>();
    pixels.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect()
}

fn encode(rgb: &[u8]) -> Result<Vec<u8>> {
    let color = oxipng::ColorType::RGB { transparent_color: None };
    let image = oxipng::RawImage::new(SIDE, SIDE, color, oxipng::BitDepth::Eight, rgb.to_vec())?;
    Ok(image.create_optimized_png(&oxipng::Options::from_preset(2))?)
}

fn deviation(rgb: &[u8]) -> f64 {
    let count = rgb.len() as f64;
    let mean = rgb.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    (rgb.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn svg(body: &str, width: u32, height: u32) -> Art {
        let text = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">{body}</svg>"#
        );
        Art::Svg(text.into_bytes())
    }

    #[test]
    fn a_wide_drawing_is_centred_between_white_bands() {
        let picture =
            render(&svg(r##"<rect width="20" height="10" fill="#f00"/>"##, 20, 10)).unwrap();
        let pixels = decode(&picture.png).unwrap();
        let pixel = |y: usize| &pixels[(y * 64 + 32) * 3..][..3];
        assert_eq!(
            (pixel(15), pixel(16), pixel(47), pixel(48)),
            (&[255, 255, 255][..], &[255, 0, 0][..], &[255, 0, 0][..], &[255, 255, 255][..])
        );
        assert_eq!(picture.original, (20.0, 10.0));
    }

    #[test]
    fn an_empty_drawing_is_blank_and_a_hair_is_refused() {
        assert!(render(&svg("", 10, 10)).unwrap().std.abs() < 1e-12);
        assert!(render(&svg("", 1000, 1)).unwrap_err().to_string().contains("thinner"));
    }

    #[test]
    fn a_picture_of_the_right_size_keeps_its_pixels() {
        let first = render(&svg(r##"<circle cx="5" cy="5" r="4" fill="#345"/>"##, 10, 10)).unwrap();
        let second = render(&Art::Png(first.png.clone())).unwrap();
        assert_eq!(first.png, second.png);
    }
}
