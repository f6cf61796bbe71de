//! A plot of means with their intervals, row by row, as a self-contained SVG.

use std::{fmt::Write, path::Path};

use anyhow::{Context, Result};
use curate_eval::compare::Mean;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 250.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 70.0;
const BOTTOM: f64 = 50.0;
const ROW: f64 = 34.0;
/// Of marks in a row (Okabe and Ito's palette, told apart by those who do not see red or green).
const COLORS: [&str; 4] = ["#0072B2", "#E69F00", "#009E73", "#CC79A7"];

/// What to draw: shares, shown in points.
pub(crate) struct Plot<'a> {
    pub(crate) title: &'a str,
    /// What the numbers are.
    pub(crate) axis: &'a str,
    /// Names of the marks of a row.
    pub(crate) marks: &'a [&'a str],
    /// A name, and a mean for each mark.
    pub(crate) rows: Vec<(String, Vec<Mean>)>,
}

impl Plot<'_> {
    /// Writes it.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        std::fs::write(path, self.to_svg()).with_context(|| path.display().to_string())
    }

    fn to_svg(&self) -> String {
        let ends = self.ends();
        let height = TOP + ROW * self.rows.len() as f64 + BOTTOM;
        let x = |value: f64| LEFT + (value - ends.0) / (ends.1 - ends.0) * (WIDTH - LEFT - RIGHT);
        let mut out = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12"><rect width="{WIDTH}" height="{height}" fill="white"/>"#
        );
        out += &format!(
            "\n<text x=\"16\" y=\"24\" font-size=\"16\" font-weight=\"bold\">{}</text>\n",
            self.title
        );
        let mut at = LEFT;
        for (name, color) in self.marks.iter().zip(COLORS) {
            out += &format!(
                "<circle cx=\"{at:.1}\" cy=\"46\" r=\"5\" fill=\"{color}\"/><text x=\"{:.1}\" y=\"50\">{name}</text>\n",
                at + 10.0
            );
            at += 30.0 + 7.0 * name.len() as f64;
        }
        out += &self.grid(ends, height, &x);
        for (row, (name, means)) in self.rows.iter().enumerate() {
            let y = TOP + ROW * (row as f64 + 0.5);
            out += &format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>\n",
                LEFT - 12.0,
                y + 4.0
            );
            for (place, (mean, color)) in means.iter().zip(COLORS).enumerate() {
                let y = y + 8.0 * (place as f64 - (means.len() - 1) as f64 / 2.0);
                let [low, high] = mean.interval.unwrap_or([mean.mean; 2]);
                out += &format!(
                    "<line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{color}\"/><circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{color}\"/>\n",
                    x(low),
                    x(high),
                    x(mean.mean)
                );
            }
        }
        out + "</svg>\n"
    }

    /// Lines at round numbers, and what they are.
    fn grid(&self, ends: (f64, f64), height: f64, x: &dyn Fn(f64) -> f64) -> String {
        let mut out = String::new();
        let step = step_of(100.0 * (ends.1 - ends.0));
        let mut tick = (100.0 * ends.0 / step).ceil() * step;
        while tick <= 100.0 * ends.1 {
            let (at, color) = (x(tick / 100.0), if tick == 0.0 { "#333" } else { "#ddd" });
            let (bottom, text) = (height - BOTTOM, height - BOTTOM + 18.0);
            let drawn = writeln!(
                out,
                "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\" stroke=\"{color}\"/><text x=\"{at:.1}\" y=\"{text}\" text-anchor=\"middle\">{tick}</text>"
            );
            drawn.expect("writing to a string");
            tick += step;
        }
        let (middle, bottom) = ((LEFT + WIDTH - RIGHT) / 2.0, height - 12.0);
        out + &format!(
            "<text x=\"{middle:.1}\" y=\"{bottom}\" text-anchor=\"middle\">{}</text>\n",
            self.axis
        )
    }

    /// The ends of all intervals, with a margin.
    fn ends(&self) -> (f64, f64) {
        let means = self.rows.iter().flat_map(|(_, means)| means);
        let all = means.flat_map(|mean| mean.interval.unwrap_or([mean.mean; 2]));
        let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        let margin = (0.05 * (high - low)).max(0.001);
        (low - margin, high + margin)
    }
}

/// 1, 2 or 5 times a power of ten, at most ten of which are as much.
fn step_of(width: f64) -> f64 {
    let decade = 10_f64.powf((width / 10.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|times| times * decade)
        .into_iter()
        .find(|step| width <= 10.0 * step)
        .unwrap_or(width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mean_is_a_mark_inside_the_picture() {
        let mean = |mean: f64| Mean { mean, interval: Some([mean - 0.01, mean + 0.02]) };
        let rows = vec![
            ("one".to_owned(), vec![mean(-0.3), mean(0.0)]),
            ("two".to_owned(), vec![mean(0.05)]),
        ];
        let plot = Plot { title: "t", axis: "points", marks: &["a", "b"], rows };
        let svg = plot.to_svg();
        // Three means, and two in the key.
        assert_eq!(svg.matches("<circle").count(), 5);
        for place in svg.split("cx=\"").skip(1) {
            let x: f64 = place.split('"').next().and_then(|x| x.parse().ok()).unwrap_or(f64::NAN);
            assert!((LEFT - 1.0..WIDTH).contains(&x), "{x}");
        }
        assert!(svg.contains(">0</text>") && svg.ends_with("</svg>\n"));
        assert_eq!([0.7, 12.0, 36.0, 99.0].map(step_of), [0.1, 2.0, 5.0, 10.0]);
    }
}
