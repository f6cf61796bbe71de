//! Curves as a self-contained SVG: no scripts, no fonts to fetch.

use crate::curve::{CurvePoint, Curves, Measured};
use crate::decide::Switch;
use crate::observation::Metric;
use std::fmt::Write;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 500.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 56.0;
/// Okabe and Ito's colors, told apart by people with any color vision.
const COLORS: [&str; 7] =
    ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555"];

/// Most ticks of an axis.
const MOST_TICKS: u32 = 64;

/// Writes SVG into a string.
macro_rules! draw {
    ($out:expr, $($arg:tt)*) => { writeln!($out, $($arg)*).expect("writing to a string") };
}

/// Maps data to the page.
struct Frame {
    samples: (f64, f64),
    metric: (f64, f64),
}

impl Frame {
    fn of(curves: &Curves) -> Frame {
        let samples = ends(curves.points.iter().map(|p| p.samples));
        let inside = |m: &&Measured| {
            m.candidate.is_some() && m.samples >= samples.0 && m.samples <= samples.1
        };
        let shown = curves.measured.iter().filter(inside);
        let values = curves.points.iter().flat_map(|p| [p.low, p.high, p.metric]);
        let (low, high) = ends(values.chain(shown.map(|m| m.metric)).filter(|v| v.is_finite()));
        let margin = 0.04 * (high - low).max(1e-6);
        Frame { samples, metric: (low - margin, high + margin) }
    }

    fn x(&self, samples: f64) -> f64 {
        let share = (samples / self.samples.0).ln() / (self.samples.1 / self.samples.0).ln();
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, metric: f64) -> f64 {
        let share = (metric - self.metric.0) / (self.metric.1 - self.metric.0);
        HEIGHT - BOTTOM - share.clamp(-0.05, 1.05) * (HEIGHT - TOP - BOTTOM)
    }

    /// A point of a line, as SVG writes it.
    fn at(&self, samples: f64, metric: f64) -> String {
        format!("{:.1},{:.1}", self.x(samples), self.y(metric))
    }
}

fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
}

