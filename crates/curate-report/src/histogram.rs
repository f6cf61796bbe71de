//! Draws histograms.

use crate::axis::Axis;
use crate::chart::{self, X, Y};
use crate::html::{Html, put};
use crate::number::{count, number};
use crate::text::esc;
use crate::{Histogram, Scale};

pub(crate) fn draw(html: &mut Html, histogram: &Histogram) {
    chart::open(html, &histogram.title);
    let drawn = bins(histogram).and_then(|bins| draw_bins(html, histogram, &bins).map(|()| bins));
    if let Err(reason) = &drawn {
        html.empty(&histogram.when_empty, reason);
    }
    if histogram.not_finite > 0 {
        let values = count(histogram.not_finite);
        html.paragraph("fault", &format!("{values} values are not finite and have no bin."));
    }
    html.paragraph("rule", &histogram.note);
    if let Ok(bins) = &drawn {
        numbers(html, histogram, bins);
    }
    chart::close(html);
}

/// The bins by their two edges, with the counts of each series.
struct Bins {
    edges: Vec<(f64, f64)>,
    counts: Vec<Vec<u64>>,
    classes: Vec<String>,
}

fn bins(histogram: &Histogram) -> Result<Bins, &'static str> {
    let edges: Vec<_> = histogram.edges.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let ascending = |&(low, high): &(f64, f64)| low < high && (high - low).is_finite();
    if !edges.iter().all(ascending) {
        return Err("The bin edges are not in ascending order, so nothing is drawn.");
    }
    let padded = |counts: &Vec<u64>| {
        (0..edges.len()).map(|bin| counts.get(bin).copied().unwrap_or(0)).collect()
    };
    let counts: Vec<Vec<u64>> =
        histogram.series.iter().map(|series| padded(&series.counts)).collect();
    if counts.iter().flatten().all(|&count| count == 0) {
        return Err("There are no values to draw.");
    }
    let classes = chart::classes(histogram.series.iter().map(|series| series.role));
    Ok(Bins { edges, counts, classes })
}

fn draw_bins(html: &mut Html, histogram: &Histogram, bins: &Bins) -> Result<(), &'static str> {
    let stacked = histogram.stacked && histogram.count_scale == Scale::Linear;
    let x = Axis::over(Scale::Linear, histogram.edges.iter().copied(), X);
    let y = count_axis(histogram.count_scale, bins, stacked);
    let (x, y) = x.zip(y).ok_or("The values lie too far apart to draw.")?;
    let names = histogram.series.iter().map(|series| series.name.as_str());
    let is_line = |at: usize| !stacked && at > 0;
    let swatches =
        bins.classes.iter().enumerate().map(|(at, class)| chart::swatch(class, is_line(at)));
    chart::legend(html, swatches.zip(names));
    chart::open_svg(html, &summary(histogram, bins));
    chart::axes(html, &x, &y, (&histogram.x_label, unit(histogram)), false);
    if stacked {
        stack(html, bins, &x, &y)
    } else {
        overlay(html, bins, &x, &y)
    }
    hover(html, histogram, bins, &x);
    let outside = chart::markers(html, &x, histogram.threshold.as_slice());
    put!(html, "</svg>\n");
    chart::outside(html, &outside);
    Ok(())
}

fn unit(histogram: &Histogram) -> &str {
    if histogram.unit.is_empty() { "rows" } else { &histogram.unit }
}

fn count_axis(scale: Scale, bins: &Bins, stacked: bool) -> Option<Axis> {
    let most = |counts: &Vec<u64>| counts.iter().copied().max().unwrap_or(0);
    let in_bin =
        |bin: usize| bins.counts.iter().fold(0_u64, |sum, counts| sum.saturating_add(counts[bin]));
    let most = if stacked {
        (0..bins.edges.len()).map(in_bin).max().unwrap_or(0)
    } else {
        bins.counts.iter().map(most).max().unwrap_or(0)
    };
    // With fewer than four rows, ticks would fall on fractions of a row. On a log scale a count of
    // one would have no height if the axis began at one.
    let floor = if scale == Scale::Log { 0.7 } else { 0.0 };
    let ends = [floor, most.max(4) as f64].into_iter();
    Some(Axis::over(scale, ends, Y)?.rounded())
}

