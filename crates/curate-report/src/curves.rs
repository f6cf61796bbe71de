//! Draws lines and points over x.

use crate::axis::Axis;
use crate::chart::{self, X, Y};
use crate::html::{Html, put};
use crate::number::{count, number, share};
use crate::text::esc;
use crate::{Curve, CurveChart, CurveStyle, Scale, Value};

pub(crate) fn draw(html: &mut Html, chart: &CurveChart) {
    chart::open(html, &chart.title);
    let axes = axes(chart);
    match &axes {
        Some(axes) => draw_curves(html, chart, axes),
        None => html.empty(&chart.when_empty, "There are no points to draw."),
    }
    html.paragraph("rule", &chart.note);
    if axes.is_some() {
        numbers(html, chart);
    }
    chart::close(html);
}

/// The two axes of a chart.
struct Axes {
    x: Axis,
    y: Axis,
}

impl Axes {
    /// True if both scales can show the point.
    fn show(&self, (x, y): (f64, f64)) -> bool {
        self.x.shows(x) && self.y.shows(y)
    }
}

/// Wide enough for every point that both scales can show, bands included.
fn axes(chart: &CurveChart) -> Option<Axes> {
    let shows = |scale, value: f64| value.is_finite() && (scale == Scale::Linear || value > 0.0);
    let points = || {
        let lines = chart.curves.iter().flat_map(|curve| curve.points.iter().copied());
        let bands = chart.curves.iter().flat_map(|curve| &curve.band);
        let bands = bands.flat_map(|&(x, low, high)| [(x, low), (x, high)]);
        let both = |&(x, y): &(f64, f64)| shows(chart.x_scale, x) && shows(chart.y_scale, y);
        lines.chain(bands).filter(both)
    };
    let x = Axis::over(chart.x_scale, points().map(|(x, _)| x), X)?;
    let y = Axis::over(chart.y_scale, points().map(|(_, y)| y), Y)?;
    let y = if chart.y_scale == Scale::Log { y.padded(0.05) } else { y.rounded() };
    Some(Axes { x: x.padded(0.02), y })
}

/// A curve with what tells it from the others.
struct Series<'a> {
    curve: &'a Curve,
    /// The style classes: color and dash.
    class: String,
    /// Its place among the curves, which decides the shape of its dots.
    at: usize,
}

fn series(chart: &CurveChart) -> Vec<Series<'_>> {
    let colors = chart::classes(chart.curves.iter().map(|curve| curve.role));
    let series = chart.curves.iter().zip(colors).enumerate();
    series
        .map(|(at, (curve, color))| Series { curve, class: format!("{color} dash{}", at % 4), at })
        .collect()
}

fn draw_curves(html: &mut Html, chart: &CurveChart, axes: &Axes) {
    let all = series(chart);
    chart::legend(html, all.iter().map(|one| (swatch(one), one.curve.name.as_str())));
    chart::open_svg(html, &summary(chart));
    let labels = (chart.x_label.as_str(), chart.y_label.as_str());
    chart::axes(html, &axes.x, &axes.y, labels, chart.y_percent);
    // All bands first, so that none covers another curve's line.
    all.iter().for_each(|one| band(html, one, axes));
    for one in &all {
        if one.curve.style != CurveStyle::Points {
            line(html, one, axes);
        }
        points(html, chart, one, axes);
    }
    let outside = chart::markers(html, &axes.x, &chart.markers);
    put!(html, "</svg>\n");
    chart::outside(html, &outside);
    left_out(html, chart, axes);
}

fn swatch(series: &Series<'_>) -> String {
    let class = &series.class;
    if series.curve.style != CurveStyle::Points {
        return chart::swatch(class, true);
    }
    let shape = dot(series.at, 7.0, 5.0);
    format!(
        "<svg class=\"swatch\" width=\"14\" height=\"10\" viewBox=\"0 0 14 10\" \
         aria-hidden=\"true\"><path class=\"dot {class}\" d=\"{shape}\"/></svg>"
    )
}

