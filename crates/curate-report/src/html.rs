//! A page under construction: a string, and the images that several cards share.

use std::collections::HashMap;
use std::fmt::{self, Write};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::number::counted;
use crate::text::{esc, marked};
use crate::{Block, Image, Report};

/// Appends formatted markup. Text from callers must pass through [`esc`].
macro_rules! put {
    ($html:expr, $($format:tt)*) => { $html.put(format_args!($($format)*)) };
}
pub(crate) use put;

/// Markup that grows.
#[derive(Default)]
pub(crate) struct Html(pub(crate) String);

impl Html {
    pub(crate) fn put(&mut self, markup: fmt::Arguments<'_>) {
        self.0.write_fmt(markup).expect("a String takes every write");
    }

    /// A paragraph of this class; nothing for an empty text.
    pub(crate) fn paragraph(&mut self, class: &str, text: &str) {
        if !text.is_empty() {
            put!(self, "<p class=\"{class}\">{}</p>\n", marked(text));
        }
    }

    pub(crate) fn heading(&mut self, level: u8, text: &str) {
        if !text.is_empty() {
            put!(self, "<h{level}>{}</h{level}>\n", esc(text));
        }
    }

    /// Says why nothing is shown, in the caller's words if there are any.
    pub(crate) fn empty(&mut self, words: &str, otherwise: &str) {
        self.paragraph("empty", if words.is_empty() { otherwise } else { words });
    }

    /// Says how many more there are than are shown.
    pub(crate) fn omitted(&mut self, rows: u64, unit: &str) {
        if rows > 0 {
            let more = counted(rows, &format!("more {}", unit.trim_end_matches('s')));
            put!(self, "<p class=\"more\">{more} not shown.</p>\n");
        }
    }
}

/// The images that more than one card shows, numbered by first repeat.
pub(crate) struct SharedImages<'a> {
    images: Vec<&'a Image>,
    numbers: HashMap<&'a [u8], usize>,
}

impl<'a> SharedImages<'a> {
    pub(crate) fn of(report: &'a Report) -> Self {
        let mut uses = HashMap::new();
        let mut shared = Self { images: Vec::new(), numbers: HashMap::new() };
        for image in images(report) {
            let seen = uses.entry(image.bytes()).or_insert(0_u64);
            *seen += 1;
            if *seen == 2 {
                shared.numbers.insert(image.bytes(), shared.images.len());
                shared.images.push(image);
            }
        }
        shared
    }

    /// Stores each shared image once. Cards draw it through `<use>`: an `<img>` would need its
    /// bytes again, and anything else a script.
    pub(crate) fn definitions(&self, html: &mut Html) {
        for (number, image) in self.images.iter().enumerate() {
            let (width, height) = drawn_size(image);
            put!(html, "<image id=\"img-{number}\" width=\"{width}\" height=\"{height}\" href=\"");
            data_uri(html, image);
            put!(html, "\"/>\n");
        }
    }

    pub(crate) fn draw(&self, html: &mut Html, image: &Image, alt: &str) {
        let (width, height) = drawn_size(image);
        let class = if width.max(height) <= PIXEL_ART { "px" } else { "photo" };
        if let Some(number) = self.numbers.get(image.bytes()) {
            put!(
                html,
                "<svg class=\"{class}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
                 aria-label=\"{}\"><use href=\"#img-{number}\"/></svg>",
                esc(alt)
            );
            return;
        }
        put!(html, "<img class=\"{class}\" alt=\"{}\" ", esc(alt));
        if let Some((width, height)) = image.size() {
            put!(html, "width=\"{width}\" height=\"{height}\" ");
        }
        put!(html, "loading=\"lazy\" decoding=\"async\" src=\"");
        data_uri(html, image);
        put!(html, "\"/>");
    }
}

/// Images of at most this many pixels a side are enlarged without smoothing, which would blur them.
const PIXEL_ART: u32 = 96;

/// An image whose header does not give its size gets a square, into which the browser fits it.
fn drawn_size(image: &Image) -> (u32, u32) {
    image.size().unwrap_or((256, 256))
}

fn data_uri(html: &mut Html, image: &Image) {
    put!(html, "data:{};base64,", image.format().mime());
    STANDARD.encode_string(image.bytes(), &mut html.0);
}

fn images(report: &Report) -> impl Iterator<Item = &Image> {
    let blocks = report.sections.iter().flat_map(|section| &section.blocks);
    let galleries = blocks.filter_map(|block| match block {
        Block::Gallery(gallery) => Some(gallery),
        _ => None,
    });
    let cards = galleries.flat_map(|gallery| &gallery.groups).flat_map(|group| &group.cards);
    cards.filter_map(|card| card.image.as_ref())
}

/// An icon. It stands beside a word that says the same, so it is hidden from screen readers.
pub(crate) fn icon_use(id: &str) -> String {
    format!(
        "<svg class=\"icon\" viewBox=\"0 0 16 16\" aria-hidden=\"true\"><use href=\"#{id}\"/></svg>"
    )
}
