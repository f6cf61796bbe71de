//! Scores of a network.

use std::path::PathBuf;

use curate_dfn::{
    Arithmetic, Network, Tokenizer,
    filter::{EMBEDDED_TOGETHER, score_pairs},
    network::read_folder,
    tokenizer::Ftfy,
};
use curate_io::Pool;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    error::StageError,
    rows::StageRows,
    stage::{Context, Cost},
};

/// Versions of ftfy whose repair of captions differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CaptionRepair {
    /// As ftfy 6.1.3.
    #[serde(rename = "ftfy-6.1")]
    V6_1,
    /// As ftfy 6.2.3.
    #[serde(rename = "ftfy-6.2")]
    V6_2,
    /// As ftfy 6.3.1.
    #[serde(rename = "ftfy-6.3")]
    V6_3,
}

impl From<CaptionRepair> for Ftfy {
    fn from(repair: CaptionRepair) -> Self {
        match repair {
            CaptionRepair::V6_1 => Self::V6_1,
            CaptionRepair::V6_2 => Self::V6_2,
            CaptionRepair::V6_3 => Self::V6_3,
        }
    }
}

/// What the linear layers of a network multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LayerPrecision {
    /// Numbers of 32 bits.
    F32,
    /// Numbers of 16 bits: faster on processors that multiply bfloat16, and scores are a little off.
    Bf16,
    /// Integers of 8 bits: faster on processors with AVX2, and scores are a little off.
    Int8,
}

impl From<LayerPrecision> for Arithmetic {
    fn from(precision: LayerPrecision) -> Self {
        match precision {
            LayerPrecision::F32 => Self::F32,
            LayerPrecision::Bf16 => Self::Bf16,
            LayerPrecision::Int8 => Self::Int8,
        }
    }
}

/// A network that scores pairs.
pub(super) struct Scoring {
    /// Its folder.
    pub(super) folder: PathBuf,
    /// Whose rules repair captions.
    pub(super) repair: Ftfy,
    pub(super) arithmetic: Arithmetic,
}

impl Scoring {
    /// A pair that cannot be read is set aside; the others' scores do not depend on it.
    pub(super) fn score(
        &self,
        context: &Context<'_>,
        rows: &mut StageRows,
    ) -> Result<(), StageError> {
        let network = Network::open(&self.folder)?;
        network.config().takes_captions(&self.folder)?;
        let network = network
            .with_arithmetic(self.arithmetic)
            .expect("a network that was opened now is in f32");
        let network = network.with_tokenizer(Tokenizer::default().with_repair(self.repair));
        let scored = score_pairs(&network, context.pool, context.input, context.progress)?;
        rows.value = scored.scores().to_vec().into();
        for pair in scored.bad() {
            let position = scored.rows().position(pair.row);
            let position = position.expect("a bad pair is one of the rows");
            rows.remove(position, pair.bad.kind.fault().name());
        }
        Ok(())
    }

    pub(super) fn in_words(&self) -> String {
        let name = self.folder.file_name().unwrap_or(self.folder.as_os_str()).display();
        let mut words =
            format!("score each row by how well image and caption agree, by the network {name}");
        match self.arithmetic {
            Arithmetic::F32 => {}
            Arithmetic::Bf16 => words += " in bfloat16",
            Arithmetic::Int8 => words += " in 8-bit integers",
        }
        if self.repair != Ftfy::default() {
            words += &format!(", captions repaired by {}", self.repair.name());
        }
        words
    }

    /// The weights as they are on disk and packed, and some hundred images.
    pub(super) fn cost(&self, rows: usize, pool: &Pool) -> Result<Cost, Error> {
        let (config, weights) = read_folder(&self.folder)?;
        let model = &config.model_cfg;
        let numbers: usize = weights.arrays().values().map(|array| array.data.len()).sum();
        let side = model.vision_cfg.image_size;
        let images = EMBEDDED_TOGETHER.min(rows) * 3 * side * side;
        let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |m| m.len());
        Ok(Cost {
            reads: pool.files().iter().map(size).sum(),
            memory: 4 * (2 * numbers + 2 * images) as u64,
            operations: rows as f64 * model.operations_per_pair(),
        })
    }
}
