//! Scaling laws.

use std::{collections::BTreeMap, path::PathBuf};

use curate::{
    core::Progress,
    io::atomic,
    scaling::{
        BootstrapParams, Ensemble, Fit, FitParams, Law, LawKind, Observations, ReadOptions,
        SavedFit, ScalingError, Span,
        compare::{LawScore, compare},
        curves,
        decide::{Candidate, best_pool, samples_multiplier, switch_points},
        fit::OutOfRange,
    },
};
use pyo3::{prelude::*, types::PyString};

use crate::{
    errors::Failure,
    json,
    table::{Table, doubles, optional_texts, texts, truths},
    watch::watched,
};

/// Fits a scaling law to a table of small training runs, as `curate plan fit` does.
///
/// Parameters
/// ----------
/// runs : path of a CSV, JSON lines or Parquet file; a data frame; a list of dicts; a dict of lists
///     Columns `pool`, `samples`, `unique`, `parameters`, ..., and one of `error`, `loss`, `accuracy`.
/// law : str, optional
///     The law's name (`curate.laws()` lists them); the best predictor of the largest budget unless given.
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
    let wanted = Wanted { own, fix, priors, starts, seed };
    let law = law.map(|name| LawKind::named(name, runs.domains().len())).transpose()?;
    watched(py, progress, |progress| {
        let (law, tried) = match law {
            Some(law) => (law, Vec::new()),
            None => wanted.choose(&runs, progress)?,
        };
        let fit = wanted.params(law, &runs).fit(&runs, progress)?;
        let doubt = draws > 0 && fit.freedom() > 0;
        let bootstrap = BootstrapParams::default().draws(draws).seed(seed);
        let draws = doubt.then(|| bootstrap.run(&fit, &runs, progress)).transpose()?;
        Ok(LawFit { saved: SavedFit::new(fit, draws), tried, runs: Some(runs) })
    })
}

/// How to fit, whatever the law.
struct Wanted {
    own: Option<Vec<String>>,
    fix: BTreeMap<String, f64>,
    priors: BTreeMap<String, (f64, f64)>,
    starts: Option<usize>,
    seed: u64,
}

