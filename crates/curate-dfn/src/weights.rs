//! Parameters of a network under open_clip's names, on disk as safetensors.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use curate_core::params::Checker;
use curate_io::{IoError, Kind, atomic};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{
    NetworkError,
    config::{Interpolation, ModelConfig},
    image::kernel_weights,
};

/// An array of f32 in C order.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The lengths of the axes; none for a scalar.
    pub shape: Vec<usize>,
    /// The numbers.
    pub data: Vec<f32>,
}

/// All parameters of a network, by open_clip's names.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    arrays: BTreeMap<String, Array>,
    interpolated: Vec<String>,
}

/// The names and shapes of a network's parameters, in the order of their names.
pub fn parameters(config: &ModelConfig) -> BTreeMap<String, Vec<usize>> {
    let (v, t) = (&config.vision_cfg, &config.text_cfg);
    let mut all = BTreeMap::new();
    let mut add = |name: String, shape: &[usize]| drop(all.insert(name, shape.to_vec()));
    let towers = [("visual.", v.width, v.layers, v.hidden()), ("", t.width, t.layers, t.hidden())];
    for (prefix, width, layers, hidden) in towers {
        for i in 0..layers {
            let block = format!("{prefix}transformer.resblocks.{i}.");
            for norm in ["ln_1", "ln_2"] {
                add(format!("{block}{norm}.weight"), &[width]);
                add(format!("{block}{norm}.bias"), &[width]);
            }
            add(format!("{block}attn.in_proj_weight"), &[3 * width, width]);
            add(format!("{block}attn.in_proj_bias"), &[3 * width]);
            add(format!("{block}attn.out_proj.weight"), &[width, width]);
            add(format!("{block}attn.out_proj.bias"), &[width]);
            add(format!("{block}mlp.c_fc.weight"), &[hidden, width]);
            add(format!("{block}mlp.c_fc.bias"), &[hidden]);
            add(format!("{block}mlp.c_proj.weight"), &[width, hidden]);
            add(format!("{block}mlp.c_proj.bias"), &[width]);
        }
    }
    for norm in ["visual.ln_pre", "visual.ln_post"] {
        add(format!("{norm}.weight"), &[v.width]);
        add(format!("{norm}.bias"), &[v.width]);
    }
    add("visual.class_embedding".into(), &[v.width]);
    add("visual.positional_embedding".into(), &[v.tokens(), v.width]);
    add("visual.conv1.weight".into(), &[v.width, 3, v.patch_size, v.patch_size]);
    add("visual.proj".into(), &[v.width, config.embed_dim]);
    add("ln_final.weight".into(), &[t.width]);
    add("ln_final.bias".into(), &[t.width]);
    add("token_embedding.weight".into(), &[t.vocab_size, t.width]);
    add("positional_embedding".into(), &[t.context_length, t.width]);
    add("text_projection".into(), &[t.width, config.embed_dim]);
    add("logit_scale".into(), &[]);
    if config.init_logit_bias.is_some() {
        add("logit_bias".into(), &[]);
    }
    all
}

impl Weights {
    /// Fresh parameters, drawn as open_clip draws them: normal, with deviations that shrink with
    /// width and depth; norms 1 and 0, biases 0 (Radford et al. 2021, section 2.4, and OpenAI's
    /// code). The same seed gives the same numbers.
    pub fn random(config: &ModelConfig, seed: u64) -> Self {
        let arrays = parameters(config).into_iter().map(|(name, shape)| {
            let size = shape.iter().product();
            let data = match deviation(config, &name) {
                Deviation::Normal(std) => crate::random::normal(seed, &name, size, std),
                Deviation::Constant(value) => vec![value; size],
            };
            (name, Array { shape, data })
        });
        Self { arrays: arrays.collect(), interpolated: vec![] }
    }

    /// Reads the parameters of a network of this config from an `open_clip_model.safetensors` of
    /// f64, f32, f16 or bf16. A position embedding of another image size or context length is
    /// interpolated, as open_clip does; [`Weights::interpolated`] tells.
    ///
    /// # Errors
    /// When the file cannot be read, or is not exactly the network: every missing, unexpected and
    /// misshapen tensor is listed. When a tensor holds a NaN or an infinity: its name.
    pub fn read(path: &Path, config: &ModelConfig) -> Result<Self, IoError> {
        Self::read_with(path, &[path.to_owned()], config, |arrays| arrays)
    }