/// Four shapes in turn, so that curves differ by more than color.
fn dot(at: usize, x: f64, y: f64) -> String {
    match at % 4 {
        0 => format!("M{:.1} {y:.1}a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z", x - 3.5),
        1 => format!("M{:.1} {:.1}h6v6h-6z", x - 3.0, y - 3.0),
        2 => format!("M{x:.1} {:.1}l4 7h-8z", y - 4.0),
        _ => format!("M{x:.1} {:.1}l4 4l-4 4l-4 -4z", y - 4.0),
    }
}

fn line(html: &mut Html, series: &Series<'_>, axes: &Axes) {
    put!(html, "<path class=\"line {}\" d=\"", series.class);
    let mut pen = 'M';
    for &point in &series.curve.points {
        if axes.show(point) {
            put!(html, "{pen}{:.1} {:.1}", axes.x.at(point.0), axes.y.at(point.1));
            pen = 'L';
        } else {
            pen = 'M';
        }
    }
    put!(html, "\"/>\n");
}

/// One polygon: along the lower ends, and back along the upper ones.
fn band(html: &mut Html, series: &Series<'_>, axes: &Axes) {
    let band = &series.curve.band;
    let shown = |&&(x, low, high): &&(f64, f64, f64)| axes.show((x, low)) && axes.show((x, high));
    let there = band.iter().filter(shown).map(|&(x, low, _)| (x, low));
    let back = band.iter().rev().filter(shown).map(|&(x, _, high)| (x, high));
    let corners: Vec<_> = there.chain(back).collect();
    if corners.is_empty() {
        return;
    }
    put!(html, "<polygon class=\"band {}\" points=\"", series.class);
    corners.iter().for_each(|&(x, y)| put!(html, "{:.1},{:.1} ", axes.x.at(x), axes.y.at(y)));
    put!(html, "\"/>\n");
}

/// The dots. A plain line has them too, but invisible, so that its points can be hovered over.
fn points(html: &mut Html, chart: &CurveChart, series: &Series<'_>, axes: &Axes) {
    let Series { curve, class, at } = series;
    let kind = if curve.style == CurveStyle::Line { "hit" } else { "dot" };
    for &point in curve.points.iter().filter(|&&point| axes.show(point)) {
        let shape = dot(*at, axes.x.at(point.0), axes.y.at(point.1));
        put!(html, "<path class=\"{kind} {class}\" d=\"{shape}\"><title>");
        if !curve.name.is_empty() {
            put!(html, "{}: ", esc(&curve.name));
        }
        put!(html, "{} at {}</title></path>\n", written(chart, point.1), number(point.0));
    }
}

fn written(chart: &CurveChart, y: f64) -> String {
    if chart.y_percent { share(y) } else { number(y) }
}

fn summary(chart: &CurveChart) -> String {
    let mut text = format!("{} over {}", chart.y_label, chart.x_label);
    for curve in &chart.curves {
        if let (Some(first), Some(last)) = (curve.points.first(), curve.points.last()) {
            let (from, to) = (written(chart, first.1), written(chart, last.1));
            let (low, high) = (number(first.0), number(last.0));
            text += &format!("; {}: from {from} at {low} to {to} at {high}", curve.name);
        }
    }
    for marker in &chart.markers {
        text += &format!("; {} at {}", marker.label, number(marker.value));
    }
    text
}

fn left_out(html: &mut Html, chart: &CurveChart, axes: &Axes) {
    let points = chart.curves.iter().flat_map(|curve| &curve.points);
    let hidden = points.filter(|&&point| !axes.show(point)).count();
    if hidden > 0 {
        let points = count(hidden as u64);
        let text =
            format!("{points} points are not finite, or not positive on a log scale; not drawn.");
        html.paragraph("fault", &text);
    }
}

fn numbers(html: &mut Html, chart: &CurveChart) {
    let height = |y| if chart.y_percent { Value::Share(y) } else { Value::Number(y) };
    let rows = chart.curves.iter().flat_map(|curve| {
        let name = curve.name.as_str();
        curve.points.iter().map(move |&(x, y)| vec![name.into(), x.into(), height(y)])
    });
    chart::numbers(html, &["curve", "x", "y"], rows.collect());
}
