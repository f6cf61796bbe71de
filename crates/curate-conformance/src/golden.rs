//! The arrays that open_clip computed.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};
use ndarray::ArrayD;
use ndarray_npy::NpzReader;
use safetensors::SafeTensors;

/// Arrays by name: those of f32 as they are, the one of integers as token ids.
pub(crate) struct Golden {
    numbers: BTreeMap<String, Vec<f32>>,
    pub(crate) tokens: Vec<u32>,
}

impl Golden {
    pub(crate) fn npz(path: &Path) -> Result<Self> {
        let file = fs::File::open(path).with_context(|| path.display().to_string())?;
        let mut npz = NpzReader::new(file)?;
        let (mut numbers, mut tokens) = (BTreeMap::new(), Vec::new());
        for name in npz.names()? {
            let short = name.trim_end_matches(".npy").to_owned();
            if short == "token_ids" {
                let ids: ArrayD<i32> = npz.by_name(&name)?;
                tokens = ids.iter().map(|&id| u32::try_from(id)).collect::<Result<_, _>>()?;
            } else {
                let array: ArrayD<f32> = npz.by_name(&name)?;
                numbers.insert(short, array.iter().copied().collect());
            }
        }
        Ok(Self { numbers, tokens })
    }

    pub(crate) fn safetensors(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        let (mut numbers, mut tokens) = (BTreeMap::new(), Vec::new());
        for (name, view) in SafeTensors::deserialize(&bytes)?.tensors() {
            if view.dtype() == safetensors::Dtype::F32 {
                let (cells, _) = view.data().as_chunks::<4>();
                let array = cells.iter().map(|&cell| f32::from_le_bytes(cell)).collect();
                numbers.insert(name, array);
            } else if name == "text_ids" {
                let (cells, _) = view.data().as_chunks::<8>();
                let id = |&cell: &[u8; 8]| u32::try_from(i64::from_le_bytes(cell));
                tokens = cells.iter().map(id).collect::<Result<_, _>>()?;
            }
        }
        Ok(Self { numbers, tokens })
    }

    pub(crate) fn get(&self, name: &str) -> Result<&[f32]> {
        let array = self.numbers.get(name);
        Ok(array.with_context(|| format!("the golden data has no array `{name}`"))?)
    }

    /// The gradients, with the names of their parameters.
    pub(crate) fn gradients(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.numbers
            .iter()
            .filter_map(|(name, array)| Some((name.strip_prefix("grad.")?, array.as_slice())))
    }
}
