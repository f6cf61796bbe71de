//! Writes one self-contained HTML file about a curation run: funnel, histograms, curves, galleries,
//! tables.
//!
//! A run decides the fate of every sample in a pool; this crate shows it to a person. It knows
//! nothing of pools or pipelines: it takes plain data (a [`Report`] made of [`Section`]s made of
//! [`Block`]s) and returns markup. The page has no scripts and fetches nothing, and its content
//! security policy forbids both, so it can be mailed, archived and opened without trusting the
//! captions that it shows.
//!
//! ```
//! use curate_report::{Funnel, FunnelStep, Removal, Report, Section, Tile};
//!
//! let dedup = FunnelStep {
//!     stage: "dedup".into(),
//!     rule: "one pair of each group closer than 0.05".into(),
//!     rows_in: 8000,
//!     rows_out: 2312,
//!     removed: vec![
//!         Removal::new("near duplicate", 5680),
//!         Removal::quarantined("image is missing", 8),
//!     ],
//! };
//! let funnel = Funnel { unit: "pairs".into(), steps: vec![dedup], ..Funnel::default() };
//!
//! let mut report = Report::new("Curation of <shapes>");
//! report.tiles.push(Tile::new("kept", 2312_u64).hint("of 8,000 pairs"));
//! report.sections.push(Section::new("What was removed").block(funnel));
//!
//! let html = report.to_html();
//! assert!(html.contains("<h1>Curation of &lt;shapes&gt;</h1>"));
//! assert!(html.contains("<b>5,680</b> removed: near duplicate"));
//! assert!(html.contains("28.9% of the pool"));
//! assert_eq!(html, report.to_html());
//! ```
//!
//! `examples/sample_report` writes a page with every kind of block.
//!
//! # What it promises
//!
//! - **The same report gives the same bytes.** No clock, no randomness, no order of a hash map.
//! - **All text is treated as hostile.** Markup is escaped. Control characters and bidirectional
//!   overrides are replaced by visible signs. A caption of any length takes no more room than a
//!   short one. Images are embedded only if they begin as a PNG, JPEG, WebP or GIF, never as SVG.
//! - **Nothing is dropped silently.** An empty block says why it is empty, values that are not
//!   finite are counted, what a gallery or table leaves out is stated, and numbers that do not add
//!   up are pointed out.
//! - **Nothing is told by color alone.** Kept, removed and quarantined also differ by word, icon
//!   and pattern, and each chart has its numbers as a folded table (up to 200 rows).
//! - **Each image is stored once,** however many cards show it.
//!
//! # Cost
//!
//! Time is linear in the size of the page. Memory is the report plus the markup of its largest
//! section ([`Report::write_html`]), or the whole page ([`Report::to_html`]). Images take a third
//! more room than their files, since the page holds them in base64. The crate has no features; it
//! depends on `base64` and `serde`.
//!
//! # When not to use it
//!
//! To explore a whole pool: a page with more than a few thousand images is slow in any browser.
//! Draw a sample, and say in [`Group::omitted`] how many are not shown. Nor for charts that react
//! to the reader: without scripts there is only hovering and folding.

mod axis;
mod chart;
mod curves;
mod funnel;
mod gallery;
mod histogram;
mod html;
pub mod model;
mod number;
mod page;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod value;

use std::io;

pub use model::{
    Block, Card, Column, Curve, CurveChart, CurveStyle, Fact, Funnel, FunnelStep, Gallery, Group,
    Histogram, HistogramSeries, Image, ImageFormat, Marker, Note, Removal, Report, Role, Scale,
    Section, Table, Tile, Tone, Value, Verdict,
};
pub use number::{count, counted};

impl Report {
    /// The whole page. Deterministic: the same report gives the same bytes.
    #[must_use]
    pub fn to_html(&self) -> String {
        page::pieces(self).collect()
    }

    /// Writes the page that [`Report::to_html`] returns, one section at a time.
    ///
    /// # Errors
    ///
    /// Those of the writer, which has then received part of a page.
    pub fn write_html(&self, out: &mut impl io::Write) -> io::Result<()> {
        page::pieces(self).try_for_each(|piece| out.write_all(piece.as_bytes()))
    }
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
