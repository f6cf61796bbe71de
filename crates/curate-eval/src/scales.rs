//! DataComp's scales, and the commands that train them on a real cluster.

use std::fmt::Write as _;

use serde::Serialize;

use crate::compare::CompareParams;

/// One of DataComp's scales (arXiv 2304.14108, table 1 and its `scale_configs.py`): the model, and how it is
/// trained, whatever the selection. The pool has as many samples as are seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Scale {
    /// Its name.
    pub name: &'static str,
    /// open_clip's name of the model.
    pub model: &'static str,
    /// Samples seen, repeats included.
    pub samples: u64,
    /// Samples of a step, on all devices together.
    pub batch: u64,
    /// Largest learning rate.
    pub rate: f64,
    /// Steps in which the rate rises to it; then it falls as a cosine.
    pub warmup: u64,
    /// AdamW's decay of the second moment; open_clip's own choice where DataComp names none.
    pub beta2: f64,
    /// Decoupled weight decay, open_clip's own choice.
    pub weight_decay: f64,
}

const SMALL: Scale = Scale {
    name: "small",
    model: "ViT-B-32",
    samples: 12_800_000,
    batch: 4096,
    rate: 5e-4,
    warmup: 500,
    beta2: 0.98,
    weight_decay: 0.2,
};

/// The published scales, the smallest first.
pub const DATACOMP: [Scale; 4] = [
    SMALL,
    Scale { name: "medium", samples: 128_000_000, ..SMALL },
    Scale { name: "large", model: "ViT-B-16", samples: 1_280_000_000, batch: 8192, ..SMALL },
    Scale {
        name: "xlarge",
        model: "ViT-L-14",
        samples: 12_800_000_000,
        batch: 90_112,
        rate: 1e-3,
        warmup: 10_000,
        beta2: 0.95,
        ..SMALL
    },
];

impl Scale {
    /// The scale of this name.
    pub fn named(name: &str) -> Option<Self> {
        DATACOMP.into_iter().find(|scale| scale.name == name)
    }
}

/// Scales of [`compare`](crate::compare) that two cores train in seconds to minutes, the smallest first: a
/// name, and the budget, batch and sizes of the model.
pub const TINY: [&str; 3] = ["tiny-small", "tiny", "tiny-large"];

/// The parameters of one of the [`TINY`] scales.
///
/// ```
/// use curate_eval::scales::{Scale, tiny};
///
/// assert_eq!(tiny("tiny").map(|params| params.budgets), Some(vec![200_000]));
/// assert_eq!(Scale::named("xlarge").map(|scale| scale.samples / scale.batch), Some(142_045));
/// ```
pub fn tiny(name: &str) -> Option<CompareParams> {
    let usual = CompareParams::default();
    match name {
        "tiny-small" => {
            let budgets = vec![50_000];
            Some(CompareParams { budgets, batch: 256, hidden: 128, dim: 64, ..usual })
        }
        "tiny" => Some(usual),
        "tiny-large" => {
            let budgets = vec![1_000_000];
            Some(CompareParams { budgets, hidden: 512, dim: 256, rate: 1e-3, ..usual })
        }
        _ => None,
    }
}

/// Which program trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trainer {
    /// DataComp's `train.py`, in its repository's folder.
    DataComp,
    /// open_clip itself, with the arguments that DataComp's `train.py` gives it.
    OpenClip,
}

/// What a shell script trains, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// The scale.
    pub scale: Scale,
    /// Which program trains.
    pub trainer: Trainer,
    /// Devices of a machine.
    pub gpus: u64,
    /// Parts of a batch that a device works through one after the other.
    pub accumulate: u64,
    /// The seed.
    pub seed: u64,
    /// The name of the run.
    pub name: String,
    /// The pool's shards.
    pub pool: String,
    /// The selection's file.
    pub subset: String,
    /// Ids in it, repeats included.
    pub ids: usize,
    /// The folder that gets the selection's shards.
    pub shards: String,
    /// The folder that gets checkpoints and logs.
    pub logs: String,
}

/// Checkpoints of a training, as DataComp's `train.py` has it: with shards that are drawn with replacement an
/// epoch is the time between two.
const CHECKPOINTS: u64 = 5;

impl Cluster {
    /// A shell script: first the selection's shards, then the training.
    ///
    /// # Errors
    /// When the batch cannot be shared evenly, or the selection is empty: what is wrong, and what to do.
    pub fn script(&self) -> Result<String, String> {
        let Scale { name, batch, samples, .. } = self.scale;
        let (gpus, accumulate) = (self.gpus, self.accumulate);
        let parts = gpus.checked_mul(accumulate).filter(|parts| *parts > 0);
        let share = parts.filter(|parts| batch.is_multiple_of(*parts)).map(|parts| batch / parts);
        let Some(share) = share else {
            return Err(format!(
                "the batch of scale {name}, {batch}, cannot be shared by {gpus} devices in {accumulate} \
                 parts: give numbers that divide it"
            ));
        };
        if self.ids == 0 {
            return Err("the selection is empty: there is nothing to train on".to_owned());
        }
        let epochs = samples as f64 / self.ids as f64;
        let mut script = format!(
            "#!/bin/sh\n\
             # DataComp, scale {name}: {} sees {samples} samples in batches of {batch},\n\
             # {epochs:.2} for each of the {} ids of the selection.\n\
             set -eu\n\n\
             curate reshard {} --subset {} --out {}\n\n",
            self.scale.model,
            self.ids,
            quoted(&self.pool),
            quoted(&self.subset),
            quoted(&self.shards),
        );
        match self.trainer {
            Trainer::DataComp => self.add_datacomp(&mut script),
            Trainer::OpenClip => self.add_open_clip(&mut script, share),
        }
        Ok(script)
    }

