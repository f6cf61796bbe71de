//! The data of galleries: samples to look at.

use serde::Serialize;

use super::{Fact, Image};

/// Groups of samples: duplicates beside the sample kept instead of them, clusters with what was
/// kept and pruned, best and worst pairs, quarantined rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Gallery {
    /// Heading of the gallery.
    pub title: String,
    /// A sentence that says what is shown and how it was sampled. May be empty.
    pub note: String,
    /// The groups. Small groups share a row. Those after the first [`Gallery::OPEN`] are folded.
    pub groups: Vec<Group>,
    /// Groups that exist but are not in `groups`; stated below the gallery if not zero.
    pub omitted: u64,
    /// Shown when there are no groups.
    pub when_empty: String,
}

impl Gallery {
    /// The most groups that are shown without folding.
    pub const OPEN: usize = 2;
}

/// Cards that belong together.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Group {
    /// Heading: `Cluster 17`. May be empty.
    pub heading: String,
    /// A sentence below the heading. May be empty.
    pub note: String,
    /// Figures of the group: size, quota, complexity.
    pub facts: Vec<Fact>,
    /// The samples, in order.
    pub cards: Vec<Card>,
    /// Samples that belong here but are not in `cards`; stated after the last card if not zero.
    pub omitted: u64,
}

/// One sample.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Card {
    /// Its image; without one, an empty box says so. Equal bytes are stored once in the file,
    /// however many cards show them.
    pub image: Option<Image>,
    /// Its caption, as it came from the web. Cut off after [`Card::CAPTION`] characters; hovering
    /// shows more.
    pub caption: String,
    /// Its id.
    pub id: String,
    /// Short labels: source, license.
    pub badges: Vec<String>,
    /// Whether it was kept.
    pub verdict: Option<Verdict>,
    /// Lines of evidence: `similarity 0.973 to 3f2a…`.
    pub details: Vec<String>,
}

impl Card {
    /// The most characters of a caption shown without hovering.
    pub const CAPTION: usize = 90;
}

/// What was decided about a sample. Shown by an icon, a word and a color.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is in the selection.
    Kept,
    /// A rule removed it.
    Removed,
    /// It could not be judged and was set aside.
    Quarantined,
}