    /// [`Weights::read`] of files whose arrays get open_clip's names and shapes from `renamed`; errors
    /// name `path`.
    pub(crate) fn read_with(
        path: &Path,
        files: &[PathBuf],
        config: &ModelConfig,
        renamed: impl FnOnce(BTreeMap<String, Array>) -> BTreeMap<String, Array>,
    ) -> Result<Self, IoError> {
        let expected = parameters(config);
        let mut problems = Vec::new();
        let mut found = BTreeMap::new();
        for file in files {
            read_arrays(file, &expected, &mut found, &mut problems)?;
        }
        let found = renamed(found);
        let weights = Self::fitted(expected, found, &mut problems);
        if !problems.is_empty() {
            return Err(not_this_network(path, &problems));
        }
        // Only a NaN or an infinity is left to be found: names and shapes fit.
        weights.check(config).map_err(|e| IoError::malformed(path, e.to_string()))?;
        Ok(weights)
    }

    /// The expected arrays among those found, interpolated where only their size differs.
    fn fitted(
        expected: BTreeMap<String, Vec<usize>>,
        mut found: BTreeMap<String, Array>,
        problems: &mut Vec<String>,
    ) -> Self {
        let (mut arrays, mut interpolated) = (BTreeMap::new(), Vec::new());
        for (name, shape) in expected {
            let Some(Array { shape: old, data }) = found.remove(&name) else {
                if !problems.iter().any(|problem| problem.starts_with(&format!("`{name}` holds"))) {
                    problems.push(format!("`{name}` {shape:?} is missing"));
                }
                continue;
            };
            let data = if same_shape(&old, &shape) {
                data
            } else if let Some(data) = interpolate(&name, &data, &old, &shape) {
                interpolated.push(name.clone());
                data
            } else {
                problems.push(format!("`{name}` is {old:?}, but must be {shape:?}"));
                continue;
            };
            arrays.insert(name, Array { shape, data });
        }
        problems.extend(found.keys().map(|name| format!("`{name}` belongs to no such network")));
        Self { arrays, interpolated }
    }

    /// Writes the parameters as f32, so that open_clip loads them. The same parameters give the
    /// same bytes.
    ///
    /// # Errors
    /// When the bytes do not reach the disk.
    pub fn write(&self, path: &Path) -> Result<(), IoError> {
        write_arrays(path, &self.arrays)
    }

    /// The parameters rounded to half precision, which [`Weights::write_half`] stores without loss.
    pub fn rounded_to_half(&self) -> Self {
        let mut rounded = self.clone();
        for array in rounded.arrays.values_mut() {
            array.data.iter_mut().for_each(|x| *x = f16::from_f32(*x).to_f32());
        }
        rounded
    }

    /// Writes the parameters as f16, half as large; open_clip loads them, too.
    ///
    /// # Errors
    /// When the bytes do not reach the disk.
    pub fn write_half(&self, path: &Path) -> Result<(), IoError> {
        let bytes = |x: &f32| f16::from_f32(*x).to_le_bytes();
        write_as(path, &self.arrays, Dtype::F16, |data| data.iter().flat_map(bytes).collect())
    }

    /// The parameters that were interpolated to another size when they were read.
    pub fn interpolated(&self) -> &[String] {
        &self.interpolated
    }

    /// The parameters by name.
    pub fn arrays(&self) -> &BTreeMap<String, Array> {
        &self.arrays
    }

    /// The numbers of a parameter; `None` where the network has no such parameter.
    pub fn data(&self, name: &str) -> Option<&[f32]> {
        self.arrays.get(name).map(|array| &array.data[..])
    }

    /// The numbers of a parameter of weights that [`Self::check`] has passed.
    pub(crate) fn known(&self, name: &str) -> &[f32] {
        self.data(name).expect("weights that were checked have every parameter of their config")
    }

    /// An error unless these are the parameters of a network of this config, all of them finite.
    ///
    /// # Errors
    /// The first parameter that is missing, has another shape, is unknown, or is not finite.
    pub fn check(&self, config: &ModelConfig) -> Result<(), NetworkError> {
        let expected = parameters(config);
        for (name, shape) in &expected {
            let wrong = |problem: String| NetworkError::Weights(format!("`{name}` {problem}"));
            let array = self.arrays.get(name).ok_or_else(|| wrong("is missing".to_owned()))?;
            let size = shape.iter().product::<usize>();
            if !same_shape(&array.shape, shape) || array.data.len() != size {
                return Err(wrong(format!("is {:?}, but must be {shape:?}", array.shape)));
            }
            if let Some(element) = not_finite(&array.data) {
                let value = array.data[element];
                return Err(NetworkError::NotFinite { name: name.clone(), element, value });
            }
        }
        match self.arrays.keys().find(|name| !expected.contains_key(*name)) {
            None => Ok(()),
            Some(name) => {
                Err(NetworkError::Weights(format!("`{name}` belongs to no such network")))
            }
        }
    }

