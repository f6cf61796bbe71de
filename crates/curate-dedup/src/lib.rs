//! Semantic deduplication (SemDeDup): every row's most similar earlier row, re-thresholdable
