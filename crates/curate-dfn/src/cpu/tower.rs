//! The two towers.

use curate_kernels::{Attention, Bf16Matrix, Int8Matrix, Matrix, Then, layer_norm};

use crate::{Arithmetic, config::ModelConfig, tokenizer::END, weights::Weights};

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

struct Linear {
    weight: Weight,
    bias: Vec<f32>,
}

enum Weight {
    F32(Matrix),
    Bf16(Bf16Matrix),
    Int8(Int8Matrix),
}

struct Block {
    ln_1: Norm,
    in_proj: Linear,
    out_proj: Linear,
    ln_2: Norm,
    c_fc: Linear,
    c_proj: Linear,
}

/// Blocks of a tower.
struct Transformer {
    blocks: Vec<Block>,
    width: usize,
    heads: usize,
    quick_gelu: bool,
    causal: bool,
}

/// The image tower.
pub(crate) struct ImageTower {
    transformer: Transformer,
    patches: Matrix,
    class: Vec<f32>,
    positions: Vec<f32>,
    ln_pre: Norm,
    ln_post: Norm,
    proj: Matrix,
    grid: usize,
    patch: usize,
}

/// The text tower.
pub(crate) struct TextTower {
    transformer: Transformer,
    embedding: Vec<f32>,
    positions: Vec<f32>,
    ln_final: Norm,
    proj: Matrix,
}

impl Norm {
    fn new(weights: &Weights, name: &str) -> Self {
        let of = |part: &str| weights.known(&format!("{name}.{part}")).to_vec();
        Self { weight: of("weight"), bias: of("bias") }
    }

    fn apply(&self, rows: &[f32], out: &mut [f32]) {
        layer_norm(rows, &self.weight, &self.bias, out);
    }
}

impl Linear {
    fn new(weights: &Weights, weight: &str, bias: &str, inputs: usize) -> Self {
        Self {
            weight: Weight::F32(Matrix::linear(weights.known(weight), inputs)),
            bias: weights.known(bias).to_vec(),
        }
    }

    fn multiply(&self, rows: &[f32], then: Then<'_>, out: &mut [f32]) {
        match &self.weight {
            Weight::F32(matrix) => matrix.multiply(rows, then, out),
            Weight::Bf16(matrix) => matrix.multiply(rows, then, out),
            Weight::Int8(matrix) => matrix.multiply(rows, then, out),
        }
    }

    fn round_to(&mut self, arithmetic: Arithmetic) {
        let Weight::F32(matrix) = &self.weight else { return };
        match arithmetic {
            Arithmetic::Bf16 => self.weight = Weight::Bf16(Bf16Matrix::new(matrix)),
            // A wider layer stays in f32.
            Arithmetic::Int8 if matrix.inputs() <= Int8Matrix::MAX_INPUTS => {
                self.weight = Weight::Int8(Int8Matrix::new(matrix));
            }
            Arithmetic::F32 | Arithmetic::Int8 => {}
        }
    }
}

impl Block {
    fn new(weights: &Weights, name: &str, width: usize, hidden: usize) -> Self {
        let linear = |part: &str, inputs| {
            let (weight, bias) = (format!("{name}.{part}.weight"), format!("{name}.{part}.bias"));
            Linear::new(weights, &weight, &bias, inputs)
        };
        let (weight, bias) =
            (format!("{name}.attn.in_proj_weight"), format!("{name}.attn.in_proj_bias"));
        Self {
            ln_1: Norm::new(weights, &format!("{name}.ln_1")),
            in_proj: Linear::new(weights, &weight, &bias, width),
            out_proj: linear("attn.out_proj", width),
            ln_2: Norm::new(weights, &format!("{name}.ln_2")),
            c_fc: linear("mlp.c_fc", width),
            c_proj: linear("mlp.c_proj", hidden),
        }
    }
}

