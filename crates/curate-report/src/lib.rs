//! One self-contained HTML file about a curation run: funnel, histograms, galleries.
//!
//! A run decides the fate of each sample of a pool; this crate shows it to a person. It knows
//! nothing of pools or of pipelines: it takes plain data (a [`Report`] of [`Section`]s of
//! [`Block`]s) and returns markup. The page has no scripts, fetches nothing, and its content
//! security policy forbids both, so that it can be mailed, archived, and opened without trust in
//! the captions that it shows.
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
//! # What it promises
//!
//! - **Same report, same bytes.** No clock, no randomness, no map order.
//! - **All text is hostile.** Markup is escaped; control characters and bidirectional overrides
//!   are replaced by visible signs; a caption of any length takes the room of a short one. Images
//!   are embedded only if they begin as a PNG, JPEG, WebP or GIF, and never as SVG.
//! - **Nothing vanishes.** What is empty says why, what is not finite is counted, what was left out
//!   of a gallery or table is said, and numbers that do not add up are pointed at.
//! - **Colour is never all.** Kept, removed and quarantined also differ by word, icon and pattern;
//!   each drawing has its numbers as a folded table (up to 200 rows).
//! - **Each image once.** Equal bytes are stored once, however many cards show them.
//!
//! # When not to use it
//!
//! For exploring a whole pool: a page of more than a few thousand images is slow in any browser.
//! Draw a sample and say in [`Group::omitted`] how many are not shown. Memory is the size of the
//! report plus its largest section's markup ([`Report::write_html`]).

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

use std::io;

pub use model::{
    Block, Card, Column, Curve, CurveChart, CurveStyle, Fact, Funnel, FunnelStep, Gallery, Group,
    Histogram, HistogramSeries, Image, ImageFormat, Marker, Note, Removal, Report, Role, Scale,
    Section, Table, Tile, Tone, Value, Verdict,
};

impl Report {
    /// The whole page. Deterministic: the same report gives the same bytes.
    #[must_use]
    pub fn to_html(&self) -> String {
        page::pieces(self).collect()
    }

    /// Writes the page that [`Report::to_html`] returns, section by section.
    ///
    /// # Errors
    ///
    /// Those of the writer; what it took until then is a page cut short.
    pub fn write_html(&self, out: &mut impl io::Write) -> io::Result<()> {
        page::pieces(self).try_for_each(|piece| out.write_all(piece.as_bytes()))
    }
}