/// Text for XML, which cannot hold control characters even when they are escaped.
fn escape(text: &str) -> String {
    let text = text.replace(|c: char| c.is_control(), "\u{fffd}");
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A count as people write it: 64M, 1.28B.
fn short(count: f64) -> String {
    let (value, unit) = [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"), (0.0, "")]
        .into_iter()
        .find(|(size, _)| count >= 0.9995 * size)
        .map_or((count, ""), |(size, unit)| (count / if size > 0.0 { size } else { 1.0 }, unit));
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.digits$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

/// Round values inside a range: 1, 2 or 5 times a power of ten apart.
fn ticks((low, high): (f64, f64), about: f64) -> Vec<f64> {
    let rough = (high - low) / about;
    let magnitude = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|s| s * magnitude);
    let step = steps.into_iter().find(|s| *s >= rough).unwrap_or(10.0 * magnitude);
    let first = (low / step).ceil();
    // Far from zero a step may be below rounding, and would never arrive.
    let all = (0..MOST_TICKS).map(|i| (first + f64::from(i)) * step);
    all.take_while(|t| *t <= high).collect()
}

/// Round budgets inside a range, on a log axis.
fn log_ticks((low, high): (f64, f64)) -> Vec<f64> {
    let decades = (high / low).log10();
    let marks: &[f64] = if decades > 4.0 {
        &[1.0]
    } else if decades > 2.0 {
        &[1.0, 3.0]
    } else {
        &[1.0, 2.0, 5.0]
    };
    // Powers of ten beyond these are zero or infinite.
    let exponent = |x: f64| x.clamp(-330.0, 310.0) as i32;
    let exponents = exponent(low.log10().floor())..=exponent(high.log10().ceil());
    let all = exponents.flat_map(|e| marks.iter().map(move |m| m * 10f64.powi(e)));
    all.filter(|t| *t >= low * 0.999 && *t <= high * 1.001).collect()
}

impl Curves {
    /// The curves with their bands, the measured runs, the switch points and the budgets that the
    /// data do not reach (dashed lines on a grey ground).
    pub fn to_svg(&self, title: &str) -> String {
        let frame = Frame::of(self);
        let mut out = String::new();
        draw!(
            out,
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#222">"##
        );
        draw!(out, r#"<title>{}</title>"#, escape(title));
        draw!(out, r#"<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>"#);
        draw!(
            out,
            r#"<text x="{LEFT}" y="24" font-size="16" font-weight="bold">{}</text>"#,
            escape(title)
        );
        self.draw_ground(&frame, &mut out);
        draw_axes(&frame, self.metric, &mut out);
        for (i, name) in self.candidates.iter().enumerate() {
            self.draw_curve(&frame, name, COLORS[i % COLORS.len()], &mut out);
        }
        self.draw_switches(&frame, &mut out);
        self.draw_labels(&frame, &mut out);
        out.push_str("</svg>\n");
        out
    }

    /// Shades the budgets above the largest run.
    fn draw_ground(&self, frame: &Frame, out: &mut String) {
        let law = match self.law.matches(", ").count() {
            0 => format!("law {}", self.law),
            more => format!("{} laws together", more + 1),
        };
        let note = format!("{law}, bands {:.0} %", 100.0 * self.level);
        draw!(out, r##"<text x="{LEFT}" y="42" fill="#666">{}</text>"##, escape(&note));
        let Some(span) = self.range.samples.filter(|s| s.high < frame.samples.1) else { return };
        let from = frame.x(span.high.max(frame.samples.0));
        let (width, height) = (WIDTH - RIGHT - from, HEIGHT - TOP - BOTTOM);
        draw!(
            out,
            r##"<rect x="{from:.1}" y="{TOP}" width="{width:.1}" height="{height:.1}" fill="#f3f3f3"/>"##
        );
        let (x, y) = (WIDTH - RIGHT - 6.0, TOP + 18.0);
        draw!(
            out,
            r##"<text x="{x:.1}" y="{y:.1}" text-anchor="end" fill="#888" font-size="11">beyond the largest run</text>"##
        );
    }

    fn draw_curve(&self, frame: &Frame, name: &str, color: &str, out: &mut String) {
        let points: Vec<&CurvePoint> = self.points.iter().filter(|p| p.candidate == name).collect();
        let upper = points.iter().map(|p| frame.at(p.samples, p.high));
        let lower = points.iter().rev().map(|p| frame.at(p.samples, p.low));
        let band: Vec<String> = upper.chain(lower).collect();
        draw!(out, r#"<polygon points="{}" fill="{color}" fill-opacity="0.13"/>"#, band.join(" "));
        draw_lines(frame, &points, color, out);
        let (low, high) = frame.samples;
        for run in self.measured.iter().filter(|m| {
            m.candidate.as_deref() == Some(name) && m.samples >= low && m.samples <= high
        }) {
            let (x, y) = (frame.x(run.samples), frame.y(run.metric));
            draw!(
                out,
                r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.5" fill="{color}" stroke="white"/>"#
            );
        }
    }

    /// A line at each switch, labeled where there is room.
    fn draw_switches(&self, frame: &Frame, out: &mut String) {
        let mut last_x = f64::NEG_INFINITY;
        for switch in &self.switches {
            let x = frame.x(switch.samples.estimate);
            draw_switch(frame, switch, out);
            if x - last_x > 46.0 {
                let (y, label) = (TOP - 5.0, short(switch.samples.estimate));
                draw!(
                    out,
                    r##"<text x="{x:.1}" y="{y:.1}" text-anchor="middle" fill="#333">{label}</text>"##
                );
                last_x = x;
            }
        }
    }

    /// Names at the curves' right ends, pushed apart.
    fn draw_labels(&self, frame: &Frame, out: &mut String) {
        let mut labels: Vec<(f64, usize, &str)> = Vec::new();
        for (i, name) in self.candidates.iter().enumerate() {
            if let Some(last) = self.points.iter().rfind(|p| p.candidate == *name) {
                labels.push((frame.y(last.metric), i, name));
            }
        }
        labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let lowest = HEIGHT - BOTTOM;
        for i in (0..labels.len()).rev() {
            let limit = if i + 1 < labels.len() { labels[i + 1].0 - 15.0 } else { lowest };
            labels[i].0 = labels[i].0.min(limit);
        }
        let x = WIDTH - RIGHT + 8.0;
        for (y, i, name) in labels {
            let (y, color) = (y + 4.0, COLORS[i % COLORS.len()]);
            draw!(
                out,
                r#"<text x="{x:.1}" y="{y:.1}" fill="{color}" font-weight="bold">{}</text>"#,
                escape(name)
            );
        }
    }
}

/// A curve, dashed where the data do not reach. Consecutive points with the same standing share a
/// line; each line starts where the last ended, so that the curve has no gaps.
fn draw_lines(frame: &Frame, points: &[&CurvePoint], color: &str, out: &mut String) {
    let mut first = 0;
    while first + 1 < points.len() {
        let known = points[first].in_range && points[first + 1].in_range;
        let same = |i: &usize| (points[*i].in_range && points[*i + 1].in_range) == known;
        let last = (first..points.len() - 1).take_while(same).last().unwrap_or(first) + 1;
        let shared = points[first..=last].iter();
        let line: Vec<String> = shared.map(|p| frame.at(p.samples, p.metric)).collect();
        let dashes = if known { "" } else { r#" stroke-dasharray="5 4""# };
        draw!(
            out,
            r#"<polyline points="{}" fill="none" stroke="{color}" stroke-width="2"{dashes}/>"#,
            line.join(" ")
        );
        first = last;
    }
}

/// The switch and, above the frame, its interval.
fn draw_switch(frame: &Frame, switch: &Switch, out: &mut String) {
    let (x, bottom) = (frame.x(switch.samples.estimate), HEIGHT - BOTTOM);
    draw!(
        out,
        r##"<line x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{bottom}" stroke="#333" stroke-dasharray="2 3"/>"##
    );
    let a = frame.x(switch.samples.low.max(frame.samples.0));
    let b = frame.x(switch.samples.high.min(frame.samples.1));
    draw!(
        out,
        r##"<line x1="{a:.1}" y1="{TOP}" x2="{b:.1}" y2="{TOP}" stroke="#333" stroke-width="3" stroke-opacity="0.55"/>"##
    );
}

fn draw_axes(frame: &Frame, metric: Metric, out: &mut String) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    draw_metric_ticks(frame, metric, right, out);
    draw_sample_ticks(frame, bottom, out);
    draw!(out, r##"<line x1="{LEFT}" y1="{bottom}" x2="{right}" y2="{bottom}" stroke="#222"/>"##);
    let (x, y) = ((LEFT + right) / 2.0, HEIGHT - 14.0);
    draw!(out, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="middle">samples seen</text>"#);
    let name = if metric == Metric::Error { "error (%)" } else { "loss" };
    let middle = (TOP + bottom) / 2.0;
    draw!(
        out,
        r#"<text x="18" y="{middle}" text-anchor="middle" transform="rotate(-90 18 {middle})">{name}</text>"#
    );
}

fn draw_metric_ticks(frame: &Frame, metric: Metric, right: f64, out: &mut String) {
    for tick in ticks(frame.metric, 6.0) {
        let y = frame.y(tick);
        draw!(
            out,
            r##"<line x1="{LEFT}" y1="{y:.1}" x2="{right}" y2="{y:.1}" stroke="#e4e4e4"/>"##
        );
        let label = match metric {
            Metric::Error => format!("{:.4}", 100.0 * tick),
            Metric::Loss => format!("{tick:.4}"),
        };
        let label = label.trim_end_matches('0').trim_end_matches('.');
        let (x, y) = (LEFT - 8.0, y + 4.0);
        draw!(out, r#"<text x="{x}" y="{y:.1}" text-anchor="end">{label}</text>"#);
    }
}

fn draw_sample_ticks(frame: &Frame, bottom: f64, out: &mut String) {
    for tick in log_ticks(frame.samples) {
        let (x, y) = (frame.x(tick), bottom + 18.0);
        draw!(
            out,
            r##"<line x1="{x:.1}" y1="{bottom}" x2="{x:.1}" y2="{}" stroke="#222"/>"##,
            bottom + 5.0
        );
        draw!(out, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="middle">{}</text>"#, short(tick));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_short() {
        for (count, text) in
            [(12.8e6, "12.8M"), (1e9, "1B"), (1.28e9, "1.28B"), (200e6, "200M"), (950.0, "950")]
        {
            assert_eq!(short(count), text);
        }
    }

    #[test]
    fn control_characters_do_not_reach_the_picture() {
        assert_eq!(escape("a\u{1b}[2J\0<b>\n"), "a\u{fffd}[2J\u{fffd}&lt;b&gt;\u{fffd}");
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks((0.62, 0.98), 4.0), [0.7000000000000001, 0.8, 0.9]);
        assert_eq!(log_ticks((8e6, 2.1e8)), [1e7, 2e7, 5e7, 1e8, 2e8]);
    }
}