impl Transformer {
    /// Runs the blocks over sequences of these lengths, one after the other in `x`, and returns the
    /// rows `kept`. Behind the last attention only these are computed: a row needs no other there.
    fn apply(&self, mut x: Vec<f32>, lengths: &[usize], kept: &[usize]) -> Vec<f32> {
        let mut normed = vec![0.0; x.len()];
        let mut attended = vec![0.0; x.len()];
        let mut qkv = vec![0.0; 3 * x.len()];
        let mut hidden = Vec::new();
        let mut attention = Attention::default();
        for (b, block) in self.blocks.iter().enumerate() {
            let Block { in_proj, out_proj, c_fc, c_proj, .. } = block;
            block.ln_1.apply(&x, &mut normed);
            in_proj.multiply(&normed, Then::Bias(&in_proj.bias), &mut qkv);
            let mut start = 0;
            for &length in lengths {
                let (from, to) = (start * self.width, (start + length) * self.width);
                let (qkv, out) = (&qkv[3 * from..3 * to], &mut attended[from..to]);
                attention.apply(qkv, self.width, self.heads, self.causal, out);
                start += length;
            }
            if b + 1 == self.blocks.len() {
                (x, attended) = (self.rows(&x, kept), self.rows(&attended, kept));
                normed.truncate(x.len());
            }
            out_proj.multiply(&attended, Then::BiasAndAdd(&out_proj.bias), &mut x);
            block.ln_2.apply(&x, &mut normed);
            let gelu = match self.quick_gelu {
                true => Then::BiasAndQuickGelu(&c_fc.bias),
                false => Then::BiasAndGelu(&c_fc.bias),
            };
            hidden.resize(x.len() / self.width * c_fc.bias.len(), 0.0);
            c_fc.multiply(&normed, gelu, &mut hidden);
            c_proj.multiply(&hidden, Then::BiasAndAdd(&c_proj.bias), &mut x);
        }
        if self.blocks.is_empty() { self.rows(&x, kept) } else { x }
    }

    fn round_to(&mut self, arithmetic: Arithmetic) {
        for Block { in_proj, out_proj, c_fc, c_proj, .. } in &mut self.blocks {
            for linear in [in_proj, out_proj, c_fc, c_proj] {
                linear.round_to(arithmetic);
            }
        }
    }

    fn rows(&self, x: &[f32], kept: &[usize]) -> Vec<f32> {
        kept.iter().flat_map(|row| &x[row * self.width..][..self.width]).copied().collect()
    }
}

impl ImageTower {
    pub(crate) fn new(config: &ModelConfig, weights: &Weights) -> Self {
        let v = &config.vision_cfg;
        let block = |i| {
            let name = format!("visual.transformer.resblocks.{i}");
            Block::new(weights, &name, v.width, v.hidden())
        };
        Self {
            transformer: Transformer {
                blocks: (0..v.layers).map(block).collect(),
                width: v.width,
                heads: v.heads(),
                quick_gelu: config.quick_gelu,
                causal: false,
            },
            patches: Matrix::linear(
                weights.known("visual.conv1.weight"),
                3 * v.patch_size * v.patch_size,
            ),
            class: weights.known("visual.class_embedding").to_vec(),
            positions: weights.known("visual.positional_embedding").to_vec(),
            ln_pre: Norm::new(weights, "visual.ln_pre"),
            ln_post: Norm::new(weights, "visual.ln_post"),
            proj: Matrix::columns(
                weights.known("visual.proj"),
                config.embed_dim,
                0,
                config.embed_dim,
            ),
            grid: v.grid(),
            patch: v.patch_size,
        }
    }

    /// The linear layers of the blocks, in f32 so far, are rounded to this.
    pub(crate) fn round_to(&mut self, arithmetic: Arithmetic) {
        self.transformer.round_to(arithmetic);
    }