fn stack(html: &mut Html, bins: &Bins, x: &Axis, y: &Axis) {
    for (bin, &edges) in bins.edges.iter().enumerate() {
        let mut below = 0_u64;
        for (counts, class) in bins.counts.iter().zip(&bins.classes) {
            let above = below.saturating_add(counts[bin]);
            rect(html, class, x, edges, (y.at(below as f64), y.at(above as f64)));
            below = above;
        }
    }
}

/// The first series as bars, the others as outlines in front of them.
fn overlay(html: &mut Html, bins: &Bins, x: &Axis, y: &Axis) {
    for (at, (counts, class)) in bins.counts.iter().zip(&bins.classes).enumerate() {
        let tops = counts.iter().map(|&count| y.at(count as f64));
        if at == 0 {
            for (&edges, top) in bins.edges.iter().zip(tops) {
                rect(html, class, x, edges, (Y.0, top));
            }
            continue;
        }
        put!(html, "<path class=\"line {class}\" d=\"M{:.1} {:.1}", x.at(bins.edges[0].0), Y.0);
        for (&(_, right), top) in bins.edges.iter().zip(tops) {
            put!(html, "V{top:.1}H{:.1}", x.at(right));
        }
        put!(html, "V{:.1}\"/>\n", Y.0);
    }
}

fn rect(html: &mut Html, class: &str, x: &Axis, edges: (f64, f64), (bottom, top): (f64, f64)) {
    let height = bottom - top;
    if height <= 0.0 {
        return;
    }
    let (left, right) = (x.at(edges.0), x.at(edges.1));
    // A gap parts wide bars; between narrow ones it would only make them pale.
    let gap = if right - left > 6.0 { 1.0 } else { 0.0 };
    let width = (right - left - gap).max(0.5);
    put!(html, "<rect class=\"fill {class}\" x=\"{left:.2}\" y=\"{top:.2}\" ");
    put!(html, "width=\"{width:.2}\" height=\"{height:.2}\"/>\n");
}

/// An invisible strip over each bin that shows its numbers, so that low bars can be hovered over
/// too.
fn hover(html: &mut Html, histogram: &Histogram, bins: &Bins, x: &Axis) {
    for (bin, &(low, high)) in bins.edges.iter().enumerate() {
        let (left, right) = (x.at(low), x.at(high));
        put!(
            html,
            "<rect class=\"hit\" x=\"{left:.2}\" y=\"{}\" width=\"{:.2}\" ",
            Y.1,
            right - left
        );
        put!(html, "height=\"{}\"><title>{} to {}", Y.0 - Y.1, number(low), number(high));
        for (series, counts) in histogram.series.iter().zip(&bins.counts) {
            let name = if series.name.is_empty() { unit(histogram) } else { &series.name };
            put!(html, "; {}: {}", esc(name), count(counts[bin]));
        }
        put!(html, "</title></rect>\n");
    }
}

fn summary(histogram: &Histogram, bins: &Bins) -> String {
    let (low, high) = (bins.edges[0].0, bins.edges[bins.edges.len() - 1].1);
    let mut text =
        format!("Histogram of {}, from {} to {}", histogram.x_label, number(low), number(high));
    for (series, counts) in histogram.series.iter().zip(&bins.counts) {
        let sum = counts.iter().fold(0, |sum: u64, &count| sum.saturating_add(count));
        text += &format!("; {} {}: {}", series.name, unit(histogram), count(sum));
    }
    if let Some(threshold) = &histogram.threshold {
        text += &format!("; {} at {}", threshold.label, number(threshold.value));
    }
    text
}

fn numbers(html: &mut Html, histogram: &Histogram, bins: &Bins) {
    let names = histogram.series.iter().map(|series| series.name.as_str());
    let named = names.map(|name| if name.is_empty() { unit(histogram) } else { name });
    let headings: Vec<_> = ["from", "to"].into_iter().chain(named).collect();
    let row = |(bin, &(low, high)): (usize, &(f64, f64))| {
        let counts = bins.counts.iter().map(|counts| counts[bin].into());
        [low.into(), high.into()].into_iter().chain(counts).collect()
    };
    chart::numbers(html, &headings, bins.edges.iter().enumerate().map(row).collect());
}