impl Wanted {
    fn params(&self, law: LawKind, runs: &Observations) -> FitParams {
        let mut params = FitParams::usual(law, runs).seed(self.seed);
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

    /// The law that predicts the largest budget best, and how all of them do. The released code's variant
    /// of the QQT law contradicts its paper, so it is fitted only when named.
    fn choose(
        &self,
        runs: &Observations,
        progress: &dyn Progress,
    ) -> Result<(LawKind, Vec<LawScore>), Failure> {
        let laws = LawKind::all(runs.domains().len());
        let sound = laws.into_iter().filter(|law| !law.name().ends_with("-compat"));
        let candidates: Vec<FitParams> = sound
            .map(|law| self.params(law, runs))
            .filter(|params| params.clone().check().is_ok())
            .collect();
        let tried = compare(&candidates, runs, progress).map_err(ScalingError::from)?;
        let best = tried.first().ok_or_else(|| {
            let remedy = "name one to see why, for example law=\"power\"";
            Failure::input("law", format!("no law can be fitted to this table: {remedy}"))
        })?;
        Ok((LawKind::named(&best.law, runs.domains().len())?, tried))
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

/// A scaling law that was fitted to runs, with its doubt.
#[pyclass(frozen, module = "curate")]
pub(crate) struct LawFit {
    saved: SavedFit<LawKind>,
    tried: Vec<LawScore>,
    runs: Option<Observations>,
}

impl LawFit {
    fn fit(&self) -> &Fit {
        &self.saved.fit
    }

    /// The draws, which decisions come from.
    fn draws(&self) -> Result<&Ensemble, Failure> {
        self.saved.draws.as_ref().ok_or_else(|| {
            let remedy = "fit again with draws above 0 and more runs than parameters";
            Failure::input("draws", format!("the fit has none: {remedy}"))
        })
    }

    /// Pools by name, unions by names with plus signs between; all pools unless named.
    fn candidates(&self, names: Option<Vec<String>>) -> Result<Vec<Candidate>, Failure> {
        let pools = self.fit().pools();
        let known = |name: &str| pools.iter().any(|pool| pool.name == name);
        let names = names.unwrap_or_else(|| pools.iter().map(|pool| pool.name.clone()).collect());
        let candidate = |name: &String| match known(name) {
            true => Candidate::pool(name),
            false => Candidate::union(name, name.split('+').map(str::trim)),
        };
        let found: Vec<Candidate> = names.iter().map(candidate).collect();
        found.iter().try_for_each(|candidate| candidate.check(self.fit()))?;
        Ok(found)
    }

    fn span(&self, range: Option<(f64, f64)>) -> Result<Span, Failure> {
        if let Some((low, high)) = range {
            return Ok(Span::new(low, high));
        }
        let usual = self.fit().range().samples.map(|s| Span::new(s.low / 2.0, s.high * 10.0));
        usual.ok_or_else(|| {
            Failure::input("range", "the law does not depend on samples: there is no curve")
        })
    }
}

#[pymethods]
impl LawFit {
    /// The law's name.
    #[getter]
    fn law(&self) -> &str {
        self.fit().law().name()
    }

    /// The pools that were fitted.
    #[getter]
    fn pools(&self) -> Vec<String> {
        self.fit().pools().iter().map(|pool| pool.name.clone()).collect()
    }

    /// What should be known before the fit is trusted.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.fit().warnings().iter().map(ToString::to_string).collect()
    }

    /// Every law that was tried, best first: dictionaries; empty where the law was named.
    #[getter]
    fn tried<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>, Failure> {
        json::to_python(py, &self.tried)
    }

    /// The parameters with intervals: a table with the columns `parameter`, `value`, `low`, `high`; the
    /// last two are missing without draws.
    #[pyo3(signature = (level = 0.9))]
    fn parameters(&self, level: f64) -> Result<Table, Failure> {
        let fit = self.fit();
        let doubt = self.saved.draws.as_ref().map(|draws| draws.parameter_intervals(fit, level));
        let doubt = doubt.transpose()?;
        let interval = |at: usize| doubt.as_ref().and_then(|doubt| doubt.get(at));
        let places = || 0..fit.slots().len();
        Table::new(vec![
            ("parameter", texts(fit.slots().iter().map(|slot| slot.name.clone()))),
            ("value", doubles(fit.theta().iter().map(|&value| Some(value)))),
            ("low", doubles(places().map(|at| interval(at).map(|i| i.low)))),
            ("high", doubles(places().map(|at| interval(at).map(|i| i.high)))),
        ])
    }

    /// The metric of candidates after numbers of samples: a table, a row for each pair, with the columns
    /// `candidate`, `samples`, `metric`, `low`, `high` (of the curve), `new_run_low`, `new_run_high` (of a
    /// new measurement) and `outside`, which says where the question lies outside what the runs span.
    ///
    /// Parameters
    /// ----------
    /// samples : float or list of float
    ///     Samples seen, in the unit of the table of runs.
    /// candidates : list of str, optional
    ///     Pools, or unions as "good+fair"; all pools unless given.
    /// level : float
    #[pyo3(signature = (samples, candidates = None, *, level = 0.9))]
    fn predict(
        &self,
        samples: Samples,
        candidates: Option<Vec<String>>,
        level: f64,
    ) -> Result<Table, Failure> {
        let (fit, candidates) = (self.fit(), self.candidates(candidates)?);
        let mut rows = Vec::new();
        for candidate in &candidates {
            for samples in samples.all() {
                let metric = candidate.predict(fit, samples)?;
                let doubt = self.saved.draws.as_ref();
                let doubt =
                    doubt.map(|draws| candidate.predict_interval(fit, draws, samples, level));
                let outside = candidate.out_of_range(fit, samples)?;
                let outside: Vec<String> = outside.iter().map(told).collect();
                rows.push((candidate.name(), samples, metric, doubt.transpose()?, outside));
            }
        }
        let outside = rows.iter().map(|row| (!row.4.is_empty()).then(|| row.4.join("; ")));
        Table::new(vec![
            ("candidate", texts(rows.iter().map(|row| row.0.to_owned()))),
            ("samples", doubles(rows.iter().map(|row| Some(row.1)))),
            ("metric", doubles(rows.iter().map(|row| Some(row.2)))),
            ("low", doubles(rows.iter().map(|row| row.3.as_ref().map(|p| p.curve.low)))),
            ("high", doubles(rows.iter().map(|row| row.3.as_ref().map(|p| p.curve.high)))),
            ("new_run_low", doubles(rows.iter().map(|row| row.3.as_ref().map(|p| p.new_run.low)))),
            (
                "new_run_high",
                doubles(rows.iter().map(|row| row.3.as_ref().map(|p| p.new_run.high))),
            ),
            ("outside", optional_texts(outside)),
        ])
    }

    /// Which candidate is best after a number of samples: a table, best first, with the columns
    /// `candidate`, `metric`, `low`, `high`, `wins` (the share of draws in which it is the best), `regret`
    /// (the mean loss against each draw's best), `multiplier` (how many times more samples it needs to
    /// do as well as the best) and `inside` (whether the runs span the question).
    #[pyo3(signature = (samples, candidates = None, *, level = 0.9))]
    fn decide(
        &self,
        samples: f64,
        candidates: Option<Vec<String>>,
        level: f64,
    ) -> Result<Table, Failure> {
        let (fit, draws) = (self.fit(), self.draws()?);
        let candidates = self.candidates(candidates)?;
        let best = best_pool(fit, draws, &candidates, samples, level)?;
        let ranking = best.ranking();
        let find = |name: &str| candidates.iter().find(|candidate| candidate.name() == name);
        let mut multipliers = vec![Some(1.0)];
        for other in ranking.iter().skip(1) {
            let (Some(winner), Some(other)) = (find(&best.best().name), find(&other.name)) else {
                continue;
            };
            let worth = samples_multiplier(fit, draws, winner, other, samples, level)?;
            let estimate = worth.multiplier.estimate;
            multipliers.push(estimate.is_finite().then_some(estimate));
        }
        Table::new(vec![
            ("candidate", texts(ranking.iter().map(|ranked| ranked.name.clone()))),
            ("metric", doubles(ranking.iter().map(|ranked| Some(ranked.metric.estimate)))),
            ("low", doubles(ranking.iter().map(|ranked| Some(ranked.metric.low)))),
            ("high", doubles(ranking.iter().map(|ranked| Some(ranked.metric.high)))),
            ("wins", doubles(ranking.iter().map(|ranked| Some(ranked.wins)))),
            ("regret", doubles(ranking.iter().map(|ranked| Some(ranked.regret)))),
            ("multiplier", doubles(multipliers)),
            ("inside", truths(ranking.iter().map(|ranked| ranked.out_of_range.is_empty()))),
        ])
    }

    /// Where the best candidate changes over a range of samples: a table with the columns `from`, `to`,
    /// `samples`, `low`, `high` and `never`, the share of draws in which it does not.
    #[pyo3(signature = (candidates = None, *, range = None, level = 0.9))]
    fn switches(
        &self,
        candidates: Option<Vec<String>>,
        range: Option<(f64, f64)>,
        level: f64,
    ) -> Result<Table, Failure> {
        let candidates = self.candidates(candidates)?;
        let span = self.span(range)?;
        let found = switch_points(self.fit(), self.draws()?, &candidates, span, level)?;
        Table::new(vec![
            ("from", texts(found.iter().map(|switch| switch.from.clone()))),
            ("to", texts(found.iter().map(|switch| switch.to.clone()))),
            ("samples", doubles(found.iter().map(|switch| Some(switch.samples.estimate)))),
            ("low", doubles(found.iter().map(|switch| Some(switch.samples.low)))),
            ("high", doubles(found.iter().map(|switch| Some(switch.samples.high)))),
            ("never", doubles(found.iter().map(|switch| Some(switch.never)))),
        ])
    }

    /// The curves of candidates as SVG, with their bands and the runs: the text, which is also written to
    /// `path` where one is given.
    #[pyo3(signature = (path = None, *, candidates = None, range = None, points = 200, level = 0.9,
        title = None))]
    fn plot(
        &self,
        path: Option<PathBuf>,
        candidates: Option<Vec<String>>,
        range: Option<(f64, f64)>,
        points: usize,
        level: f64,
        title: Option<&str>,
    ) -> Result<String, Failure> {
        let candidates = self.candidates(candidates)?;
        let span = self.span(range)?;
        let mut drawn = curves(self.fit(), self.draws()?, &candidates, span, points, level)?;
        if let Some(runs) = &self.runs {
            drawn = drawn.with_runs(runs, &candidates);
        }
        let usual = format!("Predicted by law {}", self.law());
        let svg = drawn.to_svg(title.unwrap_or(&usual));
        if let Some(path) = path {
            atomic::write(&path, svg.as_bytes())?;
        }
        Ok(svg)
    }

    /// Writes the fit, as `curate plan fit` does.
    fn save(&self, path: PathBuf) -> Result<(), Failure> {
        Ok(self.saved.save(&path)?)
    }

    /// Reads a fit that was saved, by this package or the program.
    #[staticmethod]
    fn load(path: PathBuf) -> Result<Self, Failure> {
        Ok(Self { saved: SavedFit::load(&path)?, tried: Vec::new(), runs: None })
    }

    fn __repr__(&self) -> String {
        let (law, runs, pools) = (self.law(), self.fit().observations(), self.pools().join(", "));
        format!("<curate.LawFit {law}: {runs} runs of {pools}>")
    }

    fn _repr_svg_(&self) -> Option<String> {
        self.plot(None, None, None, 200, 0.9, None).ok()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((py.get_type::<Self>().getattr("_restore")?, (self.saved.to_json(),)))
    }

    #[staticmethod]
    fn _restore(text: &str) -> Result<Self, Failure> {
        let saved = SavedFit::from_json(text, "pickle")?;
        Ok(Self { saved, tried: Vec::new(), runs: None })
    }
}

/// Where a question lies, and where the runs do.
fn told(outside: &OutOfRange) -> String {
    let OutOfRange { axis, value, span } = outside;
    format!("{axis}: {value:.4e}, the runs have {:.4e} to {:.4e}", span.low, span.high)
}

/// One number of samples, or several.
#[derive(FromPyObject)]
enum Samples {
    One(f64),
    Several(Vec<f64>),
}

impl Samples {
    fn all(&self) -> Vec<f64> {
        match self {
            Self::One(samples) => vec![*samples],
            Self::Several(samples) => samples.clone(),
        }
    }
}
