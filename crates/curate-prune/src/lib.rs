//! Concept-complexity (density-based) pruning and exact quota allocation
