//! Histograms and curves.

use serde::Serialize;

/// Counts over bins, for one or several series that share the bins.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Histogram {
    /// Heading of the drawing.
    pub title: String,
    /// What x is, with its unit: `cosine similarity of image and caption`.
    pub x_label: String,
    /// What is counted, in the plural: `pairs`. Empty means `rows`.
    pub unit: String,
    /// Bin edges, ascending: one more than there are bins. Bins may differ in width; a bar's
    /// height is the count, not the density.
    pub edges: Vec<f64>,
    /// The counts. [`Histogram::of_values`] makes them from values.
    pub series: Vec<HistogramSeries>,
    /// True to draw the series on top of each other, when together they make the whole (kept and
    /// removed); false to draw them over each other (before and after).
    pub stacked: bool,
    /// The scale of the counts. [`Scale::Log`] never stacks.
    pub count_scale: Scale,
    /// A vertical line: the threshold that was used.
    pub threshold: Option<Marker>,
    /// Values that have no bin (not finite); said below the drawing if not zero.
    pub not_finite: u64,
    /// A sentence below the drawing. May be empty.
    pub note: String,
    /// Said when there is nothing to draw.
    pub when_empty: String,
}

impl Histogram {
    /// Counts values into bins of equal width between the smallest and the largest finite one.
    ///
    /// The last bin includes its upper edge. If all values are equal, the bins span one unit
    /// around them. Zero `bins` are taken as one. Time is linear in the number of values.
    ///
    /// ```
    /// use curate_report::{Histogram, Role};
    ///
    /// let kept = [0.5, 1.0];
    /// let removed = [0.0, 0.1, f64::NAN];
    /// let histogram =
    ///     Histogram::of_values(2, &[("kept", Role::Kept, &kept), ("removed", Role::Removed, &removed)]);
    /// assert_eq!(histogram.edges, [0.0, 0.5, 1.0]);
    /// assert_eq!(histogram.series[0].counts, [0, 2]);
    /// assert_eq!(histogram.series[1].counts, [2, 0]);
    /// assert_eq!(histogram.not_finite, 1);
    /// ```
    #[must_use]
    pub fn of_values<T: Copy + Into<f64>>(bins: usize, series: &[(&str, Role, &[T])]) -> Self {
        let all =
            || series.iter().flat_map(|(_, _, values)| values.iter().map(|&value| value.into()));
        let finite = || all().filter(|value: &f64| value.is_finite());
        let Some(edges) = equal_bins(bins.max(1), finite()) else {
            return Self { not_finite: all().count() as u64, ..Self::default() };
        };
        let series = series.iter().map(|&(name, role, values)| HistogramSeries {
            name: name.to_owned(),
            role,
            counts: count(&edges, values.iter().map(|&value| value.into())),
        });
        let series = series.collect();
        let not_finite = all().filter(|value| !value.is_finite()).count() as u64;
        Self { edges, series, not_finite, ..Self::default() }
    }
}

/// `None` if there is no value, or if they lie too far apart for their span to be finite.
fn equal_bins(bins: usize, values: impl Iterator<Item = f64>) -> Option<Vec<f64>> {
    let range = |(low, high): (f64, f64), value: f64| (low.min(value), high.max(value));
    let (mut low, mut high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), range);
    if !(high - low).is_finite() {
        return None;
    }
    // Halves of the value itself where adding 0.5 would be lost in rounding.
    let half = 0.5_f64.max(high.abs() * 1e-9);
    if low == high {
        (low, high) = (low - half, high + half);
    }
    let share = |bin: usize| bin as f64 / bins as f64;
    Some((0..=bins).map(|bin| low * (1.0 - share(bin)) + high * share(bin)).collect())
}

fn count(edges: &[f64], values: impl Iterator<Item = f64>) -> Vec<u64> {
    let mut counts = vec![0; edges.len() - 1];
    let last = counts.len() - 1;
    for value in values.filter(|value| value.is_finite()) {
        let above = edges.partition_point(|&edge| edge <= value);
        counts[above.saturating_sub(1).min(last)] += 1;
    }
    counts
}

/// One series of a [`Histogram`].
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct HistogramSeries {
    /// Its name in the legend: `kept`.
    pub name: String,
    /// What it stands for; decides the colour.
    pub role: Role,
    /// One count a bin. Missing ones are zero.
    pub counts: Vec<u64>,
}

/// What a series stands for. The same role has the same colour all over the report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Neither kept nor removed: takes the next neutral colour.
    #[default]
    Plain,
    /// Rows that were kept.
    Kept,
    /// Rows that a rule removed.
    Removed,
    /// Rows that were set aside.
    Quarantined,
}

/// A scale of an axis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Equal steps add.
    #[default]
    Linear,
    /// Equal steps multiply by ten. Values that are not positive cannot be drawn and are counted
    /// below the drawing.
    Log,
}

/// A vertical line with a label.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Marker {
    /// Where it crosses the x axis.
    pub value: f64,
    /// What it says: `threshold 0.283`.
    pub label: String,
}

impl Marker {
    /// A line at this x.
    #[must_use]
    pub fn new(value: f64, label: impl Into<String>) -> Self {
        Self { value, label: label.into() }
    }
}

/// Lines or points over x: the fraction kept over epsilon, an error over samples seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CurveChart {
    /// Heading of the drawing.
    pub title: String,
    /// What x is, with its unit.
    pub x_label: String,
    /// What y is, with its unit.
    pub y_label: String,
    /// The scale of x.
    pub x_scale: Scale,
    /// The scale of y.
    pub y_scale: Scale,
    /// True if y is a share of one, to be written in percent.
    pub y_percent: bool,
    /// The curves.
    pub curves: Vec<Curve>,
    /// Vertical lines: the value that was used.
    pub markers: Vec<Marker>,
    /// A sentence below the drawing. May be empty.
    pub note: String,
    /// Said when there is nothing to draw.
    pub when_empty: String,
}

/// One series of a [`CurveChart`].
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// What it stands for; decides the colour.
    pub role: Role,
    /// Drawn as a line, as points, or as both.
    pub style: CurveStyle,
    /// `(x, y)`, in the order in which they are joined. A point that is not finite breaks the
    /// line.
    pub points: Vec<(f64, f64)>,
    /// `(x, lowest y, highest y)`: an interval drawn as a pale band behind the line. May be empty.
    pub band: Vec<(f64, f64, f64)>,
}

/// How a [`Curve`] is drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CurveStyle {
    /// A line.
    #[default]
    Line,
    /// A line with a dot at each point.
    LineAndPoints,
    /// Dots only: measurements beside a fitted line.
    Points,
}
