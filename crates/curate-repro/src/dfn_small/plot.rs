//! A filter's own accuracy against what its selection teaches, as a self-contained SVG.

use std::fmt::Write;

use serde_json::Value;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 460.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 60.0;

struct Dot {
    name: String,
    own: f64,
    taught: f64,
    spread: f64,
}

pub(crate) fn scatter(report: &Value) -> String {
    let dots = dots(report);
    let x = ends(dots.iter().map(|d| d.own));
    let y = ends(dots.iter().flat_map(|d| [d.taught - d.spread, d.taught + d.spread]));
    let place_x = |v: f64| LEFT + (v - x.0) / (x.1 - x.0) * (WIDTH - LEFT - RIGHT);
    let place_y = |v: f64| HEIGHT - BOTTOM - (v - y.0) / (y.1 - y.0) * (HEIGHT - TOP - BOTTOM);
    let mut out = String::new();
    let mut draw =
        |text: String| writeln!(out, "{}", text.trim_end()).expect("writing to a string");
    draw(format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>"#
    ));
    draw(format!(
        r#"<text x="{LEFT}" y="24" font-size="16" font-weight="bold">Filter networks, and the models they feed</text>"#
    ));
    draw(format!(
        r##"<text x="{LEFT}" y="44" fill="#666">each point a filter network, mean of the seeds; bars are one standard deviation</text>"##
    ));
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        let (vx, vy) = (x.0 + share * (x.1 - x.0), y.0 + share * (y.1 - y.0));
        let (px, py) = (place_x(vx), place_y(vy));
        draw(format!(
            r##"<line x1="{LEFT}" x2="{:.1}" y1="{py:.1}" y2="{py:.1}" stroke="#ddd"/>"##,
            WIDTH - RIGHT
        ));
        draw(format!(
            r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{:.1}</text>"#,
            LEFT - 8.0,
            py + 4.0,
            100.0 * vy
        ));
        draw(format!(
            r#"<text x="{px:.1}" y="{:.1}" text-anchor="middle">{:.1}</text>"#,
            HEIGHT - BOTTOM + 20.0,
            100.0 * vx
        ));
    }
    draw(points(&dots, place_x, place_y));
    draw(format!(
        r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">accuracy of the filter network itself (%)</text>"#,
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 16.0
    ));
    draw(format!(
        r#"<text transform="translate(18 {:.1}) rotate(-90)" text-anchor="middle">accuracy of the model trained on what it kept (%)</text></svg>"#,
        (TOP + HEIGHT - BOTTOM) / 2.0
    ));
    out
}

/// Each filter network as a point with its bar and its name.
fn points(dots: &[Dot], place_x: impl Fn(f64) -> f64, place_y: impl Fn(f64) -> f64) -> String {
    let mut out = String::new();
    let mut draw = |text: String| writeln!(out, "{text}").expect("writing to a string");
    let mut last_label = f64::NEG_INFINITY;
    for dot in dots {
        let (px, py) = (place_x(dot.own), place_y(dot.taught));
        let (high, low) = (place_y(dot.taught + dot.spread), place_y(dot.taught - dot.spread));
        draw(format!(
            r##"<line x1="{px:.1}" x2="{px:.1}" y1="{high:.1}" y2="{low:.1}" stroke="#0072B2" stroke-opacity=".5"/>"##
        ));
        draw(format!(
            r##"<circle cx="{px:.1}" cy="{py:.1}" r="5" fill="#0072B2"><title>{}</title></circle>"##,
            dot.name
        ));
        // Dots come from the top down: a label keeps a line's distance from the one above.
        last_label = (py + 4.0).max(last_label + 13.0);
        let (anchor, shift) = if px > WIDTH * 0.6 { ("end", -9.0) } else { ("start", 9.0) };
        draw(format!(
            r#"<text x="{:.1}" y="{:.1}" text-anchor="{anchor}">{}</text>"#,
            px + shift,
            last_label,
            dot.name
        ));
    }
    out
}

fn dots(report: &Value) -> Vec<Dot> {
    let list = |key: &str| report[key].as_array().cloned().unwrap_or_default();
    let arms = list("arms");
    let dot = |filter: &Value| {
        let own = filter["own_subcategory"]["mean"].as_f64()?;
        let arm = arms.iter().find(|arm| arm["arm"] == filter["filter"])?;
        let (taught, spread) =
            (arm["subcategory"]["mean"].as_f64()?, arm["subcategory"]["sd"].as_f64()?);
        Some(Dot { name: filter["filter"].as_str()?.to_owned(), own, taught, spread })
    };
    let mut dots: Vec<Dot> = list("filters").iter().filter_map(dot).collect();
    dots.sort_by(|a, b| b.taught.total_cmp(&a.taught));
    dots
}

/// The ends of an axis, with a margin.
fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    let margin = (0.12 * (high - low)).max(0.005);
    (low - margin, high + margin)
}
