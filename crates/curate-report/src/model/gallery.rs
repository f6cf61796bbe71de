//! Samples to look at.

use serde::Serialize;

use super::{Fact, Image};

/// Groups of samples: duplicates beside what replaced them, clusters with what was kept and
/// pruned, best and worst pairs, quarantined rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Gallery {
    /// Heading of the gallery.
    pub title: String,
    /// A sentence on what is shown and how it was drawn. May be empty.
    pub note: String,
    /// The groups. Small groups share a row.
    pub groups: Vec<Group>,
    /// Groups that exist but are not in `groups`; said below the gallery if not zero.
    pub omitted: u64,
    /// Said when there are no groups.
    pub when_empty: String,
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
    /// Samples that belong here but are not in `cards`; said after the last card if not zero.
    pub omitted: u64,
}

/// One sample.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Card {
    /// Its image; `None` draws an empty box that says so. Equal bytes are stored once in the
    /// file, however many cards show them.
    pub image: Option<Image>,
    /// Its caption, as it came from the web. Cut after [`Card::CAPTION`] characters, with more of
    /// it on hover.
    pub caption: String,
    /// Its id.
    pub id: String,
    /// Short labels: source, licence.
    pub badges: Vec<String>,
    /// What became of it.
    pub verdict: Option<Verdict>,
    /// Lines of evidence: `similarity 0.973 to 3f2a…`.
    pub details: Vec<String>,
}

impl Card {
    /// The most characters of a caption shown without hovering.
    pub const CAPTION: usize = 160;
}

/// What became of a sample. Shown by an icon, a word and a colour.
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
