//! Scaling laws.

use std::{collections::BTreeMap, path::PathBuf};

use curate::{
    core::Progress,
    scaling::{
        BootstrapParams, FitParams, Law, LawKind, Observations, ReadOptions, SavedFit,
        weigh::{LeftOut, Weighed, weigh},
    },
};
use pyo3::{prelude::*, types::PyString};

use crate::{errors::Failure, law_fit::LawFit, watch::watched};

/// Fits a scaling law to a table of small training runs, as `curate plan fit` does.
///
/// Parameters
/// ----------
/// runs : path of a CSV, JSON lines or Parquet file; a data frame; a list of dicts; a dict of lists
///     Columns `pool`, `samples`, `unique`, `parameters`, ..., and one of `error`, `loss`, `accuracy`.
/// law : str, optional
///     The law's name (`curate.laws()` lists them). Unless given, all laws that can tell the pools apart
///     answer together, weighed by how they predict the largest budget from the smaller ones.
/// own : list of str, optional
///     Parameters of which every pool has its own; what is usual for the law unless given.
/// fix : dict of str to float, optional
///     Parameters with known values.
/// priors : dict of str to (center, spread), optional
/// draws : int
///     Draws of the bootstrap; 0 for none.
/// starts : int, optional
///     Starting points of the search.
/// seed : int
/// columns : dict of str to str, optional
///     Our name of a column to the table's.
/// progress : bool or callable, optional
///
/// Returns
/// -------
/// LawFit
#[pyfunction]
#[pyo3(signature = (runs, law = None, *, own = None, fix = None, priors = None, draws = 1000,
    starts = None, seed = 0, columns = None, progress = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub(crate) fn fit_law(
    py: Python<'_>,
    runs: &Bound<'_, PyAny>,
    law: Option<&str>,
    own: Option<Vec<String>>,
    fix: Option<BTreeMap<String, f64>>,
    priors: Option<BTreeMap<String, (f64, f64)>>,
    draws: usize,
    starts: Option<usize>,
    seed: u64,
    columns: Option<BTreeMap<String, String>>,
    progress: Option<&Bound<'_, PyAny>>,
) -> Result<LawFit, Failure> {
    let runs = observations(runs, columns)?;
    let (fix, priors) = (fix.unwrap_or_default(), priors.unwrap_or_default());
    let wanted = Wanted { own, fix, priors, draws, starts, seed };
    let law = law.map(|name| LawKind::named(name, runs.domains().len())).transpose()?;
    watched(py, progress, |progress| {
        let (saved, tried, left_out) = match law {
            Some(law) => (wanted.one(law, &runs, progress)?, Vec::new(), Vec::new()),
            None => wanted.several(&runs, progress)?,
        };
        Ok(LawFit { saved, tried, left_out, runs: Some(runs) })
    })
}

/// How to fit, whatever the law.
struct Wanted {
    own: Option<Vec<String>>,
    fix: BTreeMap<String, f64>,
    priors: BTreeMap<String, (f64, f64)>,
    draws: usize,
    starts: Option<usize>,
    seed: u64,
}

/// A fit of several laws, the laws' weights, and the laws that have none, with the reason.
type Several = (SavedFit, Vec<Weighed>, Vec<LeftOut>);

impl Wanted {
    fn params(&self, params: FitParams) -> FitParams {
        let mut params = params.seed(self.seed);
        if let Some(own) = &self.own {
            params = own.iter().fold(params.share_all(), FitParams::per_pool);
        }
        for (name, &value) in &self.fix {
            params = params.fix(name, value);
        }
        for (name, &(center, spread)) in &self.priors {
            params = params.prior(name, center, spread);
        }
        match self.starts {
            Some(starts) => params.starts(starts),
            None => params,
        }
    }

    /// Without draws laws are weighed all the same.
    fn bootstrap(&self) -> BootstrapParams {
        let draws = if self.draws == 0 { 100 } else { self.draws };
        BootstrapParams::default().draws(draws).seed(self.seed)
    }

    /// The law that was named, as its usual options have it.
    fn one(
        &self,
        law: LawKind,
        runs: &Observations,
        progress: &dyn Progress,
    ) -> Result<SavedFit, Failure> {
        let fit = self.params(FitParams::usual(law, runs)).fit(runs, progress)?;
        let doubt = self.draws > 0 && fit.freedom() > 0;
        let draws = doubt.then(|| self.bootstrap().run(&fit, runs, progress)).transpose()?;
        Ok(SavedFit::new(fit, draws))
    }

    /// Every law that can tell the pools apart, weighed. The released code's variant of the QQT law
    /// contradicts its paper, so it is fitted only when named.
    fn several(&self, runs: &Observations, progress: &dyn Progress) -> Result<Several, Failure> {
        let laws = LawKind::all(runs.domains().len());
        let sound = laws.into_iter().filter(|law| !law.name().ends_with("-compat"));
        let candidates: Vec<FitParams> =
            sound.map(|law| self.params(FitParams::cautious(law, runs))).collect();
        let found = weigh(&candidates, runs, self.bootstrap(), progress)?;
        let members = found.members;
        let none = || Failure::input("runs", "no law can be fitted to this table");
        let saved = match self.draws {
            0 => members.into_iter().next().map(|(fit, _)| SavedFit::new(fit, None)),
            _ => SavedFit::of_several(members),
        };
        Ok((saved.ok_or_else(none)?, found.laws, found.left_out))
    }
}

/// The table of an argument: a file, or rows that `curate._runs` knows to write as JSON lines.
fn observations(
    runs: &Bound<'_, PyAny>,
    columns: Option<BTreeMap<String, String>>,
) -> Result<Observations, Failure> {
    let mut options = ReadOptions::default();
    for (ours, theirs) in columns.unwrap_or_default() {
        options = options.column(ours, theirs);
    }
    if runs.is_instance_of::<PyString>() || runs.hasattr("__fspath__")? {
        return Ok(Observations::read(&runs.extract::<PathBuf>()?, &options)?);
    }
    let lines = runs.py().import("curate._runs")?.getattr("json_lines")?.call1((runs,))?;
    let lines: String = lines.extract()?;
    Ok(Observations::from_json_lines(lines.as_bytes(), "runs", &options)?)
}

/// The names of the laws.
#[pyfunction]
pub(crate) fn laws() -> Vec<String> {
    LawKind::all(0).iter().map(|law| law.name().to_owned()).collect()
}
