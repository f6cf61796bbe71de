//! Sample ids, embedding sources, scores, selections, evidence and progress for curation methods