    /// Features of some images, each `3 x size x size` numbers; not normalized.
    pub(crate) fn features(&self, images: &[f32]) -> Vec<f32> {
        let width = self.class.len();
        let size = self.grid * self.patch;
        let tokens = 1 + self.grid * self.grid;
        let count = images.len() / (3 * size * size);
        let patches: Vec<f32> = images
            .chunks_exact(3 * size * size)
            .flat_map(|image| patchify(image, self.grid, self.patch))
            .collect();
        let mut embedded = vec![0.0; count * (tokens - 1) * width];
        self.patches.multiply(&patches, Then::Store, &mut embedded);
        let mut x = Vec::with_capacity(count * tokens * width);
        for image in embedded.chunks_exact((tokens - 1) * width) {
            let start = x.len();
            x.extend_from_slice(&self.class);
            x.extend_from_slice(image);
            x[start..].iter_mut().zip(&self.positions).for_each(|(x, p)| *x += p);
        }
        let embedded = x.clone();
        self.ln_pre.apply(&embedded, &mut x);
        let class: Vec<usize> = (0..count).map(|image| image * tokens).collect();
        let class = self.transformer.apply(x, &vec![tokens; count], &class);
        project(&self.proj, &self.ln_post, &class)
    }
}

impl TextTower {
    pub(crate) fn new(config: &ModelConfig, weights: &Weights) -> Self {
        let t = &config.text_cfg;
        let block =
            |i| Block::new(weights, &format!("transformer.resblocks.{i}"), t.width, t.hidden());
        Self {
            transformer: Transformer {
                blocks: (0..t.layers).map(block).collect(),
                width: t.width,
                heads: t.heads,
                quick_gelu: config.quick_gelu,
                causal: true,
            },
            embedding: weights.known("token_embedding.weight").to_vec(),
            positions: weights.known("positional_embedding").to_vec(),
            ln_final: Norm::new(weights, "ln_final"),
            proj: Matrix::columns(
                weights.known("text_projection"),
                config.embed_dim,
                0,
                config.embed_dim,
            ),
        }
    }

    /// As [`ImageTower::round_to`].
    pub(crate) fn round_to(&mut self, arithmetic: Arithmetic) {
        self.transformer.round_to(arithmetic);
    }

    /// Features of some texts, each `context` tokens; not normalized. Tokens behind the pooled one
    /// are not computed: it does not see them.
    pub(crate) fn features(&self, tokens: &[u32], context: usize) -> Vec<f32> {
        let width = self.ln_final.weight.len();
        let lengths: Vec<usize> = tokens.chunks_exact(context).map(|t| pooled(t) + 1).collect();
        let mut x = Vec::with_capacity(lengths.iter().sum::<usize>() * width);
        for (text, &length) in tokens.chunks_exact(context).zip(&lengths) {
            for (&token, position) in text[..length].iter().zip(self.positions.chunks_exact(width))
            {
                let row = &self.embedding[token as usize * width..][..width];
                x.extend(row.iter().zip(position).map(|(e, p)| e + p));
            }
        }
        let end = |end: &mut usize, length: &usize| {
            *end += length;
            Some(*end - 1)
        };
        let ends: Vec<usize> = lengths.iter().scan(0, end).collect();
        let pooled = self.transformer.apply(x, &lengths, &ends);
        project(&self.proj, &self.ln_final, &pooled)
    }
}

/// The position of the first of the largest tokens: end-of-text, in CLIP's vocabulary.
pub(crate) fn pooled(tokens: &[u32]) -> usize {
    debug_assert!(tokens.iter().all(|&t| t <= END));
    let largest = tokens.iter().max();
    tokens.iter().position(|t| Some(t) == largest).unwrap_or(0)
}

/// The patches of an image, row after row, each channel after channel.
pub(crate) fn patchify(image: &[f32], grid: usize, patch: usize) -> Vec<f32> {
    let size = grid * patch;
    let mut out = Vec::with_capacity(image.len());
    for (row, column) in (0..grid).flat_map(|row| (0..grid).map(move |column| (row, column))) {
        for channel in image.chunks_exact(size * size) {
            for y in row * patch..(row + 1) * patch {
                out.extend_from_slice(&channel[y * size + column * patch..][..patch]);
            }
        }
    }
    out
}

fn project(matrix: &Matrix, norm: &Norm, rows: &[f32]) -> Vec<f32> {
    let mut normed = vec![0.0; rows.len()];
    norm.apply(rows, &mut normed);
    let mut out = vec![0.0; rows.len() / matrix.inputs() * matrix.outputs()];
    matrix.multiply(&normed, Then::Store, &mut out);
    out
}
