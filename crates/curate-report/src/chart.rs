//! What histograms and curves share: frame, axes, legend, markers, and the numbers as a table.

use crate::axis::Axis;
use crate::html::{Html, put};
use crate::text::esc;
use crate::{Column, Marker, Role, Table, Value, table};

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 270.0;
/// The plot's pixels from left to right, and from the bottom up.
pub(crate) const X: (f64, f64) = (52.0, WIDTH - 16.0);
pub(crate) const Y: (f64, f64) = (HEIGHT - 46.0, 36.0);
/// A chart of more numbers than this is not repeated as a table.
const MOST_NUMBERS: usize = 200;

/// The style class of each series: that of its role, or the next neutral one.
pub(crate) fn classes(roles: impl Iterator<Item = Role>) -> Vec<String> {
    let mut plain = 0;
    let class = |role| match role {
        Role::Kept => "kept".to_owned(),
        Role::Removed => "removed".to_owned(),
        Role::Quarantined => "quarantined".to_owned(),
        Role::Plain => {
            plain += 1;
            format!("plain{}", (plain - 1) % 4 + 1)
        }
    };
    roles.map(class).collect()
}

pub(crate) fn open(html: &mut Html, title: &str) {
    put!(html, "<figure class=\"chart\">\n");
    if !title.is_empty() {
        put!(html, "<figcaption><h3>{}</h3></figcaption>\n", esc(title));
    }
}

pub(crate) fn close(html: &mut Html) {
    put!(html, "</figure>\n");
}

/// A patch filled like a series, or a piece of its line, for the legend.
pub(crate) fn swatch(class: &str, line: bool) -> String {
    let shape = if line {
        format!("<path class=\"line {class}\" d=\"M0 5H22\"/>")
    } else {
        format!("<rect class=\"fill {class}\" width=\"14\" height=\"10\"/>")
    };
    let width = if line { 22 } else { 14 };
    format!(
        "<svg class=\"swatch\" width=\"{width}\" height=\"10\" viewBox=\"0 0 {width} 10\" \
         aria-hidden=\"true\">{shape}</svg>"
    )
}

/// Names beside swatches; nothing if no series has a name.
pub(crate) fn legend<'a>(html: &mut Html, entries: impl Iterator<Item = (String, &'a str)>) {
    let named: Vec<_> = entries.filter(|(_, name)| !name.is_empty()).collect();
    if named.is_empty() {
        return;
    }
    put!(html, "<p class=\"legend\">");
    for (swatch, name) in named {
        put!(html, "<span>{swatch}{}</span>\n", esc(name));
    }
    put!(html, "</p>\n");
}

pub(crate) fn open_svg(html: &mut Html, label: &str) {
    put!(html, "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" ");
    put!(html, "aria-label=\"{}\">\n", esc(label));
}

/// Grid, ticks and labels. Drawn before the data, so that the data lie on top.
pub(crate) fn axes(html: &mut Html, x: &Axis, y: &Axis, labels: (&str, &str), percent: bool) {
    let (left, right) = X;
    let (bottom, top) = Y;
    for (value, label) in y.ticks(Axis::STEPS, percent) {
        let at = y.at(value);
        put!(html, "<path class=\"grid\" d=\"M{left} {at:.1}H{right}\"/>");
        put!(
            html,
            "<text class=\"end\" x=\"{}\" y=\"{:.1}\">{}</text>\n",
            left - 7.0,
            at + 4.0,
            esc(&label)
        );
    }
    put!(html, "<path class=\"axis\" d=\"M{left} {bottom}H{right}\"/>\n");
    for (value, label) in x.ticks(7.0, false) {
        let at = x.at(value);
        put!(html, "<path class=\"axis\" d=\"M{at:.1} {bottom}v4\"/>");
        put!(
            html,
            "<text class=\"mid\" x=\"{at:.1}\" y=\"{}\">{}</text>\n",
            bottom + 17.0,
            esc(&label)
        );
    }
    let middle = f64::midpoint(left, right);
    put!(
        html,
        "<text class=\"mid name\" x=\"{middle}\" y=\"{}\">{}</text>\n",
        HEIGHT - 8.0,
        esc(labels.0)
    );
    put!(html, "<text class=\"name\" x=\"0\" y=\"{}\">{}</text>\n", top - 24.0, esc(labels.1));
}

/// Vertical lines with labels; returns the markers that lie outside the axis.
pub(crate) fn markers<'a>(html: &mut Html, x: &Axis, markers: &'a [Marker]) -> Vec<&'a Marker> {
    let (inside, outside): (Vec<_>, Vec<_>) =
        markers.iter().partition(|marker| x.contains(marker.value));
    let (bottom, top) = Y;
    for (row, marker) in inside.into_iter().enumerate() {
        let at = x.at(marker.value);
        let height = top - 5.0 + 13.0 * row as f64;
        // The label goes to the side that has room for it.
        let (class, shift) =
            if at > f64::midpoint(X.0, X.1) { ("end", -5.0) } else { ("start", 5.0) };
        put!(html, "<path class=\"marker\" d=\"M{at:.1} {bottom}V{:.1}\"/>", top - 14.0);
        let label = esc(&marker.label);
        put!(
            html,
            "<text class=\"{class} flag\" x=\"{:.1}\" y=\"{height:.1}\">{label}</text>\n",
            at + shift
        );
    }
    outside
}

pub(crate) fn outside(html: &mut Html, markers: &[&Marker]) {
    for marker in markers {
        let value = crate::number::number(marker.value);
        let text = format!("{} ({value}) lies outside the drawn range.", marker.label);
        html.paragraph("fault", &text);
    }
}

/// The chart's numbers as a folded table, for those who cannot see it or want to copy them.
pub(crate) fn numbers(html: &mut Html, headings: &[&str], rows: Vec<Vec<Value>>) {
    if rows.len() > MOST_NUMBERS {
        return;
    }
    let columns = headings.iter().copied().map(Column::new).collect();
    put!(html, "<details class=\"numbers\"><summary>Numbers</summary>\n");
    table::scroll(html, &Table { title: "Numbers".to_owned(), columns, rows, ..Table::default() });
    put!(html, "</details>\n");
}
