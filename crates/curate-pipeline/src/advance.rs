//! From one stage of a run to the next: what is in the folder already is read, the rest computed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Instant,
};

use curate_core::{Progress, Selection, StageOf};
use curate_io::{Pool, digest, watched::Watched};
use serde_json::{Value, json};

use crate::{
    Error, Recipe,
    ahead::Ahead,
    earlier::{Earlier, Left, POOL},
    folder,
    inputs::{self, Inputs},
    manifest::PoolNow,
    record::{self, Outcome, StageRecord},
    run::Run,
    stage::{Context, Source},
    stages::Stage,
};

/// How to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Replace results of other settings instead of refusing.
    pub overwrite: bool,
}

/// The stages of a run while it goes on.
pub(crate) struct Stages<'a> {
    recipe: &'a Recipe,
    pool: &'a Pool,
    folder: &'a Path,
    options: RunOptions,
    now: &'a PoolNow,
    reached: Reached,
}

/// How far the stages of a run have come.
#[derive(Clone)]
pub(crate) struct Reached {
    /// The fingerprint of each set by name: the pool's, then each stage's.
    fingerprints: BTreeMap<String, String>,
    done: Finished,
}

/// A stage whose turn it is.
pub(crate) struct Next {
    /// With every default.
    pub(crate) stage: Stage,
    /// The rows that it is given.
    pub(crate) input: Selection,
    /// What its record says before it is carried out.
    pub(crate) fresh: StageRecord,
    inputs: Inputs,
    folder: PathBuf,
}

impl Reached {
    pub(crate) fn earlier(&self) -> &Earlier {
        &self.done.earlier
    }

    /// Stages that have left their result.
    pub(crate) fn stages(&self) -> usize {
        self.done.records.len()
    }
}

/// What the stages of a run have left.
#[derive(Clone)]
pub(crate) struct Finished {
    pub(crate) earlier: Earlier,
    /// The stages, with every default.
    pub(crate) completed: Vec<Stage>,
    pub(crate) records: Vec<StageRecord>,
    /// Names of stages that were read instead of computed.
    pub(crate) reused: Vec<String>,
}

impl<'a> Stages<'a> {
    pub(crate) fn new(
        recipe: &'a Recipe,
        pool: &'a Pool,
        folder: &'a Path,
        options: RunOptions,
        now: &'a PoolNow,
    ) -> Self {
        Self {
            recipe,
            pool,
            folder,
            options,
            now,
            reached: Reached {
                fingerprints: BTreeMap::from([(POOL.to_owned(), now.pool.digest.clone())]),
                done: Finished {
                    earlier: Earlier::new(pool),
                    completed: vec![],
                    records: vec![],
                    reused: vec![],
                },
            },
        }
    }

    /// Goes on from where stages of the same run had come.
    pub(crate) fn from(self, reached: Reached) -> Self {
        Self { reached, ..self }
    }

    pub(crate) fn reached(self) -> Reached {
        self.reached
    }

    /// Goes on after some stages of a finished run, which left these rows, in another folder.
    pub(crate) fn after(run: &'a Run, left: Vec<Left>, folder: &'a Path, now: &'a PoolNow) -> Self {
        let mut stages = Self::new(&run.recipe, &run.pool, folder, RunOptions::default(), now);
        stages.reached.done.records = run.records[..left.len()].to_vec();
        for (record, left) in run.records.iter().zip(left) {
            stages.reached.fingerprints.insert(record.name.clone(), record.fingerprint.clone());
            stages.reached.done.earlier.push(left);
        }
        stages
    }

    /// Reads or computes the next stage.
    pub(crate) fn advance(
        &mut self,
        written: &Stage,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        progress.check()?;
        let (number, of) = (self.reached.done.records.len() + 1, self.recipe.stages.len());
        progress.stage(Some(StageOf { number, of, name: written.name() }));
        let next = self.next(written)?;
        match self.find(&next)? {
            Some(found) => self.push(next, found, true),
            None => {
                let computed = self.compute(&next, &Ahead::default(), progress)?;
                self.push(next, computed, false)
            }
        }
    }

