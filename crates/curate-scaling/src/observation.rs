//! Tables of training runs.

use crate::count::show_count;
use crate::error::ScalingError;
use crate::law::Summary;
use crate::point::{Field, Point};
use crate::stats::median;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::ops::RangeInclusive;

/// What was measured. Both are better when lower; an accuracy is read as the error `1 - accuracy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// A share of wrong answers, in `(0, 1]`.
    Error,
    /// A loss, above zero.
    Loss,
}

/// One training run: how it was trained and what it scored. Build with [`Observation::new`] and
/// the setters; what is not set is not known.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Observation {
    /// Name of the pool or mixture trained on.
    pub pool: String,
    /// Error or loss.
    pub value: f64,
    /// Samples (or tokens) seen, repeats included.
    pub samples: Option<f64>,
    /// Distinct samples (or tokens) in the pool.
    pub unique: Option<f64>,
    /// Model parameters.
    pub parameters: Option<f64>,
    /// Training compute, FLOP.
    pub compute: Option<f64>,
    /// Loss of the same model on the upstream task.
    pub upstream_loss: Option<f64>,
    /// Weights of the mixture's domains, in the table's order.
    pub mixture: Vec<f64>,
    /// Standard deviation of `value` between repeats of the run.
    pub sigma: Option<f64>,
    /// How much the run counts in the objective; one when not given.
    pub weight: Option<f64>,
    /// A name for runs that belong together, for example one architecture.
    pub group: Option<String>,
}

impl Observation {
    /// A run on `pool` that scored `value`.
    pub fn new(pool: impl Into<String>, value: f64) -> Self {
        Observation { pool: pool.into(), value, ..Observation::default() }
    }

    /// Sets the samples seen, repeats included.
    pub fn samples(mut self, samples: f64) -> Self {
        self.samples = Some(samples);
        self
    }

    /// Sets the number of distinct samples in the pool.
    pub fn unique(mut self, unique: f64) -> Self {
        self.unique = Some(unique);
        self
    }

    /// Sets the model parameters.
    pub fn parameters(mut self, parameters: f64) -> Self {
        self.parameters = Some(parameters);
        self
    }

    /// Sets the training compute in FLOP.
    pub fn compute(mut self, compute: f64) -> Self {
        self.compute = Some(compute);
        self
    }

    /// Sets the upstream loss.
    pub fn upstream_loss(mut self, loss: f64) -> Self {
        self.upstream_loss = Some(loss);
        self
    }

    /// Sets the mixture weights.
    pub fn mixture(mut self, weights: Vec<f64>) -> Self {
        self.mixture = weights;
        self
    }

    /// Sets the standard deviation of the value.
    pub fn sigma(mut self, sigma: f64) -> Self {
        self.sigma = Some(sigma);
        self
    }

    /// Sets how much the run counts in the objective.
    pub fn weight(mut self, weight: f64) -> Self {
        self.weight = Some(weight);
        self
    }

    /// Sets the group.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// The run as a law sees it. Parameters that are not given follow from the compute, as
    /// `C = 6 N D`.
    pub fn point(&self) -> Point<'_> {
        let samples = self.samples.unwrap_or(f64::NAN);
        let implied = self.compute.map(|c| c / (6.0 * samples));
        Point {
            samples,
            unique: self.unique.unwrap_or(f64::NAN),
            parameters: self.parameters.or(implied).unwrap_or(f64::NAN),
            upstream_loss: self.upstream_loss.unwrap_or(f64::NAN),
            mixture: &self.mixture,
        }
    }

    /// What the run cost: compute, or six times parameters times samples, or samples; `None` where
    /// neither compute nor samples are known.
    pub fn budget(&self) -> Option<f64> {
        let of_samples = |samples| 6.0 * self.parameters.unwrap_or(1.0 / 6.0) * samples;
        self.compute.or_else(|| self.samples.map(of_samples))
    }
}

