//! The plain data that a report is made of.
//!
//! Every struct has public fields and a `Default`, so callers fill in what they have and leave the
//! rest: `Funnel { steps, ..Funnel::default() }`. All text is plain text, never markup: the
//! renderer escapes it. A field named `when_empty` is the sentence shown in place of a block that
//! has nothing to draw ("No duplicates were found."); it is safe to set it always.

mod chart;
mod gallery;
mod image;
mod value;

pub use chart::{Curve, CurveChart, CurveStyle, Histogram, HistogramSeries, Marker, Role, Scale};
pub use gallery::{Card, Gallery, Group, Verdict};
pub use image::{Image, ImageFormat};
pub use value::Value;

use serde::Serialize;

/// A whole report: one page about one run.
///
/// The page shows, in this order: title, subtitle, lead sentences, tiles, notes, sections, and last
/// the run facts.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// What the page is about, for example `Curation of shapes-8k`. Also the title of the browser
    /// tab.
    pub title: String,
    /// One line below the title: recipe, pool, version.
    pub subtitle: String,
    /// The result in sentences, one paragraph each: `8,000 pairs in, 2,312 kept (28.9%).`
    pub lead: Vec<String>,
    /// The few numbers that a reader wants to see first.
    pub tiles: Vec<Tile>,
    /// Warnings and remarks about the run as a whole.
    pub notes: Vec<Note>,
    /// The body, in reading order.
    pub sections: Vec<Section>,
    /// What it takes to repeat or cite the run: pool, seed, version, digests, seconds per stage.
    pub facts: Vec<Fact>,
}

impl Report {
    /// An empty report with this title.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }
}

/// One key figure: a large value with its label.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Tile {
    /// What the value is: `kept`.
    pub label: String,
    /// The value itself.
    pub value: Value,
    /// A short remark below it: `of 8,000 pairs`. May be empty.
    pub hint: String,
}

impl Tile {
    /// A tile without a hint.
    #[must_use]
    pub fn new(label: impl Into<String>, value: impl Into<Value>) -> Self {
        Self { label: label.into(), value: value.into(), hint: String::new() }
    }

    /// Adds a remark below the value.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }
}

/// A labeled value: a line of the run facts, or of a group's figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Fact {
    /// What the value is: `seed`.
    pub label: String,
    /// The value itself. Digests and commands read best as [`Value::Code`].
    pub value: Value,
}

impl Fact {
    /// A fact with this label and value.
    #[must_use]
    pub fn new(label: impl Into<String>, value: impl Into<Value>) -> Self {
        Self { label: label.into(), value: value.into() }
    }
}

/// A remark set apart from the text around it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Note {
    /// How much attention it asks for.
    pub tone: Tone,
    /// The remark, one paragraph.
    pub text: String,
}

impl Note {
    /// A remark worth knowing.
    #[must_use]
    pub fn info(text: impl Into<String>) -> Self {
        Self { tone: Tone::Info, text: text.into() }
    }

    /// A warning that the result may be wrong, or worth less than it seems.
    #[must_use]
    pub fn warning(text: impl Into<String>) -> Self {
        Self { tone: Tone::Warning, text: text.into() }
    }
}

/// How much attention a [`Note`] asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// A remark worth knowing.
    #[default]
    Info,
    /// A warning that the result may be wrong, or worth less than it seems.
    Warning,
}

/// A part of the page with a heading, an anchor and an entry in the navigation.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Section {
    /// The heading. The anchor is made from it: `Near duplicates` becomes `#near-duplicates`, and a
    /// second section with the same heading `#near-duplicates-2`.
    pub title: String,
    /// Paragraphs that say what the section shows and how to read it.
    pub intro: Vec<String>,
    /// The content, in order. Neighboring charts share a row where the screen is wide enough.
    pub blocks: Vec<Block>,
    /// Shown when there are no blocks.
    pub when_empty: String,
}

impl Section {
    /// An empty section with this heading.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// Adds an introductory paragraph.
    #[must_use]
    pub fn intro(mut self, paragraph: impl Into<String>) -> Self {
        self.intro.push(paragraph.into());
        self
    }

    /// Adds a block at the end.
    #[must_use]
    pub fn block(mut self, block: impl Into<Block>) -> Self {
        self.blocks.push(block.into());
        self
    }