    /// Reads the next stage, if it is in the folder; `None` leaves everything as it was.
    pub(crate) fn reuse(&mut self, written: &Stage) -> Result<Option<()>, Error> {
        let next = self.next(written)?;
        match self.find(&next)? {
            Some(found) => self.push(next, found, true).map(Some),
            None => Ok(None),
        }
    }

    /// The next stage, with what it is given.
    pub(crate) fn next(&self, written: &Stage) -> Result<Next, Error> {
        let input = self.input(written);
        let stage = written.completed(input.len());
        let settings = serde_json::to_value(&stage).expect("a stage is JSON");
        let inputs = self.inputs(&stage)?;
        let folder = folder::of_stage(self.folder, self.reached.done.records.len(), stage.name());
        let fresh = StageRecord {
            name: stage.name().to_owned(),
            kind: stage.kind().to_owned(),
            fingerprint: fingerprint(&settings, &inputs),
            settings,
            inputs: inputs.digests.clone(),
            rows_in: input.len(),
            ..StageRecord::default()
        };
        Ok(Next { stage, input, fresh, inputs, folder })
    }

    /// What the stage may look at.
    pub(crate) fn context<'c>(
        &'c self,
        next: &'c Next,
        ahead: &'c Ahead,
        progress: &'c dyn Progress,
    ) -> Context<'c> {
        Context {
            pool: self.pool,
            seed: self.recipe.seed,
            input: &next.input,
            earlier: &self.reached.done.earlier,
            ahead,
            progress,
        }
    }

    fn push(
        &mut self,
        next: Next,
        (record, kept): (StageRecord, Selection),
        reused: bool,
    ) -> Result<(), Error> {
        if self.reached.done.records.is_empty() && self.now.has_changed() {
            // Until here the folder may have been another pool's, and refused.
            self.now.pool.save(self.folder)?;
        }
        let Next { stage, input, fresh, folder, .. } = next;
        let name = fresh.name;
        if reused {
            self.reached.done.reused.push(name.clone());
        }
        self.reached.fingerprints.insert(name.clone(), fresh.fingerprint);
        self.reached.done.earlier.push(Left { name, folder, given: input, kept });
        self.reached.done.completed.push(stage);
        self.reached.done.records.push(record);
        Ok(())
    }

    pub(crate) fn finished(self) -> Finished {
        self.reached.done
    }

    /// Carries a stage out and saves its result.
    pub(crate) fn compute(
        &self,
        next: &Next,
        ahead: &Ahead,
        progress: &dyn Progress,
    ) -> Result<(StageRecord, Selection), Error> {
        // From here on the folder no longer holds the finished run it may have held.
        folder::remove_outputs(self.folder, &[])?;
        let started = Instant::now();
        let outcome = match &ahead.rows {
            Some(rows) => Outcome::new(rows.clone()),
            None => {
                let context = self.context(next, ahead, progress);
                let outcome = next.stage.resolve()?.execute(&context);
                outcome.map_err(|e| e.in_stage(next.stage.name()))?
            }
        };
        let kept = outcome.rows.kept();
        let mut record = next.fresh.clone();
        record.rows_out = kept.len();
        record.removed = outcome.rows.removed();
        record.info.clone_from(&outcome.info);
        record.seconds = started.elapsed().as_secs_f64();
        self.check_unchanged(next)?;
        record::save(&next.folder, &outcome, &mut record)?;
        Ok((record, kept))
    }

    /// An error when a file that the stage reads is no longer as it was.
    pub(crate) fn check_unchanged(&self, next: &Next) -> Result<(), Error> {
        next.inputs.check()?;
        Ok(self.pool.watched().iter().try_for_each(Watched::check)?)
    }

    /// The rows that a stage is given: those of its sources. With a subset file among them, which
    /// removed nothing itself, the whole pool.
    fn input(&self, stage: &Stage) -> Selection {
        let earlier = &self.reached.done.earlier;
        let set = |source| match source {
            Source::Before => earlier.last(),
            Source::Named(name) => earlier.set(name).unwrap_or(earlier.pool()),
            Source::File(_) => earlier.pool(),
        };
        let mut sets = stage.sources().into_iter().map(set);
        let first = sets.next().cloned().unwrap_or_default();
        sets.fold(first, |all, set| all.union(set))
    }

    /// Everything that the stage's result depends on beside its settings.
    fn inputs(&self, stage: &Stage) -> Result<Inputs, Error> {
        let before = self.reached.done.records.last().map_or(POOL, |record| &record.name);
        let reads = stage.settings().reads();
        let sets = stage.sources().into_iter().chain(reads.sets);
        let sources = sets.filter_map(|source| match source {
            Source::Before => Some(before),
            Source::Named(name) => Some(name),
            Source::File(_) => None,
        });
        let mut inputs = Inputs::default();
        inputs.add(inputs::POOL, &self.now.pool.digest);
        inputs.add(inputs::SEED, self.recipe.seed.to_string());
        inputs.add(inputs::VERSION, env!("CARGO_PKG_VERSION"));
        for name in sources.chain(reads.scores).chain(reads.clusters) {
            if let Some(fingerprint) = self.reached.fingerprints.get(name) {
                inputs.add(format!("stage `{name}`"), fingerprint);
            }
        }
        for path in reads.networks {
            inputs.add_path("network", path)?;
        }
        for path in reads.files {
            inputs.add_path("file", path)?;
        }
        Ok(inputs)
    }

    /// The stage's result, if it is in the folder already.
    pub(crate) fn find(&self, next: &Next) -> Result<Option<(StageRecord, Selection)>, Error> {
        let Next { folder, input, fresh, .. } = next;
        let record = match record::read(folder) {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(None),
            Err(_) if self.options.overwrite => return Ok(None),
            Err(e) => return Err(e),
        };
        if record.fingerprint == fresh.fingerprint {
            let kept = record::check(folder, &record).and_then(|()| record::kept(folder, input));
            return match kept {
                Ok(kept) => Ok(Some((record, kept))),
                Err(_) if self.options.overwrite => Ok(None),
                Err(e) => Err(e),
            };
        }
        if self.options.overwrite {
            return Ok(None);
        }
        Err(Error::Conflict {
            folder: self.folder.to_owned(),
            changes: self.changes(&record, fresh),
            stage: record.name,
        })
    }

    /// Why a stage's result does not count any more, in words.
    fn changes(&self, then: &StageRecord, now: &StageRecord) -> Vec<String> {
        let mut found = changes(&then.settings, &now.settings);
        let file = self.now.difference();
        let file = file.as_ref().map(|(path, count)| (&**path, *count));
        found.extend(inputs::changes(&then.inputs, &now.inputs, file));
        if found.is_empty() {
            found.push("an earlier stage or the version has changed".to_owned());
        }
        found
    }
}

/// A digest of everything that a stage's result depends on.
fn fingerprint(settings: &Value, inputs: &Inputs) -> String {
    let all = json!({ "format": folder::FORMAT, "settings": settings, "inputs": inputs.digests });
    digest::of_bytes(all.to_string().as_bytes())
}

/// What differs between two settings, in words.
fn changes(before: &Value, now: &Value) -> Vec<String> {
    let empty = serde_json::Map::new();
    let (before, now) = (before.as_object().unwrap_or(&empty), now.as_object().unwrap_or(&empty));
    let keys: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let show = |value: Option<&Value>| value.map_or("absent".to_owned(), |v| v.to_string());
    keys.into_iter()
        .filter(|key| before.get(*key) != now.get(*key))
        .map(|key| format!("`{key}` was {}, is {}", show(before.get(key)), show(now.get(key))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_settings_are_named() {
        let (before, now) = (json!({"epsilon": 0.05}), json!({"epsilon": 0.2, "count": 3}));
        let expected = ["`count` was absent, is 3", "`epsilon` was 0.05, is 0.2"];
        assert_eq!(changes(&before, &now), expected);
        assert!(changes(&now, &now).is_empty());
    }
}