/// A checked table of runs with one metric: from code, or by [`Observations::read`] from a file.
///
/// ```
/// use curate_scaling::{Metric, Observation, Observations};
///
/// let run = |samples, error| Observation::new("web", error).samples(samples).unique(1e7);
/// let rows = vec![run(1e7, 0.72), run(2e7, 0.66)];
/// let runs = Observations::new(Metric::Error, vec![], rows)?;
/// assert_eq!(runs.pools(), ["web"]);
///
/// let percent = Observations::new(Metric::Error, vec![], vec![run(1e7, 72.0)]);
/// assert!(percent.unwrap_err().to_string().contains("divide percentages by 100"));
/// # Ok::<(), curate_scaling::ScalingError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Observations {
    metric: Metric,
    domains: Vec<String>,
    rows: Vec<Observation>,
}

impl Observations {
    /// A table of `rows`, with the names of the mixture's domains if the rows have weights.
    ///
    /// # Errors
    /// The first row with a value that no run can have (NaN, an error outside `(0, 1]`, samples
    /// that are not positive, weights that do not sum to one, ...), by its number from 1.
    pub fn new(
        metric: Metric,
        domains: Vec<String>,
        rows: Vec<Observation>,
    ) -> Result<Self, ScalingError> {
        for (i, row) in rows.iter().enumerate() {
            check_row(row, metric, domains.len()).map_err(|e| e.at(format!("row {}", i + 1)))?;
        }
        Ok(Observations { metric, domains, rows })
    }

    /// Error or loss.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Names of the mixture's domains.
    pub fn domains(&self) -> &[String] {
        &self.domains
    }

    /// The runs, in order.
    pub fn rows(&self) -> &[Observation] {
        &self.rows
    }

    /// Names of the pools, in order of first appearance.
    pub fn pools(&self) -> Vec<String> {
        let mut pools: Vec<String> = Vec::new();
        for row in &self.rows {
            if !pools.contains(&row.pool) {
                pools.push(row.pool.clone());
            }
        }
        pools
    }

    /// The runs for which `keep` holds.
    pub fn filter(&self, keep: impl Fn(&Observation) -> bool) -> Observations {
        let rows = self.rows.iter().filter(|row| keep(row)).cloned().collect();
        Observations { rows, metric: self.metric, domains: self.domains.clone() }
    }

