//! A whole model, and its answers.

use super::FastTextError;
use super::args::Args;
use super::dictionary::Dictionary;
use super::heap::Best;
use super::loss::Loss;
use super::matrix::{INPUT, Matrix, OUTPUT};
use super::source::{FormatError, Source};
use std::io::{BufRead, BufReader};
use std::path::Path;

/// A label and its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction<'m> {
    /// The label as it was trained, with its `__label__`.
    pub label: &'m str,
    /// fastText's probability. It can reach 1.00001, because fastText adds 0.00001 before it takes
    /// logarithms. The probabilities of a one-vs-all model do not sum to 1.
    pub probability: f32,
}

/// A supervised fastText model.
///
/// Its answers equal fastText's, ties included; probabilities agree up to rounding. The crate's
/// page says what was measured.
pub struct Model {
    dictionary: Dictionary,
    input: Matrix,
    output: Matrix,
    loss: Loss,
    dim: usize,
}

impl Model {
    /// Reads a `.bin` or `.ftz` file.
    ///
    /// # Errors
    /// [`FastTextError::Io`] if the file cannot be opened, [`FastTextError::Format`] if it is
    /// truncated, damaged, of another kind, or declares more than it holds.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, FastTextError> {
        let path = path.as_ref();
        let io = |source| FastTextError::Io { path: path.to_owned(), source };
        let file = crate::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        Self::from_source(Source::new(BufReader::with_capacity(1 << 16, file), metadata.len()))
            .map_err(|source| FastTextError::Format { path: path.to_owned(), source })
    }

    /// Reads a model from memory.
    ///
    /// # Errors
    /// [`FormatError`], as in [`Model::read`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        Self::from_source(Source::new(bytes, bytes.len() as u64))
    }

    fn from_source<R: BufRead>(mut source: Source<R>) -> Result<Self, FormatError> {
        let args = Args::read(&mut source)?;
        let dictionary = Dictionary::read(&mut source, &args)?;
        let quantized = source.flag("quant_input")?;
        if dictionary.is_pruned() && !quantized {
            return Err(FormatError::new("quant_input", "must be 1, since n-grams were pruned"));
        }
        let read = |quantized| if quantized { Matrix::read_quantized } else { Matrix::read_dense };
        let input = read(quantized)(&mut source, args.dim, &INPUT)?;
        let quantized_output = source.flag("qout")?;
        let output = read(quantized && quantized_output)(&mut source, args.dim, &OUTPUT)?;
        check_rows(&dictionary, &input, &output)?;
        let loss = Loss::new(args.loss, dictionary.label_counts())?;
        Ok(Self { dictionary, input, output, loss, dim: args.dim })
    }

    /// The labels, most frequent in training first.
    pub fn labels(&self) -> &[String] {
        self.dictionary.labels()
    }

    /// The `k` most probable labels of a line among those with a probability of at least
    /// `threshold`, best first.
    ///
    /// As in fastText, only the first line is read (up to a line feed or a word `</s>`), words that
    /// begin with `__label__` are ignored, and the end of the line counts as a word, so an empty
    /// text has an answer too. `k` may exceed the number of labels. `k` = 0 and a NaN threshold
    /// give nothing.
    pub fn predict(&self, text: &str, k: usize, threshold: f32) -> Vec<Prediction<'_>> {
        let rows = self.dictionary.rows(text);
        // No probability is at least NaN. The losses compare in either direction, so they would not
        // agree on it.
        if rows.is_empty() || k == 0 || threshold.is_nan() {
            return Vec::new();
        }
        let mut best = Best::new(k);
        self.loss.predict(&self.output, &self.hidden(&rows), threshold, &mut best);
        let found = best.into_sorted().into_iter();
        found.map(|(score, label)| self.prediction(score, label)).collect()
    }

    /// The mean of the rows.
    fn hidden(&self, rows: &[i32]) -> Vec<f32> {
        let mut hidden = vec![0.0; self.dim];
        for &row in rows {
            self.input.add_row(row.unsigned_abs() as usize, &mut hidden);
        }
        let share = (1.0 / rows.len() as f64) as f32;
        hidden.iter_mut().for_each(|value| *value *= share);
        hidden
    }

    fn prediction(&self, score: f32, label: usize) -> Prediction<'_> {
        Prediction { label: &self.dictionary.labels()[label], probability: score.exp() }
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("labels", &self.output.rows)
            .field("rows", &self.input.rows)
            .field("dim", &self.dim)
            .finish()
    }
}

fn check_rows(dictionary: &Dictionary, input: &Matrix, output: &Matrix) -> Result<(), FormatError> {
    let needed = dictionary.rows_needed()?;
    if input.rows < needed || i32::try_from(needed).is_err() {
        let problem = format!("must be the {needed} words and n-grams, found {}", input.rows);
        return Err(FormatError::new(INPUT.rows, problem));
    }
    let labels = dictionary.labels().len();
    if output.rows != labels {
        let problem = format!("must be the {labels} labels, found {}", output.rows);
        return Err(FormatError::new(OUTPUT.rows, problem));
    }
    Ok(())
}
