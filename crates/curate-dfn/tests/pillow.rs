//! Every kind of image file against the pixels that Pillow has, in `data/images.tar.gz`, which
//! `data/make_images.py` makes. With `CURATE_FUZZ_DIR` also those of a longer run of that script.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeMap, env, fs::File, io::Read, path::Path};

use curate_dfn::image::{Decoded, ImageError, Limits, Mode, decode};
use flate2::read::GzDecoder;

/// What becomes of a kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bar {
    /// The bytes of Pillow, and refused where Pillow refuses.
    Same,
    /// The same; some that Pillow refuses are read.
    SameOrMore,
    /// No channel of a pixel off by more than this.
    Within(u8),
    /// Refused, and the reason has this word.
    Refused(&'static str),
    /// The bytes of Pillow or refused.
    SameOrRefused,
    /// Refused, or the bytes of Pillow where nothing of the image is missing; a rare file that one of
    /// both reads and the other refuses.
    Cut,
    /// Damaged: most have the bytes of Pillow or are refused, all end as an image or an error.
    Damaged,
}

/// Kinds of files, what is in them, what becomes of them. The book has this table.
const KINDS: &[(&str, &str, Bar)] = &[
    (
        "jpeg_common",
        "JPEG, colors or grays, baseline and progressive, 4:4:4, 4:2:2, 4:2:0",
        Bar::Same,
    ),
    (
        "jpeg_sampling",
        "JPEG, every other sampling (4:4:0, 4:1:1, 3x1, chroma above luma)",
        Bar::Same,
    ),
    ("jpeg_scans", "JPEG, components or bits in scans of their own", Bar::Same),
    ("jpeg_arithmetic", "JPEG, arithmetic coding", Bar::Same),
    ("jpeg_gray", "JPEG, grays", Bar::Same),
    ("jpeg_cmyk", "JPEG, CMYK and YCCK", Bar::Same),
    ("jpeg_color", "JPEG, RGB, no JFIF marker, Adobe's marker", Bar::Same),
    ("jpeg_tran", "JPEG, as jpegtran turns, cuts and recodes it", Bar::Same),
    (
        "jpeg_markers",
        "JPEG, other markers, bytes behind the image (motion photos), no end marker",
        Bar::Same,
    ),
    ("jpeg_without_tables", "JPEG, no Huffman tables (frames of MJPEG)", Bar::Same),
    ("jpeg_refused", "JPEG, 12 bits, lossless, hierarchical, 2 components, no height", Bar::Same),
    ("jpeg_cut", "JPEG, cut off", Bar::Cut),
    ("jpeg_flipped", "JPEG, bits flipped", Bar::Damaged),
    ("png_gray", "PNG, grays of 1 to 8 bits", Bar::Same),
    ("png_gray16", "PNG, grays of 16 bits (above 255 white, as Pillow has it)", Bar::Same),
    ("png_rgb", "PNG, colors of 8 and 16 bits", Bar::Same),
    ("png_palette", "PNG, palettes of 1 to 8 bits", Bar::Same),
    ("png_alpha", "PNG, alpha (dropped, the colors under it stay)", Bar::Same),
    ("png_chunks", "PNG, gamma and other chunks", Bar::Same),
    ("png_animated", "PNG, animated (the first image)", Bar::Same),
    ("png_open_end", "PNG, no end, bytes behind it, a wrong sum in a comment", Bar::SameOrMore),
    ("png_cut", "PNG, cut off", Bar::Cut),
    ("png_flipped", "PNG, bits flipped", Bar::Damaged),
    (
        "gif_frames",
        "GIF, frames smaller or larger than the canvas, any palette, interlaced",
        Bar::Same,
    ),
    ("gif_pillow", "GIF, as Pillow writes it, animated (the first frame)", Bar::Same),
    ("gif_cut", "GIF, cut off", Bar::Cut),
    ("gif_flipped", "GIF, bits flipped", Bar::Damaged),
    ("webp_lossy", "WebP, lossy", Bar::Same),
    ("webp_lossless", "WebP, lossless", Bar::Same),
    ("webp_alpha", "WebP, alpha", Bar::Same),
    ("webp_animated", "WebP, animated (the first frame)", Bar::Same),
    ("webp_cut", "WebP, cut off", Bar::Cut),
    ("bmp_plain", "BMP, 1, 8, 24 and 32 bits", Bar::Same),
    ("bmp_other", "BMP, 16 bits, masks, top down, OS/2, run lengths", Bar::Same),
    ("bmp_cut", "BMP, cut off", Bar::Cut),
    ("ppm_plain", "PBM, PGM, PPM, 8 bits", Bar::Same),
    ("ppm_text", "PBM, PGM, PPM, as text", Bar::Same),
    ("ppm_deep", "PGM, PPM, any largest value", Bar::Same),
    ("ppm_cut", "PBM, PGM, PPM, cut off", Bar::Cut),
    ("ico", "ICO (the largest image)", Bar::Same),
    ("tiff_plain", "TIFF, colors and grays, plain, LZW, PackBits, Deflate", Bar::Same),
    ("tiff_bilevel", "TIFF, black and white", Bar::Same),
    ("tiff_16bit", "TIFF, grays of 16 bits", Bar::Same),
    ("tiff_cmyk", "TIFF, CMYK", Bar::Within(1)),
    ("tiff_jpeg", "TIFF, JPEG inside", Bar::Within(2)),
    ("tiff_alpha", "TIFF, alpha (with grays: refused)", Bar::SameOrRefused),
    ("tiff_fax", "TIFF, fax (group 3: refused)", Bar::SameOrRefused),
    ("tiff_palette", "TIFF, palettes", Bar::Refused("TIFF")),
    ("tiff_float", "TIFF, floats", Bar::Refused("TIFF")),
    ("tiff_ycbcr", "TIFF, YCbCr and Lab without JPEG", Bar::Refused("TIFF")),
    ("tiff_cut", "TIFF, cut off", Bar::Cut),
    ("avif", "AVIF", Bar::Refused("AVIF")),
    ("jp2", "JPEG 2000", Bar::Refused("JPEG 2000")),
    ("tga", "TGA", Bar::Refused("TGA")),
    ("other", "PCX, SGI, DDS, PDF, QOI, IM", Bar::Refused("program")),
];