    fn add_datacomp(&self, script: &mut String) {
        let accumulate = self.accumulate;
        // Writing to a string does not fail.
        let _ = write!(
            script,
            "# In the folder of https://github.com/mlfoundations/datacomp.\n\
             torchrun --nproc_per_node {} train.py --scale {} --data_dir {} --output_dir {} \\\n    \
             --exp_name {} --seed {} --accum_freq {accumulate}\n",
            self.gpus,
            self.scale.name,
            quoted(&self.shards),
            quoted(&self.logs),
            quoted(&self.name),
            self.seed,
        );
    }

    fn add_open_clip(&self, script: &mut String, share: u64) {
        let Scale { model, samples, rate, warmup, beta2, weight_decay, .. } = self.scale;
        let (shards, logs, name) = (quoted(&self.shards), quoted(&self.logs), quoted(&self.name));
        let (gpus, accumulate, seed) = (self.gpus, self.accumulate, self.seed);
        let epoch = samples / CHECKPOINTS;
        // Writing to a string does not fail.
        let _ = write!(
            script,
            "shards={shards}\n\
             last=$(basename \"$(ls \"$shards\"/*.tar | tail -n 1)\" .tar)\n\
             torchrun --nproc_per_node {gpus} -m open_clip_train.main \\\n    \
             --train-data \"$shards/{{00000000..$last}}.tar\" --dataset-type webdataset \\\n    \
             --dataset-resampled --train-num-samples {epoch} --epochs {CHECKPOINTS} \\\n    \
             --model {model} --batch-size {share} --accum-freq {accumulate} \\\n    \
             --lr {rate:e} --warmup {warmup} --beta2 {beta2} --wd {weight_decay} \\\n    \
             --precision amp --local-loss --gather-with-grad --grad-checkpointing --ddp-static-graph \\\n    \
             --workers 4 --seed {seed} --save-most-recent --resume latest --logs {logs} --name {name}\n",
        );
    }
}

/// A word of a shell: in quotes, unless it needs none.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(trainer: Trainer) -> Cluster {
        Cluster {
            scale: DATACOMP[1],
            trainer,
            gpus: 8,
            accumulate: 2,
            seed: 3,
            name: "dfn".to_owned(),
            pool: "/data/shards".to_owned(),
            subset: "it's mine/subset.npy".to_owned(),
            ids: 19_200_000,
            shards: "/data/dfn".to_owned(),
            logs: "logs".to_owned(),
        }
    }

    #[test]
    fn scales_are_datacomps() {
        let names: Vec<&str> = DATACOMP.iter().map(|scale| scale.name).collect();
        assert_eq!(names, ["small", "medium", "large", "xlarge"]);
        let of = |name: &str| Scale::named(name).unwrap();
        assert_eq!(
            (of("small").samples, of("small").batch, of("small").warmup),
            (12_800_000, 4096, 500)
        );
        assert_eq!((of("medium").model, of("medium").rate), ("ViT-B-32", 5e-4));
        assert_eq!((of("large").model, of("large").batch), ("ViT-B-16", 8192));
        assert_eq!((of("xlarge").beta2, of("xlarge").warmup), (0.95, 10_000));
        assert_eq!(Scale::named("huge"), None);
        assert!(TINY.iter().all(|name| tiny(name).unwrap().check().is_ok()));
        assert_eq!(tiny("small"), None);
    }

    #[test]
    fn a_script_has_what_datacomps_train_py_gives_open_clip() {
        let script = cluster(Trainer::OpenClip).script().unwrap();
        for expected in [
            "# DataComp, scale medium: ViT-B-32 sees 128000000 samples in batches of 4096,\n# 6.67 for each",
            "curate reshard /data/shards --subset 'it'\\''s mine/subset.npy' --out /data/dfn\n",
            "torchrun --nproc_per_node 8 -m open_clip_train.main",
            "--train-data \"$shards/{00000000..$last}.tar\"",
            "--dataset-resampled --train-num-samples 25600000 --epochs 5",
            "--model ViT-B-32 --batch-size 256 --accum-freq 2",
            "--lr 5e-4 --warmup 500 --beta2 0.98 --wd 0.2",
            "--seed 3 --save-most-recent --resume latest --logs logs --name dfn\n",
        ] {
            assert!(script.contains(expected), "{expected} is not in\n{script}");
        }
        let script = cluster(Trainer::DataComp).script().unwrap();
        let command = "train.py --scale medium --data_dir /data/dfn --output_dir logs";
        assert!(script.contains(command) && script.contains("--accum_freq 2"), "{script}");
    }

    #[test]
    fn what_cannot_be_trained_is_refused() {
        let uneven = Cluster { gpus: 3, ..cluster(Trainer::OpenClip) }.script().unwrap_err();
        assert!(uneven.contains("4096, cannot be shared by 3 devices in 2 parts"), "{uneven}");
        assert!(Cluster { gpus: 0, ..cluster(Trainer::OpenClip) }.script().is_err());
        assert!(Cluster { ids: 0, ..cluster(Trainer::OpenClip) }.script().is_err());
    }
}