    #[cfg(feature = "train")]
    pub(crate) fn set(&mut self, name: &str, data: Vec<f32>) {
        let array = self.arrays.get_mut(name).expect("a parameter of the network");
        assert_eq!(array.data.len(), data.len(), "{name}");
        array.data = data;
    }

    /// `(1 - share) * self + share * other`: the weight ensemble of two networks of one config
    /// (Wortsman et al. 2022, arXiv 2109.01903), which the DFN paper applies after fine-tuning.
    ///
    /// # Errors
    /// When the networks differ in their parameters, or the share is not finite.
    pub fn blend(&self, other: &Self, share: f32) -> Result<Self, NetworkError> {
        let mut check = Checker::default();
        check.that(share.is_finite(), "share", share, "a finite number");
        check.finish()?;
        let alike = |((a, x), (b, y)): ((&String, &Array), (&String, &Array))| {
            a == b && x.data.len() == y.data.len()
        };
        let same_names = self.arrays.len() == other.arrays.len();
        if !same_names || !self.arrays.iter().zip(&other.arrays).all(alike) {
            let problem = "the two networks to blend differ in their parameters";
            return Err(NetworkError::Weights(problem.to_owned()));
        }
        let mut blended = self.clone();
        for (array, other) in blended.arrays.values_mut().zip(other.arrays.values()) {
            for (a, b) in array.data.iter_mut().zip(&other.data) {
                *a += share * (b - *a);
            }
        }
        Ok(blended)
    }
}

/// Adds all arrays of floats of a file, by their names without the prefixes of wrappers.
fn read_arrays(
    path: &Path,
    expected: &BTreeMap<String, Vec<usize>>,
    found: &mut BTreeMap<String, Array>,
    problems: &mut Vec<String>,
) -> Result<(), IoError> {
    let bytes = curate_io::files::read(path)?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|e| IoError::malformed(path, format!("is not a safetensors file: {e}")))?;
    for (name, view) in file.tensors() {
        let name = plain_name(&name).to_owned();
        match numbers(&view) {
            Some(_) if found.contains_key(&name) => {
                problems.push(format!("`{name}` is there twice"))
            }
            Some(data) => drop(found.insert(name, Array { shape: view.shape().to_vec(), data })),
            // Counts and positions that old versions stored are not looked at.
            None if !expected.contains_key(&name) && name.ends_with(".position_ids") => {}
            None => problems.push(format!("`{name}` holds {}, not floats", view.dtype())),
        }
    }
    Ok(())
}

fn not_this_network(path: &Path, problems: &[String]) -> IoError {
    let shown = problems.len().min(20);
    let more = problems.len() - shown;
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let problem =
        format!("is not the network of this config: {}{more}", problems[..shown].join(", "));
    IoError::new(
        Kind::Disagree,
        path,
        problem,
        "name the config that the weights were trained with",
    )
}

/// Writes named arrays as a safetensors file of f32.
pub(crate) fn write_arrays(path: &Path, arrays: &BTreeMap<String, Array>) -> Result<(), IoError> {
    write_as(path, arrays, Dtype::F32, |data| data.iter().flat_map(|x| x.to_le_bytes()).collect())
}

fn write_as(
    path: &Path,
    arrays: &BTreeMap<String, Array>,
    dtype: Dtype,
    bytes: impl Fn(&[f32]) -> Vec<u8>,
) -> Result<(), IoError> {
    let arrays: Vec<(&str, &[usize], Vec<u8>)> =
        arrays.iter().map(|(name, a)| (name.as_str(), &a.shape[..], bytes(&a.data))).collect();
    let views = arrays.iter().map(|(name, shape, data)| {
        let view = TensorView::new(dtype, shape.to_vec(), data);
        (*name, view.expect("the bytes of the shape"))
    });
    let file = safetensors::serialize(views, None).expect("names and shapes of a network");
    atomic::write(path, &file)
}

/// Without the prefixes of wrappers: training's `module.`, the text tower's `text.`.
fn plain_name(name: &str) -> &str {
    let name = name.strip_prefix("module.").unwrap_or(name);
    name.strip_prefix("text.").unwrap_or(name)
}

/// The first number that is a NaN or an infinity.
fn not_finite(data: &[f32]) -> Option<usize> {
    data.iter().position(|x| !x.is_finite())
}