/// Counts of a kind of file.
#[derive(Debug, Default)]
struct Tally {
    cases: usize,
    same: usize,
    both_refuse: usize,
    /// The largest difference of a byte.
    worst: u8,
    refused: Vec<String>,
    read_more: usize,
    wrong: Vec<String>,
}

#[test]
fn files_have_the_pixels_of_pillow_or_are_refused() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let tallies = run(&committed);
    assert_eq!(tallies.len(), KINDS.len(), "every kind has cases");
    check(&tallies);
    if let Some(dir) = env::var_os("CURATE_FUZZ_DIR") {
        let tallies = run(Path::new(&dir));
        check(&tallies);
    }
}

/// The table in the book is the one above.
#[test]
fn the_book_has_the_table_of_kinds() {
    let rows = KINDS.iter().map(|(_, what, bar)| format!("| {what} | {} |\n", words(*bar)));
    let table =
        ["| file | read |\n|---|---|\n".to_owned()].into_iter().chain(rows).collect::<String>();
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/images.md");
    let book = std::fs::read_to_string(book).unwrap();
    assert!(book.contains(&table), "docs/src/images.md should have\n{table}");
}

fn words(bar: Bar) -> String {
    match bar {
        Bar::Same | Bar::SameOrMore => "as Pillow, byte for byte".into(),
        Bar::Within(most) => format!("within {most} of 255 of Pillow"),
        Bar::Refused(_) => "a bad row, with the format in its reason".into(),
        Bar::SameOrRefused => "as Pillow, byte for byte, or a bad row".into(),
        Bar::Cut => "a bad row, unless all pixels are there".into(),
        Bar::Damaged => "a bad row where the fault shows".into(),
    }
}

