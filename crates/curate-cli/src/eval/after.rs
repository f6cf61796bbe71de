//! The trainings that a recipe's `[evaluate]` asks for, once its run is finished.

use std::path::Path;

use curate::{
    io::PoolOptions,
    pipeline::{Recipe, recipe::EvaluateRecipe},
};

use crate::{
    eval::{
        args::CompareArgs,
        compare::{check, compare_in},
        named,
    },
    failure::Failure,
    progress::Shown,
    words::parsed,
};

/// `curate eval compare` of a run with other selections.
pub(crate) struct Evaluation {
    args: CompareArgs,
    options: PoolOptions,
}

impl Evaluation {
    /// What the recipe in a file asks for, if it does. Looked at before the run, so that what can be known to be
    /// wrong is told at once.
    pub(crate) fn of(
        recipe: &Recipe,
        file: &Path,
        out: &Path,
        overwrite: bool,
        shown: &Shown,
    ) -> Result<Option<Self>, Failure> {
        let Some(asked) = &recipe.evaluate else { return Ok(None) };
        let of_recipe =
            |error: Failure| Failure::Usage(format!("{}: `[evaluate]`: {error}", file.display()));
        let mut args: CompareArgs = parsed(words(recipe, asked, out)).map_err(of_recipe)?;
        named::selections(&asked.against).map_err(of_recipe)?;
        args.runs.overwrite |= overwrite;
        let pool = &recipe.pool;
        let options = PoolOptions {
            format: pool.format,
            bad_shards: pool.bad_shards,
            ids: args.runs.ids.ids.or(pool.ids),
        };
        check(&args, options, shown).map_err(of_recipe)?;
        Ok(Some(Self { args, options }))
    }

    pub(crate) fn carry_out(&self, shown: &Shown) -> Result<(), Failure> {
        compare_in(&self.args, self.options, shown)
    }
}

/// What `curate eval compare` is asked.
fn words(recipe: &Recipe, asked: &EvaluateRecipe, out: &Path) -> Vec<String> {
    let text = |path: &Path| path.display().to_string();
    let mut words = vec![text(&recipe.pool.path), text(out)];
    words.extend(asked.against.iter().cloned());
    words.extend(["--out".into(), text(&out.join("evaluation"))]);
    words.extend(["--seeds".into(), asked.seeds.to_string()]);
    if asked.everything {
        words.push("--everything".into());
    }
    if !asked.budgets.is_empty() {
        let budgets: Vec<String> = asked.budgets.iter().map(ToString::to_string).collect();
        words.extend(["--budgets".into(), budgets.join(",")]);
    }
    if let Some(embeddings) = &recipe.pool.embeddings {
        words.extend(["--embeddings".into(), text(embeddings)]);
    }
    words.extend(asked.train.iter().cloned());
    words
}
