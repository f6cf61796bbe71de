//! What several kinds of stages have in common.

pub(crate) mod alternative;
pub(crate) mod baseline_rows;
pub(crate) mod by_id;
pub(crate) mod clustering;
pub(crate) mod concepts_section;
pub(crate) mod duplicates_section;
pub(crate) mod given_clusters;
pub(crate) mod probing;
pub(crate) mod quarantine;
pub(crate) mod ranked;
pub(crate) mod reference;
pub(crate) mod score_cut;
pub(crate) mod score_section;
pub(crate) mod vectors;