    /// Sets the sentence to show when there are no blocks.
    #[must_use]
    pub fn when_empty(self, sentence: impl Into<String>) -> Self {
        Self { when_empty: sentence.into(), ..self }
    }
}

/// One item of a section. Each kind converts into a `Block` with `into()`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", content = "content", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// A remark or a warning.
    Note(Note),
    /// Labeled values.
    Facts(Vec<Fact>),
    /// What each stage removed.
    Funnel(Funnel),
    /// Counts over bins.
    Histogram(Histogram),
    /// Lines or points over x.
    Curves(CurveChart),
    /// Groups of samples to look at.
    Gallery(Gallery),
    /// Rows and columns.
    Table(Table),
}

macro_rules! block_from {
    ($($variant:ident($inner:ty)),* $(,)?) => {$(
        impl From<$inner> for Block {
            fn from(inner: $inner) -> Self {
                Self::$variant(inner)
            }
        }
    )*};
}

block_from!(
    Text(String),
    Note(Note),
    Facts(Vec<Fact>),
    Funnel(Funnel),
    Histogram(Histogram),
    Curves(CurveChart),
    Gallery(Gallery),
    Table(Table),
);

/// What each stage removed from the pool, drawn as one bar per stage.
///
/// Shares of the pool are relative to the first step's `rows_in`. The arithmetic is not trusted: a
/// line below the step says so if rows were removed without a reason, if the step kept more rows
/// than it received, or if it did not receive what the step before it kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Funnel {
    /// Heading of the drawing. May be empty.
    pub title: String,
    /// What the rows are called, in the plural: `pairs`. Empty means `rows`.
    pub unit: String,
    /// The stages in the order in which they ran.
    pub steps: Vec<FunnelStep>,
    /// Shown when there are no steps.
    pub when_empty: String,
}

/// One stage of a [`Funnel`].
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FunnelStep {
    /// The stage's name: `dedup`.
    pub stage: String,
    /// Its rule in words: `one pair of each group closer than 0.05`. May be empty.
    pub rule: String,
    /// Rows that it received.
    pub rows_in: u64,
    /// Rows that it kept.
    pub rows_out: u64,
    /// Why it removed the others, by reason.
    pub removed: Vec<Removal>,
}

/// Rows removed by one stage for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// The reason in words: `near duplicate`, `embedding is not finite`.
    pub reason: String,
    /// How many rows.
    pub rows: u64,
    /// True if the rows were set aside because they could not be judged, rather than removed by the
    /// stage's rule.
    pub quarantined: bool,
}

impl Removal {
    /// Rows that the stage's rule removed.
    #[must_use]
    pub fn new(reason: impl Into<String>, rows: u64) -> Self {
        Self { reason: reason.into(), rows, quarantined: false }
    }

    /// Rows that could not be judged.
    #[must_use]
    pub fn quarantined(reason: impl Into<String>, rows: u64) -> Self {
        Self { reason: reason.into(), rows, quarantined: true }
    }
}

/// Rows and columns of values. Numbers are right-aligned. More than [`Table::LONG`] rows are
/// folded behind their heading.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Table {
    /// Heading of the table.
    pub title: String,
    /// A sentence below the heading. May be empty.
    pub note: String,
    /// The columns, left to right. The first one names the row.
    pub columns: Vec<Column>,
    /// One value per column. A short row is filled with [`Value::Missing`], a long one is cut off.
    pub rows: Vec<Vec<Value>>,
    /// Columns by which a reader can sort the rows, the largest value first. They stand in the order of
    /// `rows` before anyone does.
    pub orders: Vec<usize>,
    /// Rows that exist but are not in `rows`; stated below the table if not zero.
    pub omitted: u64,
    /// Shown when there are no rows.
    pub when_empty: String,
}

impl Table {
    /// The most rows shown without folding.
    pub const LONG: usize = 24;
}

/// A column of a [`Table`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Column {
    /// The heading.
    pub heading: String,
    /// Draws a bar beside each number, relative to the largest finite one in the column.
    pub bar: bool,
}

impl Column {
    /// A column without bars.
    #[must_use]
    pub fn new(heading: impl Into<String>) -> Self {
        Self { heading: heading.into(), bar: false }
    }

    /// A column of numbers with a bar beside each.
    #[must_use]
    pub fn bar(heading: impl Into<String>) -> Self {
        Self { heading: heading.into(), bar: true }
    }
}