    /// SHA-256 of metric, domains and rows in order, as hexadecimal text.
    pub fn digest(&self) -> String {
        let content = (self.metric, &self.domains, &self.rows);
        let bytes = serde_json::to_vec(&content).expect("finite numbers and text serialize");
        Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Medians of the runs of `pool`, or of all runs.
    pub(crate) fn summary(&self, pool: Option<&str>) -> Summary {
        let rows: Vec<_> = self.rows.iter().filter(|r| pool.is_none_or(|p| p == r.pool)).collect();
        let middle = |get: &dyn Fn(&Observation) -> f64| median(rows.iter().map(|r| get(r)));
        let values = || rows.iter().map(|r| r.value);
        Summary {
            samples: middle(&|r| r.point().samples),
            unique: middle(&|r| r.point().unique),
            parameters: middle(&|r| r.point().parameters),
            upstream_loss: middle(&|r| r.point().upstream_loss),
            metric: median(values()),
            lowest: values().fold(f64::INFINITY, f64::min),
            highest: values().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    /// First row that lacks `field`, counted from 1.
    pub(crate) fn first_without(&self, field: Field) -> Option<usize> {
        let known = |row: &Observation| !row.point().field(field).is_nan();
        self.rows.iter().position(|row| !known(row)).map(|i| i + 1)
    }
}

/// Epochs that a run can have: beyond these, samples and distinct samples are in different units.
pub(crate) const EPOCHS: RangeInclusive<f64> = 1e-6..=1e5;
/// Epochs of a usual run, near which a guessed unit should lie.
const USUAL_EPOCHS: f64 = 30.0;
/// Factor to them from which a guess is worth nothing.
const UNLIKELY: f64 = 1e3;

/// A field that no run can have; the reader adds the place.
#[derive(Debug)]
pub(crate) struct RowProblem {
    pub(crate) field: String,
    pub(crate) problem: String,
    pub(crate) remedy: String,
}

impl RowProblem {
    pub(crate) fn at(self, place: String) -> ScalingError {
        let RowProblem { field, problem, remedy } = self;
        ScalingError::BadField { place, field, problem, remedy }
    }
}

fn problem(field: &str, value: f64, wrong: &str, remedy: &'static str) -> RowProblem {
    RowProblem { field: field.into(), problem: format!("{value} {wrong}"), remedy: remedy.into() }
}

/// What no run can have, whatever the law.
pub(crate) fn check_row(
    row: &Observation,
    metric: Metric,
    domains: usize,
) -> Result<(), RowProblem> {
    check_value(row.value, metric)?;
    check_name("pool", &row.pool)?;
    check_name("group", row.group.as_deref().unwrap_or_default())?;
    let quantities = [
        ("samples", row.samples),
        ("unique", row.unique),
        ("parameters", row.parameters),
        ("compute", row.compute),
        ("upstream_loss", row.upstream_loss),
        ("sigma", row.sigma),
        ("weight", row.weight),
    ];
    for (field, value) in quantities {
        match value {
            Some(x) if !(x.is_finite() && x > 0.0) => {
                let remedy = "give a positive number, or leave the field out if it is not known";
                return Err(problem(field, x, "is not a positive number", remedy));
            }
            _ => {}
        }
    }
    check_units(row)?;
    check_mixture(&row.mixture, domains)
}

/// A name is printed and drawn: one that moves a terminal's cursor is no name.
fn check_name(field: &str, name: &str) -> Result<(), RowProblem> {
    if name.chars().any(char::is_control) {
        return Err(RowProblem {
            field: field.into(),
            problem: format!("{name:?} holds a control character"),
            remedy: "rename it".into(),
        });
    }
    Ok(())
}

/// Refuses samples and distinct samples so far apart that they are in different units: a run of a
/// million epochs would be fitted without a word, to nothing that was ever trained.
fn check_units(row: &Observation) -> Result<(), RowProblem> {
    let (Some(samples), Some(unique)) = (row.samples, row.unique) else { return Ok(()) };
    let epochs = samples / unique;
    if EPOCHS.contains(&epochs) {
        return Ok(());
    }
    let (small, value) = if epochs > 1.0 { ("unique", unique) } else { ("samples", samples) };
    let off = |unit: f64| {
        let rescaled = if epochs > 1.0 { epochs / unit } else { epochs * unit };
        (rescaled / USUAL_EPOCHS).ln().abs()
    };
    let units = [(1e3, "thousands"), (1e6, "millions"), (1e9, "billions"), (1e12, "trillions")];
    let unit = units.into_iter().min_by(|a, b| off(a.0).total_cmp(&off(b.0)));
    let unit = unit.filter(|(unit, _)| off(*unit) < UNLIKELY.ln());
    let guess = unit.map_or(String::new(), |(unit, name)| {
        format!("; is `{small}` in {name} ({} for {value})?", show_count(value * unit))
    });
    Err(RowProblem {
        field: "unique".into(),
        problem: format!(
            "{unique} distinct samples beside {samples} in `samples` make {epochs:.1e} epochs"
        ),
        remedy: format!("write both columns in the same unit, as counts{guess}"),
    })
}

fn check_value(value: f64, metric: Metric) -> Result<(), RowProblem> {
    let field = if metric == Metric::Error { "error" } else { "loss" };
    if !value.is_finite() {
        return Err(problem(field, value, "is not a number", "drop the run or evaluate it again"));
    }
    if value <= 0.0 {
        let remedy = "no law reaches zero or less; check the sign, and that the column holds an \
                      error or a loss rather than an accuracy or a log-likelihood";
        return Err(problem(field, value, "is not above zero", remedy));
    }
    if metric == Metric::Error && value > 1.0 {
        let remedy = "errors are shares in (0, 1]; divide percentages by 100, or name the column \
                      `loss` if it is one";
        return Err(problem(field, value, "is above one", remedy));
    }
    Ok(())
}

fn check_mixture(weights: &[f64], domains: usize) -> Result<(), RowProblem> {
    let field = "weight_<domain>";
    if weights.len() != domains {
        let wrong = format!("weights for {domains} domains");
        return Err(problem(field, weights.len() as f64, &wrong, "give one weight per domain"));
    }
    if let Some(&bad) = weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
        return Err(problem(field, bad, "is not a weight", "give weights of at least zero"));
    }
    let sum: f64 = weights.iter().sum();
    if domains > 0 && (sum - 1.0).abs() > 0.02 {
        let remedy = "give the shares of all domains, including the ones left out";
        return Err(problem(field, sum, "is the weights' sum, not 1", remedy));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(metric: Metric, row: Observation) -> String {
        Observations::new(metric, vec![], vec![row]).unwrap_err().to_string()
    }

    #[test]
    fn impossible_values_are_refused_with_place_field_and_remedy() {
        let run = |value| Observation::new("a", value).samples(1e6);
        for (metric, row, expected) in [
            (Metric::Error, run(f64::NAN), ["row 1", "`error`", "drop the run"]),
            (Metric::Error, run(0.0), ["row 1", "`error`", "check the sign"]),
            (Metric::Error, run(-0.5), ["row 1", "`error`", "accuracy"]),
            (Metric::Error, run(71.5), ["row 1", "`error`", "divide percentages by 100"]),
            (Metric::Loss, run(-2.0), ["row 1", "`loss`", "check the sign"]),
            (Metric::Error, run(0.5).samples(0.0), ["row 1", "`samples`", "positive number"]),
            (Metric::Error, run(0.5).unique(f64::NAN), ["row 1", "`unique`", "leave the field"]),
            (Metric::Error, run(0.5).sigma(-1.0), ["row 1", "`sigma`", "positive number"]),
            (Metric::Error, run(0.5).mixture(vec![1.0]), ["row 1", "weight_", "one weight"]),
            (Metric::Error, run(0.5).group("a\u{1b}[2J"), ["row 1", "`group`", "rename"]),
        ] {
            let message = refuse(metric, row);
            for part in expected {
                assert!(message.contains(part), "{message} lacks {part}");
            }
        }
    }

    #[test]
    fn columns_in_different_units_are_refused_with_the_likely_unit() {
        let run = |samples, unique| Observation::new("a", 0.5).samples(samples).unique(unique);
        for (samples, unique, parts) in [
            (
                2.56e9,
                80.0,
                ["80 distinct samples", "3.2e7 epochs", "`unique` in millions (80M for 80)"],
            ),
            (34.0, 2e9, ["34 in `samples`", "1.7e-8 epochs", "`samples` in billions (34B for 34)"]),
            (34e9, 80.0, ["row 1", "`unique`", "`unique` in millions (80M for 80)"]),
            (2.56e9, 400.0, ["row 1", "6.4e6 epochs", "`unique` in millions (400M for 400)"]),
            (1e300, 1.0, ["row 1", "1.0e300 epochs", "same unit"]),
        ] {
            let message = refuse(Metric::Error, run(samples, unique));
            for part in parts {
                assert!(message.contains(part), "{message} lacks {part}");
            }
        }
        for (samples, unique) in [(34e9, 80e6), (1e9, 1e4), (1.28e6, 1.4e9), (5e4, 2e9)] {
            let table = Observations::new(Metric::Error, vec![], vec![run(samples, unique)]);
            assert!(table.is_ok(), "{samples} of {unique}");
        }
    }

    #[test]
    fn weights_must_sum_to_one() {
        let row = Observation::new("a", 2.0).mixture(vec![0.5, 0.2]);
        let names = vec!["x".to_string(), "y".to_string()];
        let message = Observations::new(Metric::Loss, names, vec![row]).unwrap_err().to_string();
        assert!(message.contains("0.7") && message.contains("not 1"), "{message}");
    }

    #[test]
    fn the_digest_sees_every_row_and_its_order() {
        let row = |value| Observation::new("a", value).samples(1e6);
        let table = |rows| Observations::new(Metric::Error, vec![], rows).unwrap();
        let base = table(vec![row(0.5), row(0.4)]);
        assert_eq!(base.digest(), table(vec![row(0.5), row(0.4)]).digest());
        assert_ne!(base.digest(), table(vec![row(0.4), row(0.5)]).digest());
        assert_ne!(base.digest(), table(vec![row(0.5), row(0.4 + 1e-16)]).digest());
    }

    #[test]
    fn parameters_follow_from_compute() {
        let row = Observation::new("a", 2.0).samples(1e9).compute(6e18);
        assert!((row.point().parameters - 1e9).abs() < 1e-3);
        assert_eq!(row.budget(), Some(6e18));
        assert_eq!(Observation::new("a", 2.0).budget(), None);
    }
}
