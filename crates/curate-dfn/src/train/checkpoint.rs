//! The state of a training run in one file: parameters, moments, steps.

use std::{collections::HashMap, path::Path};

use burn::tensor::{Device, Tensor, TensorData};
use curate_io::{IoError, Kind, atomic};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{
    train::{
        StepReport,
        model::values,
        trainer::{TrainError, Trainer},
    },
    weights::numbers,
};

const META: &str = "curate";

/// Numbers of a step in the table of steps.
const COLUMNS: usize = 6;

impl Trainer {
    /// Writes the state to a file, whole or not at all.
    ///
    /// # Errors
    /// When the device fails or the bytes do not reach the disk.
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        let mut arrays: Vec<(String, [usize; 2], Vec<u8>)> = Vec::new();
        let mut add = |name: String, tensor: &Tensor<2>| -> Result<(), TrainError> {
            let data = values(tensor.clone())?;
            arrays.push((name, tensor.dims(), data.iter().flat_map(|x| x.to_le_bytes()).collect()));
            Ok(())
        };
        for (name, parameter) in self.network.parameters() {
            add(format!("parameter.{name}"), parameter)?;
        }
        for (name, (m, v)) in &self.optimizer.moments {
            add(format!("first.{name}"), m)?;
            add(format!("second.{name}"), v)?;
        }
        let history: Vec<u8> = self.history.iter().flat_map(row).collect();
        let shape = vec![self.history.len(), COLUMNS];
        let history = TensorView::new(Dtype::F64, shape, &history).expect("8 bytes a number");
        let views = arrays.iter().map(|(name, shape, data)| {
            let view = TensorView::new(Dtype::F32, shape.to_vec(), data);
            (name.as_str(), view.expect("4 bytes a number"))
        });
        let views = views.chain([("history", history)]);
        let state = serde_json::json!({
            "fingerprint": self.fingerprint,
            "pairs": self.pairs,
            "step": self.optimizer.step,
        });
        let meta = HashMap::from([(META.to_owned(), state.to_string())]);
        let file = safetensors::serialize(views, Some(meta)).expect("names and shapes of a state");
        atomic::write(path, &file)?;
        Ok(())
    }

    /// Goes on where [`Trainer::save`] left off.
    ///
    /// # Errors
    /// When the file cannot be read, or belongs to a run of other settings, weights or pairs.
    pub fn load(&mut self, path: &Path) -> Result<(), TrainError> {
        let bytes = std::fs::read(path).map_err(|e| IoError::os(path, "read", e))?;
        let damaged = |why: String| IoError::malformed(path, format!("is not a checkpoint: {why}"));
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(e.to_string()))?;
        let state = header.metadata().as_ref().and_then(|meta| meta.get(META));
        let state: serde_json::Value = state
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| damaged("it has no state".to_owned()))?;
        let same = |field: &str, ours: &str| state[field] == ours;
        if !same("fingerprint", &self.fingerprint) || !same("pairs", &self.pairs) {
            let problem = "belongs to a run of other settings, weights or pairs";
            let remedy = "give the settings it was begun with, or another folder";
            return Err(IoError::new(Kind::Disagree, path, problem, remedy).into());
        }
        let step = state["step"].as_u64().and_then(|step| usize::try_from(step).ok());
        let Some(step) = step else {
            return Err(damaged("its state is not whole".to_owned()).into());
        };
        let file = SafeTensors::deserialize(&bytes).map_err(|e| damaged(e.to_string()))?;
        let history = file.tensor("history").map_err(|e| damaged(e.to_string()))?;
        let history = history.data().chunks_exact(8 * COLUMNS).map(report).collect();
        let device = self.network.device().clone().without_autodiff();
        let table = |name: String| -> Result<Tensor<2>, TrainError> {
            let view = file.tensor(&name).map_err(|e| damaged(e.to_string()))?;
            tensor(&view, &device).ok_or_else(|| damaged(format!("`{name}` is not a table")).into())
        };
        let names: Vec<String> = self.network.parameters().keys().cloned().collect();
        for name in names {
            self.network.set(&name, table(format!("parameter.{name}"))?);
            if step > 0 && file.tensor(&format!("first.{name}")).is_ok() {
                let moments = (table(format!("first.{name}"))?, table(format!("second.{name}"))?);
                self.optimizer.moments.insert(name, moments);
            }
        }
        self.optimizer.step = step;
        self.history = history;
        Ok(())
    }
}

fn tensor(view: &TensorView<'_>, device: &Device) -> Option<Tensor<2>> {
    let &[rows, columns] = view.shape() else { return None };
    let data = TensorData::new(numbers(view)?, [rows, columns]);
    Some(Tensor::from_data(data, device))
}

/// A step as bytes; decimal digits would not give every number back.
fn row(step: &StepReport) -> Vec<u8> {
    let StepReport { step, loss, gradient_norm, lr, logit_scale, bad } = *step;
    let row: [f64; COLUMNS] = [step as f64, loss, gradient_norm, lr, logit_scale, bad as f64];
    row.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn report(row: &[u8]) -> StepReport {
    let at = |i: usize| {
        let bytes = row[i * 8..].first_chunk().expect("a row of numbers");
        f64::from_le_bytes(*bytes)
    };
    StepReport {
        step: at(0) as usize,
        loss: at(1),
        gradient_norm: at(2),
        lr: at(3),
        logit_scale: at(4),
        bad: at(5) as usize,
    }
}
