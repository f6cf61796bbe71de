//! The two towers.

use curate_kernels::{Matrix, Then};

use crate::{config::ModelConfig, cpu::math, tokenizer::END, weights::Weights};

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

struct Linear {
    matrix: Matrix,
    bias: Vec<f32>,
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
        let of = |part: &str| weights.data(&format!("{name}.{part}")).to_vec();
        Self { weight: of("weight"), bias: of("bias") }
    }

    fn apply(&self, rows: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; rows.len()];
        math::layer_norm(rows, &self.weight, &self.bias, &mut out);
        out
    }
}

impl Linear {
    fn new(weights: &Weights, weight: &str, bias: &str, inputs: usize) -> Self {
        Self {
            matrix: Matrix::linear(weights.data(weight), inputs),
            bias: weights.data(bias).to_vec(),
        }
    }

    fn apply(&self, rows: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; rows.len() / self.matrix.inputs() * self.matrix.outputs()];
        self.matrix.multiply(rows, Then::Bias(&self.bias), &mut out);
        out
    }

    fn add_to(&self, rows: &[f32], out: &mut [f32]) {
        self.matrix.multiply(rows, Then::BiasAndAdd(&self.bias), out);
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
    /// Runs the blocks over sequences of these lengths, one after the other in `x`.
    fn apply(&self, x: &mut [f32], lengths: &[usize]) {
        for block in &self.blocks {
            let qkv = block.in_proj.apply(&block.ln_1.apply(x));
            let mut attended = vec![0.0; x.len()];
            let (mut qkv, mut out) = (&qkv[..], &mut attended[..]);
            for &length in lengths {
                let (this, rest) = qkv.split_at(length * 3 * self.width);
                let (this_out, rest_out) = out.split_at_mut(length * self.width);
                self.attend(this, this_out);
                (qkv, out) = (rest, rest_out);
            }
            block.out_proj.add_to(&attended, x);
            let mut hidden = block.c_fc.apply(&block.ln_2.apply(x));
            if self.quick_gelu {
                math::quick_gelu(&mut hidden)
            } else {
                math::gelu(&mut hidden)
            }
            block.c_proj.add_to(&hidden, x);
        }
    }

    /// Attention of one sequence; `qkv` holds query, key and value of each token.
    fn attend(&self, qkv: &[f32], out: &mut [f32]) {
        let (width, head) = (self.width, self.width / self.heads);
        let tokens = out.len() / width;
        let scale = (head as f32).sqrt().recip();
        let part = |first: usize| -> Vec<f32> {
            qkv.chunks_exact(3 * width).flat_map(|t| &t[first..first + head]).copied().collect()
        };
        let mut products = vec![0.0; tokens * tokens];
        let mut mixed = vec![0.0; tokens * head];
        for h in 0..self.heads {
            let (queries, keys) = (part(h * head), part(width + h * head));
            Matrix::linear(&keys, head).multiply(&queries, Then::Store, &mut products);
            for (t, row) in products.chunks_exact_mut(tokens).enumerate() {
                let seen = if self.causal { t + 1 } else { tokens };
                math::softmax(&mut row[..seen], scale);
                row[seen..].fill(0.0);
            }
            let values = Matrix::columns(qkv, 3 * width, 2 * width + h * head, head);
            values.multiply(&products, Then::Store, &mut mixed);
            for (out, mixed) in out.chunks_exact_mut(width).zip(mixed.chunks_exact(head)) {
                out[h * head..(h + 1) * head].copy_from_slice(mixed);
            }
        }
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
                weights.data("visual.conv1.weight"),
                3 * v.patch_size * v.patch_size,
            ),
            class: weights.data("visual.class_embedding").to_vec(),
            positions: weights.data("visual.positional_embedding").to_vec(),
            ln_pre: Norm::new(weights, "visual.ln_pre"),
            ln_post: Norm::new(weights, "visual.ln_post"),
            proj: Matrix::columns(
                weights.data("visual.proj"),
                config.embed_dim,
                0,
                config.embed_dim,
            ),
            grid: v.grid(),
            patch: v.patch_size,
        }
    }

    /// Features of some images, each `3 x size x size` numbers; not normalised.
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
        let mut x = self.ln_pre.apply(&x);
        self.transformer.apply(&mut x, &vec![tokens; count]);
        let class: Vec<f32> =
            x.chunks_exact(tokens * width).flat_map(|image| &image[..width]).copied().collect();
        project(&self.proj, &self.ln_post.apply(&class))
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
            embedding: weights.data("token_embedding.weight").to_vec(),
            positions: weights.data("positional_embedding").to_vec(),
            ln_final: Norm::new(weights, "ln_final"),
            proj: Matrix::columns(
                weights.data("text_projection"),
                config.embed_dim,
                0,
                config.embed_dim,
            ),
        }
    }

    /// Features of some texts, each `context` tokens; not normalised. Tokens behind the pooled one
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
        self.transformer.apply(&mut x, &lengths);
        let mut end = 0;
        let last = |length: &usize| {
            end += length * width;
            x[end - width..end].to_vec()
        };
        let pooled: Vec<f32> = lengths.iter().flat_map(last).collect();
        project(&self.proj, &self.ln_final.apply(&pooled))
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

fn project(matrix: &Matrix, rows: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; rows.len() / matrix.inputs() * matrix.outputs()];
    matrix.multiply(rows, Then::Store, &mut out);
    out
}
