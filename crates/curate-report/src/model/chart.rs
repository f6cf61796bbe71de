//! The data of histograms and curves.

use serde::Serialize;

/// Counts per bin, for one or more series that share the bins.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Histogram {
    /// Heading of the drawing.
    pub title: String,
    /// What x is, with its unit: `cosine similarity of image and caption`.
    pub x_label: String,
    /// What is counted, in the plural: `pairs`. Empty means `rows`.
    pub unit: String,
    /// Bin edges in ascending order, one more than there are bins. Bins may differ in width; the
    /// height of a bar is the count, not the density.
    pub edges: Vec<f64>,
    /// The counts. [`Histogram::of_values`] makes them from values.
    pub series: Vec<HistogramSeries>,
    /// True to stack the series, when together they make up the whole (kept and removed); false to
    /// draw them in front of each other (before and after).
    pub stacked: bool,
    /// The scale of the counts. With [`Scale::Log`] series are never stacked.
    pub count_scale: Scale,
    /// A vertical line at the threshold that was used.
    pub threshold: Option<Marker>,
    /// Values that are in no bin because they are not finite; stated below the chart if not zero.
    pub not_finite: u64,
    /// A sentence below the chart. May be empty.
    pub note: String,
    /// Shown when there is nothing to draw.
    pub when_empty: String,
}

impl Histogram {
    /// The most bins that [`Histogram::of_values`] makes, many times as many as a screen can show.
    pub const MOST_BINS: usize = 4096;

    /// Counts values into bins of equal width between the smallest and the largest finite one.
    ///
    /// The last bin includes its upper edge. If all values are equal, the bins span one unit
    /// around them. The number of bins is brought into 1 to [`Histogram::MOST_BINS`]. Takes time
    /// O(values x log(bins)).
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
        let Some(edges) = equal_bins(bins.clamp(1, Self::MOST_BINS), finite()) else {
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

/// `None` if there are no values, or if they lie so far apart that their span is infinite.
fn equal_bins(bins: usize, values: impl Iterator<Item = f64>) -> Option<Vec<f64>> {
    let range = |(low, high): (f64, f64), value: f64| (low.min(value), high.max(value));
    let (mut low, mut high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), range);
    if !(high - low).is_finite() {
        return None;
    }
    // A share of the value itself where 0.5 would be lost in rounding.
    let half = 0.5_f64.max(high.abs() * 1e-9);
    if low == high {
        (low, high) = (low - half, high + half);
    }
    // Weighing both ends, rather than adding steps to the lower one, ends exactly at `high`.
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
    /// What it stands for; decides the color.
    pub role: Role,
    /// One count per bin. Missing ones are zero.
    pub counts: Vec<u64>,
}

/// What a series stands for. A role has the same color everywhere in the report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Neither kept nor removed: takes the next neutral color.
    #[default]
    Plain,
    /// Rows that were kept.
    Kept,
    /// Rows that a rule removed.
    Removed,
    /// Rows that were set aside because they could not be judged.
    Quarantined,
}

/// The scale of an axis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Equal distances are equal differences.
    #[default]
    Linear,
    /// Equal distances are equal ratios. Values that are not positive cannot be drawn; they are
    /// counted below the chart.
    Log,
}

/// A vertical line with a label.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Marker {
    /// Where it meets the x axis.
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

/// Lines or points over x, such as the fraction kept over epsilon.
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
    /// True if y is a share of one and is to be written in percent.
    pub y_percent: bool,
    /// The curves.
    pub curves: Vec<Curve>,
    /// Vertical lines, for example at the value that was used.
    pub markers: Vec<Marker>,
    /// A sentence below the chart. May be empty.
    pub note: String,
    /// Shown when there is nothing to draw.
    pub when_empty: String,
}

/// One series of a [`CurveChart`].
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// What it stands for; decides the color.
    pub role: Role,
    /// Drawn as a line, as points, or as both.
    pub style: CurveStyle,
    /// `(x, y)`, in the order in which the line joins them. A point that is not finite breaks the
    /// line.
    pub points: Vec<(f64, f64)>,
    /// `(x, lowest y, highest y)`: intervals, drawn as a pale band behind the line. May be empty.
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