fn check(tallies: &BTreeMap<String, Tally>) {
    for (kind, tally) in tallies {
        let (.., bar) = KINDS.iter().find(|(name, ..)| name == kind).unwrap();
        let fine = tally.wrong.is_empty() && tally.worst == 0;
        let holds = match bar {
            Bar::Same => fine && tally.refused.is_empty() && tally.read_more == 0,
            Bar::SameOrMore => fine && tally.refused.is_empty(),
            Bar::Within(most) => {
                tally.wrong.is_empty() && tally.refused.is_empty() && tally.worst <= *most
            }
            Bar::Refused(word) => {
                tally.same == 0 && fine && tally.refused.iter().all(|reason| reason.contains(word))
            }
            Bar::SameOrRefused => fine && tally.same > 0,
            Bar::Cut => fine && tally.refused.len() + tally.read_more <= tally.cases / 20 + 1,
            Bar::Damaged => tally.wrong.len() * 10 <= tally.cases,
        };
        assert!(holds, "{kind} is not {bar:?}: {tally:?}");
    }
}

fn run(dir: &Path) -> BTreeMap<String, Tally> {
    let file = File::open(dir.join("images.tar.gz")).unwrap();
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let mut tallies = BTreeMap::<String, Tally>::new();
    let mut file = vec![];
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        let mut content = vec![];
        entry.read_to_end(&mut content).unwrap();
        if !name.ends_with(".pillow") {
            file = content;
            continue;
        }
        let tally = tallies.entry(name.split('/').next().unwrap().to_owned()).or_default();
        tally.cases += 1;
        judge(&name, decode(&file, Limits { pixels: 1 << 24 }), &content, tally);
    }
    tallies
}

fn judge(name: &str, ours: Result<Decoded, ImageError>, pillow: &[u8], tally: &mut Tally) {
    match (ours, seen(pillow)) {
        (Err(_), None) => tally.both_refuse += 1,
        (Ok(_), None) => tally.read_more += 1,
        (Err(error), Some(_)) => tally.refused.push(format!("{name}: {error}")),
        (Ok(ours), Some(seen)) => compare(name, &ours, &seen, tally),
    }
}

fn compare(name: &str, ours: &Decoded, seen: &Seen<'_>, tally: &mut Tally) {
    if (ours.rgb.width, ours.rgb.height) != (seen.width, seen.height) {
        tally.wrong.push(format!("{name}: another size"));
        return;
    }
    let checks_mode = ["jpeg", "png", "gif", "webp", "ppm"].iter().any(|f| name.starts_with(f));
    if checks_mode && ours.mode != seen.mode {
        tally.wrong.push(format!("{name}: {:?} is not {:?}", ours.mode, seen.mode));
    }
    let pairs = ours.rgb.bytes.iter().zip(seen.bytes);
    match pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0) {
        0 => tally.same += 1,
        worst @ 1..=4 => tally.worst = tally.worst.max(worst),
        worst => tally.wrong.push(format!("{name}: off by {worst}")),
    }
}

/// What Pillow makes of a file.
struct Seen<'a> {
    width: usize,
    height: usize,
    mode: Mode,
    bytes: &'a [u8],
}

/// Nothing where Pillow refuses the file.
fn seen(content: &[u8]) -> Option<Seen<'_>> {
    let line = content.iter().position(|&b| b == b'\n')?;
    let words: Vec<_> = std::str::from_utf8(&content[..line]).ok()?.split(' ').collect();
    let mode = match *words.get(2)? {
        "1" | "P" => Mode::Indexed,
        "LA" | "RGBA" => Mode::Alpha,
        _ => Mode::Plain,
    };
    let (width, height) = (words[0].parse().ok()?, words[1].parse().ok()?);
    Some(Seen { width, height, mode, bytes: &content[line + 1..] })
}