/// Scalars are stored with or without an axis.
fn same_shape(a: &[usize], b: &[usize]) -> bool {
    a == b || (a.iter().product::<usize>() == 1 && b.iter().product::<usize>() == 1)
}

pub(crate) fn numbers(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let bytes = view.data();
    let two = |b: &[u8]| [b[0], b[1]];
    Some(match view.dtype() {
        Dtype::F32 => {
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
        }
        Dtype::F64 => {
            let number = |b: &[u8]| b.try_into().map_or(f64::NAN, f64::from_le_bytes) as f32;
            bytes.chunks_exact(8).map(number).collect()
        }
        Dtype::F16 => bytes.chunks_exact(2).map(|b| f16::from_le_bytes(two(b)).to_f32()).collect(),
        Dtype::BF16 => {
            bytes.chunks_exact(2).map(|b| bf16::from_le_bytes(two(b)).to_f32()).collect()
        }
        _ => return None,
    })
}

/// A position embedding for another number of positions; `None` for everything else.
fn interpolate(name: &str, data: &[f32], old: &[usize], new: &[usize]) -> Option<Vec<f32>> {
    let ([from, width], [to, new_width]) = (old, new) else { return None };
    if width != new_width || *from == 0 {
        return None;
    }
    match name {
        "visual.positional_embedding" => {
            let (from, to) = ((from - 1).isqrt(), (to - 1).isqrt());
            (from > 0 && from * from + 1 == old[0]).then(|| grid(data, from, to, *width))
        }
        "positional_embedding" => Some(line(data, *from, *to, *width)),
        _ => None,
    }
}

/// Bicubic with antialias in both directions; the class token's row stays.
fn grid(data: &[f32], from: usize, to: usize, width: usize) -> Vec<f32> {
    let weights = kernel_weights(from, to, 0..to, Interpolation::Bicubic);
    let patches = &data[width..];
    let mut out = data[..width].to_vec();
    for (top, ys) in &weights {
        for (left, xs) in &weights {
            let mut sum = vec![0.0_f64; width];
            for (y, wy) in ys.iter().enumerate() {
                for (x, wx) in xs.iter().enumerate() {
                    let at = ((top + y) * from + left + x) * width;
                    let row = &patches[at..at + width];
                    sum.iter_mut().zip(row).for_each(|(s, &v)| *s += wy * wx * f64::from(v));
                }
            }
            out.extend(sum.iter().map(|&s| s as f32));
        }
    }
    out
}

/// Linear, with the ends of both tables at the same places, as `F.interpolate` does it.
fn line(data: &[f32], from: usize, to: usize, width: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(to * width);
    for i in 0..to {
        let at = ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
        let (low, share) = ((at as usize).min(from - 1), (at - at.floor()) as f32);
        let high = (low + 1).min(from - 1);
        let (low, high) = (&data[low * width..][..width], &data[high * width..][..width]);
        out.extend(low.iter().zip(high).map(|(a, b)| a + share * (b - a)));
    }
    out
}

enum Deviation {
    Normal(f32),
    Constant(f32),
}

fn deviation(config: &ModelConfig, name: &str) -> Deviation {
    let (v, t) = (&config.vision_cfg, &config.text_cfg);
    let (width, layers) =
        if name.starts_with("visual.") { (v.width, v.layers) } else { (t.width, t.layers) };
    let scale = (width as f32).powf(-0.5);
    let shrunk = scale * (2.0 * layers.max(1) as f32).powf(-0.5);
    let end = |suffix: &str| name.ends_with(suffix);
    match name {
        "logit_scale" => Deviation::Constant(config.logit_scale()),
        "logit_bias" => Deviation::Constant(config.init_logit_bias.unwrap_or(0.0) as f32),
        "token_embedding.weight" => Deviation::Normal(0.02),
        "positional_embedding" => Deviation::Normal(0.01),
        "visual.conv1.weight" => {
            Deviation::Normal(((3 * v.patch_size * v.patch_size) as f32).powf(-0.5))
        }
        _ if end("bias") || end("in_proj_bias") => Deviation::Constant(0.0),
        _ if end("ln_1.weight")
            || end("ln_2.weight")
            || name.contains("ln_p")
            || name.contains("ln_final") =>
        {
            Deviation::Constant(1.0)
        }
        _ if end("out_proj.weight") || end("c_proj.weight") => Deviation::Normal(shrunk),
        _ if end("c_fc.weight") => Deviation::Normal((2.0 * width as f32).powf(-0.5)),
        _ => Deviation::Normal(scale),
    }
}
