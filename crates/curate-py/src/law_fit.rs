//! What a fitted scaling law, or several, answer.

use std::{collections::BTreeMap, path::PathBuf};

use curate::{
    core::NoProgress,
    io::atomic,
    scaling::{
        Fit, Law, LawKind, Observations, SavedFit, Span,
        decide::{Blend, Candidate},
        fit::OutOfRange,
        show_count,
        weigh::{LeftOut, Weighed},
    },
};
use pyo3::prelude::*;

use crate::{
    errors::Failure,
    json,
    table::{Table, doubles, optional_texts, texts, truths},
};

/// How many times beyond the runs a question may lie: further off, a unit is missing.
const FARTHEST: f64 = 1e4;

/// A scaling law that was fitted to runs, or several that answer together, with their doubt.
#[pyclass(frozen, module = "curate")]
pub(crate) struct LawFit {
    pub(crate) saved: SavedFit<LawKind>,
    pub(crate) tried: Vec<Weighed>,
    pub(crate) left_out: Vec<LeftOut>,
    pub(crate) runs: Option<Observations>,
}

impl LawFit {
    /// A fit that was read.
    fn of(saved: SavedFit<LawKind>) -> Self {
        Self { saved, tried: Vec::new(), left_out: Vec::new(), runs: None }
    }

    fn fit(&self) -> &Fit {
        &self.saved.fit
    }

    /// The laws that can answer for all the candidates, from whose draws decisions come.
    fn blend(&self, candidates: &[Candidate]) -> Result<Blend<'_, LawKind>, Failure> {
        let blend = self.saved.blend()?.ok_or_else(|| {
            let remedy = "fit again with draws above 0 and more runs than parameters";
            Failure::input("draws", format!("the fit has none: {remedy}"))
        })?;
        Ok(blend.answering(candidates)?.0)
    }

    /// Refuses a number of samples in another unit than that of the runs.
    fn check_samples(&self, samples: f64) -> Result<(), Failure> {
        let Some(span) = self.fit().range().samples else { return Ok(()) };
        if samples <= 0.0 || (span.low / FARTHEST..=span.high * FARTHEST).contains(&samples) {
            // What is no number of samples is the library's to refuse.
            return Ok(());
        }
        let [samples, low, high] = [samples, span.low, span.high].map(show_count);
        let problem = format!(
            "{samples} is further than a factor of 10,000 from the runs, which have {low} to {high}: give \
             counts in their unit"
        );
        Err(Failure::input("samples", problem))
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
    /// The law's name, or those of several with their shares of the draws.
    #[getter]
    fn law(&self) -> Result<String, Failure> {
        let blend = self.saved.blend()?;
        Ok(blend.map_or_else(|| self.fit().law().name().to_owned(), |blend| blend.law()))
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

    /// The laws that were not weighed, by name, with the reason; empty where the law was named.
    #[getter]
    fn left_out(&self) -> BTreeMap<String, String> {
        self.left_out.iter().map(|law| (law.law.clone(), law.why.clone())).collect()
    }

    /// Every law that was weighed, the heaviest first: dictionaries; empty where the law was named.
    #[getter]
    fn tried<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>, Failure> {
        json::to_python(py, &self.tried)
    }

    /// The parameters of the law, or of the heaviest of several, with intervals: a table with the columns `parameter`, `value`, `low`, `high`; the
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
        let blend = self.saved.draws.is_some().then(|| self.blend(&candidates)).transpose()?;
        let mut rows = Vec::new();
        for candidate in &candidates {
            for samples in samples.all() {
                self.check_samples(samples)?;
                let doubt = blend.as_ref().map(|blend| blend.predict(candidate, samples, level));
                let doubt = doubt.transpose()?;
                let metric = match &doubt {
                    Some(doubt) => doubt.metric,
                    None => candidate.predict(fit, samples)?,
                };
                let outside = candidate.out_of_range(fit, samples)?;
                let outside: Vec<String> = outside.iter().map(told).collect();
                rows.push((candidate.name(), samples, metric, doubt, outside));
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
    /// do as well as the best), `inside` (whether the runs span the question) and `tied` (whether it is
    /// predicted equal to the best, so that nothing tells the two apart).
    #[pyo3(signature = (samples, candidates = None, *, level = 0.9))]
    fn decide(
        &self,
        samples: f64,
        candidates: Option<Vec<String>>,
        level: f64,
    ) -> Result<Table, Failure> {
        self.check_samples(samples)?;
        let candidates = self.candidates(candidates)?;
        let blend = self.blend(&candidates)?;
        let best = blend.best_pool(&candidates, samples, level)?;
        let ranking = best.ranking();
        let find = |name: &str| candidates.iter().find(|candidate| candidate.name() == name);
        let mut multipliers = vec![Some(1.0)];
        for other in ranking.iter().skip(1) {
            let (Some(winner), Some(other)) = (find(&best.best().name), find(&other.name)) else {
                continue;
            };
            let worth = blend.samples_multiplier(winner, other, samples, level)?;
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
            ("tied", truths(ranking.iter().map(|ranked| best.tied().contains(&ranked.name)))),
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
        let blend = self.blend(&candidates)?;
        let found = blend.switch_points(&candidates, span, level)?;
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
        let blend = self.blend(&candidates)?;
        let mut drawn = blend.curves(&candidates, span, points, level, &NoProgress)?;
        if let Some(runs) = &self.runs {
            drawn = drawn.with_runs(runs, &candidates);
        }
        let usual = format!("Predicted by law {}", blend.law());
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
        Ok(Self::of(SavedFit::load(&path)?))
    }

    fn __repr__(&self) -> Result<String, Failure> {
        let (law, runs, pools) = (self.law()?, self.fit().observations(), self.pools().join(", "));
        Ok(format!("<curate.LawFit {law}: {runs} runs of {pools}>"))
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
        Ok(Self::of(saved))
    }
}

/// Where a question lies, and where the runs do.
fn told(outside: &OutOfRange) -> String {
    let OutOfRange { axis, value, span } = outside;
    let [value, low, high] = [*value, span.low, span.high].map(show_count);
    format!("{axis}: {value}, the runs have {low} to {high}")
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
