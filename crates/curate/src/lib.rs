//! Decide which samples of a web-scale pool to train on: the facade and its pipeline
