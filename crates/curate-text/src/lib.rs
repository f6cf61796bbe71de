//! Caption rules, language identification with fastText models, WordNet.
