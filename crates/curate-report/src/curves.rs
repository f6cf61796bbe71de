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
        Some((x, y)) => draw_curves(html, chart, x, y),
        None => html.empty(&chart.when_empty, "There are no points to draw."),
    }
    html.paragraph("rule", &chart.note);
    if axes.is_some() {
        numbers(html, chart);
    }
    chart::close(html);
}

/// Wide enough for every point that both scales can show, bands included.
fn axes(chart: &CurveChart) -> Option<(Axis, Axis)> {
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
    Some((x.padded(0.02), y))
}

fn draw_curves(html: &mut Html, chart: &CurveChart, x: &Axis, y: &Axis) {
    let classes = chart::classes(chart.curves.iter().map(|curve| curve.role));
    let classes: Vec<_> =
        classes.iter().enumerate().map(|(at, class)| format!("{class} dash{}", at % 4)).collect();
    let names = chart.curves.iter().map(|curve| curve.name.as_str());
    let swatches = chart.curves.iter().zip(&classes).enumerate();
    let swatches = swatches.map(|(at, (curve, class))| swatch(curve.style, class, at));
    chart::legend(html, swatches.zip(names));
    chart::open_svg(html, &summary(chart));
    chart::axes(html, x, y, (&chart.x_label, &chart.y_label), chart.y_percent);
    for (curve, class) in chart.curves.iter().zip(&classes) {
        band(html, curve, class, x, y);
    }
    for (at, (curve, class)) in chart.curves.iter().zip(&classes).enumerate() {
        if curve.style != CurveStyle::Points {
            line(html, curve, class, x, y);
        }
        points(html, chart, curve, (class, at), x, y);
    }
    let outside = chart::markers(html, x, &chart.markers);
    put!(html, "</svg>\n");
    chart::outside(html, &outside);
    left_out(html, chart, x, y);
}

fn swatch(style: CurveStyle, class: &str, at: usize) -> String {
    if style != CurveStyle::Points {
        return chart::swatch(class, true);
    }
    let shape = dot(at, 7.0, 5.0);
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

fn both(x: &Axis, y: &Axis, point: (f64, f64)) -> bool {
    x.shows(point.0) && y.shows(point.1)
}

fn line(html: &mut Html, curve: &Curve, class: &str, x: &Axis, y: &Axis) {
    put!(html, "<path class=\"line {class}\" d=\"");
    let mut pen = 'M';
    for &point in &curve.points {
        if both(x, y, point) {
            put!(html, "{pen}{:.1} {:.1}", x.at(point.0), y.at(point.1));
            pen = 'L';
        } else {
            pen = 'M';
        }
    }
    put!(html, "\"/>\n");
}

fn band(html: &mut Html, curve: &Curve, class: &str, x: &Axis, y: &Axis) {
    let shown =
        |&&(at, low, high): &&(f64, f64, f64)| both(x, y, (at, low)) && both(x, y, (at, high));
    let there = curve.band.iter().filter(shown).map(|&(at, low, _)| (at, low));
    let back = curve.band.iter().rev().filter(shown).map(|&(at, _, high)| (at, high));
    let corners: Vec<_> = there.chain(back).collect();
    if corners.is_empty() {
        return;
    }
    put!(html, "<polygon class=\"band {class}\" points=\"");
    corners.iter().for_each(|&(at, value)| put!(html, "{:.1},{:.1} ", x.at(at), y.at(value)));
    put!(html, "\"/>\n");
}

/// The dots. A plain line has them too, but invisible, so that its points can be hovered over.
fn points(
    html: &mut Html,
    chart: &CurveChart,
    curve: &Curve,
    (class, at): (&str, usize),
    x: &Axis,
    y: &Axis,
) {
    let kind = if curve.style == CurveStyle::Line { "hit" } else { "dot" };
    for &point in curve.points.iter().filter(|&&point| both(x, y, point)) {
        put!(
            html,
            "<path class=\"{kind} {class}\" d=\"{}\"><title>",
            dot(at, x.at(point.0), y.at(point.1))
        );
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

fn left_out(html: &mut Html, chart: &CurveChart, x: &Axis, y: &Axis) {
    let points = chart.curves.iter().flat_map(|curve| &curve.points);
    let hidden = points.filter(|&&point| !both(x, y, point)).count();
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
